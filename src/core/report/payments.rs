//! The payments file: what each gateway took for cases of ours, for accounting.
//!
//! What must stay true: a line is a capture, with its own gateway, amount and currency; a fee
//! stands there only where the merchant stated the gateway's fees, and is what they state, not what
//! the gateway billed.

use jiff::Timestamp;

use super::captures;
use crate::core::case::{Case, Pending};
use crate::core::ids::{CaseId, GatewayId};
use crate::core::money::Money;
use crate::core::policy::Policy;
use crate::core::worth::PARTS;

/// Whether the billing gateway knows of a payment that came in elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recorded {
    /// It was taken by the billing gateway itself.
    OwnGateway,
    /// It is being told.
    Pending,
    /// It was told.
    Told,
}

/// One capture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment {
    /// When it became known.
    pub at: Timestamp,
    /// Where the money came in.
    pub gateway: GatewayId,
    /// That gateway's id of it.
    pub payment: Option<String>,
    /// The billing gateway's invoice.
    pub invoice: String,
    /// The case.
    pub case: CaseId,
    /// The customer.
    pub customer: Option<String>,
    /// How much.
    pub amount: Money,
    /// What the gateway takes of it, by the merchant file.
    pub fee: Option<Money>,
    /// Whether the billing gateway knows.
    pub recorded: Recorded,
    /// It was given back, or is about to be.
    pub refunded: bool,
    /// One of our attempts took it; else the billing gateway's own or the customer's payment.
    pub ours: bool,
}

/// What was captured for a case.
pub fn payments(case: &Case, policy: &Policy) -> Vec<Payment> {
    let mut gateways: Vec<_> = case.attempts.iter().map(|a| &a.charge.gateway).collect();
    gateways.push(&case.gateway);
    gateways.sort();
    gateways.dedup();
    let pending = case.pending.values().any(|pending| *pending == Pending::MarkPaid);
    let of = |gateway: &GatewayId| {
        let booked = captures::booked(case, gateway).into_iter();
        booked.map(|booked| (gateway.clone(), booked)).collect::<Vec<_>>()
    };
    let one = |(gateway, booked): (GatewayId, captures::Booked)| Payment {
        at: booked.at,
        fee: fee(policy, &gateway, booked.amount),
        recorded: match (gateway == case.gateway, pending) {
            (true, _) => Recorded::OwnGateway,
            (false, true) => Recorded::Pending,
            (false, false) => Recorded::Told,
        },
        ours: case.attempts.iter().any(|attempt| attempt.payment == booked.payment),
        customer: case.customer.clone(),
        gateway,
        payment: booked.payment,
        invoice: booked.invoice,
        case: booked.case,
        amount: booked.amount,
        refunded: booked.refunded,
    };
    gateways.into_iter().flat_map(of).map(one).collect()
}

/// By the merchant's own statement, to the nearest minor unit.
fn fee(policy: &Policy, gateway: &GatewayId, amount: Money) -> Option<Money> {
    let gateway = policy.gateways.iter().find(|known| known.id == *gateway)?;
    let fee = gateway.fees.get(&amount.currency)?;
    let worth = amount.minor.checked_mul(PARTS)?;
    let parts = worth.checked_sub(fee.gain(worth))?;
    Some(Money::new((parts + PARTS / 2).div_euclid(PARTS), amount.currency))
}
