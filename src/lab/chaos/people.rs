//! People: customers, merchants and operators, who do things at the worst moment.
//!
//! What must stay true: what they do at a gateway is in its ledger first, and comes to recoup as a
//! webhook like any other, or not at all.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan as _};

use super::bank::Status;
use super::messages::Answered;
use super::trace::say;
use super::world::{Ends, Next, Plastic, Told, World};
use crate::core::customer::{PaymentMethod, Profile};
use crate::core::effect::InvoiceStatus;
use crate::core::event::{Contact, EventKind};
use crate::core::ids::CardKey;
use crate::core::input::{OperatorAction, PageAction};
use crate::store::InboxBody;

/// Something that people do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Happening {
    Act(usize, Act),
    Agree(usize),
    Cancel(usize),
    CardUpdate(usize),
    Dispute(usize),
    Exclude(usize),
    MarkPaid(usize),
    Pay(usize),
    Refund(usize),
    Uncollectible(usize),
    Void(usize),
    Wallet(usize),
    Wish(usize, Wish),
}

/// What a customer does on the hosted page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    AlreadyPaid,
    MoreTime(i64),
    OpenPage,
    Retry,
    StopReminders,
}

/// What an operator does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    Pause,
    PauseFor,
    Resume,
    Retry,
    Stop,
}

impl World {
    /// Draws something that may happen to this invoice.
    pub(super) fn draw_happening(&mut self, invoice: usize) -> Happening {
        match self.rng.usize(..35) {
            0..=8 => Happening::Pay(invoice),
            9..=11 => Happening::CardUpdate(invoice),
            12 => Happening::Cancel(invoice),
            13 => Happening::Void(invoice),
            14 => Happening::Uncollectible(invoice),
            15 => Happening::Dispute(invoice),
            16 => Happening::Refund(invoice),
            17..=19 => Happening::Wallet(invoice),
            20 => Happening::Exclude(invoice),
            21 | 32 | 33 => Happening::Wish(invoice, self.draw_wish()),
            34 => Happening::Agree(invoice),
            22 => Happening::MarkPaid(invoice),
            23 => Happening::Act(invoice, Act::Stop),
            24 | 25 => Happening::Act(invoice, Act::Pause),
            26 => Happening::Act(invoice, Act::PauseFor),
            27 | 28 => Happening::Act(invoice, Act::Resume),
            _ => Happening::Act(invoice, Act::Retry),
        }
    }

    /// Something may happen while a call about this invoice is under way.
    pub(super) fn tempt(&mut self, invoice: usize) {
        let nearby = self.scenario.nearby;
        if self.chance(nearby) {
            let what = self.draw_happening(invoice);
            let at = self.within(0, 180_000);
            self.plan(at, Next::Happen(what));
        }
    }

    /// It happens.
    pub(super) fn happen(&mut self, what: Happening) {
        say!(self, "{what:?} (in_{})", what.invoice());
        match what {
            Happening::Act(invoice, act) => self.act(invoice, act),
            Happening::Agree(invoice) => self.agree(invoice),
            Happening::Cancel(invoice) => self.tell(EventKind::SubscriptionCancelled, invoice),
            Happening::CardUpdate(invoice) => self.update_card(invoice),
            Happening::Dispute(invoice) => self.dispute(invoice),
            Happening::Exclude(invoice) => self.exclude(invoice),
            Happening::MarkPaid(invoice) => self.pay_outside(invoice),
            Happening::Pay(invoice) => self.pay(invoice),
            Happening::Refund(invoice) => self.refund(invoice),
            Happening::Uncollectible(invoice) => self.close(invoice, InvoiceStatus::Uncollectible),
            Happening::Void(invoice) => self.close(invoice, InvoiceStatus::Void),
            Happening::Wallet(invoice) => self.wallet(invoice),
            Happening::Wish(invoice, wish) => self.wish(invoice, wish),
        }
    }

    fn draw_wish(&mut self) -> Wish {
        match self.rng.usize(..6) {
            0 => Wish::StopReminders,
            1 => Wish::OpenPage,
            2 => Wish::AlreadyPaid,
            3 => Wish::MoreTime(self.rng.i64(-1..20)),
            _ => Wish::Retry,
        }
    }

