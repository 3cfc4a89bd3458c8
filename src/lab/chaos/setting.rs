//! The setting of a history: the merchant's policy, the gateways, customers and invoices, drawn.
//!
//! What must stay true: what a gateway declares of itself is true of it. Its key window is
//! recognized even when both requests are late, and its horizon covers network, decision and lag.

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
use crate::core::money::{Currency, Money};
use crate::core::policy::{
    CampaignStep, Capabilities, Condition, ContactPolicy, GatewayPolicy, InvoiceAction,
    MessageKind, NativeRetries, PagePolicy, Policy, Schedule, SubscriptionAction,
};

const ZONES: [&str; 4] = ["America/Bogota", "America/New_York", "Europe/Berlin", "Asia/Tokyo"];
const DAY_MS: i64 = 86_400_000;

impl World {
    /// The world of this seed.
    pub(super) fn of_seed(scenario: &Scenario, seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let scenario = scenario.drawn(&mut rng);
        let start = start(&mut rng);
        let count = scenario.gateways.unwrap_or_else(|| rng.usize(1..=3)).max(1);
        let drawn: Vec<_> = (0..count).map(|n| draw_gateway(&mut rng, &scenario, n)).collect();
        let policy = draw_policy(&mut rng, drawn.iter().map(|(policy, _)| policy.clone()));
        let mut world = Self::new(rng, start, scenario, policy);
        for (policy, (lag, settle)) in drawn {
            world.add_bank(policy, lag, settle);
        }
        world.add_people();
        let days = world.scenario.days;
        world.plan(start + SignedDuration::from_hours(24 * days), Next::Calm);
        world
    }

    fn add_bank(&mut self, policy: GatewayPolicy, lag: SignedDuration, settle: SignedDuration) {
        let declared = policy.capabilities.key_window();
        let margin = NET_MAX + SignedDuration::from_secs(60);
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

    fn add_people(&mut self) {
        let networks = [("visa", "US"), ("mastercard", "BR"), ("hipercard", "BR"), ("amex", "US")];
        let invoices = self.scenario.invoices.unwrap_or_else(|| self.rng.usize(1..=4)).max(1);
        let customers = self.rng.usize(1..=invoices.min(2));
        for customer in 0..customers {
            let (network, country) = networks[self.rng.usize(..networks.len())];
            self.cards.push(Plastic { network, country, never_known: false, dead: false });
            let zone = ZONES[self.rng.usize(..ZONES.len())];
            self.people.push(Person { card: customer, zone, messages: Vec::new() });
        }
        for invoice in 0..invoices {
            let customer = self.rng.usize(..customers);
            self.add_invoice(invoice, customer);
        }
    }

    fn add_invoice(&mut self, index: usize, customer: usize) {
        let id = format!("in_{index}");
        let billing = self.billing();
        let (case, window) =
            (CaseId::of(&billing.id, &id), billing.capabilities.native_retry_window_s);
        let first = self.within(0, 5 * DAY_MS);
        let mut native = vec![first];
        if window > 0 {
            let longest = i64::from(window) * 1_000;
            let more = self.rng.usize(..4);
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
            outside_refunded: 0,
            offline: 0,
            given_back: false,
            outside_told: 0,
            held_until: None,
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
    let (native_retries, fees) = (NativeRetries::Observe, Default::default());
    let policy = GatewayPolicy { id, native_retries, capabilities, fees };
    (policy, (lag, SignedDuration::from_secs(settle)))
}

fn draw_policy(rng: &mut Rng, gateways: impl Iterator<Item = GatewayPolicy>) -> Policy {
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
        gateways: gateways.collect(),
        schedule: if rng.bool() { Schedule::Even } else { Schedule::Days(vec![1, 3, 5, 7, 14]) },
        window_days: [10, 21, 28][rng.usize(..3)],
        max_attempts: rng.u32(2..=8),
        holdout_ppm: 0,
        silent_attempts: rng.u32(0..=1),
        channels: vec![Channel::Email],
        steps: vec![
            step(0, MessageKind::PaymentFailed, Condition::WillRetry),
            step(0, MessageKind::CardUpdate, Condition::NeedsCustomer),
            step(3, MessageKind::PaymentFailed, Condition::Any),
            step(8, MessageKind::CardUpdate, Condition::Any),
            step(14, MessageKind::LastNotice, Condition::Any),
        ],
        contact: ContactPolicy {
            hours: week,
            per_day: rng.u32(1..=2),
            gap_hours: [2, 12][rng.usize(..2)],
            ..ContactPolicy::closed("default")
        },
        subscription_action: SubscriptionAction::Cancel,
        invoice_action: actions[rng.usize(..3)],
        page: PagePolicy::default(),
        locale: "en".into(),
        time_zone: "UTC".into(),
    }
}
