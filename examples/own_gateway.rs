//! A gateway from outside the crate: `cargo run --example own_gateway`.
//!
//! docs/GATEWAYS.md, "Add a gateway", is the recipe; this is it in one file. "Quetzal" is made up:
//! it counts in decimals, signs its webhooks in a header of its own and finds a charge by the
//! merchant's reference. The program starts a pretended Quetzal on loopback, runs a whole recoup
//! over it in this process, sends it one signed webhook about a failed payment, lets four weeks
//! pass on a test clock, and prints the ledger of the case.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::sync::Arc;

use anyhow::Context as _;
use async_trait::async_trait;
use axum::extract::{Query, State};
use axum::routing::post;
use axum::{Json, Router};
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::{SignedDuration, Timestamp};
use recoup::clock::{Clock, real_now};
use recoup::config::{self, Config, Surroundings};
use recoup::core::decline::{Classified, Decline, DeclineTable, RawDecline, classify};
use recoup::core::effect::{
    AdoptOrder, AttemptRef, ChargeOrder, ChargeOutcome, CloseOrder, InvoiceView, LookUpAnswer,
    MarkPaidOrder, MarkPaidOutcome, RefundOrder,
};
use recoup::core::event::{Event, EventKind, PaymentMethodFacts};
use recoup::core::ids::{CaseId, GatewayId};
use recoup::core::money::Money;
use recoup::core::policy::Capabilities;
use recoup::gateway::wire::{self, Answer, Api, Timeouts, Words};
use recoup::gateway::{
    CallError, Gateway, HostedRequest, HostedSession, MalformedBody, Profile, Rejection,
    RejectionCode, WebhookRequest, cannot, reference,
};
use recoup::store::memory::MemoryStore;
use recoup::store::{InboxBody, InboxRecord, Store};
use recoup::worker::{Applier, BrandedPost, Executor, Gateways, Worker};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio_util::sync::CancellationToken;

const SECRET: &[u8] = b"made-up-quetzal-secret";
/// What its errors tell.
const WORDS: Words = Words(&["/codigo", "/mensaje"]);
/// Its decline codes; a real gateway has a `declines.csv`.
const DECLINES: &str = "code,category,advice\n\
    sin_fondos,insufficient_funds,none\n\
    tarjeta_robada,lost_or_stolen,never\n";

/// A Quetzal account.
struct Quetzal {
    id: GatewayId,
    profile: Profile,
    declines: DeclineTable,
    api: Api,
}

/// What it can do. The core waits and decides by these, never by a gateway's name.
fn capabilities() -> Capabilities {
    Capabilities {
        look_up: true,
        // Its references are taken once, for ever: a re-send is never a second charge.
        key_window_s: 365 * 24 * 3600,
        // Twice (30 s for our own time-out + 120 s in which it may still be working).
        horizon_s: 2 * (30 + 120),
        ..Capabilities::default()
    }
}

impl Quetzal {
    fn new(api_base: &str) -> anyhow::Result<Self> {
        Ok(Self {
            id: GatewayId::from("quetzal"),
            profile: Profile::plain("quetzal", "Quetzal", capabilities()),
            declines: DeclineTable::from_csv(DECLINES)?,
            api: Api::new(api_base, Timeouts::default())?,
        })
    }

    fn classified(&self, raw: &RawDecline) -> Classified {
        classify(Some(&self.declines), raw)
    }

    /// What a charge of theirs means for our attempt. Only what says so is a yes or a no.
    fn outcome(&self, charge: &Value) -> Option<ChargeOutcome> {
        let payment = charge["id"].as_str()?.to_owned();
        let method = PaymentMethodFacts::default();
        match charge["estado"].as_str()? {
            "ok" => Some(ChargeOutcome::Approved {
                payment,
                amount: amount(charge),
                network_transaction_id: None,
                method,
            }),
            "rechazado" => {
                let code = charge["codigo"].as_str().map(str::to_owned);
                let decline = self.classify(&RawDecline { code, ..RawDecline::default() });
                Some(ChargeOutcome::Declined { payment: Some(payment), decline, method })
            }
            _ => None,
        }
    }

    fn read(&self, answer: &Answer) -> ChargeOutcome {
        let unknown = || ChargeOutcome::Unknown { why: WORDS.of(answer) };
        match answer.status {
            200..=299 => answer.object().and_then(|c| self.outcome(&c)).unwrap_or_else(unknown),
            429 => ChargeOutcome::Busy { retry_after_s: answer.wait_s() },
            400..=499 => ChargeOutcome::Refused { why: WORDS.of(answer) },
            _ => unknown(),
        }
    }
}

/// Whole quetzales and two decimals, in integers.
fn amount(object: &Value) -> Option<Money> {
    let (whole, cents) = object["monto"].as_str()?.split_once('.')?;
    let minor = whole.parse::<i64>().ok()?.checked_mul(100)? + cents.parse::<i64>().ok()?;
    Some(Money::new(minor, object["moneda"].as_str()?.parse().ok()?))
}

