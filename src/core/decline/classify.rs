//! From everything raw that is known of one refusal to its category and advice.
//!
//! Why here: gateways, networks and issuers speak at once and contradict each other; who is
//! believed is decided in this one place, for every gateway.
//!
//! How: the strongest order wins (`never` > `check_status` > `update_credentials`, `authenticate` >
//! `retry_after` > none), whoever gives it, since a re-send against an order costs more than a
//! missed one. Among equals the network's advice is believed before the issuer's code, that before
//! the gateway's, that before free text; but a code that gives no reason yields to one that does.
//! Two exceptions: a stated wait of the network (Mastercard 24 to 30) says "no funds" and undoes a
//! gateway's own hard label; an ambiguous word of a gateway yields to the issuer's code.
//!
//! What must stay true: nothing known gives `unknown` with advice `none`; no input panics.

use super::table::{Meaning, Order, network_meaning, network_order, phrase_meaning, word_order};
use super::{Advice, Category, Decline, DeclineTable, RawDecline};

/// A decline with what its category and advice are based on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Classified {
    /// Raw and classified.
    pub decline: Decline,
    /// What decided: `advice`, `network_code`, `gateway_code`, `text` or `none`.
    pub source: &'static str,
    /// Whether some table knew it; what is not known is counted.
    pub known: bool,
}

/// Category and advice of a refusal, by the gateway's own `table` and the networks'.
pub fn classify(table: Option<&DeclineTable>, raw: &RawDecline) -> Classified {
    let order = strongest_order(raw);
    let codes = meaning_of_codes(table, raw, order);
    let (base, base_source) = codes.unwrap_or((UNKNOWN, "none"));
    let word_only = codes.is_none().then(|| word(raw).and_then(|word| word.category)).flatten();
    let verdict = match order {
        Some(order) => apply(order, raw, (base, codes.is_some()), word_only),
        None => Verdict { category: base.category, advice: base.advice, ordered: false },
    };
    let wait = order.and_then(|order| order.min_delay_seconds);
    let known = codes.is_some() || (order.is_some() && raw.code.is_none() && raw.text.is_none());
    Classified {
        decline: Decline {
            code: raw.code.clone(),
            network_code: raw.network_code.clone(),
            advice_code: raw.advice_code.clone(),
            network_advice_code: raw.network_advice_code.clone(),
            category: verdict.category,
            advice: verdict.advice,
            min_delay_seconds: wait.filter(|_| verdict.advice == Advice::RetryAfter),
        },
        source: if verdict.ordered { "advice" } else { base_source },
        known,
    }
}

const UNKNOWN: Meaning =
    Meaning { category: Category::Unknown, advice: Advice::None, yields: false };

struct Verdict {
    category: Category,
    advice: Advice,
    ordered: bool,
}

/// Design §6: how strong an order is.
fn strength(advice: Advice) -> u8 {
    match advice {
        Advice::Never => 4,
        Advice::CheckStatus => 3,
        Advice::UpdateCredentials | Advice::Authenticate => 2,
        Advice::RetryAfter => 1,
        Advice::None => 0,
    }
}

/// Lays the order over what the codes say.
fn apply(
    order: Order,
    raw: &RawDecline,
    (base, known): (Meaning, bool),
    word_only: Option<Category>,
) -> Verdict {
    let wins = strength(order.advice) >= strength(base.advice);
    let ordered = wins && order.advice != Advice::None;
    let vague = !known || is_vague(base.category) || hides_the_reason(raw);
    let told =
        order.category.filter(|_| (order.firm && wins) || (vague && base.advice != Advice::Never));
    let category = told.or(word_only).unwrap_or(base.category);
    Verdict { category, advice: if wins { order.advice } else { base.advice }, ordered }
}

/// The strongest of the network's number and the gateway's word. A number may stand in the word's
/// place, since some gateways have one field for both.
fn strongest_order(raw: &RawDecline) -> Option<Order> {
    let network = raw.network.as_deref();
    let number = |text: &Option<String>| network_order(bare_code(text.as_deref()?), network);
    let orders = [
        number(&raw.network_advice_code),
        number(&raw.advice_code),
        word(raw).map(|word| Order { category: None, ..word }),
    ];
    // `max_by_key` takes the last of equals; the network's number is to win.
    let strongest = orders.into_iter().flatten().rev().max_by_key(|o| strength(o.advice))?;
    Some(if asks_for_authentication(raw, &strongest) {
        Order { advice: Advice::Authenticate, category: None, ..strongest }
    } else {
        strongest
    })
}

