//! The first page: one sentence, figures, what came back by what, and what may still come.
//!
//! What must stay true: money of two currencies is never in one sum; every figure has its list;
//! nothing is counted here.

use minijinja::{Value, context};

use super::desk::around;
use super::words::{self, money, percent};
use super::{Shell, fill};
use crate::core::money::{Currency, Money};
use crate::core::report::forecast::Expected;
use crate::core::report::overview::{Overview, Sum};
use crate::core::report::stats::Interval;
use crate::core::report::{Share, Window};

/// A choice that leads to another view of the same page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chip {
    /// What it says.
    pub label: String,
    /// Where it leads.
    pub href: String,
    /// Whether it is the view that is shown.
    pub current: bool,
}

/// As a template takes them.
pub(super) fn chips(chips: &[Chip]) -> Vec<Value> {
    let chip = |chip: &Chip| {
        context! {
            label => chip.label.clone(),
            href => chip.href.clone(),
            current => chip.current,
        }
    };
    chips.iter().map(chip).collect()
}

/// A number with the list behind it.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// What it counts.
    pub label: String,
    /// How many.
    pub count: u64,
    /// How much, in the currency that is shown.
    pub money: Option<Money>,
    /// Its list.
    pub href: String,
    /// What it is a part of.
    pub of: Option<Sum>,
}

/// A table of figures; beside what failed, what of it is back, with its list.
#[derive(Debug, Clone, PartialEq)]
pub struct Split {
    /// What it is split by.
    pub title: &'static str,
    /// The rows.
    pub rows: Vec<(Figure, Option<(Sum, String)>)>,
}

/// A bar of the chart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bar {
    /// The day, or the month.
    pub label: String,
    /// What came back then.
    pub sum: Sum,
    /// Its list.
    pub href: String,
}

/// The first page.
#[derive(Debug, Clone)]
pub struct HomeView {
    /// Around it.
    pub shell: Shell,
    /// The cases of the period.
    pub overview: Overview,
    /// Which period, in words.
    pub period: &'static str,
    /// Other periods.
    pub periods: Vec<Chip>,
    /// The currency that is shown.
    pub currency: Option<Currency>,
    /// Others.
    pub currencies: Vec<Chip>,
    /// The numbers of the sentence.
    pub cards: Vec<Figure>,
    /// What came back, over time.
    pub bars: Vec<Bar>,
    /// By what.
    pub splits: Vec<Split>,
    /// What may still come.
    pub still: Option<Expected>,
    /// The cases that it may come of.
    pub still_href: String,
    /// Smart against held out, over all time.
    pub comparison: Option<Window>,
    /// Of smart and held out: the list of all, and of those that are back.
    pub comparison_href: [[String; 2]; 2],
    /// Where the page asks for itself.
    pub refresh: String,
    /// The cases of the period as CSV.
    pub csv: String,
    /// Whether it is made up.
    pub is_sample: bool,
    /// Where it is made up.
    pub sample_href: String,
    /// Whether there is no case at all.
    pub is_empty: bool,
}

/// `GET /`.
pub fn home_page(view: &HomeView) -> String {
    let page = context! {
        here => "home",
        sentence => sentence(view),
        period => view.period,
        periods => chips(&view.periods),
        currencies => chips(&view.currencies),
        currency => view.currency.map(Currency::code),
        cards => view.cards.iter().map(card).collect::<Vec<_>>(),
        chart => chart(&view.bars, view.currency),
        splits => view.splits.iter().filter(|s| !s.rows.is_empty()).map(split).collect::<Vec<_>>(),
        still => view.still.as_ref().map(|still| forecast(still, &view.still_href)),
        comparison => view.comparison.as_ref().and_then(|w| comparison(w, &view.comparison_href)),
        refresh => view.refresh.clone(),
        csv => view.csv.clone(),
        sample => view.is_sample,
        sample_href => view.sample_href.clone(),
        empty => view.is_empty,
    };
    fill("home.html", context! { ..page, ..around(&view.shell) })
}

