//! Refusals: a decline code with what usually comes along on the wire.
//!
//! Why here: one table gives Stripe's error bodies, its PaymentIntents and Charges, the `http`
//! gateway's declines and the events of `recoup trigger` the same words.
//!
//! What must stay true: a code that is in no row is sent as it is, with nothing made up beside it.

use serde::{Deserialize, Serialize};

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Given")]
pub struct Refusal {
    /// The gateway's specific code, e.g. `insufficient_funds`.
    pub code: String,
    /// The gateway's word of advice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice_code: Option<String>,
    /// The issuer's code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network_decline_code: Option<String>,
    /// The network's number of advice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network_advice_code: Option<String>,
}

/// As it is read: what is absent comes from the table.
#[derive(Deserialize)]
struct Given {
    code: String,
    advice_code: Option<String>,
    network_decline_code: Option<String>,
    network_advice_code: Option<String>,
}

impl From<Given> for Refusal {
    fn from(given: Given) -> Self {
        let usual = Self::of(&given.code);
        Self {
            code: given.code,
            advice_code: given.advice_code.or(usual.advice_code),
            network_decline_code: given.network_decline_code.or(usual.network_decline_code),
            network_advice_code: given.network_advice_code.or(usual.network_advice_code),
        }
    }
}

/// Code, Stripe's `error.code`, advice, the issuer's code, what Stripe tells the customer.
type Row = (&'static str, &'static str, &'static str, &'static str, &'static str);

const DECLINED: &str = "Your card was declined.";
const AUTHENTICATE: &str = "Your card was declined. This transaction requires authentication.";
const TOO_OFTEN: &str = "Your card was declined for making repeated attempts too frequently \
    or exceeding its amount limit.";
const PROCESSING: &str = "An error occurred while processing your card. Try again in a little bit.";
const BAD_CVC: &str = "Your card's security code is incorrect.";
const NO_FUNDS: &str = "Your card has insufficient funds.";
const BAD_NUMBER: &str = "Your card number is incorrect.";
const NO_SUPPORT: &str = "Your card does not support this type of purchase.";

const ROWS: [Row; 24] = [
    ("authentication_required", "authentication_required", "", "1A", AUTHENTICATE),
    ("call_issuer", "card_declined", "try_again_later", "01", DECLINED),
    ("card_not_supported", "card_declined", "", "57", NO_SUPPORT),
    ("card_velocity_exceeded", "card_declined", "try_again_later", "65", TOO_OFTEN),
    ("do_not_honor", "card_declined", "try_again_later", "05", DECLINED),
    ("expired_card", "expired_card", "confirm_card_data", "54", "Your card has expired."),
    ("fraudulent", "card_declined", "do_not_try_again", "59", DECLINED),
    ("generic_decline", "card_declined", "try_again_later", "05", DECLINED),
    ("incorrect_cvc", "incorrect_cvc", "confirm_card_data", "N7", BAD_CVC),
    ("incorrect_number", "incorrect_number", "confirm_card_data", "14", BAD_NUMBER),
    ("insufficient_funds", "card_declined", "try_again_later", "51", NO_FUNDS),
    ("invalid_account", "card_declined", "do_not_try_again", "14", DECLINED),
    ("issuer_not_available", "card_declined", "try_again_later", "91", DECLINED),
    ("lost_card", "card_declined", "do_not_try_again", "41", DECLINED),
    ("new_account_information_available", "card_declined", "confirm_card_data", "79", DECLINED),
    ("pickup_card", "card_declined", "do_not_try_again", "04", DECLINED),
    ("processing_error", "processing_error", "try_again_later", "96", PROCESSING),
    ("restricted_card", "card_declined", "do_not_try_again", "62", DECLINED),
    ("revocation_of_all_authorizations", "card_declined", "do_not_try_again", "R3", DECLINED),
    ("revocation_of_authorization", "card_declined", "do_not_try_again", "R1", DECLINED),
    ("stolen_card", "card_declined", "do_not_try_again", "43", DECLINED),
    ("stop_payment_order", "card_declined", "do_not_try_again", "R0", DECLINED),
    ("transaction_not_allowed", "card_declined", "do_not_try_again", "57", NO_SUPPORT),
    ("withdrawal_count_limit_exceeded", "card_declined", "try_again_later", "65", DECLINED),
];

fn row(code: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.0 == code)
}

impl Refusal {
    /// The code, and what usually comes with it.
    pub fn of(code: &str) -> Self {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let row = row(code);
        Self {
            code: code.to_owned(),
            advice_code: row.and_then(|row| some(row.2)),
            network_decline_code: row.and_then(|row| some(row.3)),
            network_advice_code: None,
        }
    }

    /// Stripe's `error.code`: often the wrapper `card_declined`.
    pub(crate) fn wrapper(&self) -> &'static str {
        row(&self.code).map_or("card_declined", |row| row.1)
    }

    /// What the gateway would tell the customer.
    pub(crate) fn message(&self) -> &'static str {
        row(&self.code).map_or(DECLINED, |row| row.4)
    }

    /// The codes that `recoup trigger --decline` suggests.
    pub fn known_codes() -> impl Iterator<Item = &'static str> {
        ROWS.iter().map(|row| row.0)
    }
}
