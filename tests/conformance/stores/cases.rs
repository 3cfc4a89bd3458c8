//! Cases: revisions, timers, lists, ledgers, messages and what belongs to them.

use std::collections::BTreeSet;
use std::sync::Arc;

use recoup::core::case::{Case, State, Timer};
use recoup::core::customer::Channel;
use recoup::core::ids::CardKey;
use recoup::core::learning::Learned;
use recoup::core::learning::timing::{Context, Group, History};
use recoup::core::reputation::{ChannelOrder, Reputation};
use recoup::store::{CaseFilter, CaseWrite, Commit, Page, StoreError};

use super::samples::{at, card, case, customer, effect, entry, message, policy, step, webhook};
use super::{Subject, for_every_store};

for_every_store!(
    a_case_comes_back_as_it_was_written,
    a_commit_over_another_revision_writes_nothing,
    one_of_two_racing_steps_wins,
    due_cases_come_earliest_first_and_only_when_due,
    a_case_has_one_due_row_at_the_most,
    open_cases_and_payments_follow_the_case,
    lists_are_newest_first_in_pages,
    filters_find_what_they_say,
    counts_follow_the_states,
    ledgers_are_append_only_and_in_order,
    messages_come_as_sent,
    cards_customers_and_policies_come_back,
    how_messages_were_received_comes_back,
    a_long_case_shrinks_again,
    a_closed_store_takes_nothing,
);

async fn a_case_comes_back_as_it_was_written(subject: &mut Subject) {
    let mut written = case(1);
    subject.store().commit(step(&written)).await.unwrap();
    written.revision = 2;
    written.reason = "así: «ñ» \u{1F4B3}".into();
    subject.store().commit(step(&written)).await.unwrap();
    subject.reopen().await;
    assert_eq!(subject.store().case(&written.id).await.unwrap(), Some(written));
    assert_eq!(subject.store().case(&case(2).id).await.unwrap(), None);
}

async fn a_commit_over_another_revision_writes_nothing(subject: &mut Subject) {
    let store = subject.store();
    store.append(vec![webhook("a", 9)]).await.unwrap();
    store.commit(step(&case(1))).await.unwrap();
    for revision in [0, 1, 3] {
        let stale = Case { revision, ..case(1) };
        let stale = CaseWrite { case: stale, ledger: vec![entry(9)] };
        let whole = Commit {
            applied: vec![1],
            cases: vec![CaseWrite { case: case(2), ledger: vec![entry(1)] }, stale],
            cards: vec![card("fp")],
            customers: vec![customer("cus_9")],
            effects: vec![effect(&case(1), 1, at(0))],
            messages: vec![message(&case(1), 1, at(0))],
            ..Commit::default()
        };
        let refused = store.commit(whole).await;
        assert!(
            matches!(&refused, Err(StoreError::Conflict { case: id }) if *id == case(1).id),
            "{refused:?}"
        );
    }
    assert_eq!(store.case(&case(2).id).await.unwrap(), None);
    assert_eq!(store.case(&case(1).id).await.unwrap().unwrap().revision, 1);
    assert_eq!(store.ledger(&case(1).id).await.unwrap(), [entry(1)]);
    assert_eq!(store.customer("cus_9").await.unwrap(), None);
    assert!(store.cards(&[card("fp").key]).await.unwrap().is_empty());
    assert!(store.claim(at(9), 9).await.unwrap().is_empty());
    assert!(store.messages_of(&case(1).id).await.unwrap().is_empty());
    assert_eq!(store.inbox(at(0), 9).await.unwrap().len(), 1);
    assert_eq!(store.count_cases().await.unwrap()[&State::Scheduled], 1);
}

async fn one_of_two_racing_steps_wins(subject: &mut Subject) {
    let steps = (0..20).map(|n| {
        let store = subject.store();
        tokio::spawn(async move {
            let case = Case { reason: format!("step of {n}"), ..case(1) };
            store.commit(step(&case)).await
        })
    });
    let done = futures::future::join_all(steps).await;
    let won = done.iter().filter(|result| result.as_ref().unwrap().is_ok()).count();
    assert_eq!(won, 1);
    assert_eq!(subject.store().ledger(&case(1).id).await.unwrap().len(), 1);
}

