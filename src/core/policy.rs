//! The policy: everything a merchant decided, as plain data with a version.
//!
//! Why here: the core reads no config file. `config` turns the merchant file into this value once;
//! a case keeps the version that it began with (design I7), so policies are stored by version.
//!
//! What must stay true: the version is a digest of the content. Equal content, equal version.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::campaign::Audience;
use super::customer::Channel;
use super::ids::GatewayId;
use super::money::Currency;
use super::worth::Fee;

/// When attempts are made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Schedule {
    /// On these days after the failure.
    Days(Vec<u32>),
    /// Evenly spaced over the window.
    Even,
    /// Even spacing, moved by evidence where there is any.
    Smart,
}

/// What the billing gateway's own retries mean to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NativeRetries {
    /// While the gateway plans a retry, only watch.
    Observe,
    /// They are said to be off; one that is planned all the same is a warning, and we wait.
    Off,
}

/// What a gateway can do, as data. The worker asks this, never the gateway's name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capabilities {
    /// A charge can be found again by its key or reference.
    pub look_up: bool,
    /// There is no look-up, and a re-send with the same key and bytes answers what became of the
    /// first send.
    #[serde(default)]
    pub resend_tells: bool,
    /// An invoice and its state can be read.
    pub read_invoice: bool,
    /// It has a hosted page for a card update.
    pub hosted_update: bool,
    /// That page takes the payment itself, not only the card, and reading the invoice does not
    /// tell of it.
    #[serde(default)]
    pub page_takes_payment: bool,
    /// It charges a stored method only: an invoice alone does not tell it what to charge.
    #[serde(default)]
    pub token_only: bool,
    /// An invoice can be marked as paid elsewhere.
    pub paid_out_of_band: bool,
    /// It takes money for one invoice once only: a second payment is refused, not captured.
    pub pays_invoice_once: bool,
    /// A charge can be given back.
    pub refund: bool,
    /// A subscription can be paused or cancelled.
    pub subscriptions: bool,
    /// A charge can carry the scheme's id of the agreement's first payment, which keeps it a
    /// merchant-initiated charge of that agreement.
    #[serde(default)]
    pub network_transaction_id: bool,
    /// The currencies that it charges; empty: any that the account is set up for.
    #[serde(default)]
    pub currencies: Vec<Currency>,
    /// Its own retries can be switched off.
    #[serde(default)]
    pub native_retries_switchable: bool,
    /// Its own retries can be read off its events.
    pub native_retries_visible: bool,
    /// How long its own retries may go on when it does not say, in seconds; 0: it has none.
    pub native_retry_window_s: u32,
    /// How long the same idempotency key is sure to be recognised, in seconds; 0: it has none.
    pub key_window_s: u32,
    /// After this long since the last send, "not found" is final, in seconds: the time on the
    /// network, the time to settle and the lag of the look-up, twice.
    pub horizon_s: u32,
}

impl Capabilities {
    /// Whether it charges this currency.
    pub fn charges(&self, currency: Currency) -> bool {
        self.currencies.is_empty() || self.currencies.contains(&currency)
    }

    /// Same key, same charge, for this long.
    pub fn key_window(&self) -> SignedDuration {
        SignedDuration::from_secs(i64::from(self.key_window_s))
    }

    /// "Not found" is final after this long.
    pub fn horizon(&self) -> SignedDuration {
        SignedDuration::from_secs(i64::from(self.horizon_s))
    }
}

/// One configured gateway, as the core sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewayPolicy {
    /// Its id.
    pub id: GatewayId,
    /// How its own retries are treated, where it is the billing gateway.
    pub native_retries: NativeRetries,
    /// What it can do.
    pub capabilities: Capabilities,
    /// What it takes for an attempt, by currency, where the merchant said so.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fees: BTreeMap<Currency, Fee>,
}

/// What a message says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageKind {
    /// The card must change; we will not try it again.
    CardUpdate,
    /// The card is fine; the bank wants a confirmation.
    ConfirmBank,
    /// What will happen, when, and the way out.
    LastNotice,
    /// It did not go through; we try again.
    PaymentFailed,
    /// Thank you.
    Recovered,
}

impl MessageKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [
        Self::PaymentFailed,
        Self::CardUpdate,
        Self::ConfirmBank,
        Self::LastNotice,
        Self::Recovered,
    ];

    /// The name in a sentence.
    pub fn words(self) -> String {
        self.as_str().replace('_', " ")
    }

    /// The name as in the merchant file and in template names.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CardUpdate => "card_update",
            Self::ConfirmBank => "confirm_bank",
            Self::LastNotice => "last_notice",
            Self::PaymentFailed => "payment_failed",
            Self::Recovered => "recovered",
        }
    }
}

/// For which cases a campaign step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// For every case.
    Any,
    /// Only while the customer alone can mend it.
    NeedsCustomer,
    /// Only while attempts are still planned.
    WillRetry,
}

/// One step of the dunning campaign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CampaignStep {
    /// Days after the case opened.
    pub after_days: u32,
    /// What the message says.
    pub kind: MessageKind,
    /// On which channel; `None`: the first that reaches the customer.
    pub channel: Option<Channel>,
    /// For which cases.
    pub condition: Condition,
    /// For whom.
    #[serde(default, skip_serializing_if = "Audience::is_everybody")]
    pub audience: Audience,
}

