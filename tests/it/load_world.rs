//! A service under load: the real worker over a real store, with gateways and channels that hang,
//! fail and count at will.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use recoup::clock::Clock;
use recoup::core::case::{Case, Timer};
use recoup::core::decline::{Decline, RawDecline};
use recoup::core::effect::{
    AdoptOrder, AttemptRef, ChargeOrder, ChargeOutcome, CloseOrder, InvoiceStatus, InvoiceView,
    LookUpAnswer, MarkPaidOrder, MarkPaidOutcome, MessageOrder, RefundOrder, SendOutcome,
};
use recoup::core::event::{Event, EventKind, NeedsFetch};
use recoup::core::ids::{CaseId, GatewayId};
use recoup::core::policy::{Capabilities, Policy};
use recoup::gateway::{
    CallError, Gateway, HostedRequest, HostedSession, MalformedBody, Profile, Rejection,
    WebhookRequest,
};
use recoup::store::{Appended, CaseWrite, Commit, InboxBody, InboxRecord, Store};
use recoup::worker::{Applier, Executor, Gateways, Handed, Handle, Postman, Worker};
use serde_json::json;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::http_samples::{case, decline};
use crate::http_support::at;

/// How calls end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    /// At once, well.
    Quick,
    /// Not before the mood changes.
    Hanging,
    /// At once, with an error that may pass.
    Failing,
}

/// What is called, and how it takes it.
pub(crate) struct Service {
    mood: watch::Sender<Mood>,
    /// What was asked for, in order.
    pub(crate) calls: Mutex<Vec<String>>,
    pub(crate) done: AtomicUsize,
    busy: AtomicUsize,
    /// The most calls at one time.
    pub(crate) busiest: AtomicUsize,
}

impl Service {
    fn new(mood: Mood) -> Self {
        Self {
            mood: watch::Sender::new(mood),
            calls: Mutex::default(),
            done: AtomicUsize::new(0),
            busy: AtomicUsize::new(0),
            busiest: AtomicUsize::new(0),
        }
    }

    pub(crate) fn set(&self, mood: Mood) {
        self.mood.send_replace(mood);
    }

    pub(crate) fn done(&self) -> usize {
        self.done.load(Ordering::SeqCst)
    }

    pub(crate) fn busiest(&self) -> usize {
        self.busiest.load(Ordering::SeqCst)
    }

