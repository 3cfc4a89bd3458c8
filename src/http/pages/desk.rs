//! The dashboard: the list of cases, and one case with everything it saw and did.
//!
//! Why here: for people of the merchant, in English. Every number and every date is shown with
//! what it means; every decision with its reason.
//!
//! What must stay true: what is shown is the ledger's and the case's own; nothing is recomputed.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use minijinja::{Value, context};

use super::{CaseView, CasesView, Shell, css, fill};
use crate::core::case::{Attempt, AttemptOutcome, Case, Message, MessageStatus, State};
use crate::core::decline::Category;
use crate::core::ledger::{Decision, EntryKind, LedgerEntry, with_times};
use crate::core::trial::Arm;
use crate::message::format;
use crate::message::locale::{Language, Locale};
use crate::store::MessageRecord;

/// `GET /`: the list of cases.
pub fn cases_page(view: &CasesView) -> String {
    let shell = &view.shell;
    let rows: Vec<Value> = view.cases.iter().map(|case| row(case, view)).collect();
    let next = view.next_after.as_ref();
    let page = context! {
        summary => summary(&view.counts),
        chips => chips(view),
        state => view.state.map(State::as_str),
        query => view.query.clone(),
        rows,
        filtered => view.state.is_some() || !view.query.is_empty(),
        next_href => next.map(|after| href(view.state, &view.query, Some(after))),
        trigger_command => view.trigger_command.clone(),
    };
    fill("cases.html", context! { ..page, ..around(shell) })
}

/// `GET /cases/{id}`: one case. Forms post to `/cases/{id}/{retry|pause|resume|stop|link}`.
pub fn case_page(view: &CaseView) -> String {
    let (shell, case) = (&view.shell, &view.case);
    let name = view.customer.as_ref().and_then(|c| c.contact.name.clone());
    let name = name.or_else(|| case.customer.clone());
    let page = context! {
        action => format!("/cases/{}", case.id),
        amount => amount(case),
        customer => name.unwrap_or_else(|| "Unknown customer".to_owned()),
        plan => case.description.clone(),
        invoice => case.invoice.clone(),
        state => case.state.as_str(),
        state_label => label(case.state),
        actions => actions(case.state),
        link => view.link.clone(),
        flags => case.flags.clone(),
        facts => facts(view),
        attempts => case.attempts.iter().map(|a| attempt(a, shell)).collect::<Vec<_>>(),
        timeline => view.ledger.iter().rev().map(|e| entry(e, shell)).collect::<Vec<_>>(),
        messages => view.messages.iter().rev().map(|m| message(m, shell)).collect::<Vec<_>>(),
        unsent => unsent(case, shell),
    };
    fill("case.html", context! { ..page, ..next(case, shell), ..around(shell) })
}

/// A page for what is not there, or did not work.
pub fn problem_page(shell: &Shell, title: &str, text: &str) -> String {
    fill("problem.html", context! { heading => title, text, ..around(shell) })
}

pub(super) fn around(shell: &Shell) -> Value {
    context! {
        lang => "en",
        dir => "ltr",
        css => css(None),
        shell => context! {
            brand => shell.brand.clone(),
            now => when(shell.now, shell),
            now_iso => shell.now.to_string(),
            test_clock => shell.test_clock,
            csrf => shell.csrf.clone(),
            notice => shell.notice.clone(),
        },
    }
}

/// One plain sentence over all cases.
fn summary(counts: &BTreeMap<State, u64>) -> String {
    let of = |states: &[State]| -> u64 { states.iter().filter_map(|s| counts.get(s)).sum() };
    let all = of(&State::ALL);
    let (back, gone, stopped) =
        (of(&[State::Recovered]), of(&[State::Exhausted]), of(&[State::Stopped]));
    let open = all - back - gone - stopped;
    if all == 0 {
        return "No payment has failed so far.".to_owned();
    }
    let failed =
        if all == 1 { "1 payment failed".to_owned() } else { format!("{all} payments failed") };
    let is = |n: u64| if n == 1 { "is" } else { "are" };
    let mut parts =
        vec![format!("{back} {} back", is(back)), format!("{open} {} being worked on", is(open))];
    if gone > 0 {
        parts.push(format!("{gone} could not be recovered"));
    }
    if stopped > 0 {
        parts.push(format!("{stopped} {} stopped", if stopped == 1 { "was" } else { "were" }));
    }
    let last = parts.pop().unwrap_or_default();
    format!("{failed}. {} and {last}.", parts.join(", "))
}

