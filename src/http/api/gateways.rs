//! `GET /gateways` and `POST /reconcile`: what each gateway can do, which of its decline codes are
//! in no table, and which of its events never arrived.
//!
//! Why here: an operator sees here what only the service can know; `recoup doctor` asks these two.
//!
//! What must stay true: nothing secret is shown; a repair is an input of the inbox like any other.

use std::collections::BTreeMap;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::input::{Fields, checked, json as read_json};
use crate::core::ids::GatewayId;
use crate::gateway::Gateway;
use crate::http::view::whole;
use crate::http::{AppState, Problem};

/// How far back gateways are asked where the request does not say.
const DEFAULT_REACH: SignedDuration = SignedDuration::from_hours(30 * 24);

/// How often a code that is in no table was seen.
type Unknown = BTreeMap<GatewayId, BTreeMap<String, u64>>;

/// `GET /gateways`.
pub(super) async fn list(State(state): State<AppState>) -> Result<Json<Value>, Problem> {
    let unknown = unknown_codes(&state).await?;
    let data: Vec<_> = state
        .gateways
        .iter()
        .enumerate()
        .map(|(index, gateway)| view(gateway.as_ref(), index == 0, &unknown))
        .collect();
    Ok(whole(data))
}

fn view(gateway: &dyn Gateway, billing: bool, unknown: &Unknown) -> Value {
    let profile = gateway.profile();
    let codes: Vec<_> = unknown
        .get(gateway.id())
        .into_iter()
        .flatten()
        .map(|(code, count)| json!({ "code": code, "count": count }))
        .collect();
    json!({
        "id": gateway.id(),
        "kind": profile.kind,
        "name": profile.name,
        "billing": billing,
        "capabilities": profile.capabilities,
        "native_retries": {
            "what": profile.native_retries.what,
            "switch_off": profile.native_retries.switch_off,
        },
        "tells_history": profile.tells_history,
        "unknown_declines": codes,
    })
}

/// The codes of declines that no table knows.
async fn unknown_codes(state: &AppState) -> Result<Unknown, Problem> {
    let mut unknown = Unknown::new();
    let shelf = state.book.look_patiently(&state.store).await?;
    for (gateway, code) in shelf.cases().flat_map(|case| case.unknown.iter()) {
        let codes = unknown.entry(gateway.clone()).or_default();
        *codes.entry(code.clone()).or_default() += 1;
    }
    Ok(unknown)
}

/// `POST /reconcile`.
pub(super) async fn reconcile(
    State(state): State<AppState>,
    body: Bytes,
) -> Result<Json<Value>, Problem> {
    let now = state.clock.now();
    let mut errors = Vec::new();
    let mut fields =
        Fields::of(read_json(&body)?, String::new(), &["since", "repair"], &mut errors);
    let since: Option<Timestamp> =
        fields.parsed("since", "it must be a time, e.g. 2026-11-01T00:00:00Z");
    let repair = fields.flag("repair").unwrap_or(false);
    let since = since.unwrap_or(now - DEFAULT_REACH);
    if since > now {
        fields.wrong("since", "it is in the future");
    }
    checked((), errors)?;
    // A request that is given up must not leave a repair half told: the work goes on by itself.
    let engine = state.engine.clone();
    let work = tokio::spawn(async move { engine.reconcile(since, repair).await });
    let found = work.await.map_err(|_| {
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        Problem::new(status, "internal", "comparing with the gateways broke off")
    })??;
    Ok(whole(found))
}
