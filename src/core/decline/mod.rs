//! Declines: what a raw code means (category) and what the network ordered (advice).
//!
//! Why here: whether a charge may be repeated at all follows from these two, by data that a person
//! can read and check (`data/*.csv`, `gateway/*/declines.csv`), not by conditions in code.
//!
//! What must stay true: the advice of the network is stronger than any category; a code that is in
//! no table is `unknown` with advice `none`, is treated with caution, and is counted.

use serde::{Deserialize, Serialize};

mod classify;
mod policy;
mod table;

pub use classify::{Classified, bare_code, classify};
pub use policy::{CategoryPolicy, OtherGateway, RetryMode, policy};
pub use table::{BadTable, DeclineTable, Meaning};

/// Why the charge failed. What follows from each is in `data/categories.toml`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Category {
    /// The account behind the card is closed.
    AccountClosed,
    /// The bank wants the customer to confirm.
    AuthenticationRequired,
    /// The customer told the bank to stop this agreement.
    ConsentRevoked,
    /// Expired or replaced.
    CredentialOutdated,
    /// The bank suspects fraud.
    FraudSuspected,
    /// The gateway's own risk rules.
    GatewayRiskBlock,
    /// Declined without a reason.
    GenericDecline,
    /// No balance.
    InsufficientFunds,
    /// Number, date or code is wrong.
    InvalidCardData,
    /// The bank could not be reached.
    IssuerUnavailable,
    /// An amount or count limit of the card.
    LimitExceeded,
    /// Lost or stolen; the customer is never told so.
    LostOrStolen,
    /// Our or the merchant's configuration.
    MerchantError,
    /// Approved, pending or refund codes.
    NotADecline,
    /// The card does not allow this kind of payment.
    NotPermitted,
    /// Nobody knows yet whether the charge took effect.
    OutcomeUnknown,
    /// A technical fault on the way.
    ProcessingError,
    /// In no table.
    Unknown,
}

impl Category {
    /// All of them.
    pub const ALL: [Self; 18] = [
        Self::AccountClosed,
        Self::AuthenticationRequired,
        Self::ConsentRevoked,
        Self::CredentialOutdated,
        Self::FraudSuspected,
        Self::GatewayRiskBlock,
        Self::GenericDecline,
        Self::InsufficientFunds,
        Self::InvalidCardData,
        Self::IssuerUnavailable,
        Self::LimitExceeded,
        Self::LostOrStolen,
        Self::MerchantError,
        Self::NotADecline,
        Self::NotPermitted,
        Self::OutcomeUnknown,
        Self::ProcessingError,
        Self::Unknown,
    ];
}

/// What the network or the gateway ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Advice {
    /// The customer must be present.
    Authenticate,
    /// Ask for the outcome before any new charge.
    CheckStatus,
    /// Never send this card again for this agreement.
    Never,
    /// No instruction; the category's policy applies.
    None,
    /// Not before the stated delay.
    RetryAfter,
    /// The data must change first.
    UpdateCredentials,
}

/// One decline, raw and classified. The JSON shape is the public one (contract §7).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decline {
    /// The gateway's own code.
    pub code: Option<String>,
    /// The issuer's code.
    pub network_code: Option<String>,
    /// The gateway's word of advice.
    pub advice_code: Option<String>,
    /// The network's number of advice.
    pub network_advice_code: Option<String>,
    /// Our category.
    pub category: Category,
    /// What is ordered.
    pub advice: Advice,
    /// With `retry_after`: how long to wait, counted from the decline. Not in the public shape.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_delay_seconds: Option<u64>,
}

impl Decline {
    /// The code for logs and ledgers. Where a gateway has only free text, that text stands in the
    /// code's place, and may name the customer: then it is not shown.
    pub fn shown_code(&self) -> Option<&str> {
        /// Longer than any code of any gateway.
        const LONGEST: usize = 64;
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-' || c == '.';
        let code = self.code.as_deref().or(self.network_code.as_deref())?;
        let is_number = code.len() > 8 && code.chars().all(|c| c.is_ascii_digit());
        (code.len() <= LONGEST && code.chars().all(plain) && !is_number).then_some(code)
    }
}

/// Everything raw that a gateway tells of one refusal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RawDecline {
    /// The gateway's own code.
    pub code: Option<String>,
    /// The issuer's code.
    pub network_code: Option<String>,
    /// The gateway's word of advice.
    pub advice_code: Option<String>,
    /// The network's number of advice.
    pub network_advice_code: Option<String>,
    /// `visa`, `mastercard`, …: the meaning of a network's number depends on it.
    pub network: Option<String>,
    /// Free text, where there is only text.
    pub text: Option<String>,
    /// Where the merchant is acquired (ISO 3166), since some codes differ by region.
    pub region: Option<String>,
}
