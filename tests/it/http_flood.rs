//! A flood of webhooks is turned away before it takes memory.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{Request, StatusCode};
use recoup::http::Gate;
use tower::ServiceExt as _;

use crate::http_support::{Service, Setup};

const SOON: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_flood_is_told_to_come_back_before_it_takes_memory() {
    let service = Service::new(Setup { gate: Gate::of_mib(1), ..Setup::default() });
    let (sender, receiver) = futures::channel::mpsc::unbounded::<Result<Bytes, Infallible>>();
    sender.unbounded_send(Ok(Bytes::from(vec![b' '; 250 * 1024]))).unwrap();
    let slow = tokio::spawn(service.app.clone().oneshot(request(Body::from_stream(receiver))));
    let refused = tokio::time::timeout(SOON, async {
        loop {
            let answer =
                service.app.clone().oneshot(request("{\"ids\":[\"evt_1\"]}".into())).await.unwrap();
            if answer.status() != StatusCode::OK {
                return answer;
            }
            tokio::task::yield_now().await;
        }
    });
    let refused = refused.await.expect("the slow one takes nearly all the room");
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.headers()["retry-after"], "10");
    let body = axum::body::to_bytes(refused.into_body(), 10_000).await.unwrap();
    assert!(String::from_utf8_lossy(&body).contains("\"code\":\"busy\""));
    // The slow one is answered, and gives its room back.
    sender.unbounded_send(Ok(Bytes::from_static(b"{\"ids\":[\"evt_2\"]}"))).unwrap();
    drop(sender);
    assert_eq!(slow.await.unwrap().unwrap().status(), StatusCode::OK);
    let answer = service.app.clone().oneshot(request("{\"ids\":[\"evt_3\"]}".into())).await;
    assert_eq!(answer.unwrap().status(), StatusCode::OK);
}

fn request(body: Body) -> Request<Body> {
    Request::post("/webhooks/first").header("x-signature", "good").body(body).unwrap()
}
