//! The dashboard: one case with everything it saw and did.
//!
//! Why here: for people of the merchant, in English. Every number and every date is shown with
//! what it means; every decision with its reason.
//!
//! What must stay true: what is shown is the ledger's and the case's own; nothing is recomputed.

use minijinja::{Value, context};

use super::words::{decline, distance, label, money, snake, title, when, zone};
use super::{CaseView, Shell, css, deeds, fill, version};
use crate::core::access::Role;
use crate::core::case::{Attempt, AttemptOutcome, Case, Message, MessageStatus};
use crate::core::ledger::{Decision, LedgerEntry, with_times};
use crate::core::trial::Arm;
use crate::store::MessageRecord;

/// `GET /cases/{id}`: one case. Forms post to `/cases/{id}/{deed}`: `deeds`.
pub fn case_page(view: &CaseView) -> String {
    let (shell, case) = (&view.shell, &view.case);
    let name = view.customer.as_ref().and_then(|c| c.contact.name.clone());
    let name = name.or_else(|| case.customer.clone());
    let page = context! {
        action => format!("/cases/{}", case.id),
        amount => money(case.amount),
        customer => name.unwrap_or_else(|| "Unknown customer".to_owned()),
        plan => case.description.clone(),
        invoice => case.invoice.clone(),
        state => case.state.as_str(),
        state_label => label(case.state),
        deeds => deeds::deeds(view),
        limits => deeds::limits_left(view),
        here => "cases",
        sample => view.is_sample,
        refresh => view.refresh.clone(),
        first_day => first_day(shell),
        link => view.link.clone(),
        flags => case.flags.clone(),
        facts => facts(view),
        attempts => case.attempts.iter().map(|a| attempt(a, shell)).collect::<Vec<_>>(),
        timeline => view.ledger.iter().rev().map(|e| entry(e, shell)).collect::<Vec<_>>(),
        messages => view.messages.iter().rev().map(|m| message(m, case, shell)).collect::<Vec<_>>(),
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
        assets => version(),
        shell => context! {
            brand => shell.brand.clone(),
            now => when(shell.now, shell),
            now_iso => shell.now.to_string(),
            test_clock => shell.test_clock,
            csrf => shell.csrf.clone(),
            who => shell.who.clone(),
            acts => shell.may(Role::Support),
            rules => shell.may(Role::Admin),
            notice => shell.notice.clone(),
        },
    }
}

/// The first day that a pause can end on.
fn first_day(shell: &Shell) -> String {
    let tomorrow = shell.now.to_zoned(zone(shell)).date().tomorrow();
    tomorrow.map(|day| day.to_string()).unwrap_or_default()
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

pub(super) fn card(facts: &crate::core::event::PaymentMethodFacts) -> Option<String> {
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
        AttemptOutcome::Withheld => "withheld",
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
        kind => snake(entry.kind),
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

fn message(message: &MessageRecord, case: &Case, shell: &Shell) -> Value {
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
        body => message.html.as_ref().map(|_| {
            format!("/cases/{}/messages/{}", case.id, message.id)
        }),
        became => became(message, case),
    }
}

/// What was reported of a message since.
fn became(message: &MessageRecord, case: &Case) -> Option<String> {
    let known = case.messages.iter().find(|known| known.id == message.id)?;
    let track = &known.track;
    let opened = track.opened_at.map(|_| "opened");
    let by_machine = track.prefetched_at.filter(|_| track.opened_at.is_none());
    let told = [
        track.delivered_at.map(|_| "delivered"),
        opened.or_else(|| by_machine.map(|_| "fetched by a machine")),
        track.clicked_at.map(|_| "its link was followed"),
        track.acted_at.map(|_| "the customer acted on it"),
        track.undelivered_at.map(|_| "did not arrive"),
        track.complained_at.map(|_| "reported as unwanted"),
        track.unsubscribed_at.map(|_| "reminders were stopped with it"),
    ];
    let told: Vec<_> = told.into_iter().flatten().collect();
    (!told.is_empty()).then(|| title(&told.join(", ")))
}

/// Messages that were decided and did not go out (yet), in words.
fn unsent(case: &Case, shell: &Shell) -> Vec<String> {
    let words = |m: &Message| {
        let fate = match m.status {
            MessageStatus::Sent => return None,
            MessageStatus::Dropped => "was taken back, since the case ended first",
            MessageStatus::Failed => "was not accepted",
            MessageStatus::Queued => "waits to be sent",
            MessageStatus::Withheld => "would have gone out (shadow mode)",
            MessageStatus::Unknown => "may or may not have arrived; it is not sent again",
        };
        let kind = title(m.kind.as_str());
        Some(format!("{kind} by {}, {}: {fate}.", m.channel.as_str(), when(m.at, shell)))
    };
    case.messages.iter().filter_map(words).collect()
}
