//! What an attacker, a scanner, or somebody's mistake must not get: a page without strict headers,
//! a session at each click, a card number in the store.

use std::collections::BTreeSet;
use std::path::Path;

use axum::body::Body;
use axum::http::Request;
use recoup::http::link;
use serde_json::json;

use crate::death::World;
use crate::http_samples::case;
use crate::http_support::{Answer, LINK_KEY, Service, TOKEN};

/// Every path of the router, as the sources name them, with its parameters filled in.
fn every_path() -> BTreeSet<String> {
    let mut paths = BTreeSet::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            if entry.path().is_dir() {
                folders.push(entry.path());
            } else if entry.path().extension().is_some_and(|extension| extension == "rs") {
                let source = std::fs::read_to_string(entry.path()).unwrap();
                for after in source.split(".route(").skip(1) {
                    let quoted = after.trim_start().strip_prefix('"');
                    let path = quoted.and_then(|rest| rest.split('"').next());
                    paths.extend(path.map(filled));
                }
            }
        }
    }
    paths
}

fn filled(path: &str) -> String {
    path.replace("{token}", &link::token_for(&LINK_KEY, &case(1).id))
        .replace("{gateway}", "first")
        .replace("{channel}", "email")
        .replace("{action}", "pause")
        .replace("{id}", case(1).id.as_str())
        .replace(['{', '}'], "")
}

fn is_strict(answer: &Answer, what: &str) {
    for (name, value) in [
        ("referrer-policy", "no-referrer"),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("cross-origin-opener-policy", "same-origin"),
        ("strict-transport-security", "max-age=31536000"),
    ] {
        assert_eq!(answer.header(name), value, "{what}: {name}");
    }
    assert!(answer.header("x-robots-tag").contains("noindex"), "{what}");
    assert!(answer.header("permissions-policy").contains("payment=()"), "{what}");
    let policy = answer.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'"), "{what}: {policy}");
    assert!(policy.contains("frame-ancestors 'none'"), "{what}: {policy}");
    assert!(!policy.contains("unsafe-eval") && !policy.contains("script-src *"), "{what}");
    let scripts = policy.split(';').find(|part| part.trim().starts_with("script-src"));
    assert!(scripts.is_none_or(|scripts| !scripts.contains("unsafe")), "{what}: {policy}");
    let kind = answer.headers.get("content-type").map_or("", |kind| kind.to_str().unwrap());
    let is_asset = ["text/css", "text/javascript", "image/"].iter().any(|it| kind.contains(it));
    if !is_asset {
        assert!(answer.header("cache-control").contains("no-store"), "{what}: {kind}");
    }
}

#[tokio::test]
async fn every_answer_of_every_route_has_strict_headers() {
    let service = Service::with_cases(1).await;
    let paths = every_path();
    assert!(paths.len() > 30 && paths.contains("/login"), "the routes have moved: {paths:?}");
    for path in paths.iter().map(String::as_str).chain(["/nothing/here", "/pay/wrong"]) {
        for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"] {
            for token in [None, Some(TOKEN)] {
                let mut request = Request::builder().method(method).uri(path);
                if let Some(token) = token {
                    request = request.header("authorization", format!("Bearer {token}"));
                }
                let answer = service.send(request.body(Body::empty()).unwrap()).await;
                is_strict(&answer, &format!("{method} {path}"));
            }
        }
    }
}

#[tokio::test]
async fn a_scanner_that_presses_everything_fifty_times_leaves_the_link_to_its_owner() {
    let service = Service::with_cases(1).await;
    let link = format!("/pay/{}", link::token_for(&LINK_KEY, &case(1).id));
    for _ in 0..50 {
        for method in ["HEAD", "GET"] {
            let request = Request::builder().method(method).uri(&link);
            assert_eq!(service.send(request.body(Body::empty()).unwrap()).await.status, 200);
        }
        assert_eq!(service.form(&format!("{link}/update-card"), "", None).await.status, 303);
    }
    // Then the one whom it is for.
    let page = service.get(&link).await;
    assert!(page.status == 200 && page.text.contains("update-card"), "{}", page.text);
    let door = service.form(&format!("{link}/update-card"), "", None).await;
    assert_eq!(door.status, 303);
    assert!(door.header("location").starts_with("https://gateway.example/s/"));
    let sessions = service.gateway.sessions.lock().unwrap().len();
    assert_eq!(sessions, 1, "one session at the gateway in half an hour");
}

