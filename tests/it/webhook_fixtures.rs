//! What webhook bodies are parsed to: our own fixtures with the events beside them, damage, and the
//! real payloads where they are at hand.
//!
//! `RECOUP_BLESS=1` writes the `*.events.json` anew; read the difference before it is committed.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use proptest::prelude::*;
use recoup::core::decline::{Advice, Category};
use recoup::core::event::{Event, EventKind, NativeRetry};
use recoup::gateway::{self, MalformedBody, WebhookRequest};
use serde_json::{Value, json};

/// The kinds whose bodies are JSON.
const KINDS: &[&str] = &["stripe", "adyen", "mercadopago", "wompi", "checkout", "http"];

fn parse(kind: &str, body: &[u8]) -> Result<Vec<Event>, MalformedBody> {
    let headers = vec![("webhook-id".to_owned(), "msg_made_1".to_owned())];
    let request = WebhookRequest { body, headers: &headers, url: None, now: Timestamp::UNIX_EPOCH };
    (gateway::kind(kind).unwrap().parse)(&request)
}

fn parse_one(kind: &str, body: &Value) -> Event {
    parse(kind, body.to_string().as_bytes()).unwrap().remove(0)
}

/// The events with what the interface does not print.
fn whole(events: &[Event]) -> Value {
    let with_more = events.iter().map(|event| {
        let mut value = serde_json::to_value(event).unwrap();
        value["contact"] = serde_json::to_value(&event.contact).unwrap();
        value["description"] = json!(event.description);
        if event.customer_present {
            value["customer_present"] = json!(true);
        }
        value["idempotency_key"] = json!(event.idempotency_key);
        if let Some(name) = &event.stands_for_invoice {
            value["stands_for_invoice"] = json!(name);
        }
        value
    });
    Value::Array(with_more.collect())
}

fn own(kind: &str) -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/webhooks").join(kind);
    let mut files: Vec<PathBuf> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| !path.to_string_lossy().ends_with(".events.json"))
        .collect();
    files.sort();
    files
}

/// A fixture as it arrives: XML as the form that Braintree sends it in.
fn arrived(file: &Path) -> Vec<u8> {
    let bytes = std::fs::read(file).unwrap();
    if file.extension().is_some_and(|extension| extension == "xml") {
        return crate::braintree::form(&bytes);
    }
    bytes
}

#[test]
fn our_fixtures_parse_to_the_events_beside_them() {
    for kind in KINDS.iter().copied().chain(["braintree"]) {
        let files = own(kind);
        assert!(files.len() >= 8, "{kind} has too few fixtures");
        for file in files {
            let events = whole(&parse(kind, &arrived(&file)).unwrap());
            let beside = file.with_extension("events.json");
            if std::env::var_os("RECOUP_BLESS").is_some() {
                std::fs::write(&beside, format!("{events:#}\n")).unwrap();
            }
            let wanted: Value = serde_json::from_slice(&std::fs::read(&beside).unwrap()).unwrap();
            assert_eq!(events, wanted, "{}", file.display());
        }
    }
}

fn invoice_failed(invoice: Value) -> Event {
    parse_one(
        "stripe",
        &json!({
            "id": "evt_1", "object": "event", "type": "invoice.payment_failed",
            "created": 1795200000, "data": {"object": invoice},
        }),
    )
}

fn invoice(amount: Value, currency: Value) -> Value {
    json!({"id": "in_1", "object": "invoice", "amount_remaining": amount, "currency": currency})
}

#[test]
fn a_bad_amount_costs_the_amount_and_nothing_else() {
    for amount in [
        json!(-1),
        json!(29.5),
        json!("2900"),
        json!(9_007_199_254_740_993_i64),
        json!(1e300),
        Value::Null,
    ] {
        let event = invoice_failed(invoice(amount.clone(), json!("usd")));
        assert_eq!((event.amount, event.invoice.as_deref()), (None, Some("in_1")), "{amount}");
    }
    for currency in [json!("xxq"), json!(""), json!(7), Value::Null] {
        let event = invoice_failed(invoice(json!(2900), currency.clone()));
        assert_eq!(event.amount, None, "{currency}");
    }
}

