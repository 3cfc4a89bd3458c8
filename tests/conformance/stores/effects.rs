//! Effects: claimed durably before they are performed, and settled once.

use std::collections::{BTreeMap, BTreeSet};

use recoup::core::effect::Order;
use recoup::core::ids::{EffectId, GatewayId};
use recoup::store::{Backlog, Commit, OutboxEntry, Room, Store, StoreError};

use super::samples::{at, case, effect, step};
use super::{Subject, for_every_store};

for_every_store!(
    effects_are_claimed_once_in_the_order_of_their_time,
    a_later_run_learns_who_had_begun,
    a_retried_effect_comes_back_at_its_time,
    only_what_nobody_has_begun_can_be_taken_back,
    an_outcome_is_applied_once,
    an_effect_cannot_be_asked_for_twice,
    the_next_time_covers_effects,
    racing_claims_share_nothing,
    a_crowded_lane_leaves_the_others_their_room,
);

fn ids(entries: &[OutboxEntry]) -> Vec<EffectId> {
    entries.iter().map(|entry| entry.effect.id.clone()).collect()
}

/// The `sequence`-th effect of case 1, ready after so many seconds.
fn nth(sequence: u64, seconds: i64) -> recoup::core::effect::Effect {
    effect(&case(1), sequence, at(seconds))
}

async fn ask(store: &dyn Store, effects: Vec<recoup::core::effect::Effect>) {
    store.commit(Commit { effects, ..step(&case(1)) }).await.unwrap();
}

async fn effects_are_claimed_once_in_the_order_of_their_time(subject: &mut Subject) {
    let store = subject.store();
    let (a, b, c, d) = (nth(1, 20), nth(2, 10), nth(3, 10), nth(4, 99));
    ask(&*store, vec![a.clone(), b.clone(), c.clone(), d.clone()]).await;
    assert!(store.claim(at(9), 9).await.unwrap().is_empty());
    let first = store.claim(at(20), 2).await.unwrap();
    assert_eq!(ids(&first), [b.id, c.id], "asked for first, claimed first");
    let fresh = OutboxEntry { effect: nth(2, 10), tries: 0, claimed_by: None };
    assert_eq!(first[0], fresh);
    assert_eq!(ids(&store.claim(at(20), 9).await.unwrap()), [a.id]);
    assert!(store.claim(at(20), 9).await.unwrap().is_empty(), "this run has them all");
    assert_eq!(store.backlog().await.unwrap(), Backlog { inbox: 0, outbox: 4 });
    assert_eq!(ids(&store.claim(at(99), 9).await.unwrap()), [d.id]);
}

/// The `sequence`-th effect of case 1, at this gateway.
fn at_gateway(gateway: &str, sequence: u64, seconds: i64) -> recoup::core::effect::Effect {
    let mut effect = nth(sequence, seconds);
    if let Order::Check(order) = &mut effect.order {
        order.gateway = GatewayId::from(gateway);
    }
    effect
}

async fn a_crowded_lane_leaves_the_others_their_room(subject: &mut Subject) {
    let store = subject.store();
    let of = |gateway: &'static str| move |n: u64| at_gateway(gateway, n, n.cast_signed());
    let busy: Vec<_> = (1..=5).map(of("busy")).collect();
    let other: Vec<_> = (6..=8).map(of("other")).collect();
    let later = at_gateway("other", 9, 99);
    ask(&*store, busy.iter().chain(&other).chain([&later]).cloned().collect()).await;
    let (busy_lane, other_lane) = (busy[0].order.lane(), other[0].order.lane());
    let room = Room { total: 9, each: 9, of: BTreeMap::from([(busy_lane.clone(), 2)]) };
    let claimed = store.claim_within(at(20), &room).await.unwrap();
    let wanted = [&busy[0], &busy[1], &other[0], &other[1], &other[2]];
    assert_eq!(ids(&claimed.entries), wanted.map(|effect| effect.id.clone()));
    assert_eq!(claimed.crowded, BTreeSet::from([busy_lane.clone()]));
    // No room at all, and the total counts over all lanes.
    let full = Room { of: BTreeMap::from([(busy_lane.clone(), 0)]), ..room };
    let none = store.claim_within(at(20), &full).await.unwrap();
    assert_eq!((none.entries.len(), none.crowded.len()), (0, 1));
    let two = store.claim_within(at(99), &Room::any(2)).await.unwrap();
    assert_eq!(ids(&two.entries), [busy[2].id.clone(), busy[3].id.clone()]);
    assert_eq!(two.crowded, BTreeSet::from([busy_lane, other_lane]));
    assert_eq!(ids(&store.claim(at(99), 9).await.unwrap()), [busy[4].id.clone(), later.id]);
}

async fn a_later_run_learns_who_had_begun(subject: &mut Subject) {
    ask(&*subject.store(), vec![nth(1, 10), nth(2, 20), nth(3, 30)]).await;
    subject.store().claim(at(10), 9).await.unwrap();
    subject.reopen().await;
    let store = subject.store();
    let second = store.claim(at(20), 9).await.unwrap();
    assert_eq!(ids(&second), [nth(1, 10).id, nth(2, 20).id]);
    let first_run = second[0].claimed_by.expect("it may have been performed");
    assert_eq!(second[1].claimed_by, None);
    assert!(store.claim(at(20), 9).await.unwrap().is_empty());
    drop(store);
    subject.reopen().await;
    let third = subject.store().claim(at(30), 9).await.unwrap();
    assert_eq!(ids(&third), [nth(1, 10).id, nth(2, 20).id, nth(3, 30).id]);
    assert!(third[0].claimed_by > Some(first_run), "the second run claimed it last");
    assert_eq!(third[0].claimed_by, third[1].claimed_by);
    assert_eq!(third[2].claimed_by, None);
}

