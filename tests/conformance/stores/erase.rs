//! Erasing: what is taken away is gone, what is kept is whole, and what came stays known.

use recoup::core::customer::Customer;
use recoup::core::event::{Contact, PaymentMethodFacts};
use recoup::store::erase::{self, EraseError, Retention};
use recoup::store::{Appended, Commit, InboxBody, InboxRecord};

use super::samples::{at, case, step, stripe, webhook};
use super::{Subject, for_every_store};

for_every_store!(
    an_emptied_input_stays_known,
    a_forgotten_customer_is_gone_and_the_books_stay,
    what_is_old_expires,
);

/// About nobody that the bytes do not name.
fn about(_: &InboxRecord) -> Vec<String> {
    Vec::new()
}

async fn an_emptied_input_stays_known(subject: &mut Subject) {
    let store = subject.store();
    store.append(vec![webhook("a", 300), webhook("b", 300)]).await.unwrap();
    store.commit(Commit { applied: vec![1], ..Commit::default() }).await.unwrap();
    store.commit(Commit { emptied: vec![1, 2, 99], ..Commit::default() }).await.unwrap();
    let a = store.input(&stripe(), "a").await.unwrap().unwrap();
    assert_eq!(a.body, InboxBody::Emptied);
    let b = store.input(&stripe(), "b").await.unwrap();
    assert_eq!(b, Some(webhook("b", 300)), "one that waits stays whole");
    assert_eq!(store.append(vec![webhook("a", 300)]).await.unwrap(), [Appended::Duplicate]);
}

async fn a_forgotten_customer_is_gone_and_the_books_stay(subject: &mut Subject) {
    let store = subject.store();
    let open = case(1);
    let id = open.customer_key();
    let contact = Contact { email: Some("ana@nube.example".into()), ..Contact::default() };
    let mut customer = Customer { contact, ..Customer::new(id.clone()) };
    let token = Some("tok_1".to_owned());
    let facts = PaymentMethodFacts { token, ..PaymentMethodFacts::default() };
    customer.learn_method(&"other".into(), &facts);
    customer.methods[0].gateway_customer = Some("shopper_ana".into());
    let alias = customer.methods[0].alias().unwrap();
    let alias = Customer { same_as: Some(id.clone()), ..Customer::new(alias) };
    let mut first = step(&open);
    first.customers = vec![customer, alias];
    store.commit(first).await.unwrap();
    let body = br#"{"to":"ana@nube.example"}"#.to_vec();
    let body = InboxBody::Webhook { body, headers: Vec::new() };
    store.append(vec![InboxRecord { body, ..webhook("a", 0) }, webhook("b", 9)]).await.unwrap();
    store.commit(Commit { applied: vec![1, 2], ..Commit::default() }).await.unwrap();
    let refused = erase::forget(&*store, &id, &about, at(9)).await;
    assert!(matches!(refused, Err(EraseError::Open(_))), "{refused:?}");
    let mut ended = case(1);
    ended.revision = 2;
    ended.ledger_sequence = 2;
    ended.state = recoup::core::case::State::Recovered;
    ended.ended_at = Some(at(5));
    ended.timers.clear();
    ended.pending.clear();
    store.commit(step(&ended)).await.unwrap();
    let erased = erase::forget(&*store, &id, &about, at(9)).await.unwrap();
    assert_eq!((erased.customers, erased.cases, erased.inputs), (1, 1, 1));
    assert_eq!(store.customer(&id).await.unwrap(), None);
    let kept = store.case(&case(1).id).await.unwrap().unwrap();
    assert_eq!((kept.amount, kept.invoice), (ended.amount, ended.invoice));
    assert_eq!(kept.customer, Some(erase::reference(&id)));
    let everything = store.export(None, 10_000).await.unwrap();
    let everything = serde_json::to_string(&everything).unwrap();
    assert!(!everything.contains("ana@nube.example"));
    assert!(!everything.contains("shopper_ana"), "nor how another gateway calls them");
    assert!(matches!(erase::forget(&*store, &id, &about, at(9)).await, Err(EraseError::Unknown)));
}

async fn what_is_old_expires(subject: &mut Subject) {
    let store = subject.store();
    store.append(vec![webhook("a", 30), webhook("b", 30)]).await.unwrap();
    store.commit(Commit { applied: vec![1, 2], ..Commit::default() }).await.unwrap();
    let retention = Retention { raw_events_days: 30, customers_days: 0 };
    let day = 24 * 3600;
    let young = erase::expire(&*store, retention, &about, at(29 * day)).await.unwrap();
    assert_eq!(young.inputs, 0);
    let old = erase::expire(&*store, retention, &about, at(31 * day)).await.unwrap();
    assert_eq!(old.inputs, 2);
    let again = erase::expire(&*store, retention, &about, at(32 * day)).await.unwrap();
    assert_eq!(again.inputs, 0, "once");
}
