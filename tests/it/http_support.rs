//! What the HTTP tests share: a service over the memory store, with a scripted gateway and an
//! engine that applies what people ask for in the simplest way.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, Request, StatusCode, header};
use jiff::Timestamp;
use recoup::clock::{Clock, real_now};
use recoup::core::case::{Case, State};
use recoup::core::customer::{Customer, PaymentMethod};
use recoup::core::decline::{Category, Decline, RawDecline};
use recoup::core::effect::{
    AdoptOrder, AttemptRef, ChargeOrder, ChargeOutcome, CloseOrder, InvoiceView, LookUpAnswer,
    MarkPaidOrder, MarkPaidOutcome, RefundOrder,
};
use recoup::core::event::{Event, EventKind};
use recoup::core::ids::{CaseId, GatewayId};
use recoup::core::input::{OperatorAction, PageAction};
use recoup::core::ledger::{EntryKind, LedgerEntry};
use recoup::core::policy::{Capabilities, Policy};
use recoup::core::report::captures::Capture;
use recoup::gateway::history::Completeness;
use recoup::gateway::profile::Acknowledgement;
use recoup::gateway::{
    CallError, Gateway, HostedPurpose, HostedRequest, HostedSession, MalformedBody, Profile,
    Rejection, RejectionCode, WebhookRequest,
};
use recoup::http::{
    Access, AdvanceError, AppState, Book, Engine, Gate, Keys, Oidc, Readiness, Refusals, router,
};
use recoup::message::{Brand, Texts};
use recoup::store::erase::Retention;
use recoup::store::memory::MemoryStore;
use recoup::store::{CaseWrite, Commit, ExportRecord, InboxBody, Store, StoreError};
use secrecy::SecretString;
use serde_json::Value;
use tokio::sync::Semaphore;
use tower::ServiceExt as _;

use crate::http_samples::{case, customer, decline};

/// Signs the banner.
pub(crate) const BANNER_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

pub(crate) const TOKEN: &str = "0123456789abcdef";
pub(crate) const LINK_KEY: [u8; 32] = [7; 32];
pub(crate) const START: i64 = 1_790_000_000;

pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(START + seconds).unwrap()
}

/// A gateway that does what headers and fields say.
pub(crate) struct Scripted {
    id: GatewayId,
    profile: Profile,
    /// Every hosted page that was asked for.
    pub(crate) sessions: Mutex<Vec<HostedRequest>>,
    /// What it lists as captured; `None`: it cannot list.
    pub(crate) captured: Mutex<Option<Vec<Capture>>>,
    /// Takes every signature.
    pub(crate) trusting: AtomicBool,
    /// How many hosted pages still fail, with this error.
    pub(crate) failing: Mutex<Option<CallError>>,
}

impl Scripted {
    fn new(id: &str) -> Self {
        let capabilities = Capabilities {
            look_up: true,
            resend_tells: false,
            network_transaction_id: false,
            currencies: Vec::new(),
            native_retries_switchable: false,
            read_invoice: true,
            hosted_update: true,
            page_takes_payment: false,
            token_only: false,
            paid_out_of_band: true,
            refund: true,
            pays_invoice_once: true,
            subscriptions: true,
            native_retries_visible: true,
            native_retry_window_s: 0,
            key_window_s: 60,
            horizon_s: 60,
        };
        let (sessions, failing) = (Mutex::default(), Mutex::default());
        let profile = Profile::plain("scripted", "a scripted gateway", capabilities);
        let trusting = AtomicBool::new(false);
        let id = GatewayId::from(id);
        Self { id, profile, sessions, captured: Mutex::default(), trusting, failing }
    }

    /// One that sends batches, wants a text back, signs the address and checks it.
    fn particular(id: &str) -> Self {
        let plain = Self::new(id);
        let acknowledgement = Acknowledgement::Text("[accepted]");
        let profile = Profile { acknowledgement, query_is_signed: true, ..plain.profile };
        Self { profile, ..plain }
    }
}

#[async_trait]
impl Gateway for Scripted {
    fn id(&self) -> &GatewayId {
        &self.id
    }

    fn profile(&self) -> &Profile {
        &self.profile
    }

