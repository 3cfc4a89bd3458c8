//! Export and import: a store moves whole between any two stores.

use recoup::store::{ExportRecord, Store, StoreError};

use super::samples::{at, case, fill, stripe, webhook};
use super::{Subject, for_every_store};

for_every_store!(
    pages_of_an_export_join_without_gap,
    a_store_in_use_imports_nothing,
    an_import_can_be_repeated_and_goes_on,
    what_does_not_belong_into_an_export_is_refused,
);

async fn all(store: &dyn Store, page: usize) -> Vec<ExportRecord> {
    let mut records: Vec<ExportRecord> = Vec::new();
    loop {
        let after = records.last().map(|record| record.key.clone());
        let more = store.export(after.as_deref(), page).await.unwrap();
        assert!(more.len() <= page);
        if more.is_empty() {
            return records;
        }
        records.extend(more);
    }
}

#[tokio::test]
async fn sled_to_memory_to_sled_is_the_same() {
    let (from, via, to) = (Subject::sled(), Subject::memory(), Subject::sled());
    fill(&*from.store()).await;
    let first = all(&*from.store(), 1_000).await;
    via.store().import(first.clone()).await.unwrap();
    let second = all(&*via.store(), 3).await;
    assert_eq!(first, second);
    for page in second.chunks(4) {
        to.store().import(page.to_vec()).await.unwrap();
    }
    assert_eq!(all(&*to.store(), 1_000).await, first);
    for subject in [&from, &via, &to] {
        subject.check().await.unwrap();
    }
    let (a, b) = (from.store(), to.store());
    assert_eq!(a.link_key().await.unwrap(), b.link_key().await.unwrap());
    assert_eq!(a.backlog().await.unwrap(), b.backlog().await.unwrap());
    assert_eq!(a.count_cases().await.unwrap(), b.count_cases().await.unwrap());
    assert_eq!(a.due(at(9_999), 99).await.unwrap(), b.due(at(9_999), 99).await.unwrap());
    // What was claimed there is claimed by no run here: it comes back, with the doubt kept.
    let claimed = b.claim(at(0), 99).await.unwrap();
    assert_eq!(claimed.len(), 2);
    assert!(claimed.iter().all(|entry| entry.claimed_by.is_some()));
    // Numbers go on behind those that were imported.
    let new = b.append(vec![webhook("evt_1", 5), webhook("evt_9", 5)]).await.unwrap();
    assert_eq!(new, [recoup::store::Appended::Duplicate, recoup::store::Appended::New(4)]);
    assert_eq!(b.input(&stripe(), "evt_2").await.unwrap(), Some(webhook("evt_2", 20_000)));
}

async fn pages_of_an_export_join_without_gap(subject: &mut Subject) {
    let store = subject.store();
    assert!(all(&*store, 1).await.iter().all(|record| record.key == "meta/link_key"));
    fill(&*store).await;
    let whole = all(&*store, 10_000).await;
    for page in [1, 2, 7] {
        assert_eq!(all(&*store, page).await, whole);
    }
    assert!(whole.is_sorted_by(|a, b| a.key < b.key));
    assert!(whole.iter().all(|record| !record.key.starts_with("x/")));
}

async fn a_store_in_use_imports_nothing(subject: &mut Subject) {
    let other = Subject::memory();
    fill(&*other.store()).await;
    let records = all(&*other.store(), 10_000).await;
    let store = subject.store();
    store.append(vec![webhook("mine", 9)]).await.unwrap();
    let before = all(&*store, 10_000).await;
    let refused = store.import(records).await;
    assert!(matches!(refused, Err(StoreError::Refused(_))), "{refused:?}");
    assert_eq!(all(&*store, 10_000).await, before);
    store.import(before.clone()).await.unwrap();
    assert_eq!(all(&*store, 10_000).await, before, "its own export changes nothing");
}

async fn an_import_can_be_repeated_and_goes_on(subject: &mut Subject) {
    let other = Subject::memory();
    fill(&*other.store()).await;
    let records = all(&*other.store(), 10_000).await;
    let (first, rest) = records.split_at(10);
    subject.store().import(first.to_vec()).await.unwrap();
    subject.reopen().await;
    let refused = subject.store().import(rest.to_vec()).await;
    assert!(refused.is_err(), "a page in the middle is no beginning");
    for page in [first, rest] {
        subject.store().import(page.to_vec()).await.unwrap();
    }
    assert_eq!(all(&*subject.store(), 10_000).await, records);
    subject.store().append(vec![webhook("later", 9)]).await.unwrap();
    let mut foreign = records[0].clone();
    foreign.key.push('x');
    assert!(subject.store().import(vec![foreign]).await.is_err(), "the import is over");
}

async fn what_does_not_belong_into_an_export_is_refused(subject: &mut Subject) {
    let unit = serde_json::Value::Null;
    for (key, value) in [
        ("x/due/0000000000000000/case_1", unit.clone()),
        ("meta/run", 7.into()),
        ("meta/marker", serde_json::json!({"format": 1, "commits": 1})),
        ("nonsense/1", unit),
        ("case/1", serde_json::json!({"id": 1})),
    ] {
        let records = vec![ExportRecord { key: key.into(), value }];
        let refused = subject.store().import(records).await;
        assert!(matches!(refused, Err(StoreError::Damaged { .. })), "{key}: {refused:?}");
    }
    assert_eq!(subject.store().case(&case(1).id).await.unwrap(), None);
}
