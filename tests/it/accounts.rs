//! For accounting: the payments file, the month on paper, and what gateways say was captured
//! against the ledger, with one difference of each kind planted.
//!
//! What must stay true: each planted difference is told once, and nothing else is; a gateway that
//! cannot list is named and not counted as agreeing; nothing is written.

use recoup::core::case::{AttemptOutcome, Case, RecoveredBy, State};
use recoup::core::ids::GatewayId;
use recoup::core::money::Money;
use recoup::core::report::captures::Capture;
use serde_json::Value;

use crate::http_samples::case;
use crate::http_support::{Service, Setup, at};

fn usd(minor: i64) -> Money {
    Money::new(minor, "USD".parse().unwrap())
}

/// A case that came back by our attempt, whose payment is `pay_{n}`.
fn paid(n: i64) -> Case {
    let mut one = case(n);
    one.state = State::Recovered;
    one.recovered_by = Some(RecoveredBy::Retry);
    one.ended_at = Some(at(n + 100));
    one.payments = vec![format!("pay_{n}")];
    let attempt = &mut one.attempts[0];
    attempt.outcome = AttemptOutcome::Approved;
    attempt.decline = None;
    attempt.payment = Some(format!("pay_{n}"));
    attempt.settled_at = Some(at(n + 100));
    attempt.charge.amount = usd(1_000 + n);
    one
}

fn capture(n: i64) -> Capture {
    Capture {
        ids: vec![format!("pay_{n}")],
        at: at(n + 99),
        amount: usd(1_000 + n),
        refunded: 0,
        invoice: None,
        marked: false,
    }
}

async fn books() -> Service {
    let service =
        Service::new(Setup { clock: recoup::clock::Clock::test(at(9_000)), ..Setup::default() });
    for n in 1..=4 {
        service.put(paid(n)).await;
    }
    // Given back by us, and the gateway has not.
    let mut given = paid(5);
    given.attempts[0].refunded = true;
    service.put(given).await;
    // A payment of a case that is still open: nobody noted that it went through.
    let mut open = case(6);
    open.payments = vec!["pay_6".to_owned()];
    service.put(open).await;
    let there = vec![
        capture(1),
        Capture { amount: usd(999), ..capture(2) },
        Capture { refunded: 300, ..capture(3) },
        capture(5),
        capture(6),
        Capture { marked: true, ..capture(7) },
        Capture { ids: vec!["pay_shop".to_owned()], ..capture(8) },
    ];
    *service.gateway.captured.lock().unwrap() = Some(there);
    service
}

#[tokio::test]
async fn every_planted_difference_is_told_once() {
    let service = books().await;
    let before = service.everything().await;
    let query = format!("?since={}&until={}", at(0), at(8_000));
    let answer = service.api("GET", &format!("/reports/captures{query}"), "").await;
    let told = answer.json();
    let first = &told["data"][0];
    assert_eq!(first["gateway"], "first");
    let differences = first["differences"].as_array().unwrap();
    let found: Vec<_> = differences
        .iter()
        .map(|one| (one["kind"].as_str().unwrap(), one["payment"].as_str().unwrap()))
        .collect();
    assert_eq!(
        found,
        [
            ("amount", "pay_2"),
            ("missing_here", "pay_6"),
            ("missing_here", "pay_7"),
            ("missing_there", "pay_4"),
            ("refund", "pay_3"),
            ("refund", "pay_5"),
        ]
    );
    assert_eq!(differences[1]["case"], case(6).id.as_str(), "found by the payment");
    assert_eq!(first["others"], 1, "what the shop sold");
    let day = &first["days"][0];
    assert_eq!(day["there"]["minor"], 1_001 + 999 + 1_003 + 1_005 + 1_006 + 1_007);
    assert_eq!(day["here"]["minor"], 1_001 + 1_002 + 1_003 + 1_004 + 1_005);
    let second = &told["data"][1];
    assert_eq!((&second["gateway"], &second["compared"]), (&"second".into(), &Value::from(false)));
    assert!(second["why_not"].as_str().unwrap().contains("no list of captures"), "{second}");
    assert_eq!(service.everything().await, before, "it reads only");
    let wrong = format!("/reports/captures?since={}&until={}", at(9), at(8));
    service.api("GET", &wrong, "").await.is_problem(400, "invalid_query");
}