    async fn call(&self, what: &str) -> Result<(), String> {
        self.calls.lock().unwrap().push(what.to_owned());
        let busy = self.busy.fetch_add(1, Ordering::SeqCst) + 1;
        self.busiest.fetch_max(busy, Ordering::SeqCst);
        let mut mood = self.mood.subscribe();
        let mood = *mood.wait_for(|mood| *mood != Mood::Hanging).await.unwrap();
        self.busy.fetch_sub(1, Ordering::SeqCst);
        if mood == Mood::Failing {
            return Err("it is down".to_owned());
        }
        self.done.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

/// A gateway with a service behind it.
pub(crate) struct Double {
    id: GatewayId,
    profile: Profile,
    pub(crate) service: Service,
    /// Open invoices, by what is owed.
    pub(crate) invoices: Mutex<BTreeMap<String, InvoiceView>>,
}

impl Double {
    pub(crate) fn new(id: &str, mood: Mood) -> Arc<Self> {
        let profile = Profile::plain("double", "a double", capabilities());
        let service = Service::new(mood);
        Arc::new(Self { id: GatewayId::from(id), profile, service, invoices: Mutex::default() })
    }

    /// The invoice of this case is open.
    pub(crate) fn owes(&self, case: &Case) {
        let view = InvoiceView {
            status: InvoiceStatus::Open,
            amount_remaining: Some(case.amount),
            paid_out_of_band: false,
            next_native_attempt_at: None,
            attempt_count: Some(1),
        };
        self.invoices.lock().unwrap().insert(case.invoice.clone(), view);
    }

    /// The invoices that were charged, by their numbers, in order.
    pub(crate) fn charged(&self) -> Vec<i64> {
        let calls = self.service.calls.lock().unwrap();
        let numbers = calls.iter().filter_map(|call| call.strip_prefix("charge in_"));
        numbers.map(|number| number.parse().unwrap()).collect()
    }

    async fn call(&self, what: &'static str, about: &str) -> Result<(), CallError> {
        self.service
            .call(&format!("{what} {about}"))
            .await
            .map_err(|why| CallError::Transient { what, why })
    }
}

fn capabilities() -> Capabilities {
    serde_json::from_value(json!({
        "look_up": true, "resend_tells": false, "network_transaction_id": false,
        "currencies": [], "native_retries_switchable": false, "read_invoice": true,
        "hosted_update": true, "page_takes_payment": false, "token_only": false,
        "paid_out_of_band": true, "refund": true, "pays_invoice_once": true,
        "subscriptions": true, "native_retries_visible": true, "native_retry_window_s": 0,
        "key_window_s": 60, "horizon_s": 60,
    }))
    .unwrap()
}

#[async_trait]
impl Gateway for Double {
    fn id(&self) -> &GatewayId {
        &self.id
    }

    fn profile(&self) -> &Profile {
        &self.profile
    }

    fn verify(&self, _: &WebhookRequest<'_>) -> Result<(), Rejection> {
        Ok(())
    }

    /// `read ID` points to something that has to be read; everything else is whole.
    fn parse(&self, request: &WebhookRequest<'_>) -> Result<Vec<Event>, MalformedBody> {
        let text = String::from_utf8_lossy(request.body).into_owned();
        let mut event = Event::new(&text, EventKind::Other);
        if let Some(id) = text.strip_prefix("read ") {
            let needs = NeedsFetch { object: "invoice".to_owned(), id: id.to_owned() };
            event.needs_fetch = Some(needs);
        }
        Ok(vec![event])
    }

    fn classify(&self, _: &RawDecline) -> Decline {
        decline(recoup::core::decline::Category::Unknown)
    }

    async fn complete(&self, event: Event) -> Result<Event, CallError> {
        self.call("read", &event.id).await?;
        Ok(Event { needs_fetch: None, ..event })
    }

    async fn invoice(&self, invoice: &str) -> Result<InvoiceView, CallError> {
        self.call("invoice", invoice).await?;
        let view = self.invoices.lock().unwrap().get(invoice).cloned();
        view.ok_or(CallError::Permanent { what: "read it", why: "there is none".to_owned() })
    }

    async fn charge(&self, order: &ChargeOrder) -> ChargeOutcome {
        match self.call("charge", &order.invoice).await {
            Ok(()) => ChargeOutcome::Approved {
                payment: format!("pay_{}", order.invoice),
                amount: Some(order.amount),
                network_transaction_id: None,
                method: Default::default(),
            },
            Err(error) => ChargeOutcome::NotSent { why: error.to_string() },
        }
    }

    async fn look_up(&self, _: &AttemptRef) -> LookUpAnswer {
        LookUpAnswer::NotFound
    }

    async fn refund(&self, order: &RefundOrder, _: &str) -> Result<(), CallError> {
        self.call("refund", &order.charge).await
    }

    async fn hosted_session(&self, _: &HostedRequest) -> Result<HostedSession, CallError> {
        unreachable!("nobody opens a page")
    }

    async fn adopt_method(&self, _: &AdoptOrder, _: &str) -> Result<(), CallError> {
        Ok(())
    }

    async fn mark_paid(&self, _: &MarkPaidOrder, _: &str) -> Result<MarkPaidOutcome, CallError> {
        Ok(MarkPaidOutcome::Done)
    }

    async fn close(&self, _: &CloseOrder, _: &str) -> Result<(), CallError> {
        Ok(())
    }
}

/// Channels with a service behind each.
pub(crate) struct Post {
    pub(crate) email: Service,
    pub(crate) sms: Service,
}

#[async_trait]
impl Postman for Post {
    async fn send(&self, _: &CaseId, order: &MessageOrder) -> Result<Handed, String> {
        let email = order.channel == recoup::core::customer::Channel::Email;
        let service = if email { &self.email } else { &self.sms };
        service.call(order.id.as_str()).await?;
        Ok(Handed::of(SendOutcome::Failed { answer: "it is only a double".to_owned() }))
    }
}

/// A running worker.
pub(crate) struct World {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) handle: Handle,
    pub(crate) clock: Clock,
    stop: CancellationToken,
}

impl World {
    /// Starts the worker over these gateways; the first is the billing gateway.
    pub(crate) fn start(
        store: Arc<dyn Store>,
        clock: Clock,
        gateways: &[&Arc<Double>],
        post: &Arc<Post>,
    ) -> Self {
        let policy = Arc::new(policy(&gateways[0].id));
        let all = gateways.iter().map(|double| Arc::clone(double) as Arc<dyn Gateway>);
        let by_id = Gateways::new(all);
        let applier = Applier::new(store.clone(), by_id.clone(), policy);
        let executor = Executor::new(by_id, Arc::clone(post) as Arc<dyn Postman>);
        let (worker, handle) = Worker::new(store.clone(), clock.clone(), applier, executor);
        let stop = CancellationToken::new();
        tokio::spawn(worker.run(stop.clone()));
        Self { store, handle, clock, stop }
    }

