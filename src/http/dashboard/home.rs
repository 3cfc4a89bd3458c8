//! `GET /`: what failed, what is back, by what, and what may still come.
//!
//! What must stay true: every figure leads to a list of exactly the cases that it counts.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};

use super::asked::{Asked, Period};
use super::sample;
use super::{Person, Trouble, assets, shell};
use crate::core::money::Currency;
use crate::core::policy::Policy;
use crate::core::report::forecast::{self, Basis, Expected};
use crate::core::report::overview::{How, Ledgered, Overview, Sum};
use crate::core::report::{Counting, Window};
use crate::core::trial::MILLION;
use crate::http::book::Shelf;
use crate::http::pages::{Bar, Chip, Figure, HomeView, Split, home_page, words};
use crate::http::{AppState, page};

/// A chart of more days than this has a bar for each month.
const DAILY: i32 = 62;

/// `GET /`.
pub(super) async fn show(
    State(state): State<AppState>,
    person: Person,
    asked: Asked,
) -> Result<Response, Trouble> {
    let shown = sample::shown(&state, &asked).await?;
    let shelf = shown.shelf();
    let version = format!("{}.{}", shelf.version(), state.clock.now().as_second() / 3_600);
    if asked.text("seen") == Some(&version) {
        return Ok(assets::unchanged());
    }
    let shell = shell(&state, &person.session, None);
    let zone = zone_of(&state);
    let now = state.clock.now();
    let period = asked.period()?;
    let days = period.days(now.to_zoned(zone.clone()).date());
    let base = in_days(&Asked::default().with("sample", sampled(&asked)), days);
    let mut selection = base.selection(&zone, now)?;
    let overview = Overview::of(shelf.cases(), &selection, &zone);
    selection.currency = asked.selection(&zone, now)?.currency.or(overview.main_currency());
    let learned = state.store.learned().await?;
    let basis = Basis { now, timing: &learned.timing, policy: &state.policy, zone: &zone };
    let still = forecast::expected(shelf.cases(), &basis);
    let maker = Maker { base: &base, asked: &asked, zone: &zone, now };
    let currency = selection.currency;
    let ledgered = currency.and_then(|c| overview.currencies.get(&c).cloned()).unwrap_or_default();
    let view = HomeView {
        period: Period::ALL.into_iter().find(|(p, ..)| *p == period).map_or("", |(.., name)| name),
        currency,
        cards: maker.cards(&overview, &ledgered, currency),
        bars: currency.map(|c| maker.bars(&ledgered, c, days)).unwrap_or_default(),
        splits: currency.map(|c| maker.splits(&ledgered, c)).unwrap_or_default(),
        periods: maker.periods(period),
        currencies: maker.currencies(&overview, currency),
        still: still_to_come(&still, currency),
        still_href: base_of_open(&asked, currency).href("/cases"),
        comparison: windows(shelf, &state.policy, now).pop().filter(|w| w.comparison.is_some()),
        comparison_href: maker.comparison(),
        refresh: asked.with("seen", version).href("/"),
        csv: base.with("format", "csv").href("/cases"),
        is_sample: asked.is_sample(),
        sample_href: Asked::default().with("sample", "1").href("/"),
        is_empty: shelf.len() == 0,
        overview,
        shell,
    };
    Ok(page(StatusCode::OK, home_page(&view)))
}

/// The merchant's time zone.
pub(super) fn zone_of(state: &AppState) -> TimeZone {
    TimeZone::get(&state.brand.time_zone).unwrap_or(TimeZone::UTC)
}

fn sampled(asked: &Asked) -> &str {
    asked.text("sample").unwrap_or_default()
}

fn in_days(asked: &Asked, (since, until): (Option<Date>, Option<Date>)) -> Asked {
    let text = |date: Option<Date>| date.map(|date| date.to_string()).unwrap_or_default();
    asked.with("since", text(since)).with("until", text(until))
}

fn base_of_open(asked: &Asked, currency: Option<Currency>) -> Asked {
    let code = currency.map(Currency::code).unwrap_or_default();
    let open = Asked::default().with("sample", sampled(asked)).with("state", "open");
    open.with("currency", code)
}

fn still_to_come(
    still: &std::collections::BTreeMap<Currency, Expected>,
    currency: Option<Currency>,
) -> Option<Expected> {
    still.get(&currency?).copied()
}

/// What the report tells of all cases.
pub(super) fn windows(shelf: &Shelf, policy: &Policy, now: Timestamp) -> Vec<Window> {
    let held_out = f64::from(policy.holdout_ppm) / f64::from(MILLION);
    let mut counting = Counting::new(now, held_out).at_the_fees_of(policy);
    shelf.cases().for_each(|case| counting.add(case));
    counting.finish()
}

/// Makes figures with the lists behind them.
struct Maker<'a> {
    /// The query of every case of the period.
    base: &'a Asked,
    asked: &'a Asked,
    zone: &'a TimeZone,
    now: Timestamp,
}

