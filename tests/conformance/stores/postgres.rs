//! What is particular to PostgreSQL: several processes on one store, answers that are lost, a
//! database that goes away, a schema that moves on.

use std::collections::BTreeSet;
use std::time::Duration;

use recoup::core::case::Case;
use recoup::core::effect::{Effect, Outcome};
use recoup::core::ids::EffectId;
use recoup::store::Appended::New;
use recoup::store::postgres::{OpenOptions, PostgresStore};
use recoup::store::{Commit, ExportRecord, OutboxEntry, Returned, Shared, Store, StoreError};

use super::fixture::holds;
use super::proxy::{Cut, Proxy};
use super::samples::{at, case, effect, fill, step, webhook};
use crate::database::{self, Server};

/// Ends all runs: whoever works on the store was silent for too long.
const SILENT: &str = "UPDATE runs SET ended_at = now() WHERE ended_at IS NULL";

async fn open(url: &str) -> PostgresStore {
    PostgresStore::open(url).await.unwrap()
}

fn nth(sequence: u64) -> Effect {
    effect(&case(1), sequence, at(10))
}

fn ids(entries: &[OutboxEntry]) -> Vec<EffectId> {
    entries.iter().map(|entry| entry.effect.id.clone()).collect()
}

fn asking(effects: Vec<Effect>) -> Commit {
    Commit { effects, ..step(&case(1)) }
}

fn done(effect: &Effect) -> Commit {
    let moved = Case { revision: 2, ..case(1) };
    Commit { done: vec![effect.id.clone()], ..step(&moved) }
}

fn returned(effect: &Effect) -> Returned {
    let outcome = Outcome::Acted(Ok(()));
    Returned { effect: effect.id.clone(), case: case(1).id, outcome, message: None }
}

#[tokio::test]
async fn one_process_leads_and_every_process_takes_webhooks() {
    let Some(url) = database::fresh() else { return };
    let (a, b) = (open(&url).await, open(&url).await);
    assert!(a.lead().await.unwrap() && !b.lead().await.unwrap() && a.lead().await.unwrap());
    assert_eq!(b.append(vec![webhook("one", 9)]).await.unwrap(), [New(1)]);
    assert_eq!(a.append(vec![webhook("two", 9)]).await.unwrap(), [New(2)]);
    assert_eq!(a.inbox(at(0), 9).await.unwrap().len(), 2);
    let refused = b.commit(step(&case(1))).await;
    assert!(matches!(refused, Err(StoreError::Away(_))), "{refused:?}");
    a.commit(step(&case(1))).await.unwrap();
    a.close().await.unwrap();
    // In good order: the next one leads at once.
    tokio::time::sleep(OpenOptions::default().lease / 8).await;
    assert!(b.lead().await.unwrap());
    let moved = Case { revision: 2, ..case(1) };
    b.commit(step(&moved)).await.unwrap();
    b.check().await.unwrap();
}

#[tokio::test]
async fn four_processes_claim_side_by_side_and_share_nothing() {
    let Some(url) = database::fresh() else { return };
    let first = open(&url).await;
    first.commit(asking((1..=200).map(nth).collect())).await.unwrap();
    let mut claims = Vec::new();
    for _ in 0..4 {
        let store = open(&url).await;
        claims.push(tokio::spawn(async move {
            let mut all = Vec::new();
            loop {
                let claimed = store.claim(at(10), 7).await.unwrap();
                if claimed.is_empty() {
                    return (store, all);
                }
                all.extend(ids(&claimed));
            }
        }));
    }
    let mut all = Vec::new();
    let mut stores = Vec::new();
    for claim in claims {
        let (store, claimed) = claim.await.unwrap();
        all.extend(claimed);
        stores.push(store);
    }
    assert_eq!((all.len(), all.iter().collect::<BTreeSet<_>>().len()), (200, 200));
}