    /// A webhook comes in.
    pub(crate) async fn event(&self, gateway: &str, body: &str) {
        let record = InboxRecord {
            source: GatewayId::from(gateway),
            id: body.to_owned(),
            received_at: Timestamp::UNIX_EPOCH,
            body: InboxBody::Webhook { body: body.into(), headers: Vec::new() },
        };
        let appended = self.store.append(vec![record]).await.unwrap();
        assert_ne!(appended, [Appended::Duplicate]);
        self.handle.wake().notify_one();
    }

    /// Waits until it holds; fails after this long.
    pub(crate) async fn until(
        &self,
        within: Duration,
        what: &str,
        mut holds: impl FnMut() -> bool,
    ) {
        let waited = tokio::time::timeout(within, async {
            while !holds() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        assert!(waited.await.is_ok(), "not within {within:?}: {what}");
    }

    /// What waits in the inbox, by its body.
    pub(crate) async fn waiting(&self) -> BTreeSet<String> {
        let body = |record: InboxBody| match record {
            InboxBody::Webhook { body, .. } => String::from_utf8(body).unwrap(),
            other => format!("{other:?}"),
        };
        let entries = self.store.inbox(Timestamp::MAX, usize::MAX).await.unwrap();
        entries.into_iter().map(|entry| body(entry.record.body)).collect()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

pub(crate) fn post() -> Arc<Post> {
    Arc::new(Post { email: Service::new(Mood::Quick), sms: Service::new(Mood::Quick) })
}

fn policy(billing: &GatewayId) -> Policy {
    let hours = vec![serde_json::Value::Null; 7];
    serde_json::from_value(json!({
        "gateways": [{
            "id": billing, "native_retries": "observe", "capabilities": capabilities(),
        }],
        "schedule": "even", "window_days": 28, "max_attempts": 4, "silent_attempts": 1,
        "channels": [], "steps": [],
        "contact": {"name": "default", "hours": hours, "per_day": 1, "gap_hours": 0},
        "subscription_action": "keep", "invoice_action": "keep",
        "locale": "en", "time_zone": "UTC",
    }))
    .unwrap()
}

const WEEK_S: i64 = 7 * 24 * 3_600;

/// When the week is over in which nobody ran.
pub(crate) fn after_the_week() -> Timestamp {
    at(WEEK_S + 1)
}

/// A case whose attempt was due in the week that nobody ran.
fn overdue(n: i64, of: i64) -> Case {
    let mut case = case(n);
    case.revision = 1;
    case.attempts.clear();
    case.customer = Some(format!("cus_{n}"));
    case.subscription = Some(format!("sub_{n}"));
    case.token = Some(format!("pm_{n}"));
    case.payments = vec![format!("pi_{n}")];
    case.opened_at = at(0);
    case.declined_at = at(0);
    case.window_from = at(0);
    case.timers = BTreeMap::from([(Timer::NextAttempt, at(WEEK_S * n / of))]);
    case
}

/// Opens so many cases whose attempts were due in that week, one after the other.
pub(crate) async fn fill(store: &dyn Store, gateway: &Double, count: i64) {
    for first in (1..=count).step_by(500) {
        let cases: Vec<_> = (first..=count.min(first + 499)).map(|n| overdue(n, count)).collect();
        cases.iter().for_each(|case| gateway.owes(case));
        let cases = cases.into_iter().map(|case| CaseWrite { case, ledger: Vec::new() });
        store.commit(Commit { cases: cases.collect(), ..Commit::default() }).await.unwrap();
    }
}
