//! Answers under an idempotency key: done once, answered the same, over crashes and processes.

use jiff::SignedDuration;
use recoup::store::SideTable;
use recoup::store::kept::{Answer, Asked, Begin, HOLDS_FOR, KEPT_FOR, Ticket, begin};

use super::samples::at;
use super::{Subject, for_every_store};

for_every_store!(
    an_answer_is_given_again_after_a_crash,
    another_request_does_not_get_the_key,
    a_dead_process_is_followed_and_a_living_one_waited_for,
    what_was_refused_may_be_sent_again,
    old_answers_are_found_by_their_age,
);

fn asked(request: &str, owner: &str) -> Asked {
    Asked { key: "k".into(), asked: request.into(), owner: owner.into(), now: at(7) }
}

fn answer() -> Answer {
    Answer { status: 200, kind: "application/json".into(), body: "{\"é\":1}".into() }
}

async fn ticket(subject: &Subject, owner: &str, now: i64) -> Ticket {
    match begin(&*subject.store(), &asked("a", owner), at(now)).await.unwrap() {
        Begin::Do(ticket) => *ticket,
        other => panic!("{other:?}"),
    }
}

async fn an_answer_is_given_again_after_a_crash(subject: &mut Subject) {
    let first = ticket(subject, "one", 0).await;
    assert!(!first.is_again() && first.begun_at() == at(7));
    first.keep(&*subject.store(), answer()).await.unwrap();
    subject.reopen().await;
    let found = begin(&*subject.store(), &asked("a", "two"), at(9)).await.unwrap();
    assert!(matches!(found, Begin::Answered(before) if before == answer()));
}

async fn another_request_does_not_get_the_key(subject: &mut Subject) {
    let first = ticket(subject, "one", 0).await;
    let other = async || begin(&*subject.store(), &asked("b", "one"), at(1)).await.unwrap();
    assert!(matches!(other().await, Begin::Other), "also while the first is under way");
    first.keep(&*subject.store(), answer()).await.unwrap();
    assert!(matches!(other().await, Begin::Other));
}

async fn a_dead_process_is_followed_and_a_living_one_waited_for(subject: &mut Subject) {
    let mut first = ticket(subject, "one", 0).await;
    let shared = subject.store().shared().is_some();
    let at_once = begin(&*subject.store(), &asked("a", "two"), at(1)).await.unwrap();
    if shared {
        assert!(matches!(at_once, Begin::UnderWay), "{at_once:?}");
        first.hold(&*subject.store(), at(50)).await.unwrap();
        let later = begin(&*subject.store(), &asked("a", "two"), at(61)).await.unwrap();
        assert!(matches!(later, Begin::UnderWay), "it has said that it lives");
    } else {
        assert!(
            matches!(at_once, Begin::Do(_)),
            "who had the store to itself is dead: {at_once:?}"
        );
    }
    subject.reopen().await;
    let after = (at(50) + HOLDS_FOR).as_second() - at(0).as_second();
    let second = ticket(subject, "three", after).await;
    assert!(second.is_again() && second.begun_at() == at(7), "as of its first begin");
    second.keep(&*subject.store(), answer()).await.unwrap();
    assert!(first.keep(&*subject.store(), answer()).await.is_err(), "it was taken over");
}

async fn what_was_refused_may_be_sent_again(subject: &mut Subject) {
    ticket(subject, "one", 0).await.give_back(&*subject.store()).await.unwrap();
    let mended = begin(&*subject.store(), &asked("b", "one"), at(1)).await.unwrap();
    assert!(matches!(&mended, Begin::Do(ticket) if !ticket.is_again()), "{mended:?}");
}

async fn old_answers_are_found_by_their_age(subject: &mut Subject) {
    assert!(KEPT_FOR >= SignedDuration::from_hours(24));
    ticket(subject, "one", 0).await.keep(&*subject.store(), answer()).await.unwrap();
    let before =
        async |time| subject.store().sides_before(SideTable::Kept, time, 9).await.unwrap().len();
    assert_eq!((before(at(0)).await, before(at(1)).await), (0, 1));
}
