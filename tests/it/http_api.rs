//! `/api/v1`: who comes in, lists, actions and their idempotency, the test clock.

use std::sync::atomic::Ordering;

use axum::body::Body;
use axum::http::{Request, header};
use recoup::clock::Clock;
use recoup::core::case::{RecoveredBy, State};
use recoup::core::ids::CaseId;
use recoup::store::Store as _;
use serde_json::{Value, json};

use crate::http_samples::case;
use crate::http_support::{Answer, LINK_KEY, Service, Setup, at, methods};

async fn with_authorization(service: &Service, path: &str, value: Option<&str>) -> Answer {
    let mut request = Request::get(path);
    if let Some(value) = value {
        request = request.header(header::AUTHORIZATION, value);
    }
    service.send(request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn nothing_opens_without_the_token() {
    let service = Service::with_cases(1).await;
    let wrong = [
        None,
        Some("Bearer"),
        Some("Bearer x"),
        Some("Basic 0123456789abcdef"),
        Some("0123456789abcdef"),
        Some("Bearer 0123456789abcdef0"),
    ];
    for path in ["/api/v1/cases", "/api/v1/test-clock", "/api/v1/reports/recovery", "/metrics"] {
        for value in wrong {
            let answer = with_authorization(&service, path, value).await;
            answer.is_problem(401, "unauthorized");
            assert!(answer.header("www-authenticate").starts_with("Bearer"), "{path} {value:?}");
        }
        let answer = with_authorization(&service, path, Some("bearer 0123456789abcdef")).await;
        assert_eq!(answer.status, 200, "{path}");
    }
    let closed = Service::new(Setup { admin_token: None, ..Setup::default() });
    for path in ["/api/v1/cases", "/metrics"] {
        for value in [None, Some("Bearer "), Some("Bearer x")] {
            let answer = with_authorization(&closed, path, value).await;
            answer.is_problem(503, "admin_token_not_set");
            assert!(answer.text.contains("admin_token"), "it says how to set it");
        }
    }
}

#[tokio::test]
async fn a_case_has_the_shape_of_the_interface() {
    let service = Service::with_cases(1).await;
    let id = case(1).id;
    let shown = service.api("GET", &format!("/cases/{id}"), "").await.json();
    for (pointer, value) in [
        ("/id", json!(id)),
        ("/state", json!("scheduled")),
        ("/gateway", json!("first")),
        ("/invoice", json!("in_1")),
        ("/customer", json!("cus_1")),
        ("/amount", json!({ "minor": 2901, "currency": "USD", "exponent": 2 })),
        ("/opened_at", json!(at(1))),
        ("/ended_at", Value::Null),
        ("/attempts/0/number", json!(1)),
        ("/attempts/0/gateway", json!("first")),
        ("/attempts/0/outcome", json!("declined")),
        ("/attempts/0/decline/code", json!("insufficient_funds")),
        ("/attempts/0/decline/category", json!("insufficient_funds")),
        ("/attempts/0/decline/advice", json!("none")),
        ("/attempts/0/decision/why", json!("evenly spaced")),
        ("/messages", json!([])),
        ("/next", json!({ "at": at(9), "what": "attempt", "why": "payday" })),
        ("/policy_version", json!("pol_1")),
    ] {
        assert_eq!(shown.pointer(pointer), Some(&value), "{pointer}");
    }
    assert!(!shown.to_string().contains("pm_1"), "no token is shown");
    let ledger = service.api("GET", &format!("/cases/{id}/ledger"), "").await.json();
    assert_eq!(ledger["data"][0]["text"], "opened");
    for path in ["/cases/case_00", "/cases/case_00/ledger"] {
        service.api("GET", path, "").await.is_problem(404, "not_found");
    }
    service.api("POST", "/cases/case_00/retry", "").await.is_problem(404, "not_found");
}

#[tokio::test]
async fn the_list_pages_through_every_case_once() {
    let service = Service::with_cases(7).await;
    let (mut seen, mut after) = (Vec::new(), String::new());
    loop {
        let page = service.api("GET", &format!("/cases?limit=3{after}"), "").await.json();
        let rows = page["data"].as_array().unwrap();
        seen.extend(rows.iter().map(|row| row["invoice"].as_str().unwrap().to_owned()));
        if !page["has_more"].as_bool().unwrap() {
            break;
        }
        assert_eq!(rows.len(), 3);
        after = format!("&starting_after={}", rows[2]["id"].as_str().unwrap());
    }
    let newest_first: Vec<_> = (1..=7).rev().map(|n| format!("in_{n}")).collect();
    assert_eq!(seen, newest_first);
}

#[tokio::test]
async fn the_list_is_filtered_and_a_bad_query_is_400() {
    let service = Service::with_cases(4).await;
    for (query, count) in [
        ("customer=cus_1", 2),
        ("customer=cus_1&state=scheduled", 2),
        ("invoice=in_3", 1),
        ("state=paused", 0),
        ("gateway=second", 0),
        ("gateway=first", 4),
    ] {
        let page = service.api("GET", &format!("/cases?{query}"), "").await.json();
        assert_eq!(page["data"].as_array().unwrap().len(), count, "{query}");
    }
    for (query, parameter) in [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=x", "limit"),
        ("state=open", "state"),
        ("stat=paused", "stat"),
        ("starting_after=case_00", "starting_after"),
        ("limit=1&limit=2", "limit"),
    ] {
        service.api("GET", &format!("/cases?{query}"), "").await.is_about(400, parameter);
    }
}

#[tokio::test]
async fn an_action_is_applied_before_it_is_answered() {
    let service = Service::with_cases(1).await;
    let id = case(1).id;
    for (action, body, state) in [
        ("pause", "", "paused"),
        ("pause", "{\"until\":\"2030-01-31T09:00:00Z\"}", "paused"),
        ("resume", "{}", "scheduled"),
        ("retry", "", "scheduled"),
        ("stop", "{\"reason\":\"moved away\"}", "stopped"),
        ("mark-paid", "", "recovered"),
    ] {
        let answer = service.api("POST", &format!("/cases/{id}/{action}"), body).await;
        assert_eq!((answer.status.as_u16(), answer.json()["state"].as_str()), (200, Some(state)));
    }
    assert_eq!(service.engine.applied.load(Ordering::SeqCst), 6);
    let post = async |action: &str, body: &str| {
        service.api("POST", &format!("/cases/{id}/{action}"), body).await
    };
    post("explode", "").await.is_problem(404, "not_found");
    post("pause", "{\"until\":\"tomorrow\"}").await.is_about(422, "/until");
    post("pause", "{\"untill\":null}").await.is_about(422, "/untill");
    post("retry", "{\"reason\":\"x\"}").await.is_about(422, "/reason");
    post("stop", "{\"reason\":7}").await.is_about(422, "/reason");
    post("stop", "[]").await.is_about(422, "");
    post("stop", "{").await.is_problem(400, "malformed_json");
    assert_eq!(service.engine.applied.load(Ordering::SeqCst), 6, "nothing wrong was applied");
}

#[tokio::test]
async fn a_link_leads_to_its_case() {
    let service = Service::with_cases(1).await;
    let answer = service.api("POST", &format!("/cases/{}/link", case(1).id), "").await.json();
    let url = answer["url"].as_str().unwrap();
    let token = url.strip_prefix("https://pay.nube.example/pay/").unwrap();
    assert_eq!(recoup::http::link::case_of(&LINK_KEY, token), Some(case(1).id));
    assert_eq!(service.get(&format!("/pay/{token}")).await.status, 200);
}

#[tokio::test]
async fn a_customer_is_set_field_by_field() {
    let service = Service::new(Setup::default());
    let body = r#"{"email":"ana@nube.example","phone":"+57 300 123-4567","locale":"es-CO",
        "time_zone":"America/Bogota","channels":["email"],"excluded":false}"#;
    let shown = service.api("PUT", "/customers/cus_9", body).await.json();
    assert_eq!((&shown["id"], &shown["phone"]), (&json!("cus_9"), &json!("+573001234567")));
    let shown = service.api("PUT", "/customers/cus_9", "{\"excluded\":true}").await.json();
    assert_eq!(shown["excluded"], true);
    assert_eq!(shown["email"], "ana@nube.example", "what is absent stays");
    for (body, pointer) in [
        ("{\"email\":\"ana\"}", "/email"),
        ("{\"phone\":\"300\"}", "/phone"),
        ("{\"locale\":\"12\"}", "/locale"),
        ("{\"time_zone\":\"Bogota\"}", "/time_zone"),
        ("{\"channels\":[\"fax\"]}", "/channels"),
        ("{\"excluded\":\"yes\"}", "/excluded"),
        ("{\"emial\":\"a@b.example\"}", "/emial"),
    ] {
        service.api("PUT", "/customers/cus_9", body).await.is_about(422, pointer);
    }
}

#[tokio::test]
async fn payment_methods_are_checked_and_replace_those_of_their_gateways() {
    let service = Service::with_cases(1).await;
    let path = "/customers/cus_1/payment-methods";
    let body = r#"[{"gateway":"second","token":"tok_1","network":"Visa","last4":"4242",
        "exp":"2029-06","fingerprint":"fp","country":"CO","funding":"credit",
        "network_transaction_id":"nti","default":true,"consent":true},
        {"gateway":"second","token":"tok_2","consent":false}]"#;
    let answer = service.api("PUT", path, body).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(answer.json()["data"].as_array().unwrap().len(), 3, "with the one there was");
    let known = methods(&service, "cus_1").await;
    let kept = known.iter().find(|m| m.token() == "tok_1").unwrap();
    assert_eq!(kept.facts.network.as_deref(), Some("visa"));
    assert!(kept.default && kept.consent);
    assert!(!known.iter().find(|m| m.token() == "tok_2").unwrap().consent);
    for (body, pointer) in [
        (r#"[{"gateway":"third","token":"t"}]"#, "/0/gateway"),
        (r#"[{"gateway":"second"}]"#, "/0/token"),
        (r#"[{"gateway":"second","token":""}]"#, "/0/token"),
        (r#"[{"gateway":"second","token":"4242424242424242"}]"#, "/0/token"),
        (r#"[{"gateway":"second","token":"t"},{"token":"u"}]"#, "/1/gateway"),
        (r#"[{"gateway":"second","token":"t","exp":"06/29"}]"#, "/0/exp"),
        (r#"[{"gateway":"second","token":"t","last4":"42"}]"#, "/0/last4"),
        (r#"[{"gateway":"second","token":"t","consent":"no"}]"#, "/0/consent"),
        (r#"[{"gateway":"second","token":"t","cvc":"123"}]"#, "/0/cvc"),
        (r#"{}"#, ""),
        (r#"[7]"#, "/0"),
    ] {
        service.api("PUT", path, body).await.is_about(422, pointer);
    }
    assert_eq!(methods(&service, "cus_1").await, known, "nothing wrong was taken over");
}

#[tokio::test]
async fn the_report_counts_each_currency_by_itself() {
    let service = Service::with_cases(2).await;
    let mut paid = case(3);
    paid.state = State::Recovered;
    paid.recovered_by = Some(RecoveredBy::OtherGateway);
    service.put(paid).await;
    let mut yen = case(4);
    yen.amount.currency = "JPY".parse().unwrap();
    service.put(yen).await;
    let report = service.api("GET", "/reports/recovery", "").await.json();
    assert_eq!((&report["cases"], &report["recovered"]), (&json!(4), &json!(1)));
    let dollars = report["currencies"].as_array().unwrap().iter();
    let dollars = dollars.clone().find(|c| c["currency"] == "USD").unwrap();
    assert_eq!(dollars["failed"]["count"], 3);
    assert_eq!(dollars["failed"]["amount"]["minor"], 2901 + 2902 + 2903);
    assert_eq!(dollars["recovered"]["amount"]["minor"], 2903);
    assert_eq!(dollars["recovered_by"]["other_gateway"]["count"], 1);
    assert_eq!(dollars["by_state"]["scheduled"]["count"], 2);
}

#[tokio::test]
async fn the_test_clock_goes_forward_only() {
    let service = Service::new(Setup::default());
    let now = async || service.api("GET", "/test-clock", "").await.json()["now"].clone();
    let advance = async |body: &str| service.api("POST", "/test-clock/advance", body).await;
    assert_eq!(now().await, json!(at(0)));
    assert_eq!(advance("{\"by_seconds\":60}").await.json()["now"], json!(at(60)));
    let to = json!({ "to": at(60) }).to_string();
    assert_eq!(advance(&to).await.status, 200, "to now");
    let to = json!({ "to": at(59) }).to_string();
    advance(&to).await.is_about(422, "/to");
    advance("{\"by_seconds\":-1}").await.is_about(422, "/by_seconds");
    advance("{\"by_seconds\":9223372036854775807}").await.is_about(422, "/by_seconds");
    advance("{}").await.is_about(422, "/to");
    advance("{\"to\":\"soon\"}").await.is_about(422, "/to");
    assert_eq!(now().await, json!(at(60)));
}

#[tokio::test]
async fn the_clock_of_the_machine_cannot_be_moved() {
    let service = Service::new(Setup { clock: Clock::System, ..Setup::default() });
    service.api("GET", "/test-clock", "").await.is_problem(404, "not_found");
    let answer = service.api("POST", "/test-clock/advance", "{\"by_seconds\":1}").await;
    answer.is_problem(409, "no_test_clock");
}

#[tokio::test]
async fn a_store_that_refuses_is_503_for_an_action_too() {
    let service = Service::with_cases(1).await;
    service.store.close().await.unwrap();
    let answer = service.api("POST", &format!("/cases/{}/pause", case(1).id), "").await;
    answer.is_problem(503, "store_unavailable");
    service.store.restart();
    let kept = service.store.case(&CaseId::from(case(1).id.as_str())).await.unwrap().unwrap();
    assert_eq!(kept.state, State::Scheduled);
}