#[tokio::test]
async fn who_was_taken_over_from_writes_nothing_any_more() {
    let Some(url) = database::fresh() else { return };
    let (a, b) = (open(&url).await, open(&url).await);
    a.commit(asking(vec![nth(1)])).await.unwrap();
    assert_eq!(a.claim(at(10), 9).await.unwrap()[0].claimed_by, None);
    assert!(b.claim(at(10), 9).await.unwrap().is_empty(), "its holder lives");
    database::shared().unwrap().sql_in(&url, SILENT);
    // The other one began its run before, and is silenced too: it begins a new one.
    assert!(matches!(b.claim(at(10), 9).await, Err(StoreError::Deposed) | Ok(_)));
    let taken = b.claim(at(10), 9).await.unwrap();
    assert_eq!(ids(&taken), [nth(1).id]);
    assert!(taken[0].claimed_by.is_some(), "it may have been performed");
    for late in [done(&nth(1)), step(&Case { revision: 2, ..case(1) })] {
        let refused = a.commit(late).await;
        assert!(matches!(refused, Err(StoreError::Deposed)), "{refused:?}");
        database::shared().unwrap().sql_in(&url, "SELECT 1");
        // It has a new run now, but what it held is not its own any more.
        a.give_back(&[returned(&nth(1))]).await.unwrap();
        assert!(a.given_back(9).await.unwrap().is_empty());
        database::shared().unwrap().sql_in(
            &url,
            "UPDATE runs SET ended_at = now() WHERE run = (SELECT max(run) FROM runs)",
        );
    }
    assert_eq!(b.case(&case(1).id).await.unwrap().unwrap().revision, 1);
    b.commit(done(&nth(1))).await.unwrap();
    b.check().await.unwrap();
}

#[tokio::test]
async fn a_process_that_dies_is_taken_over_from_when_its_lease_runs_out() {
    let Some(url) = database::fresh() else { return };
    let lease = Duration::from_secs(1);
    let options = || OpenOptions { lease, ..OpenOptions::default() };
    let a = PostgresStore::open_with(&url, options()).await.unwrap();
    a.commit(asking(vec![nth(1), nth(2)])).await.unwrap();
    a.claim(at(10), 1).await.unwrap();
    let b = PostgresStore::open_with(&url, options()).await.unwrap();
    assert_eq!(ids(&b.claim(at(10), 1).await.unwrap()), [nth(2).id]);
    // As long as it lives it keeps what it holds.
    tokio::time::sleep(3 * lease).await;
    assert!(b.claim(at(10), 9).await.unwrap().is_empty() && !b.lead().await.unwrap());
    drop(a);
    let mut taken = Vec::new();
    for _ in 0..200 {
        taken = b.claim(at(10), 9).await.unwrap();
        if !taken.is_empty() {
            break;
        }
        tokio::time::sleep(lease / 10).await;
    }
    assert_eq!(ids(&taken), [nth(1).id]);
    assert!(taken[0].claimed_by.is_some() && b.lead().await.unwrap());
}

#[tokio::test]
async fn what_one_process_performed_another_applies() {
    let Some(url) = database::fresh() else { return };
    let (a, b) = (open(&url).await, open(&url).await);
    a.commit(asking(vec![nth(1), nth(2)])).await.unwrap();
    b.claim(at(10), 9).await.unwrap();
    b.give_back(&[returned(&nth(2)), returned(&nth(1))]).await.unwrap();
    b.give_back(&[returned(&nth(2))]).await.unwrap();
    let again = b.commit(Commit { retried: vec![(nth(1).id, at(0))], ..Commit::default() }).await;
    assert!(matches!(again, Err(StoreError::Applied { .. })), "{again:?}");
    // Its death changes nothing: nobody takes up what has come back.
    database::shared()
        .unwrap()
        .sql_in(&url, "UPDATE runs SET ended_at = now() WHERE run <> (SELECT run FROM leader)");
    assert!(a.claim(at(10), 9).await.unwrap().is_empty());
    assert_eq!(a.next_due().await.unwrap(), case(1).due_at());
    let given = a.given_back(9).await.unwrap();
    assert_eq!(given, [returned(&nth(2)), returned(&nth(1))], "in the order of coming back");
    a.commit(done(&nth(2))).await.unwrap();
    assert_eq!(a.given_back(9).await.unwrap(), [returned(&nth(1))]);
    let again = a.commit(Commit { done: vec![nth(2).id], ..Commit::default() }).await;
    assert!(matches!(again, Err(StoreError::Applied { .. })), "{again:?}");
    assert_eq!(a.backlog().await.unwrap().outbox, 1);
}

#[tokio::test]
async fn an_append_whose_answer_was_lost_is_there_once() {
    let Some(server) = database::shared() else { return };
    let proxy = Proxy::to(server.socket()).await;
    let store = open(&Server::through(&server.fresh(), proxy.port)).await;
    assert_eq!(store.append(vec![webhook("first", 9)]).await.unwrap(), [New(1)]);
    for (cut, id, number) in [(Cut::AfterCommit, "a", 2), (Cut::BeforeCommit, "b", 3)] {
        proxy.cut(cut);
        let appended = store.append(vec![webhook(id, 9)]).await.unwrap();
        assert!(proxy.has_cut());
        assert_eq!(appended, [New(number)], "{cut:?}: what is there was read, not assumed");
    }
    assert_eq!(store.inbox(at(0), 9).await.unwrap().len(), 3);
    store.check().await.unwrap();
}