#[test]
fn the_native_retry_is_planned_none_or_unknown() {
    let read = |invoice: Value| invoice_failed(invoice).native_retry;
    assert_eq!(read(json!({"id": "in_1", "object": "invoice"})), None);
    assert_eq!(
        read(json!({"id": "in_1", "object": "invoice", "next_payment_attempt": null})),
        Some(NativeRetry::None)
    );
    assert_eq!(
        read(json!({"id": "in_1", "object": "invoice", "next_payment_attempt": 1795459200})),
        Some(NativeRetry::Planned)
    );
    assert_eq!(
        read(json!({"id": "in_1", "object": "invoice", "next_payment_attempt": "soon"})),
        None
    );
}

#[test]
fn a_refund_counts_what_this_event_gave_back() {
    let refunded = |charge: Value, previous: Value| {
        let event = parse_one(
            "stripe",
            &json!({"id": "evt_1", "object": "event", "type": "charge.refunded",
                "data": {"object": charge, "previous_attributes": previous}}),
        );
        (event.kind, event.amount.map(|amount| amount.minor))
    };
    let charge = |whole: bool, sum: i64| {
        json!({
            "id": "ch_1", "object": "charge", "currency": "usd", "amount": 2900,
            "amount_refunded": sum, "refunded": whole, "invoice": "in_1",
        })
    };
    let part = EventKind::PartiallyRefunded;
    assert_eq!(refunded(charge(false, 1500), json!({"amount_refunded": 500})), (part, Some(1000)));
    assert_eq!(
        refunded(charge(true, 2900), json!({"amount_refunded": 0})),
        (EventKind::Refunded, Some(2900))
    );
    assert_eq!(
        refunded(charge(true, 2900), json!({"amount_refunded": 2400})),
        (EventKind::Refunded, Some(500))
    );
    assert_eq!(refunded(charge(false, 1500), Value::Null), (part, Some(1500)));
    let mut listed = charge(false, 1500);
    listed["refunds"] =
        json!({"data": [{"amount": 500, "created": 1}, {"amount": 1000, "created": 2}]});
    assert_eq!(refunded(listed, Value::Null), (part, Some(1000)));
}

#[test]
fn on_success_there_is_no_decline() {
    let event = parse_one(
        "stripe",
        &json!({
            "id": "evt_1", "object": "event", "type": "payment_intent.succeeded",
            "data": {"object": {
                "id": "pi_1", "object": "payment_intent", "amount": 2900, "amount_received": 2900,
                "currency": "usd", "last_payment_error": {"decline_code": "insufficient_funds"},
            }},
        }),
    );
    assert_eq!((event.kind, event.decline), (EventKind::PaymentSucceeded, None));
    let fetch = event.needs_fetch.unwrap();
    assert_eq!((fetch.object.as_str(), fetch.id.as_str()), ("invoice_payment", "pi_1"));
}

#[test]
fn bodies_that_are_no_events_are_malformed() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let nested = format!(
        r#"{{"id":"e","type":"t","data":{{"object":{}1{}}}}}"#,
        "[".repeat(200),
        "]".repeat(200)
    );
    let bodies: [&[u8]; 13] = [
        b"",
        b"null",
        b"[]",
        b"\"x\"",
        b"{",
        b"{}x",
        b"\xff\xfe",
        br#"{"id":"e"}"#,
        br#"{"id":"e","type":7,"data":{"object":{}}}"#,
        br#"{"id":"e","type":"t","object":"event","data":{"object":"in_1"}}"#,
        br#"{"id":"in_1","object":"invoice","type":"x","data":{"object":{}}}"#,
        deep.as_bytes(),
        nested.as_bytes(),
    ];
    for body in bodies {
        for &kind in KINDS {
            assert!(
                parse(kind, body).is_err() || (kind != "stripe" && body.len() < 100),
                "{kind} {body:?}"
            );
        }
    }
    for body in [
        &b"{}"[..],
        br#"{"type":"invoice.paid"}"#,
        br#"{"type":"invoice.paid","data":[]}"#,
        br#"{"data":{}}"#,
    ] {
        assert!(parse("http", body).is_err(), "{body:?}");
    }
}