const CARD: &str = "4242424242424242";

/// A body that brings in a card number in one of the ways in which people write one.
fn mistakes() -> Vec<(&'static str, String)> {
    vec![
        ("name", json!({ "name": format!("Ana {CARD}") }).to_string()),
        ("in groups", json!({ "name": "4242 4242 4242 4242" }).to_string()),
        ("with dashes", json!({ "tags": ["4242-4242-4242-4242"] }).to_string()),
        ("escaped", json!({ "name": CARD }).to_string().replace('2', "\\u0032")),
        ("a number", "{\"phone\": 4242424242424242}".to_owned()),
    ]
}

/// With the admin token.
async fn send(service: &Service, method: &str, path: &str, body: &str) -> Answer {
    let request = Request::builder().method(method).uri(path);
    let request = request.header("authorization", format!("Bearer {TOKEN}"));
    service.send(request.body(Body::from(body.to_owned())).unwrap()).await
}

#[tokio::test]
async fn no_request_brings_in_a_card_number() {
    let service = Service::with_cases(1).await;
    let before = service.everything().await;
    for path in every_path().iter().filter(|path| !path.starts_with("/webhooks")) {
        for (how, body) in mistakes() {
            let open = ["/callbacks", "/livez", "/healthz", "/readyz", "/metrics"];
            if open.iter().any(|open| path.starts_with(open)) || path.contains("/learning") {
                continue;
            }
            for method in ["PUT", "POST"] {
                let answer = send(&service, method, path, &body).await;
                let refused = [405, 422].contains(&answer.status.as_u16());
                assert!(refused, "{method} {path} took a card number {how}: {}", answer.status);
                assert!(!answer.text.contains(CARD), "{method} {path} repeats it");
            }
        }
        let asked = service.get(&format!("{path}?customer={CARD}")).await;
        assert!(!asked.text.contains(CARD), "{path} repeats it");
    }
    let answer = send(&service, "PUT", &format!("/api/v1/customers/{CARD}"), "{}").await;
    answer.is_problem(422, "card_number");
    assert_eq!(service.everything().await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_card_number_in_a_webhook_is_not_kept_and_its_event_is() {
    let world = World::new().await;
    let mut service = world.start_heard().await;
    let body = json!({
        "type": "invoice.payment_failed",
        "timestamp": "2026-01-05T13:00:00Z",
        "data": {
            "invoice": "in_1", "subscription": "sub_1",
            "customer": {"id": "c_1", "email": "c1@example.com", "name": format!("Ana {CARD}")},
            "amount": 2900, "currency": "USD", "attempt_count": 1,
            "decline": {"code": "stolen_card"},
            "payment_method": {"token": CARD, "network": "visa"},
        },
    });
    assert!(world.post("msg_1", body.to_string()).await, "the event is taken");
    assert!(world.advance(60).await);
    assert!(world.cases().await.contains_key("in_1"));
    assert!(!world.mail.messages().is_empty(), "it was written to the customer");
    service.kill().unwrap();
    service.wait().unwrap();
    let mut said = String::new();
    std::io::Read::read_to_string(&mut service.stderr.take().unwrap(), &mut said).unwrap();
    assert!(said.contains("held a card number"), "{said}");
    let (code, export, _) = world.run(&["export"]);
    assert_eq!(code, 0);
    let mut everything = vec![said.into_bytes(), export.into_bytes()];
    for entry in std::fs::read_dir(world.store()).unwrap().flatten() {
        everything.extend(std::fs::read(entry.path()).ok());
    }
    everything.extend(world.mail.messages().iter().map(|mail| format!("{mail:?}").into_bytes()));
    for bytes in everything {
        let found = bytes.windows(CARD.len()).any(|window| window == CARD.as_bytes());
        assert!(!found, "a card number was kept");
    }
}
