//! The hosted page: what is owed for what, why, and what can be done about it.
//!
//! Why here: the one page that paying customers see. Texts are data (`en.toml` …); the
//! amount, the days and the reason are written by `message::format`, exactly as in the mail.
//!
//! What must stay true: the amount on the button is the amount owed; an ended case offers no door.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use minijinja::{Value, context};

use super::texts::{Copy, direction};
use super::{Door, Owed, Past, PastOutcome, PayNotice, PayState, PayView, Verdict, css, fill};
use crate::core::case::{Case, State};
use crate::core::customer::Customer;
use crate::core::decline::{Advice, Category};
use crate::core::money::Money;
use crate::message::locale::{self, Locale};
use crate::message::{Brand, format, is_last4, plan, words};

impl PayView {
    /// The page of this case. `action` is `/pay/{token}`; which doors there are is the caller's to
    /// say, since it knows what the gateway and the policy allow.
    pub fn of(brand: Brand, case: &Case, customer: Option<&Customer>, action: String) -> Self {
        let method = customer.and_then(|customer| case.method(customer));
        let retries = case.state == State::Scheduled || case.state == State::Monitoring;
        Self {
            brand,
            state: PayState::of(case),
            amount: case.amount,
            description: case.description.clone(),
            last4: method.and_then(|m| m.facts.last4.clone()),
            category: case.decline.as_ref().map(|d| d.category),
            retry_at: case.next.at.filter(|_| retries && case.next.what == "attempt"),
            ended_at: case.ended_at,
            time_zone: customer.and_then(|c| c.contact.time_zone.clone()),
            doors: Vec::new(),
            action,
            notice: None,
            more_time: None,
            promised: None,
            others: Vec::new(),
            card_is_for_all: false,
            history: Vec::new(),
            invoice: case.invoice.clone(),
        }
    }
}

impl PayState {
    /// What a case's state means to its customer.
    pub fn of(case: &Case) -> Self {
        let wants_bank = case.decline.as_ref().is_some_and(|decline| {
            decline.category == Category::AuthenticationRequired
                || decline.advice == Advice::Authenticate
        });
        match case.state {
            State::Recovered => Self::Recovered,
            State::Stopped => Self::Stopped,
            State::Exhausted => Self::Exhausted,
            State::Attempting | State::AwaitingOutcome => Self::Working,
            _ if wants_bank => Self::ConfirmBank,
            _ => Self::Open,
        }
    }

    /// Whether the customer can do something here.
    pub fn is_open(self) -> bool {
        matches!(self, Self::ConfirmBank | Self::Open)
    }

    fn key(self) -> &'static str {
        match self {
            Self::ConfirmBank => "confirm_bank",
            Self::Exhausted => "exhausted",
            Self::Open => "open",
            Self::Recovered => "recovered",
            Self::Stopped => "stopped",
            Self::Working => "working",
        }
    }
}

impl PayNotice {
    fn key(self) -> &'static str {
        match self {
            Self::CardDeclined => "notice_card_declined",
            Self::CardReceived => "notice_card_received",
            Self::NoMoreTime => "notice_no_more_time",
            Self::NotNow => "notice_not_now",
            Self::NotedAlreadyPaid => "notice_noted_already_paid",
            Self::NotedMoreTime => "notice_noted_more_time",
            Self::RemindersStopped => "notice_reminders_stopped",
            Self::RetryDeclined => "notice_retry_declined",
            Self::Retrying => "notice_retrying",
            Self::Unavailable => "notice_unavailable",
        }
    }
}

/// What a page is written with.
struct Pen<'a> {
    copy: Copy,
    locale: Locale,
    zone: &'a str,
}

impl Pen<'_> {
    fn day(&self, at: Timestamp) -> String {
        format::date(at, self.zone, self.locale.language)
    }

    fn money(&self, amount: Money) -> String {
        format::money(amount, &self.locale)
    }
}

/// Noon of a day in a zone: a moment that is on this day.
fn noon(day: Date, zone: &str) -> Timestamp {
    let zone = TimeZone::get(zone).unwrap_or(TimeZone::UTC);
    let noon = day.at(12, 0, 0, 0).to_zoned(zone);
    noon.map_or(Timestamp::MAX - SignedDuration::from_hours(48), |noon| noon.timestamp())
}

/// The hosted page, in the first of `locale` and the merchant's language that we have.
pub fn pay_page(view: &PayView, locale: &str) -> String {
    let started = matches!(view.notice, Some(PayNotice::CardReceived | PayNotice::Retrying));
    if started && view.state.is_open() {
        // The charge that the customer has just asked for is about to be made: no second button.
        let working = PayView { state: PayState::Working, ..view.clone() };
        return pay_page(&working, locale);
    }
    let pen = pen(view, locale);
    let (copy, state) = (&pen.copy, view.state);
    let lead = match state {
        PayState::Working if started => String::new(),
        PayState::Open if view.promised.is_some() => copy.get("lead_promised"),
        PayState::Open if view.retry_at.is_some() => copy.get("lead_open_retry"),
        _ => copy.get(&format!("lead_{}", state.key())),
    };
    let page = context! {
        t => labels(copy, &copy.get(&format!("title_{}", state.key())), &lead),
        notice => view.notice.map(|notice| copy.get(notice.key())),
        amount => pen.money(view.amount),
        plan => view.description.as_deref().and_then(words),
        sign => if state == PayState::Recovered { "done" } else { "" },
        is_open => state.is_open() || state == PayState::Working,
        again => state == PayState::Working,
        facts => facts(view, &pen),
        others => others(view, &pen),
        history => history(&view.history, &pen),
    };
    fill(
        "pay.html",
        context! { ..page, ..doors(view, &pen), ..around(&view.brand, &pen.locale, copy) },
    )
}

