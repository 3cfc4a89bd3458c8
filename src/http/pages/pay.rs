//! The hosted page: what is owed for what, why, and what can be done about it.
//!
//! Why here: the one page that paying customers see. Texts are data (`en.toml`, `es.toml`); the
//! amount, the days and the reason are written by `message::format`, exactly as in the mail.
//!
//! What must stay true: the amount on the button is the amount owed; an ended case offers no door.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use minijinja::{Value, context};

use super::{Door, PayNotice, PayState, PayView, css, fill};
use crate::core::case::{Case, State};
use crate::core::customer::Customer;
use crate::core::decline::{Advice, Category};
use crate::message::locale::{self, Language, Locale};
use crate::message::{Brand, format, is_last4, plan, words};

/// A language's texts by their key.
type Texts = BTreeMap<String, String>;

static TEXTS: LazyLock<[(Language, Texts); 2]> = LazyLock::new(|| {
    [
        (Language::En, toml::from_str(include_str!("en.toml")).unwrap_or_default()),
        (Language::Es, toml::from_str(include_str!("es.toml")).unwrap_or_default()),
    ]
});

impl PayView {
    /// The page of this case. `action` is `/pay/{token}`; which doors there are is the caller's to
    /// say, since it knows what the gateway and the policy allow.
    pub fn of(brand: Brand, case: &Case, customer: Option<&Customer>, action: String) -> Self {
        let method = case.token.as_deref().and_then(|token| customer?.method(&case.gateway, token));
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
            Self::CardReceived => "notice_card_received",
            Self::NotedAlreadyPaid => "notice_noted_already_paid",
            Self::NotedMoreTime => "notice_noted_more_time",
            Self::RemindersStopped => "notice_reminders_stopped",
            Self::Retrying => "notice_retrying",
            Self::Unavailable => "notice_unavailable",
        }
    }
}

/// The texts of one language, and what is filled into them.
struct Copy<'a> {
    texts: &'a Texts,
    values: Vec<(&'static str, String)>,
}

impl Copy<'_> {
    /// The text under `key`; the key itself where there is none, which a test would find.
    fn get(&self, key: &str) -> String {
        let text = self.texts.get(key).map_or(key, String::as_str).to_owned();
        self.values
            .iter()
            .fold(text, |text, (name, value)| text.replace(&format!("{{{name}}}"), value))
    }
}

fn texts(language: Language) -> &'static Texts {
    let own = TEXTS.iter().find(|(of, _)| *of == language);
    &own.unwrap_or(&TEXTS[0]).1
}

/// The first of both locales, else English, that the page has texts in.
fn written(customer: &str, merchant: &str) -> Locale {
    let has = |tag: &&str| {
        let language = locale::choose(Some(tag), "").language;
        TEXTS.iter().any(|(of, _)| *of == language) && tag.starts_with(language.as_str())
    };
    locale::choose([customer, merchant].into_iter().find(has), "en")
}

/// The hosted page, in the first of `locale` and the merchant's language that we have.
pub fn pay_page(view: &PayView, locale: &str) -> String {
    let locale = written(locale, &view.brand.locale);
    let zone = view.time_zone.as_deref().unwrap_or(&view.brand.time_zone);
    let amount = format::money(view.amount, &locale);
    let retry_on = view.retry_at.map(|at| format::on_date(at, zone, locale.language));
    let copy = Copy {
        texts: texts(locale.language),
        values: vec![
            ("amount", amount.clone()),
            ("date", retry_on.clone().unwrap_or_default()),
            ("last4", view.last4.clone().unwrap_or_default()),
            // What strangers may have typed comes last: it is not filled in again.
            ("brand", view.brand.name.clone()),
            ("plan", plan(view.description.as_deref(), locale.language)),
        ],
    };
    let started = matches!(view.notice, Some(PayNotice::CardReceived | PayNotice::Retrying));
    if started && view.state.is_open() {
        // The charge that the customer has just asked for is about to be made: no second button.
        let working = PayView { state: PayState::Working, ..view.clone() };
        return pay_page(&working, &locale.tag);
    }
    let state = view.state;
    let lead = match (state, retry_on) {
        (PayState::Working, _) if started => String::new(),
        (PayState::Open, Some(_)) => copy.get("lead_open_retry"),
        _ => copy.get(&format!("lead_{}", state.key())),
    };
    let t = context! {
        title => copy.get(&format!("title_{}", state.key())),
        lead,
        notice => view.notice.map(|notice| copy.get(notice.key())),
        safe => copy.get("safe"),
        help => copy.get("help"),
        check_again => copy.get("check_again"),
        other_options => copy.get("other_options"),
        more_time => copy.get("more_time"),
        more_time_date => copy.get("more_time_date"),
        more_time_send => copy.get("more_time_send"),
        stop_reminders => copy.get("stop_reminders"),
    };
    let page = context! {
        t,
        amount,
        plan => view.description.as_deref().and_then(words),
        sign => if state == PayState::Recovered { "done" } else { "" },
        is_open => state.is_open() || state == PayState::Working,
        again => state == PayState::Working,
        facts => facts(view, &copy, zone, locale.language),
    };
    fill(
        "pay.html",
        context! { ..page, ..doors(view, &copy), ..around(&view.brand, locale.language) },
    )
}

