//! The executor: performs one effect, and says what came of it.
//!
//! Why here: the only place where a decision leaves the process. It asks what a gateway can do,
//! never which one it is.
//!
//! What must stay true: a charge or a message that an earlier run had begun is not begun again; its
//! outcome is unknown until it is looked up. Everything else carries its effect's id as the
//! idempotency key and may be repeated.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::intake::count_unknown;
use super::spread::spread;
use super::{Gateways, Handed, Postman};
use crate::core::case::MessageStatus;
use crate::core::case::leaving::STALE_MESSAGE;
use crate::core::customer::Channel;
use crate::core::delivery::address_key;
use crate::core::effect::{
    ChargeOrder, ChargeOutcome, CheckOrder, CheckReport, LookUpAnswer, MarkPaidOutcome,
    MessageOrder, Order, Outcome, SendOutcome,
};
use crate::core::fault::{Mutant, fault};
use crate::core::ids::GatewayId;
use crate::gateway::{CallError, Gateway};
use crate::store::{MessageRecord, OutboxEntry, Returned};

/// A charge that could not be sent for so long is decided anew.
const STALE_CHARGE: SignedDuration = SignedDuration::from_hours(1);
/// How often a call that may be repeated is made before the core hears that it failed.
const TRIES: u32 = 12;
/// Waits between two of them; the last goes on.
const WAITS_S: [i64; 6] = [10, 60, 300, 1_800, 7_200, 21_600];

/// What came of performing an effect.
pub(crate) enum Performed {
    /// An outcome for the core.
    Done(Box<Returned>),
    /// The same again, not before this moment.
    Again(Timestamp),
}

/// Performs effects.
pub struct Executor {
    gateways: Gateways,
    postman: Arc<dyn Postman>,
}

impl Executor {
    /// An executor over these gateways and channels.
    pub fn new(gateways: Gateways, postman: Arc<dyn Postman>) -> Self {
        Self { gateways, postman }
    }

    /// Performs one effect.
    pub(crate) async fn perform(&self, entry: &OutboxEntry, now: Timestamp) -> Performed {
        let key = entry.effect.id.as_str();
        let begun = entry.claimed_by.is_some();
        let late = now.duration_since(entry.effect.not_before);
        let outcome = match &entry.effect.order {
            Order::Charge(order) if begun && fault(Mutant::ChargesAgainAfterDeath) => {
                Outcome::Charge(self.charge(order).await)
            }
            Order::Charge(_) if begun => Outcome::Charge(ChargeOutcome::Unknown {
                why: "the process ended while it was under way".into(),
            }),
            Order::Charge(_) if late > STALE_CHARGE => {
                let why = "it waited too long to be sent".into();
                Outcome::Charge(ChargeOutcome::NotSent { why })
            }
            Order::Charge(order) => Outcome::Charge(self.charge(order).await),
            Order::Check(order) => Outcome::Checked(self.check(order).await),
            Order::Send(order) if order.withheld => return self.withhold(entry, order, now),
            Order::Send(order) if begun && !fault(Mutant::MessageTwice) => {
                return self.uncertain(entry, order, now);
            }
            Order::Send(_) if late > STALE_MESSAGE => dropped("it would have come too late"),
            Order::Send(order) => return self.send(entry, order, now).await,
            order => match self.call(order, key).await {
                Ok(outcome) => outcome,
                Err(error) if error.is_transient() && entry.tries < TRIES => {
                    return Performed::Again(again(entry, now));
                }
                Err(error) => failed(order, error.to_string()),
            },
        };
        Performed::Done(Box::new(returned(entry, outcome)))
    }

    /// What is known of an effect whose performing broke down: it may have been begun.
    pub(super) fn broken(entry: &OutboxEntry, now: Timestamp) -> Performed {
        tracing::error!(effect = %entry.effect.id, "performing an effect broke down: a defect");
        let outcome = match &entry.effect.order {
            Order::Charge(_) => {
                Outcome::Charge(ChargeOutcome::Unknown { why: "performing it broke down".into() })
            }
            Order::Send(_) => Outcome::Sent(SendOutcome::Unknown),
            order if entry.tries >= TRIES => failed(order, "performing it broke down".into()),
            _ => return Performed::Again(again(entry, now)),
        };
        Performed::Done(Box::new(returned(entry, outcome)))
    }

    async fn charge(&self, order: &ChargeOrder) -> ChargeOutcome {
        match self.gateways.get(&order.gateway) {
            Some(gateway) => {
                let outcome = gateway.charge(order).await;
                count_attempt(&order.gateway, &outcome);
                if let ChargeOutcome::Declined { decline, .. } = &outcome {
                    count_unknown(&order.gateway, decline);
                }
                outcome
            }
            None => ChargeOutcome::NotSent { why: "the gateway is not configured".into() },
        }
    }

