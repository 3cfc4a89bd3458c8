//! `PUT /customers/{id}` and `PUT /customers/{id}/payment-methods`.
//!
//! What must stay true: a number that looks like a card's is refused as a token (design I9); a
//! gateway that is not configured is refused; what is absent stays as it was.

use std::collections::BTreeSet;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use jiff::Timestamp;
use serde_json::Value;

use super::actions::append;
use super::input::{Fields, checked, json as read_json};
use crate::core::card_number;
use crate::core::consent::Consent;
use crate::core::customer::{Channel, Customer, PaymentMethod, Profile, check_tag};
use crate::core::event::{Contact, PaymentMethodFacts};
use crate::core::ids::{CardKey, GatewayId};
use crate::http::problem::FieldError;
use crate::http::view::{customer_json, method_json, whole};
use crate::http::{AppState, Problem};
use crate::store::InboxBody;

/// Methods of one customer at most.
const MAX_METHODS: usize = 100;

/// Longest id, token, name.
const MAX_TEXT: usize = 255;

const CUSTOMER_FIELDS: &[&str] = &[
    "name",
    "email",
    "phone",
    "locale",
    "time_zone",
    "country",
    "channels",
    "excluded",
    "tags",
    "customer_since",
    "consents",
];

const CONSENT_FIELDS: &[&str] = &["channel", "standing", "at", "how"];

/// Tags of one customer at most.
const MAX_TAGS: usize = 50;

const METHOD_FIELDS: &[&str] = &[
    "gateway",
    "token",
    "network",
    "last4",
    "exp",
    "fingerprint",
    "country",
    "funding",
    "network_transaction_id",
    "gateway_customer",
    "default",
    "consent",
];