async fn due_cases_come_earliest_first_and_only_when_due(subject: &mut Subject) {
    for n in [3, 1, 2] {
        subject.store().commit(step(&case(n))).await.unwrap();
    }
    subject.reopen().await;
    let store = subject.store();
    assert_eq!(store.next_due().await.unwrap(), Some(at(1_001)));
    assert!(store.due(at(1_000), 9).await.unwrap().is_empty());
    assert_eq!(store.due(at(1_002), 9).await.unwrap(), [case(1).id, case(2).id]);
    assert_eq!(store.due(at(9_999), 2).await.unwrap(), [case(1).id, case(2).id]);
    assert_eq!(store.due(at(9_999), 9).await.unwrap().len(), 3);
}

async fn a_case_has_one_due_row_at_the_most(subject: &mut Subject) {
    let store = subject.store();
    let mut held = case(1);
    held.timers.insert(Timer::Reminder, at(50));
    store.commit(step(&held)).await.unwrap();
    assert_eq!(store.due(at(9_999), 9).await.unwrap(), [held.id.clone()]);
    assert_eq!(store.next_due().await.unwrap(), Some(at(50)));
    held.timers.remove(&Timer::Reminder);
    held.revision = 2;
    store.commit(step(&held)).await.unwrap();
    assert_eq!(store.next_due().await.unwrap(), Some(at(1_001)));
    held.timers.clear();
    held.revision = 3;
    store.commit(step(&held)).await.unwrap();
    assert!(store.due(at(9_999), 9).await.unwrap().is_empty());
    assert_eq!(store.next_due().await.unwrap(), None);
}

async fn open_cases_and_payments_follow_the_case(subject: &mut Subject) {
    let store = subject.store();
    let of = |n| Case { subscription: Some(format!("sub_{}", n % 3)), ..case(n) };
    for n in [1, 4, 2] {
        store.commit(step(&of(n))).await.unwrap();
    }
    let found = store.open_cases_of_subscription("sub_1").await.unwrap();
    assert_eq!(BTreeSet::from_iter(found), BTreeSet::from([case(1).id, case(4).id]));
    let open: BTreeSet<_> = store.open_cases_of("cus_1").await.unwrap().into_iter().collect();
    assert_eq!(open, BTreeSet::from([case(1).id, case(4).id]));
    assert_eq!(store.case_of_payment("pi_4").await.unwrap(), Some(case(4).id));
    assert_eq!(store.case_of_payment("pi").await.unwrap(), None);
    let mut ended = Case { revision: 2, state: State::Recovered, ..of(4) };
    ended.payments.push("pi/other".into());
    store.commit(step(&ended)).await.unwrap();
    drop(store);
    subject.reopen().await;
    let store = subject.store();
    assert_eq!(store.open_cases_of("cus_1").await.unwrap(), [case(1).id]);
    assert_eq!(store.open_cases_of_subscription("sub_1").await.unwrap(), [case(1).id]);
    assert!(store.open_cases_of_subscription("sub_").await.unwrap().is_empty());
    assert!(store.open_cases_of("cus_").await.unwrap().is_empty());
    for payment in ["pi_4", "pi/other"] {
        assert_eq!(store.case_of_payment(payment).await.unwrap(), Some(case(4).id));
    }
}

fn invoices(page: &Page<Case>) -> Vec<&str> {
    page.data.iter().map(|case| case.invoice.as_str()).collect()
}

async fn lists_are_newest_first_in_pages(subject: &mut Subject) {
    for n in [2, 5, 1, 4, 3] {
        subject.store().commit(step(&case(n))).await.unwrap();
    }
    let store = subject.store();
    let all = CaseFilter::default();
    let first = store.list_cases(&all, None, 2).await.unwrap();
    assert_eq!((invoices(&first), first.has_more), (vec!["in_5", "in_4"], true));
    let second = store.list_cases(&all, Some(&case(4).id), 2).await.unwrap();
    assert_eq!((invoices(&second), second.has_more), (vec!["in_3", "in_2"], true));
    let third = store.list_cases(&all, Some(&case(2).id), 2).await.unwrap();
    assert_eq!((invoices(&third), third.has_more), (vec!["in_1"], false));
    let whole = store.list_cases(&all, None, 5).await.unwrap();
    assert_eq!((whole.data.len(), whole.has_more), (5, false));
    let unknown = store.list_cases(&all, Some(&case(77).id), 5).await.unwrap();
    assert_eq!((unknown.data.len(), unknown.has_more), (0, false));
}

