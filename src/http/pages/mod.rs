//! The pages that people see: hosted page and dashboard, rendered to HTML.
//!
//! Why here: pure functions from a view to a string. Routes, sessions and the store are the
//! business of `http`; what a page looks like and says is the business of this room.
//!
//! What must stay true: every value is escaped; a page works without JavaScript and loads nothing
//! from elsewhere but the merchant's logo; nothing on a page acts on `GET`.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use jiff::civil::Date;
use minijinja::{Environment, Value};
use sha2::{Digest as _, Sha256};

use crate::core::access::Role;
use crate::core::card::Card;
use crate::core::case::Case;
use crate::core::customer::Customer;
use crate::core::decline::Category;
use crate::core::ledger::LedgerEntry;
use crate::core::money::Money;
use crate::core::report::Window;
use crate::message::color::Color;
use crate::message::{Brand, template};
use crate::store::MessageRecord;

mod cases;
mod deeds;
mod desk;
mod door;
mod gateways;
mod home;
mod messages;
mod monthly;
mod pay;
mod people;
mod report;
mod texts;
pub mod words;

pub use cases::{CasesView, cases_page, filter_in_words};
pub use desk::{case_page, problem_page};
pub use door::{LoginView, come_in_page, login_page, set_up_page};
pub use gateways::{GatewayCard, GatewaysView, RefusedRow, gateways_page};
pub use home::{Bar, Chip, Figure, HomeView, Split, home_page};
pub use messages::{MessagesView, PreviewView, Recent, messages_page, preview_page};
pub use monthly::{MonthlyView, monthly_page};
pub use pay::{busy_page, pay_page, unknown_link_page, verify_page};
pub use people::{AuditRow, PeopleView, TokenRow, UserRow, audit_page, people_page};
pub use report::report_page;
pub use words::{label, snake};

/// Where a case stands, as far as the customer is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PayState {
    /// The bank wants a confirmation; the card is fine.
    ConfirmBank,
    /// Ended unpaid.
    Exhausted,
    /// Owed.
    Open,
    /// Paid.
    Recovered,
    /// Nothing is owed any more, or nothing is collected.
    Stopped,
    /// A charge is under way.
    Working,
}

/// One thing that a customer can do: a form that posts to `{action}/{door}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// `already-paid`.
    AlreadyPaid,
    /// `more-time`, with the field `date`.
    MoreTime,
    /// `other-way`.
    OtherWay,
    /// `retry`: the same card again.
    Retry,
    /// `stop-reminders`.
    StopReminders,
    /// `update-card`: also confirms with the bank.
    UpdateCard,
}

/// What just happened, told once at the top of the hosted page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PayNotice {
    /// The new card was refused too.
    CardDeclined,
    /// The customer came back from the gateway's page.
    CardReceived,
    /// The day that they asked for is not possible.
    NoMoreTime,
    /// What they asked for is not possible now.
    NotNow,
    /// We wrote down that they say it is paid.
    NotedAlreadyPaid,
    /// We wrote down the date that they asked for.
    NotedMoreTime,
    /// No more reminders.
    RemindersStopped,
    /// The same card was refused again.
    RetryDeclined,
    /// We try the same card again.
    Retrying,
    /// The gateway's page could not be opened; nothing was changed.
    Unavailable,
}

/// What the hosted page shows.
#[derive(Debug, Clone)]
pub struct PayView {
    /// Whose page it is.
    pub brand: Brand,
    /// Where the case stands.
    pub state: PayState,
    /// The exact amount.
    pub amount: Money,
    /// What it is for.
    pub description: Option<String>,
    /// The card's last four.
    pub last4: Option<String>,
    /// Why it did not go through: chooses the words, never shown raw.
    pub category: Option<Category>,
    /// When we try again.
    pub retry_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// The customer's time zone; `None`: the merchant's.
    pub time_zone: Option<String>,
    /// What can be done here, where the case is open.
    pub doors: Vec<Door>,
    /// What forms post to, without the door: `/pay/{token}`.
    pub action: String,
    /// What just happened.
    pub notice: Option<PayNotice>,
    /// The first and the last day that may be asked for.
    pub more_time: Option<(Date, Date)>,
    /// The day that the customer asked to be charged on.
    pub promised: Option<Date>,
    /// What else this customer owes here.
    pub others: Vec<Owed>,
    /// Whether the card-update door is for the others too.
    pub card_is_for_all: bool,
    /// What was paid and tried before, the newest first.
    pub history: Vec<Past>,
    /// The invoice, as the merchant knows it.
    pub invoice: String,
}

/// Another invoice that is open.
#[derive(Debug, Clone)]
pub struct Owed {
    /// How much.
    pub amount: Money,
    /// What for.
    pub description: Option<String>,
    /// Its own page.
    pub href: String,
    /// Names it in a form.
    pub token: String,
}

/// One line of the customer's history.
#[derive(Debug, Clone)]
pub struct Past {
    /// When.
    pub at: Timestamp,
    /// How much.
    pub amount: Money,
    /// What for.
    pub description: Option<String>,
    /// How it came out.
    pub outcome: PastOutcome,
}

/// How a payment came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PastOutcome {
    /// Nothing is collected any more.
    Closed,
    /// Refused.
    Failed,
    /// Paid.
    Paid,
    /// Not known yet.
    Working,
}

/// What `/verify` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is ours.
    Genuine,
    /// It is not, or nobody can tell.
    NotGenuine,
}

