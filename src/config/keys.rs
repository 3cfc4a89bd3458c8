//! Every key of the merchant file, as data.
//!
//! Why here: one list drives the check of a file, the nearest-key hints and the reference in
//! `docs/CONFIGURATION.md`; adding a key is one line here and one field in `schema.rs`.
//!
//! What must stay true: what a version cannot do yet is known here and refused or warned about,
//! never accepted in silence.

use super::text;

/// What a key takes.
#[derive(Debug)]
pub(super) enum Kind {
    /// An amount of money: a decimal, as a number or as text.
    Amount,
    /// True or false.
    Bool,
    /// One of a few words; `later` are known words that this version cannot do.
    Choice { known: &'static [&'static str], later: &'static [&'static str] },
    /// `[from, to]` hours of a day.
    Hours,
    /// A whole number within these bounds.
    Integer(i64, i64),
    /// A list.
    List(&'static Self),
    /// A table with keys that the merchant names.
    Named(&'static [Key]),
    /// A table by currency, each with these keys.
    PerCurrency(&'static [Key]),
    /// `smart`, `even` or `{ days = [...] }`.
    Schedule,
    /// A secret.
    Secret,
    /// A number from 0 to 1.
    Share,
    /// A table with these keys.
    Table(&'static [Key]),
    /// Text that passes this check.
    Text(fn(&str) -> Result<(), String>),
}

/// One key.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// Whether it must be there (where its table is).
    pub(super) need: Need,
}

/// Whether a key must be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    Optional,
    Required,
}

const fn key(name: &'static str, kind: Kind) -> Key {
    Key { name, kind, need: Need::Optional }
}

const fn required(name: &'static str, kind: Kind) -> Key {
    Key { name, kind, need: Need::Required }
}

const fn words(known: &'static [&'static str]) -> Kind {
    Kind::Choice { known, later: &[] }
}

const CHANNEL: Kind = words(&["email", "whatsapp", "sms"]);
const HTTP_URL: Kind = Kind::Text(text::http_url);
const ANY: Kind = Kind::Text(text::any);

/// The top of the file.
pub(super) const ROOT: &[Key] = &[
    key("mode", Kind::Choice { known: &["live", "shadow"], later: &["remind_only"] }),
    required("merchant", Kind::Table(MERCHANT)),
    key("server", Kind::Table(SERVER)),
    key("store", Kind::Table(STORE)),
    required("gateways", Kind::List(&Kind::Table(GATEWAY))),
    key("retries", Kind::Table(RETRIES)),
    key("reminders", Kind::Table(REMINDERS)),
    key("contact_policies", Kind::Named(CONTACT_POLICY)),
    key("page", Kind::Table(PAGE)),
    key("final_action", Kind::Table(FINAL_ACTION)),
    key("access", Kind::Table(ACCESS)),
    key("retention", Kind::Table(RETENTION)),
    key("email", Kind::Table(EMAIL)),
    key("sms", Kind::Table(SMS)),
    key("whatsapp", Kind::Table(WHATSAPP)),
    key("backup", Kind::Table(BACKUP)),
    key("oidc", Kind::Table(OIDC)),
    key("webhooks", Kind::List(&Kind::Table(WEBHOOK))),
];

const MERCHANT: &[Key] = &[
    required("name", Kind::Text(text::not_empty)),
    required("public_url", HTTP_URL),
    key("support_email", Kind::Text(text::address)),
    key("support_phone", Kind::Text(text::phone)),
    key("postal_address", ANY),
    key("locale", Kind::Text(text::locale)),
    key("time_zone", Kind::Text(text::time_zone)),
    key("brand_color", Kind::Text(text::color)),
    key("logo_url", HTTP_URL),
];

const SERVER: &[Key] = &[
    key("listen", Kind::Text(text::listen)),
    key("admin_token", Kind::Secret),
    key("metrics_token", Kind::Secret),
    key("client_address_header", Kind::Text(text::header_name)),
    key("webhook_memory_mib", Kind::Integer(8, 4_096)),
];

const STORE: &[Key] = &[
    key("url", Kind::Text(text::store)),
    key("connections", Kind::Integer(1, 100)),
    key("patience_seconds", Kind::Integer(1, 60)),
    key("lease_seconds", Kind::Integer(2, 300)),
];

