//! The merchant file as typed values: what the rest of recoup sees of it.
//!
//! Why here: after `keys` and `rules` have passed, every value is complete and fits; nothing
//! downstream has to ask again.
//!
//! What must stay true: every key here stands in `keys.rs` too (a test loads the example, which
//! names them all), and no `Debug` shows a secret.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

use super::contact::ContactRules;
use super::error::Problem;
use super::small::{Access, Backup, OpenId};
pub use super::store::{StoreSettings, StoreUrl};
use super::{retention::Retention, secret::Secret};
use crate::core::campaign::Audience;
use crate::core::customer::Channel;
use crate::core::decline::Category;
use crate::core::ids::GatewayId;
use crate::core::money::{Currency, Money};
use crate::core::policy::{
    CampaignStep, Condition, InvoiceAction, MessageKind, NativeRetries, PagePolicy, Schedule,
    SubscriptionAction,
};
use crate::core::reputation::Ceilings;
use crate::core::worth::{self, Fee};
use crate::message::{Register, Texts};

/// The whole merchant file, with the defaults filled in.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Whether it really charges and writes.
    pub mode: Mode,
    /// Who is owed.
    pub merchant: Merchant,
    /// The HTTP service.
    pub server: Server,
    /// Where everything is kept.
    pub store: StoreSettings,
    /// The gateways; the first is the billing gateway.
    pub gateways: Vec<GatewayConfig>,
    /// When charges are tried again.
    pub retries: Retries,
    /// What customers are told, and when.
    pub reminders: Reminders,
    /// The merchant's own contact policies.
    #[serde(default)]
    pub contact_policies: BTreeMap<String, ContactRules>,
    /// What customers may ask for on the hosted page.
    pub page: PagePolicy,
    /// What happens when nothing helped.
    pub final_action: FinalAction,
    /// What the merchant's own front end is told of customers who owe.
    pub access: Access,
    /// How long what is kept.
    pub retention: Retention,
    /// Outgoing e-mail.
    pub email: Option<Email>,
    /// Outgoing text messages.
    pub sms: Option<Sms>,
    /// Outgoing WhatsApp messages.
    pub whatsapp: Option<Whatsapp>,
    /// Copies of the store while the service runs.
    #[serde(default)]
    pub backup: Option<Backup>,
    /// Where else people sign in to the dashboard.
    #[serde(default)]
    pub oidc: Option<OpenId>,
    /// Events to the merchant's own systems.
    #[serde(default)]
    pub webhooks: Vec<OutboundWebhook>,
    /// The texts of messages, with those of `reminders.templates` over the shipped ones.
    #[serde(skip)]
    pub texts: Texts,
    /// What is doubtful about the file.
    #[serde(skip)]
    pub warnings: Vec<Problem>,
}

/// Whether it really charges and writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// It does.
    Live,
    /// It only plans: nothing is charged, nothing is sent.
    Shadow,
}

/// `[merchant]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Merchant {
    /// The name that customers know.
    pub name: String,
    /// What links in messages begin with; no slash at the end.
    pub public_url: String,
    /// A human's address.
    pub support_email: Option<String>,
    /// A human's phone.
    pub support_phone: Option<String>,
    /// The postal address, for the foot of messages.
    pub postal_address: Option<String>,
    /// Language where the customer's is unknown.
    pub locale: String,
    /// Time zone where the customer's is unknown.
    pub time_zone: String,
    /// Color of buttons, `#rrggbb`.
    pub brand_color: String,
    /// The logo in messages and on the page.
    pub logo_url: Option<String>,
}

/// `[server]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// Where to listen, e.g. `127.0.0.1:8080`.
    pub listen: String,
    /// Opens API, dashboard and metrics.
    pub admin_token: Option<Secret>,
    /// Opens the metrics, and nothing else.
    pub metrics_token: Option<Secret>,
    /// The header in which a proxy in front names the caller's address.
    pub client_address_header: Option<String>,
    /// Memory for webhooks under way; who finds none is told to come back.
    pub webhook_memory_mib: u32,
}

/// The gateways that there is a client for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GatewayKind {
    /// Adyen.
    Adyen,
    /// Braintree.
    Braintree,
    /// Checkout.com.
    Checkout,
    /// Any payment system, by recoup's own small protocol.
    Http,
    /// Mercado Pago.
    #[serde(rename = "mercadopago")]
    MercadoPago,
    /// Stripe.
    Stripe,
    /// Wompi.
    Wompi,
}

