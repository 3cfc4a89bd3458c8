//! A dashboard over many cases: what a view costs. Run by hand: it takes minutes.
//!
//! `RECOUP_CASES=100000 cargo test --test it many -- --ignored --nocapture`

#![expect(clippy::disallowed_methods, reason = "what it costs is measured by the real clock")]

use std::time::{Duration, Instant};

use recoup::core::case::{Case, RecoveredBy, State};
use recoup::store::{CaseWrite, Commit, Store as _};

use crate::http_pages::{login, see};
use crate::http_samples::{case, customer};
use crate::http_support::{Service, Setup, at};

fn one(n: i64) -> Case {
    let mut one = case(n);
    one.customer = Some(format!("cus_{n}"));
    one.opened_at = at(n * 60);
    one.state = if n % 10 < 7 { State::Recovered } else { State::Scheduled };
    one.recovered_by = (one.state == State::Recovered).then_some(RecoveredBy::Retry);
    one.ended_at = (one.state == State::Recovered).then(|| at(n * 60 + 86_400));
    one
}

/// Resident memory in MiB, where the system tells it.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    kib.unwrap_or(0) / 1024
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "by hand: it takes minutes"]
async fn what_a_view_costs() {
    let many: i64 = std::env::var("RECOUP_CASES").map_or(100_000, |n| n.parse().unwrap());
    let clock = recoup::clock::Clock::test(at(many * 60 + 86_400));
    let service = Service::new(Setup { clock, ..Setup::default() });
    for from in (1..=many).step_by(500) {
        let cases = (from..from + 500).map(|n| CaseWrite { case: one(n), ledger: Vec::new() });
        let customers = (from..from + 500).map(|n| customer(&format!("cus_{n}")));
        let (cases, customers) = (cases.collect(), customers.collect());
        service.store.commit(Commit { cases, customers, ..Commit::default() }).await.unwrap();
    }
    let cookie = login(&service).await;
    let before = resident();
    let first = Instant::now();
    while see(&service, "/", &cookie).await.status != 200 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    println!("first view: {:?}; book: {} MiB", first.elapsed(), resident().saturating_sub(before));
    for path in [
        "/",
        "/?period=all",
        "/cases",
        "/cases?state=recovered&page=900",
        "/cases?q=ana%40nube",
        "/messages",
        "/gateways",
        "/report",
        "/cases?format=csv",
    ] {
        let began = Instant::now();
        let answer = see(&service, path, &cookie).await;
        println!("{path}: {:?}, {} bytes", began.elapsed(), answer.text.len());
        assert_eq!(answer.status, 200, "{path}");
    }
    let mut changed = one(7);
    changed.revision = 2;
    let cases = vec![CaseWrite { case: changed, ledger: Vec::new() }];
    service.store.commit(Commit { cases, ..Commit::default() }).await.unwrap();
    let began = Instant::now();
    assert_eq!(see(&service, "/cases", &cookie).await.status, 200);
    println!("after one write: {:?}", began.elapsed());
}
