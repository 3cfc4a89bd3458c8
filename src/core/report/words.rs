//! The comparison in plain words.
//!
//! Why here: a merchant who is no statistician must read what the numbers say, and above all when
//! they say nothing yet.
//!
//! What must stay true: no difference is claimed whose interval holds zero.

use super::{Comparison, Share};

/// The difference that a merchant would care for, in points: how many cases it takes is said of it.
const WORTH_KNOWING: u32 = 2;

/// The result in a few sentences.
pub(super) fn of(comparison: &Comparison, days: u32) -> String {
    let Comparison { smart, holdout, difference, .. } = comparison;
    let Some(found) = difference.all else {
        let (there, missing) = match smart.all.cases {
            0 => (holdout.all.cases, "the smart schedule"),
            cases => (cases, "the hold-out"),
        };
        return format!(
            "Nothing can be compared yet: of {there} cases that are {days} days old none is of \
             {missing}. {}",
            needed(comparison)
        );
    };
    let points = |share: f64| format!("{:+.1}", share * 100.0);
    let seen = format!(
        "Within {days} days {} recovered on the smart schedule, {} held out of it: a difference of \
         {} points, and with 95 % confidence between {} and {}.",
        shown(smart.all),
        shown(holdout.all),
        points(found.estimate),
        points(found.low),
        points(found.high)
    );
    let meaning = match comparison.told {
        true if found.estimate > 0.0 => "What was learned helps.".to_owned(),
        true => "What was learned does harm: set `schedule = \"even\"` and tell us.".to_owned(),
        false => format!("That is too little to tell them apart. {}", needed(comparison)),
    };
    format!("{seen} {meaning}")
}

fn shown(share: Share) -> String {
    let percent = share.share.map_or(0.0, |share| share.estimate * 100.0);
    format!("{} of {} ({percent:.1} %) were", share.recovered, share.cases)
}

fn needed(comparison: &Comparison) -> String {
    match comparison.needed.iter().find(|needed| needed.points == WORTH_KNOWING) {
        Some(needed) => format!(
            "To tell a difference of {WORTH_KNOWING} points takes about {} cases, {} more than \
             there are.",
            needed.cases, needed.more
        ),
        None => "No number of cases can tell them apart while nobody is held out.".to_owned(),
    }
}
