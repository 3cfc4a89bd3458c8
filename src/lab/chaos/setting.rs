//! The setting of a history: the merchant's policy, the gateways, customers and invoices, drawn.
//!
//! What must stay true: what a gateway declares of itself is true of it. Its key window is
//! recognized even when both requests are late, and its horizon covers network, decision and lag.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

use fastrand::Rng;
use jiff::civil::date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::bank::Bank;
use super::scenario::Scenario;
use super::world::{Invoice, NET_MAX, Next, Person, Plastic, World};
use crate::core::customer::Channel;
use crate::core::effect::InvoiceStatus;
use crate::core::ids::{CaseId, GatewayId};
use crate::core::learning::Learned;
use crate::core::learning::facts::Facts;
use crate::core::learning::outcome::{Answer, Outcome};
use crate::core::learning::timing::{Context, Group, History};
use crate::core::money::{Currency, Money};
use crate::core::policy::{
    CampaignStep, Capabilities, Condition, ContactPolicy, GatewayPolicy, InvoiceAction,
    MessageKind, NativeRetries, PagePolicy, Policy, Schedule, SubscriptionAction,
};
use crate::core::worth::Fee;

const ZONES: [&str; 4] = ["America/Bogota", "America/New_York", "Europe/Berlin", "Asia/Tokyo"];
const DAY_MS: i64 = 86_400_000;
/// Histories of these are drawn, the first more often: most faults need no long story.
const SIZES: [Size; 3] = [
    Size { days: 5, invoices: 1, native: 1, attempts: 2, window: [2, 3, 5], steps: 1 },
    Size { days: 9, invoices: 2, native: 2, attempts: 3, window: [4, 6, 8], steps: 3 },
    Size { days: 32, invoices: 4, native: 4, attempts: 8, window: [10, 21, 28], steps: 5 },
];

/// How long a history is, and how much happens in it at most.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size {
    /// Days with faults.
    days: i64,
    invoices: usize,
    /// Attempts of the billing gateway itself, of one invoice.
    native: usize,
    /// Attempts on the schedule.
    attempts: u32,
    /// Days of the policy's window.
    window: [u32; 3],
    /// Steps of the campaign.
    steps: usize,
}

impl World {
    /// The world of this seed.
    pub(super) fn of_seed(scenario: &Scenario, seed: u64, without: &BTreeSet<u64>) -> Self {
        let mut rng = Rng::with_seed(seed);
        let size = SIZES[[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 2][rng.usize(..16)]];
        let mut scenario = scenario.drawn(&mut rng);
        scenario.days = scenario.days.min(size.days);
        let start = start(&mut rng);
        let count = scenario.gateways.unwrap_or_else(|| rng.usize(1..=3)).max(1);
        let drawn: Vec<_> = (0..count).map(|n| draw_gateway(&mut rng, &scenario, n)).collect();
        let gateways = drawn.iter().map(|(policy, _)| policy.clone()).collect();
        let policy = draw_policy(&mut rng, gateways, size);
        let mut world = Self::new(rng, start, scenario, policy);
        world.go_without(without);
        world.draw_clock();
        world.draw_evidence();
        for (policy, (lag, settle)) in drawn {
            world.add_bank(policy, lag, settle);
        }
        world.add_people(size);
        let days = world.scenario.days;
        world.plan(start + SignedDuration::from_hours(24 * days), Next::Calm);
        world
    }

    /// Recoup's clock is off, and is set now and then.
    fn draw_clock(&mut self) {
        let longest = self.scenario.skew_s;
        if longest == 0 || self.rng.bool() {
            return;
        }
        self.skew = SignedDuration::from_secs(self.rng.i64(-longest..=longest));
        let set = self.scenario.clock_set;
        while self.chance(set) {
            let by = SignedDuration::from_secs(self.rng.i64(-60..=60));
            let at = self.within(0, self.scenario.days * DAY_MS);
            self.plan(at, Next::Clock(by));
        }
    }

    /// Where evidence moves attempts, there is some before the first case in a part of the worlds.
    fn draw_evidence(&mut self) {
        if self.policy.schedule == Schedule::Smart && self.rng.u8(..8) == 0 {
            self.taught = Some(TAUGHT.clone());
        }
    }

    fn add_bank(&mut self, policy: GatewayPolicy, lag: SignedDuration, settle: SignedDuration) {
        let declared = policy.capabilities.key_window();
        let margin = NET_MAX + SignedDuration::from_secs(600);
        let window = if declared == SignedDuration::ZERO { declared } else { declared + margin };
        let hours = self.scenario.outage_hours * 3_600_000;
        let mut outages = Vec::new();
        for _ in 0..self.rng.usize(..4) {
            let from = self.within(0, self.scenario.days * DAY_MS);
            let long = self.rng.i64(1..=hours.max(1));
            outages.push((from, from + SignedDuration::from_millis(long)));
        }
        self.banks.push(Bank {
            id: policy.id,
            capabilities: policy.capabilities,
            window,
            lag,
            settle,
            outages,
            charges: Vec::new(),
        });
    }

