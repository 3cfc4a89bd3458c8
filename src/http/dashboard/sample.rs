//! Sample data: a month that nobody had, to see what the dashboard will show.
//!
//! Why here: an empty dashboard teaches nothing. The sample is made up in memory from the time of
//! the service, is marked on every page, and its cases have ids of their own.
//!
//! What must stay true: nothing of it is in the store, and no page shows real and made-up cases
//! together; the same day gives the same sample.

use jiff::{SignedDuration, Timestamp};
use tokio::sync::OwnedRwLockReadGuard;

use super::Trouble;
use super::asked::Asked;
use crate::core::case::{
    Attempt, AttemptOutcome, Case, Message, MessageStatus, Next, RecoveredBy, State,
};
use crate::core::customer::{Channel, Customer};
use crate::core::decline::{Advice, Category, Decline};
use crate::core::delivery::Track;
use crate::core::effect::ChargeOrder;
use crate::core::event::PaymentMethodFacts;
use crate::core::ids::{AttemptId, CaseId, GatewayId, MessageId, pick};
use crate::core::ledger::{Decision, EntryKind, LedgerEntry};
use crate::core::money::Money;
use crate::core::policy::MessageKind;
use crate::core::report::facts::Facts;
use crate::core::trial::Arm;
use crate::http::AppState;
use crate::http::book::Shelf;

/// How many failed payments the sample has.
const CASES: u64 = 120;
/// Over how many days.
const DAYS: u64 = 88;
/// The gateway that none of the merchant's is called: its cases' ids are nobody else's.
const GATEWAY: &str = "sample-gateway";
const NAMES: [&str; 8] = ["Ana", "Ben", "Camila", "Deniz", "Elif", "Farid", "Giulia", "Hugo"];

/// What a page counts and lists: what is real, or what is made up.
pub(super) enum Shown {
    Real(OwnedRwLockReadGuard<Shelf>),
    Sample(Box<Sample>),
}

/// Everything made up.
pub(super) struct Sample {
    shelf: Shelf,
    cases: Vec<Case>,
}

/// What is asked for.
pub(super) async fn shown(state: &AppState, asked: &Asked) -> Result<Shown, Trouble> {
    if asked.is_sample() {
        return Ok(Shown::Sample(Box::new(Sample::at(state.clock.now()))));
    }
    Ok(Shown::Real(state.book.look(&state.store).await?))
}

impl Shown {
    /// What is counted.
    pub(super) fn shelf(&self) -> &Shelf {
        match self {
            Self::Real(shelf) => shelf,
            Self::Sample(sample) => &sample.shelf,
        }
    }

    /// The whole cases of some rows.
    pub(super) async fn cases(
        &self,
        state: &AppState,
        rows: &[&Facts],
    ) -> Result<Vec<Case>, Trouble> {
        let mut cases = Vec::with_capacity(rows.len());
        for row in rows {
            match self {
                Self::Real(_) => cases.extend(state.store.case(&row.id).await?),
                Self::Sample(sample) => cases.extend(sample.case(&row.id).cloned()),
            }
        }
        Ok(cases)
    }
}

impl Sample {
    /// The sample of this moment.
    pub(super) fn at(now: Timestamp) -> Self {
        let now = now - SignedDuration::from_secs(now.as_second().rem_euclid(86_400));
        let cases: Vec<_> = (0..CASES).map(|number| made_up(number, now)).collect();
        let customers: Vec<_> = (0..CASES).map(customer).collect();
        Self { shelf: Shelf::of(&cases, &customers), cases }
    }

    /// One of its cases.
    pub(super) fn case(&self, id: &CaseId) -> Option<&Case> {
        self.cases.iter().find(|case| case.id == *id)
    }
}

/// Who the case is of.
pub(super) fn customer_of(case: &Case) -> Option<Customer> {
    let number = case.invoice.rsplit('_').next()?.parse().ok()?;
    Some(customer(number))
}

/// What a made-up case tells of itself.
pub(super) fn ledger(case: &Case) -> Vec<LedgerEntry> {
    let mut told = vec![(
        case.opened_at,
        EntryKind::Opened,
        format!("The payment of {} did not go through.", case.amount),
        None,
    )];
    for attempt in &case.attempts {
        let text = format!("Attempt {} went to {}.", attempt.charge.number, attempt.charge.gateway);
        told.push((attempt.at, EntryKind::AttemptSent, text, Some(attempt.decision.clone())));
    }
    for message in &case.messages {
        let text = format!("The {} message was accepted.", message.kind.words());
        told.push((message.at, EntryKind::Message, text, None));
    }
    if let Some(at) = case.ended_at {
        told.push((at, EntryKind::Ended, case.reason.clone(), None));
    }
    told.sort_by_key(|(at, ..)| *at);
    let entry =
        |(sequence, (at, kind, text, decision))| LedgerEntry { sequence, at, kind, text, decision };
    (1..).zip(told).map(entry).collect()
}