fn pen<'a>(view: &'a PayView, locale: &str) -> Pen<'a> {
    let locale = locale::choose(Some(locale), &view.brand.locale);
    let zone = view.time_zone.as_deref().unwrap_or(&view.brand.time_zone);
    let promised = view.promised.map(|day| noon(day, zone));
    let next = promised.or(view.retry_at);
    let next = next.map(|at| format::on_date(at, zone, locale.language)).unwrap_or_default();
    let day = |day: Date| format::date(noon(day, zone), zone, locale.language);
    let (first, last) = view.more_time.map(|(a, b)| (day(a), day(b))).unwrap_or_default();
    let values = vec![
        ("amount", format::money(view.amount, &locale)),
        ("date", next),
        ("first", first),
        ("last", last),
        ("last4", view.last4.clone().unwrap_or_default()),
        // What strangers may have typed comes last: it is not filled in again.
        ("brand", view.brand.name.clone()),
        ("plan", plan(view.description.as_deref(), locale.language)),
    ];
    Pen { copy: Copy::new(&locale, values), locale, zone }
}

/// The texts that a page has whatever it shows.
fn labels(copy: &Copy, title: &str, lead: &str) -> Value {
    let text = |key| copy.get(key);
    context! {
        title, lead,
        safe => text("safe"),
        check_again => text("check_again"),
        other_options => text("other_options"),
        already_paid => text("already_paid"),
        which => text("which"),
        which_all => text("which_all"),
        send => text("send"),
        more_time => text("more_time"),
        more_time_date => text("more_time_date"),
        more_time_hint => text("more_time_hint"),
        more_time_send => text("more_time_send"),
        stop_reminders => text("stop_reminders"),
        history => text("history"),
        history_date => text("history_date"),
        history_amount => text("history_amount"),
        history_outcome => text("history_outcome"),
        also_open => text("also_open"),
        all_together => text("all_together"),
    }
}

/// The page behind a link that leads nowhere.
pub fn unknown_link_page(brand: &Brand, locale: &str) -> String {
    plain(brand, locale, "unknown")
}

/// For a link or an address that came too often.
pub fn busy_page(brand: &Brand, locale: &str) -> String {
    plain(brand, locale, "busy")
}

/// A page that says one thing.
fn plain(brand: &Brand, locale: &str, what: &str) -> String {
    let locale = locale::choose(Some(locale), &brand.locale);
    let copy = Copy::new(&locale, Vec::new());
    let (title, lead) = (copy.get(&format!("title_{what}")), copy.get(&format!("lead_{what}")));
    let page = context! { t => labels(&copy, &title, &lead), ..nothing() };
    fill("pay.html", context! { ..page, ..around(brand, &locale, &copy) })
}

/// A page with none of its parts: templates take no name that is not there.
fn nothing() -> Value {
    let none: Vec<Value> = Vec::new();
    context! {
        notice => Value::from(()),
        sign => "",
        is_open => false,
        again => false,
        facts => none.clone(),
        others => Value::from(()),
        history => none.clone(),
        primary => Value::from(()),
        buttons => none,
        already_paid => false,
        more_time => false,
        stop_reminders => false,
    }
}

/// `/verify`: posts the field `text` to itself.
pub fn verify_page(brand: &Brand, locale: &str, verdict: Option<Verdict>) -> String {
    let locale = locale::choose(Some(locale), &brand.locale);
    let copy = Copy::new(&locale, vec![("brand", brand.name.clone())]);
    let page = context! {
        t => context! {
            title => copy.get("verify_title"),
            lead => copy.get("verify_lead"),
            field => copy.get("verify_field"),
            send => copy.get("verify_send"),
        },
        stop_reminders => false,
        genuine => verdict == Some(Verdict::Genuine),
        verdict => verdict.map(|verdict| match verdict {
            Verdict::Genuine => copy.get("verify_yes"),
            Verdict::NotGenuine => copy.get("verify_no"),
        }),
    };
    fill("verify.html", context! { ..page, ..around(brand, &locale, &copy) })
}

