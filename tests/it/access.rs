//! Who may do what: tokens with scopes, the metrics' own token, and the list of who did it.
//!
//! What must stay true: every route asks for its role, and a caller without it changes nothing;
//! what was done is in the audit list once; a token is known by its digest alone.

use axum::body::Body;
use axum::http::{Request, header};
use recoup::store::Store as _;
use serde_json::{Value, json};

use crate::http_samples::case;
use crate::http_support::{Answer, Service, Setup, TOKEN};

/// Asks with this token.
async fn ask(service: &Service, token: &str, method: &str, path: &str, body: &str) -> Answer {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::AUTHORIZATION, format!("Bearer {token}"));
    service.send(request.body(Body::from(body.to_owned())).unwrap()).await
}

/// A new token with this scope.
async fn token(service: &Service, name: &str, scopes: &[&str]) -> String {
    let body = json!({ "name": name, "scopes": scopes }).to_string();
    let made = service.api("POST", "/tokens", &body).await;
    assert_eq!(made.status, 200, "{}", made.text);
    made.json()["token"].as_str().unwrap().to_owned()
}

/// The audit list, oldest first: who, what, about, outcome.
async fn audit(service: &Service) -> Vec<String> {
    let list = service.api("GET", "/audit?limit=100", "").await.json();
    let mut lines: Vec<_> = list["data"].as_array().unwrap().iter().map(line).collect();
    lines.reverse();
    lines
}

fn line(entry: &Value) -> String {
    let text = |name: &str| entry[name].as_str().unwrap_or("-").to_owned();
    ["who", "via", "what", "about", "outcome"].map(text).join(" ")
}

#[tokio::test]
async fn a_token_opens_what_its_scope_says_and_no_more() {
    let service = Service::with_cases(2).await;
    let read = token(&service, "reader", &["read"]).await;
    let write = token(&service, "writer", &["write"]).await;
    let admin = token(&service, "boss", &["admin"]).await;
    let one = case(1).id;
    let before = service.store.case(&one).await.unwrap();
    let pause = format!("/api/v1/cases/{one}/pause");
    assert_eq!(ask(&service, &read, "GET", "/api/v1/cases", "").await.status, 200);
    let refused = ask(&service, &read, "POST", &pause, "").await;
    refused.is_problem(403, "forbidden");
    assert!(refused.text.contains("`write`") && refused.text.contains("reader"));
    assert_eq!(service.store.case(&one).await.unwrap(), before, "nothing was done");
    assert_eq!(ask(&service, &write, "POST", &pause, "").await.status, 200);
    // Money that came elsewhere, and who may come in, is an admin's business.
    let paid = format!("/api/v1/cases/{one}/mark-paid");
    ask(&service, &write, "POST", &paid, "").await.is_problem(403, "forbidden");
    for (method, path) in [("GET", "tokens"), ("POST", "tokens"), ("GET", "audit")] {
        let path = format!("/api/v1/{path}");
        ask(&service, &write, method, &path, "").await.is_problem(403, "forbidden");
    }
    assert_eq!(ask(&service, &admin, "POST", &paid, "").await.status, 200);
    assert_eq!(
        audit(&service).await,
        [
            "admin token api tokens.add - done".to_owned(),
            "admin token api tokens.add - done".to_owned(),
            "admin token api tokens.add - done".to_owned(),
            format!("reader api cases.pause {one} refused"),
            format!("writer api cases.pause {one} done"),
            format!("writer api cases.mark-paid {one} refused"),
            "writer api tokens.add - refused".to_owned(),
            format!("boss api cases.mark-paid {one} done"),
        ]
    );
}

/// Every operation that is described, with its least scope.
fn operations() -> Vec<(String, String, String)> {
    let document = recoup::http::openapi();
    let mut all = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let scope = operation["security"][0]["token"][0].as_str().unwrap();
            let path = path.replace("{action}", "retry").replace(['{', '}'], "");
            all.push((method.to_uppercase(), path, scope.to_owned()));
        }
    }
    all
}

#[tokio::test]
async fn every_route_asks_for_the_scope_that_the_description_names() {
    let service = Service::with_cases(1).await;
    let names = ["metrics", "read", "write", "admin"];
    let mut tokens = Vec::new();
    for name in names {
        tokens.push(token(&service, name, &[name]).await);
    }
    let operations = operations();
    assert!(operations.len() > 30, "{operations:?}");
    for (method, path, needed) in &operations {
        let needed = names.iter().position(|name| name == needed).unwrap();
        for (rank, token) in tokens.iter().enumerate().take(needed) {
            let answer = ask(&service, token, method, path, "").await;
            assert_eq!(answer.status, 403, "{method} {path} with {}", names[rank]);
        }
        if path.ends_with("advance") {
            continue;
        }
        let answer = ask(&service, &tokens[needed], method, path, "").await;
        assert!(![401, 403].contains(&answer.status.as_u16()), "{method} {path}: {}", answer.text);
    }
    let changes = operations.iter().filter(|(method, ..)| method != "GET");
    let open: Vec<_> = changes.filter(|(.., scope)| scope == "read").collect();
    assert_eq!(open.len(), 1, "only trying a policy is a change that is none: {open:?}");
}

