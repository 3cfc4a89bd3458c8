//! Reconciliation: what a gateway says was captured, against what the ledger says, by day.
//!
//! Why here: the comparison is a function of two lists, so that each kind of difference is tested
//! without a gateway.
//!
//! What must stay true: money is summed within one currency only; a payment that is on both sides
//! is compared once, whichever day each side puts it on; what is not about a case of ours is
//! counted and never called a difference.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Serialize;

use super::select::Span;
use crate::core::case::{AttemptOutcome, Case, State};
use crate::core::ids::{CaseId, GatewayId};
use crate::core::money::{Currency, Money};

/// A capture as its gateway lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capture {
    /// The gateway's ids of it: of a charge and of the payment around it.
    pub ids: Vec<String>,
    /// When.
    pub at: Timestamp,
    /// How much was taken.
    pub amount: Money,
    /// How much of it was given back, in minor units.
    pub refunded: i64,
    /// The invoice of the billing gateway, where the gateway knows one.
    pub invoice: Option<String>,
    /// It carries the mark of one of our attempts.
    pub marked: bool,
}

/// A capture as the ledger knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Booked {
    /// Of which case.
    pub case: CaseId,
    /// Of which invoice.
    pub invoice: String,
    /// The gateway's id of it.
    pub payment: Option<String>,
    /// When it became known.
    pub at: Timestamp,
    /// How much.
    pub amount: Money,
    /// It was given back.
    pub refunded: bool,
}

/// What differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The gateway took another amount.
    Amount,
    /// The gateway took it, and the ledger does not know.
    MissingHere,
    /// The ledger has it, and the gateway does not list it.
    MissingThere,
    /// One side gave it back, the other has not.
    Refund,
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// What differs.
    pub kind: Kind,
    /// On which day, in the merchant's zone.
    pub day: Date,
    /// The gateway's id.
    pub payment: Option<String>,
    /// The invoice.
    pub invoice: Option<String>,
    /// The case, where there is one.
    pub case: Option<CaseId>,
    /// What the gateway says.
    pub there: Option<Money>,
    /// What the ledger says.
    pub here: Option<Money>,
    /// In words.
    pub text: String,
}

/// The sums of one day in one currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Day {
    /// The day, in the merchant's zone.
    pub day: Date,
    /// What the gateway took for cases of ours.
    pub there: Money,
    /// What the ledger says.
    pub here: Money,
    /// Captures there.
    pub captures: u64,
    /// Captures in the ledger.
    pub booked: u64,
}

/// The result for one gateway.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Compared {
    /// By day and currency.
    pub days: Vec<Day>,
    /// What differs, the oldest first.
    pub differences: Vec<Difference>,
    /// Captures that are about no case of ours.
    pub others: u64,
}

/// What the ledger has of a case at this gateway.
pub fn booked(case: &Case, gateway: &GatewayId) -> Vec<Booked> {
    let one = |payment: Option<String>, at, amount, refunded| Booked {
        case: case.id.clone(),
        invoice: case.invoice.clone(),
        payment,
        at,
        amount,
        refunded,
    };
    let approved = case.attempts.iter().filter(|attempt| {
        attempt.charge.gateway == *gateway && attempt.outcome == AttemptOutcome::Approved
    });
    let ours: Vec<_> = approved
        .map(|attempt| {
            let at = attempt.settled_at.unwrap_or(attempt.at);
            one(attempt.payment.clone(), at, attempt.charge.amount, attempt.refunded)
        })
        .collect();
    let known =
        |payment: &String| ours.iter().any(|booked| booked.payment.as_ref() == Some(payment));
    let own = case.paid_by.as_ref().filter(|payment| !known(payment));
    let own = own.filter(|_| case.gateway == *gateway && case.state == State::Recovered);
    // What a person said has no payment at the gateway.
    let own = own.filter(|payment| case.payments.contains(payment));
    let own = own
        .zip(case.ended_at)
        .map(|(payment, at)| one(Some(payment.clone()), at, case.amount, false));
    ours.into_iter().chain(own).collect()
}