impl GatewayKind {
    /// The name as in the merchant file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Adyen => "adyen",
            Self::Braintree => "braintree",
            Self::Checkout => "checkout",
            Self::Http => "http",
            Self::MercadoPago => "mercadopago",
            Self::Stripe => "stripe",
            Self::Wompi => "wompi",
        }
    }
}

/// One `[[gateways]]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GatewayConfig {
    /// Its webhooks arrive at `/webhooks/{id}`.
    pub id: GatewayId,
    /// Which client.
    pub kind: GatewayKind,
    /// The key of its API. Braintree has a pair of keys instead.
    pub api_key: Option<Secret>,
    /// The webhook secrets; several while one is rotated.
    #[serde(default)]
    pub webhook_secrets: Vec<Secret>,
    /// Its API's address, where it is not the gateway's own.
    pub api_base: Option<String>,
    /// How its own retries are treated.
    #[serde(default = "observe")]
    pub native_retries: NativeRetries,
    /// Adyen.
    pub merchant_account: Option<String>,
    /// Braintree.
    pub merchant_id: Option<String>,
    /// Braintree, Wompi.
    pub public_key: Option<Secret>,
    /// Braintree.
    pub private_key: Option<Secret>,
    /// Checkout.com.
    pub processing_channel: Option<String>,
    /// Wompi: signs the transactions that are made.
    pub integrity_secret: Option<Secret>,
    /// How many requests a second its API is sent at most.
    pub requests_per_second: Option<u32>,
    /// What it takes for an attempt, by currency.
    #[serde(default)]
    pub fees: BTreeMap<Currency, FeeConfig>,
}

/// One `[gateways.fees.CURRENCY]`: decimals in that currency.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FeeConfig {
    /// For an approved attempt.
    pub approved: Option<String>,
    /// Of the amount, in hundredths of a percent, when it is approved.
    pub approved_bps: u32,
    /// For a declined attempt.
    pub declined: Option<String>,
}

impl FeeConfig {
    /// As the core counts it; `None` where an amount is finer than the currency's hundredths.
    pub fn exact(&self, currency: Currency) -> Option<Fee> {
        let parts = |amount: &Option<String>| match amount {
            Some(amount) => worth::parts_of(amount, currency),
            None => Some(0),
        };
        let (approved, declined) = (parts(&self.approved)?, parts(&self.declined)?);
        Some(Fee { approved, approved_bps: self.approved_bps, declined, network_risk: 0 })
    }
}

fn observe() -> NativeRetries {
    NativeRetries::Observe
}

/// `[retries]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retries {
    /// When attempts are made.
    pub schedule: Schedule,
    /// Days after the failure in which attempts are made.
    pub window_days: u32,
    /// Attempts on the schedule at most.
    pub max_attempts: u32,
    /// Share of cases kept on `even`, for measurement.
    pub holdout: f64,
}

/// `[reminders]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reminders {
    /// Soft declines: attempts before the first message.
    pub silent_attempts: u32,
    /// In the order of preference.
    pub channels: Vec<Channel>,
    /// A preset's name, or one of `[contact_policies.NAME]`.
    pub contact_policy: String,
    /// Messages before a card expires.
    pub pre_dunning: bool,
    /// How customers are addressed, where the language has a choice.
    pub register: Register,
    /// A folder of texts that are laid over the shipped ones.
    pub templates: Option<PathBuf>,
    /// Above which e-mail stops.
    pub ceilings: CeilingsTable,
    /// The campaign.
    pub steps: Vec<Step>,
}

/// `[reminders.ceilings]`.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CeilingsTable {
    /// Share of mails that were reported as unwanted.
    pub complaints: f64,
    /// Share of mails to addresses that nothing reaches.
    pub bounces: f64,
    /// Mails below which no share says anything.
    pub messages: u32,
    /// Days that are looked back over.
    pub days: u32,
}

impl CeilingsTable {
    /// As they are compared.
    pub fn ceilings(self) -> Ceilings {
        // A share is from 0 to 1: it fits.
        let ppm = |share: f64| (share * 1_000_000.0).round() as u32;
        Ceilings {
            complaints_ppm: ppm(self.complaints),
            bounces_ppm: ppm(self.bounces),
            messages: self.messages,
            days: self.days,
        }
    }
}

