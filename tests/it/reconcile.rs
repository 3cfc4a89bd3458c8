//! The gap finder: what a gateway knows and the store does not.
//!
//! What must stay true: a repair and a late webhook are one event; only the missing is taken in.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use recoup::clock::Clock;
use recoup::core::case::State;
use recoup::core::decline::{Decline, RawDecline};
use recoup::core::effect::{
    AdoptOrder, AttemptRef, ChargeOrder, ChargeOutcome, CloseOrder, InvoiceView, LookUpAnswer,
    MarkPaidOrder, MarkPaidOutcome, RefundOrder,
};
use recoup::core::event::Event;
use recoup::core::ids::{CaseId, GatewayId};
use recoup::core::input::OperatorAction;
use recoup::core::policy::Capabilities;
use recoup::gateway::history::{Completeness, Known};
use recoup::gateway::{
    CallError, Gateway, HostedRequest, HostedSession, MalformedBody, Profile, Rejection,
    WebhookRequest,
};
use recoup::store::memory::MemoryStore;
use recoup::store::{CaseWrite, Commit, InboxBody, InboxRecord, Store};
use recoup::worker::{Applier, Gateways, Mend, Reconciler};

use crate::http_samples::case;
use crate::http_support::{LINK_KEY, at, policy};

/// A gateway that only remembers.
struct Remembers {
    id: GatewayId,
    profile: Profile,
    known: Result<Vec<Known>, CallError>,
}

#[async_trait]
impl Gateway for Remembers {
    fn id(&self) -> &GatewayId {
        &self.id
    }

    fn profile(&self) -> &Profile {
        &self.profile
    }

    fn verify(&self, _: &WebhookRequest<'_>) -> Result<(), Rejection> {
        unreachable!("it is only asked what it knows")
    }

    fn parse(&self, _: &WebhookRequest<'_>) -> Result<Vec<Event>, MalformedBody> {
        unreachable!("it is only asked what it knows")
    }

    fn classify(&self, _: &RawDecline) -> Decline {
        unreachable!("it is only asked what it knows")
    }

    async fn complete(&self, _: Event) -> Result<Event, CallError> {
        unreachable!("it is only asked what it knows")
    }

    async fn invoice(&self, _: &str) -> Result<InvoiceView, CallError> {
        unreachable!("it is only asked what it knows")
    }

    async fn charge(&self, _: &ChargeOrder) -> ChargeOutcome {
        unreachable!("it is only asked what it knows")
    }

    async fn look_up(&self, _: &AttemptRef) -> LookUpAnswer {
        unreachable!("it is only asked what it knows")
    }

    async fn refund(&self, _: &RefundOrder, _: &str) -> Result<(), CallError> {
        unreachable!("it is only asked what it knows")
    }

    async fn hosted_session(&self, _: &HostedRequest) -> Result<HostedSession, CallError> {
        unreachable!("it is only asked what it knows")
    }

    async fn adopt_method(&self, _: &AdoptOrder, _: &str) -> Result<(), CallError> {
        unreachable!("it is only asked what it knows")
    }

    async fn mark_paid(&self, _: &MarkPaidOrder, _: &str) -> Result<MarkPaidOutcome, CallError> {
        unreachable!("it is only asked what it knows")
    }

    async fn close(&self, _: &CloseOrder, _: &str) -> Result<(), CallError> {
        unreachable!("it is only asked what it knows")
    }

    async fn known_since(&self, _: Timestamp) -> Result<Vec<Known>, CallError> {
        self.known.clone()
    }
}

fn known(id: &str, invoice: Option<&str>) -> Known {
    Known {
        id: id.to_owned(),
        what: format!("event {id}"),
        invoice: invoice.map(str::to_owned),
        by_case: invoice.is_some(),
        body: format!("body of {id}").into_bytes(),
    }
}

fn gateway(known: Result<Vec<Known>, CallError>) -> Arc<dyn Gateway> {
    let profile = Profile::plain("remembers", "one that remembers", Capabilities::default());
    let profile = Profile { tells_history: true, ..profile };
    Arc::new(Remembers { id: GatewayId::from("first"), profile, known })
}

async fn compare(
    store: &Arc<MemoryStore>,
    known: Result<Vec<Known>, CallError>,
    mend: Mend,
) -> Completeness {
    let gateways = Gateways::new([gateway(known)]);
    let reconciler = Reconciler::new(store.clone(), gateways, Clock::test(at(9)), Arc::default());
    assert!(reconciler.can_ask());
    reconciler.compare(at(0), mend).await.unwrap().remove(0)
}

