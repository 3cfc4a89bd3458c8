//! The store in PostgreSQL: `cargo bench --bench postgres`.
//!
//! How many inputs of a webhook's size a second are durable, and how many effects are claimed, over
//! a server that is named by `RECOUP_BENCH_POSTGRES`, the URL of an empty schema. All in one run on
//! one machine, since only the ratios travel: many writers against one, four workers against one.
#![expect(clippy::disallowed_methods, reason = "a benchmark reads the real clock")]
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "it prints, and stops at the first error"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures::future::join_all;
use jiff::Timestamp;
use recoup::core::effect::{CheckOrder, CheckPurpose, Effect, Order};
use recoup::core::ids::{CaseId, EffectId, GatewayId};
use recoup::store::postgres::PostgresStore;
use recoup::store::{Commit, InboxBody, InboxRecord, Store};
use serde_json::json;

/// Inputs in one round.
const INPUTS: usize = 20_000;
/// Rounds; the median counts.
const ROUNDS: usize = 5;
/// Effects to claim.
const EFFECTS: u64 = 40_000;
/// A webhook's body.
const BODY: usize = 2_000;

fn main() {
    let Ok(url) = std::env::var("RECOUP_BENCH_POSTGRES") else {
        println!("SKIPPED: set RECOUP_BENCH_POSTGRES to the URL of an empty schema");
        return;
    };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(run(&url));
}

async fn run(url: &str) {
    let store = Arc::new(PostgresStore::open(url).await.unwrap());
    let mut rows = Vec::new();
    for writers in [1, 64, 256] {
        let mut rates = Vec::new();
        for round in 0..ROUNDS {
            let count = if writers == 1 { INPUTS / 20 } else { INPUTS };
            rates.push(append(&store, writers, count, &format!("{writers}-{round}")).await);
        }
        rates.sort_by(f64::total_cmp);
        let rate = rates[ROUNDS / 2];
        println!("{writers:>4} writers: {rate:>8.0} durable inputs a second");
        rows.push(json!({ "writers": writers, "inputs_per_s": rate }));
    }
    let one = rows[0]["inputs_per_s"].as_f64().unwrap();
    let many = rows[2]["inputs_per_s"].as_f64().unwrap();
    println!("256 writers against one: {:.1}", many / one);
    for (workers, limit) in [(1, 1), (1, 32), (4, 32)] {
        ask(&store, (workers * 100 + limit) as u64).await;
        let rate = claim(url, workers, limit).await;
        println!("{workers} workers, {limit} at a time: {rate:>8.0} durable claims a second");
        rows.push(json!({ "workers": workers, "limit": limit, "claims_per_s": rate }));
    }
    println!("{}", json!({ "rows": rows }));
}

fn input(id: String) -> InboxRecord {
    let body = InboxBody::Webhook { body: vec![b'x'; BODY], headers: Vec::new() };
    let source = GatewayId::from("stripe");
    InboxRecord { source, id, received_at: Timestamp::now(), body }
}

/// So many at the same time, each with one input after the other.
async fn append(store: &Arc<PostgresStore>, writers: usize, count: usize, name: &str) -> f64 {
    let next = Arc::new(AtomicUsize::new(0));
    let begin = Instant::now();
    let writing = (0..writers).map(|_| {
        let (store, next, name) = (store.clone(), next.clone(), name.to_owned());
        tokio::spawn(async move {
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if n >= count {
                    return;
                }
                store.append(vec![input(format!("evt_{name}_{n}"))]).await.unwrap();
            }
        })
    });
    join_all(writing).await;
    count as f64 / begin.elapsed().as_secs_f64()
}

/// Effects that wait, of a case of their own.
async fn ask(store: &Arc<PostgresStore>, of: u64) {
    let gateway = GatewayId::from("stripe");
    let case = CaseId::of(&gateway, &format!("in_{of}"));
    let effect = |sequence| Effect {
        id: EffectId::of(&case, sequence),
        case: case.clone(),
        not_before: Timestamp::UNIX_EPOCH,
        order: Order::Check(CheckOrder {
            purpose: CheckPurpose::PreFlight,
            gateway: gateway.clone(),
            invoice: format!("in_{of}"),
            attempts: Vec::new(),
        }),
    };
    let all: Vec<u64> = (1..=EFFECTS).collect();
    for page in all.chunks(1_000) {
        let effects = page.iter().map(|sequence| effect(*sequence)).collect();
        store.commit(Commit { effects, ..Commit::default() }).await.unwrap();
    }
}

/// Workers as processes are: each with sessions of its own. What is left is claimed afterwards.
async fn claim(url: &str, workers: usize, limit: usize) -> f64 {
    const TIME: Duration = Duration::from_secs(4);
    let mut stores = Vec::new();
    for _ in 0..workers {
        let store = Arc::new(PostgresStore::open(url).await.unwrap());
        // Its run and its statements are there before the clock starts.
        store.claim(Timestamp::now(), 1).await.unwrap();
        stores.push(store);
    }
    let begin = Instant::now();
    let claiming = stores.iter().cloned().map(|store| {
        tokio::spawn(async move {
            let mut claimed = 0;
            while begin.elapsed() < TIME {
                let more = store.claim(Timestamp::now(), limit).await.unwrap().len();
                claimed += more;
                if more == 0 {
                    break;
                }
            }
            claimed
        })
    });
    let claimed: usize = join_all(claiming).await.into_iter().map(Result::unwrap).sum();
    let rate = claimed as f64 / begin.elapsed().as_secs_f64();
    for store in &stores {
        while !store.claim(Timestamp::now(), 5_000).await.unwrap().is_empty() {}
    }
    rate
}
