//! What the API takes and gives, where it is not a type of the core that describes itself.
//!
//! Why here: programs are generated from the description, so "an object" is not enough.
//!
//! What must stay true: what a route takes is closed: it refuses every field that is not here. What
//! it gives has every field that is here (`tests/it/openapi.rs` holds the answers against them).

use serde_json::{Value, json};

use crate::core::case::State;
use crate::core::customer::Channel;
use crate::core::money::Money;
use crate::core::schema::{Described, Schemas, object};
use crate::core::view::HappenedView;

/// Takes nothing: an empty body, or an empty object.
pub(super) fn nothing(_: &mut Schemas) -> Value {
    closed(json!({}))
}

/// Takes these fields and no others.
fn closed(properties: Value) -> Value {
    json!({ "type": "object", "properties": properties, "additionalProperties": false })
}

/// Gives these fields, always.
fn gives(fields: Vec<(&str, &str, Value)>) -> Value {
    object("", fields)
}

fn text() -> Value {
    json!({ "type": "string" })
}

fn maybe(schema: Value) -> Value {
    json!({ "anyOf": [schema, { "type": "null" }] })
}

fn maybe_text() -> Value {
    json!({ "type": ["string", "null"] })
}

fn flag() -> Value {
    json!({ "type": "boolean" })
}

fn count() -> Value {
    json!({ "type": "integer", "minimum": 0 })
}

fn share() -> Value {
    json!({ "type": ["number", "null"], "minimum": 0, "maximum": 1 })
}

pub(super) fn time() -> Value {
    json!({ "type": "string", "format": "date-time" })
}

fn maybe_time() -> Value {
    json!({ "type": ["string", "null"], "format": "date-time" })
}

fn array(items: Value) -> Value {
    json!({ "type": "array", "items": items })
}

fn page(items: Value) -> Value {
    gives(vec![
        ("data", "The rows.", array(items)),
        ("has_more", "Whether there are more behind the last.", flag()),
    ])
}

fn any() -> Value {
    json!({ "type": "object" })
}

/// What a customer is told to be.
pub(super) fn customer_fields(all: &mut Schemas) -> Value {
    let channel = Channel::schema(all);
    let consent = json!({
        "type": "object",
        "properties": {
            "channel": channel,
            "standing": { "type": "string", "enum": ["opted_in", "opted_out"] },
            "at": maybe_time(),
            "how": { "type": "string", "maxLength": 255 },
        },
        "required": ["channel", "standing", "how"],
        "additionalProperties": false,
    });
    let short = json!({ "type": ["string", "null"], "maxLength": 255 });
    closed(json!({
        "name": short, "email": short, "phone": short, "locale": short, "time_zone": short,
        "country": { "type": ["string", "null"], "pattern": "^[A-Za-z]{2}$" },
        "channels": { "type": ["array", "null"], "items": channel },
        "excluded": { "type": ["boolean", "null"] },
        "tags": { "type": ["array", "null"], "items": text(), "maxItems": 50 },
        "customer_since": { "type": ["string", "null"], "format": "date" },
        "consents": { "type": ["array", "null"], "items": consent },
    }))
}

/// A customer.
pub(super) fn customer(all: &mut Schemas) -> Value {
    let channel = Channel::schema(all);
    gives(vec![
        ("id", "The billing gateway's id.", text()),
        ("name", "", maybe_text()),
        ("email", "", maybe_text()),
        ("phone", "", maybe_text()),
        ("locale", "", maybe_text()),
        ("time_zone", "", maybe_text()),
        ("country", "", maybe_text()),
        ("channels", "Agreed; null: the policy's.", maybe(array(channel.clone()))),
        ("excluded", "Never charged and never contacted.", flag()),
        ("reminders_stopped", "They asked for it.", flag()),
        ("tags", "", array(text())),
        ("customer_since", "", maybe_text()),
        ("consents", "What they said of channels.", array(any())),
        ("suppressed", "Channels whose address nothing reaches.", array(any())),
    ])
}

/// The payment methods that a customer is told to have.
pub(super) fn method_list(_: &mut Schemas) -> Value {
    let short = json!({ "type": ["string", "null"], "maxLength": 255 });
    let yes_or_no = json!({ "type": ["boolean", "null"] });
    let one = json!({
        "type": "object",
        "properties": {
            "gateway": { "type": "string", "minLength": 1, "maxLength": 255 },
            "token": { "type": "string", "minLength": 1, "maxLength": 255 },
            "network": short,
            "last4": { "type": ["string", "null"], "pattern": "^[0-9]{4}$" },
            "exp": { "type": ["string", "null"], "pattern": "^[0-9]{4}-(0[1-9]|1[0-2])$" },
            "fingerprint": short,
            "country": { "type": ["string", "null"], "pattern": "^[A-Za-z]{2}$" },
            "funding": { "type": ["string", "null"], "enum": ["credit", "debit", "prepaid", null] },
            "network_transaction_id": short,
            "gateway_customer": short,
            "default": yes_or_no,
            "consent": yes_or_no,
        },
        "required": ["gateway", "token"],
        "additionalProperties": false,
    });
    json!({ "type": "array", "items": one, "maxItems": 100 })
}

