//! A scenario: how rough the made world is.
//!
//! Why here: `recoup chaos --scenario F` reads one from TOML; what it leaves out is the default,
//! and what it leaves open is drawn anew for each history.
//!
//! What must stay true: chances are between 0 and 1; the same scenario and seed are the same world.

use fastrand::Rng;
use serde::Deserialize;

/// How rough the world is. Chances are per call, per webhook, per step or per invoice, as named.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Scenario {
    /// Gateways; left out: 1 to 3, drawn.
    pub gateways: Option<usize>,
    /// Invoices; left out: 1 to 4, drawn.
    pub invoices: Option<usize>,
    /// Whether the billing gateway's invoices can be read.
    pub read_invoice: Option<bool>,
    /// Whether the billing gateway takes money for an invoice once only.
    pub pays_invoice_once: Option<bool>,
    /// Whether the billing gateway retries by itself.
    pub native_retries: Option<bool>,
    /// How long an idempotency key is sure to be recognized, in seconds.
    pub key_window_s: Option<u32>,
    /// Days in which faults happen.
    pub days: i64,
    /// Days without any fault behind them.
    pub calm_days: i64,
    /// A charge is approved.
    pub approve: f64,
    /// The process dies between two steps.
    pub crash: f64,
    /// How often it dies in one history at most.
    pub crashes_max: u32,
    /// A connection is refused: nothing was sent.
    pub not_sent: f64,
    /// 429 or 409: nothing new happened.
    pub busy: f64,
    /// A time-out; the request never arrives.
    pub lost_request: f64,
    /// A time-out; the request arrives after it.
    pub late_request: f64,
    /// A time-out; the request had its effect.
    pub lost_answer: f64,
    /// A 500 without effect.
    pub error_before: f64,
    /// A 500 with effect.
    pub error_after: f64,
    /// A request arrives twice.
    pub duplicate_request: f64,
    /// A look-up or another read is not answered.
    pub read_error: f64,
    /// A charge is decided later.
    pub pending: f64,
    /// A refusal turns into an approval later.
    pub flip: f64,
    /// Hours of outage of each gateway.
    pub outage_hours: i64,
    /// A webhook is lost.
    pub webhook_lost: f64,
    /// A webhook arrives twice.
    pub webhook_twice: f64,
    /// A webhook is late, by up to three days.
    pub webhook_late: f64,
    /// Something happens to the invoice, at any moment.
    pub happening: f64,
    /// Something happens within minutes of a charge or look-up.
    pub nearby: f64,
    /// A message is not accepted at once.
    pub provider_busy: f64,
    /// Its provider tells what became of a message.
    pub callback: f64,
    /// By how many seconds recoup's clock is off at most.
    pub skew_s: i64,
    /// Recoup's clock is set, by up to a minute.
    pub clock_set: f64,
}

impl Default for Scenario {
    fn default() -> Self {
        Self {
            gateways: None,
            invoices: None,
            read_invoice: None,
            pays_invoice_once: None,
            native_retries: None,
            key_window_s: None,
            days: 32,
            calm_days: 100,
            approve: 0.2,
            crash: 0.003,
            crashes_max: 8,
            not_sent: 0.03,
            busy: 0.03,
            lost_request: 0.04,
            late_request: 0.03,
            lost_answer: 0.05,
            error_before: 0.02,
            error_after: 0.03,
            duplicate_request: 0.03,
            read_error: 0.05,
            pending: 0.1,
            flip: 0.02,
            outage_hours: 6,
            webhook_lost: 0.1,
            webhook_twice: 0.1,
            webhook_late: 0.1,
            happening: 0.5,
            nearby: 0.2,
            provider_busy: 0.1,
            callback: 0.3,
            skew_s: 90,
            clock_set: 0.3,
        }
    }
}

impl Scenario {
    /// Makes each kind of trouble rarer or more frequent for one history, so that some histories
    /// are rough in one way only.
    pub(super) fn drawn(&self, rng: &mut Rng) -> Self {
        let mut drawn = self.clone();
        let mut scale = |chances: &mut [&mut f64]| {
            let factor = [0.0, 0.4, 1.0, 2.5][rng.usize(..4)];
            for chance in chances {
                **chance = (**chance * factor).min(0.6);
            }
        };
        scale(&mut [&mut drawn.approve]);
        scale(&mut [&mut drawn.crash]);
        scale(&mut [&mut drawn.not_sent, &mut drawn.busy]);
        scale(&mut [&mut drawn.lost_request, &mut drawn.late_request, &mut drawn.error_before]);
        scale(&mut [&mut drawn.lost_answer, &mut drawn.error_after, &mut drawn.duplicate_request]);
        scale(&mut [&mut drawn.read_error]);
        scale(&mut [&mut drawn.pending, &mut drawn.flip]);
        scale(&mut [&mut drawn.webhook_lost, &mut drawn.webhook_twice, &mut drawn.webhook_late]);
        scale(&mut [&mut drawn.happening, &mut drawn.nearby]);
        scale(&mut [&mut drawn.provider_busy, &mut drawn.callback]);
        drawn
    }

    /// The same world without any fault: gateways and people as they are, a calm network.
    pub(super) fn calm(&self) -> Self {
        Self {
            crash: 0.0,
            not_sent: 0.0,
            busy: 0.0,
            lost_request: 0.0,
            late_request: 0.0,
            lost_answer: 0.0,
            error_before: 0.0,
            error_after: 0.0,
            duplicate_request: 0.0,
            read_error: 0.0,
            flip: 0.0,
            webhook_lost: 0.0,
            webhook_twice: 0.0,
            webhook_late: 0.0,
            happening: 0.0,
            nearby: 0.0,
            provider_busy: 0.0,
            callback: 0.0,
            clock_set: 0.0,
            ..self.clone()
        }
    }
}