async fn filters_find_what_they_say(subject: &mut Subject) {
    for n in 1..=300 {
        let mut case = case(n);
        if n % 100 == 0 {
            case.state = State::Paused;
        }
        subject.store().commit(step(&case)).await.unwrap();
    }
    let store = subject.store();
    let paused = CaseFilter { state: Some(State::Paused), ..CaseFilter::default() };
    let page = store.list_cases(&paused, None, 2).await.unwrap();
    assert_eq!((invoices(&page), page.has_more), (vec!["in_300", "in_200"], true));
    let customer = Some("cus_1".to_owned());
    let both = CaseFilter { customer: customer.clone(), ..paused.clone() };
    let page = store.list_cases(&both, None, 1).await.unwrap();
    assert_eq!((invoices(&page), page.has_more), (vec!["in_100"], false), "behind many others");
    let invoice = CaseFilter { invoice: Some("in_7".into()), customer, ..CaseFilter::default() };
    assert_eq!(invoices(&store.list_cases(&invoice, None, 9).await.unwrap()), ["in_7"]);
    let other = CaseFilter { gateway: Some("adyen".into()), ..CaseFilter::default() };
    assert!(store.list_cases(&other, None, 9).await.unwrap().data.is_empty());
    let ours = CaseFilter { gateway: Some("stripe".into()), ..CaseFilter::default() };
    let page = store.list_cases(&ours, None, 299).await.unwrap();
    assert_eq!((page.data.len(), page.has_more), (299, true));
}

async fn counts_follow_the_states(subject: &mut Subject) {
    let store = subject.store();
    for n in 1..=3 {
        store.commit(step(&case(n))).await.unwrap();
    }
    let moved = Case { revision: 2, state: State::Attempting, ..case(2) };
    store.commit(step(&moved)).await.unwrap();
    drop(store);
    subject.reopen().await;
    let counts = subject.store().count_cases().await.unwrap();
    assert_eq!((counts[&State::Scheduled], counts[&State::Attempting]), (2, 1));
    assert_eq!(counts.values().sum::<u64>(), 3);
    assert_eq!(counts.len(), State::ALL.len());
}

async fn ledgers_are_append_only_and_in_order(subject: &mut Subject) {
    let store = subject.store();
    let entries: Vec<_> = (1..=20).map(entry).collect();
    let write = CaseWrite { case: case(1), ledger: entries.clone() };
    store.commit(Commit { cases: vec![write], ..Commit::default() }).await.unwrap();
    store.commit(step(&case(2))).await.unwrap();
    let second = Case { revision: 2, ..case(1) };
    let again = CaseWrite { case: second, ledger: vec![entry(20)] };
    let refused = store.commit(Commit { cases: vec![again], ..Commit::default() }).await;
    assert!(matches!(refused, Err(StoreError::Conflict { .. })), "{refused:?}");
    assert_eq!(store.ledger(&case(1).id).await.unwrap(), entries);
}

async fn messages_come_as_sent(subject: &mut Subject) {
    let (one, two) = (case(1), case(2));
    let sent = [message(&one, 2, at(20)), message(&two, 1, at(15)), message(&one, 1, at(10))];
    let commit = Commit { messages: sent.to_vec(), ..Commit::default() };
    subject.store().commit(commit).await.unwrap();
    subject.reopen().await;
    let store = subject.store();
    let of_one = store.messages_of(&one.id).await.unwrap();
    assert_eq!(of_one, [sent[2].clone(), sent[0].clone()], "oldest first");
    let page = store.list_messages(None, 2).await.unwrap();
    assert_eq!((page.data, page.has_more), (sent[..2].to_vec(), true));
    let rest = store.list_messages(Some(&sent[1].id), 2).await.unwrap();
    assert_eq!((rest.data, rest.has_more), (sent[2..].to_vec(), false));
}