/// The payment methods of a customer.
pub(super) fn methods(_: &mut Schemas) -> Value {
    page(gives(vec![
        ("gateway", "", text()),
        ("token", "", maybe_text()),
        ("network", "", maybe_text()),
        ("last4", "", maybe_text()),
        ("exp", "Year and month: 2029-06.", maybe_text()),
        ("fingerprint", "", maybe_text()),
        ("country", "", maybe_text()),
        ("funding", "", maybe_text()),
        ("gateway_customer", "The gateway's own id of the customer.", maybe_text()),
        ("network_transaction_id", "", maybe_text()),
        ("default", "The one to charge at its gateway.", flag()),
        ("consent", "The customer agreed that it may be charged.", flag()),
        ("card", "Which card it is, over all gateways.", text()),
    ]))
}

/// What a merchant's front end is told.
pub(super) fn banner(all: &mut Schemas) -> Value {
    let money = Money::schema(all);
    gives(vec![
        ("customer", "", text()),
        ("show", "Whether to show it.", flag()),
        ("limit_access", "", flag()),
        ("limited_since", "", maybe_time()),
        ("limits_at", "", maybe_time()),
        ("unpaid_since", "", maybe_time()),
        ("amounts", "One for each currency.", array(money)),
        ("locale", "The customer's.", text()),
        ("texts", "By language.", json!({ "type": ["object", "null"] })),
        ("link", "The customer's page.", maybe_text()),
        ("at", "", time()),
        ("good_until", "Not to be used behind it.", time()),
    ])
}

/// Whether a customer's open cases end first.
pub(super) fn forget(_: &mut Schemas) -> Value {
    closed(json!({ "stop": { "type": ["boolean", "null"] } }))
}

fn erased() -> Value {
    let fields = ["customers", "cases", "messages", "inputs"];
    gives(fields.into_iter().map(|name| (name, "", count())).collect())
}

/// Who was forgotten.
pub(super) fn forgotten(_: &mut Schemas) -> Value {
    gives(vec![
        ("reference", "What stands in the books in place of the customer.", text()),
        ("erased", "How much was erased.", erased()),
    ])
}

/// What was erased.
pub(super) fn expired(_: &mut Schemas) -> Value {
    gives(vec![("erased", "How much was erased.", erased())])
}

/// Whether everything is held.
pub(super) fn hold(_: &mut Schemas) -> Value {
    let mode = json!({ "type": "string", "enum": ["live", "shadow"] });
    gives(vec![("held", "", flag()), ("since", "", maybe_time()), ("mode", "", mode)])
}

/// The gateways.
pub(super) fn gateways(_: &mut Schemas) -> Value {
    page(gives(vec![
        ("id", "Its id in the merchant file.", text()),
        ("kind", "", text()),
        ("name", "", text()),
        ("billing", "Whether it owns the invoices.", flag()),
        ("capabilities", "What it can do.", any()),
        ("native_retries", "Its own retries, and how to switch them off.", any()),
        ("tells_history", "Whether it can be asked for what never arrived.", flag()),
        ("unknown_declines", "Codes in no table, with how often.", array(any())),
    ]))
}

/// What the gateways know.
pub(super) fn gaps(_: &mut Schemas) -> Value {
    page(gives(vec![
        ("gateway", "", text()),
        ("since", "", time()),
        ("known", "Events and open invoices that it told of.", count()),
        ("missing", "Those that the store did not have.", array(any())),
        ("completeness", "Share that the store had.", share()),
        ("error", "Why it could not be asked.", maybe_text()),
    ]))
}

fn one_channel(all: &mut Schemas) -> Value {
    gives(vec![
        ("channel", "", Channel::schema(all)),
        ("state", "", json!({ "type": "string", "enum": ["open", "stopped"] })),
        ("stop", "Since when, by what, and why.", json!({ "type": ["object", "null"] })),
        ("lifted_at", "", maybe_time()),
        ("days", "The days that are counted.", count()),
        ("messages", "", count()),
        ("complaints", "", count()),
        ("complaint_rate", "", share()),
        ("bounces", "", count()),
        ("bounce_rate", "", share()),
        ("ceilings", "Above which it stops by itself.", json!({ "type": ["object", "null"] })),
    ])
}

/// The channels.
pub(super) fn channels(all: &mut Schemas) -> Value {
    let one = one_channel(all);
    page(one)
}

