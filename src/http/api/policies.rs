//! `/policies`: which versions there are, what another one would change, and keeping one.
//!
//! Why here: the service holds the store and the gateways, so `recoup policy` and `recoup plan
//! --diff` ask it. A case is moved by an action of its own (`actions`), through the inbox.
//!
//! What must stay true: a policy is kept under the digest of its content and never changed; one
//! that names a gateway which this service does not have is refused; a comparison writes nothing.

use std::collections::BTreeMap;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::cases::{case_state, load};
use super::input::{Query, json as read_json};
use super::plan::{around, policy_of};
use crate::core::case::{Case, State as CaseState};
use crate::core::ids::CaseId;
use crate::core::policy::Policy;
use crate::http::view::whole;
use crate::http::{AppState, Problem};
use crate::lab::change::{self, Change};
use crate::lab::plan::Frame;
use crate::store::{CaseFilter, Page, StoreError};

/// `GET /policies`: all versions, with how many open cases each has.
pub(super) async fn list(State(state): State<AppState>) -> Result<Json<Value>, Problem> {
    let open = open_cases(&state).await?;
    let policies = state.store.policies().await?;
    let data: Vec<_> = policies.iter().map(|(id, it)| shown(&state, id, it, &open)).collect();
    Ok(whole(data))
}

/// `GET /policies/{version}`: one, with everything that it says.
pub(super) async fn one(
    State(state): State<AppState>,
    Path(version): Path<String>,
) -> Result<Json<Value>, Problem> {
    let policy = state.store.policy(&version).await?;
    let policy = policy.ok_or_else(|| Problem::not_found("there is no policy of this version"))?;
    let open = open_cases(&state).await?;
    let mut found = shown(&state, &version, &policy, &open);
    found["policy"] = json!(policy);
    Ok(Json(found))
}

/// `POST /policies`: keeps a policy, so that cases can be moved to it.
pub(super) async fn keep(
    State(state): State<AppState>,
    body: Bytes,
) -> Result<Json<Value>, Problem> {
    let policy = read(&state, &body)?;
    let version = policy.version();
    if state.store.policy(&version).await?.is_none() {
        state.store.put_policy(&policy).await?;
    }
    Ok(Json(json!({ "version": version })))
}

/// `POST /policies/diff?state=…|case=…`: what this policy would change for the cases of a state, or
/// for one.
pub(super) async fn diff(
    State(state): State<AppState>,
    query: RawQuery,
    body: Bytes,
) -> Result<Json<Value>, Problem> {
    let query = Query::read(query, &["case", "state", "limit", "starting_after"])?;
    let policy = read(&state, &body)?;
    let page = match (query.get("case"), query.get("state")) {
        (Some(id), None) => Page { data: vec![load(&state, id).await?], has_more: false },
        (None, Some(name)) => {
            let filter = CaseFilter { state: Some(case_state(name)?), ..CaseFilter::default() };
            let after = query.get("starting_after").map(CaseId::from);
            state.store.list_cases(&filter, after.as_ref(), query.limit()?).await?
        }
        _ => return Err(Problem::query("case", "give either `case` or `state`")),
    };
    let mut data = Vec::with_capacity(page.data.len());
    for case in page.data.iter().filter(|case| !case.state.is_ended()) {
        data.push(change_of(&state, case, &policy).await?);
    }
    // A page may end with a case that is over: what to go on from is said.
    let last = page.data.last().map(|case| &case.id);
    Ok(Json(json!({
        "version": policy.version(), "data": data, "has_more": page.has_more, "last": last
    })))
}

async fn change_of(state: &AppState, case: &Case, policy: &Policy) -> Result<Change, Problem> {
    let own = policy_of(state, case).await?;
    let around = around(state, case, &own).await?;
    let frame = |policy| Frame { policy, brand: &state.brand, now: state.clock.now() };
    Ok(change::of_case(case, &around, frame(&own), frame(policy), &policy.version()))
}

/// A policy that this service can keep to.
fn read(state: &AppState, body: &[u8]) -> Result<Policy, Problem> {
    let refuse =
        |detail: String| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_policy", detail);
    let policy: Policy = serde_json::from_value(read_json(body)?)
        .map_err(|error| refuse(format!("the body is no policy: {error}")))?;
    let unknown = policy.gateways.iter().find(|g| state.gateway(g.id.as_str()).is_none());
    match unknown {
        _ if policy.gateways.is_empty() => Err(refuse("the policy names no gateway".to_owned())),
        Some(gateway) => Err(refuse(format!(
            "this service has no gateway `{}`: put it into the merchant file and restart first",
            gateway.id
        ))),
        None => Ok(policy),
    }
}

fn shown(state: &AppState, version: &str, policy: &Policy, open: &BTreeMap<String, u64>) -> Value {
    json!({
        "version": version,
        "current": version == state.policy.version(),
        "open_cases": open.get(version).copied().unwrap_or(0),
        "schedule": policy.schedule,
        "max_attempts": policy.max_attempts,
        "window_days": policy.window_days,
        "holdout": f64::from(policy.holdout_ppm) / f64::from(crate::core::trial::MILLION),
    })
}

/// How many cases that are not over each version has. Costs what is open, not what there is.
async fn open_cases(state: &AppState) -> Result<BTreeMap<String, u64>, StoreError> {
    let mut open = BTreeMap::new();
    for of in CaseState::ALL.into_iter().filter(|of| !of.is_ended()) {
        let filter = CaseFilter { state: Some(of), ..CaseFilter::default() };
        let each = |case: &Case| *open.entry(case.policy_version.clone()).or_default() += 1;
        state.each_case(&filter, usize::MAX, each).await?;
    }
    Ok(open)
}