const GATEWAY: &[Key] = &[
    required("id", Kind::Text(text::gateway_id)),
    required(
        "kind",
        words(&["stripe", "adyen", "braintree", "mercadopago", "wompi", "checkout", "http"]),
    ),
    key("api_key", Kind::Secret),
    key("webhook_secrets", Kind::List(&Kind::Secret)),
    key("api_base", HTTP_URL),
    key("native_retries", words(&["observe", "off"])),
    key("merchant_account", ANY),
    key("merchant_id", ANY),
    key("public_key", Kind::Secret),
    key("private_key", Kind::Secret),
    key("processing_channel", ANY),
    key("integrity_secret", Kind::Secret),
    key("requests_per_second", Kind::Integer(1, 10_000)),
    key("fees", Kind::PerCurrency(FEE)),
];

const FEE: &[Key] = &[
    key("approved", Kind::Amount),
    key("approved_bps", Kind::Integer(0, 10_000)),
    key("declined", Kind::Amount),
];

const RETRIES: &[Key] = &[
    key("schedule", Kind::Schedule),
    key("window_days", Kind::Integer(1, 90)),
    key("max_attempts", Kind::Integer(1, 15)),
    key("holdout", Kind::Share),
];

const PAGE: &[Key] =
    &[key("more_time_days", Kind::Integer(0, 90)), key("retries", Kind::Integer(0, 15))];

/// The keys of `schedule = { … }`.
pub(super) const SCHEDULE: &[Key] = &[required("days", Kind::List(&Kind::Integer(0, 90)))];

const REMINDERS: &[Key] = &[
    key("silent_attempts", Kind::Integer(0, 15)),
    key("channels", Kind::List(&CHANNEL)),
    key("contact_policy", Kind::Text(text::not_empty)),
    key("pre_dunning", Kind::Bool),
    key("register", words(&["formal", "informal"])),
    key("templates", Kind::Text(text::not_empty)),
    key("ceilings", Kind::Table(CEILINGS)),
    key("steps", Kind::List(&Kind::Table(STEP))),
];

const CEILINGS: &[Key] = &[
    key("complaints", Kind::Share),
    key("bounces", Kind::Share),
    key("messages", Kind::Integer(1, 1_000_000)),
    key("days", Kind::Integer(1, 90)),
];

const STEP: &[Key] = &[
    required("after_days", Kind::Integer(0, 90)),
    required(
        "kind",
        // `recovered` goes out by itself, at the end.
        words(&["payment_failed", "card_update", "confirm_bank", "last_notice"]),
    ),
    key("channel", CHANNEL),
    key("when", words(&["any", "needs_customer", "will_retry"])),
    key("categories", Kind::List(&Kind::Text(text::category))),
    key("min_amount", Kind::List(&Kind::Text(text::amount))),
    key("max_amount", Kind::List(&Kind::Text(text::amount))),
    key("min_tenure_days", Kind::Integer(0, 36_500)),
    key("max_tenure_days", Kind::Integer(0, 36_500)),
    key("countries", Kind::List(&Kind::Text(text::country))),
    key("tags", Kind::List(&Kind::Text(text::tag))),
    key("without_tags", Kind::List(&Kind::Text(text::tag))),
];

const CONTACT_POLICY: &[Key] = &[
    key("base", Kind::Text(text::not_empty)),
    key("hours", Kind::Table(WEEKDAYS)),
    key("per_day", Kind::Integer(1, 24)),
    key("per_week", Kind::Integer(1, 100)),
    key("gap_hours", Kind::Integer(0, 24 * 31)),
    key("channels_per_week", Kind::Integer(1, 3)),
    key("holidays", words(&["open", "closed"])),
    key("consent", Kind::List(&CHANNEL)),
    key("channels", Kind::Table(CHANNEL_CAPS)),
];

const CHANNEL_CAPS: &[Key] = &[
    key("email", Kind::Table(CHANNEL_CAP)),
    key("sms", Kind::Table(CHANNEL_CAP)),
    key("whatsapp", Kind::Table(CHANNEL_CAP)),
];