/// “This month 41 payments failed ($3,910); 29 are back ($2,744, 70 %); …”
fn sentence(view: &HomeView) -> String {
    let overview = &view.overview;
    let sums = |of: fn(&crate::core::report::overview::Ledgered) -> Sum| -> (u64, String) {
        let each = overview.currencies.iter().map(|(currency, ledgered)| {
            let sum = of(ledgered);
            (sum.count, money(sum.money(*currency)))
        });
        let some: Vec<_> = each.filter(|(count, _)| *count > 0).collect();
        let money: Vec<_> = some.iter().map(|(_, money)| money.as_str()).collect();
        (some.iter().map(|(count, _)| count).sum(), money.join(" + "))
    };
    let (failed, owed) = sums(|l| l.all.failed);
    let when = match view.period {
        "All time" => "So far".to_owned(),
        "Last 30 days" => "In the last 30 days".to_owned(),
        period => period.to_owned(),
    };
    if failed == 0 {
        return format!("{when} no payment failed.");
    }
    let is = |count: u64| if count == 1 { "is" } else { "are" };
    let (back, brought) = sums(|l| l.all.back);
    let (open, _) = sums(|l| l.open);
    let (ended, _) = sums(crate::core::report::overview::Ledgered::given_up);
    let share = share_of(overview).map(|share| format!(", {share}")).unwrap_or_default();
    let brought = if back == 0 { String::new() } else { format!(" ({brought}{share})") };
    format!(
        "{when} {} failed ({owed}); {back} {} back{brought}; {open} {} being worked on; {ended} \
         stopped.",
        words::many(failed, "payment"),
        is(back),
        is(open),
    )
}

/// Of the money where it is of one currency; else of the payments, and says so.
fn share_of(overview: &Overview) -> Option<String> {
    let mut currencies = overview.currencies.values();
    match (currencies.next(), currencies.next()) {
        (Some(only), None) => only.all.back.share_of(only.all.failed).map(percent),
        _ => {
            let (back, all) = (overview.count(|l| l.all.back), overview.count(|l| l.all.failed));
            (all > 0).then(|| format!("{} of the payments", percent(back as f64 / all as f64)))
        }
    }
}

fn card(figure: &Figure) -> Value {
    let amount = figure.money.filter(|amount| amount.minor > 0);
    let part = |whole: &Sum| {
        let sum = Sum { count: figure.count, minor: figure.money?.minor };
        sum.share_of(*whole).filter(|share| *share < 1.0).map(percent)
    };
    context! {
        label => figure.label.clone(),
        count => figure.count,
        amount => amount.map(money),
        href => figure.href.clone(),
        share => figure.of.as_ref().filter(|_| amount.is_some()).and_then(part),
    }
}

fn split(split: &Split) -> Value {
    let of_back = split.rows.iter().any(|(_, back)| back.is_some());
    let largest = split.rows.iter().map(|(figure, _)| figure.count).max().unwrap_or(1).max(1);
    let row = |(figure, back): &(Figure, Option<(Sum, String)>)| {
        let width = |count: u64| (count * 100).div_ceil(largest);
        context! {
            label => figure.label.clone(),
            count => figure.count,
            amount => figure.money.map(money),
            href => figure.href.clone(),
            width => width(figure.count),
            back => back.as_ref().map(|(sum, _)| sum.count),
            back_href => back.as_ref().map(|(_, href)| href.clone()),
            back_width => width(back.as_ref().map_or(figure.count, |(sum, _)| sum.count)),
            share => back.as_ref().map(|(sum, _)| percent(sum.count as f64 / figure.count as f64)),
        }
    };
    context! {
        title => split.title,
        of_back,
        rows => split.rows.iter().map(row).collect::<Vec<_>>(),
    }
}

/// Heights in hundredths of the highest bar.
fn chart(bars: &[Bar], currency: Option<Currency>) -> Option<Value> {
    let currency = currency?;
    let highest = bars.iter().max_by_key(|bar| bar.sum.minor).filter(|bar| bar.sum.minor > 0)?;
    let top = highest.sum.minor;
    let bar = |bar: &Bar| {
        let height = (i128::from(bar.sum.minor) * 100).div_euclid(i128::from(top));
        context! {
            label => bar.label.clone(),
            count => bar.sum.count,
            amount => money(bar.sum.money(currency)),
            href => bar.href.clone(),
            // What is there is seen.
            height => if bar.sum.count > 0 { height.max(2) } else { 0 },
        }
    };
    Some(context! {
        bars => bars.iter().map(bar).collect::<Vec<_>>(),
        top => money(highest.sum.money(currency)),
        top_label => highest.label.clone(),
        first => bars.first().map(|bar| bar.label.clone()),
        last => bars.last().map(|bar| bar.label.clone()),
        width => bars.len() * 10,
    })
}

