//! The dashboard's report: what came back, and smart against held out, in plain words.
//!
//! What must stay true: every share stands beside its denominator, every comparison beside its
//! interval; nothing is computed here.

use minijinja::{Value, context};

use super::desk::around;
use super::{ReportView, fill};
use crate::core::report::stats::Interval;
use crate::core::report::{Comparison, Group, Share, Window};

/// `GET /report`.
pub fn report_page(view: &ReportView) -> String {
    let windows: Vec<Value> = view.windows.iter().rev().map(window).collect();
    fill(
        "report.html",
        context! { here => "report", sample => view.is_sample, windows, ..around(&view.shell) },
    )
}

fn window(window: &Window) -> Value {
    let cases = &window.cases;
    let by = cases.recovered_by;
    let money = cases.money.iter().map(|money| {
        let name = format!("Of what was owed in {}", money.owed.currency);
        let share = money.share.map_or_else(String::new, percent);
        vec![name, format!("{} of {}", money.recovered, money.owed), share, String::new()]
    });
    let mut rows = vec![
        row("Of all cases", cases.all),
        row("Of those that may be charged again", cases.retryable),
        row("Of those that were charged again", cases.attempted),
    ];
    rows.extend(money);
    context! {
        days => window.days,
        too_young => window.too_young,
        rows,
        by => [
            ("Retry", by.retry),
            ("Another gateway", by.other_gateway),
            ("Card update", by.card_update),
            ("Elsewhere", by.elsewhere),
        ],
        attempts => cases.attempts,
        each => cases.attempts_per_recovery.map(|each| format!("{each:.2}")),
        comparison => window.comparison.as_ref().map(comparison),
    }
}

fn row(name: &str, share: Share) -> Vec<String> {
    let of = format!("{} of {}", share.recovered, share.cases);
    let shown = share.share.map(|share| percent(share.estimate)).unwrap_or_default();
    vec![name.to_owned(), of, shown, share.share.map(between).unwrap_or_default()]
}

fn comparison(found: &Comparison) -> Value {
    let line = |name: &str, of: fn(&Group) -> Share, difference: Option<Interval>| {
        let side = |share: Share| match share.share {
            Some(found) => format!("{} of {}", percent(found.estimate), share.cases),
            None => "none".to_owned(),
        };
        let points = |share: f64| format!("{:+.1}", share * 100.0);
        let shown = difference.map(|found| {
            let Interval { estimate, low, high } = found;
            format!("{} ({} to {})", points(estimate), points(low), points(high))
        });
        let (smart, holdout) = (side(of(&found.smart)), side(of(&found.holdout)));
        vec![name.to_owned(), smart, holdout, shown.unwrap_or_default()]
    };
    let difference = &found.difference;
    context! {
        in_words => found.in_words.clone(),
        rows => [
            line("All cases", |group| group.all, difference.all),
            line("May be charged again", |group| group.retryable, difference.retryable),
            line("Were charged again", |group| group.attempted, difference.attempted),
        ],
    }
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

fn between(share: Interval) -> String {
    format!("{:.1} to {:.1} %", share.low * 100.0, share.high * 100.0)
}