/// The page behind a link that leads nowhere.
pub fn unknown_link_page(brand: &Brand, locale: &str) -> String {
    let language = locale::choose(Some(locale), &brand.locale).language;
    let copy = Copy { texts: texts(language), values: Vec::new() };
    let t = context! {
        title => copy.get("title_unknown"),
        lead => copy.get("lead_unknown"),
        help => copy.get("help"),
        notice => Value::from(()),
    };
    let nothing: Vec<Vec<String>> = Vec::new();
    let page = context! {
        t,
        sign => "",
        is_open => false,
        again => false,
        facts => nothing.clone(),
        primary => Value::from(()),
        others => nothing,
        more_time => false,
        stop_reminders => false,
    };
    fill("pay.html", context! { ..page, ..around(brand, language) })
}

/// What is on every page of this merchant.
fn around(brand: &Brand, language: Language) -> Value {
    let phone = brand.support_phone.as_deref();
    let digits = |text: &str| text.chars().filter(|c| c.is_ascii_digit() || *c == '+').collect();
    context! {
        lang => language.as_str(),
        css => css(Some(brand)),
        brand => brand.name.clone(),
        logo_url => brand.logo_url.as_deref().filter(|url| url.starts_with("https://")),
        support_email => brand.support_email.clone(),
        support_phone => phone,
        support_tel => phone.map(|text| -> String { digits(text) }),
        postal_address => brand.postal_address.clone(),
    }
}

/// What is known, as pairs of label and value. What is not known is not there.
fn facts(view: &PayView, copy: &Copy<'_>, zone: &str, language: Language) -> Vec<Vec<String>> {
    let mut facts = Vec::new();
    let mut tell = |key: &str, value: Option<String>| {
        if let Some(value) = value {
            facts.push(vec![copy.get(key), value]);
        }
    };
    let state = view.state;
    if !state.is_open() && state != PayState::Working {
        tell("amount", Some(copy.get("{amount}")));
        tell("for", view.description.as_deref().and_then(words));
        tell("ended", view.ended_at.map(|at| format::date(at, zone, language)));
        return facts;
    }
    let last4 = view.last4.as_deref().filter(|l| is_last4(l));
    tell("card", last4.map(|_| copy.get("card_value")));
    if state == PayState::Open {
        tell("reason", view.category.map(|c| format::reason(c, language).to_owned()));
        tell("next_try", view.retry_at.map(|at| format::date(at, zone, language)));
    }
    facts
}

/// The buttons that an open case has.
fn doors(view: &PayView, copy: &Copy<'_>) -> Value {
    let has = |door: Door| view.state.is_open() && view.doors.contains(&door);
    let primary = has(Door::UpdateCard).then(|| {
        let confirms = view.state == PayState::ConfirmBank;
        vec!["update-card".to_owned(), copy.get(if confirms { "confirm" } else { "update_card" })]
    });
    let others = [
        (Door::Retry, "retry", "retry"),
        (Door::OtherWay, "other-way", "other_way"),
        (Door::AlreadyPaid, "already-paid", "already_paid"),
    ];
    let others: Vec<Vec<String>> = others
        .into_iter()
        .filter(|(door, ..)| has(*door))
        .map(|(_, path, key)| vec![path.to_owned(), copy.get(key)])
        .collect();
    context! {
        action => view.action.clone(),
        primary,
        others,
        more_time => has(Door::MoreTime),
        stop_reminders => has(Door::StopReminders),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_languages_have_the_same_texts() {
        let keys = |language| texts(language).keys().collect::<Vec<_>>();
        assert!(keys(Language::En).len() > 30);
        assert_eq!(keys(Language::En), keys(Language::Es));
        for language in [Language::En, Language::Es] {
            assert_eq!(texts(language)["lang"], language.as_str());
        }
    }
}
