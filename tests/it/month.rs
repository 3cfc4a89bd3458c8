//! A month of reminders over the real binary: 200 customers, every message counted against
//! Colombia's rules by a checker that knows nothing of ours.
//!
//! What must stay true: none at night, on a Sunday or a holiday, two on one day; none after the end
//! but one thank-you; none twice; one message for two invoices.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::death::World;

const CUSTOMERS: usize = 200;

/// Expired cards: only the customer can mend it. Every third customer owes two invoices.
fn failed(customer: usize, second: bool) -> (String, String) {
    let invoice = format!("in_{customer}{}", if second { "b" } else { "" });
    let body = json!({
        "type": "invoice.payment_failed",
        "timestamp": "2026-01-05T13:00:00Z",
        "data": {
            "invoice": invoice, "subscription": format!("sub_{invoice}"),
            "customer": {
                "id": format!("c_{customer}"), "email": format!("c{customer}@example.com"),
                "country": "CO",
            },
            "amount": if second { 1000 } else { 2900 }, "currency": "USD", "attempt_count": 1,
            "decline": {"code": "stolen_card"},
            "payment_method": {"token": format!("tok_{customer}"), "network": "visa"},
        },
    });
    (invoice, body.to_string())
}

fn paid(customer: usize) -> String {
    json!({
        "type": "invoice.paid",
        "timestamp": "2026-01-05T13:00:00Z",
        "data": {
            "invoice": format!("in_{customer}"), "customer": {"id": format!("c_{customer}")},
            "amount": 2900, "currency": "USD", "charge": format!("ch_{customer}"),
        },
    })
    .to_string()
}

async fn messages(world: &World) -> Vec<Value> {
    let (mut all, mut after) = (Vec::new(), String::new());
    loop {
        let page = world.get(&format!("/messages?limit=100{after}")).await;
        let data = page["data"].as_array().unwrap();
        if let Some(last) = data.last() {
            after = format!("&starting_after={}", last["id"].as_str().unwrap());
        }
        all.extend(data.iter().cloned());
        if page["has_more"] != json!(true) {
            return all;
        }
    }
}

fn time(value: &Value) -> Timestamp {
    value.as_str().unwrap().parse().unwrap()
}

/// Minutes of the week in Bogotá, which is five hours behind UTC all year; and the date.
fn in_bogota(at: Timestamp) -> (i8, i32, String) {
    let local = (at - SignedDuration::from_hours(5)).to_zoned(jiff::tz::TimeZone::UTC);
    let minutes = i32::from(local.hour()) * 60 + i32::from(local.minute());
    (local.weekday().to_monday_one_offset(), minutes, local.date().to_string())
}

fn check(messages: &[Value], cases: &BTreeMap<String, Value>) {
    let by_id: BTreeMap<&str, &Value> =
        cases.values().map(|case| (case["id"].as_str().unwrap(), case)).collect();
    let (mut days, mut ids) = (BTreeSet::new(), BTreeSet::new());
    let mut thanked = BTreeSet::new();
    for message in messages {
        let at = time(&message["at"]);
        let (weekday, minutes, date) = in_bogota(at);
        let open = match weekday {
            1..=5 => (7 * 60..19 * 60).contains(&minutes),
            6 => (8 * 60..15 * 60).contains(&minutes),
            _ => false,
        };
        assert!(open, "{at} is outside of the hours: weekday {weekday}, minute {minutes}");
        assert_ne!(date, "2026-01-12", "Epiphany, moved to its Monday");
        let to = message["to"].as_str().unwrap();
        assert!(days.insert((to, date)), "two on one day: {message}");
        assert!(ids.insert(message["id"].as_str().unwrap()), "twice: {message}");
        let case = by_id[message["case"].as_str().unwrap()];
        let ended = case["ended_at"].as_str().map(|at| at.parse::<Timestamp>().unwrap());
        if message["kind"] == "recovered" {
            assert_eq!(case["state"], "recovered");
            assert!(thanked.insert(to), "thanked twice: {to}");
        } else {
            assert!(ended.is_none_or(|ended| at <= ended), "after the end: {message}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_month_with_two_hundred_customers_keeps_the_law_to_the_last_message() {
    let world = World::with(
        "window_days = 28\n[reminders]\ncontact_policy = \"co-ley-2300\"\n\
         [final_action]\ninvoice = \"keep\"",
    )
    .await;
    let mut child = world.start().await;
    for day in 0..33_usize {
        for customer in (0..CUSTOMERS).filter(|customer| customer % 10 == day) {
            let mut events = vec![failed(customer, false)];
            if customer % 3 == 0 {
                events.push(failed(customer, true));
            }
            for (invoice, body) in events {
                assert!(world.post(&format!("msg_{invoice}"), body).await);
            }
        }
        // Some pay by themselves, a few days later, at an hour that shifts over day and night.
        for customer in (0..CUSTOMERS).filter(|c| c % 4 == 1 && c % 10 + 2 + c % 13 == day) {
            assert!(world.post(&format!("paid_{customer}"), paid(customer)).await);
        }
        assert!(world.advance(86_400 + 3_600 * (day as u64 % 5)).await, "day {day}");
    }
    let (cases, messages) = (world.cases().await, messages(&world).await);
    let mails = world.mail.messages().len();
    child.kill().unwrap();
    child.wait().unwrap();

    let second = CUSTOMERS.div_ceil(3);
    assert_eq!(cases.len(), CUSTOMERS + second);
    assert_eq!(mails, messages.len(), "what was sent is what was recorded");
    check(&messages, &cases);
    let thanks = messages.iter().filter(|m| m["kind"] == "recovered").count();
    assert!(thanks > 20, "{thanks}");
    // Who owes two was written to as often as who owes one: the other invoice went along.
    let asked = |customer: usize| {
        let to = format!("c{customer}@example.com");
        messages.iter().filter(|m| m["to"] == *to && m["kind"] != "recovered").count()
    };
    let (one, two) = (asked(2), asked(6));
    assert!(one >= 3 && two == one, "one invoice: {one}, two: {two}");
    let along = cases.values().filter(|c| !c["went_along"].as_array().unwrap().is_empty()).count();
    assert!(along >= second, "{along} of {second} went along");
    println!("{} messages, {thanks} of them thanks, {along} cases went along", messages.len());
}