#[test]
fn an_http_event_without_its_header_has_no_id() {
    let request = WebhookRequest {
        body: br#"{"type":"invoice.paid","data":{}}"#,
        headers: &[],
        url: None,
        now: Timestamp::UNIX_EPOCH,
    };
    assert_eq!((gateway::kind("http").unwrap().parse)(&request).unwrap()[0].id, "");
    assert!(gateway::kind("no-such-kind").is_none());
}

#[test]
fn pointers_without_what_they_need_are_malformed() {
    let deep = format!(r#"{{"type":"payment","x":{}1{}}}"#, "[".repeat(200), "]".repeat(200));
    let bodies: [&[u8]; 8] = [
        b"",
        b"{}",
        b"[]",
        b"{\"type\":\"payment\"}",
        b"{\"type\":7,\"data\":{\"id\":\"1\"}}",
        b"{\"event\":\"transaction.updated\",\"data\":{}}",
        b"{\"event\":\"transaction.updated\",\"data\":{\"transaction\":{\"id\":{}}}}",
        deep.as_bytes(),
    ];
    for body in bodies {
        for kind in ["mercadopago", "wompi"] {
            assert!(parse(kind, body).is_err(), "{kind} {}", String::from_utf8_lossy(body));
        }
    }
    let long = "9".repeat(1024 * 1024);
    let body = json!({"type": "payment", "id": long, "data": {"id": long}});
    assert_eq!(parse_one("mercadopago", &body).needs_fetch.unwrap().id.len(), long.len());
}

#[test]
fn the_query_of_the_address_is_believed_before_the_body() {
    let headers = vec![(gateway::KEPT_QUERY.to_owned(), "type=payment&data.id=77".to_owned())];
    let body = br#"{"id":1,"type":"payment","data":{"id":"66"}}"#;
    let request = WebhookRequest { body, headers: &headers, url: None, now: Timestamp::UNIX_EPOCH };
    let event = (gateway::kind("mercadopago").unwrap().parse)(&request).unwrap().remove(0);
    assert_eq!(event.needs_fetch.unwrap().id, "77");
    assert_eq!((event.id.as_str(), event.payment.as_deref()), ("1", Some("77")));
}

fn mutate(value: &mut Value, path: &[usize], with: &Value) {
    let children: Vec<&mut Value> = match value {
        Value::Object(map) => map.values_mut().collect(),
        Value::Array(list) => list.iter_mut().collect(),
        _ => vec![],
    };
    let count = children.len();
    match path {
        [first, rest @ ..] if count > 0 => {
            mutate(children.into_iter().nth(first % count).unwrap(), rest, with);
        }
        _ => *value = with.clone(),
    }
}

fn strange() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        Just(json!([])),
        Just(json!({})),
        Just(json!(true)),
        Just(json!("")),
        any::<i64>().prop_map(|n| json!(n)),
        any::<f64>().prop_map(|n| json!(n)),
        any::<u64>().prop_map(|n| json!(n)),
        "\\PC{0,12}".prop_map(Value::String),
        Just(json!([{"id": {"id": []}}, 1.5, "x"])),
    ]
}

