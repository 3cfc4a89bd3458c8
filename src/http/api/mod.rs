//! `/api/v1`: what programs and the command line use.
//!
//! Why here: every route is behind the admin token by one layer; lists are `{"data","has_more"}`,
//! one object is itself, errors are problem JSON.
//!
//! What must stay true: an action is an input of the inbox like any other, so it is applied exactly
//! once, whatever dies when.

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{get, post, put};

use super::{AppState, Problem, auth};

mod actions;
mod banner;
mod cases;
mod channels;
mod clock;
mod customers;
mod gateways;
mod input;
mod learning;
mod messages;
pub(super) mod money;
mod plan;
mod policies;
mod reports;
mod retention;
mod webhooks;

pub(super) use actions::unique;
pub use banner::Access;
pub use retention::expire;

/// A record of what was learned is longer than other bodies.
fn whole() -> DefaultBodyLimit {
    DefaultBodyLimit::max(learning::MAX_RECORD)
}

/// Routes that answer soon.
pub(super) fn routes(state: &AppState) -> Router<AppState> {
    let routes = Router::new()
        .route("/api/v1/cases", get(cases::list))
        .route("/api/v1/attempts", get(cases::attempts))
        .route("/api/v1/cases/{id}", get(cases::one))
        .route("/api/v1/cases/{id}/ledger", get(cases::ledger))
        .route("/api/v1/cases/{id}/plan", get(plan::plan))
        .route("/api/v1/cases/{id}/{action}", post(actions::act))
        .route("/api/v1/channels", get(channels::list))
        .route("/api/v1/channels/{channel}/{order}", post(channels::order))
        .route("/api/v1/customers/{id}", put(customers::put))
        .route("/api/v1/customers/{id}/banner", get(banner::show))
        .route("/api/v1/customers/{id}/payment-methods", put(customers::put_methods))
        .route("/api/v1/gateways", get(gateways::list))
        .route(
            "/api/v1/learning",
            get(learning::show).put(learning::replace).delete(learning::reset).layer(whole()),
        )
        .route("/api/v1/learning/merge", post(learning::merge).layer(whole()))
        .route("/api/v1/messages", get(messages::list))
        .route("/api/v1/test-clock", get(clock::show))
        .route("/api/v1/webhook-deliveries", get(webhooks::list))
        .route("/api/v1/webhook-deliveries/{id}", get(webhooks::one))
        .route("/api/v1/webhook-deliveries/{id}/replay", post(webhooks::replay))
        .route("/api/v1/webhook-endpoints", get(webhooks::endpoints))
        .route("/api/v1/webhook-endpoints/{id}/enable", post(webhooks::enable))
        .route("/api/v1/webhook-endpoints/{id}/test", post(webhooks::test));
    guarded(routes, state)
}

/// Routes that take as long as they take: the test clock may move through weeks, a gateway may know
/// much, and a report reads every case.
pub(super) fn slow_routes(state: &AppState) -> Router<AppState> {
    let routes = Router::new()
        .route("/api/v1/test-clock/advance", post(clock::advance))
        .route("/api/v1/customers/{id}/forget", post(retention::forget))
        .route("/api/v1/reconcile", post(gateways::reconcile))
        .route("/api/v1/retention", post(retention::run))
        .route("/api/v1/policies", get(policies::list).post(policies::keep))
        .route("/api/v1/policies/diff", post(policies::diff))
        .route("/api/v1/policies/{version}", get(policies::one))
        .route("/api/v1/payments", get(money::list))
        .route("/api/v1/reports/captures", get(money::captures))
        .route("/api/v1/reports/monthly", get(money::monthly))
        .route("/api/v1/reports/messages", get(messages::report))
        .route("/api/v1/reports/recovery", get(reports::recovery));
    guarded(routes, state)
}

fn guarded(routes: Router<AppState>, state: &AppState) -> Router<AppState> {
    routes.route_layer(middleware::from_fn_with_state(state.clone(), guard))
}

async fn guard(
    State(state): State<AppState>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    auth::bearer(&state, request.headers())?;
    Ok(next.run(request).await)
}
