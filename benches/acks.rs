//! What the README says of webhooks: `cargo bench --bench acks`.
//!
//! How many signed webhooks a second are acknowledged as durable, over loopback HTTP, by the real
//! router over the real store; beside a bare axum handler that only reads the body, and beside what
//! the disk can sync. All in one run on one machine, since only the ratios travel. The worker does
//! not run: what is measured is the way to the acknowledgement. With `RECOUP_BENCH_POSTGRES`, the
//! URL of an empty schema, the store is in PostgreSQL. The load comes from the same process, and
//! shares its cores with the server, in both cases alike.
#![expect(clippy::disallowed_methods, reason = "a benchmark reads the real clock")]
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "it prints, and stops at the first error"
)]

use std::fs::File;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use axum::Router;
use axum::body::Bytes;
use axum::routing::post;
use futures::future::join_all;
use jiff::Timestamp;
use recoup::clock::Clock;
use recoup::core::ids::GatewayId;
use recoup::core::policy::Policy;
use recoup::gateway::history::Completeness;
use recoup::gateway::stripe::Stripe;
use recoup::gateway::wire::Timeouts;
use recoup::gateway::{Gateway, GatewaySettings};
use recoup::http::{AdvanceError, AppState, Book, Engine, Keys, Readiness, Refusals, router};
use recoup::message::{Brand, Texts};
use recoup::sandbox::sign::stripe_signature;
use recoup::store::postgres::PostgresStore;
use recoup::store::sled::{Device, OpenOptions, SledStore};
use recoup::store::{Store, StoreError};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};

const SECRET: &str = "whsec_made_up_for_the_benchmark";
/// Webhooks in one round; each is a new event.
const REQUESTS: usize = 20_000;
/// Rounds of each, taken in turns; the median counts.
const ROUNDS: usize = 5;

fn main() {
    let load = runtime();
    let mut rows = Vec::new();
    println!(
        "connections   bare/s   durable/s   ratio   p50 ms   p99 ms   acks a sync   disk syncs/s"
    );
    for connections in [64, 256] {
        let row = compare(&load, connections);
        let number = |name: &str| row[name].as_f64().unwrap();
        println!(
            "{connections:>11} {:>8.0} {:>11.0} {:>7.3} {:>8.1} {:>8.1} {:>13.0} {:>14.0}",
            number("bare_per_s"),
            number("durable_per_s"),
            number("ratio"),
            number("p50_ms"),
            number("p99_ms"),
            number("acks_per_sync"),
            number("disk_syncs_per_s")
        );
        rows.push(row);
    }
    println!("{}", json!({ "requests": REQUESTS, "rounds": ROUNDS, "rows": rows }));
}

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// Both servers under the same load, in turns.
fn compare(load: &Runtime, connections: usize) -> Value {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let disk = disk_syncs(dir.path());
    let syncs = Arc::new(Counting::default());
    let server = runtime();
    let bare = server.block_on(serve(bare_router()));
    let store = server.block_on(store(&dir.path().join("store"), syncs.clone()));
    let real = server.block_on(serve(real_router(store)));
    let (mut of_bare, mut of_real) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let requests = Arc::new(requests(connections, round));
        of_bare.push(load.block_on(run(bare, connections, requests.clone())));
        of_real.push(load.block_on(run(real, connections, requests)));
    }
    let (bare, real) = (median(of_bare), median(of_real));
    let acks = (REQUESTS * ROUNDS) as f64;
    server.shutdown_background();
    json!({
        "connections": connections,
        "bare_per_s": bare.rate,
        "durable_per_s": real.rate,
        "ratio": real.rate / bare.rate,
        "p50_ms": real.at(0.50),
        "p99_ms": real.at(0.99),
        "acks_per_sync": acks / syncs.0.load(Ordering::Relaxed).max(1) as f64,
        "disk_syncs_per_s": disk,
        "durable_against_disk": real.rate / disk,
    })
}