    async fn check(&self, order: &CheckOrder) -> CheckReport {
        let looked_up = order.attempts.iter().map(|attempt| async move {
            let answer = match self.gateways.get(&attempt.charge.gateway) {
                Some(gateway) => gateway.look_up(attempt).await,
                None => unavailable("the gateway is not configured"),
            };
            (attempt.charge.attempt.clone(), answer)
        });
        let mut attempts = Vec::with_capacity(order.attempts.len());
        for look_up in looked_up {
            attempts.push(look_up.await);
        }
        let billing = self.gateways.get(&order.gateway);
        let reads = billing.filter(|gateway| gateway.capabilities().read_invoice);
        // The invoice is read last: what it says is newer than what the look-ups said.
        let (invoice, invoice_error) = match reads {
            Some(gateway) => match gateway.invoice(&order.invoice).await {
                Ok(view) => (Some(view), None),
                Err(error) => (None, Some(error.to_string())),
            },
            None => (None, None),
        };
        CheckReport { invoice, invoice_error, attempts }
    }

    /// The calls that may be repeated under their key.
    async fn call(&self, order: &Order, key: &str) -> Result<Outcome, CallError> {
        match order {
            Order::AdoptMethod(order) => {
                let gateway = self.known(&order.gateway)?;
                gateway.adopt_method(order, key).await.map(|()| Outcome::Acted(Ok(())))
            }
            Order::Close(order) => {
                let gateway = self.known(&order.gateway)?;
                gateway.close(order, key).await.map(|()| Outcome::Acted(Ok(())))
            }
            Order::MarkPaid(order) => {
                let gateway = self.known(&order.gateway)?;
                gateway.mark_paid(order, key).await.map(Outcome::MarkedPaid)
            }
            Order::Refund(order) => {
                let gateway = self.known(&order.gateway)?;
                gateway.refund(order, key).await.map(|()| Outcome::Refunded(Ok(())))
            }
            Order::Charge(_) | Order::Check(_) | Order::Send(_) => {
                Err(CallError::Permanent { what: "perform it", why: "not a plain call".into() })
            }
        }
    }

    fn known(&self, id: &GatewayId) -> Result<&Arc<dyn Gateway>, CallError> {
        self.gateways.get(id).ok_or_else(|| CallError::Permanent {
            what: "reach the gateway",
            why: format!("`{id}` is not configured"),
        })
    }

    async fn send(&self, entry: &OutboxEntry, order: &MessageOrder, now: Timestamp) -> Performed {
        let case = &entry.effect.case;
        let handed = match self.postman.send(case, order).await {
            Ok(handed) => handed,
            Err(answer) if entry.tries < TRIES => {
                let code = reply_code(&answer);
                tracing::info!(id = %order.id, code, "a message waits for its provider");
                return Performed::Again(again(entry, now));
            }
            Err(answer) => {
                let said = self.postman.words(case, order);
                Handed { said, ..Handed::of(SendOutcome::Failed { answer }) }
            }
        };
        settled(entry, order, handed, now)
    }

    /// An earlier run had begun to send it: it is not sent again, and it is shown. What it says is
    /// as of now.
    fn uncertain(&self, entry: &OutboxEntry, order: &MessageOrder, now: Timestamp) -> Performed {
        let handed = Handed {
            to: to(order),
            said: self.postman.words(&entry.effect.case, order),
            answer: "the process ended while it was being sent".to_owned(),
            ..Handed::of(SendOutcome::Unknown)
        };
        settled(entry, order, handed, now)
    }

    /// In shadow mode: the message as it would have been sent; it is handed to nobody.
    fn withhold(&self, entry: &OutboxEntry, order: &MessageOrder, now: Timestamp) -> Performed {
        let said = self.postman.words(&entry.effect.case, order);
        let locale = said.as_ref().map(|said| said.locale.clone()).unwrap_or_default();
        let to = to(order);
        let outcome = SendOutcome::Withheld { locale };
        settled(entry, order, Handed { to, said, ..Handed::of(outcome) }, now)
    }
}

/// The address that a message goes to.
fn to(order: &MessageOrder) -> String {
    let to = match order.channel {
        Channel::Email => &order.contact.email,
        Channel::Sms | Channel::Whatsapp => &order.contact.phone,
    };
    to.clone().unwrap_or_default()
}

