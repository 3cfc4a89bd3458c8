//! What a person can do with a case, and what each will do, said before it is done.
//!
//! Why here: a button that charges money must say so; the same words stand in the tests.
//!
//! What must stay true: nothing is offered that the case would refuse in its state; every deed is a
//! form of its own, behind a second click.

use minijinja::{Value, context};

use super::words::{money, when};
use super::{CaseView, Shell};
use crate::core::case::{Case, State};
use crate::core::limits::{self, Verdict};
use crate::http::api;

/// What else a deed needs to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Nothing,
    /// A day, or none.
    Until,
    /// A few words.
    Words,
}

/// One deed.
#[derive(Debug)]
struct Deed {
    /// Posts to `/cases/{id}/{name}`.
    name: &'static str,
    label: &'static str,
    /// The button that does it.
    sure: &'static str,
    look: &'static str,
    does: String,
    field: Field,
    /// The name of the field, and what is asked.
    ask: &'static str,
}

impl Deed {
    fn value(self) -> Value {
        let field = match self.field {
            Field::Nothing => "",
            Field::Until => "until",
            Field::Words => "words",
        };
        context! {
            name => self.name,
            label => self.label,
            sure => self.sure,
            look => self.look,
            does => self.does,
            ask => self.ask,
            field,
        }
    }
}

fn deed(name: &'static str, label: &'static str, sure: &'static str, does: String) -> Deed {
    let (look, field, ask) = ("secondary", Field::Nothing, "");
    Deed { name, label, sure, look, does, field, ask }
}

/// What can be done now.
pub(super) fn deeds(view: &CaseView) -> Vec<Value> {
    if view.is_sample {
        return Vec::new();
    }
    let case = &view.case;
    let offered: &[&str] = match case.state {
        State::Exhausted | State::Recovered | State::Stopped => &["link", "note"],
        State::Attempting | State::AwaitingOutcome => {
            &["link", "pause", "stop", "mark-paid", "note"]
        }
        State::Paused => &["resume", "write", "link", "stop", "mark-paid", "note"],
        State::AwaitingCustomer | State::Monitoring | State::Scheduled => {
            &["retry", "write", "link", "pause", "stop", "mark-paid", "note"]
        }
    };
    let may = |name: &&&str| view.shell.may(api::CASE_DEEDS.needs_of(name));
    offered.iter().filter(may).map(|name| one(name, view).value()).collect()
}

fn one(name: &str, view: &CaseView) -> Deed {
    let case = &view.case;
    match name {
        "link" => deed("link", "Copy link…", "Show the link", LINK.to_owned()),
        "mark-paid" => deed("mark-paid", "Mark paid…", "It was paid elsewhere", mark_paid(case)),
        "note" => Deed {
            field: Field::Words,
            ask: "Note",
            ..deed("note", "Note…", "Keep the note", NOTE.to_owned())
        },
        "pause" => Deed {
            field: Field::Until,
            ask: "Until (may stay empty)",
            ..deed("pause", "Pause…", "Pause", PAUSE.to_owned())
        },
        "resume" => {
            Deed { look: "primary", ..deed("resume", "Resume…", "Resume", RESUME.to_owned()) }
        }
        "retry" => {
            Deed { look: "primary", ..deed("retry", "Retry now…", "Charge now", retry(view)) }
        }
        "write" => deed("write", "Send link…", "Send it", write(case)),
        _ => Deed {
            look: "danger",
            field: Field::Words,
            ask: "Why (kept in the timeline)",
            ..deed("stop", "Stop…", "Stop this case", STOP.to_owned())
        },
    }
}

const LINK: &str = "Shows the address of this customer's page, to be sent by hand. Nothing is \
                    sent, and nothing changes.";
const NOTE: &str = "Writes a line into the timeline. Nothing else happens.";
const PAUSE: &str = "No attempt and no message until the morning of that day; without a day, until \
                     somebody resumes it. Messages that wait are taken back.";
const RESUME: &str = "Goes on where it was held: the next attempt is planned anew.";
const STOP: &str = "No more attempts and no more messages for this invoice. This cannot be undone.";

fn mark_paid(case: &Case) -> String {
    format!(
        "Records at {} that {} was paid elsewhere, and ends the case as recovered. The customer is \
         thanked. This cannot be undone.",
        case.gateway,
        money(case.amount)
    )
}

fn write(case: &Case) -> String {
    format!(
        "Writes to the customer now with the link to their page, about {}, on the first channel \
         that reaches them. Where the contact policy allows no message yet, it waits until it \
         does.",
        money(case.amount)
    )
}

fn retry(view: &CaseView) -> String {
    let amount = money(view.case.amount);
    format!(
        "Charges {amount} as soon as earlier attempts are looked up once more, through the gateway \
         that is chosen then. {} The customer is not written to before.",
        left(&view.case, view)
    )
}

/// What the networks leave, in a sentence.
fn left(case: &Case, view: &CaseView) -> String {
    let card = case.card.as_ref().and_then(|key| view.cards.iter().find(|card| card.key == *key));
    let Some(card) = card else {
        return "Which card it will be is not known here; its network's limits hold.".to_owned();
    };
    match limits::check(card, case.amount, view.shell.now) {
        Verdict::Allowed { left } => {
            format!("The network's limits leave {left} more attempts after it.")
        }
        Verdict::Never { why } => format!("This card is never charged again ({why})."),
        Verdict::NotBefore { at, why } => format!(
            "This card may not be charged before {} ({why}); it waits until then, or another card \
             is taken.",
            when(at, &view.shell)
        ),
    }
}

/// The limits of each card of the customer.
pub(super) fn limits_left(view: &CaseView) -> Vec<Value> {
    let (case, shell) = (&view.case, &view.shell);
    let customer = view.customer.as_ref();
    let named = |card: &crate::core::card::Card| {
        let method = customer?.methods.iter().find(|method| method.card == card.key)?;
        super::desk::card(&method.facts)
    };
    let one = |card: &crate::core::card::Card| {
        let uses = limits::uses(card, case.amount, shell.now);
        let rows = uses.iter().map(|one| {
            context! { what => one.limit.what.clone(), used => one.used, max => one.limit.max }
        });
        context! {
            card => named(card).unwrap_or_else(|| "A card that is not known here".to_owned()),
            verdict => verdict(card, case, shell),
            rows => rows.collect::<Vec<_>>(),
        }
    };
    view.cards.iter().map(one).collect()
}

fn verdict(card: &crate::core::card::Card, case: &Case, shell: &Shell) -> String {
    match limits::check(card, case.amount, shell.now) {
        Verdict::Allowed { left: 0 } => {
            "One more attempt is allowed, and none after it.".to_owned()
        }
        Verdict::Allowed { left } => format!("{} more attempts are allowed.", left + 1),
        Verdict::Never { why } => format!("Never again: {why}."),
        Verdict::NotBefore { at, why } => format!("Not before {}: {why}.", when(at, shell)),
    }
}
