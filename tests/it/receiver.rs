//! A small webhook receiver: keeps what it got, answers what it is told.
//!
//! Why here: the sandbox's webhooks and `recoup trigger` are tested against the same one.
//!
//! What must stay true: what it keeps is the raw body, as it arrived.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::routing::post;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::Value;
use sha2::Sha256;

/// One webhook.
#[derive(Debug, Clone)]
pub(crate) struct Got {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Got {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn kind(&self) -> String {
        self.json()["type"].as_str().unwrap().to_owned()
    }
}

#[derive(Debug, Default)]
struct Kept {
    got: Vec<Got>,
    answers: VecDeque<u16>,
}

/// The receiver.
#[derive(Debug, Clone)]
pub(crate) struct Receiver {
    kept: Arc<Mutex<Kept>>,
    pub(crate) url: String,
}

impl Receiver {
    pub(crate) async fn start() -> Self {
        let kept = Arc::new(Mutex::new(Kept::default()));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let app = Router::new().route("/webhooks/{gateway}", post(take)).with_state(kept.clone());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { kept, url }
    }

    /// What it answers next, in order; then 200.
    pub(crate) fn answer(&self, statuses: impl IntoIterator<Item = u16>) {
        self.kept.lock().unwrap().answers.extend(statuses);
    }

    pub(crate) fn got(&self) -> Vec<Got> {
        self.kept.lock().unwrap().got.clone()
    }

    pub(crate) fn kinds(&self) -> Vec<String> {
        self.got().iter().map(Got::kind).collect()
    }
}

async fn take(
    State(kept): State<Arc<Mutex<Kept>>>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, &'static str) {
    let mut kept = kept.lock().unwrap();
    kept.got.push(Got { path: uri.path().to_owned(), headers, body: body.to_vec() });
    let status = kept.answers.pop_front().unwrap_or(200);
    let problem = r#"{"code":"no_signature_match"}"#;
    (StatusCode::from_u16(status).unwrap(), if status == 401 { problem } else { "" })
}

/// HMAC-SHA256, by hand.
pub(crate) fn hmac(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().to_vec()
}