#[async_trait]
impl Gateway for Quetzal {
    fn id(&self) -> &GatewayId {
        &self.id
    }

    fn profile(&self) -> &Profile {
        &self.profile
    }

    /// First the signature over the raw bytes, then everything else.
    fn verify(&self, request: &WebhookRequest<'_>) -> Result<(), Rejection> {
        let refuse = |code, hint: &str| Err(Rejection::new(code, hint));
        let Some(header) = request.header("x-quetzal-signature") else {
            return refuse(RejectionCode::MissingHeader, "no x-quetzal-signature header");
        };
        let Ok(signature) = hex::decode(header) else {
            return refuse(RejectionCode::MalformedHeader, "the signature is not hexadecimal");
        };
        let right = mac(request.body).is_some_and(|mac| mac.verify_slice(&signature).is_ok());
        if right {
            return Ok(());
        }
        refuse(RejectionCode::NoSignatureMatch, "another secret, or the body was changed")
    }

    fn parse(&self, request: &WebhookRequest<'_>) -> Result<Vec<Event>, MalformedBody> {
        let body: Value = serde_json::from_slice(request.body)
            .map_err(|error| MalformedBody(format!("not JSON: {error}")))?;
        let id = body["id"].as_str().ok_or_else(|| MalformedBody("it has no `id`".into()))?;
        let kind = match body["tipo"].as_str() {
            Some("cobro.rechazado") => EventKind::PaymentFailed,
            Some("cobro.pagado") => EventKind::PaymentSucceeded,
            _ => EventKind::Other,
        };
        let mut event = Event::new(id, kind);
        let named = body["referencia"].as_str().map(reference::read);
        event.idempotency_key =
            named.as_ref().and_then(|n| Some(n.attempt.as_ref()?.idempotency_key()));
        event.invoice = named.map(|named| named.invoice);
        event.customer = body["cliente"].as_str().map(str::to_owned);
        event.amount = amount(&body);
        event.payment_method = PaymentMethodFacts {
            token: body["tarjeta"].as_str().map(str::to_owned),
            ..PaymentMethodFacts::default()
        }
        .known();
        if kind == EventKind::PaymentFailed {
            let code = body["codigo"].as_str().map(str::to_owned);
            event.decline = Some(self.classify(&RawDecline { code, ..RawDecline::default() }));
        }
        Ok(vec![event])
    }

    fn classify(&self, raw: &RawDecline) -> Decline {
        self.classified(raw).decline
    }

    async fn complete(&self, event: Event) -> Result<Event, CallError> {
        Ok(event)
    }

    async fn invoice(&self, _: &str) -> Result<InvoiceView, CallError> {
        cannot("read the invoice", "Quetzal has no invoices")
    }

    async fn charge(&self, order: &ChargeOrder) -> ChargeOutcome {
        let (whole, cents) = (order.amount.minor / 100, order.amount.minor % 100);
        let body = json!({
            "monto": format!("{whole}.{cents:02}"),
            "moneda": order.amount.currency.code(),
            "tarjeta": order.token,
            "referencia": reference::of_attempt(&order.invoice, &order.attempt),
        });
        match wire::send(self.api.post(&["v2", "cobros"]).json(&body)).await {
            Ok(answer) => self.read(&answer),
            Err(trouble) => trouble.into_outcome(),
        }
    }

    async fn look_up(&self, attempt: &AttemptRef) -> LookUpAnswer {
        let charge = &attempt.charge;
        let wanted = reference::of_attempt(&charge.invoice, &charge.attempt);
        let request = self.api.get(&["v2", "cobros"]).query(&[("referencia", wanted)]);
        match wire::send(request).await {
            Ok(answer) if answer.status == 404 => LookUpAnswer::NotFound,
            Ok(answer) => LookUpAnswer::Found(self.read(&answer)),
            Err(trouble) => LookUpAnswer::Unavailable { why: trouble.to_string() },
        }
    }

    async fn refund(&self, _: &RefundOrder, _: &str) -> Result<(), CallError> {
        cannot("refund the charge", "Quetzal gives back by hand only")
    }

    async fn hosted_session(&self, _: &HostedRequest) -> Result<HostedSession, CallError> {
        cannot("open a hosted page", "Quetzal has none")
    }

    async fn adopt_method(&self, _: &AdoptOrder, _: &str) -> Result<(), CallError> {
        Ok(())
    }

    async fn mark_paid(&self, _: &MarkPaidOrder, _: &str) -> Result<MarkPaidOutcome, CallError> {
        Ok(MarkPaidOutcome::Failed { why: "Quetzal has no invoices".to_owned() })
    }

    async fn close(&self, _: &CloseOrder, _: &str) -> Result<(), CallError> {
        cannot("close the subscription", "Quetzal has no subscriptions")
    }
}