#[tokio::test]
async fn books_that_agree_differ_in_nothing() {
    let service = Service::new(Setup::default());
    service.put(paid(1)).await;
    *service.gateway.captured.lock().unwrap() = Some(vec![capture(1)]);
    let query = format!("?since={}&until={}", at(0), at(8_000));
    let told = service.api("GET", &format!("/reports/captures{query}"), "").await.json();
    assert_eq!(told["data"][0]["differences"], Value::Array(Vec::new()));
    assert_eq!(told["data"][0]["days"][0]["there"], told["data"][0]["days"][0]["here"]);
}

#[tokio::test]
async fn the_payments_file_has_a_line_for_each_capture() {
    let service = books().await;
    let mut elsewhere = paid(9);
    elsewhere.attempts[0].charge.gateway = GatewayId::from("second");
    elsewhere.attempts[0].charge.billing = false;
    elsewhere.customer = Some("=cmd|'/C calc'!A0".to_owned());
    service.put(elsewhere).await;
    let file = service.api("GET", "/payments?format=csv", "").await;
    assert_eq!(file.header("content-type"), "text/csv; charset=utf-8");
    let mut lines = csv::Reader::from_reader(file.text.as_bytes());
    let rows: Vec<Vec<String>> =
        lines.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect();
    assert_eq!(rows.len(), 6, "{}", file.text);
    let row = |n: usize| rows[n].iter().map(String::as_str).collect::<Vec<_>>();
    let ([_, gateway, payment, invoice], [amount, currency, fee, recorded, refunded, kind]) =
        (row(0)[..4].try_into().unwrap(), row(0)[6..].try_into().unwrap());
    assert_eq!([gateway, payment, invoice], ["first", "pay_1", "in_1"]);
    assert_eq!(
        [amount, currency, fee, recorded, refunded, kind],
        ["10.01", "USD", "", "not needed", "no", "attempt"]
    );
    assert_eq!(row(4)[10], "yes", "given back");
    assert_eq!((row(5)[1], row(5)[9]), ("second", "yes"), "told at the billing gateway");
    assert_eq!(row(5)[5], "'=cmd|'/C calc'!A0", "no formula");
    let none = format!("/payments?format=csv&since={}", at(8_000));
    assert_eq!(service.api("GET", &none, "").await.text.lines().count(), 1);
    service.api("GET", "/payments", "").await.is_problem(400, "invalid_query");
}

#[tokio::test]
async fn a_month_is_a_page_to_print() {
    let service = books().await;
    let mut euros = paid(10);
    euros.amount = Money::new(5_000, "EUR".parse().unwrap());
    service.put(euros).await;
    let month = at(0).strftime("%Y-%m").to_string();
    let page = service.api("GET", &format!("/reports/monthly?month={month}"), "").await;
    assert_eq!(page.status, 200);
    for text in [
        "@media print",
        "<h2>USD</h2>",
        "<h2>EUR</h2>",
        "Back, by what brought it",
        "The month is not over.",
        "Given back",
        "€50.00",
    ] {
        assert!(page.text.contains(text), "{text} in {}", page.text);
    }
    assert!(!page.text.contains("<script") && !page.text.contains("cannot be shown"));
    service.api("GET", "/reports/monthly?month=soon", "").await.is_problem(400, "invalid_query");
    let before = service.api("GET", "/reports/monthly?month=2001-01", "").await.text;
    assert!(before.contains("No payment failed."), "{before}");
}