fn config() -> ProptestConfig {
    ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn no_changed_body_panics(
        path in proptest::collection::vec(0..40_usize, 0..8),
        with in strange(),
        cut in any::<prop::sample::Index>(),
    ) {
        for &kind in KINDS {
            for file in own(kind) {
                let bytes = std::fs::read(file).unwrap();
                let mut value: Value = serde_json::from_slice(&bytes).unwrap();
                mutate(&mut value, &path, &with);
                let _ = parse(kind, value.to_string().as_bytes());
                let _ = parse(kind, &bytes[..cut.index(bytes.len())]);
            }
        }
    }

    #[test]
    fn no_bytes_panic(body in proptest::collection::vec(any::<u8>(), 0..300)) {
        for &kind in KINDS {
            let _ = parse(kind, &body);
        }
    }
}

fn checkout(name: &str, data: Value) -> Event {
    let body = json!({
        "id": "evt_1", "type": name, "created_on": "2026-11-20T18:40:00Z", "data": data,
    });
    parse_one("checkout", &body)
}

#[test]
fn checkout_events_go_by_their_name() {
    use EventKind as K;
    for (name, kind) in [
        ("payment_declined", K::PaymentFailed),
        ("payment_retry_scheduled", K::PaymentFailed),
        ("payment_capture_declined", K::PaymentFailed),
        ("payment_expired", K::PaymentFailed),
        ("payment_canceled", K::PaymentFailed),
        ("payment_approved", K::Other),
        ("payment_captured", K::PaymentSucceeded),
        ("payment_pending", K::PaymentUnknown),
        ("payment_refunded", K::Refunded),
        ("payment_refund_declined", K::Other),
        ("payment_voided", K::Refunded),
        ("dispute_evidence_required", K::Disputed),
        ("dispute_lost", K::DisputeClosed),
        ("dispute_something_new", K::Other),
        ("source_updated", K::PaymentMethodUpdated),
        ("card_verified", K::Other),
        ("account_updater_card_updated", K::PaymentMethodUpdated),
        ("payment", K::Other),
    ] {
        let event = checkout(name, json!({"id": "pay_1"}));
        assert_eq!(event.kind, kind, "{name}");
        assert_eq!(event.needs_fetch, None, "{name}");
    }
}

#[test]
fn a_checkout_body_with_bad_fields_loses_only_those() {
    for amount in [json!(-1), json!(29.5), json!("2900"), json!(1e300), Value::Null] {
        let event = checkout(
            "payment_declined",
            json!({"id": "pay_1", "reference": "inv-1", "amount": amount, "currency": "EUR"}),
        );
        assert_eq!((event.amount, event.invoice.as_deref()), (None, Some("inv-1")), "{amount}");
        assert_eq!(event.decline, None, "no reason was told");
    }
    let mut long = json!({"id": "pay_1", "response_code": "20051", "reference": 7});
    long["source"] = json!({"last_4": "4242424242424242", "scheme": "v".repeat(1024 * 1024)});
    let event = checkout("payment_declined", long);
    assert_eq!(event.payment_method.unwrap().last4, None);
    assert_eq!(event.decline.unwrap().code.as_deref(), Some("20051"));
}

/// Real payloads beside the repository, where they are.
fn beside(name: &str) -> Option<Event> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/fixtures/stripe").join(name);
    Some(parse("stripe", &std::fs::read(path).ok()?).unwrap().remove(0))
}