    fn verify(&self, request: &WebhookRequest<'_>) -> Result<(), Rejection> {
        let age = real_now().as_second() - request.now.as_second();
        assert!(age.abs() < 60, "a webhook is compared with the real time, also on a test clock");
        let code = match request.header("x-signature") {
            Some("good") => return Ok(()),
            _ if self.trusting.load(Ordering::SeqCst) => return Ok(()),
            Some("old") => RejectionCode::TimestampTooOld,
            Some("future") => RejectionCode::TimestampInFuture,
            Some("unreadable") => RejectionCode::MalformedHeader,
            Some(_) => RejectionCode::NoSignatureMatch,
            None => RejectionCode::MissingHeader,
        };
        Err(Rejection::new(code, "look at the signature"))
    }

    fn items(&self, request: &WebhookRequest<'_>) -> Result<Vec<Vec<u8>>, MalformedBody> {
        let body: Value = serde_json::from_slice(request.body).unwrap_or_default();
        let Some(batch) = body["batch"].as_array() else { return Ok(vec![request.body.to_vec()]) };
        Ok(batch.iter().map(|item| item.to_string().into_bytes()).collect())
    }

    fn answer_challenge(&self, query: &str) -> Option<Result<String, Rejection>> {
        let challenge = query.strip_prefix("challenge=");
        let malformed = || Rejection::new(RejectionCode::MalformedHeader, "no challenge");
        self.profile
            .query_is_signed
            .then(|| challenge.map(|text| format!("answer to {text}")).ok_or_else(malformed))
    }

    fn parse(&self, request: &WebhookRequest<'_>) -> Result<Vec<Event>, MalformedBody> {
        let body: Value = serde_json::from_slice(request.body)
            .map_err(|_| MalformedBody("it is not JSON".to_owned()))?;
        let ids = body["ids"].as_array().cloned().unwrap_or_default();
        let event = |id: &Value| Event::new(id.as_str().unwrap_or_default(), EventKind::Other);
        Ok(ids.iter().map(event).collect())
    }

    fn classify(&self, _: &RawDecline) -> Decline {
        decline(Category::Unknown)
    }

    async fn complete(&self, event: Event) -> Result<Event, CallError> {
        Ok(event)
    }

    async fn invoice(&self, _: &str) -> Result<InvoiceView, CallError> {
        unreachable!("http reads no invoice")
    }

    async fn charge(&self, _: &ChargeOrder) -> ChargeOutcome {
        unreachable!("http charges nothing")
    }

    async fn look_up(&self, _: &AttemptRef) -> LookUpAnswer {
        unreachable!("http looks nothing up")
    }

    async fn refund(&self, _: &RefundOrder, _: &str) -> Result<(), CallError> {
        unreachable!("http gives nothing back")
    }

    async fn hosted_session(&self, request: &HostedRequest) -> Result<HostedSession, CallError> {
        self.sessions.lock().unwrap().push(request.clone());
        if let Some(error) = self.failing.lock().unwrap().clone() {
            let card_helps = request.purpose == HostedPurpose::UpdateCard;
            if !(card_helps && matches!(error, CallError::Permanent { .. })) {
                return Err(error);
            }
        }
        Ok(HostedSession { url: format!("https://gateway.example/s/{}", request.idempotency_key) })
    }

    async fn captures(&self, _: Timestamp, _: Timestamp) -> Result<Vec<Capture>, CallError> {
        let captured = self.captured.lock().unwrap().clone();
        captured.ok_or_else(|| CallError::Permanent {
            what: "list what was captured",
            why: "it has no list of captures".to_owned(),
        })
    }

    async fn adopt_method(&self, _: &AdoptOrder, _: &str) -> Result<(), CallError> {
        unreachable!("http adopts nothing")
    }

    async fn mark_paid(&self, _: &MarkPaidOrder, _: &str) -> Result<MarkPaidOutcome, CallError> {
        unreachable!("http marks nothing")
    }

    async fn close(&self, _: &CloseOrder, _: &str) -> Result<(), CallError> {
        unreachable!("http closes nothing")
    }
}

/// Applies inputs of people in the simplest way.
pub(crate) struct SimpleEngine {
    store: Arc<MemoryStore>,
    clock: Clock,
    /// How many inputs were applied.
    pub(crate) applied: AtomicU32,
    /// Who holds it holds the engine up.
    pub(crate) gate: Arc<Semaphore>,
}

#[async_trait]
impl Engine for SimpleEngine {
    async fn reconcile(
        &self,
        _since: Timestamp,
        _repair: bool,
    ) -> Result<Vec<Completeness>, StoreError> {
        Ok(Vec::new())
    }