fn mac(body: &[u8]) -> Option<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET).ok()?;
    mac.update(body);
    Some(mac)
}

/// The pretended Quetzal: the second try of an invoice goes through.
async fn pretend() -> anyhow::Result<String> {
    type Charges = Arc<std::sync::Mutex<Vec<Value>>>;
    async fn charge(State(charges): State<Charges>, Json(body): Json<Value>) -> Json<Value> {
        let mut charges = charges.lock().unwrap_or_else(|broken| broken.into_inner());
        let mut charge = body;
        let paid = !charges.is_empty();
        charge["id"] = json!(format!("cob_{}", charges.len() + 1));
        charge["estado"] = json!(if paid { "ok" } else { "rechazado" });
        charge["codigo"] = json!(if paid { "" } else { "sin_fondos" });
        charges.push(charge.clone());
        Json(charge)
    }
    async fn find(
        State(charges): State<Charges>,
        Query(query): Query<Vec<(String, String)>>,
    ) -> Result<Json<Value>, axum::http::StatusCode> {
        let charges = charges.lock().unwrap_or_else(|broken| broken.into_inner());
        let wanted = query.first().map(|(_, reference)| json!(reference)).unwrap_or_default();
        let found = charges.iter().find(|charge| charge["referencia"] == wanted);
        found.cloned().map(Json).ok_or(axum::http::StatusCode::NOT_FOUND)
    }
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let base = format!("http://{}", listener.local_addr()?);
    let routes = Router::new().route("/v2/cobros", post(charge).get(find));
    tokio::spawn(async move { axum::serve(listener, routes.with_state(Charges::default())).await });
    Ok(base)
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let quetzal: Arc<dyn Gateway> = Arc::new(Quetzal::new(&pretend().await?)?);

    // A signed webhook arrives, is verified over its raw bytes, and is read.
    let body = json!({
        "id": "ev_1", "tipo": "cobro.rechazado", "referencia": "F-2026-7", "cliente": "c_1",
        "monto": "290.00", "moneda": "GTQ", "tarjeta": "tok_1", "codigo": "sin_fondos",
    })
    .to_string()
    .into_bytes();
    let signature = mac(&body).context("sign")?.finalize().into_bytes();
    let headers = [("x-quetzal-signature".to_owned(), hex::encode(signature))];
    let request = WebhookRequest { body: &body, headers: &headers, url: None, now: real_now() };
    quetzal.verify(&request)?;

    // The rest is recoup: a policy, a store, the worker.
    let config = Config::read(MERCHANT, "merchant.toml", &Surroundings::of_process(Vec::new()))
        .map_err(|problems| anyhow::anyhow!("{problems}"))?;
    let policy = Arc::new(config::policy(&config, |_| capabilities()));
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new([7; 32]));
    let clock = Clock::test("2026-11-02T15:00:00Z".parse::<Timestamp>()?);
    let gateways = Gateways::new([quetzal.clone()]);
    let links = Arc::new(|case: &CaseId| format!("https://pay.example/pay/{case}"));
    let post = BrandedPost::new(Arc::new(config::brand(&config)), links, Vec::new());
    let applier = Applier::new(store.clone(), gateways.clone(), policy);
    let executor = Executor::new(gateways, Arc::new(post));
    let (worker, handle) = Worker::new(store.clone(), clock.clone(), applier, executor);
    let stop = CancellationToken::new();
    let running = tokio::spawn(worker.run(stop.clone()));

    let record = InboxRecord {
        source: quetzal.id().clone(),
        id: "ev_1".to_owned(),
        received_at: clock.now(),
        body: InboxBody::Webhook { body, headers: Vec::new() },
    };
    store.append(vec![record]).await?;
    handle.settle().await;
    handle.advance(clock.now() + SignedDuration::from_hours(28 * 24)).await;

    let case = CaseId::of(quetzal.id(), "F-2026-7");
    for entry in store.ledger(&case).await? {
        println!("{}  {}", entry.at.strftime("%F %H:%M"), entry.text);
    }
    let case = store.case(&case).await?.context("find the case")?;
    println!("{}: {}", case.state.as_str(), case.reason);
    stop.cancel();
    running.await??;
    anyhow::ensure!(case.state.as_str() == "recovered", "the second try should have gone through");
    Ok(())
}

/// A gateway of one's own stands in the file as `http`; its client is the one above.
const MERCHANT: &str = r#"
[merchant]
name = "Café Nube"
public_url = "https://pay.example"
support_email = "help@pay.example"

[[gateways]]
id = "quetzal"
kind = "http"
api_base = "https://quetzal.example"
api_key = "not-used"
webhook_secrets = ["not-used"]
"#;

#[cfg(test)]
mod tests {
    #[test]
    fn it_runs() {
        super::main().unwrap();
    }
}
