//! Which cases a figure counts: the same words choose the cases of a figure and of the list behind
//! it, so that the two cannot differ.
//!
//! What must stay true: what is not asked for lets everything pass.

use jiff::{SignedDuration, Timestamp};

use super::facts::Facts;
use crate::core::case::{RecoveredBy, State};
use crate::core::customer::Channel;
use crate::core::decline::Category;
use crate::core::ids::GatewayId;
use crate::core::money::Currency;
use crate::core::trial::Arm;

/// How long a window of so many days is: its last day counts whole, since it is the day of the last
/// attempt of an even schedule.
pub fn length(days: u32) -> SignedDuration {
    SignedDuration::from_hours(24 * (i64::from(days) + 1))
}

/// Where cases stand, as people ask for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// In exactly this state.
    At(State),
    /// Not ended.
    Open,
    /// Ended without the money.
    GivenUp,
}

impl Standing {
    /// The name as in a query.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::At(state) => state.as_str(),
            Self::Open => "open",
            Self::GivenUp => "given_up",
        }
    }

    /// The standing of this name.
    pub fn read(name: &str) -> Option<Self> {
        match name {
            "open" => Some(Self::Open),
            "given_up" => Some(Self::GivenUp),
            name => State::ALL.into_iter().find(|state| state.as_str() == name).map(Self::At),
        }
    }

    /// Whether a case in this state stands so.
    pub fn holds(self, state: State) -> bool {
        match self {
            Self::At(wanted) => state == wanted,
            Self::Open => !state.is_ended(),
            Self::GivenUp => state.is_ended() && state != State::Recovered,
        }
    }
}

/// A span of time, from a moment on and before another.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Span {
    /// The first moment.
    pub since: Option<Timestamp>,
    /// The first moment that is too late.
    pub until: Option<Timestamp>,
}

impl Span {
    /// Whether a moment is within.
    pub fn holds(&self, at: Timestamp) -> bool {
        self.since.is_none_or(|since| at >= since) && self.until.is_none_or(|until| at < until)
    }
}

/// A window of a report: cases that are old enough for it, and what happened within.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Within {
    /// The days.
    pub days: u32,
    /// The moment of the report.
    pub now: Timestamp,
    /// Only those that came back within.
    pub back: bool,
}

/// Which cases.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// That opened then.
    pub opened: Span,
    /// That came back then.
    pub back: Option<Span>,
    /// That stand so.
    pub standing: Option<Standing>,
    /// In this currency.
    pub currency: Option<Currency>,
    /// That began with this.
    pub category: Option<Category>,
    /// That this brought back.
    pub by: Option<RecoveredBy>,
    /// That came back through this gateway.
    pub via: Option<GatewayId>,
    /// Of this billing gateway.
    pub gateway: Option<GatewayId>,
    /// That came back after so many messages.
    pub step: Option<usize>,
    /// Whose last message went so; `None` within: that were never written to.
    pub channel: Option<Option<Channel>>,
    /// On this side of the comparison.
    pub arm: Option<Arm>,
    /// Within a report's window.
    pub within: Option<Within>,
}

impl Selection {
    /// Whether this case is one of them.
    pub fn holds(&self, case: &Facts) -> bool {
        fn is<T: PartialEq>(wanted: Option<&T>, found: &T) -> bool {
            wanted.is_none_or(|wanted| wanted == found)
        }
        self.opened.holds(case.opened_at)
            && self.back.is_none_or(|span| came_back(case).is_some_and(|at| span.holds(at)))
            && self.standing.is_none_or(|standing| standing.holds(case.state))
            && is(self.currency.as_ref(), &case.amount.currency)
            && is(self.category.as_ref(), &case.category)
            && self.by.is_none_or(|by| case.is_back() && case.by == Some(by))
            && self.via.as_ref().is_none_or(|via| case.is_back() && case.via.as_ref() == Some(via))
            && is(self.gateway.as_ref(), &case.gateway)
            && self.step.is_none_or(|step| case.is_back() && case.step() == step)
            && self.channel.is_none_or(|channel| case.is_back() && case.channel() == channel)
            && self.arm.is_none_or(|arm| case.arm == Some(arm))
            && self.within.is_none_or(|within| within.holds(case))
    }
}

impl Within {
    fn holds(self, case: &Facts) -> bool {
        let length = length(self.days);
        let old = self.now.duration_since(case.opened_at) >= length;
        let back = || came_back(case).is_some_and(|at| at.duration_since(case.opened_at) < length);
        old && (!self.back || back())
    }
}

/// When it came back, if it did.
pub fn came_back(case: &Facts) -> Option<Timestamp> {
    case.ended_at.filter(|_| case.is_back())
}