    async fn settle(&self) {
        let _open = self.gate.acquire().await.unwrap();
        for entry in self.store.inbox(self.clock.now(), 100).await.unwrap() {
            self.applied.fetch_add(1, Ordering::SeqCst);
            let mut commit = Commit { applied: vec![entry.number], ..Commit::default() };
            match entry.record.body {
                InboxBody::Operator { case, action } => {
                    commit.cases.push(self.act(&case, &action).await);
                }
                InboxBody::Customer { customer, contact, channels, excluded, profile } => {
                    let mut known = self.known(customer).await;
                    known.learn_profile(&profile);
                    known.learn_contact(&contact);
                    known.channels = channels.or(known.channels);
                    known.excluded = excluded.unwrap_or(known.excluded);
                    commit.customers.push(known);
                }
                InboxBody::PaymentMethods { customer, methods } => {
                    let mut known = self.known(customer).await;
                    known.methods.retain(|m| methods.iter().all(|new| new.gateway != m.gateway));
                    known.methods.extend(methods);
                    commit.customers.push(known);
                }
                InboxBody::Page { case, action: PageAction::StopReminders } => {
                    let case = self.store.case(&case).await.unwrap().unwrap();
                    let mut known = self.known(case.customer.unwrap()).await;
                    known.reminders_stopped = true;
                    commit.customers.push(known);
                }
                _ => {}
            }
            self.store.commit(commit).await.unwrap();
        }
    }

    async fn advance(&self, to: Timestamp) -> Result<(), AdvanceError> {
        self.clock.advance_to(to);
        self.settle().await;
        Ok(())
    }
}

impl SimpleEngine {
    async fn known(&self, id: String) -> Customer {
        self.store.customer(&id).await.unwrap().unwrap_or_else(|| Customer::new(id))
    }

    async fn act(&self, id: &CaseId, action: &OperatorAction) -> CaseWrite {
        let mut case = self.store.case(id).await.unwrap().unwrap();
        case.revision += 1;
        case.ledger_sequence += 1;
        case.state = match action {
            OperatorAction::MarkPaid => State::Recovered,
            OperatorAction::Pause { .. } => State::Paused,
            OperatorAction::Resume | OperatorAction::Retry => State::Scheduled,
            OperatorAction::MovePolicy { .. }
            | OperatorAction::Note { .. }
            | OperatorAction::Write => case.state,
            OperatorAction::Stop { .. } => State::Stopped,
        };
        let ledger = vec![entry(case.ledger_sequence, &format!("{action:?}"))];
        CaseWrite { case, ledger }
    }
}

fn entry(sequence: u64, text: &str) -> LedgerEntry {
    let text = text.to_owned();
    LedgerEntry { sequence, at: at(0), kind: EntryKind::Person, text, decision: None }
}

/// The service under test.
pub(crate) struct Service {
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) gateway: Arc<Scripted>,
    pub(crate) engine: Arc<SimpleEngine>,
    pub(crate) readiness: Readiness,
    pub(crate) app: Router,
}

/// What is different about a service.
#[derive(Clone)]
pub(crate) struct Setup {
    pub(crate) clock: Clock,
    pub(crate) admin_token: Option<&'static str>,
    pub(crate) metrics_token: Option<&'static str>,
    pub(crate) oidc: Option<Arc<Oidc>>,
    pub(crate) client_address_header: Option<&'static str>,
    pub(crate) gate: Gate,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            clock: Clock::test(at(0)),
            admin_token: Some(TOKEN),
            metrics_token: None,
            oidc: None,
            client_address_header: None,
            gate: Gate::default(),
        }
    }
}

impl Service {
    pub(crate) fn new(setup: Setup) -> Self {
        let store = Arc::new(MemoryStore::new(LINK_KEY));
        let gateway = Arc::new(Scripted::new("first"));
        let engine = Arc::new(SimpleEngine {
            store: store.clone(),
            clock: setup.clock.clone(),
            applied: AtomicU32::new(0),
            gate: Arc::new(Semaphore::new(1)),
        });
        let readiness = Readiness::default();
        readiness.ready();
        let gateways: Vec<Arc<dyn Gateway>> = vec![
            gateway.clone(),
            Arc::new(Scripted::new("second")),
            Arc::new(Scripted::particular("particular")),
        ];
        let app = router(AppState {
            callbacks: Arc::new([]),
            store: store.clone(),
            gateways: gateways.into(),
            clock: setup.clock,
            book: Book::default(),
            refused: Refusals::default(),
            keys: Keys::default(),
            wake: Arc::default(),
            engine: engine.clone(),
            admin_token: setup.admin_token.map(SecretString::from),
            metrics_token: setup.metrics_token.map(SecretString::from),
            oidc: setup.oidc,
            brand: Arc::new(brand()),
            readiness: readiness.clone(),
            metrics: Arc::new(|| "recoup_up 1\n".to_owned()),
            policy: Arc::new(policy()),
            ceilings: Default::default(),
            access: Access {
                grace_days: Some(7),
                banner_secret: Some(SecretString::from(BANNER_SECRET)),
            },
            retention: Retention::default(),
            link_key: LINK_KEY,
            client_address_header: setup.client_address_header.map(HeaderName::from_static),
            endpoints: Arc::new([]),
            gate: setup.gate,
        });
        Self { store, gateway, engine, readiness, app }
    }