#[tokio::test]
async fn a_claim_whose_answer_was_lost_is_let_go_with_its_doubt() {
    let Some(server) = database::shared() else { return };
    let proxy = Proxy::to(server.socket()).await;
    let url = server.fresh();
    let store = open(&Server::through(&url, proxy.port)).await;
    store.commit(asking(vec![nth(1), nth(2)])).await.unwrap();
    store.claim(at(10), 1).await.unwrap();
    let known = BTreeSet::from([nth(1).id]);
    for cut in [Cut::AfterCommit, Cut::BeforeCommit] {
        proxy.cut(cut);
        let lost = store.claim(at(10), 9).await;
        assert!(matches!(lost, Err(StoreError::Away(_))), "{cut:?}: {lost:?}");
        assert_eq!(store.reclaim(&known).await.unwrap(), known, "{cut:?}");
        let again = store.claim(at(10), 9).await.unwrap();
        assert_eq!(ids(&again), [nth(2).id], "{cut:?}");
        assert_eq!(again[0].claimed_by, None, "{cut:?}: nobody began it");
        assert_eq!(store.reclaim(&known).await.unwrap(), known, "and let go once more");
    }
    // Another process takes both up after a death, and loses the answer: the doubt stays.
    drop(store);
    server.sql_in(&url, SILENT);
    let store = open(&Server::through(&url, proxy.port)).await;
    assert!(store.lead().await.is_ok());
    proxy.cut(Cut::AfterCommit);
    assert!(store.claim(at(10), 9).await.is_err());
    store.reclaim(&BTreeSet::new()).await.unwrap();
    let again = store.claim(at(10), 9).await.unwrap();
    let begun: Vec<_> = again.iter().map(|entry| entry.claimed_by.is_some()).collect();
    assert_eq!((ids(&again), begun), (vec![nth(1).id, nth(2).id], vec![true, false]));
}

#[tokio::test]
async fn an_outcome_whose_answer_was_lost_is_applied_once() {
    let Some(server) = database::shared() else { return };
    let proxy = Proxy::to(server.socket()).await;
    let store = open(&Server::through(&server.fresh(), proxy.port)).await;
    store.commit(asking(vec![nth(1)])).await.unwrap();
    store.claim(at(10), 1).await.unwrap();
    let known = BTreeSet::from([nth(1).id]);
    proxy.cut(Cut::BeforeCommit);
    assert!(matches!(store.commit(done(&nth(1))).await, Err(StoreError::Away(_))));
    assert_eq!(store.reclaim(&known).await.unwrap(), known, "still to be applied");
    proxy.cut(Cut::AfterCommit);
    assert!(matches!(store.commit(done(&nth(1))).await, Err(StoreError::Away(_))));
    assert!(store.reclaim(&known).await.unwrap().is_empty(), "it was applied");
    assert_eq!(store.case(&case(1).id).await.unwrap().unwrap().revision, 2);
    store.check().await.unwrap();
}

#[tokio::test]
async fn a_database_that_goes_away_and_comes_back_is_waited_for() {
    let Some(mut server) = Server::start(&[]) else { return };
    let url = server.fresh();
    let store = open(&url).await;
    store.append(vec![webhook("before", 9)]).await.unwrap();
    store.commit(asking(vec![nth(1)])).await.unwrap();
    server.kill();
    for _ in 0..2 {
        let refused = store.append(vec![webhook("meanwhile", 9)]).await;
        assert!(matches!(refused, Err(StoreError::Away(_))), "{refused:?}");
    }
    assert!(matches!(store.health(), Err(StoreError::Away(_))));
    assert!(matches!(store.claim(at(10), 9).await, Err(StoreError::Away(_))));
    assert!(store.case(&case(1).id).await.is_err());
    server.go_on();
    assert_eq!(store.append(vec![webhook("after", 9)]).await.unwrap(), [New(2)]);
    assert!(store.health().is_ok());
    assert_eq!(store.claim(at(10), 9).await.unwrap().len(), 1);
    store.commit(done(&nth(1))).await.unwrap();
    store.check().await.unwrap();
    server.stop();
    let error = PostgresStore::open(&url).await.map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("reach the database"), "{error}");
}

