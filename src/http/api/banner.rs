//! `GET /customers/{id}/banner`: whether a merchant's own front end should show that a payment is
//! open, with which words and link, and whether access should be limited.
//!
//! Why here: what the merchant's app shows must be what recoup knows. The answer is signed as our
//! webhooks are (Standard Webhooks, `access.banner_secret`), so that it may go through a browser
//! and still be trusted.
//!
//! What must stay true: a customer who is not to be told of a failure yet sees no banner; an answer
//! says until when it may be used; amounts of different currencies are never summed.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderName, StatusCode};
use axum::response::{IntoResponse as _, Response};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::clock::real_now;
use crate::core::case::news::was_asked;
use crate::core::case::{Case, State as CaseState, together};
use crate::core::customer::Customer;
use crate::core::money::Money;
use crate::core::policy::InvoiceAction;
use crate::gateway::signature::{sign_standard, standard_key};
use crate::http::{AppState, Problem, link};
use crate::message::format;
use crate::message::locale::{self, Locale};
use crate::store::CaseFilter;

/// How long an answer may be shown.
const GOOD_FOR: SignedDuration = SignedDuration::from_mins(15);

/// Ended cases of one customer that are looked at.
const ENDED_AT_MOST: usize = 100;

/// What a merchant's front end is told of customers who owe.
#[derive(Debug, Clone, Default)]
pub struct Access {
    /// Days after the failure from which access should be limited; `None`: never.
    pub grace_days: Option<u32>,
    /// Signs the banner; without it there is none.
    pub banner_secret: Option<SecretString>,
}

/// The words in one language.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Words {
    title: String,
    notice: String,
    limited: String,
    button: String,
}

static WORDS: LazyLock<BTreeMap<String, Words>> =
    LazyLock::new(|| toml::from_str(include_str!("banner.toml")).unwrap_or_default());

/// `GET /customers/{id}/banner`.
pub(super) async fn show(
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let Some(secret) = &state.access.banner_secret else {
        let detail =
            "set `access.banner_secret` in the merchant file: the banner is signed with it";
        return Err(Problem::new(StatusCode::NOT_FOUND, "banner_not_configured", detail));
    };
    let customer = state.store.customer(&id).await?.unwrap_or_else(|| Customer::new(&*id));
    let owed = owed_by(&state, &id).await?;
    let body = banner(&state, &customer, &owed).to_string();
    let signed_at = real_now().as_second();
    let headers = signed(secret, &body, signed_at);
    Ok((headers, [(CONTENT_TYPE, "application/json")], Bytes::from(body)).into_response())
}

/// What a customer owes.
struct Owed {
    /// Open cases that they may be told of, oldest first.
    told: Vec<Case>,
    /// Since when anything is unpaid, also what was given up and left open.
    unpaid_since: Option<Timestamp>,
}

async fn owed_by(state: &AppState, customer: &str) -> Result<Owed, Problem> {
    let mut told = Vec::new();
    for id in state.store.open_cases_of(customer).await? {
        let Some(case) = state.store.case(&id).await? else { continue };
        let policy = state.store.policy(&case.policy_version).await?;
        let policy = policy.as_ref().unwrap_or(&state.policy);
        // While the first attempts are silent, so is the banner.
        let working = matches!(case.state, CaseState::Attempting | CaseState::AwaitingOutcome);
        if was_asked(&case) && (working || together::sibling(&case, policy).is_some()) {
            told.push(case);
        }
    }
    told.sort_by(|a, b| (a.opened_at, &a.id).cmp(&(b.opened_at, &b.id)));
    let mut since: Vec<_> = told.iter().map(|case| case.opened_at).collect();
    if state.policy.invoice_action == InvoiceAction::Keep {
        let filter = CaseFilter {
            state: Some(CaseState::Exhausted),
            customer: Some(customer.to_owned()),
            ..CaseFilter::default()
        };
        let given_up = state.store.list_cases(&filter, None, ENDED_AT_MOST).await?;
        since.extend(given_up.data.iter().map(|case| case.opened_at));
    }
    Ok(Owed { told, unpaid_since: since.into_iter().min() })
}