/// What is on every page of this merchant.
fn around(brand: &Brand, locale: &Locale, copy: &Copy) -> Value {
    let phone = brand.support_phone.as_deref();
    let digits = |text: &str| text.chars().filter(|c| c.is_ascii_digit() || *c == '+').collect();
    let mounted = url::Url::parse(&brand.public_url).map(|url| url.path().to_owned());
    let language = locale.language.as_str();
    let same = locale.tag.split('-').next() == Some(language);
    context! {
        lang => if same { locale.tag.as_str() } else { language },
        dir => direction(language),
        css => css(Some(brand)),
        brand => brand.name.clone(),
        logo_url => brand.logo_url.as_deref().filter(|url| url.starts_with("https://")),
        help => copy.get("help"),
        verify_label => copy.get("verify_link"),
        verify_href => format!("{}/verify", mounted.unwrap_or_default().trim_end_matches('/')),
        support_email => brand.support_email.clone(),
        support_phone => phone,
        support_tel => phone.map(|text| -> String { digits(text) }),
        postal_address => brand.postal_address.clone(),
    }
}

/// What is known, as pairs of label and value. What is not known is not there.
fn facts(view: &PayView, pen: &Pen<'_>) -> Vec<Vec<String>> {
    let mut facts = Vec::new();
    let mut tell = |key: &str, value: Option<String>| {
        if let Some(value) = value {
            facts.push(vec![pen.copy.get(key), value]);
        }
    };
    let state = view.state;
    if !state.is_open() && state != PayState::Working {
        let paid = state == PayState::Recovered;
        tell("amount", Some(pen.money(view.amount)));
        tell("for", view.description.as_deref().and_then(words));
        let ended = if paid { "paid_on" } else { "ended" };
        tell(ended, view.ended_at.map(|at| pen.day(at)));
        tell("reference", Some(view.invoice.clone()).filter(|_| paid));
        return facts;
    }
    let last4 = view.last4.as_deref().filter(|l| is_last4(l));
    tell("card", last4.map(|_| pen.copy.get("card_value")));
    if state == PayState::Open {
        let language = pen.locale.language;
        tell("reason", view.category.map(|c| format::reason(c, language).to_owned()));
        let promised = view.promised.map(|day| noon(day, pen.zone));
        tell("next_try", promised.or(view.retry_at).map(|at| pen.day(at)));
    }
    facts
}

/// What else is owed: each with its own page, and the sum where there is one currency.
fn others(view: &PayView, pen: &Pen<'_>) -> Value {
    if view.others.is_empty() || !(view.state.is_open() || view.state == PayState::Working) {
        return Value::from(());
    }
    let row = |owed: &Owed| {
        context! {
            amount => pen.money(owed.amount),
            plan => owed.description.as_deref().and_then(words),
            href => owed.href.clone(),
            token => owed.token.clone(),
        }
    };
    context! {
        rows => view.others.iter().map(row).collect::<Vec<_>>(),
        total => total(view).map(|total| pen.money(total)),
    }
}

/// The sum of everything that is open; `None` over several currencies: they are never added up.
fn total(view: &PayView) -> Option<Money> {
    let mut minor = view.amount.minor;
    for owed in &view.others {
        if owed.amount.currency != view.amount.currency {
            return None;
        }
        minor = minor.checked_add(owed.amount.minor)?;
    }
    Some(Money { minor, ..view.amount })
}

/// The customer's payments, as rows of a table.
fn history(past: &[Past], pen: &Pen<'_>) -> Vec<Value> {
    let row = |line: &Past| {
        let outcome = match line.outcome {
            PastOutcome::Closed => "closed",
            PastOutcome::Failed => "failed",
            PastOutcome::Paid => "paid",
            PastOutcome::Working => "working",
        };
        context! {
            date => pen.day(line.at),
            plan => line.description.as_deref().and_then(words),
            amount => pen.money(line.amount),
            class => outcome,
            outcome => pen.copy.get(&format!("outcome_{outcome}")),
        }
    };
    past.iter().map(row).collect()
}

/// The buttons that an open case has.
fn doors(view: &PayView, pen: &Pen<'_>) -> Value {
    let has = |door: Door| view.state.is_open() && view.doors.contains(&door);
    let copy = &pen.copy;
    let primary = has(Door::UpdateCard).then(|| {
        let several = !view.others.is_empty() && view.card_is_for_all;
        let label = match total(view) {
            _ if view.state == PayState::ConfirmBank => copy.get("confirm"),
            _ if !several => copy.get("update_card"),
            Some(total) => {
                let all = vec![("amount", pen.money(total))];
                Copy::new(&pen.locale, all).get("update_card")
            }
            None => copy.get("update_card_all"),
        };
        vec!["update-card".to_owned(), label]
    });
    let buttons = [(Door::Retry, "retry", "retry"), (Door::OtherWay, "other-way", "other_way")];
    let buttons: Vec<Vec<String>> = buttons
        .into_iter()
        .filter(|(door, ..)| has(*door))
        .map(|(_, path, key)| vec![path.to_owned(), copy.get(key)])
        .collect();
    context! {
        action => view.action.clone(),
        primary,
        buttons,
        already_paid => has(Door::AlreadyPaid),
        more_time => has(Door::MoreTime) && view.more_time.is_some(),
        first_day => view.more_time.map(|(first, _)| first.to_string()),
        last_day => view.more_time.map(|(_, last)| last.to_string()),
        stop_reminders => has(Door::StopReminders),
    }
}
