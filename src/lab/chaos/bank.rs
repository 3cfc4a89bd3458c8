//! A gateway's own side: its ledger of charges, its keys, its decisions.
//!
//! Why here: this is where the money is. Whether a customer was charged twice is read here, never
//! in recoup's own records.
//!
//! What must stay true: a key is recognized for its window, and charges anew behind it, as real
//! gateways do.

use jiff::{SignedDuration, Timestamp};

use super::trace::say;
use super::world::{Next, Told, World};
use crate::core::decline::{Advice, Category, Decline};
use crate::core::effect::{
    AdoptOrder, AttemptRef, ChargeOrder, ChargeOutcome, CloseOrder, InvoiceStatus, InvoiceView,
    LookUpAnswer, MarkPaidOrder, MarkPaidOutcome, RefundOrder,
};
use crate::core::event::{EventKind, NativeRetry, PaymentMethodFacts};
use crate::core::ids::GatewayId;
use crate::core::money::Money;
use crate::core::policy::{Capabilities, InvoiceAction};

/// A request that changes something.
#[derive(Debug, Clone)]
pub(super) enum Request {
    Adopt(AdoptOrder),
    Charge(ChargeOrder),
    Close(CloseOrder),
    MarkPaid(MarkPaidOrder, String),
    Refund(RefundOrder),
}

/// What the gateway answers.
#[derive(Debug, Clone)]
pub(super) enum Answer {
    Charge(Box<ChargeOutcome>),
    Done,
    MarkedPaid(MarkPaidOutcome),
    Refused(String),
}

/// How a charge stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Status {
    Approved,
    Declined(Decline),
    Pending,
}

/// A line of the gateway's ledger.
#[derive(Debug, Clone)]
pub(super) struct Charge {
    /// Our key; empty: the gateway's own doing.
    pub(super) key: String,
    /// The request, as it came; the gateway's own has none.
    request: Option<ChargeOrder>,
    pub(super) invoice: usize,
    pub(super) card: usize,
    pub(super) amount: Money,
    pub(super) at: Timestamp,
    pub(super) status: Status,
    /// When it became that.
    pub(super) decided_at: Timestamp,
    pub(super) refunded: bool,
    pub(super) flipped: bool,
    /// The gateway's own, and whether recoup has applied its webhook.
    pub(super) native: Option<bool>,
}

/// One gateway.
#[derive(Debug)]
pub(super) struct Bank {
    pub(super) id: GatewayId,
    pub(super) capabilities: Capabilities,
    /// How long a key is truly recognized.
    pub(super) window: SignedDuration,
    /// How long until a look-up sees a charge.
    pub(super) lag: SignedDuration,
    /// How long an undecided charge takes at most.
    pub(super) settle: SignedDuration,
    pub(super) outages: Vec<(Timestamp, Timestamp)>,
    pub(super) charges: Vec<Charge>,
}

impl World {
    /// A request reaches its gateway.
    pub(super) fn arrive(&mut self, gateway: usize, request: Request) -> Answer {
        match request {
            Request::Charge(order) => Answer::Charge(Box::new(self.arrive_charge(gateway, &order))),
            Request::Refund(order) => self.arrive_refund(gateway, &order),
            Request::MarkPaid(order, key) => self.arrive_mark_paid(&order, key),
            Request::Close(order) => self.arrive_close(&order),
            Request::Adopt(order) => {
                say!(self, "{} is adopted for {}", order.token, order.customer);
                Answer::Done
            }
        }
    }

    fn arrive_charge(&mut self, gateway: usize, order: &ChargeOrder) -> ChargeOutcome {
        let Some(invoice) = self.invoice_index(&order.invoice) else {
            return ChargeOutcome::Refused { why: "no such invoice".into() };
        };
        let (now, bank) = (self.now, &self.banks[gateway]);
        let same = |c: &Charge| c.key == order.idempotency_key && now < c.at + bank.window;
        if let Some(index) = bank.charges.iter().rposition(same) {
            if bank.charges[index].request.as_ref() != Some(order) {
                self.broken("I2", format!("{} came with other bytes", order.idempotency_key));
            }
            return self.outcome(gateway, index);
        }
        if gateway == 0 && bank.capabilities.pays_invoice_once {
            if self.invoices[invoice].status != InvoiceStatus::Open {
                return ChargeOutcome::InvoiceClosed;
            }
            if self.is_pending(invoice) {
                return ChargeOutcome::Busy { retry_after_s: 60 };
            }
        }
        let card = self.card_of(order.token.as_deref(), invoice);
        self.check_limits(card, order.amount);
        let index = self.note_charge(gateway, invoice, card, order);
        self.count("charges");
        let pending = self.scenario.pending;
        if self.banks[gateway].settle > SignedDuration::ZERO && self.chance(pending) {
            let longest = self.banks[gateway].settle.as_millis() as i64;
            let at = self.within(1_000, longest);
            self.plan(at, Next::Decide { gateway, charge: index });
            say!(self, "{} of in_{invoice} is pending", order.idempotency_key);
        } else {
            self.decide(gateway, index);
        }
        self.outcome(gateway, index)
    }