fn word(raw: &RawDecline) -> Option<Order> {
    word_order(raw.advice_code.as_deref()?)
}

/// Mastercard's 83 ("security") with 01 asks for 3-D Secure, not for another card.
fn asks_for_authentication(raw: &RawDecline, order: &Order) -> bool {
    raw.network.as_deref() != Some("visa")
        && raw.network_code.as_deref() == Some("83")
        && order.advice == Advice::UpdateCredentials
        && order.category == Some(Category::CredentialOutdated)
}

/// Mastercard's 79, 82 and 83 stand for many reasons.
fn hides_the_reason(raw: &RawDecline) -> bool {
    raw.network.as_deref() != Some("visa")
        && matches!(raw.network_code.as_deref(), Some("79" | "82" | "83"))
}

fn is_vague(category: Category) -> bool {
    matches!(category, Category::GenericDecline | Category::Unknown | Category::NotADecline)
}

/// What the codes say, without advice; free text only where no code is known.
fn meaning_of_codes(
    table: Option<&DeclineTable>,
    raw: &RawDecline,
    order: Option<Order>,
) -> Option<(Meaning, &'static str)> {
    let gateway = raw.code.as_deref().and_then(|code| of_gateway(table, code));
    let issuer = issuers_code(raw, gateway.is_none());
    let gateway = gateway.filter(|meaning| !is_undone(*meaning, order));
    match (issuer, gateway) {
        (Some(issuer), Some(gateway)) => Some(stronger(issuer, gateway)),
        (Some(issuer), None) => Some((issuer, "network_code")),
        (None, Some(gateway)) => Some((gateway, "gateway_code")),
        (None, None) => Some((of_text(raw)?, "text")),
    }
}

fn of_gateway(table: Option<&DeclineTable>, code: &str) -> Option<Meaning> {
    let table = table?;
    table.get(code).or_else(|| table.get(bare_code(code)))
}

/// The issuer's code; or a gateway's code that is in no table of the gateway's and is an issuer's.
fn issuers_code(raw: &RawDecline, code_is_unknown: bool) -> Option<Meaning> {
    let find = |code: &str| {
        network_meaning(bare_code(code), raw.network.as_deref(), raw.region.as_deref())
    };
    raw.network_code.as_deref().and_then(find).or_else(|| {
        let code = raw.code.as_deref().filter(|_| code_is_unknown)?;
        find(code)
    })
}

/// A gateway's own `never` against a wait that the network stated: the network is right, unless the
/// word itself names something final.
fn is_undone(gateway: Meaning, order: Option<Order>) -> bool {
    let waits = order.is_some_and(|o| o.advice == Advice::RetryAfter && o.firm);
    let is_final = matches!(
        gateway.category,
        Category::LostOrStolen
            | Category::AccountClosed
            | Category::ConsentRevoked
            | Category::GenericDecline
    );
    waits && gateway.advice == Advice::Never && !is_final
}

fn stronger(issuer: Meaning, gateway: Meaning) -> (Meaning, &'static str) {
    let ambiguous = gateway.yields && !is_vague(issuer.category);
    let gateway_wins = match strength(gateway.advice).cmp(&strength(issuer.advice)) {
        std::cmp::Ordering::Greater => !ambiguous,
        std::cmp::Ordering::Equal => is_vague(issuer.category) && !is_vague(gateway.category),
        std::cmp::Ordering::Less => false,
    };
    if gateway_wins { (gateway, "gateway_code") } else { (issuer, "network_code") }
}

/// Free text: a code with text behind it, else a phrase.
fn of_text(raw: &RawDecline) -> Option<Meaning> {
    let text = raw.text.as_deref()?;
    let code = bare_code(text);
    let coded = (code.len() < text.trim().len())
        .then(|| network_meaning(code, raw.network.as_deref(), raw.region.as_deref()))
        .flatten();
    coded.or_else(|| phrase_meaning(text))
}

/// Of "51 : Insufficient funds" the bare code; any other text as it is, trimmed.
pub fn bare_code(text: &str) -> &str {
    let text = text.trim();
    let Some((code, _)) = text.split_once(':') else { return text };
    let code = code.trim();
    let is_code = (1..=4).contains(&code.len()) && code.bytes().all(|b| b.is_ascii_alphanumeric());
    if is_code { code } else { text }
}

#[cfg(test)]
#[path = "classify_tests.rs"]
mod tests;