fn customer(number: u64) -> Customer {
    let name = NAMES[pick(NAMES.len() as u64, &["name", &number.to_string()]) as usize];
    let mut customer = Customer::new(format!("sample_{number}"));
    customer.contact.name = Some(format!("{name} Sample"));
    customer.contact.email = Some(format!("{}@customer.example", name.to_lowercase()));
    let card = PaymentMethodFacts {
        token: Some("sample".to_owned()),
        network: Some("visa".to_owned()),
        last4: Some(format!("{:04}", 4_000 + number)),
        ..PaymentMethodFacts::default()
    };
    customer.learn_method(&GatewayId::from(GATEWAY), &card);
    customer
}

/// How one made-up case goes.
struct Story {
    category: Category,
    state: State,
    by: Option<RecoveredBy>,
    /// Days until it ended.
    lasted: u64,
    asked: u64,
}

fn story(number: u64, age: u64) -> Story {
    let drawn = |what: &str, of: u64| pick(of, &[what, &number.to_string()]);
    let category = match drawn("category", 10) {
        0..=4 => Category::InsufficientFunds,
        5 | 6 => Category::GenericDecline,
        7 | 8 => Category::CredentialOutdated,
        _ => Category::IssuerUnavailable,
    };
    let lasted = 1 + drawn("lasted", 14) + drawn("longer", 3) * 4;
    let hard = category == Category::CredentialOutdated;
    let by = match drawn("by", 12) {
        _ if hard => RecoveredBy::CardUpdate,
        0..=6 => RecoveredBy::Retry,
        7..=9 => RecoveredBy::OtherGateway,
        _ => RecoveredBy::Elsewhere,
    };
    let state = match drawn("state", 12) {
        _ if age < lasted && hard => State::AwaitingCustomer,
        _ if age < lasted => State::Scheduled,
        0..=8 => State::Recovered,
        9 | 10 => State::Exhausted,
        _ => State::Stopped,
    };
    let asked = if hard { 1 + drawn("asked", 3) } else { drawn("asked", 3) };
    Story { category, state, by: Some(by).filter(|_| state == State::Recovered), lasted, asked }
}

fn made_up(number: u64, today: Timestamp) -> Case {
    let gateway = GatewayId::from(GATEWAY);
    let invoice = format!("sample_{number}");
    let id = CaseId::of(&gateway, &invoice);
    let age = number * DAYS / CASES;
    let hour = SignedDuration::from_mins(pick(1_440, &["hour", &invoice]) as i64);
    let opened_at = today - SignedDuration::from_hours(24 * (age as i64 + 1)) + hour;
    let story = story(number, age);
    let day = |days: u64| opened_at + SignedDuration::from_hours(24 * days as i64);
    let ended_at = story.state.is_ended().then(|| day(story.lasted).min(today));
    let amount = [900, 2_900, 4_900, 12_000][pick(4, &["amount", &invoice]) as usize];
    let currency = if number % 9 == 4 { iso("EUR") } else { iso("USD") };
    let messages = (1..=story.asked).map(|n| message(&id, n, day(n * 3), number));
    let tried = match (story.category, story.by) {
        (Category::CredentialOutdated, None) => 0,
        _ => 1 + pick(3, &["tried", &invoice]),
    };
    let mut case = Case {
        decline: Some(decline(story.category)),
        customer: Some(invoice.clone()),
        description: Some("Plan Pro".to_owned()),
        arm: Some(if number.is_multiple_of(5) { Arm::Holdout } else { Arm::Smart }),
        messages: messages.filter(|m| ended_at.is_none_or(|at| m.at < at)).collect(),
        recovered_by: story.by,
        ended_at,
        ..blank(id, gateway, invoice, (Money::new(amount, currency), opened_at), story.state)
    };
    let left = (1..=tried).map(|n| attempt(&case, n as u32, day(n * story.lasted / tried)));
    case.attempts = left.filter(|a| a.at <= today).collect();
    close(&mut case, story.lasted);
    case
}