    fn note_charge(
        &mut self,
        gateway: usize,
        invoice: usize,
        card: usize,
        order: &ChargeOrder,
    ) -> usize {
        let now = self.now;
        let charges = &mut self.banks[gateway].charges;
        charges.push(Charge {
            key: order.idempotency_key.clone(),
            request: Some(order.clone()),
            invoice,
            card,
            amount: order.amount,
            at: now,
            status: Status::Pending,
            decided_at: now,
            refunded: false,
            flipped: false,
            native: None,
        });
        charges.len() - 1
    }

    /// Whether a charge of this invoice is undecided at the billing gateway.
    pub(super) fn is_pending(&self, invoice: usize) -> bool {
        self.billing().charges.iter().any(|c| c.invoice == invoice && c.status == Status::Pending)
    }

    fn payment_id(gateway: usize, charge: usize) -> String {
        format!("ch_{gateway}_{charge}")
    }

    fn outcome(&self, gateway: usize, index: usize) -> ChargeOutcome {
        let charge = &self.banks[gateway].charges[index];
        let payment = Self::payment_id(gateway, index);
        match &charge.status {
            Status::Pending => ChargeOutcome::Pending { payment: Some(payment) },
            Status::Approved => ChargeOutcome::Approved {
                payment,
                amount: Some(charge.amount),
                network_transaction_id: Some(format!("ntid_{}", charge.card)),
                method: self.facts_of(gateway, charge.card),
            },
            Status::Declined(decline) => ChargeOutcome::Declined {
                payment: Some(payment),
                decline: decline.clone(),
                method: self.facts_of(gateway, charge.card),
            },
        }
    }

    /// What this gateway tells of a card.
    pub(super) fn facts_of(&self, gateway: usize, card: usize) -> PaymentMethodFacts {
        let plastic = &self.cards[card];
        PaymentMethodFacts {
            token: Some(format!("tok_{gateway}_{card}")),
            network: Some(plastic.network.to_owned()),
            last4: Some(format!("{card:04}")),
            exp: Some("2031-05".to_owned()),
            country: Some(plastic.country.to_owned()),
            funding: None,
            fingerprint: (gateway == 0).then(|| format!("fp_{card}")),
        }
    }

    /// The bank behind the card decides.
    pub(super) fn decide(&mut self, gateway: usize, index: usize) {
        let card = self.banks[gateway].charges[index].card;
        let approve = self.scenario.approve;
        let invoice = self.banks[gateway].charges[index].invoice;
        // Who takes money for an invoice once lets go of what was undecided when it was paid.
        let once = gateway == 0 && self.billing().capabilities.pays_invoice_once;
        let settled = once && self.invoices[invoice].status != InvoiceStatus::Open;
        if !settled && !self.cards[card].dead && self.chance(approve) {
            return self.approve(gateway, index);
        }
        let decline = self.draw_decline(card);
        self.banks[gateway].charges[index].status = Status::Declined(decline.clone());
        let (key, invoice) = self.key_and_invoice(gateway, index);
        say!(self, "{key} of in_{invoice} is declined at {gateway}: {:?}", decline.category);
        let flip = self.scenario.flip;
        let ours = self.banks[gateway].charges[index].native.is_none();
        let looks_up = self.banks[gateway].capabilities.look_up;
        let can_flip = ours && looks_up && decline.advice == Advice::None;
        if can_flip && self.chance(flip) {
            let horizon = i64::from(self.banks[gateway].capabilities.horizon_s) * 500;
            let at = self.within(1_000, horizon.max(2_000));
            self.plan(at, Next::Flip { gateway, charge: index });
        }
        self.tell_of(gateway, index, EventKind::PaymentFailed);
    }

    fn key_and_invoice(&self, gateway: usize, index: usize) -> (String, usize) {
        let charge = &self.banks[gateway].charges[index];
        (charge.key.clone(), charge.invoice)
    }

