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
use crate::core::case::Case;
use crate::core::decline::{Category, Decline};
use crate::core::ids::GatewayId;
use crate::gateway::Gateway;
use crate::http::{AppState, Problem};
use crate::store::CaseFilter;

/// How far back gateways are asked where the request does not say.
const DEFAULT_REACH: SignedDuration = SignedDuration::from_hours(30 * 24);
/// Cases, newest first, that are looked through for codes in no table.
const CASES_LOOKED_AT: usize = 5_000;

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
    Ok(Json(json!({ "data": data, "has_more": false })))
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

/// The codes of declines that no table knows, in the newest cases.
async fn unknown_codes(state: &AppState) -> Result<Unknown, Problem> {
    let mut unknown = Unknown::new();
    let each = |case: &Case| note_unknown(case, &mut unknown);
    state.each_case(&CaseFilter::default(), CASES_LOOKED_AT, each).await?;
    Ok(unknown)
}

fn note_unknown(case: &Case, unknown: &mut Unknown) {
    let ours = case.attempts.iter().filter_map(|a| Some((&a.charge.gateway, a.decline.as_ref()?)));
    let first = case.attempts.iter().all(|a| a.decline != case.decline);
    let own = case.decline.as_ref().filter(|_| first).map(|decline| (&case.gateway, decline));
    for (gateway, decline) in ours.chain(own).filter(|(_, decline)| is_unknown(decline)) {
        let code = decline.shown_code().unwrap_or("free text").to_owned();
        *unknown.entry(gateway.clone()).or_default().entry(code).or_default() += 1;
    }
}

fn is_unknown(decline: &Decline) -> bool {
    decline.category == Category::Unknown
        && (decline.code.is_some() || decline.network_code.is_some())
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
    Ok(Json(json!({ "data": found, "has_more": false })))
}