fn forecast(still: &Expected, href: &str) -> Value {
    let by_likes = still.cases - still.by_timing;
    let mut how = Vec::new();
    if still.by_timing > 0 {
        how.push(format!(
            "{} by what timing has learned of the attempts that are left",
            words::many(still.by_timing, "case")
        ));
    }
    if by_likes > 0 {
        how.push(format!(
            "{} by how cases of the same kind went on that were open at the same age",
            words::many(by_likes, "case")
        ));
    }
    if still.unknown > 0 {
        let is = if still.unknown == 1 { "is" } else { "are" };
        how.push(format!("{} {is} left out: too few like it have ended", still.unknown));
    }
    context! {
        href,
        count => still.cases + still.unknown,
        amount => (still.cases > 0).then(|| money(still.expected)),
        owed => money(still.owed),
        how => how.join("; "),
    }
}

fn comparison(window: &Window, href: &[[String; 2]; 2]) -> Option<Value> {
    let found = window.comparison.as_ref()?;
    let side = |name: &str, share: Share, href: &[String; 2]| {
        let interval = share.share.unwrap_or(Interval { estimate: 0.0, low: 0.0, high: 0.0 });
        let at = |share: f64| (share * 100.0).round();
        context! {
            name,
            cases => share.cases,
            recovered => share.recovered,
            share => percent(interval.estimate),
            estimate => at(interval.estimate),
            low => at(interval.low),
            width => at(interval.high) - at(interval.low),
            all_href => href[0].clone(),
            back_href => href[1].clone(),
        }
    };
    Some(context! {
        days => window.days,
        in_words => found.in_words.clone(),
        sides => [
            side("Smart schedule", found.smart.all, &href[0]),
            side("Held out", found.holdout.all, &href[1]),
        ],
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::report::overview::{Ledgered, Pair};

    fn sum(count: u64, minor: i64) -> Sum {
        Sum { count, minor }
    }

    fn view(currencies: &[(&str, Ledgered)]) -> HomeView {
        let each = currencies.iter().map(|(code, l)| (code.parse().unwrap(), l.clone()));
        HomeView {
            shell: Shell {
                brand: "Café Nube".to_owned(),
                time_zone: "UTC".to_owned(),
                now: jiff::Timestamp::UNIX_EPOCH,
                test_clock: false,
                csrf: None,
                notice: None,
                who: None,
                role: None,
            },
            overview: Overview { currencies: each.collect() },
            period: "This month",
            periods: Vec::new(),
            currency: None,
            currencies: Vec::new(),
            cards: Vec::new(),
            bars: Vec::new(),
            splits: Vec::new(),
            still: None,
            still_href: String::new(),
            comparison: None,
            comparison_href: Default::default(),
            refresh: String::new(),
            csv: String::new(),
            is_sample: false,
            sample_href: String::new(),
            is_empty: false,
        }
    }

    #[test]
    fn one_sentence_says_it_all() {
        let usd = Ledgered {
            all: Pair { failed: sum(41, 391_000), back: sum(29, 274_400) },
            open: sum(8, 70_000),
            exhausted: sum(3, 30_000),
            stopped: sum(1, 16_600),
            ..Ledgered::default()
        };
        assert_eq!(
            sentence(&view(&[("USD", usd.clone())])),
            "This month 41 payments failed ($3,910.00); 29 are back ($2,744.00, 70 %); 8 are being \
             worked on; 4 stopped."
        );
        let one = Pair { failed: sum(1, 1_000), back: sum(1, 1_000) };
        let eur = Ledgered { all: one, ..Ledgered::default() };
        assert_eq!(
            sentence(&view(&[("EUR", eur), ("USD", usd)])),
            "This month 42 payments failed (€10.00 + $3,910.00); 30 are back (€10.00 + $2,744.00, \
             71 % of the payments); 8 are being worked on; 4 stopped."
        );
        assert_eq!(sentence(&view(&[])), "This month no payment failed.");
    }
}
