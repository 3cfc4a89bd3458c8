//! The inbox: durable, deduplicated, in order, applied exactly once.

use recoup::core::ids::GatewayId;
use recoup::store::Appended::{Duplicate, New};
use recoup::store::{Backlog, Commit, InboxBody, InboxRecord, StoreError};

use super::samples::{at, case, step, stripe, webhook};
use super::{Subject, for_every_store};

for_every_store!(
    appended_inputs_come_in_order,
    duplicates_are_told_apart_by_source_and_id,
    an_applied_input_is_gone_and_still_found,
    an_input_is_applied_once,
    a_deferred_input_comes_back_at_its_time,
    a_postponed_input_comes_back_and_was_not_tried,
    a_body_of_one_mebibyte_comes_back,
    concurrent_appends_are_numbered_without_gap_or_doubt,
    foreign_ids_of_any_kind_are_kept_apart,
);

async fn ids(subject: &Subject, seconds: i64) -> Vec<String> {
    let entries = subject.store().inbox(at(seconds), 100).await.unwrap();
    entries.into_iter().map(|entry| entry.record.id).collect()
}

async fn appended_inputs_come_in_order(subject: &mut Subject) {
    let store = subject.store();
    let first = store.append(vec![webhook("b", 9), webhook("a", 9)]).await.unwrap();
    assert_eq!(first, [New(1), New(2)]);
    assert_eq!(store.append(vec![webhook("c", 9)]).await.unwrap(), [New(3)]);
    drop(store);
    subject.reopen().await;
    assert_eq!(ids(subject, 0).await, ["b", "a", "c"]);
    assert_eq!(subject.store().append(vec![webhook("d", 9)]).await.unwrap(), [New(4)]);
    let two = subject.store().inbox(at(0), 2).await.unwrap();
    assert_eq!(two.iter().map(|entry| entry.number).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(two[0].record, webhook("b", 9));
    assert_eq!((two[0].tries, two[0].not_before), (0, None));
    assert_eq!(subject.store().inbox(at(0), 0).await.unwrap(), []);
    assert_eq!(subject.store().backlog().await.unwrap(), Backlog { inbox: 4, outbox: 0 });
}

async fn duplicates_are_told_apart_by_source_and_id(subject: &mut Subject) {
    let store = subject.store();
    let other = InboxRecord { source: GatewayId::from("adyen"), ..webhook("a", 9) };
    let twice = vec![webhook("a", 9), webhook("a", 10), other.clone()];
    assert_eq!(store.append(twice).await.unwrap(), [New(1), Duplicate, New(2)]);
    drop(store);
    subject.reopen().await;
    let store = subject.store();
    let again = store.append(vec![other, webhook("a", 9), webhook("b", 9)]).await.unwrap();
    assert_eq!(again, [Duplicate, Duplicate, New(3)]);
    let kept = store.input(&stripe(), "a").await.unwrap().unwrap();
    assert_eq!(kept, webhook("a", 9), "the first one stays");
}

async fn an_applied_input_is_gone_and_still_found(subject: &mut Subject) {
    let store = subject.store();
    store.append(vec![webhook("a", 9), webhook("b", 9)]).await.unwrap();
    store.commit(Commit { applied: vec![1], ..step(&case(1)) }).await.unwrap();
    assert_eq!(ids(subject, 0).await, ["b"]);
    assert_eq!(store.backlog().await.unwrap().inbox, 1);
    assert_eq!(store.input(&stripe(), "a").await.unwrap(), Some(webhook("a", 9)));
    assert_eq!(store.input(&stripe(), "z").await.unwrap(), None);
    assert_eq!(store.append(vec![webhook("a", 9)]).await.unwrap(), [Duplicate]);
}

async fn an_input_is_applied_once(subject: &mut Subject) {
    let store = subject.store();
    store.append(vec![webhook("a", 9), webhook("b", 9)]).await.unwrap();
    store.commit(Commit { applied: vec![1], ..Commit::default() }).await.unwrap();
    for wrong in [
        Commit { applied: vec![1], ..step(&case(1)) },
        Commit { applied: vec![2, 2], ..step(&case(1)) },
        Commit { applied: vec![2, 99], ..step(&case(1)) },
        Commit { deferred: vec![(1, at(5))], ..step(&case(1)) },
    ] {
        let refused = store.commit(wrong).await;
        assert!(matches!(refused, Err(StoreError::Applied { .. })), "{refused:?}");
    }
    assert_eq!(store.case(&case(1).id).await.unwrap(), None, "nothing of them was written");
    assert_eq!(ids(subject, 0).await, ["b"]);
}

async fn a_deferred_input_comes_back_at_its_time(subject: &mut Subject) {
    let store = subject.store();
    store.append(vec![webhook("a", 9), webhook("b", 9), webhook("c", 9)]).await.unwrap();
    let later = Commit { deferred: vec![(1, at(60)), (3, at(30))], ..Commit::default() };
    store.commit(later).await.unwrap();
    assert_eq!(ids(subject, 0).await, ["b"]);
    assert_eq!(store.next_due().await.unwrap(), Some(at(30)));
    assert_eq!(ids(subject, 30).await, ["b", "c"]);
    drop(store);
    subject.reopen().await;
    assert_eq!(ids(subject, 60).await, ["a", "b", "c"], "by number again");
    let entry = subject.store().inbox(at(60), 9).await.unwrap().remove(0);
    assert_eq!((entry.tries, entry.not_before), (1, Some(at(60))));
    let applied = Commit { applied: vec![1, 2, 3], ..Commit::default() };
    subject.store().commit(applied).await.unwrap();
    assert_eq!(subject.store().next_due().await.unwrap(), None);
}

async fn a_postponed_input_comes_back_and_was_not_tried(subject: &mut Subject) {
    let store = subject.store();
    store.append(vec![webhook("a", 9), webhook("b", 9)]).await.unwrap();
    let later = Commit { postponed: vec![(1, at(60))], ..Commit::default() };
    store.commit(later).await.unwrap();
    assert_eq!(ids(subject, 59).await, ["b"]);
    let entry = store.inbox(at(60), 9).await.unwrap().remove(0);
    assert_eq!((entry.number, entry.tries, entry.not_before), (1, 0, Some(at(60))));
    let gone = Commit { postponed: vec![(9, at(60))], ..Commit::default() };
    let refused = store.commit(gone).await;
    assert!(matches!(refused, Err(StoreError::Applied { .. })), "{refused:?}");
}

async fn a_body_of_one_mebibyte_comes_back(subject: &mut Subject) {
    let big = webhook("big", 1 << 20);
    subject.store().append(vec![big.clone()]).await.unwrap();
    subject.reopen().await;
    let store = subject.store();
    assert_eq!(store.inbox(at(0), 9).await.unwrap()[0].record, big);
    store.commit(Commit { applied: vec![1], ..Commit::default() }).await.unwrap();
    let kept = store.input(&stripe(), "big").await.unwrap().unwrap();
    let InboxBody::Webhook { body, .. } = kept.body else { panic!("another kind") };
    assert_eq!(body.len(), 1 << 20);
}

async fn concurrent_appends_are_numbered_without_gap_or_doubt(subject: &mut Subject) {
    // 40 tasks bring 40 events, each event twice, from two tasks.
    let tasks = (0..40).map(|task| {
        let store = subject.store();
        tokio::spawn(async move {
            let records = vec![webhook(&format!("e{task}"), 30)];
            let twin = vec![webhook(&format!("e{}", (task + 1) % 40), 30)];
            let mut got = store.append(records).await.unwrap();
            got.extend(store.append(twin).await.unwrap());
            got
        })
    });
    let mut numbers = Vec::new();
    for answers in futures::future::join_all(tasks).await {
        for answer in answers.unwrap() {
            if let New(number) = answer {
                numbers.push(number);
            }
        }
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=40).collect::<Vec<u64>>());
}

async fn foreign_ids_of_any_kind_are_kept_apart(subject: &mut Subject) {
    let long = "x".repeat(3_000);
    let all = ["a/b", "a%2fb", "a b", "", "é\u{0}", "~/", &long, &format!("{long}1")];
    let records: Vec<_> = all.iter().map(|id| webhook(id, 3)).collect();
    let answers = subject.store().append(records).await.unwrap();
    assert_eq!(answers, (1..=8).map(New).collect::<Vec<_>>());
    for id in all {
        let found = subject.store().input(&stripe(), id).await.unwrap();
        assert_eq!(found.map(|record| record.id).as_deref(), Some(id));
    }
}