#[tokio::test]
async fn an_export_sees_one_moment() {
    let Some(url) = database::fresh() else { return };
    let store = open(&url).await;
    fill(&store).await;
    let whole = store.export(None, 10_000).await.unwrap();
    assert!(store.export(whole.last().map(|last| last.key.as_str()), 9).await.unwrap().is_empty());
    let mut paged = store.export(None, 2).await.unwrap();
    store.append(vec![webhook("later", 9)]).await.unwrap();
    let moved = Case { revision: 2, ..case(3) };
    store.commit(step(&moved)).await.unwrap();
    loop {
        let last = paged.last().map(|record| record.key.clone());
        let more = store.export(last.as_deref(), 2).await.unwrap();
        if more.is_empty() {
            break;
        }
        paged.extend(more);
    }
    assert!(paged == whole, "another moment was seen");
    assert!(store.export(None, 10_000).await.unwrap() != whole);
}

#[tokio::test]
async fn data_of_the_first_schema_moves_on_with_it() {
    let Some(server) = database::shared() else { return };
    let url = server.fresh();
    server.sql_in(&url, include_str!("../../../fixtures/stores/postgres-v1.sql"));
    let store = open(&url).await;
    store.check().await.unwrap();
    let version = "SELECT count(*) = max(version) AND max(version) > 1 FROM schema_versions";
    assert_eq!(server.sql_in(&url, version), "t");
    // The same records as the fixture of the embedded store, from which it was filled.
    let expected = include_str!("../../../fixtures/stores/v1/expected.json");
    let expected: Vec<ExportRecord> = serde_json::from_str(expected).unwrap();
    let found = store.export(None, 10_000).await.unwrap();
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!(found.key, expected.key);
        assert!(holds(&found.value, &expected.value), "{}", found.key);
    }
    // What was claimed under the first schema is taken up again, with its doubt.
    let claimed = store.claim(at(25), 9).await.unwrap();
    assert!(claimed.len() == 2 && claimed.iter().all(|entry| entry.claimed_by.is_some()));
}

#[tokio::test]
async fn a_later_schema_is_left_alone() {
    let Some(server) = database::shared() else { return };
    let url = server.fresh();
    drop(open(&url).await);
    server.sql_in(&url, "INSERT INTO schema_versions (version) VALUES (999)");
    let error = PostgresStore::open(&url).await.map(|_| ()).unwrap_err();
    assert!(matches!(&error, StoreError::Unusable { .. }), "{error}");
    assert!(error.to_string().contains("later recoup"), "{error}");
}

#[tokio::test]
async fn processes_that_start_together_make_one_schema() {
    let Some(url) = database::fresh() else { return };
    let opening = (0..6).map(|_| {
        let url = url.clone();
        tokio::spawn(async move { open(&url).await.link_key().await.unwrap() })
    });
    let keys: Vec<_> = futures::future::join_all(opening).await;
    let keys: BTreeSet<_> = keys.into_iter().map(Result::unwrap).collect();
    assert_eq!(keys.len(), 1);
}

#[tokio::test]
async fn over_tls_only_a_certificate_that_is_trusted_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let Some((certificate, key)) = Server::certificate(folder.path()) else { return };
    let settings =
        [format!("ssl_cert_file={certificate}"), format!("ssl_key_file={key}"), "ssl=on".into()];
    let mut settings: Vec<&str> = settings.iter().map(String::as_str).collect();
    settings.push("listen_addresses=127.0.0.1");
    let Some(server) = Server::start(&settings) else { return };
    let place = Server::through(&server.fresh(), server.port());
    let named = place.replace("127.0.0.1", "localhost");
    let untrusted = PostgresStore::open(&format!("{named}&sslmode=verify-full")).await;
    let error = untrusted.map(|_| ()).unwrap_err();
    assert!(matches!(&error, StoreError::Away(why) if why.contains("certificate")), "{error}");
    let other = format!("{place}&sslrootcert={certificate}");
    assert!(PostgresStore::open(&other).await.is_err(), "it is not the name in the certificate");
    let store = open(&format!("{named}&sslrootcert={certificate}")).await;
    store.append(vec![webhook("a", 9)]).await.unwrap();
    let sql = "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
        WHERE application_name = 'recoup' AND client_addr IS NOT NULL";
    assert_eq!(server.sql(sql).unwrap(), "t");
}