fn chips(view: &CasesView) -> Vec<Value> {
    let all = view.counts.values().sum::<u64>();
    let every = context! {
        href => href(None, &view.query, None),
        label => "All",
        count => all,
        state => "",
        current => view.state.is_none(),
    };
    let states = State::ALL.into_iter().filter_map(|state| {
        let count = view.counts.get(&state).copied().unwrap_or(0);
        let current = view.state == Some(state);
        (count > 0 || current).then(|| {
            context! {
                href => href(Some(state), &view.query, None),
                label => label(state),
                count,
                state => state.as_str(),
                current,
            }
        })
    });
    std::iter::once(every).chain(states).collect()
}

/// The list with these filters.
fn href(state: Option<State>, query: &str, after: Option<&String>) -> String {
    let mut pairs = url::form_urlencoded::Serializer::new(String::new());
    if let Some(state) = state {
        pairs.append_pair("state", state.as_str());
    }
    if !query.is_empty() {
        pairs.append_pair("q", query);
    }
    if let Some(after) = after {
        pairs.append_pair("after", after);
    }
    match pairs.finish().as_str() {
        "" => "/".to_owned(),
        pairs => format!("/?{pairs}"),
    }
}

fn row(case: &Case, view: &CasesView) -> Value {
    let shell = &view.shell;
    let customer = case.customer.as_ref();
    let name = customer.and_then(|id| view.names.get(id)).or(customer);
    context! {
        href => format!("/cases/{}", case.id),
        customer => name.map_or("Unknown customer", String::as_str),
        invoice => case.invoice.clone(),
        amount => amount(case),
        state => case.state.as_str(),
        state_label => label(case.state),
        decline => case.decline.as_ref().map_or("", |d| decline(d.category)),
        next => if case.state.is_ended() { case.reason.clone() } else { title(&case.next.what) },
        next_at => case.next.at.filter(|_| !case.state.is_ended()).map(|at| when(at, shell)),
        next_iso => case.next.at.map(|at| at.to_string()),
        opened => when(case.opened_at, shell),
        opened_iso => case.opened_at.to_string(),
    }
}

fn next(case: &Case, shell: &Shell) -> Value {
    if case.state.is_ended() {
        return context! {
            next_title => label(case.state),
            next_at => case.ended_at.map(|at| when(at, shell)),
            next_iso => case.ended_at.map(|at| at.to_string()),
            next_why => case.reason.clone(),
        };
    }
    let at = case.next.at;
    context! {
        next_title => format!("Next: {}", title(&case.next.what).to_lowercase()),
        next_at => at.map(|at| format!("{} ({})", when(at, shell), distance(at, shell.now))),
        next_iso => at.map(|at| at.to_string()),
        next_why => case.next.why.clone(),
    }
}

/// What a person can do in this state.
fn actions(state: State) -> Vec<&'static str> {
    match state {
        State::Exhausted | State::Recovered | State::Stopped => Vec::new(),
        State::Attempting | State::AwaitingOutcome => vec!["link", "pause", "stop"],
        State::Paused => vec!["resume", "link", "stop"],
        State::AwaitingCustomer | State::Monitoring | State::Scheduled => {
            vec!["retry", "link", "pause", "stop"]
        }
    }
}