/// What every page of the dashboard shows around its content.
#[derive(Debug, Clone)]
pub struct Shell {
    /// The merchant's name.
    pub brand: String,
    /// The zone that times are shown in.
    pub time_zone: String,
    /// The service's time.
    pub now: Timestamp,
    /// Whether that is a test clock.
    pub test_clock: bool,
    /// Sent back with every form of a case as the field `csrf`.
    pub csrf: Option<String>,
    /// What just happened, told once.
    pub notice: Option<String>,
    /// Who has signed in.
    pub who: Option<String>,
    /// What they may do; what they may not is not offered.
    pub role: Option<Role>,
}

impl Shell {
    /// Whether they may do what needs this role.
    pub fn may(&self, needed: Role) -> bool {
        self.role.is_some_and(|role| role >= needed)
    }
}

/// What came back.
#[derive(Debug, Clone)]
pub struct ReportView {
    /// Around it.
    pub shell: Shell,
    /// By the days after the failure.
    pub windows: Vec<Window>,
    /// Whether it is made up.
    pub is_sample: bool,
}

/// One case.
#[derive(Debug, Clone)]
pub struct CaseView {
    /// Around it.
    pub shell: Shell,
    /// The case.
    pub case: Case,
    /// Its customer.
    pub customer: Option<Customer>,
    /// Its ledger, oldest first.
    pub ledger: Vec<LedgerEntry>,
    /// Its messages exactly as sent, oldest first.
    pub messages: Vec<MessageRecord>,
    /// A card-update link that was just asked for.
    pub link: Option<String>,
    /// The customer's cards, as the networks count them.
    pub cards: Vec<Card>,
    /// Where the page asks for itself.
    pub refresh: String,
    /// Whether it is made up.
    pub is_sample: bool,
}

/// The dashboard's style.
pub const DESK_STYLE: &str = include_str!("../assets/desk.css");
/// The dashboard's script: htmx 2.0.11, unchanged; its licence is `assets/htmx.LICENSE`.
pub const HTMX: &str = include_str!("../assets/htmx.min.js");

/// Changes with style and script.
fn version() -> &'static str {
    static VERSION: LazyLock<String> =
        LazyLock::new(|| hex::encode(&Sha256::digest([DESK_STYLE, HTMX].concat())[..6]));
    &VERSION
}

/// The `Content-Security-Policy` to send with a rendered page: of styles only the page's own, and
/// no script at all but the dashboard's, from here. Forms may lead to a gateway's page, so they are
/// not restricted here.
pub fn content_security_policy(html: &str) -> String {
    let style = html.split_once("<style>").and_then(|(_, rest)| rest.split_once("</style>"));
    let hash = STANDARD.encode(Sha256::digest(style.map_or("", |(style, _)| style)));
    // Values are escaped: only the dashboard's own template has this.
    let desk = match html.contains("<body class=\"desk\">") {
        true => " 'self'; script-src 'self'; connect-src 'self'; frame-src 'self'",
        false => "",
    };
    format!(
        "default-src 'none'; style-src 'sha256-{hash}'{desk}; img-src https: data:; \
         base-uri 'none'; frame-ancestors 'none'"
    )
}

/// The policy of a message that is shown in a frame of its own: it brings its own styles, and has
/// no rights.
pub const MESSAGE_POLICY: &str = "sandbox; default-src 'none'; style-src 'unsafe-inline'; \
    img-src https: data:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'";

/// The one style sheet, with the brand's color in it.
fn css(brand: Option<&Brand>) -> Value {
    let sheet = include_str!("../assets/recoup.css");
    let color = brand.map_or(String::new(), |brand| {
        let color = Color::of_brand(brand.color.as_deref());
        format!(":root{{--brand:{};--ink:{}}}\n", color.to_hex(), color.ink())
    });
    Value::from_safe_string(format!("{sheet}{color}"))
}

/// Fills a page. A template that cannot be filled is a bug that tests find; the reader gets a
/// plain page without what would be wrong on it.
fn fill(name: &str, values: Value) -> String {
    let filled = TEMPLATES.get_template(name).and_then(|page| page.render(values));
    filled.unwrap_or_else(|error| {
        tracing::error!(page = name, %error, "a page cannot be rendered");
        "<!doctype html><title>Error</title><p>This page cannot be shown right now.</p>".to_owned()
    })
}

const FILES: &[(&str, &str)] = &[
    ("audit.html", include_str!("audit.html")),
    ("base.html", include_str!("base.html")),
    ("case.html", include_str!("case.html")),
    ("cases.html", include_str!("cases.html")),
    ("comein.html", include_str!("comein.html")),
    ("foot.html", include_str!("foot.html")),
    ("gateways.html", include_str!("gateways.html")),
    ("home.html", include_str!("home.html")),
    ("login.html", include_str!("login.html")),
    ("messages.html", include_str!("messages.html")),
    ("monthly.html", include_str!("monthly.html")),
    ("pay.html", include_str!("pay.html")),
    ("people.html", include_str!("people.html")),
    ("preview.html", include_str!("preview.html")),
    ("problem.html", include_str!("problem.html")),
    ("report.html", include_str!("report.html")),
    ("setup.html", include_str!("setup.html")),
    ("sheet.html", include_str!("sheet.html")),
    ("shell.html", include_str!("shell.html")),
    ("verify.html", include_str!("verify.html")),
];

static TEMPLATES: LazyLock<Environment<'static>> = LazyLock::new(|| template::environment(FILES));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_parses() {
        for (name, _) in FILES {
            TEMPLATES.get_template(name).unwrap();
        }
    }

    #[test]
    fn the_policy_allows_the_pages_own_style_only() {
        let policy = content_security_policy(&set_up_page("Acme", None, None));
        assert!(policy.contains("style-src 'sha256-"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
    }
}