    fn add_people(&mut self, size: Size) {
        let networks = [("visa", "US"), ("mastercard", "BR"), ("hipercard", "BR"), ("amex", "US")];
        let invoices =
            self.scenario.invoices.unwrap_or_else(|| self.rng.usize(1..=size.invoices)).max(1);
        let customers = self.rng.usize(1..=invoices.min(2));
        for customer in 0..customers {
            let (network, country) = networks[self.rng.usize(..networks.len())];
            self.cards.push(Plastic { network, country, never_known: false, dead: false });
            let zone = ZONES[self.rng.usize(..ZONES.len())];
            self.people.push(Person::new(customer, zone));
        }
        for invoice in 0..invoices {
            let customer = self.rng.usize(..customers);
            self.add_invoice(invoice, customer, size);
        }
    }

    fn add_invoice(&mut self, index: usize, customer: usize, size: Size) {
        let id = format!("in_{index}");
        let billing = self.billing();
        let (case, window) =
            (CaseId::of(&billing.id, &id), billing.capabilities.native_retry_window_s);
        let first = self.within(0, self.scenario.days * DAY_MS / 6);
        let mut native = vec![first];
        if window > 0 {
            let longest = i64::from(window) * 1_000;
            let more = self.rng.usize(..size.native);
            native.extend(
                (0..more).map(|_| {
                    first + SignedDuration::from_millis(self.rng.i64(3_600_000..=longest))
                }),
            );
            native.sort_unstable();
        }
        let amounts = [2_900, 2_900, 4_900, 100];
        let minor = amounts[self.rng.usize(..amounts.len())];
        self.invoices.push(Invoice {
            customer,
            amount: Money::new(minor, currency()),
            status: InvoiceStatus::Open,
            closed_at: None,
            marked: None,
            outside: 0,
            outside_at: None,
            read_at: None,
            outside_refunded: 0,
            offline: 0,
            given_back: false,
            outside_told: 0,
            held_until: None,
            promised: None,
            attempts: 0,
            native: native.clone(),
            delays: Vec::new(),
            case,
        });
        for at in native {
            self.plan(at, Next::Native { invoice: index });
        }
        if self.banks.len() > 1 && self.chance(0.8) {
            self.wallet(index);
        }
        let happening = self.scenario.happening;
        while self.chance(happening) {
            let what = self.draw_happening(index);
            let at = self.within(0, self.scenario.days * DAY_MS);
            self.plan(at, Next::Happen(what));
        }
    }
}

fn currency() -> Currency {
    #[expect(clippy::expect_used, reason = "ISO 4217 has the US dollar")]
    "USD".parse().expect("USD is a currency")
}

/// Somewhere in the first half of 2026, where most zones change their clocks.
fn start(rng: &mut Rng) -> Timestamp {
    let midnight = date(2026, 1, 20).to_zoned(TimeZone::UTC).map(|z| z.timestamp());
    let offset = SignedDuration::from_secs(rng.i64(0..150 * 86_400));
    midnight.unwrap_or(Timestamp::UNIX_EPOCH) + offset
}

fn draw_gateway(
    rng: &mut Rng,
    scenario: &Scenario,
    number: usize,
) -> (GatewayPolicy, (SignedDuration, SignedDuration)) {
    let billing = number == 0;
    let lag = SignedDuration::from_secs(rng.i64(0..=120));
    let settle = [0, 60, 3_600, 86_400][rng.usize(..4)];
    let windows = [0, 300, 1_800, 86_400, 2_592_000];
    let window = scenario.key_window_s.unwrap_or(windows[rng.usize(..windows.len())]);
    let horizon = 2 * (NET_MAX.as_secs() + settle + lag.as_secs() + 30);
    let native = billing && scenario.native_retries.unwrap_or_else(|| rng.bool());
    let reads = billing && scenario.read_invoice.unwrap_or_else(|| rng.u8(..3) > 0);
    let once = billing && scenario.pays_invoice_once.unwrap_or(reads);
    let capabilities = Capabilities {
        look_up: true,
        resend_tells: false,
        network_transaction_id: false,
        currencies: Vec::new(),
        native_retries_switchable: false,
        read_invoice: reads,
        hosted_update: true,
        page_takes_payment: false,
        token_only: false,
        paid_out_of_band: billing && (reads || rng.bool()),
        pays_invoice_once: once,
        refund: true,
        subscriptions: billing && rng.bool(),
        native_retries_visible: native && rng.bool(),
        native_retry_window_s: if native { 86_400 * rng.u32(1..=7) } else { 0 },
        key_window_s: window,
        horizon_s: horizon as u32,
    };
    let id = GatewayId(["alpha", "beta", "gamma", "delta", "epsilon"][number.min(4)].to_owned());
    let native_retries = NativeRetries::Observe;
    let fees = draw_fees(rng);
    let policy = GatewayPolicy { id, native_retries, capabilities, fees };
    (policy, (lag, SignedDuration::from_secs(settle)))
}