#[test]
fn real_invoices_of_every_shape() {
    let Some(event) = beside("derived.event.basil.invoice.payment_failed.json") else { return };
    assert_eq!(event.subscription.as_deref(), Some("sub_1234"));
    assert_eq!(event.amount.unwrap().to_string(), "249.00 USD");
    assert_eq!(event.native_retry, Some(NativeRetry::Planned));
    assert_eq!(event.needs_fetch.unwrap().object, "invoice");
    assert_eq!(event.contact.country.as_deref(), Some("US"));
    let last = beside("derived.event.basil.invoice.payment_failed.attempt4_last.json").unwrap();
    assert_eq!((last.attempt_count, last.native_retry), (Some(4), Some(NativeRetry::None)));
    let old = beside("derived.event.acacia.invoice.payment_failed.json").unwrap();
    assert_eq!(old.payment.as_deref(), Some("pi_3TfxAB2eZvKYlo2C0abcd123"));
    assert_eq!(old.subscription.as_deref(), Some("sub_1234"));
    for (currency, shown) in [
        ("isk", "2900 ISK"),
        ("ugx", "2900 UGX"),
        ("clp", "29000 CLP"),
        ("jpy", "2900 JPY"),
        ("kwd", "29.000 KWD"),
        ("cop", "29000.00 COP"),
    ] {
        let event = beside(&format!("derived.event.basil.invoice.payment_failed.{currency}.json"));
        assert_eq!(event.unwrap().amount.unwrap().to_string(), shown);
    }
    for (file, kind) in [
        ("derived.event.basil.invoice.paid.json", EventKind::PaymentSucceeded),
        ("derived.event.basil.invoice.voided.json", EventKind::InvoiceVoided),
        ("derived.event.basil.invoice.marked_uncollectible.json", EventKind::InvoiceUncollectible),
        ("derived.event.acacia.invoice.payment_action_required.json", EventKind::ActionRequired),
        ("sse.invoice_paid.json", EventKind::PaymentSucceeded),
        ("sse.invoice_payment_paid.json", EventKind::PaymentSucceeded),
        ("sse.charge_dispute_created.json", EventKind::Disputed),
        ("sse.charge_refunded.json", EventKind::Refunded),
        ("sse.refund_failed.json", EventKind::Other),
        ("sse.early_fraud_warning_created.json", EventKind::Other),
        ("sse.payment_intent_payment_failed.json", EventKind::PaymentFailed),
        ("sse.payment_intent_requires_action.json", EventKind::ActionRequired),
        ("sse.payment_method_attached.json", EventKind::PaymentMethodUpdated),
        ("sse.payment_method_automatically_updated.json", EventKind::PaymentMethodUpdated),
        ("sse.setup_intent_succeeded.json", EventKind::PaymentMethodUpdated),
        ("sse.setup_intent_setup_failed.json", EventKind::Other),
        ("sse.subscription_deleted.json", EventKind::SubscriptionCancelled),
        ("sse.subscription_updated.json", EventKind::SubscriptionUpdated),
    ] {
        assert_eq!(beside(file).unwrap().kind, kind, "{file}");
    }
}

#[test]
fn real_charges_give_the_specific_reason() {
    use Category as C;
    for (word, category, advice) in [
        ("authentication_required", C::AuthenticationRequired, Advice::Authenticate),
        ("card_velocity_exceeded", C::LimitExceeded, Advice::RetryAfter),
        ("do_not_honor", C::GenericDecline, Advice::RetryAfter),
        ("expired_card", C::CredentialOutdated, Advice::UpdateCredentials),
        ("fraudulent", C::FraudSuspected, Advice::Never),
        ("generic_decline", C::GenericDecline, Advice::RetryAfter),
        ("incorrect_cvc", C::InvalidCardData, Advice::UpdateCredentials),
        ("insufficient_funds", C::InsufficientFunds, Advice::RetryAfter),
        ("lost_card", C::LostOrStolen, Advice::Never),
        ("pickup_card", C::LostOrStolen, Advice::Never),
        ("processing_error", C::ProcessingError, Advice::RetryAfter),
        ("revocation_of_authorization", C::ConsentRevoked, Advice::Never),
        ("stolen_card", C::LostOrStolen, Advice::Never),
        ("transaction_not_allowed", C::NotPermitted, Advice::Never),
    ] {
        let Some(event) = beside(&format!("derived.event.charge.failed.{word}.json")) else {
            return;
        };
        let decline = event.decline.unwrap();
        assert_eq!(decline.code.as_deref(), Some(word));
        assert_eq!((decline.category, decline.advice), (category, advice), "{word}");
        assert_eq!(event.needs_fetch, None, "the charge of 2020 names its invoice");
    }
}
