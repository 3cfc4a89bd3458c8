//! `/api/v1`: what programs and the command line use.
//!
//! Why here: every route is behind a token by one layer, and stands in a table with what it takes,
//! gives and asks of its caller; lists are `{"data","has_more"}`, one object is itself, errors are
//! problem JSON.
//!
//! What must stay true: an action is an input of the inbox like any other, so it is applied exactly
//! once, whatever dies when.

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::Response;
use serde_json::{Value, json};

use super::people::audit::{self, AuditView};
use super::people::rule::{Inside, Rule};
use super::people::scope::Scope;
use super::people::tokens::{self, TokenView};
use super::people::users::{self, InvitedView, UserView};
use super::{AppState, Problem, auth};
use crate::core::access::Role;
use crate::core::schema::{Described as _, Schemas};
use crate::core::view::{CaseView, EntryView};
use table::{Table, op};
use webhooks::{DeliveryView, EndpointView};

mod actions;
mod banner;
mod cases;
mod channels;
mod clock;
mod customers;
mod gateways;
mod hold;
pub(super) mod input;
mod learning;
mod messages;
pub(super) mod money;
pub(super) mod once;
mod openapi;
mod plan;
mod policies;
mod reports;
mod retention;
mod shapes;
mod table;
mod webhooks;

pub(super) use actions::unique;
pub use banner::Access;
pub use once::Keys;
pub use openapi::document as openapi;
pub(super) use openapi::show as show_openapi;
pub use retention::expire;

/// Routes that answer soon.
pub(super) fn routes(state: &AppState) -> Router<AppState> {
    guarded(quick().into_router(), state)
}

/// Routes that take as long as they take: the test clock may move through weeks, a gateway may know
/// much, and a report reads every case.
pub(super) fn slow_routes(state: &AppState) -> Router<AppState> {
    guarded(slow().into_router(), state)
}

/// What support may do to a case; these take an admin: one says that money came, the other decides
/// by what rules.
pub(super) const CASE_DEEDS: Rule = Rule::ACT.but_for(&["mark-paid", "policy"]);

fn quick() -> Table {
    let table = cases_table(Table::default());
    let table = customers_table(table);
    let table = webhooks_table(table);
    let table = people_table(table);
    learning_table(table)
        .get("/gateways", gateways::list, op("What each gateway can do.").gives(shapes::gateways))
        .get("/hold", hold::show, op("Whether a person holds everything.").gives(shapes::hold))
        .post(
            "/hold",
            hold::hold,
            op("Hold everything.").takes_nothing().gives(shapes::hold).by(Rule::ACT),
        )
        .delete("/hold", hold::end, op("Let everything go on.").gives(shapes::hold))
        .get("/messages", messages::list, messages_op())
        .get("/channels", channels::list, op("How each channel stands.").gives(shapes::channels))
        .post(
            "/channels/{channel}/{order}",
            channels::order,
            op("Stop a channel, or let it go on.")
                .part("channel", &["email", "sms", "whatsapp"])
                .part("order", &["lift", "stop"])
                .takes(shapes::order, json!({}))
                .gives(shapes::channel),
        )
        .get("/test-clock", clock::show, op("The test clock.").gives(now))
}

fn slow() -> Table {
    let moment = shapes::time();
    let case_or_state = op("What a policy would change.")
        .takes(shapes::policy_body, json!({ "gateways": [] }))
        .text("case", "Of this case; or of a state.")
        .query("state", "Of the cases in this state.", shapes::states())
        .pages()
        .gives(shapes::changes)
        .by(Rule::SEE);
    Table::default()
        .post("/test-clock/advance", clock::advance, advance_op())
        .post("/reconcile", gateways::reconcile, reconcile_op())
        .post(
            "/customers/{id}/forget",
            retention::forget,
            op("Forget a person.").takes(shapes::forget, json!({})).gives(shapes::forgotten),
        )
        .post(
            "/retention",
            retention::run,
            op("Forget what is old.").takes_nothing().gives(shapes::expired),
        )
        .get(
            "/payments",
            money::list,
            op("Payments, for accounting.").file().spans("What was captured", &moment),
        )
        .get(
            "/reports/captures",
            money::captures,
            op("Captures, compared with the ledger.")
                .spans("What was captured", &moment)
                .gives(shapes::captures),
        )
        .get(
            "/reports/monthly",
            money::monthly,
            op("A month, for people.").page_of_html().query(
                "month",
                "Which; the last one where it is left out.",
                json!({ "type": "string", "pattern": "^[0-9]{4}-(0[1-9]|1[0-2])$" }),
            ),
        )
        .get(
            "/policies",
            policies::list,
            op("The policies that cases keep.").gives(shapes::policies),
        )
        .post(
            "/policies",
            policies::keep,
            op("Keep a policy.")
                .takes(shapes::policy_body, json!({ "gateways": [] }))
                .gives(shapes::version),
        )
        .post("/policies/diff", policies::diff, case_or_state)
        .get("/policies/{version}", policies::one, op("One policy.").gives(shapes::policy))
        .get(
            "/reports/messages",
            messages::report,
            op("What became of messages, counted.")
                .spans("Of cases that opened", &moment)
                .gives(shapes::message_report),
        )
        .get(
            "/reports/recovery",
            reports::recovery,
            op("What failed, what came back, and by what.")
                .spans("Cases that opened", &moment)
                .gives(shapes::recovery),
        )
}

