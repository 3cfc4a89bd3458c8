//! `/webhook-deliveries`, `/webhook-endpoints`: what became of the events that leave.
//!
//! Why here: who runs the receiving end must see what was sent, what they answered, and be able to
//! ask for it again.
//!
//! What must stay true: what is sent again has the same `webhook-id` and the same bytes; no secret
//! of an endpoint is shown.

use axum::Extension;
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::actions::unique;
use super::input::{Query, nothing};
use super::once::Once;
use crate::core::case::news::News;
use crate::core::ids::digest;
use crate::core::schema::shown;
use crate::http::view::whole;
use crate::http::{AppState, Problem};
use crate::store::outbound::{
    self, DeliveryState, Endpoint, EndpointRecord, Sent, Try, delivery_of,
};
use crate::store::{SideRecord, SideTable, StoreError};

/// What the list can be asked for.
const PARAMETERS: &[&str] = &["endpoint", "state", "case", "limit", "starting_after"];

/// Deliveries that are read at a time where a filter passes over most.
const AT_A_TIME: usize = 200;

/// How often a record that changes meanwhile is written again.
const TRIES: usize = 5;

/// The type of an event that only tests the way.
const TEST: &str = "webhook.test";

shown! {
    /// One event on its way to one endpoint.
    as "WebhookDelivery" DeliveryView {
        /// Its id.
        id: String,
        /// The event: its `webhook-id`, the same on every try.
        event: String,
        /// What it tells.
        r#type: String,
        /// The endpoint's id.
        endpoint: String,
        /// The endpoint's address, where the merchant file has it.
        url: Option<String>,
        /// The case that it is about.
        case: Option<String>,
        /// Where it stands.
        state: DeliveryState,
        /// When the event happened.
        created_at: Timestamp,
        /// When it is tried next.
        next_try_at: Option<Timestamp>,
        /// When it is given up.
        gives_up_at: Timestamp,
        /// The newest tries with what was answered, oldest first.
        tries: Vec<Try>,
        /// The body, as it is sent; only of one delivery.
        body: Option<Value>,
    }
}

shown! {
    /// An endpoint of outbound events.
    as "WebhookEndpoint" EndpointView {
        /// Its id, derived from its address.
        id: String,
        /// Its address.
        url: String,
        /// What it hears of.
        events: Vec<News>,
        /// Since when nothing is sent there: it answered 410.
        ended_at: Option<Timestamp>,
        /// Why.
        why: Option<String>,
    }
}

fn view(state: &AppState, record: &SideRecord) -> Result<DeliveryView, StoreError> {
    let delivery = delivery_of(record)?;
    let endpoint = state.endpoints.iter().find(|known| known.id == delivery.endpoint);
    Ok(DeliveryView {
        id: record.key.clone(),
        url: endpoint.map(|known| known.url.clone()),
        event: delivery.event,
        r#type: delivery.kind,
        endpoint: delivery.endpoint,
        case: delivery.case.map(|case| case.0),
        state: delivery.state,
        created_at: record.at,
        next_try_at: record.due,
        gives_up_at: delivery.give_up_at,
        tries: delivery.tries,
        body: None,
    })
}

/// `GET /webhook-deliveries`.
pub(super) async fn list(
    State(state): State<AppState>,
    query: RawQuery,
) -> Result<Json<Value>, Problem> {
    let query = Query::read(query, PARAMETERS)?;
    let limit = query.limit()?;
    let wanted = query.get("state").map(delivery_state).transpose()?;
    let (endpoint, case) = (query.get("endpoint"), query.get("case"));
    let mut after = query.get("starting_after").map(str::to_owned);
    if let Some(after) = &after
        && state.store.side(SideTable::Delivery, after).await?.is_none()
    {
        return Err(Problem::query("starting_after", "there is no such delivery"));
    }
    let mut data = Vec::new();
    let has_more = loop {
        let page = state.store.sides(SideTable::Delivery, after.as_deref(), AT_A_TIME).await?;
        for record in &page.data {
            let one = view(&state, record)?;
            let passes = wanted.is_none_or(|wanted| one.state == wanted)
                && endpoint.is_none_or(|endpoint| one.endpoint == endpoint)
                && case.is_none_or(|case| one.case.as_deref() == Some(case));
            if passes {
                data.push(one);
            }
            if data.len() > limit {
                break;
            }
        }
        after = page.data.last().map(|record| record.key.clone());
        if data.len() > limit || !page.has_more || after.is_none() {
            break data.len() > limit;
        }
        tokio::task::yield_now().await;
    };
    data.truncate(limit);
    Ok(Json(json!({ "data": data, "has_more": has_more })))
}

fn delivery_state(name: &str) -> Result<DeliveryState, Problem> {
    DeliveryState::ALL.into_iter().find(|state| state.as_str() == name).ok_or_else(|| {
        let names = DeliveryState::ALL.map(DeliveryState::as_str).join(", ");
        Problem::query("state", format!("it must be one of: {names}"))
    })
}

/// `GET /webhook-deliveries/{id}`.
pub(super) async fn one(
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let record = load(&state, &id).await?;
    Ok(Json(json!(with_body(&state, &record).await?)))
}

async fn with_body(state: &AppState, record: &SideRecord) -> Result<DeliveryView, Problem> {
    let mut view = view(state, record)?;
    if let Some(event) = state.store.side(SideTable::Event, &view.event).await? {
        view.body = serde_json::from_str(&event.read::<Sent>()?.body).ok();
    }
    Ok(view)
}