/// A store that has the event `evt_1` and the case of `in_1`.
async fn store() -> Arc<MemoryStore> {
    let store = Arc::new(MemoryStore::new(LINK_KEY));
    let body = InboxBody::Webhook { body: b"body of evt_1".to_vec(), headers: Vec::new() };
    let source = GatewayId::from("first");
    let record = InboxRecord { source, id: "evt_1".to_owned(), received_at: at(1), body };
    store.append(vec![record]).await.unwrap();
    let write = CaseWrite { case: case(1), ledger: Vec::new() };
    assert_eq!(write.case.id, CaseId::of(&GatewayId::from("first"), "in_1"));
    assert_ne!(write.case.state, State::Recovered);
    store.commit(Commit { cases: vec![write], ..Commit::default() }).await.unwrap();
    store
}

fn told() -> Vec<Known> {
    vec![
        known("evt_1", None),
        known("evt_2", None),
        known("gap_1", Some("in_1")),
        known("gap_9", Some("in_9")),
    ]
}

#[tokio::test]
async fn what_is_missing_is_told_and_nothing_is_written() {
    let store = store().await;
    let before = store.backlog().await.unwrap();
    let found = compare(&store, Ok(told()), Mend::Tell).await;
    let missing: Vec<_> = found.missing.iter().map(|gap| gap.id.as_str()).collect();
    assert_eq!(missing, ["evt_2", "gap_9"]);
    assert_eq!((found.known, found.completeness), (4, Some(0.5)));
    assert!(found.missing.iter().all(|gap| !gap.repaired));
    assert_eq!(store.backlog().await.unwrap(), before);
}

#[tokio::test]
async fn a_repair_takes_in_what_the_webhook_would_have_brought_once() {
    let store = store().await;
    let found = compare(&store, Ok(told()), Mend::Repair).await;
    assert!(found.missing.iter().all(|gap| gap.repaired), "{found:?}");
    let record = store.input(&GatewayId::from("first"), "evt_2").await.unwrap().unwrap();
    let InboxBody::Webhook { body, .. } = &record.body else { panic!("a webhook") };
    assert_eq!(body, b"body of evt_2");
    // The webhook that comes after all is a duplicate, and the next comparison finds nothing.
    let late = store.append(vec![record]).await.unwrap();
    assert_eq!(late, [recoup::store::Appended::Duplicate]);
    let again = compare(&store, Ok(told()), Mend::Repair).await;
    assert_eq!((again.missing.len(), again.completeness), (0, Some(1.0)));
}

#[tokio::test]
async fn a_gateway_that_does_not_answer_gives_no_figure() {
    let why = "too busy".to_owned();
    let busy = CallError::Transient { what: "list the events", why };
    let found = compare(&store().await, Err(busy), Mend::Repair).await;
    assert_eq!(found.completeness, None);
    assert_eq!(found.error.as_deref(), Some("list the events: too busy"));
    let nothing = compare(&store().await, Ok(Vec::new()), Mend::Tell).await;
    assert_eq!((nothing.completeness, nothing.error), (None, None));
}

#[tokio::test]
async fn an_input_that_breaks_the_program_stops_no_other() {
    let store = store().await;
    // Behind the webhook, whose parser panics, waits what a person asked for.
    let stop = OperatorAction::Stop { reason: None };
    let body = InboxBody::Operator { case: case(1).id, action: stop };
    let (source, id) = (GatewayId::from("api"), "req_1".to_owned());
    store.append(vec![InboxRecord { source, id, received_at: at(1), body }]).await.unwrap();
    let policy = Arc::new(policy());
    let applier = Applier::new(store.clone(), Gateways::new([gateway(Ok(told()))]), policy);
    applier.inbox(at(2)).await.unwrap();
    let stopped = store.case(&case(1).id).await.unwrap().unwrap();
    assert_eq!(stopped.state, State::Stopped);
    let mut tries = 1;
    for hour in 3..30 {
        tries += applier.inbox(at(hour * 3_600)).await.unwrap();
    }
    assert_eq!((tries, store.backlog().await.unwrap().inbox), (5, 0), "it is set aside");
    let kept = store.input(&GatewayId::from("first"), "evt_1").await.unwrap();
    assert!(kept.is_some(), "its bytes are kept");
}