fn facts(view: &CaseView) -> Vec<Vec<String>> {
    let (case, shell) = (&view.case, &view.shell);
    let mut facts: Vec<Vec<String>> = Vec::new();
    let mut tell = |name: &str, value: Option<String>| {
        facts.extend(value.filter(|v| !v.is_empty()).map(|value| vec![name.to_owned(), value]));
    };
    let contact = view.customer.as_ref().map(|c| &c.contact);
    let method = case
        .token
        .as_deref()
        .and_then(|token| view.customer.as_ref()?.method(&case.gateway, token));
    tell("Why it stands here", Some(case.reason.clone()));
    tell("Last decline", case.decline.as_ref().map(|d| decline(d.category).to_owned()));
    tell("Gateway's code", case.decline.as_ref().and_then(|d| d.code.clone()));
    tell("Card", method.and_then(|m| card(&m.facts)));
    tell("Customer", case.customer.clone());
    tell("E-mail", contact.and_then(|c| c.email.clone()));
    tell("Language", contact.and_then(|c| c.locale.clone()));
    tell("Time zone", contact.and_then(|c| c.time_zone.clone()));
    tell("Billing gateway", Some(case.gateway.to_string()));
    tell("Subscription", case.subscription.clone());
    tell("Opened", Some(when(case.opened_at, shell)));
    tell("Ended", case.ended_at.map(|at| when(at, shell)));
    tell("Recovered by", case.recovered_by.map(|by| title(&snake(by))));
    tell("Gateway's own attempts", Some(case.native_attempts.to_string()));
    tell("Policy", Some(case.policy_version.clone()));
    tell("Comparison", case.arm.map(|arm| arm_in_words(arm).to_owned()));
    facts
}

fn arm_in_words(arm: Arm) -> &'static str {
    match arm {
        Arm::Holdout => "held out: even spacing, to measure what the smart schedule adds",
        Arm::Smart => "follows the smart schedule",
    }
}

fn card(facts: &crate::core::event::PaymentMethodFacts) -> Option<String> {
    let last4 = facts.last4.as_ref()?;
    let network = facts.network.as_deref().map(title).unwrap_or_default();
    let until = facts.exp.as_ref().map(|exp| format!(", until {exp}")).unwrap_or_default();
    Some(format!("{network} ending {last4}{until}").trim().to_owned())
}

fn attempt(attempt: &Attempt, shell: &Shell) -> Value {
    let outcome = match attempt.outcome {
        AttemptOutcome::Approved => "approved",
        AttemptOutcome::Declined => "declined",
        AttemptOutcome::Error => "error",
        AttemptOutcome::Unknown => "unknown",
    };
    context! {
        number => attempt.charge.number,
        at => when(attempt.at, shell),
        iso => attempt.at.to_string(),
        gateway => attempt.charge.gateway.as_str(),
        outcome,
        decline => attempt.decline.as_ref().map(|d| decline(d.category)),
        why => with_times(&attempt.decision.why, |at| when(at, shell)),
        considered => considered(&attempt.decision, shell),
    }
}

fn entry(entry: &LedgerEntry, shell: &Shell) -> Value {
    let decision = entry.decision.as_ref();
    // A decision's text often is its reason already; it is not said twice.
    let why = decision.map(|d| d.why.as_str()).filter(|why| !entry.text.contains(why));
    context! {
        kind => kind(entry.kind),
        at => when(entry.at, shell),
        iso => entry.at.to_string(),
        text => with_times(&entry.text, |at| when(at, shell)),
        why,
        considered => decision.map(|d| considered(d, shell)).unwrap_or_default(),
    }
}

fn considered(decision: &Decision, shell: &Shell) -> Vec<String> {
    let words = decision.considered.iter().map(ToString::to_string);
    words.map(|words| with_times(&words, |at| when(at, shell))).collect()
}

fn message(message: &MessageRecord, shell: &Shell) -> Value {
    let subject = match message.subject.as_str() {
        "" => title(message.kind.as_str()),
        subject => subject.to_owned(),
    };
    context! {
        subject,
        channel => message.channel.as_str(),
        locale => message.locale.clone(),
        kind => title(message.kind.as_str()).to_lowercase(),
        at => when(message.at, shell),
        iso => message.at.to_string(),
        to => message.to.clone(),
        answer => message.answer.clone(),
        text => message.text.clone(),
        html => message.html.clone(),
    }
}

/// Messages that were decided and did not go out (yet), in words.
fn unsent(case: &Case, shell: &Shell) -> Vec<String> {
    let words = |m: &Message| {
        let fate = match m.status {
            MessageStatus::Sent => return None,
            MessageStatus::Dropped => "was taken back, since the case ended first",
            MessageStatus::Failed => "was not accepted",
            MessageStatus::Queued => "waits to be sent",
            MessageStatus::Unknown => "may or may not have arrived; it is not sent again",
        };
        let kind = title(m.kind.as_str());
        Some(format!("{kind} by {}, {}: {fate}.", m.channel.as_str(), when(m.at, shell)))
    };
    case.messages.iter().filter_map(words).collect()
}