/// `PUT /customers/{id}`.
pub(super) async fn put(
    State(state): State<AppState>,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Json<Value>, Problem> {
    check_id(&id)?;
    let mut errors = Vec::new();
    let mut fields = Fields::of(read_json(&body)?, String::new(), CUSTOMER_FIELDS, &mut errors);
    let contact = Contact {
        name: fields.text("name", short),
        email: fields.text("email", email),
        phone: fields.text("phone", phone).map(|text| bare(&text)),
        locale: fields.text("locale", locale),
        time_zone: fields.text("time_zone", time_zone),
        country: fields.text("country", country),
    };
    let channels: Option<Vec<Channel>> =
        fields.parsed("channels", "it must be a list of: email, whatsapp, sms");
    let excluded = fields.flag("excluded");
    let tags: Option<BTreeSet<String>> = fields.parsed("tags", "it must be a list of texts");
    let customer_since = fields.parsed("customer_since", "it must be a date, e.g. 2024-03-01");
    let consents = fields.take("consents");
    if let Some(why) = tags.as_ref().and_then(bad_tags) {
        fields.wrong("tags", why);
    }
    let consents = read_consents(consents, state.clock.now(), &mut errors);
    checked((), errors)?;
    let profile = Profile { tags, customer_since, consents };
    let body = InboxBody::Customer { customer: id.clone(), contact, channels, excluded, profile };
    append(&state, None, body).await?;
    let customer = state.store.customer(&id).await?;
    Ok(Json(customer_json(&customer.unwrap_or_else(|| Customer::new(id)))))
}

fn bad_tags(tags: &BTreeSet<String>) -> Option<String> {
    if tags.len() > MAX_TAGS {
        return Some(format!("there are more than {MAX_TAGS} tags"));
    }
    tags.iter().find_map(|tag| Some(format!("`{tag}` {}", check_tag(tag).err()?)))
}

/// What a customer said of channels: `[{channel, standing, at, how}]`; `at` is now where it is
/// left out.
fn read_consents(
    value: Option<Value>,
    now: Timestamp,
    errors: &mut Vec<FieldError>,
) -> Vec<Consent> {
    let Some(value) = value else { return Vec::new() };
    let Value::Array(items) = value else {
        let detail = "it must be a list of {channel, standing, at, how}".to_owned();
        errors.push(FieldError { pointer: "/consents".to_owned(), detail });
        return Vec::new();
    };
    let read = |(index, item): (usize, Value)| {
        let pointer = format!("/consents/{index}");
        let mut fields = Fields::of(item, pointer, CONSENT_FIELDS, errors);
        let channel = word(&mut fields, "channel", "it must be email, whatsapp or sms");
        let standing = word(&mut fields, "standing", "it must be opted_in or opted_out");
        let at: Option<Timestamp> = fields.parsed("at", "it must be a time in RFC 3339");
        if at.is_some_and(|at| at > now) {
            fields.wrong("at", "it must not be in the future");
        }
        let how = fields.required_text("how", short);
        Some(Consent { channel: channel?, standing: standing?, at: at.unwrap_or(now), how: how? })
    };
    items.into_iter().take(MAX_METHODS).enumerate().filter_map(read).collect()
}

/// A word that must be there.
fn word<T: serde::de::DeserializeOwned>(
    fields: &mut Fields<'_>,
    name: &str,
    expected: &str,
) -> Option<T> {
    let read = serde_json::from_value(fields.take(name).unwrap_or(Value::Null)).ok();
    if read.is_none() {
        fields.wrong(name, expected);
    }
    read
}

/// `PUT /customers/{id}/payment-methods`.
pub(super) async fn put_methods(
    State(state): State<AppState>,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Json<Value>, Problem> {
    check_id(&id)?;
    let methods = read_methods(&state, read_json(&body)?)?;
    let body = InboxBody::PaymentMethods { customer: id.clone(), methods };
    append(&state, None, body).await?;
    let known = state.store.customer(&id).await?.unwrap_or_default();
    let data: Vec<_> = known.methods.iter().map(method_json).collect();
    Ok(whole(data))
}

fn read_methods(state: &AppState, body: Value) -> Result<Vec<PaymentMethod>, Problem> {
    let field = |detail: &str| FieldError { pointer: String::new(), detail: detail.to_owned() };
    let Value::Array(items) = body else {
        return Err(Problem::fields(vec![field("it must be a list of payment methods")]));
    };
    if items.len() > MAX_METHODS {
        let detail = format!("there are more than {MAX_METHODS} payment methods");
        return Err(Problem::fields(vec![field(&detail)]));
    }
    let mut errors = Vec::new();
    let mut methods = Vec::new();
    for (index, item) in items.into_iter().enumerate() {
        methods.extend(read_method(state, index, item, &mut errors));
    }
    checked(methods, errors)
}

fn read_method(
    state: &AppState,
    index: usize,
    item: Value,
    errors: &mut Vec<FieldError>,
) -> Option<PaymentMethod> {
    let mut fields = Fields::of(item, format!("/{index}"), METHOD_FIELDS, errors);
    let gateway = fields.required_text("gateway", short);
    let token = fields.required_text("token", token);
    let facts = PaymentMethodFacts {
        token: token.clone(),
        network: fields.text("network", short).map(|n| n.to_ascii_lowercase()),
        last4: fields.text("last4", last4),
        exp: fields.text("exp", exp),
        country: fields.text("country", country),
        funding: fields.text("funding", funding),
        fingerprint: fields.text("fingerprint", short),
    };
    let network_transaction_id = fields.text("network_transaction_id", short);
    let gateway_customer = fields.text("gateway_customer", short);
    let default = fields.flag("default").unwrap_or(false);
    // Without it the token is for the card of the invoice only, never for another in its place.
    let consent = fields.flag("consent").unwrap_or(false);
    if let Some(unknown) = gateway.as_ref().filter(|id| state.gateway(id).is_none()) {
        fields.wrong("gateway", format!("there is no gateway `{unknown}` in the merchant file"));
    }
    let gateway = GatewayId::from(gateway?.as_str());
    // Provisional: which tokens are one card is seen when the method joins the customer's others.
    let card = match &facts.fingerprint {
        Some(fingerprint) => CardKey::of_fingerprint(fingerprint),
        None => CardKey::of_token(&gateway, &token?),
    };
    Some(PaymentMethod {
        gateway,
        facts,
        card,
        gateway_customer,
        network_transaction_id,
        default,
        consent,
        former_exp: None,
    })
}

pub(super) fn check_id(id: &str) -> Result<(), Problem> {
    if id.len() <= MAX_TEXT && !id.chars().any(char::is_control) {
        return Ok(());
    }
    Err(Problem::not_found("this is no id of a customer"))
}

type Check = Result<(), &'static str>;

fn when(fits: bool, detail: &'static str) -> Check {
    if fits { Ok(()) } else { Err(detail) }
}

fn short(text: &str) -> Check {
    let fits = !text.trim().is_empty() && text.len() <= MAX_TEXT;
    when(fits && !text.chars().any(char::is_control), "it must be 1 to 255 characters")
}

fn email(text: &str) -> Check {
    when(text.parse::<lettre::Address>().is_ok(), "it must be an e-mail address")
}

/// A phone number without what people write between its digits.
fn bare(phone: &str) -> String {
    phone.chars().filter(|c| !" -().".contains(*c)).collect()
}

fn phone(text: &str) -> Check {
    let bare = bare(text);
    let digits = bare.strip_prefix('+').unwrap_or_default();
    let fits = (6..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    when(fits, "it must be in E.164, e.g. +573001234567")
}

fn locale(text: &str) -> Check {
    let parsed: Result<icu_locale_core::LanguageIdentifier, _> = text.parse();
    let fits = parsed.is_ok_and(|id| !id.language.is_unknown());
    when(fits, "it must be a language tag, e.g. es-CO")
}

fn time_zone(text: &str) -> Check {
    when(jiff::tz::TimeZone::get(text).is_ok(), "it must be an IANA time zone, e.g. America/Bogota")
}

fn country(text: &str) -> Check {
    let fits = text.len() == 2 && text.bytes().all(|b| b.is_ascii_uppercase());
    when(fits, "it must be ISO 3166 alpha-2, e.g. CO")
}

fn last4(text: &str) -> Check {
    when(text.len() == 4 && text.bytes().all(|b| b.is_ascii_digit()), "it must be four digits")
}

fn exp(text: &str) -> Check {
    let fits = match text.split_once('-') {
        Some((year, month)) => {
            year.len() == 4
                && month.len() == 2
                && month.bytes().all(|b| b.is_ascii_digit())
                && year.bytes().all(|b| b.is_ascii_digit())
                && month.parse::<u8>().is_ok_and(|m| (1..=12).contains(&m))
        }
        None => false,
    };
    when(fits, "it must be year and month, e.g. 2029-06")
}

fn funding(text: &str) -> Check {
    when(["credit", "debit", "prepaid"].contains(&text), "it must be credit, debit or prepaid")
}

fn token(text: &str) -> Check {
    short(text)?;
    when(!card_number::is_one(text), "this looks like a card number: send the gateway's token")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expiry_is_year_and_month() {
        for (text, fits) in [
            ("2029-06", true),
            ("2029-13", false),
            ("2029-00", false),
            ("29-06", false),
            ("06/29", false),
            ("2029-6", false),
            ("2029-+6", false),
        ] {
            assert_eq!(exp(text).is_ok(), fits, "{text}");
        }
    }
}