/// Compares both lists within a span. Each list should reach a little further on both sides, so
/// that a payment that the two put on either side of its edge is found all the same.
pub fn compare(
    there: &[(Capture, Option<CaseId>)],
    here: &[Booked],
    span: Span,
    zone: &TimeZone,
) -> Compared {
    let day = |at: Timestamp| at.to_zoned(zone.clone()).date();
    let mut days = BTreeMap::new();
    let mut compared = Compared::default();
    let mut matched = BTreeSet::new();
    for (capture, case) in there {
        let found = here.iter().position(|booked| is_same(booked, capture));
        matched.extend(found);
        let booked = found.map(|index| &here[index]);
        let within = span.holds(booked.map_or(capture.at, |booked| booked.at));
        if case.is_none() && booked.is_none() && !capture.marked {
            compared.others += u64::from(within);
            continue;
        }
        if !within {
            continue;
        }
        let on = day(booked.map_or(capture.at, |booked| booked.at));
        count(&mut days, on, capture.amount, Side::There);
        let differs = differences(capture, booked, case.as_ref(), on);
        compared.differences.extend(differs);
    }
    for (index, booked) in here.iter().enumerate().filter(|(_, one)| span.holds(one.at)) {
        let on = day(booked.at);
        count(&mut days, on, booked.amount, Side::Here);
        if !matched.contains(&index) {
            compared.differences.push(missing_there(booked, on));
        }
    }
    compared.days = days.into_values().collect();
    compared.differences.sort_by_key(|found| (found.day, found.kind, found.payment.clone()));
    compared
}

fn is_same(booked: &Booked, capture: &Capture) -> bool {
    booked.payment.as_ref().is_some_and(|payment| capture.ids.contains(payment))
}

#[derive(Clone, Copy)]
enum Side {
    Here,
    There,
}

fn count(days: &mut BTreeMap<(Date, Currency), Day>, day: Date, amount: Money, side: Side) {
    let nothing = Money::new(0, amount.currency);
    let empty = Day { day, there: nothing, here: nothing, captures: 0, booked: 0 };
    let sums = days.entry((day, amount.currency)).or_insert(empty);
    let (sum, number) = match side {
        Side::Here => (&mut sums.here, &mut sums.booked),
        Side::There => (&mut sums.there, &mut sums.captures),
    };
    sum.minor = sum.minor.saturating_add(amount.minor);
    *number += 1;
}

fn differences(
    capture: &Capture,
    booked: Option<&Booked>,
    case: Option<&CaseId>,
    day: Date,
) -> Vec<Difference> {
    let payment = capture.ids.first().cloned();
    let case = booked.map(|booked| &booked.case).or(case).cloned();
    let invoice = booked.map(|booked| booked.invoice.clone()).or_else(|| capture.invoice.clone());
    let there = Some(capture.amount);
    let here = booked.map(|booked| booked.amount);
    let one = |kind, text: String| Difference {
        kind,
        day,
        payment: payment.clone(),
        invoice: invoice.clone(),
        case: case.clone(),
        there,
        here,
        text,
    };
    let Some(booked) = booked else {
        let text = format!("the gateway took {}, and the ledger does not know", capture.amount);
        return vec![one(Kind::MissingHere, text)];
    };
    let mut found = Vec::new();
    if booked.amount != capture.amount {
        let text =
            format!("the gateway took {}, the ledger says {}", capture.amount, booked.amount);
        found.push(one(Kind::Amount, text));
    }
    match (capture.refunded, booked.refunded) {
        (0, true) => {
            let text = "the ledger says that it was given back; the gateway does not".to_owned();
            found.push(one(Kind::Refund, text));
        }
        (given, false) if given > 0 => {
            let given = Money::new(given, capture.amount.currency);
            let text = format!("the gateway gave {given} back, and the ledger does not know");
            found.push(one(Kind::Refund, text));
        }
        _ => {}
    }
    found
}