const CHANNEL_CAP: &[Key] =
    &[key("per_day", Kind::Integer(1, 24)), key("per_week", Kind::Integer(1, 100))];

const ACCESS: &[Key] =
    &[key("grace_days", Kind::Integer(0, 365)), key("banner_secret", Kind::Secret)];

const RETENTION: &[Key] = &[
    key("raw_events_days", Kind::Integer(0, 3_650)),
    key("customers_days", Kind::Integer(0, 3_650)),
];

const WEEKDAYS: &[Key] = &[
    key("monday", Kind::Hours),
    key("tuesday", Kind::Hours),
    key("wednesday", Kind::Hours),
    key("thursday", Kind::Hours),
    key("friday", Kind::Hours),
    key("saturday", Kind::Hours),
    key("sunday", Kind::Hours),
];

const FINAL_ACTION: &[Key] = &[
    key("subscription", words(&["keep", "pause", "cancel"])),
    key("invoice", words(&["keep", "uncollectible", "void"])),
];

const EMAIL: &[Key] = &[
    required("smtp_url", Kind::Secret),
    required("from", Kind::Text(text::mailbox)),
    key("ca_file", Kind::Text(text::not_empty)),
    key("provider", words(&["sendgrid", "postmark", "resend", "ses"])),
    key("callback_secrets", Kind::List(&Kind::Secret)),
    key("sns_topics", Kind::List(&Kind::Text(text::sns_topic))),
    key("configuration_set", ANY),
    key("api_base", HTTP_URL),
    key("dkim_selector", Kind::Text(text::not_empty)),
];

const BACKUP: &[Key] = &[
    required("dir", Kind::Text(text::not_empty)),
    key("every_hours", Kind::Integer(1, 720)),
    key("keep", Kind::Integer(1, 1_000)),
];

const OIDC: &[Key] = &[
    required("issuer", HTTP_URL),
    required("client_id", Kind::Text(text::not_empty)),
    key("client_secret", Kind::Secret),
    key("name", Kind::Text(text::not_empty)),
    key("claim", Kind::Text(text::not_empty)),
    key("roles", Kind::List(&Kind::Table(OIDC_ROLE))),
];

const OIDC_ROLE: &[Key] = &[
    required("value", Kind::Text(text::not_empty)),
    required("role", words(&["viewer", "support", "admin"])),
];

const SMS: &[Key] = &[
    key("provider", words(&["twilio"])),
    key("account_sid", ANY),
    key("auth_token", Kind::Secret),
    key("from", ANY),
    key("api_base", HTTP_URL),
];

const WHATSAPP: &[Key] = &[
    key("provider", words(&["cloud-api"])),
    key("phone_number_id", ANY),
    key("access_token", Kind::Secret),
    key("app_secret", Kind::Secret),
    key("verify_token", Kind::Secret),
    key("business_account_id", ANY),
    key("api_base", HTTP_URL),
];

const WEBHOOK: &[Key] = &[
    required("url", HTTP_URL),
    required("secret", Kind::Secret),
    key(
        "events",
        Kind::List(&words(&[
            "case.opened",
            "attempt.scheduled",
            "attempt.failed",
            "message.sent",
            "message.failed",
            "link.opened",
            "card.updated",
            "banner.changed",
            "case.recovered",
            "case.exhausted",
            "case.stopped",
        ])),
    ),
    key("private_network", Kind::Bool),
];

/// Every key with its dotted path; list items are `[]`, the merchant's own names are `NAME`.
pub fn all_paths() -> Vec<String> {
    let mut paths = Vec::new();
    collect(ROOT, "", &mut paths);
    paths
}

fn collect(keys: &[Key], prefix: &str, paths: &mut Vec<String>) {
    for key in keys {
        let path = format!("{prefix}{}", key.name);
        match &key.kind {
            Kind::Table(inner) => collect(inner, &format!("{path}."), paths),
            Kind::List(Kind::Table(inner)) => collect(inner, &format!("{path}[]."), paths),
            Kind::Named(inner) => collect(inner, &format!("{path}.NAME."), paths),
            Kind::PerCurrency(inner) => collect(inner, &format!("{path}.CURRENCY."), paths),
            _ => paths.push(path),
        }
    }
}
