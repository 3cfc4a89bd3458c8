//! The built-in issuer model: failed charges with a hidden cause, and a bank that answers.
//!
//! Why here: a schedule must be judged against a bank that reacts. Approval depends on why the
//! charge failed, on the balance of the day, on how often it was tried and through which gateway;
//! what the merchant is told of it is noisy. The parameters are data ([`super::model_file`]),
//! each with its source or marked as assumed.
//!
//! What must stay true: a case follows from (seed, number) alone, and an answer from the case, the
//! day, the gateway and the attempts before it, so two schedules meet the same luck.

use std::collections::BTreeMap;
use std::sync::Arc;

use fastrand::Rng;
use jiff::ToSpan as _;
use jiff::civil::{Date, Weekday};

use super::model_file::{Calendar, File};
use super::replay::{Answer, Bank, Charging, Subject};
use crate::core::decline::Category;
use crate::core::learning::timing::{Charge, segment};

/// Days before the failure that a balance is followed for.
const BEFORE: i32 = 120;
/// Days after it.
const AFTER: i32 = 61;

/// Why a charge failed, which nobody is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    Funds,
    Risk,
    Permanent,
    Technical,
    Gateway,
}

const CAUSES: [(Cause, &str); 5] = [
    (Cause::Funds, "funds"),
    (Cause::Risk, "risk"),
    (Cause::Permanent, "permanent"),
    (Cause::Technical, "technical"),
    (Cause::Gateway, "gateway"),
];

/// A model: the file's, or one drawn around it.
#[derive(Debug, Clone)]
pub struct Model {
    values: BTreeMap<String, f64>,
    file: Arc<File>,
    calendars: Vec<Calendar>,
    gateways: usize,
}

impl Model {
    /// A file's model of a country; draw 0 is the file's own, every other moves its numbers.
    /// `None`: the file knows no such country.
    pub fn new(file: &Arc<File>, country: &str, draw: u64, gateways: usize) -> Option<Self> {
        let calendars = file.calendars.get(country)?.clone();
        let mut rng = Rng::with_seed(draw.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let values = file.parameters.iter().map(|(name, parameter)| {
            let by = if draw == 0 { 0.0 } else { parameter.spread * normal(&mut rng) };
            let value = match name.ends_with("_logit") {
                true => parameter.value + by,
                false => chance(logit(parameter.value) + by),
            };
            (name.clone(), value)
        });
        let values = values.collect();
        Some(Self { values, file: file.clone(), calendars, gateways: gateways.max(1) })
    }

    fn value(&self, name: &str) -> f64 {
        self.values.get(name).copied().unwrap_or_default()
    }

    /// The case of this number.
    pub fn case(&self, seed: u64, number: u64) -> MadeCase<'_> {
        let mut rng = Rng::with_seed(mixed(&[seed, number]));
        let failed_on = Date::constant(2026, 1, 1).saturating_add(rng.i64(0..365).days());
        let cause = self.cause(&mut rng);
        let balance = self.balance(&mut rng, failed_on, cause);
        let until = |rng: &mut Rng, chance: f64| (1..=200).find(|_| rng.f64() < chance);
        let clears = match cause {
            Cause::Risk => until(&mut rng, self.value("risk_clears_per_day")),
            Cause::Technical => until(&mut rng, self.value("technical_clears_per_day")),
            Cause::Permanent if rng.f64() < self.value("fixable") => {
                until(&mut rng, self.value("fix_per_day"))
            }
            _ => None,
        };
        let mut case = MadeCase {
            model: self,
            failed_on,
            past: Vec::new(),
            category: self.code(&mut rng, cause),
            wait: None,
            segment: 0,
            cause,
            balance,
            clears,
            told: rng.f64() < self.value("fix_is_told"),
            outage: if rng.f64() < self.value("bad_bank") { "outage_bad" } else { "outage_good" },
            offsets: (0..self.gateways)
                .map(|_| self.value("gateway_offset_logit") * normal(&mut rng))
                .collect(),
            mastercard: rng.f64() < 0.4,
            seed: rng.u64(..),
            made: vec![0],
        };
        case.segment = segment(Some(if case.mastercard { "mastercard" } else { "visa" }), None);
        case.wait = case.advice(&mut rng, 0, case.category);
        case.past = case.bills(&mut rng);
        case
    }

    fn cause(&self, rng: &mut Rng) -> Cause {
        let weight = |name: &str| self.value(&format!("cause_{name}"));
        let all: f64 = CAUSES.iter().map(|(_, name)| weight(name)).sum();
        let mut left = rng.f64() * all;
        for (cause, name) in CAUSES {
            left -= weight(name);
            if left < 0.0 {
                return cause;
            }
        }
        Cause::Funds
    }