fn missing_there(booked: &Booked, day: Date) -> Difference {
    Difference {
        kind: Kind::MissingThere,
        day,
        payment: booked.payment.clone(),
        invoice: Some(booked.invoice.clone()),
        case: Some(booked.case.clone()),
        there: None,
        here: Some(booked.amount),
        text: format!("the ledger says {}, and the gateway does not list it", booked.amount),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hours: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + hours * 3_600).unwrap()
    }

    fn usd(minor: i64) -> Money {
        Money::new(minor, "USD".parse().unwrap())
    }

    fn capture(id: &str, minor: i64) -> Capture {
        Capture {
            ids: vec![id.to_owned(), format!("ch_{id}")],
            at: at(0),
            amount: usd(minor),
            refunded: 0,
            invoice: None,
            marked: false,
        }
    }

    fn booked(id: &str, minor: i64) -> Booked {
        Booked {
            case: CaseId::from("case_1"),
            invoice: format!("in_{id}"),
            payment: Some(id.to_owned()),
            at: at(0),
            amount: usd(minor),
            refunded: false,
        }
    }

    fn kinds(compared: &Compared) -> Vec<(Kind, Option<&str>)> {
        let each = compared.differences.iter();
        each.map(|found| (found.kind, found.payment.as_deref())).collect()
    }

    #[test]
    fn each_kind_of_difference_is_found_once_and_nothing_else() {
        let ours = Some(CaseId::from("case_9"));
        let there = [
            (capture("same", 100), None),
            (capture("amount", 101), None),
            (capture("lost", 300), ours),
            (Capture { marked: true, ..capture("marked", 301) }, None),
            (Capture { refunded: 50, ..capture("given", 400) }, None),
            (capture("kept", 500), None),
            (capture("shop", 9_999), None),
        ];
        let here = [
            booked("same", 100),
            booked("amount", 100),
            booked("ghost", 200),
            booked("given", 400),
            Booked { refunded: true, ..booked("kept", 500) },
            // By the charge's id: the same payment.
            Booked { payment: Some("ch_shop2".to_owned()), ..booked("shop2", 7) },
        ];
        let there = [there.to_vec(), vec![(capture("shop2", 7), None)]].concat();
        let compared = compare(&there, &here, Span::default(), &TimeZone::UTC);
        assert_eq!(
            kinds(&compared),
            [
                (Kind::Amount, Some("amount")),
                (Kind::MissingHere, Some("lost")),
                (Kind::MissingHere, Some("marked")),
                (Kind::MissingThere, Some("ghost")),
                (Kind::Refund, Some("given")),
                (Kind::Refund, Some("kept")),
            ]
        );
        assert_eq!(compared.others, 1, "what was sold in the shop is none of ours");
        let [day] = compared.days.as_slice() else { panic!("{:?}", compared.days) };
        assert_eq!(day.there, usd(100 + 101 + 300 + 301 + 400 + 500 + 7));
        assert_eq!(day.here, usd(100 + 100 + 200 + 400 + 500 + 7));
        assert_eq!((day.captures, day.booked), (7, 6));
    }

    #[test]
    fn a_payment_at_the_edge_is_not_missing_on_either_side() {
        let span = Span { since: Some(at(0)), until: Some(at(24)) };
        let there = [(Capture { at: at(-1), ..capture("early", 100) }, None)];
        let here = [Booked { at: at(1), ..booked("early", 100) }];
        let compared = compare(&there, &here, span, &TimeZone::UTC);
        assert_eq!(kinds(&compared), []);
        assert_eq!(compared.days.len(), 1);
        let late = [Booked { at: at(25), ..booked("early", 100) }];
        let compared = compare(&there, &late, span, &TimeZone::UTC);
        assert_eq!((kinds(&compared), compared.days.len()), (vec![], 0), "of tomorrow");
    }
}