impl CampaignStep {
    /// A step for everybody, on the first channel that reaches them.
    pub fn of(after_days: u32, kind: MessageKind, condition: Condition) -> Self {
        Self { after_days, kind, channel: None, condition, audience: Audience::default() }
    }
}

/// When a customer may be contacted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContactPolicy {
    /// Its name in the merchant file.
    pub name: String,
    /// Hours of the customer's day `[from, to)` in which a message may go, Monday first;
    /// `None`: not on that day.
    pub hours: [Option<(u8, u8)>; 7],
    /// Messages a day at most, over all channels and cases.
    pub per_day: u32,
    /// Hours between two messages at least.
    pub gap_hours: u32,
    /// Messages in any seven days at most, over all channels and cases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_week: Option<u32>,
    /// Different channels in any seven days at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channels_per_week: Option<u32>,
    /// Caps of single channels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub per_channel: BTreeMap<Channel, ChannelCap>,
    /// Whether a public holiday of the customer's country is a day like any other.
    #[serde(default, skip_serializing_if = "HolidayRule::is_open")]
    pub holidays: HolidayRule,
    /// Channels on which nothing goes out until the customer has said yes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub consent: Vec<Channel>,
}

impl ContactPolicy {
    /// One that allows nothing: what is allowed is laid over it.
    pub fn closed(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            hours: [None; 7],
            per_day: 1,
            gap_hours: 0,
            per_week: None,
            channels_per_week: None,
            per_channel: BTreeMap::new(),
            holidays: HolidayRule::Open,
            consent: Vec::new(),
        }
    }
}

/// Caps of one channel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChannelCap {
    /// Messages a day at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_day: Option<u32>,
    /// Messages in any seven days at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_week: Option<u32>,
}

/// What a public holiday is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HolidayRule {
    /// No message goes out.
    Closed,
    /// A day like any other.
    #[default]
    Open,
}

impl HolidayRule {
    fn is_open(&self) -> bool {
        *self == Self::Open
    }
}

/// What becomes of the subscription when nothing helped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubscriptionAction {
    /// End it.
    Cancel,
    /// Leave it.
    Keep,
    /// Stop collecting.
    Pause,
}

/// What becomes of the invoice when nothing helped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InvoiceAction {
    /// Leave it open.
    Keep,
    /// Write it off.
    Uncollectible,
    /// Void it.
    Void,
}

/// Everything a merchant decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// The gateways in the order of preference; the first is the billing gateway.
    pub gateways: Vec<GatewayPolicy>,
    /// When attempts are made.
    pub schedule: Schedule,
    /// Days after the failure in which attempts are made.
    pub window_days: u32,
    /// Attempts on the schedule at most.
    pub max_attempts: u32,
    /// Of a million cases so many are kept on even spacing, to compare the smart schedule with.
    #[serde(default, skip_serializing_if = "is_none")]
    pub holdout_ppm: u32,
    /// Soft declines: attempts before the first message.
    pub silent_attempts: u32,
    /// Channels in the order of preference.
    pub channels: Vec<Channel>,
    /// The campaign.
    pub steps: Vec<CampaignStep>,
    /// When a customer may be contacted.
    pub contact: ContactPolicy,
    /// At the end: the subscription.
    pub subscription_action: SubscriptionAction,
    /// At the end: the invoice.
    pub invoice_action: InvoiceAction,
    /// What customers may ask for on the hosted page.
    #[serde(default, skip_serializing_if = "PagePolicy::is_shipped")]
    pub page: PagePolicy,
    /// Language of messages where the customer's is unknown.
    pub locale: String,
    /// Time zone where the customer's is unknown.
    pub time_zone: String,
    /// Cases are only planned: nothing is charged and nobody is written to.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shadow: bool,
}

/// A share of nothing is left out: policies from before it keep their version.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_none(share: &u32) -> bool {
    *share == 0
}

/// What customers may ask for on the hosted page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PagePolicy {
    /// How many days ahead they may ask to be charged; 0: not at all.
    pub more_time_days: u32,
    /// How often in one case they may try the same card again; 0: not at all.
    pub retries: u32,
}

impl PagePolicy {
    /// As shipped: left out, so that policies from before it keep their version.
    fn is_shipped(&self) -> bool {
        *self == Self::default()
    }
}

impl Default for PagePolicy {
    fn default() -> Self {
        Self { more_time_days: 14, retries: 3 }
    }
}

impl Policy {
    /// `pol_` and 20 hex digits over the content.
    pub fn version(&self) -> String {
        let bytes = serde_json::to_vec(self).unwrap_or_default();
        format!("pol_{}", hex::encode(&Sha256::digest(bytes)[..10]))
    }

    /// The gateway that owns subscriptions and invoices.
    pub fn billing(&self) -> Option<&GatewayPolicy> {
        self.gateways.first()
    }

    /// The configured gateway with this id.
    pub fn gateway(&self, id: &GatewayId) -> Option<&GatewayPolicy> {
        self.gateways.iter().find(|g| g.id == *id)
    }
}