    /// The charge goes through.
    pub(super) fn approve(&mut self, gateway: usize, index: usize) {
        let now = self.now;
        let charge = &mut self.banks[gateway].charges[index];
        (charge.status, charge.decided_at) = (Status::Approved, now);
        let (key, invoice) = self.key_and_invoice(gateway, index);
        say!(self, "{key} of in_{invoice} is approved at {gateway}");
        self.count("approved");
        if gateway == 0 && self.invoices[invoice].status == InvoiceStatus::Open {
            self.close_invoice(invoice, InvoiceStatus::Paid);
        }
        if self.banks[gateway].charges[index].native.is_some() {
            self.paid_outside(invoice);
        } else {
            self.check_double(invoice);
        }
        self.tell_of(gateway, index, EventKind::PaymentSucceeded);
    }

    /// A capture that is not ours.
    pub(super) fn paid_outside(&mut self, invoice: usize) {
        self.invoices[invoice].outside += 1;
        self.invoices[invoice].outside_at = Some(self.now);
    }

    /// The invoice is owed no more.
    pub(super) fn close_invoice(&mut self, invoice: usize, status: InvoiceStatus) {
        let now = self.now;
        let invoice = &mut self.invoices[invoice];
        (invoice.status, invoice.closed_at) = (status, Some(now));
    }

    /// A refusal turns into an approval.
    pub(super) fn flip(&mut self, gateway: usize, index: usize) {
        let charge = &mut self.banks[gateway].charges[index];
        let invoice = charge.invoice;
        let closed = self.invoices[invoice].status != InvoiceStatus::Open;
        let once = self.banks[gateway].capabilities.pays_invoice_once;
        if gateway == 0 && once && closed {
            return;
        }
        self.banks[gateway].charges[index].flipped = true;
        self.count("flips");
        self.approve(gateway, index);
    }

    fn tell_of(&mut self, gateway: usize, index: usize, kind: EventKind) {
        let charge = self.banks[gateway].charges[index].clone();
        let invoice = charge.invoice;
        let mut event = self.event(kind, invoice);
        event.payment = Some(Self::payment_id(gateway, index));
        event.payment_method = Some(self.facts_of(gateway, charge.card));
        let mut told = Told::default();
        if let Status::Declined(decline) = &charge.status {
            event.decline = Some(decline.clone());
            told = self.told_of(invoice, charge.card, decline);
        }
        if charge.key.is_empty() {
            told.native = Some(index);
            told.outside = (kind == EventKind::PaymentSucceeded).then_some(invoice);
        } else {
            event.idempotency_key = self.chance(0.5).then(|| charge.key.clone());
            told.settles = Some(charge.key.clone());
        }
        if gateway == 0 {
            if kind == EventKind::PaymentFailed {
                self.invoices[invoice].attempts += 1;
                event.attempt_count = Some(self.invoices[invoice].attempts);
            }
            let native = &self.invoices[invoice].native;
            event.next_native_attempt_at = native.first().copied();
            let visible = self.billing().capabilities.native_retries_visible;
            let planned = if native.is_empty() { NativeRetry::None } else { NativeRetry::Planned };
            event.native_retry = visible.then_some(planned);
        }
        self.emit(gateway, event, told);
    }

    /// What a refusal orders, for the rules.
    pub(super) fn told_of(&self, invoice: usize, card: usize, decline: &Decline) -> Told {
        let delay = decline.min_delay_seconds.filter(|_| decline.advice == Advice::RetryAfter);
        let until = |seconds| self.now + SignedDuration::from_secs(seconds as i64);
        Told {
            never: (decline.advice == Advice::Never).then_some(card),
            delay: delay.map(|seconds| (invoice, card, until(seconds))),
            ..Told::default()
        }
    }

    fn draw_decline(&mut self, card: usize) -> Decline {
        let drawn = if self.cards[card].dead { 0 } else { self.rng.usize(..40) };
        let (category, advice, delay) = match drawn {
            0 => (Category::LostOrStolen, Advice::Never, None),
            1 => (Category::CredentialOutdated, Advice::UpdateCredentials, None),
            2 => (Category::AuthenticationRequired, Advice::Authenticate, None),
            3..=6 => (Category::InsufficientFunds, Advice::RetryAfter, Some(72 * 3600)),
            7 => (Category::GenericDecline, Advice::RetryAfter, Some(10 * 86_400)),
            8..=13 => (Category::IssuerUnavailable, Advice::None, None),
            14..=17 => (Category::ProcessingError, Advice::None, None),
            18 => (Category::LimitExceeded, Advice::None, None),
            19 => (Category::Unknown, Advice::None, None),
            20..=28 => (Category::InsufficientFunds, Advice::None, None),
            _ => (Category::GenericDecline, Advice::None, None),
        };
        if drawn == 0 {
            self.cards[card].dead = true;
        }
        Decline {
            code: Some("declined".into()),
            network_code: None,
            advice_code: None,
            network_advice_code: None,
            category,
            advice,
            min_delay_seconds: delay,
        }
    }

