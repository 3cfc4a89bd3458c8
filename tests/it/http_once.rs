//! `Idempotency-Key` on everything that is posted: done once, answered the same, over crashes.

use std::sync::atomic::Ordering;

use axum::body::Body;
use axum::http::{Request, header};
use recoup::store::{SideTable, Sides as _, Store as _};
use serde_json::{Value, json};

use crate::http_samples::case;
use crate::http_support::{Answer, Service, TOKEN, at};

async fn post(service: &Service, path: &str, body: &str, key: &str) -> Answer {
    service.api_with("POST", path, body, Some(key)).await
}

/// The process dies when the work is done and the answer not kept yet.
async fn lose_the_answers(service: &Service) {
    for record in service.store.sides(SideTable::Kept, None, 100).await.unwrap().data {
        let mut body = record.body.clone();
        body["answer"] = Value::Null;
        body["owner"] = json!("a process that has died");
        service.store.write_sides(vec![record.next().with(&body).into()]).await.unwrap();
    }
}

#[tokio::test]
async fn the_same_key_acts_once_and_answers_the_same() {
    let service = Service::with_cases(2).await;
    let path = format!("/cases/{}/pause", case(1).id);
    let resume = format!("/cases/{}/resume", case(1).id);
    let first = post(&service, &path, "", "k-1").await;
    assert_eq!(first.json()["state"], "paused");
    assert_eq!(first.header("idempotent-replayed"), "");
    service.api("POST", &resume, "").await;
    let again = post(&service, &path, "", "k-1").await;
    assert_eq!((again.status.as_u16(), &again.text), (200, &first.text), "byte for byte");
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_eq!(again.header("content-type"), first.header("content-type"));
    for (path, body) in [
        (&path, "{\"until\":\"2030-01-31T09:00:00Z\"}"),
        (&resume, ""),
        (&format!("/cases/{}/pause", case(2).id), ""),
        (&"/hold".to_owned(), ""),
    ] {
        post(&service, path, body, "k-1").await.is_problem(409, "idempotency_key_reused");
    }
    let long = "k".repeat(256);
    post(&service, &path, "", &long).await.is_problem(400, "invalid_idempotency_key");
    assert_eq!(service.engine.applied.load(Ordering::SeqCst), 2);
    assert_eq!(service.store.held_since().await.unwrap(), None);
}

#[tokio::test]
async fn every_route_that_is_posted_to_takes_a_key() {
    let service = Service::with_cases(1).await;
    let paths = recoup::http::openapi()["paths"].as_object().unwrap().clone();
    let posts: Vec<_> = paths.iter().filter(|(_, one)| one.get("post").is_some()).collect();
    assert!(posts.len() > 10);
    for (path, one) in posts {
        let named = one["post"]["parameters"].as_array().unwrap();
        assert!(named.iter().any(|p| p["name"] == "Idempotency-Key"), "{path}");
        let path = path.strip_prefix("/api/v1").unwrap().replace(['{', '}'], "x");
        let answer = post(&service, &path, "", &"k".repeat(256)).await;
        answer.is_problem(400, "invalid_idempotency_key");
    }
}

#[tokio::test]
async fn a_hold_that_was_ended_is_not_set_by_an_old_request() {
    let service = Service::with_cases(1).await;
    let first = post(&service, "/hold", "", "h").await;
    assert_eq!(first.json()["held"], true);
    service.api("DELETE", "/hold", "").await;
    assert_eq!(post(&service, "/hold", "", "h").await.text, first.text);
    assert_eq!(service.store.held_since().await.unwrap(), None);
}

#[tokio::test]
async fn what_was_refused_may_be_mended_and_sent_again() {
    let service = Service::with_cases(1).await;
    let path = format!("/cases/{}/stop", case(1).id);
    post(&service, &path, "{\"reason\":7}", "s").await.is_about(422, "/reason");
    assert_eq!(post(&service, &path, "{\"reason\":\"seven\"}", "s").await.status, 200);
    assert_eq!(service.engine.applied.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn an_answer_that_was_lost_in_a_crash_does_nothing_twice() {
    let service = Service::with_cases(1).await;
    let path = format!("/cases/{}/retry", case(1).id);
    assert_eq!(post(&service, &path, "", "r").await.status, 200);
    let hour = "{\"by_seconds\":3600}";
    let advance = "/test-clock/advance";
    assert_eq!(post(&service, advance, hour, "t").await.json()["now"], json!(at(3600)));
    lose_the_answers(&service).await;
    let again = post(&service, &path, "", "r").await;
    assert_eq!((again.status.as_u16(), again.header("idempotent-replayed")), (200, ""));
    assert_eq!(service.engine.applied.load(Ordering::SeqCst), 1, "one retry");
    let again = post(&service, advance, hour, "t").await;
    assert_eq!(again.json()["now"], json!(at(3600)), "time moved by one hour, not two");
    assert_eq!(post(&service, advance, hour, "t2").await.json()["now"], json!(at(7200)));
}

#[tokio::test]
async fn of_two_at_the_same_time_one_is_told_to_wait() {
    let service = Service::with_cases(1).await;
    let gate = service.engine.gate.clone();
    let shut = gate.clone().acquire_owned().await.unwrap();
    let request = || {
        Request::post(format!("/api/v1/cases/{}/retry", case(1).id))
            .header(header::AUTHORIZATION, format!("Bearer {TOKEN}"))
            .header("Idempotency-Key", "twin")
            .body(Body::empty())
            .unwrap()
    };
    let first = service.send(request());
    let mut first = std::pin::pin!(first);
    // The first is under way once its key is in the store.
    loop {
        tokio::select! {
            biased;
            _ = &mut first => panic!("the engine is shut"),
            () = tokio::task::yield_now() => {}
        }
        if !service.store.sides(SideTable::Kept, None, 1).await.unwrap().data.is_empty() {
            break;
        }
    }
    let twin = service.send(request()).await;
    twin.is_problem(409, "idempotency_key_in_use");
    assert_eq!(twin.header("retry-after"), "1");
    drop(shut);
    assert_eq!(first.await.status, 200);
    assert_eq!(service.send(request()).await.header("idempotent-replayed"), "true");
    assert_eq!(service.engine.applied.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn who_hangs_up_is_answered_later() {
    let service = Service::with_cases(1).await;
    let shut = service.engine.gate.clone().acquire_owned().await.unwrap();
    let path = format!("/cases/{}/pause", case(1).id);
    {
        let first = post(&service, &path, "", "gone");
        let mut first = std::pin::pin!(first);
        while service.store.sides(SideTable::Kept, None, 1).await.unwrap().data.is_empty() {
            tokio::select! {
                biased;
                _ = &mut first => panic!("the engine is shut"),
                () = tokio::task::yield_now() => {}
            }
        }
    }
    drop(shut);
    let answer = loop {
        let answer = post(&service, &path, "", "gone").await;
        if answer.status == 200 {
            break answer;
        }
        answer.is_problem(409, "idempotency_key_in_use");
        tokio::task::yield_now().await;
    };
    assert_eq!(answer.json()["state"], "paused");
    assert_eq!(service.engine.applied.load(Ordering::SeqCst), 1);
}