    /// The page takes what its customer wishes; the core decides whether it is granted.
    fn wish(&mut self, invoice: usize, wish: Wish) {
        let today = self.now.to_zoned(TimeZone::UTC).date();
        let action = match wish {
            Wish::AlreadyPaid => PageAction::AlreadyPaid,
            Wish::MoreTime(days) => PageAction::MoreTime { day: today.saturating_add(days.days()) },
            Wish::OpenPage => PageAction::CardUpdateOpened,
            Wish::Retry => PageAction::Retry,
            Wish::StopReminders => PageAction::StopReminders,
        };
        let case = self.invoices[invoice].case.clone();
        let told = match wish {
            // Every wish ends the wait for a day, but the wish for one.
            Wish::Retry => Told { resumes: Some(invoice), ..Told::default() },
            Wish::StopReminders => Told {
                answered: Some((self.invoices[invoice].customer, Answered::Stop(invoice))),
                ..Told::default()
            },
            _ => Told { wish: Some(invoice), ..Told::default() },
        };
        self.input(InboxBody::Page { case, action }, told);
    }

    fn tell(&mut self, kind: EventKind, invoice: usize) {
        let mut event = self.event(kind, invoice);
        let mut ends = Ends::Invoice(invoice);
        if kind == EventKind::SubscriptionCancelled {
            event.invoice = None;
            event.amount = None;
            ends = Ends::Customer(self.invoices[invoice].customer);
        }
        self.emit(0, event, Told { ends: Some(ends), ..Told::default() });
    }

    fn act(&mut self, invoice: usize, act: Act) {
        let mut told = Told::default();
        match act {
            Act::Pause => told.holds = Some((invoice, Timestamp::MAX)),
            Act::Resume | Act::Retry => told.resumes = Some(invoice),
            Act::PauseFor | Act::Stop => {}
        }
        let action = match act {
            Act::Pause => OperatorAction::Pause { until: None },
            Act::PauseFor => {
                let until = self.within(3_600_000, 5 * 86_400_000);
                told.holds = Some((invoice, until));
                OperatorAction::Pause { until: Some(until) }
            }
            Act::Resume => OperatorAction::Resume,
            Act::Retry => OperatorAction::Retry,
            Act::Stop => OperatorAction::Stop { reason: None },
        };
        let case = self.invoices[invoice].case.clone();
        self.input(InboxBody::Operator { case, action }, told);
    }

    /// The customer pays at the billing gateway by themselves.
    fn pay(&mut self, invoice: usize) {
        let once = self.billing().capabilities.pays_invoice_once;
        let busy = once && self.is_pending(invoice);
        if self.invoices[invoice].status != InvoiceStatus::Open || busy {
            return;
        }
        self.close_invoice(invoice, InvoiceStatus::Paid);
        self.paid_outside(invoice);
        self.count("paid_by_hand");
        let mut event = self.event(EventKind::PaymentSucceeded, invoice);
        event.payment = Some(format!("man_{}", self.number()));
        self.emit(0, event, Told { outside: Some(invoice), ..Told::default() });
    }

    /// The customer pays by bank transfer; an operator books it.
    fn pay_outside(&mut self, invoice: usize) {
        let case = self.invoices[invoice].case.clone();
        let known = self.durable.cases.get(&case);
        if known.is_none_or(|case| case.state.is_ended()) {
            return;
        }
        self.invoices[invoice].offline += 1;
        let body = InboxBody::Operator { case, action: OperatorAction::MarkPaid };
        self.input(body, Told::default());
    }

    /// The merchant gives one payment of the invoice back.
    fn refund(&mut self, invoice: usize) {
        let ours = self.banks.iter().enumerate().find_map(|(gateway, bank)| {
            let approved = bank.charges.iter().position(|c| {
                c.invoice == invoice && c.status == Status::Approved && !c.refunded
            })?;
            Some((gateway, approved))
        });
        let mut event = self.event(EventKind::Refunded, invoice);
        let gateway = if let Some((gateway, index)) = ours {
            let charge = &mut self.banks[gateway].charges[index];
            charge.refunded = true;
            if charge.native.is_some() {
                self.invoices[invoice].outside_refunded += 1;
            }
            event.payment = Some(format!("ch_{gateway}_{index}"));
            gateway
        } else if self.invoices[invoice].outside > self.invoices[invoice].outside_refunded {
            self.invoices[invoice].outside_refunded += 1;
            0
        } else {
            return;
        };
        self.invoices[invoice].given_back = true;
        self.emit(gateway, event, Told::default());
    }