/// What a gateway takes: nothing that is known, or so much that some attempts are not worth it.
fn draw_fees(rng: &mut Rng) -> BTreeMap<Currency, Fee> {
    let mut fees = BTreeMap::new();
    if rng.u8(..3) == 0 {
        let declined = [0, 1_000, 60_000][rng.usize(..3)];
        let fee = Fee { approved: 3_000, approved_bps: 290, declined, network_risk: 0 };
        fees.insert(currency(), fee);
    }
    fees
}

/// Evidence as a merchant's first months leave it: made up once, for all histories.
static TAUGHT: LazyLock<Arc<Learned>> = LazyLock::new(|| {
    let mut learned = Learned::default();
    let failed_on = date(2026, 1, 12);
    for group in [Group::Funds, Group::Generic] {
        let context = Context { group, failed_on, history: History::Unknown, segment: 5 };
        // Enough that a plan is made, with a day that is better than the others.
        (0..120).for_each(|n| learned.timing.learn_known(&context, |day| (day + n) % 5 == 3));
    }
    let routing = Arc::make_mut(&mut learned.routing);
    for n in 0..60_u32 {
        let gateway = GatewayId::from(["alpha", "beta", "gamma"][n as usize % 3]);
        let at = failed_on.to_zoned(TimeZone::UTC).map_or(Timestamp::UNIX_EPOCH, |z| z.timestamp());
        let answer = if n % 4 == 0 { Answer::Approved } else { Answer::Declined };
        routing.teach(&Outcome { at, gateway, facts: Facts::default(), answer });
    }
    Arc::new(learned)
});

/// In which order the merchant prefers which channels.
fn channels(rng: &mut Rng) -> Vec<Channel> {
    match rng.u8(..4) {
        0 => vec![Channel::Email],
        1 => vec![Channel::Sms, Channel::Email],
        2 => vec![Channel::Whatsapp, Channel::Sms, Channel::Email],
        _ => vec![Channel::Email, Channel::Sms],
    }
}

fn draw_policy(rng: &mut Rng, gateways: Vec<GatewayPolicy>, size: Size) -> Policy {
    let step = |after_days, kind, condition| CampaignStep::of(after_days, kind, condition);
    let week = match rng.u8(..3) {
        0 => [Some((8, 20)); 7],
        1 => [Some((8, 24)); 7],
        _ => [
            Some((7, 19)),
            Some((7, 19)),
            Some((7, 19)),
            Some((7, 19)),
            Some((7, 19)),
            Some((8, 15)),
            None,
        ],
    };
    let actions = [InvoiceAction::Keep, InvoiceAction::Uncollectible, InvoiceAction::Void];
    Policy {
        gateways,
        schedule: match rng.u8(..4) {
            0 => Schedule::Even,
            1 => Schedule::Days(vec![1, 3, 5, 7, 14]),
            _ => Schedule::Smart,
        },
        window_days: size.window[rng.usize(..3)],
        max_attempts: rng.u32(1..=size.attempts),
        holdout_ppm: [0, 300_000][rng.usize(..2)],
        silent_attempts: rng.u32(0..=1),
        channels: channels(rng),
        steps: [
            step(0, MessageKind::PaymentFailed, Condition::WillRetry),
            step(0, MessageKind::CardUpdate, Condition::NeedsCustomer),
            step(3, MessageKind::PaymentFailed, Condition::Any),
            step(8, MessageKind::CardUpdate, Condition::Any),
            step(14, MessageKind::LastNotice, Condition::Any),
        ]
        .into_iter()
        .take(size.steps)
        .collect(),
        contact: ContactPolicy {
            hours: week,
            per_day: rng.u32(1..=2),
            gap_hours: [2, 12][rng.usize(..2)],
            per_week: [None, None, Some(2)][rng.usize(..3)],
            consent: if rng.u8(..4) == 0 { vec![Channel::Sms] } else { Vec::new() },
            ..ContactPolicy::closed("default")
        },
        subscription_action: SubscriptionAction::Cancel,
        invoice_action: actions[rng.usize(..3)],
        page: PagePolicy::default(),
        locale: "en".into(),
        time_zone: "UTC".into(),
        shadow: false,
    }
}
