//! `GET /channels` and `POST /channels/{channel}/{lift|stop}`: how messages are received, and what
//! stopped for that.
//!
//! What must stay true: an order is an input of the inbox like any other; every share has its
//! denominator beside it.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use serde_json::{Value, json};

use super::actions::{append, reason};
use super::input::{Fields, checked, json as read_json};
use super::once::idempotency_key;
use crate::core::customer::Channel;
use crate::core::reputation::{ChannelOrder, Reputation};
use crate::http::view::whole;
use crate::http::{AppState, Problem};
use crate::store::{InboxBody, StoreError};

/// `GET /channels`: those of the merchant file, and those of which something is known.
pub(super) async fn list(State(state): State<AppState>) -> Result<Json<Value>, Problem> {
    Ok(whole(all(&state).await?))
}

/// `POST /channels/{channel}/{order}`.
pub(super) async fn order(
    State(state): State<AppState>,
    Path((channel, order)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, Problem> {
    let named = Channel::ALL.into_iter().find(|known| known.as_str() == channel);
    let channel = named.ok_or_else(|| Problem::not_found("there is no such channel"))?;
    let known: &[&str] = match order.as_str() {
        "lift" => &[],
        "stop" => &["reason"],
        _ => return Err(Problem::not_found("a channel can be stopped, and a stop be lifted")),
    };
    let mut errors = Vec::new();
    let mut fields = Fields::of(read_json(&body)?, String::new(), known, &mut errors);
    let order = match order.as_str() {
        "lift" => ChannelOrder::Lift,
        _ => ChannelOrder::Stop { reason: fields.text("reason", reason) },
    };
    let order = checked(order, errors)?;
    append(&state, idempotency_key(&headers)?, InboxBody::Channel { channel, order }).await?;
    Ok(Json(one(&state, &state.store.reputation().await?, channel)))
}

/// Every channel as the API tells of it.
pub(super) async fn all(state: &AppState) -> Result<Vec<Value>, StoreError> {
    let reputation = state.store.reputation().await?;
    let known = |channel: &Channel| {
        state.policy.channels.contains(channel) || reputation.stop_of(*channel).is_some()
    };
    let shown = Channel::ALL.into_iter().filter(known);
    Ok(shown.map(|channel| one(state, &reputation, channel)).collect())
}

fn one(state: &AppState, reputation: &Reputation, channel: Channel) -> Value {
    let (record, ceilings) = (reputation.of(channel), state.ceilings);
    let counts = record.counts(ceilings.days, state.clock.now());
    let share = |ppm: u32| f64::from(ppm) / 1e6;
    json!({
        "channel": channel,
        "state": if record.stop.is_some() { "stopped" } else { "open" },
        "stop": record.stop,
        "lifted_at": record.lifted_at,
        "days": ceilings.days,
        "messages": counts.messages,
        "complaints": counts.complaints,
        "complaint_rate": counts.complaint_rate(),
        "bounces": counts.bounces,
        "bounce_rate": counts.bounce_rate(),
        // Only mail providers set ceilings.
        "ceilings": (channel == Channel::Email).then(|| json!({
            "complaints": share(ceilings.complaints_ppm),
            "bounces": share(ceilings.bounces_ppm),
            "messages": ceilings.messages,
        })),
    })
}