/// Gives the last attempt the outcome that its case has, and says in words what is.
fn close(case: &mut Case, lasted: u64) {
    let by = case.recovered_by;
    if let (Some(by), Some(last)) = (by, case.attempts.last_mut())
        && by != RecoveredBy::Elsewhere
    {
        last.outcome = AttemptOutcome::Approved;
        last.decline = None;
        if by == RecoveredBy::OtherGateway {
            last.charge.gateway = GatewayId::from("sample-second");
        }
    }
    case.reason = match case.state {
        State::Recovered => format!("Recovered: {} was approved.", case.amount),
        State::Exhausted => "Nothing helped: the last attempt was declined.".to_owned(),
        State::Stopped => "The subscription was cancelled.".to_owned(),
        State::AwaitingCustomer => "The card has to change; the customer is asked.".to_owned(),
        _ => "The next attempt is planned.".to_owned(),
    };
    if !case.state.is_ended() {
        let at = case.opened_at + SignedDuration::from_hours(24 * lasted as i64);
        let what = match case.state {
            State::AwaitingCustomer => "reminder",
            _ => "attempt",
        };
        let why = "Spaced evenly over the window.".to_owned();
        case.next = Next { at: Some(at), what: what.to_owned(), why };
    }
}

fn attempt(case: &Case, number: u32, at: Timestamp) -> Attempt {
    let id = AttemptId::of(&case.id, number);
    Attempt {
        charge: ChargeOrder {
            idempotency_key: id.idempotency_key(),
            attempt: id,
            number,
            gateway: case.gateway.clone(),
            token: None,
            customer: case.customer.clone(),
            subscription: None,
            invoice: case.invoice.clone(),
            amount: case.amount,
            billing: true,
            network_transaction_id: None,
        },
        card: None,
        at,
        sent: Some((at, at)),
        sends: 1,
        look_ups: 0,
        outcome: AttemptOutcome::Declined,
        settled_at: Some(at),
        payment: None,
        decline: case.decline.clone(),
        on_schedule: true,
        forced: false,
        refunded: false,
        decision: Decision {
            what: "attempt".to_owned(),
            at: Some(at),
            via: Some(case.gateway.to_string()),
            why: "spaced evenly over the window".to_owned(),
            considered: Vec::new(),
        },
    }
}

fn message(case: &CaseId, number: u64, at: Timestamp, of: u64) -> Message {
    let drawn = |what: &str| pick(10, &[what, case.as_str(), &number.to_string()]);
    let after = |hours: i64| Some(at + SignedDuration::from_hours(hours));
    let track = Track {
        delivered_at: after(1).filter(|_| drawn("delivered") > 0),
        opened_at: after(3).filter(|_| drawn("opened") > 4),
        prefetched_at: after(1).filter(|_| drawn("machine") > 7),
        clicked_at: after(4).filter(|_| drawn("clicked") > 6),
        acted_at: after(5).filter(|_| drawn("acted") > 7),
        ..Track::default()
    };
    Message {
        id: MessageId::of(case, number as u32),
        effect: "sample".into(),
        kind: if number == 1 { MessageKind::CardUpdate } else { MessageKind::PaymentFailed },
        step: Some(number as u32),
        channel: if number == 2 { Channel::Whatsapp } else { Channel::Email },
        locale: Some(["en", "es-CO", "pt-BR"][(of % 3) as usize].to_owned()),
        at,
        status: MessageStatus::Sent,
        with: Vec::new(),
        track,
    }
}

fn decline(category: Category) -> Decline {
    Decline {
        code: None,
        network_code: None,
        advice_code: None,
        network_advice_code: None,
        category,
        advice: Advice::None,
        min_delay_seconds: None,
    }
}

#[expect(clippy::expect_used, reason = "two codes of ISO 4217; a test makes the sample")]
fn iso(code: &str) -> crate::core::money::Currency {
    code.parse().expect("a currency")
}

/// A case of which nothing has happened yet.
fn blank(
    id: CaseId,
    gateway: GatewayId,
    invoice: String,
    (amount, opened_at): (Money, Timestamp),
    state: State,
) -> Case {
    Case {
        revision: 1,
        policy_version: "sample".to_owned(),
        state,
        token: Some("sample".to_owned()),
        native_attempts: 1,
        ledger_sequence: 1,
        ..Case::blank(id, gateway, invoice, amount, opened_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_is_the_same_all_day_and_shows_everything() {
        let at = |second: i64| Timestamp::from_second(1_790_000_000 + second).unwrap();
        let (one, two) = (Sample::at(at(0)), Sample::at(at(60)));
        assert_eq!(one.cases, two.cases);
        let has = |state| one.cases.iter().any(|case| case.state == state);
        for state in [State::Recovered, State::Exhausted, State::Stopped, State::Scheduled] {
            assert!(has(state), "{state:?}");
        }
        assert!(has(State::AwaitingCustomer));
        for by in [RecoveredBy::Retry, RecoveredBy::OtherGateway, RecoveredBy::CardUpdate] {
            assert!(one.cases.iter().any(|case| case.recovered_by == Some(by)), "{by:?}");
        }
        assert!(one.cases.iter().all(|case| case.gateway.as_str() == GATEWAY));
    }
}