fn amount(case: &Case) -> String {
    let english = Locale { language: Language::En, tag: "en".to_owned() };
    format::money(case.amount, &english)
}

/// The time in the merchant's zone; the year only where it is another.
fn when(at: Timestamp, shell: &Shell) -> String {
    let zone = TimeZone::get(&shell.time_zone).unwrap_or(TimeZone::UTC);
    let now = shell.now.to_zoned(zone.clone());
    let at = at.to_zoned(zone);
    let form = if at.year() == now.year() { "%a %-d %b, %H:%M" } else { "%-d %b %Y, %H:%M" };
    at.strftime(form).to_string()
}

/// `in 3 days`, `now`, `2 hours ago`.
fn distance(at: Timestamp, now: Timestamp) -> String {
    let seconds = at.as_second() - now.as_second();
    let (number, unit) = match seconds.unsigned_abs() {
        s if s < 60 => return "now".to_owned(),
        s if s < 3_600 => (s / 60, "minute"),
        s if s < 2 * 86_400 => (s / 3_600, "hour"),
        s => (s / 86_400, "day"),
    };
    let unit = if number == 1 { unit.to_owned() } else { format!("{unit}s") };
    if seconds > 0 { format!("in {number} {unit}") } else { format!("{number} {unit} ago") }
}

fn label(state: State) -> String {
    title(state.as_str())
}

/// `awaiting_customer` → `Awaiting customer`.
fn title(snake: &str) -> String {
    let words = snake.replace('_', " ");
    let mut chars = words.chars();
    chars.next().map(|c| c.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

fn snake(value: impl serde::Serialize) -> String {
    let json = serde_json::to_value(value).unwrap_or_default();
    json.as_str().unwrap_or_default().to_owned()
}

fn kind(kind: EntryKind) -> String {
    snake(kind)
}

/// For the merchant's own people: what it is, named.
fn decline(category: Category) -> &'static str {
    match category {
        Category::AccountClosed => "Account closed",
        Category::AuthenticationRequired => "Authentication required",
        Category::ConsentRevoked => "Consent revoked",
        Category::CredentialOutdated => "Card outdated",
        Category::FraudSuspected => "Fraud suspected",
        Category::GatewayRiskBlock => "Blocked by the gateway's rules",
        Category::GenericDecline => "Declined without a reason",
        Category::InsufficientFunds => "Insufficient funds",
        Category::InvalidCardData => "Invalid card data",
        Category::IssuerUnavailable => "Bank unavailable",
        Category::LimitExceeded => "Limit exceeded",
        Category::LostOrStolen => "Lost or stolen",
        Category::MerchantError => "Merchant error",
        Category::NotADecline => "Not a decline",
        Category::NotPermitted => "Not permitted",
        Category::OutcomeUnknown => "Outcome unknown",
        Category::ProcessingError => "Processing error",
        Category::Unknown => "Unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_counts_in_words() {
        use State::{Exhausted, Recovered, Scheduled, Stopped};
        for (counts, text) in [
            (vec![], "No payment has failed so far."),
            (vec![(Recovered, 1)], "1 payment failed. 1 is back and 0 are being worked on."),
            (
                vec![(Recovered, 29), (Scheduled, 8), (Exhausted, 3), (Stopped, 1)],
                "41 payments failed. 29 are back, 8 are being worked on, \
                 3 could not be recovered and 1 was stopped.",
            ),
        ] {
            assert_eq!(summary(&counts.into_iter().collect()), text);
        }
    }

    #[test]
    fn distances_are_in_words() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        for (seconds, text) in [
            (0, "now"),
            (90, "in 1 minute"),
            (7200, "in 2 hours"),
            (3 * 86_400, "in 3 days"),
            (-86_400 * 5, "5 days ago"),
        ] {
            assert_eq!(distance(Timestamp::from_second(1_000_000 + seconds).unwrap(), now), text);
        }
    }
}
