//! `POST /webhooks/{gateway}`: every answer that a gateway can get, and what was kept.
//!
//! What must stay true: 200 means durable, a duplicate too; whatever is refused leaves nothing.

use axum::body::Body;
use axum::http::Request;
use recoup::core::ids::GatewayId;
use recoup::gateway::KEPT_QUERY;
use recoup::store::{InboxBody, Store as _};

use crate::http_support::{Answer, Service, Setup};

const MIB: usize = 1024 * 1024;

async fn post(service: &Service, path: &str, signature: Option<&str>, body: Vec<u8>) -> Answer {
    let mut request = Request::post(path)
        .header("webhook-id", "msg_1")
        .header("webhook-signature", "v1,secret-signature");
    if let Some(signature) = signature {
        request = request.header("x-signature", signature);
    }
    service.send(request.body(Body::from(body)).unwrap()).await
}

async fn waiting(service: &Service) -> u64 {
    service.store.backlog().await.unwrap().inbox
}

#[tokio::test]
async fn an_authentic_webhook_is_kept_as_it_arrived_and_answered_200() {
    let service = Service::new(Setup::default());
    let body = b"{ \"ids\": [\"evt_1\", \"evt_2\"],   \"x\": 1.10 }".to_vec();
    let answer = post(&service, "/webhooks/first", Some("good"), body.clone()).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json(), serde_json::json!({ "received": true, "duplicate": false }));
    let record = service.store.input(&GatewayId::from("first"), "evt_1").await.unwrap().unwrap();
    let InboxBody::Webhook { body: kept, headers } = record.body else { panic!("a webhook") };
    assert_eq!(kept, body, "byte for byte");
    let msg = ("webhook-id".to_owned(), "msg_1".to_owned());
    assert_eq!(headers, [msg], "what the parser needs, and no signature");
}

#[tokio::test]
async fn a_duplicate_is_200_and_kept_once() {
    let service = Service::new(Setup::default());
    let body = b"{\"ids\":[\"evt_1\"]}".to_vec();
    for duplicate in [false, true, true] {
        let answer = post(&service, "/webhooks/first", Some("good"), body.clone()).await;
        assert_eq!(
            (answer.status.as_u16(), answer.json()["duplicate"].as_bool()),
            (200, Some(duplicate))
        );
    }
    assert_eq!(waiting(&service).await, 1);
    let answer = post(&service, "/webhooks/second", Some("good"), body).await;
    assert_eq!(answer.json()["duplicate"], false, "another gateway's event of the same id");
    assert_eq!(waiting(&service).await, 2);
}

#[tokio::test]
async fn an_event_of_a_known_sender_without_an_id_is_kept_once_too() {
    let service = Service::new(Setup::default());
    for (body, duplicate) in [("{\"a\":1}", false), ("{\"a\":1}", true), ("{\"a\":2}", false)] {
        let answer = post(&service, "/webhooks/first", Some("good"), body.into()).await;
        assert_eq!(answer.json()["duplicate"], duplicate, "{body}");
    }
}

#[tokio::test]
async fn each_refusal_has_its_status_and_code_and_keeps_nothing() {
    let service = Service::new(Setup::default());
    let body = b"{\"ids\":[\"evt_1\"]}".to_vec();
    for (signature, status, code) in [
        (None, 401, "missing_header"),
        (Some("wrong"), 401, "no_signature_match"),
        (Some("old"), 401, "timestamp_too_old"),
        (Some("future"), 401, "timestamp_in_future"),
        (Some("unreadable"), 400, "malformed_header"),
    ] {
        let answer = post(&service, "/webhooks/first", signature, body.clone()).await;
        answer.is_problem(status, code);
        assert!(!answer.text.contains("secret"), "{}", answer.text);
    }
    let answer = post(&service, "/webhooks/first", Some("good"), b"{nope".to_vec()).await;
    answer.is_problem(400, "malformed_body");
    post(&service, "/webhooks/other", Some("good"), body).await.is_problem(404, "not_found");
    assert_eq!(waiting(&service).await, 0);
}