    fn arrive_refund(&mut self, gateway: usize, order: &RefundOrder) -> Answer {
        let key = order.attempt.idempotency_key();
        let found = self.banks[gateway]
            .charges
            .iter()
            .enumerate()
            .position(|(i, c)| c.key == key && Self::payment_id(gateway, i) == order.charge);
        let Some(index) = found else {
            let why = format!("no charge {:?}", order.charge);
            say!(self, "the refund of {key} is refused: {why}");
            return Answer::Refused(why);
        };
        if self.banks[gateway].charges[index].status != Status::Approved {
            return Answer::Refused("it was not approved".into());
        }
        let invoice = self.banks[gateway].charges[index].invoice;
        if !self.banks[gateway].charges[index].refunded {
            self.banks[gateway].charges[index].refunded = true;
            self.count("refunds");
            say!(self, "{key} of in_{invoice} is refunded at {gateway}");
        }
        Answer::Done
    }

    fn arrive_mark_paid(&mut self, order: &MarkPaidOrder, key: String) -> Answer {
        let Some(invoice) = self.invoice_index(&order.invoice) else {
            return Answer::Refused("no such invoice".into());
        };
        let outcome = match (self.invoices[invoice].status, &self.invoices[invoice].marked) {
            (_, Some(marked)) if *marked == key => MarkPaidOutcome::Done,
            (InvoiceStatus::Open, _) if self.is_pending(invoice) => {
                MarkPaidOutcome::Failed { why: "a payment is pending".into() }
            }
            (InvoiceStatus::Open, _) => {
                self.close_invoice(invoice, InvoiceStatus::Paid);
                self.invoices[invoice].marked = Some(key);
                let event = self.event(EventKind::PaymentSucceeded, invoice);
                self.emit(0, event, Told::default());
                MarkPaidOutcome::Done
            }
            (InvoiceStatus::Paid, _) => MarkPaidOutcome::AlreadyPaid,
            (status, _) => MarkPaidOutcome::Failed { why: format!("it is {status:?}") },
        };
        say!(self, "in_{invoice} is to be marked as paid: {outcome:?}");
        Answer::MarkedPaid(outcome)
    }

    fn arrive_close(&mut self, order: &CloseOrder) -> Answer {
        let Some(invoice) = self.invoice_index(&order.invoice) else {
            return Answer::Refused("no such invoice".into());
        };
        let status = match order.invoice_action {
            InvoiceAction::Keep => return Answer::Done,
            InvoiceAction::Uncollectible => InvoiceStatus::Uncollectible,
            InvoiceAction::Void => InvoiceStatus::Void,
        };
        if self.invoices[invoice].status == InvoiceStatus::Open {
            self.close_invoice(invoice, status);
            say!(self, "in_{invoice} is closed: {status:?}");
        }
        Answer::Done
    }

    /// What a look-up sees now.
    pub(super) fn look_up(&self, gateway: usize, attempt: &AttemptRef) -> LookUpAnswer {
        let bank = &self.banks[gateway];
        let key = &attempt.charge.idempotency_key;
        let seen = |c: &Charge| c.key == *key && c.at + bank.lag <= self.now;
        let approved = bank.charges.iter().position(|c| seen(c) && c.status == Status::Approved);
        match approved.or_else(|| bank.charges.iter().rposition(seen)) {
            Some(index) => LookUpAnswer::Found(self.outcome(gateway, index)),
            None => LookUpAnswer::NotFound,
        }
    }

    /// The invoice as the billing gateway shows it.
    pub(super) fn view(&self, invoice: usize) -> InvoiceView {
        let invoice = &self.invoices[invoice];
        InvoiceView {
            status: invoice.status,
            amount_remaining: (invoice.status == InvoiceStatus::Open).then_some(invoice.amount),
            paid_out_of_band: invoice.marked.is_some(),
            next_native_attempt_at: invoice.native.first().copied(),
            attempt_count: Some(invoice.attempts),
        }
    }

    /// The billing gateway tries by itself.
    pub(super) fn native_attempt(&mut self, invoice: usize) {
        self.invoices[invoice].native.retain(|at| *at > self.now);
        if self.invoices[invoice].status != InvoiceStatus::Open || self.is_pending(invoice) {
            return;
        }
        let card = self.people[self.invoices[invoice].customer].card;
        let (amount, now) = (self.invoices[invoice].amount, self.now);
        self.banks[0].charges.push(Charge {
            key: String::new(),
            request: None,
            invoice,
            card,
            amount,
            at: now,
            status: Status::Pending,
            decided_at: now,
            refunded: false,
            flipped: false,
            native: Some(false),
        });
        self.count("native_attempts");
        let index = self.banks[0].charges.len() - 1;
        self.decide(0, index);
    }
}
