//! Side records: found by key, time, group and due time; changed over the revision that was read.

use jiff::Timestamp;
use recoup::store::{Commit, SideRecord, SideTable, SideWrite, Store, StoreError};
use serde_json::json;

use super::samples::{at, case};
use super::{Subject, for_every_store};

for_every_store!(
    found_by_key_time_group_and_due_time,
    of_two_writers_one_loses,
    they_come_with_a_commit_or_not_at_all,
    no_lane_holds_up_another,
    removed_records_leave_no_trace,
    people_and_what_they_did_move_with_the_store,
);

fn record(key: &str, at: Timestamp) -> SideRecord {
    SideRecord::new(SideTable::Audit, key, at).with(&json!({ "says": key }))
}

async fn keys(store: &dyn Store, after: Option<&str>, limit: usize) -> (Vec<String>, bool) {
    let page = store.sides(SideTable::Audit, after, limit).await.unwrap();
    (page.data.into_iter().map(|record| record.key).collect(), page.has_more)
}

async fn found_by_key_time_group_and_due_time(subject: &mut Subject) {
    let store = subject.store();
    let of = |key: &str, s: i64, group: &str, due: i64| {
        let record = record(key, at(s)).in_group(Some(group.to_owned())).due_at(Some(at(due)));
        SideWrite::from(record)
    };
    // A group's name may hold anything.
    let writes = vec![of("a", 1, "x/y", 90), of("b", 2, "x", 50), of("c", 3, "x/y", 70)];
    store.write_sides(writes).await.unwrap();
    drop(store);
    subject.reopen().await;
    let store = subject.store();
    let found = store.side(SideTable::Audit, "b").await.unwrap().unwrap();
    assert_eq!((found.body["says"].as_str(), found.revision), (Some("b"), 1));
    assert_eq!(store.side(SideTable::User, "b").await.unwrap(), None);
    assert_eq!(keys(&*store, None, 2).await, (vec!["c".into(), "b".into()], true));
    assert_eq!(keys(&*store, Some("b"), 2).await, (vec!["a".into()], false));
    assert_eq!(keys(&*store, Some("nobody"), 2).await, (vec![], false));
    let of = store.sides_of(SideTable::Audit, "x/y").await.unwrap();
    assert_eq!(of.iter().map(|r| r.key.as_str()).collect::<Vec<_>>(), ["a", "c"]);
    assert!(store.sides_due(SideTable::Audit, "", at(49), 9).await.unwrap().is_empty());
    let due = store.sides_due(SideTable::Audit, "", at(70), 9).await.unwrap();
    assert_eq!(due.iter().map(|r| r.key.as_str()).collect::<Vec<_>>(), ["b", "c"]);
    let old = store.sides_before(SideTable::Audit, at(3), 9).await.unwrap();
    assert_eq!(old.iter().map(|r| r.key.as_str()).collect::<Vec<_>>(), ["a", "b"]);
}

async fn of_two_writers_one_loses(subject: &mut Subject) {
    let store = subject.store();
    let first = record("a", at(1));
    store.write_sides(vec![first.clone().into()]).await.unwrap();
    let changed = |result| matches!(result, Err(StoreError::Changed { .. }));
    assert!(changed(store.write_sides(vec![first.clone().into()]).await), "it is there already");
    store.write_sides(vec![first.next().with(&json!("one")).into()]).await.unwrap();
    let second = first.next().with(&json!("two"));
    let both = vec![record("b", at(2)).into(), second.into()];
    assert!(changed(store.write_sides(both).await), "it was read before the other wrote");
    assert_eq!(store.side(SideTable::Audit, "b").await.unwrap(), None, "all or none");
    let held = store.side(SideTable::Audit, "a").await.unwrap().unwrap();
    assert_eq!((held.body, held.revision), (json!("one"), 2));
}