    fn code(&self, rng: &mut Rng, cause: Cause) -> Category {
        let name = CAUSES.iter().find(|(c, _)| *c == cause).map_or("funds", |(_, name)| name);
        let Some(codes) = self.file.codes.get(name) else { return Category::Unknown };
        let mut left = rng.f64() * codes.values().sum::<f64>();
        for (category, weight) in codes {
            left -= weight;
            if left < 0.0 {
                return *category;
            }
        }
        Category::GenericDecline
    }

    /// On which days the balance covers the bill, from [`BEFORE`] days before the failure on. Of a
    /// charge that failed for lack of it, it did not on that day.
    fn balance(&self, rng: &mut Rng, failed_on: Date, cause: Cause) -> Vec<bool> {
        let (success, drain) = (self.value("payday_success"), self.value("drain_per_day"));
        let top_up = self.value("top_up_per_day");
        let never = cause == Cause::Funds && rng.f64() < self.value("never_funded");
        let mut days = Vec::new();
        for _ in 0..40 {
            let paid = self.paydays(rng, failed_on);
            let mut funded = rng.bool();
            days = (0..BEFORE + AFTER)
                .map(|day| {
                    let over = never && day >= BEFORE;
                    funded = match funded {
                        _ if over => false,
                        true => rng.f64() >= drain,
                        false => rng.f64() < top_up,
                    };
                    funded |= !over && paid(day - BEFORE) && rng.f64() < success;
                    funded
                })
                .collect();
            if cause != Cause::Funds || !days[BEFORE as usize] {
                break;
            }
        }
        // Who is paid by the week is hardly ever dry: then this day alone was.
        days[BEFORE as usize] &= cause != Cause::Funds;
        days
    }

    fn paydays(&self, rng: &mut Rng, failed_on: Date) -> impl Fn(i32) -> bool + use<> {
        let mut left = rng.f64() * self.calendars.iter().map(|c| c.share).sum::<f64>();
        let calendar = self.calendars.iter().find(|calendar| {
            left -= calendar.share;
            left < 0.0
        });
        let calendar = calendar.or(self.calendars.last());
        let dates = calendar.map(|c| c.dates.clone()).unwrap_or_default();
        let every = calendar.and_then(|c| c.every);
        // Most who are paid by the week are paid on a Friday.
        let start = if rng.f64() < 0.7 { friday(failed_on) } else { rng.i32(0..7) };
        let start = start + 7 * rng.i32(0..2);
        move |day| match every {
            Some(every) => (day - start).rem_euclid(every) == 0,
            None => {
                let date = failed_on.saturating_add(i64::from(day).days());
                let last = date.days_in_month();
                dates.iter().any(|on| (*on).min(last) == date.day())
            }
        }
    }
}

/// Days to the next Friday.
fn friday(from: Date) -> i32 {
    i32::from(from.weekday().until(Weekday::Friday))
}

/// A case of the model, with all that nobody is told.
#[derive(Debug, Clone)]
pub struct MadeCase<'a> {
    model: &'a Model,
    failed_on: Date,
    past: Vec<Charge>,
    category: Category,
    wait: Option<u32>,
    segment: u8,
    cause: Cause,
    balance: Vec<bool>,
    clears: Option<u32>,
    told: bool,
    outage: &'static str,
    offsets: Vec<f64>,
    mastercard: bool,
    seed: u64,
    made: Vec<u32>,
}

impl MadeCase<'_> {
    /// What the merchant knows of it.
    pub fn subject(&self) -> Subject<'_> {
        Subject {
            failed_on: self.failed_on,
            category: self.category,
            wait: self.wait,
            past: &self.past,
            segment: self.segment,
        }
    }

    fn funded(&self, day: i32) -> bool {
        usize::try_from(day + BEFORE).ok().and_then(|day| self.balance.get(day)) == Some(&true)
    }

    /// The bills of the three months before, each tried weekly until it was approved.
    fn bills(&self, rng: &mut Rng) -> Vec<Charge> {
        let mut past = Vec::new();
        for months in (1..=3).rev() {
            let bill = self.failed_on.saturating_sub((months as i64).months());
            for week in 0..4 {
                let on = bill.saturating_add((7 * week as i64).days());
                let ago = (self.failed_on - on).get_days();
                let approved = self.funded(-ago) && rng.f64() < 0.93;
                if ago > 0 {
                    past.push(Charge { on, approved });
                }
                if approved || ago <= 0 {
                    break;
                }
            }
        }
        past
    }

    /// The network's word on how long to wait, of a refusal for lack of funds.
    fn advice(&self, rng: &mut Rng, day: u32, category: Category) -> Option<u32> {
        const STEPS: [u32; 5] = [1, 2, 4, 8, 10];
        let model = self.model;
        let given = self.mastercard
            && category == Category::InsufficientFunds
            && rng.f64() < model.value("advised");
        if !given {
            return None;
        }
        let from = day as i32;
        let next = (1..=10).find(|wait| self.funded(from + wait)).map(|wait| wait as u32);
        match next {
            Some(wait) if rng.f64() >= model.value("advice_wrong") => {
                STEPS.into_iter().find(|step| *step >= wait)
            }
            _ => Some(STEPS[rng.usize(..STEPS.len())]),
        }
    }

    fn stands_against(&self, ask: Charging) -> bool {
        let cleared = self.clears.is_some_and(|day| day <= ask.day);
        match self.cause {
            Cause::Funds => !self.funded(ask.day as i32),
            Cause::Gateway => ask.gateway == 0,
            Cause::Risk | Cause::Permanent | Cause::Technical => !cleared,
        }
    }
}