async fn cards_customers_and_policies_come_back(subject: &mut Subject) {
    let mut second = customer("cus/2");
    second.excluded = true;
    let whole = Commit {
        cards: vec![card("a"), card("b")],
        customers: vec![customer("cus_1"), second.clone()],
        learned: Some(learned()),
        ..Commit::default()
    };
    assert!(subject.store().learned().await.unwrap().timing.is_empty());
    subject.store().commit(whole).await.unwrap();
    let policy = policy();
    subject.store().put_policy(&policy).await.unwrap();
    subject.store().put_test_clock(at(5)).await.unwrap();
    let key = subject.store().link_key().await.unwrap();
    subject.reopen().await;
    let store = subject.store();
    let wanted = [card("a").key, CardKey::from("card_none"), card("b").key];
    let cards = store.cards(&wanted).await.unwrap();
    assert_eq!(cards.len(), 2);
    assert_eq!(cards[&card("b").key], card("b"));
    assert_eq!(store.customer("cus/2").await.unwrap(), Some(second));
    assert_eq!(store.customer("cus_3").await.unwrap(), None);
    assert_eq!(store.policy(&policy.version()).await.unwrap(), Some(policy));
    assert_eq!(store.policy("pol_none").await.unwrap(), None);
    assert_eq!(store.test_clock().await.unwrap(), Some(at(5)));
    assert_eq!(store.link_key().await.unwrap(), key);
    assert_eq!(store.learned().await.unwrap(), learned());
}

async fn how_messages_were_received_comes_back(subject: &mut Subject) {
    let mut reputation = Reputation::default();
    assert_eq!(subject.store().reputation().await.unwrap(), reputation);
    let stop = ChannelOrder::Stop { reason: Some("our domain moves".into()) };
    assert!(reputation.obey(Channel::Email, &stop, at(5)));
    let commit = Commit { reputation: Some(reputation.clone()), ..Commit::default() };
    subject.store().commit(commit).await.unwrap();
    subject.reopen().await;
    assert_eq!(subject.store().reputation().await.unwrap(), reputation);
    let lines = subject.store().export(None, 100).await.unwrap();
    assert!(lines.iter().any(|line| line.key == "meta/reputation"), "it moves with the store");
}

/// Enough for a record that stands in parts.
fn learned() -> Arc<Learned> {
    let mut learned = Learned::default();
    for day in 1..=28 {
        let failed_on = format!("2026-03-{day:02}").parse().unwrap();
        let history = History::Prompt;
        let context = Context { group: Group::Funds, failed_on, history, segment: 5 };
        learned.timing.learn_known(&context, |open| open > day);
    }
    assert!(serde_json::to_vec(&learned).unwrap().len() > 16 * 1024);
    Arc::new(learned)
}

async fn a_long_case_shrinks_again(subject: &mut Subject) {
    let mut held = case(1);
    for (revision, flags) in [(1, 3_000), (2, 1_000), (3, 0), (4, 2_000)] {
        held.revision = revision;
        held.flags = (0..flags).map(|n| format!("flag {n}")).collect();
        subject.store().commit(step(&held)).await.unwrap();
        subject.reopen().await;
        assert_eq!(subject.store().case(&held.id).await.unwrap(), Some(held.clone()));
    }
}

async fn a_closed_store_takes_nothing(subject: &mut Subject) {
    let store = subject.store();
    store.append(vec![webhook("a", 9)]).await.unwrap();
    assert!(store.health().is_ok());
    store.close().await.unwrap();
    assert!(store.health().is_err());
    let refused = store.append(vec![webhook("b", 9)]).await;
    assert!(matches!(refused, Err(StoreError::Refused(_))), "{refused:?}");
    drop(store);
    subject.reopen().await;
    assert!(subject.store().health().is_ok());
    assert_eq!(subject.store().inbox(at(0), 9).await.unwrap().len(), 1);
}