#[tokio::test]
async fn a_batch_is_kept_item_by_item_all_or_none_and_answered_as_its_gateway_wants() {
    let service = Service::new(Setup::default());
    let batch = |ids: &[&str]| {
        let items: Vec<_> = ids.iter().map(|id| serde_json::json!({ "ids": [id] })).collect();
        serde_json::json!({ "batch": items }).to_string().into_bytes()
    };
    let answer =
        post(&service, "/webhooks/particular?data.id=7", Some("good"), batch(&["a"])).await;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (200, "[accepted]"));
    // An item that came before in another batch does not swallow the ones beside it.
    post(&service, "/webhooks/particular", Some("good"), batch(&["a", "b", "c"])).await;
    assert_eq!(waiting(&service).await, 3);
    for (id, query) in [("a", Some("data.id=7")), ("b", None), ("c", None)] {
        let record =
            service.store.input(&GatewayId::from("particular"), id).await.unwrap().unwrap();
        let InboxBody::Webhook { body, headers } = record.body else { panic!("a webhook") };
        assert_eq!(body, format!("{{\"ids\":[\"{id}\"]}}").into_bytes());
        let kept = headers.iter().find(|(name, _)| name == KEPT_QUERY);
        assert_eq!(kept.map(|(_, query)| query.as_str()), query, "{id}");
    }
    let broken = b"{\"batch\":[{\"ids\":[\"d\"]},7]}".to_vec();
    post(&service, "/webhooks/particular", Some("bad"), broken).await;
    assert_eq!(waiting(&service).await, 3, "one forged item refuses all");
}

#[tokio::test]
async fn an_address_is_checked_where_the_gateway_does_so() {
    let service = Service::new(Setup::default());
    let answer = service.get("/webhooks/particular?challenge=20a").await;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (200, "answer to 20a"));
    service.get("/webhooks/particular?x=1").await.is_problem(400, "malformed_header");
    service.get("/webhooks/nobody?challenge=1").await.is_problem(404, "not_found");
}

#[tokio::test]
async fn a_body_of_one_mib_is_taken_and_one_byte_more_is_413() {
    let service = Service::new(Setup::default());
    let mut body = b"{\"ids\":[\"evt_1\"]}".to_vec();
    body.resize(MIB, b' ');
    let answer = post(&service, "/webhooks/first", Some("good"), body.clone()).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    body.push(b' ');
    let answer = post(&service, "/webhooks/first", Some("good"), body).await;
    answer.is_problem(413, "body_too_large");
    assert_eq!(waiting(&service).await, 1);
}

#[tokio::test]
async fn a_store_that_refuses_is_503_and_the_next_try_is_new() {
    let service = Service::new(Setup::default());
    let body = b"{\"ids\":[\"evt_1\"]}".to_vec();
    service.store.close().await.unwrap();
    let answer = post(&service, "/webhooks/first", Some("good"), body.clone()).await;
    answer.is_problem(503, "store_unavailable");
    assert_eq!(answer.header("retry-after"), "30");
    service.store.restart();
    assert_eq!(waiting(&service).await, 0, "nothing was kept");
    let answer = post(&service, "/webhooks/first", Some("good"), body).await;
    assert_eq!((answer.status.as_u16(), answer.json()["duplicate"].as_bool()), (200, Some(false)));
}

#[tokio::test]
async fn other_methods_are_405_and_other_routes_404() {
    let service = Service::new(Setup::default());
    service.get("/webhooks/first").await.is_problem(405, "method_not_allowed");
    service.get("/nowhere").await.is_problem(404, "not_found");
}

#[tokio::test]
async fn readiness_tells_why_not() {
    let service = Service::new(Setup::default());
    assert_eq!(service.get("/readyz").await.status, 200);
    service.readiness.unready("the store is being migrated");
    let answer = service.get("/readyz").await;
    assert_eq!(answer.status, 503);
    assert_eq!(answer.json()["reason"], "the store is being migrated");
    service.readiness.ready();
    service.store.close().await.unwrap();
    assert_eq!(service.get("/readyz").await.status, 503, "a store that refuses");
    assert_eq!(service.get("/livez").await.status, 200);
}