impl Bank for MadeCase<'_> {
    fn charge(&mut self, ask: Charging) -> Answer {
        let model = self.model;
        let mut rng = Rng::with_seed(mixed(&[self.seed, ask.day.into(), ask.gateway as u64]));
        let recent = self.made.iter().filter(|day| ask.day.saturating_sub(**day) <= 3).count();
        let earlier = self.made.len() - recent;
        self.made.push(ask.day);
        let down = rng.f64() < model.value(self.outage);
        let score = model.value("base_logit")
            + model.value("recent_attempt_logit") * recent as f64
            + model.value("earlier_attempt_logit") * earlier as f64
            + self.offsets.get(ask.gateway).copied().unwrap_or_default();
        let likes = rng.f64() < chance(score);
        let category = match self.stands_against(ask) {
            _ if down => Category::IssuerUnavailable,
            true if rng.f64() < model.value("code_changes") => model.code(&mut rng, self.cause),
            true => self.category,
            false if likes => return Answer::Approved,
            false => Category::GenericDecline,
        };
        let wait = if down { None } else { self.advice(&mut rng, ask.day, category) };
        Answer::Declined(category, wait)
    }

    fn card_changed_after(&self, day: u32) -> Option<u32> {
        let fixed = self.clears.filter(|_| self.cause == Cause::Permanent && self.told);
        fixed.filter(|fixed| *fixed > day)
    }
}

fn mixed(numbers: &[u64]) -> u64 {
    // The finalizer of splitmix64 over each number in turn.
    numbers.iter().fold(0x51_7c_c1_b7, |sum: u64, number| {
        let z = (sum ^ *number).wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    })
}

fn logit(share: f64) -> f64 {
    (share / (1.0 - share)).ln()
}

fn chance(logit: f64) -> f64 {
    1.0 / (1.0 + (-logit).exp())
}

/// A draw of the normal distribution (Box and Muller).
fn normal(rng: &mut Rng) -> f64 {
    let (a, b) = (1.0 - rng.f64(), rng.f64());
    (-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::simulate::model_file::shipped;

    fn model(country: &str, draw: u64, gateways: usize) -> Option<Model> {
        Model::new(&shipped(), country, draw, gateways)
    }

    #[test]
    fn a_model_is_of_a_country_that_the_file_knows() {
        for country in ["CO", "US", "EU"] {
            assert!(model(country, 3, 2).is_some());
        }
        assert!(model("XX", 0, 2).is_none());
    }

    #[test]
    fn a_case_and_its_answers_follow_from_the_seed() {
        let model = model("CO", 0, 2).unwrap();
        let answers = || {
            let mut case = model.case(7, 42);
            let days = [3, 9, 20];
            days.map(|day| case.charge(Charging { day, gateway: 1 }))
        };
        assert_eq!(answers(), answers());
        assert_eq!(model.case(7, 42).past, model.case(7, 42).past);
    }

    #[test]
    fn dry_accounts_fill_up_about_as_replayed_balances_do() {
        let model = model("CO", 0, 1).unwrap();
        let dry: Vec<_> =
            (0..10_000).map(|n| model.case(1, n)).filter(|c| c.cause == Cause::Funds).collect();
        let by = |day: i32| {
            let open = dry.iter().filter(|case| (1..=day).any(|day| case.funded(day))).count();
            open as f64 / dry.len() as f64
        };
        // Replayed balances: .25, .50, .78, .98 by day 3, 7, 14, 30; but here .12 stay empty.
        for (day, published) in [(3, 0.25), (7, 0.50), (14, 0.78), (30, 0.98)] {
            let expected = published * 0.88;
            assert!((by(day) - expected).abs() < 0.06, "{} by day {day}, not {expected}", by(day));
        }
        assert!(dry.iter().all(|case| !case.funded(0)));
    }
}