async fn they_come_with_a_commit_or_not_at_all(subject: &mut Subject) {
    let store = subject.store();
    let write = |n| recoup::store::CaseWrite { case: case(n), ledger: Vec::new() };
    let side = vec![record("a", at(1)).into()];
    let commit = Commit { cases: vec![write(1)], side, ..Commit::default() };
    store.commit(commit.clone()).await.unwrap();
    let again = Commit { side: vec![record("b", at(1)).into()], ..commit };
    assert!(matches!(store.commit(again).await, Err(StoreError::Conflict { .. })));
    assert!(store.side(SideTable::Audit, "a").await.unwrap().is_some());
    assert!(store.side(SideTable::Audit, "b").await.unwrap().is_none());
}

async fn no_lane_holds_up_another(subject: &mut Subject) {
    let store = subject.store();
    let in_lane = |lane: &str, n: i64| {
        let record = record(&format!("{lane}{n}"), at(n)).in_lane(lane).due_at(Some(at(n)));
        SideWrite::from(record)
    };
    let many = (0..20).map(|n| in_lane("slow", n)).chain([in_lane("fast", 99)]).collect();
    store.write_sides(many).await.unwrap();
    let due = store.sides_due(SideTable::Audit, "fast", at(100), 4).await.unwrap();
    assert_eq!(due.iter().map(|r| r.key.as_str()).collect::<Vec<_>>(), ["fast99"]);
    assert_eq!(store.sides_due(SideTable::Audit, "slow", at(100), 4).await.unwrap().len(), 4);
    assert!(store.sides_due(SideTable::Audit, "", at(100), 4).await.unwrap().is_empty());
    let moved = due[0].next().due_at(None);
    store.write_sides(vec![moved.into()]).await.unwrap();
    assert!(store.sides_due(SideTable::Audit, "fast", at(100), 4).await.unwrap().is_empty());
}

/// People, sessions, tokens, links and the audit list are in an export, and a store that takes it
/// over answers the same questions about them.
async fn people_and_what_they_did_move_with_the_store(subject: &mut Subject) {
    let from = Subject::memory();
    for (n, table) in (1..).zip(SideTable::ALL) {
        let one = SideRecord::new(table, format!("key_{n}"), at(n)).with(&json!({ "n": n }));
        let one = one.in_group(Some("usr_1".to_owned()));
        from.store().write_sides(vec![one.clone().into()]).await.unwrap();
        let next = one.next().with(&json!({ "n": -n }));
        from.store().write_sides(vec![next.into()]).await.unwrap();
    }
    let exported = from.store().export(None, 1_000).await.unwrap();
    subject.store().import(exported).await.unwrap();
    subject.reopen().await;
    let store = subject.store();
    for (n, table) in (1..).zip(SideTable::ALL) {
        let one = store.side(table, &format!("key_{n}")).await.unwrap().unwrap();
        assert_eq!((one.revision, one.body["n"].as_i64()), (2, Some(-n)), "{table:?}");
        assert_eq!(store.sides_of(table, "usr_1").await.unwrap(), std::slice::from_ref(&one));
        assert_eq!(store.sides(table, None, 9).await.unwrap().data, std::slice::from_ref(&one));
        // Who had read it before the move changes it after.
        store.write_sides(vec![one.next().into()]).await.unwrap();
    }
}

async fn removed_records_leave_no_trace(subject: &mut Subject) {
    let store = subject.store();
    let one = record("a", at(1)).in_group(Some("g".to_owned())).due_at(Some(at(2)));
    store.write_sides(vec![one.into()]).await.unwrap();
    let gone = SideWrite::Remove(SideTable::Audit, "a".to_owned());
    store.write_sides(vec![gone.clone(), gone]).await.unwrap();
    assert_eq!(keys(&*store, None, 9).await, (vec![], false));
    assert!(store.sides_of(SideTable::Audit, "g").await.unwrap().is_empty());
    // What was removed may come again, at its first revision.
    store.write_sides(vec![record("a", at(3)).into()]).await.unwrap();
}