async fn load(state: &AppState, id: &str) -> Result<SideRecord, Problem> {
    let record = state.store.side(SideTable::Delivery, id).await?;
    record.ok_or_else(|| Problem::not_found("there is no delivery with this id"))
}

/// `POST /webhook-deliveries/{id}/replay`: the same event, once more, now.
pub(super) async fn replay(
    State(state): State<AppState>,
    Path(id): Path<String>,
    once: Option<Extension<Once>>,
    body: Bytes,
) -> Result<Json<Value>, Problem> {
    nothing(&body)?;
    let asked = once.map(|Extension(once)| once.key);
    send_again(&state, &id, asked).await.map(|view| Json(json!(view)))
}

/// Sends an event again; under a key only once.
pub(in crate::http) async fn send_again(
    state: &AppState,
    id: &str,
    asked: Option<String>,
) -> Result<DeliveryView, Problem> {
    for _ in 0..TRIES {
        let record = load(state, id).await?;
        let mut delivery = delivery_of(&record)?;
        if asked.is_some() && delivery.asked == asked {
            return with_body(state, &record).await;
        }
        known(state, &delivery.endpoint)?;
        if outbound::has_ended(&*state.store, &delivery.endpoint).await? {
            return Err(ended());
        }
        let now = state.clock.now();
        delivery.again(now);
        delivery.asked.clone_from(&asked);
        let next = delivery.next(&record, Some(now));
        match state.store.write_sides(vec![next.clone().into()]).await {
            Ok(()) => {
                state.wake.notify_one();
                return with_body(state, &next).await;
            }
            // The worker has just written what came of a try.
            Err(StoreError::Changed { .. }) => tokio::task::yield_now().await,
            Err(error) => return Err(error.into()),
        }
    }
    Err(changed())
}

fn changed() -> Problem {
    let detail = "it changes at this moment: ask again";
    Problem::new(StatusCode::CONFLICT, "changed_meanwhile", detail)
}

fn ended() -> Problem {
    let detail = "the endpoint has answered 410 and gets nothing more: enable it first";
    Problem::new(StatusCode::CONFLICT, "endpoint_ended", detail)
}

fn known<'a>(state: &'a AppState, id: &str) -> Result<&'a Endpoint, Problem> {
    let found = state.endpoints.iter().find(|endpoint| endpoint.id == id);
    found.ok_or_else(|| Problem::not_found("no `[[webhooks]]` of the merchant file has this id"))
}

async fn endpoint_view(state: &AppState, endpoint: &Endpoint) -> Result<EndpointView, Problem> {
    let record = state.store.side(SideTable::Endpoint, &endpoint.id).await?;
    let known = record.map(|record| record.read::<EndpointRecord>()).transpose()?;
    let EndpointRecord { ended_at, why } = known.unwrap_or_default();
    let all = || News::ALL.to_vec();
    let events = if endpoint.events.is_empty() { all() } else { endpoint.events.clone() };
    let (id, url) = (endpoint.id.clone(), endpoint.url.clone());
    Ok(EndpointView { id, url, events, ended_at, why })
}

/// `GET /webhook-endpoints`.
pub(super) async fn endpoints(State(state): State<AppState>) -> Result<Json<Value>, Problem> {
    let mut data = Vec::new();
    for endpoint in state.endpoints.iter() {
        data.push(endpoint_view(&state, endpoint).await?);
    }
    Ok(whole(data))
}

/// `POST /webhook-endpoints/{id}/enable`: it has answered 410, and is there again.
pub(super) async fn enable(
    State(state): State<AppState>,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Json<Value>, Problem> {
    nothing(&body)?;
    let endpoint = known(&state, &id)?;
    for _ in 0..TRIES {
        let Some(record) = state.store.side(SideTable::Endpoint, &id).await? else { break };
        let next = record.next().with(&EndpointRecord::default());
        match state.store.write_sides(vec![next.into()]).await {
            Ok(()) => break,
            Err(StoreError::Changed { .. }) => tokio::task::yield_now().await,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Json(json!(endpoint_view(&state, endpoint).await?)))
}

/// `POST /webhook-endpoints/{id}/test`: an event that only tests the way.
pub(super) async fn test(
    State(state): State<AppState>,
    Path(id): Path<String>,
    once: Option<Extension<Once>>,
    body: Bytes,
) -> Result<Json<Value>, Problem> {
    nothing(&body)?;
    let endpoint = known(&state, &id)?;
    if outbound::has_ended(&*state.store, &id).await? {
        return Err(ended());
    }
    let (now, mark) = match once {
        Some(Extension(once)) => (once.begun_at, once.key),
        None => (state.clock.now(), unique()),
    };
    let body = json!({ "type": TEST, "timestamp": now, "data": { "endpoint": id } }).to_string();
    let event = format!("evt_{:012x}test{}", now.as_millisecond(), digest(&[&mark]));
    let records = outbound::event(&event, (TEST, body), None, &[endpoint], now);
    let delivery = records.last().cloned();
    match state.store.write_sides(records.into_iter().map(Into::into).collect()).await {
        // Written before a crash, under the same key.
        Ok(()) | Err(StoreError::Changed { .. }) => state.wake.notify_one(),
        Err(error) => return Err(error.into()),
    }
    let delivery = load(&state, &delivery.ok_or_else(changed)?.key).await?;
    Ok(Json(json!(with_body(&state, &delivery).await?)))
}