/// One `[[reminders.steps]]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Days after the case opened.
    pub after_days: u32,
    /// What the message says.
    pub kind: MessageKind,
    /// On which channel; absent: the first that reaches the customer.
    pub channel: Option<Channel>,
    /// For which cases.
    #[serde(default = "any")]
    pub when: Condition,
    /// One of these decline categories.
    #[serde(default)]
    pub categories: Vec<Category>,
    /// At least this much, in one of these currencies.
    #[serde(default)]
    pub min_amount: Vec<Amount>,
    /// At most this much, in one of these currencies.
    #[serde(default)]
    pub max_amount: Vec<Amount>,
    /// A customer for at least so many days.
    pub min_tenure_days: Option<u32>,
    /// A customer for at most so many days.
    pub max_tenure_days: Option<u32>,
    /// In one of these countries.
    #[serde(default)]
    pub countries: Vec<String>,
    /// In one of the merchant's segments.
    #[serde(default)]
    pub tags: Vec<String>,
    /// In none of these segments.
    #[serde(default)]
    pub without_tags: Vec<String>,
}

/// An amount as it is written: `29.00 USD`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Amount(pub Money);

impl TryFrom<String> for Amount {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse().map(Self).map_err(|error: crate::core::money::BadAmount| error.to_string())
    }
}

fn any() -> Condition {
    Condition::Any
}

impl From<&Step> for CampaignStep {
    fn from(step: &Step) -> Self {
        let money = |amounts: &[Amount]| amounts.iter().map(|amount| amount.0).collect();
        Self {
            after_days: step.after_days,
            kind: step.kind,
            channel: step.channel,
            condition: step.when,
            audience: Audience {
                categories: step.categories.clone(),
                min_amount: money(&step.min_amount),
                max_amount: money(&step.max_amount),
                min_tenure_days: step.min_tenure_days,
                max_tenure_days: step.max_tenure_days,
                countries: step.countries.clone(),
                tags: step.tags.clone(),
                without_tags: step.without_tags.clone(),
            },
        }
    }
}

/// `[final_action]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FinalAction {
    /// What becomes of the subscription.
    pub subscription: SubscriptionAction,
    /// What becomes of the invoice.
    pub invoice: InvoiceAction,
}

/// `[email]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Email {
    /// `smtp://127.0.0.1:1025`, `smtps://user:pass@host`.
    pub smtp_url: Secret,
    /// `Name <address>`.
    pub from: String,
    /// Whose server it is, where it reports what becomes of each mail.
    pub provider: Option<EmailProvider>,
    /// An authority (PEM) that vouches for the mail server, beside the usual ones.
    pub ca_file: Option<PathBuf>,
    /// Verify its reports; several while one is rotated.
    #[serde(default)]
    pub callback_secrets: Vec<Secret>,
    /// Of SES: the topics of SNS that its reports come by.
    #[serde(default)]
    pub sns_topics: Vec<String>,
    /// Of SES: the configuration set that publishes events, where it is not the identity's own.
    pub configuration_set: Option<String>,
    /// What is asked in the place of SNS, in a test.
    pub api_base: Option<String>,
    /// Under which selector the key that signs mails is found: `recoup doctor` looks there.
    #[serde(default)]
    pub dkim_selector: Option<String>,
}

/// Providers of e-mail whose reports are understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EmailProvider {
    /// Postmark.
    Postmark,
    /// Resend.
    Resend,
    /// SendGrid.
    SendGrid,
    /// Amazon SES.
    Ses,
}

/// `[sms]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sms {
    /// `twilio`.
    pub provider: Option<String>,
    /// The provider's account.
    pub account_sid: Option<String>,
    /// The provider's token.
    pub auth_token: Option<Secret>,
    /// The sender.
    pub from: Option<String>,
    /// The provider's address, where it is not its own.
    pub api_base: Option<String>,
}

/// `[whatsapp]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Whatsapp {
    /// `cloud-api`.
    pub provider: Option<String>,
    /// The sender.
    pub phone_number_id: Option<String>,
    /// The provider's token.
    pub access_token: Option<Secret>,
    /// Verifies the provider's callbacks.
    pub app_secret: Option<Secret>,
    /// Answers the provider's check of the callback's address.
    pub verify_token: Option<Secret>,
    /// The business account, for its templates.
    pub business_account_id: Option<String>,
    /// The provider's address, where it is not its own.
    pub api_base: Option<String>,
}

/// One `[[webhooks]]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutboundWebhook {
    /// Where to.
    pub url: String,
    /// Signs them.
    pub secret: Secret,
    /// Which; empty: all.
    #[serde(default)]
    pub events: Vec<String>,
    /// Whether it may be in a private network.
    #[serde(default)]
    pub private_network: bool,
}