/// What came of a message, with what is kept of it.
fn settled(entry: &OutboxEntry, order: &MessageOrder, handed: Handed, now: Timestamp) -> Performed {
    metrics::counter!("recoup_messages_total", "channel" => order.channel.as_str(),
        "outcome" => outcome_word(&handed.outcome))
    .increment(1);
    let message = record(entry, order, &handed, now);
    let outcome = Outcome::Sent(handed.outcome);
    Performed::Done(Box::new(Returned { message, ..returned(entry, outcome) }))
}

fn count_attempt(gateway: &GatewayId, outcome: &ChargeOutcome) {
    let outcome = match outcome {
        ChargeOutcome::Approved { .. } => "approved",
        ChargeOutcome::Busy { .. } => "busy",
        ChargeOutcome::Declined { .. } => "declined",
        ChargeOutcome::InvoiceClosed => "invoice_closed",
        ChargeOutcome::NotSent { .. } => "not_sent",
        ChargeOutcome::Pending { .. } => "pending",
        ChargeOutcome::Refused { .. } => "refused",
        ChargeOutcome::Unknown { .. } => "unknown",
    };
    metrics::counter!("recoup_attempts_total", "gateway" => gateway.to_string(),
        "outcome" => outcome)
    .increment(1);
}

/// What may be logged of a provider's answer: its words may repeat the customer's address.
fn reply_code(answer: &str) -> Option<u16> {
    answer.split(' ').next()?.parse().ok()
}

fn outcome_word(outcome: &SendOutcome) -> &'static str {
    match outcome {
        SendOutcome::Dropped { .. } => "dropped",
        SendOutcome::Failed { .. } => "failed",
        SendOutcome::Sent { .. } => "sent",
        SendOutcome::Unknown => "uncertain",
        SendOutcome::Unreachable { .. } => "unreachable",
        SendOutcome::Unwanted { .. } => "unwanted",
        SendOutcome::Withheld { .. } => "withheld",
    }
}

/// What is kept of a message that was handed over, or may have been.
fn record(
    entry: &OutboxEntry,
    order: &MessageOrder,
    handed: &Handed,
    at: Timestamp,
) -> Option<MessageRecord> {
    let (status, answer) = match &handed.outcome {
        SendOutcome::Dropped { .. } => return None,
        SendOutcome::Failed { answer }
        | SendOutcome::Unreachable { answer }
        | SendOutcome::Unwanted { answer } => (MessageStatus::Failed, answer),
        SendOutcome::Sent { answer, .. } => (MessageStatus::Sent, answer),
        SendOutcome::Unknown => (MessageStatus::Unknown, &handed.answer),
        SendOutcome::Withheld { .. } => (MessageStatus::Withheld, &handed.answer),
    };
    let to = handed.to.clone();
    let blank = MessageRecord {
        id: order.id.clone(),
        case: entry.effect.case.clone(),
        kind: order.kind,
        channel: order.channel,
        address: Some(address_key(order.channel, &to)).filter(|_| !to.is_empty()),
        to,
        at,
        locale: order.contact.locale.clone().unwrap_or_default(),
        subject: String::new(),
        text: String::new(),
        html: None,
        answer: answer.clone(),
        status,
    };
    let (locale, subject, text, html) = match (&handed.outcome, &handed.said) {
        (SendOutcome::Sent { locale, subject, text, html, .. }, _) => (locale, subject, text, html),
        (_, Some(said)) => (&said.locale, &said.subject, &said.text, &said.html),
        (_, None) => return Some(blank),
    };
    let (locale, subject, text) = (locale.clone(), subject.clone(), text.clone());
    Some(MessageRecord { locale, subject, text, html: html.clone(), ..blank })
}

fn failed(order: &Order, why: String) -> Outcome {
    match order {
        Order::MarkPaid(_) => Outcome::MarkedPaid(MarkPaidOutcome::Failed { why }),
        Order::Refund(_) => Outcome::Refunded(Err(why)),
        _ => Outcome::Acted(Err(why)),
    }
}

fn unavailable(why: &str) -> LookUpAnswer {
    LookUpAnswer::Unavailable { why: why.to_owned() }
}

/// When it is tried again. Many that failed together come back one by one.
fn again(entry: &OutboxEntry, now: Timestamp) -> Timestamp {
    let wait = SignedDuration::from_secs(WAITS_S[(entry.tries as usize).min(WAITS_S.len() - 1)]);
    now + spread(wait, entry.effect.id.as_str())
}

/// What one effect came back with.
pub(super) fn returned(entry: &OutboxEntry, outcome: Outcome) -> Returned {
    Returned {
        effect: entry.effect.id.clone(),
        case: entry.effect.case.clone(),
        outcome,
        message: None,
    }
}

/// What a message came back with when it was taken up too late to be sent.
pub(super) fn dropped(why: &str) -> Outcome {
    Outcome::Sent(SendOutcome::Dropped { why: why.to_owned() })
}