fn banner(state: &AppState, customer: &Customer, owed: &Owed) -> Value {
    let now = state.clock.now();
    let limits_at = state.access.grace_days.zip(owed.unpaid_since).and_then(|(days, since)| {
        since.checked_add(SignedDuration::from_hours(24 * i64::from(days))).ok()
    });
    let limited = limits_at.is_some_and(|at| at <= now) && !customer.excluded;
    let oldest = owed.told.first().filter(|_| !customer.excluded);
    let chosen = language(customer, state);
    let amounts = totals(&owed.told);
    let texts: serde_json::Map<String, Value> = WORDS
        .iter()
        .map(|(language, words)| {
            let tag =
                if chosen.tag.starts_with(language.as_str()) { &chosen.tag } else { language };
            let locale = Locale { tag: tag.clone(), ..chosen.clone() };
            let amounts: Vec<_> =
                amounts.iter().map(|amount| format::money(*amount, &locale)).collect();
            let since = owed.unpaid_since.unwrap_or(now);
            let text = if limited { &words.limited } else { &words.notice };
            let text = text
                .replace("{amounts}", &amounts.join(" + "))
                .replace("{date}", &day(since, customer, state))
                .replace("{brand}", &state.brand.name);
            let words = json!({ "title": words.title, "text": text, "button": words.button });
            (language.clone(), words)
        })
        .collect();
    json!({
        "customer": customer.id,
        "show": oldest.is_some(),
        "limit_access": limited,
        "limited_since": limits_at.filter(|_| limited),
        "limits_at": limits_at.filter(|_| !limited && !customer.excluded),
        "unpaid_since": owed.unpaid_since,
        "amounts": if oldest.is_some() { amounts } else { Vec::new() },
        "locale": chosen.tag,
        "texts": oldest.map(|_| texts),
        "link": oldest.map(|case| link::url(&state.brand.public_url, &state.link_key, &case.id)),
        "at": now,
        "good_until": now.checked_add(GOOD_FOR).unwrap_or(now),
    })
}

/// The customer's language among those of the banner, with its region; else the merchant's; else
/// English.
fn language(customer: &Customer, state: &AppState) -> Locale {
    let has = |tag: &&str| {
        let base = tag.split(['-', '_']).next().unwrap_or_default().to_ascii_lowercase();
        WORDS.contains_key(&base)
    };
    let own = customer.contact.locale.as_deref().filter(has);
    let tag = own.or(Some(state.brand.locale.as_str()).filter(has)).unwrap_or("en");
    let parsed: Result<icu_locale_core::Locale, _> = tag.replace('_', "-").parse();
    let tag = parsed.map_or_else(|_| "en".to_owned(), |parsed| parsed.id.to_string());
    Locale { tag, ..locale::choose(None, "en") }
}

/// One sum for each currency.
fn totals(cases: &[Case]) -> Vec<Money> {
    let mut sums: Vec<Money> = Vec::new();
    for amount in cases.iter().map(|case| case.amount) {
        match sums.iter_mut().find(|sum| sum.currency == amount.currency) {
            Some(sum) => sum.minor = sum.minor.saturating_add(amount.minor),
            None => sums.push(amount),
        }
    }
    sums
}

/// The day where the customer is, in the form that every language reads.
fn day(at: Timestamp, customer: &Customer, state: &AppState) -> String {
    let zone = customer.contact.time_zone.as_deref().unwrap_or(&state.brand.time_zone);
    let zone = TimeZone::get(zone).unwrap_or(TimeZone::UTC);
    at.to_zoned(zone).date().to_string()
}

/// The headers of Standard Webhooks over `{id}.{timestamp}.{body}`.
fn signed(secret: &SecretString, body: &str, at: i64) -> [(HeaderName, String); 3] {
    let mark = link::sign(&standard_key(secret), &format!("{at}.{body}"));
    let id = format!("banner_{}", hex::encode(&mark[..10]));
    let signature = sign_standard(secret, (&id, at), body);
    [
        (HeaderName::from_static("webhook-id"), id),
        (HeaderName::from_static("webhook-timestamp"), at.to_string()),
        (HeaderName::from_static("webhook-signature"), signature),
    ]
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    #[test]
    fn every_language_has_every_word_and_no_other_placeholder() {
        let words: BTreeMap<String, Words> = toml::from_str(include_str!("banner.toml")).unwrap();
        assert_eq!(words.keys().collect::<Vec<_>>(), ["en", "es", "fr", "it", "pt"]);
        for (language, words) in &words {
            for text in [&words.notice, &words.limited] {
                assert!(text.contains("{amounts}") && text.contains("{brand}"), "{language}");
                let shown = text.replace("{amounts}", "").replace("{brand}", "");
                assert!(!shown.replace("{date}", "").contains('{'), "{language}: {text}");
                assert!(text.chars().count() <= 120, "{language}: {text}");
            }
            assert!(words.limited.contains("{date}") && !words.notice.contains("{date}"));
            assert!(words.title.chars().count() <= 40, "{language}");
            assert!(words.button.chars().count() <= 20, "{language}");
        }
    }

    #[test]
    fn the_signature_is_that_of_standard_webhooks() {
        // The secret of the scheme's own examples.
        let secret = SecretString::from("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let [(_, id), (_, at), (_, signature)] = signed(&secret, "{\"test\": 1}", 1_614_265_330);
        let key = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let mac = link::sign(&key, &format!("{id}.{at}.{{\"test\": 1}}"));
        assert_eq!(signature, format!("v1,{}", STANDARD.encode(mac)));
        assert_ne!(signed(&secret, "{}", 1)[2].1, signature);
    }
}
