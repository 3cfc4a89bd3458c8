//! A gateway that says what the test wrote down: real HTTP on loopback, one scripted reply a
//! request, and everything that was asked is kept.
//!
//! Why here, and not on a web framework: half of what must be tested is a connection that breaks.
//!
//! What must stay true: a POST with a key that was executed is answered as before, as gateways do,
//! and uses up no reply; a request that nobody expected is answered 599 and is seen.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What the double does with one request.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// Answers.
    Answer { status: u16, headers: Vec<(&'static str, String)>, body: String },
    /// Closes the connection after the request was read.
    Drop,
    /// Promises a body and closes in the middle of it.
    DropInBody,
    /// Never answers, and keeps the connection open.
    Hang,
}

impl Reply {
    pub(crate) fn json(status: u16, body: Value) -> Self {
        Self::text(status, body.to_string())
    }

    pub(crate) fn text(status: u16, body: impl Into<String>) -> Self {
        Self::Answer { status, headers: Vec::new(), body: body.into() }
    }

    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        if let Self::Answer { headers, .. } = &mut self {
            headers.push((name, value.to_owned()));
        }
        self
    }
}

/// One request as it arrived.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Seen {
    pub(crate) fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    pub(crate) fn form(&self) -> Vec<(String, String)> {
        url::form_urlencoded::parse(&self.body).into_owned().collect()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn has(&self, name: &str, value: &str) -> bool {
        let wanted = (name.to_owned(), value.to_owned());
        self.form().contains(&wanted) || self.query.contains(&wanted)
    }
}

#[derive(Default)]
struct State {
    key_header: String,
    script: VecDeque<Reply>,
    seen: Vec<Seen>,
    by_key: HashMap<String, Reply>,
    executed: usize,
    kept_open: Vec<TcpStream>,
}

/// A scripted gateway. Stops when it is dropped.
pub(crate) struct Double {
    pub(crate) base: String,
    state: Arc<Mutex<State>>,
    server: JoinHandle<()>,
}

impl Double {
    pub(crate) async fn new(script: impl IntoIterator<Item = Reply>) -> Self {
        Self::keyed("idempotency-key", script).await
    }

    /// One whose idempotency keys are in another header; empty: it has none.
    pub(crate) async fn keyed(key_header: &str, script: impl IntoIterator<Item = Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let script = script.into_iter().collect();
        let key_header = key_header.to_owned();
        let state = Arc::new(Mutex::new(State { key_header, script, ..State::default() }));
        let server = tokio::spawn(serve(listener, Arc::clone(&state)));
        Self { base, state, server }
    }

    /// Adds replies to the script.
    pub(crate) fn then(&self, script: impl IntoIterator<Item = Reply>) {
        self.state.lock().unwrap().script.extend(script);
    }

    /// All requests so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.state.lock().unwrap().seen.clone()
    }

    /// Method and path of all requests so far.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.seen().iter().map(Seen::line).collect()
    }

    /// How many requests were executed, not replayed.
    pub(crate) fn executed(&self) -> usize {
        self.state.lock().unwrap().executed
    }
}

impl Drop for Double {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// An address that nobody listens on.
pub(crate) fn nobody() -> String {
    // A free port of the ephemeral range may be another test's a moment later; this one is not.
    "http://127.0.0.1:1".to_owned()
}

async fn serve(listener: TcpListener, state: Arc<Mutex<State>>) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(answer(stream, Arc::clone(&state)));
    }
}

async fn answer(mut stream: TcpStream, state: Arc<Mutex<State>>) {
    let Some(request) = read(&mut stream).await else { return };
    let reply = decide(&mut state.lock().unwrap(), request);
    match reply {
        Reply::Hang => state.lock().unwrap().kept_open.push(stream),
        Reply::Drop => {}
        Reply::DropInBody => {
            let head = b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{\"id\":";
            let _ = stream.write_all(head).await;
        }
        Reply::Answer { status, headers, body } => {
            let mut head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n", body.len());
            for (name, value) in headers {
                head.push_str(&format!("{name}: {value}\r\n"));
            }
            head.push_str("connection: close\r\n\r\n");
            let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    }
}

fn decide(state: &mut State, request: Seen) -> Reply {
    let key = request.header(&state.key_header).to_owned();
    state.seen.push(request);
    if let Some(reply) = state.by_key.get(&key) {
        return reply.clone();
    }
    let reply = state.script.pop_front();
    let reply = reply.unwrap_or_else(|| Reply::text(599, "nobody expected this request"));
    state.executed += 1;
    let kept = matches!(reply, Reply::Answer { status: 200 | 201 | 202 | 402, .. });
    if kept && !key.is_empty() {
        state.by_key.insert(key, reply.clone());
    }
    reply
}

async fn read(stream: &mut TcpStream) -> Option<Seen> {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at;
        }
        more(stream, &mut bytes).await?;
    };
    let mut request = head(std::str::from_utf8(&bytes[..head_end]).ok()?)?;
    let length: usize = request.header("content-length").parse().unwrap_or(0);
    while bytes.len() < head_end + 4 + length {
        more(stream, &mut bytes).await?;
    }
    request.body = bytes[head_end + 4..].to_vec();
    Some(request)
}

async fn more(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> Option<()> {
    let mut chunk = [0; 4096];
    let read = stream.read(&mut chunk).await.ok().filter(|read| *read > 0)?;
    bytes.extend_from_slice(&chunk[..read]);
    Some(())
}

fn head(text: &str) -> Option<Seen> {
    let mut lines = text.split("\r\n");
    let mut first = lines.next()?.split(' ');
    let (method, target) = (first.next()?.to_owned(), first.next()?);
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let headers = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
        .collect();
    let query = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    Some(Seen { method, path: path.to_owned(), query, headers, body: Vec::new() })
}