fn cases_table(table: Table) -> Table {
    let list = op("Cases, newest first.")
        .query("state", "In this state.", shapes::states())
        .text("customer", "Of this customer.")
        .text("invoice", "Of this invoice.")
        .text("gateway", "Of this billing gateway.")
        .pages()
        .or_file()
        .list::<CaseView<'_>>();
    let act = op("Act on a case, or make its link.")
        .part("action", actions::NAMES)
        .takes(action, json!({}))
        .gives(|all| {
            let link = json!({
                "type": "object",
                "properties": { "url": { "type": "string" } },
                "required": ["url"],
            });
            json!({ "anyOf": [CaseView::schema(all), link] })
        })
        .by(CASE_DEEDS);
    table
        .get("/cases", cases::list, list)
        .get("/attempts", cases::attempts, op("Attempts, newest first.").file())
        .get("/cases/{id}", cases::one, op("One case.").one::<CaseView<'_>>())
        .get(
            "/cases/{id}/ledger",
            cases::ledger,
            op("Everything that a case saw and did.").list::<EntryView<'_>>(),
        )
        .get("/cases/{id}/plan", plan::plan, op("What will be done, as a dry run."))
        .post("/cases/{id}/{action}", actions::act, act)
}

fn customers_table(table: Table) -> Table {
    let put = op("What is known of a customer.")
        .takes(
            shapes::customer_fields,
            json!({ "email": "ana@example.com", "locale": "es-CO", "channels": ["email"] }),
        )
        .gives(shapes::customer)
        .by(Rule::ACT);
    let methods = op("The payment methods that the gateways know of a customer.")
        .takes(
            shapes::method_list,
            json!([{ "gateway": "stripe", "token": "pm_1", "last4": "4242", "consent": true }]),
        )
        .gives(shapes::methods)
        .by(Rule::ACT);
    let banner = op("Whether to show that something is owed.").gives(shapes::banner);
    table
        .put("/customers/{id}", customers::put, put)
        .get("/customers/{id}/banner", banner::show, banner)
        .put("/customers/{id}/payment-methods", customers::put_methods, methods)
}

fn learning_table(table: Table) -> Table {
    let change = |summary| {
        let takes = op(summary).takes(shapes::learned, json!({ "version": 1 }));
        takes.gives(shapes::accepted).long(learning::MAX_RECORD)
    };
    table
        .get("/learning", learning::show, op("What was learned.").gives(shapes::learned))
        .put("/learning", learning::replace, change("Begin with this record."))
        .delete("/learning", learning::reset, op("Begin with nothing.").gives(shapes::accepted))
        .post("/learning/merge", learning::merge, change("Add this record."))
}

fn webhooks_table(table: Table) -> Table {
    let list = op("Events to your own systems, newest first.")
        .text("endpoint", "To this endpoint.")
        .query(
            "state",
            "In this state.",
            json!({
                "type": "string", "enum": ["pending", "delivered", "gave_up", "ended"],
            }),
        )
        .text("case", "About this case.")
        .pages()
        .list::<DeliveryView>();
    let one = |summary| op(summary).one::<DeliveryView>();
    let endpoint = |summary| op(summary).one::<EndpointView>();
    table
        .get("/webhook-deliveries", webhooks::list, list)
        .get("/webhook-deliveries/{id}", webhooks::one, one("One delivery with its body."))
        .post(
            "/webhook-deliveries/{id}/replay",
            webhooks::replay,
            one("Send an event again, under its id.").takes_nothing().by(Rule::ACT),
        )
        .get(
            "/webhook-endpoints",
            webhooks::endpoints,
            op("Where events go.").list::<EndpointView>(),
        )
        .post(
            "/webhook-endpoints/{id}/enable",
            webhooks::enable,
            endpoint("Send to an endpoint again that has answered 410.").takes_nothing(),
        )
        .post(
            "/webhook-endpoints/{id}/test",
            webhooks::test,
            one("Send an event that only tests the way.").takes_nothing().by(Rule::ACT),
        )
}

/// Who may call, and what they did: an admin's business.
fn people_table(table: Table) -> Table {
    let create = |_: &mut Schemas| {
        json!({
            "type": "object",
            "properties": {
                "name": { "type": "string", "minLength": 1, "maxLength": 60 },
                "scopes": {
                    "type": "array",
                    "items": { "type": "string", "enum": Scope::ALL },
                    "minItems": 1,
                },
            },
            "required": ["name", "scopes"],
            "additionalProperties": false,
        })
    };
    let created = |all: &mut Schemas| {
        let token = json!({ "type": "object", "properties": { "token": { "type": "string" } } });
        json!({ "allOf": [TokenView::schema(all), token] })
    };
    let create = op("Make a token; it is shown this once.")
        .takes(create, json!({ "name": "billing", "scopes": ["read"] }))
        .gives(created);
    let list = op("Tokens of the API, newest first.").by(Rule::INSPECT).list::<TokenView>();
    let audit = op("Who did what, newest first.").by(Rule::INSPECT).pages().list::<AuditView>();
    users_table(table)
        .get("/tokens", tokens::list, list)
        .post("/tokens", tokens::create, create)
        .delete("/tokens/{id}", tokens::revoke, op("Revoke a token.").one::<TokenView>())
        .get("/audit", audit::list, audit)
}

fn users_table(table: Table) -> Table {
    let add = |_: &mut Schemas| {
        json!({
            "type": "object",
            "properties": {
                "email": { "type": "string", "maxLength": 255 },
                "role": { "type": "string", "enum": Role::ALL },
            },
            "required": ["email", "role"],
            "additionalProperties": false,
        })
    };
    let change = |_: &mut Schemas| {
        json!({
            "type": "object",
            "properties": { "role": { "type": "string", "enum": Role::ALL } },
            "required": ["role"],
            "additionalProperties": false,
        })
    };
    let example = json!({ "email": "ana@company.example", "role": "support" });
    let add = op("Make an account, and the link to set its password.").takes(add, example);
    let change = op("Give somebody another role.").takes(change, json!({ "role": "viewer" }));
    let reset = op("End somebody's password and sessions; a link to set another.");
    let list = op("People who sign in, newest first.").by(Rule::INSPECT).list::<UserView>();
    table
        .get("/users", users::list, list)
        .post("/users", users::post, add.one::<InvitedView>())
        .put("/users/{id}", users::put, change.one::<UserView>())
        .delete("/users/{id}", users::delete, op("Remove somebody.").one::<UserView>())
        .post("/users/{id}/reset", users::post_reset, reset.takes_nothing().one::<InvitedView>())
}

fn messages_op() -> table::Operation {
    op("Messages exactly as sent, newest first.")
        .text("case", "Of this case.")
        .text("customer", "Of this customer.")
        .text("channel", "On this channel.")
        .text("kind", "Of this kind.")
        .text("locale", "In this language.")
        .query("status", "With this status.", json!({ "type": "string", "enum": shapes::STATUS }))
        .pages()
        .or_file()
        .gives(shapes::messages)
}

fn advance_op() -> table::Operation {
    let takes = |_: &mut Schemas| {
        json!({
            "type": "object",
            "properties": {
                "to": { "type": ["string", "null"], "format": "date-time" },
                "by_seconds": { "type": ["integer", "null"], "minimum": 0 },
            },
            "anyOf": [{ "required": ["to"] }, { "required": ["by_seconds"] }],
            "additionalProperties": false,
        })
    };
    op("Move the test clock through every due moment.")
        .takes(takes, json!({ "by_seconds": 3600 }))
        .gives(now)
}

fn reconcile_op() -> table::Operation {
    let takes = |_: &mut Schemas| {
        json!({
            "type": "object",
            "properties": {
                "since": { "type": ["string", "null"], "format": "date-time" },
                "repair": { "type": ["boolean", "null"] },
            },
            "additionalProperties": false,
        })
    };
    op("Compare what the gateways know with the store.")
        .takes(takes, json!({ "repair": false }))
        .gives(shapes::gaps)
        .by(Rule::ACT)
}

fn action(_: &mut Schemas) -> Value {
    json!({
        "type": "object",
        "properties": {
            "until": {
                "type": ["string", "null"], "format": "date-time", "description": "Of pause.",
            },
            "reason": {
                "type": ["string", "null"], "maxLength": 500, "description": "Of stop.",
            },
            "text": { "type": ["string", "null"], "maxLength": 500, "description": "Of note." },
            "to": { "type": ["string", "null"], "description": "Of policy: its version." },
        },
        "additionalProperties": false,
    })
}

fn now(_: &mut Schemas) -> Value {
    json!({
        "type": "object",
        "properties": { "now": { "type": "string", "format": "date-time" } },
        "required": ["now"],
    })
}

fn guarded(routes: Router<AppState>, state: &AppState) -> Router<AppState> {
    routes
        .route_layer(middleware::from_fn_with_state(state.clone(), once::once))
        .route_layer(middleware::from_fn_with_state(state.clone(), guard))
}

async fn guard(
    State(state): State<AppState>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let who = auth::bearer(&state, request.headers()).await?;
    let via = auth::way(request.headers());
    request.extensions_mut().insert(Inside { state, who, via, shell: None });
    Ok(next.run(request).await)
}