/// How often a second this disk makes 4 KiB durable.
fn disk_syncs(dir: &Path) -> f64 {
    let mut file = File::create(dir.join("raw")).unwrap();
    let begin = Instant::now();
    let mut syncs = 0.0;
    while begin.elapsed() < Duration::from_secs(2) {
        file.write_all(&[7; 4096]).unwrap();
        file.sync_data().unwrap();
        syncs += 1.0;
    }
    syncs / begin.elapsed().as_secs_f64()
}

/// A disk that counts its syncs.
#[derive(Default)]
struct Counting(AtomicU64);

impl Device for Counting {
    fn sync(&self, file: &File) -> io::Result<()> {
        self.0.fetch_add(1, Ordering::Relaxed);
        file.sync_data()
    }
}

/// Reads the body and says yes.
fn bare_router() -> Router {
    Router::new().route("/webhooks/stripe", post(async |_: Bytes| ()))
}

/// A store on this disk, or in the database that is named.
async fn store(path: &Path, device: Arc<dyn Device>) -> Arc<dyn Store> {
    if let Ok(url) = std::env::var("RECOUP_BENCH_POSTGRES") {
        return Arc::new(PostgresStore::open(&url).await.unwrap());
    }
    let options = OpenOptions { device, ..OpenOptions::default() };
    Arc::new(SledStore::open_with(path, options).unwrap())
}

/// What `recoup serve` mounts.
fn real_router(store: Arc<dyn Store>) -> Router {
    let stripe: Arc<dyn Gateway> = Arc::new(Stripe::new(settings(), Timeouts::default()).unwrap());
    let readiness = Readiness::default();
    readiness.ready();
    router(AppState {
        callbacks: Arc::new([]),
        store,
        gateways: vec![stripe].into(),
        clock: Clock::System,
        book: Book::default(),
        refused: Refusals::default(),
        keys: Keys::default(),
        wake: Arc::default(),
        engine: Arc::new(NoEngine),
        admin_token: None,
        metrics_token: None,
        oidc: None,
        brand: Arc::new(brand()),
        readiness,
        metrics: Arc::new(String::new),
        policy: Arc::new(policy()),
        ceilings: Default::default(),
        access: Default::default(),
        retention: Default::default(),
        link_key: [0; 32],
        client_address_header: None,
        endpoints: Arc::new([]),
        gate: recoup::http::Gate::of_mib(4_096),
    })
}

/// No route of this bench asks for it.
fn policy() -> Policy {
    let hours = vec![Value::Null; 7];
    serde_json::from_value(json!({
        "gateways": [], "schedule": "even", "window_days": 28, "max_attempts": 4,
        "silent_attempts": 1, "channels": [], "steps": [],
        "contact": {"name": "default", "hours": hours, "per_day": 1, "gap_hours": 0},
        "subscription_action": "keep", "invoice_action": "keep",
        "locale": "en", "time_zone": "UTC",
    }))
    .unwrap()
}

fn settings() -> GatewaySettings {
    GatewaySettings {
        api_base: Some("http://127.0.0.1:9".to_owned()),
        webhook_secrets: vec![SECRET.into()],
        ..GatewaySettings::new(GatewayId::from("stripe"), "sk_test_nothing".into())
    }
}

fn brand() -> Brand {
    Brand {
        name: "Café Nube".to_owned(),
        support_email: None,
        support_phone: None,
        postal_address: None,
        color: None,
        logo_url: None,
        locale: "en".to_owned(),
        time_zone: "UTC".to_owned(),
        public_url: "https://pay.cafenube.example".to_owned(),
        texts: Texts::default(),
    }
}

/// The worker does not run here.
struct NoEngine;

#[async_trait]
impl Engine for NoEngine {
    async fn reconcile(&self, _: Timestamp, _: bool) -> Result<Vec<Completeness>, StoreError> {
        Ok(Vec::new())
    }

    async fn settle(&self) {}

    async fn advance(&self, _: Timestamp) -> Result<(), AdvanceError> {
        Ok(())
    }
}