    /// With cases of the invoices `in_1` to `in_{count}`.
    pub(crate) async fn with_cases(count: i64) -> Self {
        let service = Self::new(Setup::default());
        for n in 1..=count {
            service.put(case(n)).await;
        }
        service
    }

    pub(crate) async fn put(&self, case: Case) {
        let known = case.customer.as_deref().map(customer);
        let write = CaseWrite { ledger: vec![entry(1, "opened")], case };
        let customers = known.into_iter().collect();
        let commit = Commit { cases: vec![write], customers, ..Commit::default() };
        self.store.commit(commit).await.unwrap();
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.app.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        let text = String::from_utf8(body.to_vec()).unwrap();
        Answer { status: parts.status, headers: parts.headers, text }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    /// Calls the API with the admin token.
    pub(crate) async fn api(&self, method: &str, path: &str, body: &str) -> Answer {
        self.api_with(method, path, body, None).await
    }

    pub(crate) async fn api_with(
        &self,
        method: &str,
        path: &str,
        body: &str,
        key: Option<&str>,
    ) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("/api/v1{path}"))
            .header(header::AUTHORIZATION, format!("Bearer {TOKEN}"));
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        self.send(request.body(Body::from(body.to_owned())).unwrap()).await
    }

    /// Posts a form.
    pub(crate) async fn form(&self, path: &str, form: &str, cookie: Option<&str>) -> Answer {
        let mut request =
            Request::post(path).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        if let Some(cookie) = cookie {
            request = request.header(header::COOKIE, cookie);
        }
        self.send(request.body(Body::from(form.to_owned())).unwrap()).await
    }

    /// Everything in the store.
    pub(crate) async fn everything(&self) -> Vec<ExportRecord> {
        self.store.export(None, 10_000).await.unwrap()
    }
}

pub(crate) fn policy() -> Policy {
    serde_json::from_value(serde_json::json!({
        "gateways": [], "schedule": "smart", "window_days": 28, "max_attempts": 4,
        "silent_attempts": 1, "channels": ["email"], "steps": [],
        "contact": {"name": "default", "hours": [null, null, null, null, null, null, [8, 20]],
            "per_day": 1, "gap_hours": 20},
        "subscription_action": "keep", "invoice_action": "keep",
        "locale": "en", "time_zone": "UTC"
    }))
    .unwrap()
}

fn brand() -> Brand {
    Brand {
        name: "Café Nube".to_owned(),
        support_email: Some("help@nube.example".to_owned()),
        support_phone: None,
        postal_address: None,
        color: None,
        logo_url: None,
        locale: "en".to_owned(),
        time_zone: "UTC".to_owned(),
        public_url: "https://pay.nube.example".to_owned(),
        texts: Texts::default(),
    }
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {}", self.text))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Is problem JSON with this status and code.
    pub(crate) fn is_problem(&self, status: u16, code: &str) {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        assert_eq!(self.header("content-type"), "application/problem+json");
        let body = self.json();
        assert_eq!(body["code"], code, "{body}");
        assert_eq!(body["status"], status, "{body}");
        for field in ["type", "title", "detail"] {
            assert!(body[field].as_str().is_some_and(|text| !text.is_empty()), "{field}: {body}");
        }
    }

    /// Is problem JSON about fields, and names this one.
    pub(crate) fn is_about(&self, status: u16, pointer: &str) {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        let body = self.json();
        let pointers: Vec<_> =
            body["errors"].as_array().unwrap().iter().map(|e| e["pointer"].clone()).collect();
        assert!(pointers.contains(&Value::from(pointer)), "{pointer} is not in {body}");
    }
}

/// A customer's methods as the store knows them.
pub(crate) async fn methods(service: &Service, customer: &str) -> Vec<PaymentMethod> {
    service.store.customer(customer).await.unwrap().unwrap().methods
}