async fn a_retried_effect_comes_back_at_its_time(subject: &mut Subject) {
    let store = subject.store();
    ask(&*store, vec![nth(1, 10)]).await;
    store.claim(at(10), 9).await.unwrap();
    let later = Commit { retried: vec![(nth(1, 10).id, at(70))], ..Commit::default() };
    store.commit(later).await.unwrap();
    assert!(store.claim(at(69), 9).await.unwrap().is_empty());
    assert_eq!(store.next_due().await.unwrap(), Some(at(70)));
    drop(store);
    subject.reopen().await;
    let again = subject.store().claim(at(70), 9).await.unwrap();
    assert_eq!(again, [OutboxEntry { effect: nth(1, 10), tries: 1, claimed_by: None }]);
}

async fn only_what_nobody_has_begun_can_be_taken_back(subject: &mut Subject) {
    ask(&*subject.store(), vec![nth(1, 10), nth(2, 20)]).await;
    subject.store().claim(at(10), 9).await.unwrap();
    let (begun, waits, gone) = (nth(1, 10).id, nth(2, 20).id, nth(7, 0).id);
    let back = Commit { cancelled: vec![begun.clone(), waits, gone], ..Commit::default() };
    subject.store().commit(back).await.unwrap();
    assert_eq!(subject.store().backlog().await.unwrap().outbox, 1);
    subject.reopen().await;
    let cancelled = Commit { cancelled: vec![begun.clone()], ..Commit::default() };
    subject.store().commit(cancelled).await.unwrap();
    let left = subject.store().claim(at(99), 9).await.unwrap();
    assert_eq!(ids(&left), [begun], "an earlier run may have performed it");
    // Once its claim is released, it can be taken back.
    let id = left[0].effect.id.clone();
    let released = Commit { retried: vec![(id.clone(), at(0))], ..Commit::default() };
    subject.store().commit(released).await.unwrap();
    let cancelled = Commit { cancelled: vec![id], ..Commit::default() };
    subject.store().commit(cancelled).await.unwrap();
    assert_eq!(subject.store().backlog().await.unwrap().outbox, 0);
}

async fn an_outcome_is_applied_once(subject: &mut Subject) {
    let store = subject.store();
    ask(&*store, vec![nth(1, 10)]).await;
    store.claim(at(10), 9).await.unwrap();
    let id = nth(1, 10).id;
    let done = Commit { done: vec![id.clone()], ..Commit::default() };
    store.commit(done.clone()).await.unwrap();
    assert_eq!(store.backlog().await.unwrap().outbox, 0);
    let retried = Commit { retried: vec![(id, at(0))], ..Commit::default() };
    for again in [done, retried] {
        let refused = store.commit(Commit { cases: step(&case(2)).cases, ..again }).await;
        assert!(matches!(refused, Err(StoreError::Applied { .. })), "{refused:?}");
    }
    assert_eq!(store.case(&case(2).id).await.unwrap(), None);
}

async fn an_effect_cannot_be_asked_for_twice(subject: &mut Subject) {
    let store = subject.store();
    ask(&*store, vec![nth(1, 10)]).await;
    let again = Commit { effects: vec![nth(1, 0)], ..Commit::default() };
    let refused = store.commit(again.clone()).await;
    assert!(matches!(refused, Err(StoreError::Conflict { .. })), "{refused:?}");
    // Taken back and asked for anew in one step is another matter.
    let anew = Commit { cancelled: vec![nth(1, 10).id], ..again };
    store.commit(anew).await.unwrap();
    assert_eq!(store.claim(at(0), 9).await.unwrap()[0].effect, nth(1, 0));
}

async fn the_next_time_covers_effects(subject: &mut Subject) {
    let mut quiet = case(1);
    quiet.timers.clear();
    let asked = Commit { effects: vec![nth(1, 40), nth(2, 30)], ..step(&quiet) };
    subject.store().commit(asked).await.unwrap();
    assert_eq!(subject.store().next_due().await.unwrap(), Some(at(30)));
    subject.store().claim(at(30), 9).await.unwrap();
    assert_eq!(subject.store().next_due().await.unwrap(), Some(at(40)), "it is under way");
    subject.reopen().await;
    assert_eq!(subject.store().next_due().await.unwrap(), Some(at(30)), "it is to be looked at");
}

async fn racing_claims_share_nothing(subject: &mut Subject) {
    ask(&*subject.store(), (1..=50).map(|n| nth(n, 10)).collect()).await;
    let claims = (0..20).map(|_| {
        let store = subject.store();
        tokio::spawn(async move { store.claim(at(10), 3).await.unwrap() })
    });
    let mut all = Vec::new();
    for claimed in futures::future::join_all(claims).await {
        all.extend(ids(&claimed.unwrap()));
    }
    assert_eq!(all.len(), 50);
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 50);
}