async fn serve(router: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// Whole requests, each a new event with its own signature.
fn requests(connections: usize, round: usize) -> Vec<Vec<u8>> {
    let now = Timestamp::now();
    let request = |n: usize| {
        let body = event(&format!("evt_{connections}_{round}_{n}"), n);
        let signature = stripe_signature(SECRET, body.as_bytes(), now);
        format!(
            "POST /webhooks/stripe HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\
             \r\nstripe-signature: {signature}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .into_bytes()
    };
    (0..REQUESTS).map(request).collect()
}

/// About two thousand bytes, in the shape of Stripe's `invoice.payment_failed`.
fn event(id: &str, n: usize) -> String {
    let filler: String = "made up for the benchmark ".repeat(40);
    json!({
        "id": id, "object": "event", "api_version": "2025-03-31.basil", "type":
        "invoice.payment_failed", "created": 1_790_000_000, "livemode": false,
        "data": { "object": {
            "id": format!("in_{n}"), "object": "invoice", "customer": format!("cus_{n}"),
            "amount_due": 2_900, "amount_paid": 0, "amount_remaining": 2_900, "currency": "usd",
            "attempt_count": 1, "attempted": true, "auto_advance": true, "status": "open",
            "billing_reason": "subscription_cycle", "next_payment_attempt": null,
            "description": filler, "customer_email": "customer@example.com",
            "parent": { "type": "subscription_details", "subscription_details":
                { "subscription": format!("sub_{n}") } },
            "lines": { "object": "list", "data": [
                { "id": format!("il_{n}"), "amount": 2_900, "description": "Pro plan" } ] },
        } },
    })
    .to_string()
}

/// One round.
struct Round {
    rate: f64,
    /// Sorted.
    latencies: Vec<Duration>,
}

impl Round {
    /// Milliseconds that this share of the answers needed at most.
    fn at(&self, share: f64) -> f64 {
        let index = (self.latencies.len() as f64 * share) as usize;
        self.latencies[index.min(self.latencies.len() - 1)].as_secs_f64() * 1e3
    }
}

fn median(mut rounds: Vec<Round>) -> Round {
    rounds.sort_by(|a, b| a.rate.total_cmp(&b.rate));
    rounds.swap_remove(rounds.len() / 2)
}

/// Sends every request once, over so many connections, each with one request at a time.
async fn run(address: SocketAddr, connections: usize, requests: Arc<Vec<Vec<u8>>>) -> Round {
    let next = Arc::new(AtomicUsize::new(0));
    let mut streams = Vec::new();
    for _ in 0..connections {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        streams.push(stream);
    }
    let begin = Instant::now();
    let senders = streams.into_iter().map(|stream| {
        let (requests, next) = (requests.clone(), next.clone());
        tokio::spawn(send(stream, requests, next))
    });
    let mut latencies: Vec<_> =
        join_all(senders).await.into_iter().flat_map(Result::unwrap).collect();
    let rate = requests.len() as f64 / begin.elapsed().as_secs_f64();
    latencies.sort();
    Round { rate, latencies }
}

async fn send(
    mut stream: TcpStream,
    requests: Arc<Vec<Vec<u8>>>,
    next: Arc<AtomicUsize>,
) -> Vec<Duration> {
    let mut latencies = Vec::new();
    let mut buffer = Vec::with_capacity(4096);
    while let Some(request) = requests.get(next.fetch_add(1, Ordering::Relaxed)) {
        let begin = Instant::now();
        stream.write_all(request).await.unwrap();
        buffer.clear();
        while !is_whole(&buffer) {
            assert_ne!(stream.read_buf(&mut buffer).await.unwrap(), 0, "the server hung up");
        }
        latencies.push(begin.elapsed());
        assert!(buffer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&buffer));
    }
    latencies
}

/// Whether an answer with `content-length` is there as a whole.
fn is_whole(buffer: &[u8]) -> bool {
    let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") else { return false };
    let head = String::from_utf8_lossy(&buffer[..end]).to_lowercase();
    let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
    buffer.len() >= end + 4 + length.map_or(0, |length| length.trim().parse::<usize>().unwrap())
}