impl Maker<'_> {
    fn figure(&self, label: &str, sum: Sum, currency: Currency, words: &[(&str, &str)]) -> Figure {
        let base = self.base.with("currency", currency.code());
        let list = words.iter().fold(base, |list, (name, value)| list.with(name, value));
        let money = Some(sum.money(currency));
        let (label, href) = (label.to_owned(), list.href("/cases"));
        Figure { label, count: sum.count, money, href, of: None }
    }

    /// Of all currencies together by count; the money in one of them.
    fn cards(&self, overview: &Overview, of: &Ledgered, currency: Option<Currency>) -> Vec<Figure> {
        let whole = of.all.failed;
        let card = |label: &str, state: &str, sum: Sum, count: u64| {
            let list = self.base.with("state", state);
            let (label, href) = (label.to_owned(), list.href("/cases"));
            let money = currency.map(|currency| sum.money(currency));
            Figure { label, count, money, href, of: Some(whole) }
        };
        vec![
            card("Failed", "", whole, overview.count(|l| l.all.failed)),
            card("Back", "recovered", of.all.back, overview.count(|l| l.all.back)),
            card("Being worked on", "open", of.open, overview.count(|l| l.open)),
            card("Stopped", "given_up", of.given_up(), overview.count(Ledgered::given_up)),
        ]
    }

    fn splits(&self, of: &Ledgered, currency: Currency) -> Vec<Split> {
        let decline = of.by_category.iter().map(|(category, pair)| {
            let name = crate::http::pages::snake(category);
            let label = words::decline(*category);
            let figure = self.figure(label, pair.failed, currency, &[("decline", &name)]);
            let href = self.base.with("currency", currency.code()).with("decline", &name);
            let back = href.with("state", "recovered").href("/cases");
            (figure, Some((pair.back, back)))
        });
        let how = [How::Retry, How::OtherGateway, How::CardUpdate, How::Elsewhere];
        let how = how.into_iter().filter_map(|how| {
            let by = crate::core::case::RecoveredBy::from(how);
            let name = crate::http::pages::snake(by);
            let sum = of.by_how.get(&how)?;
            Some(self.back(words::recovered_by(by), *sum, currency, &[("by", &name)]))
        });
        let via = of.by_via.iter().map(|(gateway, sum)| {
            self.back(gateway.as_str(), *sum, currency, &[("via", gateway.as_str())])
        });
        let step = of.by_step.iter().map(|(step, sum)| {
            let (label, number) = (words::after_messages(*step), step.to_string());
            self.back(&label, *sum, currency, &[("step", &number)])
        });
        let channel = of.by_channel.iter().map(|(channel, sum)| {
            let name = channel.map_or("none", crate::core::customer::Channel::as_str);
            self.back(words::channel(*channel), *sum, currency, &[("channel", name)])
        });
        let one = |title, rows: Vec<(Figure, Option<(Sum, String)>)>| Split { title, rows };
        vec![
            one("By what it failed with", decline.collect()),
            one("Back, by what brought it", how.collect()),
            one("Back, by gateway", via.collect()),
            one("Back, by messages before", step.collect()),
            one("Back, by the last channel", channel.collect()),
        ]
    }

    fn back(
        &self,
        label: &str,
        sum: Sum,
        currency: Currency,
        words: &[(&str, &str)],
    ) -> (Figure, Option<(Sum, String)>) {
        let words = [&[("state", "recovered")], words].concat();
        (self.figure(label, sum, currency, &words), None)
    }

    /// A bar for each day, or each month, on which money came back.
    fn bars(
        &self,
        of: &Ledgered,
        currency: Currency,
        (since, until): (Option<Date>, Option<Date>),
    ) -> Vec<Bar> {
        let today = self.now.to_zoned(self.zone.clone()).date();
        let Some(first) = of.by_day.keys().next().copied() else { return Vec::new() };
        let from = since.unwrap_or(first).min(first);
        let last = of.by_day.keys().next_back().copied().unwrap_or(today);
        let to = until.and_then(|until| until.yesterday().ok()).unwrap_or(today).max(last);
        let days = from.until(to).map_or(0, |span| span.get_days());
        let monthly = days > DAILY;
        let mut bars = Vec::new();
        let mut start = if monthly { from.first_of_month() } else { from };
        while start <= to {
            let step = if monthly { 1.month() } else { 1.day() };
            let Ok(next) = start.checked_add(step) else { break };
            let sums = of.by_day.range(start..next).map(|(_, sum)| *sum);
            let sum = sums.fold(Sum::default(), Sum::plus);
            let base = self.base.with("currency", currency.code()).with("state", "recovered");
            let list = base.with("back_since", start).with("back_until", next);
            let label = start.strftime(if monthly { "%b %Y" } else { "%-d %b" }).to_string();
            bars.push(Bar { label, sum, href: list.href("/cases") });
            start = next;
        }
        bars
    }

    fn periods(&self, current: Period) -> Vec<Chip> {
        let chip = |(period, word, label): (Period, &str, &str)| Chip {
            label: label.to_owned(),
            href: self.asked.with("seen", "").with("period", word).href("/"),
            current: period == current,
        };
        Period::ALL.into_iter().map(chip).collect()
    }

    fn currencies(&self, overview: &Overview, current: Option<Currency>) -> Vec<Chip> {
        let chip = |currency: &Currency| Chip {
            label: currency.code().to_owned(),
            href: self.asked.with("seen", "").with("currency", currency.code()).href("/"),
            current: Some(*currency) == current,
        };
        overview.currencies.keys().map(chip).collect()
    }

    /// Of each arm: all that are old enough, and those that came back.
    fn comparison(&self) -> [[String; 2]; 2] {
        let days = crate::core::report::WINDOWS[1];
        let base = Asked::default().with("sample", sampled(self.asked)).with("window", days);
        ["smart", "holdout"].map(|arm| {
            let all = base.with("arm", arm);
            [all.href("/cases"), all.with("back", "yes").href("/cases")]
        })
    }
}