/// One channel.
pub(super) fn channel(all: &mut Schemas) -> Value {
    one_channel(all)
}

/// Why a channel is stopped; nothing to lift a stop.
pub(super) fn order(_: &mut Schemas) -> Value {
    closed(json!({ "reason": { "type": ["string", "null"], "maxLength": 500 } }))
}

/// Messages as they were sent.
pub(super) fn messages(all: &mut Schemas) -> Value {
    let happened = maybe(HappenedView::schema(all));
    let channel = Channel::schema(all);
    page(gives(vec![
        ("status", "", json!({ "type": "string", "enum": STATUS })),
        ("happened", "What became of it.", happened),
        ("id", "", text()),
        ("case", "", text()),
        ("kind", "", text()),
        ("channel", "", channel),
        ("to", "", text()),
        ("at", "", time()),
        ("locale", "", text()),
        ("subject", "", text()),
        ("text", "", text()),
        ("html", "", maybe_text()),
        ("answer", "The provider's own words.", maybe_text()),
    ]))
}

/// What a message may stand at.
pub(super) const STATUS: [&str; 6] =
    ["dropped", "failed", "queued", "sent", "uncertain", "withheld"];

/// What became of messages.
pub(super) fn message_report(all: &mut Schemas) -> Value {
    let channels = one_channel(all);
    gives(vec![
        ("since", "", maybe_time()),
        ("until", "", maybe_time()),
        ("total", "Of all.", any()),
        ("warnings", "In words.", array(text())),
        ("by_step", "", any()),
        ("by_number", "", any()),
        ("by_kind", "", any()),
        ("by_channel", "", any()),
        ("by_locale", "", any()),
        ("channels", "How each stands.", array(channels)),
    ])
}

/// What failed and what came back.
pub(super) fn recovery(_: &mut Schemas) -> Value {
    gives(vec![
        ("now", "", time()),
        ("since", "", maybe_time()),
        ("until", "", maybe_time()),
        ("cases", "", count()),
        ("recovered", "", count()),
        ("currencies", "Each by itself.", array(any())),
        ("windows", "By the days after the failure.", array(any())),
        ("shadow", "What shadow mode saw and planned.", json!({ "type": ["object", "null"] })),
    ])
}

/// Captures beside the ledger.
pub(super) fn captures(_: &mut Schemas) -> Value {
    let one = json!({
        "type": "object",
        "description": "Without `days`, `differences` and `others` where it was not compared.",
        "properties": {
            "gateway": text(), "compared": flag(), "why_not": text(), "days": array(any()),
            "differences": array(any()), "others": count(),
        },
        "required": ["gateway", "compared"],
    });
    gives(vec![("since", "", time()), ("until", "", time()), ("data", "", array(one))])
}

fn one_policy() -> Vec<(&'static str, &'static str, Value)> {
    vec![
        ("version", "The digest of its content.", text()),
        ("current", "Whether new cases get it.", flag()),
        ("open_cases", "", count()),
        ("schedule", "", json!({})),
        ("max_attempts", "", count()),
        ("window_days", "", count()),
        ("holdout", "", json!({ "type": "number", "minimum": 0, "maximum": 1 })),
    ]
}

/// The policies.
pub(super) fn policies(_: &mut Schemas) -> Value {
    page(gives(one_policy()))
}

/// One policy with everything that it says.
pub(super) fn policy(_: &mut Schemas) -> Value {
    let mut fields = one_policy();
    fields.push(("policy", "What it says.", any()));
    gives(fields)
}

/// A policy as `GET /policies/{version}` gives it.
pub(super) fn policy_body(_: &mut Schemas) -> Value {
    json!({
        "type": "object",
        "description": "A policy, as `policy` of `GET /policies/{version}`.",
        "properties": { "gateways": array(any()) },
        "required": ["gateways"],
    })
}

/// The version under which a policy is kept.
pub(super) fn version(_: &mut Schemas) -> Value {
    gives(vec![("version", "The digest of its content.", text())])
}

/// What a policy would change.
pub(super) fn changes(_: &mut Schemas) -> Value {
    gives(vec![
        ("version", "", text()),
        ("data", "By case.", array(any())),
        ("has_more", "", flag()),
        ("last", "What to go on from.", maybe_text()),
    ])
}

/// A record of what was learned.
pub(super) fn learned(_: &mut Schemas) -> Value {
    json!({
        "type": "object",
        "description": "As `GET /learning` gives it.",
        "properties": { "version": { "type": "integer" } },
        "required": ["version"],
    })
}

/// It will be done.
pub(super) fn accepted(_: &mut Schemas) -> Value {
    gives(vec![("accepted", "", flag())])
}

/// A case in every state.
pub(super) fn states() -> Value {
    json!({ "type": "string", "enum": State::ALL })
}
