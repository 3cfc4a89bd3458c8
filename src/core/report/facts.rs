//! What a report needs of a case: a small value that is kept in memory for every case.
//!
//! Why here: a case with its attempts, decisions and texts is large, and reading all of them for
//! each page of a dashboard would take seconds. Reports count these instead; whoever keeps them
//! makes one anew when its case is written.
//!
//! What must stay true: it is a function of the case alone; nothing in it names a person.

use jiff::Timestamp;

use crate::core::case::{
    Attempt, AttemptOutcome, Case, Message, MessageStatus, RecoveredBy, State,
};
use crate::core::customer::Channel;
use crate::core::decline::{Category, Decline};
use crate::core::ids::{CaseId, GatewayId};
use crate::core::money::Money;
use crate::core::policy::MessageKind;
use crate::core::trial::Arm;

/// A case, as far as it is counted.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// Which.
    pub id: CaseId,
    /// Of which step: the larger is the newer.
    pub revision: u64,
    /// The billing gateway.
    pub gateway: GatewayId,
    /// The invoice.
    pub invoice: String,
    /// The customer.
    pub customer: Option<String>,
    /// What is owed.
    pub amount: Money,
    /// When it opened.
    pub opened_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Where it stands.
    pub state: State,
    /// What it began with.
    pub category: Category,
    /// Whether that may be charged again.
    pub retryable: bool,
    /// What brought it back.
    pub by: Option<RecoveredBy>,
    /// Through which gateway the money came in: the billing gateway where it was not our attempt.
    pub via: Option<GatewayId>,
    /// On which side of the comparison it is.
    pub arm: Option<Arm>,
    /// In shadow mode: how many attempts would have been made; `None`: it is live.
    pub withheld: Option<u64>,
    /// Our attempts that were sent.
    pub tried: Box<[Tried]>,
    /// Its messages.
    pub messages: Box<[Told]>,
    /// Codes of its declines that are in no table.
    pub unknown: Box<[(GatewayId, String)]>,
}

/// An attempt that was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// When it was decided.
    pub at: Timestamp,
    /// Through which gateway.
    pub gateway: GatewayId,
    /// How much.
    pub amount: Money,
    /// How it came out.
    pub outcome: AttemptOutcome,
}

/// A message of a case, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// What it says.
    pub kind: MessageKind,
    /// How it went.
    pub channel: Channel,
    /// Which step of the campaign it is of; none: of none.
    pub step: Option<u32>,
    /// In which language, once rendered.
    pub locale: Option<Box<str>>,
    /// How far it got.
    pub status: MessageStatus,
    /// When it was decided, or sent.
    pub at: Timestamp,
    /// What was reported of it since, in the order of [`Fate::ALL`].
    pub fates: [bool; Fate::ALL.len()],
}

/// What may be reported of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// In the mailbox, or on the phone.
    Delivered,
    /// Opened by a person, or by nobody knows whom.
    Opened,
    /// Fetched by a machine, and opened by nobody else.
    Prefetched,
    /// A link was followed.
    Clicked,
    /// The customer did something on the page after it.
    Acted,
    /// It did not arrive.
    Undelivered,
    /// Reported as unwanted.
    Complained,
    /// The customer stopped the reminders with it.
    Unsubscribed,
}

impl Fate {
    /// Every one.
    pub const ALL: [Self; 8] = [
        Self::Delivered,
        Self::Opened,
        Self::Prefetched,
        Self::Clicked,
        Self::Acted,
        Self::Undelivered,
        Self::Complained,
        Self::Unsubscribed,
    ];
}

impl Facts {
    /// Of this case.
    pub fn of(case: &Case) -> Self {
        let first = case.first_refusal.map(|refusal| refusal.category);
        let newest = || case.decline.as_ref().map(|decline| decline.category);
        let approved = |a: &&Attempt| a.outcome == AttemptOutcome::Approved && !a.refunded;
        let paid = case.attempts.iter().rfind(approved).map(|a| &a.charge.gateway);
        let via = case.recovered_by.map(|_| paid.unwrap_or(&case.gateway).clone());
        Self {
            id: case.id.clone(),
            revision: case.revision,
            gateway: case.gateway.clone(),
            invoice: case.invoice.clone(),
            customer: case.customer.clone(),
            amount: case.amount,
            opened_at: case.opened_at,
            ended_at: case.ended_at,
            state: case.state,
            category: first.or_else(newest).unwrap_or(Category::Unknown),
            retryable: case.was_retryable(),
            by: case.recovered_by,
            via,
            arm: case.arm,
            withheld: case.shadow.then(|| withheld(case)),
            tried: case.attempts.iter().filter_map(Tried::of).collect(),
            messages: case.messages.iter().map(Told::of).collect(),
            unknown: unknown(case),
        }
    }

    /// Whether it is back.
    pub fn is_back(&self) -> bool {
        self.state == State::Recovered
    }

    /// Messages that had gone out before it ended: the thank-you is none of them.
    fn asked(&self) -> impl Iterator<Item = &Told> {
        let sent = |told: &&Told| {
            told.status == MessageStatus::Sent && told.kind != MessageKind::Recovered
        };
        self.messages.iter().filter(sent)
    }

    /// How many messages had gone out when it came back.
    pub fn step(&self) -> usize {
        self.asked().count()
    }

    /// On which channel the last of them went.
    pub fn channel(&self) -> Option<Channel> {
        self.asked().last().map(|told| told.channel)
    }
}

fn withheld(case: &Case) -> u64 {
    case.attempts.iter().filter(|a| a.outcome == AttemptOutcome::Withheld).count() as u64
}

impl Tried {
    fn of(attempt: &Attempt) -> Option<Self> {
        attempt.sent?;
        let charge = &attempt.charge;
        let (gateway, amount) = (charge.gateway.clone(), charge.amount);
        Some(Self { at: attempt.at, gateway, amount, outcome: attempt.outcome })
    }
}

impl Told {
    /// Of this message.
    pub fn of(message: &Message) -> Self {
        let track = &message.track;
        let fates = Fate::ALL.map(|fate| match fate {
            Fate::Delivered => track.delivered_at.is_some(),
            Fate::Opened => track.opened_at.is_some(),
            Fate::Prefetched => track.prefetched_at.is_some() && track.opened_at.is_none(),
            Fate::Clicked => track.clicked_at.is_some(),
            Fate::Acted => track.acted_at.is_some(),
            Fate::Undelivered => track.undelivered_at.is_some(),
            Fate::Complained => track.complained_at.is_some(),
            Fate::Unsubscribed => track.unsubscribed_at.is_some(),
        });
        Self {
            kind: message.kind,
            channel: message.channel,
            step: message.step,
            locale: message.locale.as_deref().map(Into::into),
            status: message.status,
            at: message.at,
            fates,
        }
    }
}

/// Codes of its declines, ours and the first, that are in no table.
fn unknown(case: &Case) -> Box<[(GatewayId, String)]> {
    let ours = case.attempts.iter().filter_map(|a| Some((&a.charge.gateway, a.decline.as_ref()?)));
    let first = case.attempts.iter().all(|a| a.decline != case.decline);
    let own = case.decline.as_ref().filter(|_| first).map(|decline| (&case.gateway, decline));
    let all = ours.chain(own).filter(|(_, decline)| is_unknown(decline));
    let code = |decline: &Decline| decline.shown_code().unwrap_or("free text").to_owned();
    all.map(|(gateway, decline)| (gateway.clone(), code(decline))).collect()
}

fn is_unknown(decline: &Decline) -> bool {
    decline.category == Category::Unknown
        && (decline.code.is_some() || decline.network_code.is_some())
}