#[tokio::test]
async fn a_token_is_shown_once_and_ends_when_it_is_revoked() {
    let service = Service::with_cases(1).await;
    let secret = token(&service, "billing", &["write", "read", "read"]).await;
    let stored = format!("{:?}", service.everything().await);
    assert!(!stored.contains(&secret), "only a digest is stored");
    let list = service.api("GET", "/tokens", "").await;
    assert!(!list.text.contains(&secret), "{}", list.text);
    let one = &list.json()["data"][0];
    assert_eq!(one["scopes"], json!(["read", "write"]));
    assert!(secret.starts_with(one["prefix"].as_str().unwrap()) && one["last_used_at"].is_null());
    assert_eq!(ask(&service, &secret, "GET", "/api/v1/cases", "").await.status, 200);
    let used = service.api("GET", "/tokens", "").await.json();
    assert!(used["data"][0]["last_used_at"].is_string(), "{used}");
    for wrong in [
        json!({ "name": "billing", "scopes": ["read"] }),
        json!({ "name": "x", "scopes": [] }),
        json!({ "name": "x", "scopes": ["everything"] }),
        json!({ "name": "x" }),
        json!({ "name": " ", "scopes": ["read"] }),
        json!({ "name": "<b>", "scopes": ["read"] }),
        json!({ "name": "x", "scopes": ["read"], "more": 1 }),
    ] {
        let answer = service.api("POST", "/tokens", &wrong.to_string()).await;
        assert!([409, 422].contains(&answer.status.as_u16()), "{wrong}: {}", answer.text);
    }
    assert_eq!(service.api("DELETE", "/tokens/billing", "").await.status, 200);
    let gone = ask(&service, &secret, "GET", "/api/v1/cases", "").await;
    gone.is_problem(401, "unauthorized");
    service.api("DELETE", "/tokens/billing", "").await.is_problem(404, "not_found");
}

#[tokio::test]
async fn the_metrics_have_a_token_of_their_own() {
    let only = "metrics-0123456789abcdef";
    let service = Service::new(Setup { metrics_token: Some(only), ..Setup::default() });
    let scraper = token(&service, "prometheus", &["metrics"]).await;
    let reader = token(&service, "reader", &["read"]).await;
    for token in [only, TOKEN, &scraper] {
        assert_eq!(ask(&service, token, "GET", "/metrics", "").await.status, 200, "{token}");
    }
    ask(&service, &reader, "GET", "/metrics", "").await.is_problem(403, "forbidden");
    ask(&service, "wrong", "GET", "/metrics", "").await.is_problem(401, "unauthorized");
    ask(&service, only, "GET", "/api/v1/cases", "").await.is_problem(401, "unauthorized");
    ask(&service, &scraper, "GET", "/api/v1/cases", "").await.is_problem(403, "forbidden");
    // With nothing but a token for the metrics, they are open to it.
    let setup = Setup { admin_token: None, metrics_token: Some(only), ..Setup::default() };
    let closed = Service::new(setup);
    assert_eq!(ask(&closed, only, "GET", "/metrics", "").await.status, 200);
    closed.get("/metrics").await.is_problem(401, "unauthorized");
}

#[tokio::test]
async fn what_cannot_be_is_told_and_the_audit_list_turns_pages() {
    let service = Service::with_cases(1).await;
    for n in 0..5 {
        token(&service, &format!("t{n}"), &["read"]).await;
    }
    let first = service.api("GET", "/audit?limit=3", "").await.json();
    let last = first["data"][2]["id"].as_str().unwrap();
    let second = service.api("GET", &format!("/audit?limit=3&starting_after={last}"), "").await;
    let second = second.json();
    assert_eq!((&first["has_more"], &second["has_more"]), (&json!(true), &json!(false)));
    assert_eq!(second["data"].as_array().unwrap().len(), 2);
    let wrong = service.api("GET", "/audit?starting_after=aud_0", "").await;
    wrong.is_about(400, "starting_after");
    service.api("GET", "/audit?what=x", "").await.is_about(400, "what");
}

#[tokio::test]
async fn an_idempotency_key_is_its_callers_own_and_keeps_no_secret() {
    let service = Service::with_cases(1).await;
    let write = token(&service, "writer", &["write"]).await;
    let read = token(&service, "reader", &["read"]).await;
    let path = format!("/cases/{}/link", case(1).id);
    let mine = service.api_with("POST", &path, "", Some("k1")).await;
    assert_eq!(mine.status, 200, "{}", mine.text);
    let again = async |token: &str| {
        let request = Request::post(format!("/api/v1{path}"))
            .header(header::AUTHORIZATION, format!("Bearer {token}"))
            .header("idempotency-key", "k1");
        service.send(request.body(Body::empty()).unwrap()).await
    };
    again(&read).await.is_problem(403, "forbidden");
    let theirs = again(&write).await;
    assert_eq!((theirs.status.as_u16(), theirs.header("idempotent-replayed")), (200, ""));
    let body = json!({ "name": "once", "scopes": ["read"] }).to_string();
    let made = service.api_with("POST", "/tokens", &body, Some("k2")).await;
    let secret = made.json()["token"].as_str().unwrap().to_owned();
    let kept = format!("{:?}", service.everything().await);
    assert!(!kept.contains(&secret), "the answer is not kept under its key");
    let twice = service.api_with("POST", "/tokens", &body, Some("k2")).await;
    twice.is_problem(409, "token_exists");
}