    fn dispute(&mut self, invoice: usize) {
        let paid = self.banks.iter().any(|bank| {
            bank.charges.iter().any(|c| c.invoice == invoice && c.status == Status::Approved)
        });
        if paid {
            self.tell(EventKind::Disputed, invoice);
        }
    }

    fn close(&mut self, invoice: usize, status: InvoiceStatus) {
        let busy = self.billing().capabilities.pays_invoice_once && self.is_pending(invoice);
        if self.invoices[invoice].status != InvoiceStatus::Open || busy {
            return;
        }
        self.close_invoice(invoice, status);
        let kind = match status {
            InvoiceStatus::Void => EventKind::InvoiceVoided,
            _ => EventKind::InvoiceUncollectible,
        };
        self.tell(kind, invoice);
    }

    /// A new card at the billing gateway, or now and then the same plastic under a new token.
    fn update_card(&mut self, invoice: usize) {
        let customer = self.invoices[invoice].customer;
        let old = self.cards[self.people[customer].card].clone();
        self.cards.push(Plastic { never_known: false, dead: false, ..old });
        let card = self.cards.len() - 1;
        self.people[customer].card = card;
        let mut event = self.event(EventKind::PaymentMethodUpdated, invoice);
        event.invoice = None;
        event.amount = None;
        event.payment_method = Some(self.facts_of(0, card));
        self.emit(0, event, Told { new_card: Some(customer), ..Told::default() });
        if self.chance(0.5) {
            self.wallet(invoice);
        }
    }

    /// The merchant tells which tokens the other gateways have for the customer's cards.
    pub(super) fn wallet(&mut self, invoice: usize) {
        let customer = self.invoices[invoice].customer;
        let card = self.people[customer].card;
        let methods = (1..self.banks.len())
            .map(|gateway| PaymentMethod {
                gateway: self.banks[gateway].id.clone(),
                facts: self.facts_of(gateway, card),
                card: CardKey::from(""),
                gateway_customer: None,
                network_transaction_id: None,
                default: true,
                consent: true,
                former_exp: None,
            })
            .collect();
        let told = Told { new_card: Some(customer), ..Told::default() };
        let customer = format!("cus_{customer}");
        self.input(InboxBody::PaymentMethods { customer, methods }, told);
    }

    /// A day that the core granted holds until somebody asks for an attempt, or another card is
    /// there.
    pub(super) fn note_promise(&mut self, wish: Option<usize>, new_card: Option<usize>) {
        if let Some(invoice) = wish {
            let known = self.durable.cases.get(&self.invoices[invoice].case);
            self.invoices[invoice].promised = known.and_then(|known| known.promised);
        }
        let Some(customer) = new_card else { return };
        for invoice in self.invoices.iter_mut().filter(|i| i.customer == customer) {
            invoice.promised = None;
        }
    }

    fn exclude(&mut self, invoice: usize) {
        let customer = format!("cus_{}", self.invoices[invoice].customer);
        let contact = Contact::default();
        let profile = Profile::default();
        let excluded = Some(true);
        let body = InboxBody::Customer { customer, contact, channels: None, excluded, profile };
        self.input(body, Told::default());
    }

    /// The last fault is over: whoever paused a case lets it go on.
    pub(super) fn calm_down(&mut self) {
        self.say("the faults are over");
        self.scenario = self.scenario.calm();
        let now = self.now;
        for bank in &mut self.banks {
            bank.outages.retain(|(from, _)| *from > now + SignedDuration::from_hours(24 * 400));
        }
        for invoice in 0..self.invoices.len() {
            self.act(invoice, Act::Resume);
        }
    }
}

impl Happening {
    fn invoice(self) -> usize {
        match self {
            Self::Act(invoice, _)
            | Self::Agree(invoice)
            | Self::Cancel(invoice)
            | Self::CardUpdate(invoice)
            | Self::Dispute(invoice)
            | Self::Exclude(invoice)
            | Self::MarkPaid(invoice)
            | Self::Pay(invoice)
            | Self::Refund(invoice)
            | Self::Uncollectible(invoice)
            | Self::Void(invoice)
            | Self::Wallet(invoice)
            | Self::Wish(invoice, _) => invoice,
        }
    }
}
