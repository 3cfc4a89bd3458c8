//! Test cards: the well-known numbers and tokens, and what each of them does.
//!
//! Why here: developers know Stripe's test cards by heart; all gateways take them, so nothing has
//! to be learned. Adyen's commonest are there too.
//!
//! What must stay true: the same number has the same fingerprint within one gateway, and another
//! one at the other gateway, as it is in life.

use super::issuer::Answer;
use super::refusal::Refusal;
use super::{Kind, ids};

/// What a test card does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Does {
    Approve,
    Decline(&'static str),
    Authenticate,
    Pend(i64),
    Dispute,
    Draw,
}

/// Number, token without its prefix (`pm_card_` or `tok_`), brand, country, funding, what it does.
type Row = (&'static str, &'static str, &'static str, &'static str, &'static str, Does);

const ROWS: [Row; 40] = [
    ("4242424242424242", "visa", "visa", "US", "credit", Does::Approve),
    ("5555555555554444", "mastercard", "mastercard", "US", "credit", Does::Approve),
    ("378282246310005", "amex", "amex", "US", "credit", Does::Approve),
    ("6011111111111117", "discover", "discover", "US", "credit", Does::Approve),
    ("3056930009020004", "diners", "diners", "US", "credit", Does::Approve),
    ("3566002020360505", "jcb", "jcb", "JP", "credit", Does::Approve),
    ("6200000000000005", "unionpay", "unionpay", "CN", "credit", Does::Approve),
    ("4000056655665556", "visa_debit", "visa", "US", "debit", Does::Approve),
    ("5105105105105100", "mastercard_prepaid", "mastercard", "US", "prepaid", Does::Approve),
    ("4000000760000002", "br", "visa", "BR", "credit", Does::Approve),
    ("4000001700000003", "co", "visa", "CO", "credit", Does::Approve),
    ("4000004840008001", "mx", "visa", "MX", "credit", Does::Approve),
    ("4000003560000008", "in", "visa", "IN", "credit", Does::Approve),
    (
        "4000000000000002",
        "visa_chargeDeclined",
        "visa",
        "US",
        "credit",
        Does::Decline("generic_decline"),
    ),
    (
        "4000000000009995",
        "visa_chargeDeclinedInsufficientFunds",
        "visa",
        "US",
        "credit",
        Does::Decline("insufficient_funds"),
    ),
    (
        "4000000000009987",
        "visa_chargeDeclinedLostCard",
        "visa",
        "US",
        "credit",
        Does::Decline("lost_card"),
    ),
    (
        "4000000000009979",
        "visa_chargeDeclinedStolenCard",
        "visa",
        "US",
        "credit",
        Does::Decline("stolen_card"),
    ),
    (
        "4000000000000069",
        "chargeDeclinedExpiredCard",
        "visa",
        "US",
        "credit",
        Does::Decline("expired_card"),
    ),
    (
        "4000000000000127",
        "chargeDeclinedIncorrectCvc",
        "visa",
        "US",
        "credit",
        Does::Decline("incorrect_cvc"),
    ),
    (
        "4000000000000119",
        "chargeDeclinedProcessingError",
        "visa",
        "US",
        "credit",
        Does::Decline("processing_error"),
    ),
    (
        "4000000000006975",
        "visa_chargeDeclinedVelocityLimitExceeded",
        "visa",
        "US",
        "credit",
        Does::Decline("card_velocity_exceeded"),
    ),
    (
        "4000000000000341",
        "chargeCustomerFail",
        "visa",
        "US",
        "credit",
        Does::Decline("generic_decline"),
    ),
    ("4100000000000019", "radarBlock", "visa", "US", "credit", Does::Decline("fraudulent")),
    ("4000002760003184", "authenticationRequired", "visa", "US", "credit", Does::Authenticate),
    ("4000002500003155", "authenticationRequiredOnSetup", "visa", "US", "credit", Does::Approve),
    ("4000000000000259", "createDispute", "visa", "US", "credit", Does::Dispute),
    ("4000000000000077", "bypassPending", "visa", "US", "credit", Does::Approve),
    // Adyen's own.
    ("4111111111111111", "adyen_visa", "visa", "NL", "credit", Does::Approve),
    ("4166676667666746", "adyen_visa_fr", "visa", "FR", "debit", Does::Approve),
    ("5555341244441115", "adyen_mc", "mastercard", "NL", "debit", Does::Approve),
    ("370000000000002", "adyen_amex", "amex", "NL", "credit", Does::Approve),
    // Ours: what Stripe's cards cannot play.
    ("4000000000010001", "do_not_honor", "visa", "US", "credit", Does::Decline("do_not_honor")),
    (
        "4000000000010002",
        "revoked",
        "visa",
        "US",
        "credit",
        Does::Decline("revocation_of_authorization"),
    ),
    (
        "4000000000010003",
        "issuer_down",
        "visa",
        "US",
        "credit",
        Does::Decline("issuer_not_available"),
    ),
    ("4000000000010004", "pending", "visa", "US", "credit", Does::Pend(60)),
    ("4000000000010005", "random", "visa", "US", "credit", Does::Draw),
    (
        "5200000000010006",
        "mastercard_declined",
        "mastercard",
        "US",
        "credit",
        Does::Decline("do_not_honor"),
    ),
    (
        "4000000000010007",
        "not_allowed",
        "visa",
        "US",
        "credit",
        Does::Decline("transaction_not_allowed"),
    ),
    (
        "4000000000010008",
        "account_closed",
        "visa",
        "US",
        "credit",
        Does::Decline("invalid_account"),
    ),
    (
        "4000000000010009",
        "new_information",
        "visa",
        "US",
        "credit",
        Does::Decline("new_account_information_available"),
    ),
];

/// Short names for tokens: `tok_insufficient_funds`.
const ALIASES: [(&str, &str); 10] = [
    ("4000000000000002", "declined"),
    ("4000000000000002", "chargeDeclined"),
    ("4000000000009995", "insufficient_funds"),
    ("4000000000009995", "chargeDeclinedInsufficientFunds"),
    ("4000000000009987", "lost_card"),
    ("4000000000009979", "stolen_card"),
    ("4000000000000069", "expired_card"),
    ("4000000000000127", "incorrect_cvc"),
    ("4000000000000119", "processing_error"),
    ("4000002760003184", "authentication_required"),
];

/// One card.
#[derive(Debug, Clone)]
pub(crate) struct Card {
    pub(crate) brand: &'static str,
    pub(crate) last4: String,
    pub(crate) exp_month: i8,
    pub(crate) exp_year: i16,
    pub(crate) country: &'static str,
    pub(crate) funding: &'static str,
    pub(crate) fingerprint: String,
    /// What it does by itself; `None`: the seeded issuer decides.
    pub(crate) answer: Option<Answer>,
    /// A charge on it is disputed at once.
    pub(crate) disputes: bool,
}

/// The card of a number (spaces allowed), a test token, or a short name; `None` for anything else.
/// `#` and some text behind it make another card of the same kind: `pm_card_visa#7` has a
/// fingerprint and last four of its own, the same last four at every gateway.
pub(crate) fn find(gateway: Kind, name: &str) -> Option<Card> {
    let Some((name, copy)) = name.split_once('#') else { return find_kind(gateway, name) };
    let mut card = find_kind(gateway, name)?;
    let digits = u16::from_str_radix(&ids::derived(&["last4", name, copy], 8)[..4], 16);
    card.last4 = format!("{:04}", digits.unwrap_or_default() % 10_000);
    card.fingerprint = ids::derived(&["card", gateway.as_str(), name, copy], 16);
    Some(card)
}

fn find_kind(gateway: Kind, name: &str) -> Option<Card> {
    let plain: String = name.chars().filter(|c| !matches!(c, ' ' | '-')).collect();
    let short = ["pm_card_", "tok_"].iter().find_map(|p| plain.strip_prefix(p)).unwrap_or(&plain);
    let alias = ALIASES.iter().find(|(_, alias)| *alias == short).map(|(number, _)| *number);
    let number = alias.unwrap_or(short);
    ROWS.iter().find(|row| row.0 == number || row.1 == short).map(|row| card(gateway, row))
}

/// A card that nobody knows: a Visa whose charges the seeded issuer decides.
pub(crate) fn unknown(gateway: Kind, token: &str) -> Card {
    let mut made = card(gateway, &ROWS[0]);
    made.fingerprint = ids::derived(&["card", gateway.as_str(), token], 16);
    made.answer = None;
    made
}

fn card(gateway: Kind, row: &Row) -> Card {
    let (number, _, brand, country, funding, does) = *row;
    Card {
        brand,
        last4: number.chars().skip(number.len() - 4).collect(),
        exp_month: 8,
        exp_year: if does == Does::Decline("expired_card") { 2024 } else { 2034 },
        country,
        funding,
        fingerprint: ids::derived(&["card", gateway.as_str(), number], 16),
        answer: answer(does),
        disputes: does == Does::Dispute,
    }
}

fn answer(does: Does) -> Option<Answer> {
    match does {
        Does::Approve | Does::Dispute => Some(Answer::Approve),
        Does::Decline(code) => Some(Answer::Decline(Refusal::of(code))),
        Does::Authenticate => Some(Answer::RequireAuthentication),
        Does::Pend(seconds) => Some(Answer::Pending { seconds, then: Box::new(Answer::Approve) }),
        Does::Draw => None,
    }
}

/// The cards that the hosted pages offer: number and what it does.
pub(crate) const OFFERED: [(&str, &str); 6] = [
    ("4242424242424242", "Visa, is approved"),
    ("5555555555554444", "Mastercard, is approved"),
    ("4000000000009995", "Visa, insufficient funds"),
    ("4000000000000069", "Visa, expired"),
    ("4000000000009987", "Visa, reported lost"),
    ("4000002760003184", "Visa, wants authentication"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_tokens_and_short_names_are_one_card() {
        let names = [
            "4000000000009995",
            "4000 0000 0000 9995",
            "tok_insufficient_funds",
            "pm_card_visa_chargeDeclinedInsufficientFunds",
            "insufficient_funds",
        ];
        for name in names {
            let card = find(Kind::Stripe, name).unwrap();
            assert_eq!(card.last4, "9995", "{name}");
            assert_eq!(card.answer, Some(Answer::Decline(Refusal::of("insufficient_funds"))));
        }
        assert!(find(Kind::Stripe, "pm_1").is_none());
    }

    #[test]
    fn fingerprints_hold_within_one_gateway_only() {
        let print = |kind, name| find(kind, name).unwrap().fingerprint;
        assert_eq!(print(Kind::Stripe, "tok_visa"), print(Kind::Stripe, "pm_card_visa"));
        assert_ne!(print(Kind::Stripe, "tok_visa"), print(Kind::Http, "tok_visa"));
    }
}
