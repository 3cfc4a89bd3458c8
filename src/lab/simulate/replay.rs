//! One case from its failure to its end, under one schedule.
//!
//! Why here: what is compared is the choice of days, so everything else is the same for every
//! schedule: what the category allows (`core::decline::policy`), a delay that the network stated,
//! technical failures tried again the next day, gateways in turn. The days come from the functions
//! of the core that production calls; nothing is copied.
//!
//! What must stay true: at most `attempts` tries on the schedule, none outside the window.

use jiff::civil::Date;

use crate::core::decline::{self, Category, CategoryPolicy, OtherGateway, RetryMode};
use crate::core::learning::timing::{Ask, Charge, Context, End, Group, History, Timing};
use crate::core::policy::Schedule;
use crate::core::schedule;

/// Days between two attempts of a learned plan at least, as in production.
const GAP: u32 = 2;

/// What answers a charge.
pub trait Bank {
    /// Charges on this day after the failure.
    fn charge(&mut self, ask: Charging) -> Answer;

    /// The first day after `day` on which the customer is known to have changed the card.
    fn card_changed_after(&self, day: u32) -> Option<u32>;
}

/// One charge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Charging {
    /// Days after the failure.
    pub day: u32,
    /// Which gateway, from 0: the one that failed first.
    pub gateway: usize,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Approved.
    Approved,
    /// Declined for this reason; with the network's advice not before so many days.
    Declined(Category, Option<u32>),
}

/// What is known when a case begins.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// When it failed.
    pub failed_on: Date,
    /// Why.
    pub category: Category,
    /// The network's stated delay, in days.
    pub wait: Option<u32>,
    /// The customer's earlier charges.
    pub past: &'a [Charge],
    /// Network and funding of the card.
    pub segment: u8,
}

impl Subject<'_> {
    /// What the choice of days sees of it, after a refusal of this category.
    pub fn context(&self, category: Category) -> Context {
        Context {
            group: Group::of(category),
            failed_on: self.failed_on,
            history: History::of(self.past, self.failed_on),
            segment: self.segment,
        }
    }
}

/// How attempts are laid out.
#[derive(Debug, Clone, Copy)]
pub struct Layout<'a> {
    /// The schedule.
    pub schedule: &'a Schedule,
    /// What the smart schedule has learned.
    pub timing: &'a Timing,
    /// Attempts on the schedule at most.
    pub attempts: u32,
    /// Days.
    pub window: u32,
    /// Gateways, used in turn.
    pub gateways: usize,
}

/// What became of a case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Replay {
    /// On which day it was recovered.
    pub recovered: Option<u32>,
    /// Every attempt, technical ones included.
    pub attempts: u32,
    /// What a merchant could learn from it, with the category before each try.
    pub tried: Vec<(Category, u32)>,
    /// How it ended.
    pub end: Option<End>,
}

/// A case under way.
struct Run<'a, 'b> {
    subject: &'a Subject<'a>,
    layout: &'a Layout<'b>,
    category: Category,
    wait: Option<u32>,
    changed: Option<u32>,
    declined: u32,
    made: u32,
    tried: u32,
    technical: usize,
}

/// Plays a case to its end.
pub fn replay(subject: &Subject<'_>, bank: &mut impl Bank, layout: &Layout<'_>) -> Replay {
    let mut done = Replay::default();
    let (category, wait) = (subject.category, subject.wait);
    let mut run = Run {
        subject,
        layout,
        category,
        wait,
        changed: None,
        declined: 0,
        made: 0,
        tried: 0,
        technical: 0,
    };
    while let Some(day) = run.next_day(bank).filter(|day| *day <= layout.window) {
        done.attempts += 1;
        run.tried += 1;
        let gateway = done.attempts as usize % layout.gateways.max(1);
        let answer = bank.charge(Charging { day, gateway });
        // A day that the network or the customer named says nothing about other days.
        if run.wait.is_none() && run.changed != Some(day) {
            done.tried.push((run.category, day));
        }
        match answer {
            Answer::Approved => {
                done.recovered = Some(day);
                // A changed card went through: the days before it waited for nothing.
                let changed = run.changed == Some(day);
                done.end = Some(if changed { End::Barred } else { End::Approved });
                break;
            }
            Answer::Declined(category, wait) => {
                (run.category, run.wait, run.declined) = (category, wait, day);
                done.end = Some(if barred(category) { End::Barred } else { End::Declined });
            }
        }
    }
    done
}

fn barred(category: Category) -> bool {
    matches!(decline::policy(category).retry, RetryMode::AfterCustomer | RetryMode::Never)
}

impl Run<'_, '_> {
    fn next_day(&mut self, bank: &impl Bank) -> Option<u32> {
        let policy = decline::policy(self.category);
        // A changed card is charged at once, whatever was planned.
        self.changed = bank.card_changed_after(self.declined);
        let (planned, counts) = match policy.retry {
            // It may be the route's fault: the other ones come first, so this is about the first.
            RetryMode::Never if self.may_go_elsewhere(policy) => (Some(self.declined + 1), true),
            RetryMode::Never | RetryMode::AfterCustomer => (None, false),
            RetryMode::Soon if self.technical < policy.soon_delays_s.len() => {
                self.technical += 1;
                (Some(self.declined + 1), false)
            }
            RetryMode::Soon | RetryMode::Schedule => (self.on_schedule(), true),
        };
        match (planned, self.changed) {
            (Some(planned), Some(changed)) if changed < planned => Some(changed),
            (Some(planned), _) => {
                self.made += u32::from(counts);
                Some(planned)
            }
            (None, changed) => changed,
        }
    }

    fn may_go_elsewhere(&self, policy: &CategoryPolicy) -> bool {
        policy.other_gateway == OtherGateway::Once && self.layout.gateways > 1 && self.tried == 0
    }

    fn on_schedule(&self) -> Option<u32> {
        let layout = self.layout;
        if self.made >= layout.attempts {
            return None;
        }
        let stated = self.wait.map(|wait| self.declined + wait.max(1));
        let earliest = stated.unwrap_or(self.declined + 1);
        let learned = || {
            let ask = Ask {
                declined: self.declined,
                earliest: stated.unwrap_or(if self.made == 0 { 1 } else { self.declined + GAP }),
                named: stated,
                window: layout.window,
                attempts: layout.attempts - self.made,
                gap: GAP,
            };
            layout.timing.plan(&self.subject.context(self.category), &ask)
        };
        let plan = matches!(layout.schedule, Schedule::Smart).then(learned).flatten();
        let plan = plan.as_ref().map(|plan| plan.days.as_slice());
        let slots = schedule::days(layout.schedule, plan, layout.window, layout.attempts);
        let made = if plan.is_some() { 0 } else { self.made as usize };
        slots.into_iter().skip(made).find(|day| *day >= earliest)
    }
}
