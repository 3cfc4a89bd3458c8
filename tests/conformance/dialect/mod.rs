//! What each gateway says in its own words for the situations of the suite.
//!
//! What must stay true: a dialect holds answers, never expectations.

use std::sync::Arc;

use recoup::core::effect::{
    AttemptRef, ChargeOrder, ChargeOutcome, LookUpAnswer, MarkPaidOrder, RefundOrder,
};
use recoup::core::ids::{AttemptId, GatewayId};
use recoup::core::money::Money;
use recoup::gateway::wire::{BuildError, Timeouts};
use recoup::gateway::{Gateway, GatewaySettings, HostedPurpose, HostedRequest};

use crate::double::{Double, Reply, Seen};

mod adyen;
pub(crate) mod braintree;
mod checkout;
mod http;
mod mercadopago;
mod stripe;
mod wompi;

pub(crate) use checkout::list as checkout_list;
pub(crate) use mercadopago::payment as mp_payment;
pub(crate) use stripe::{card_error, failed_payment};
pub(crate) use wompi::transaction as wompi_transaction;

/// The key that must never be seen in any text.
pub(crate) const API_KEY: &str = "sk_test_conformance_key";
/// When the attempt under test was first sent.
pub(crate) const SENT_AT: i64 = 1_795_200_000;

/// One gateway's words for the situations of the suite.
pub(crate) struct Dialect {
    pub(crate) name: &'static str,
    /// Whether it is charged as the billing gateway.
    pub(crate) billing: bool,
    pub(crate) make: fn(GatewaySettings, Timeouts) -> Result<Arc<dyn Gateway>, BuildError>,
    /// The id of the payment in all answers.
    pub(crate) payment: &'static str,
    /// The currency that is charged: 29.00 of it.
    pub(crate) currency: &'static str,
    /// The code of `declined`.
    pub(crate) decline_code: &'static str,
    /// The answers to what is read before a charge is sent.
    pub(crate) before_charge: Vec<Reply>,
    /// The header that carries the idempotency key; `None`: the gateway has none.
    pub(crate) key_header: Option<&'static str>,
    /// Whether a request is signed in.
    pub(crate) signed_in: fn(&Seen) -> bool,
    /// The request that charges.
    pub(crate) charge_line: &'static str,
    pub(crate) approved: Reply,
    /// Approved, and hardly anything else.
    pub(crate) lacking: Reply,
    pub(crate) declined: Reply,
    pub(crate) wants_action: Reply,
    pub(crate) pending: Reply,
    /// The answers to a look-up, in the order of the requests.
    pub(crate) found_approved: Vec<Reply>,
    pub(crate) found_declined: Vec<Reply>,
    pub(crate) found_pending: Vec<Reply>,
    pub(crate) not_found: Vec<Reply>,
    /// "The same key is being worked on."
    pub(crate) in_progress: Option<Reply>,
    /// Marked as paid elsewhere; and what is said when it was paid already.
    pub(crate) paid: Option<(Vec<Reply>, Vec<Reply>)>,
    /// A hosted session, and the address in it.
    pub(crate) session: Option<(Vec<Reply>, &'static str)>,
    pub(crate) refunded: Vec<Reply>,
}

pub(crate) fn dialects() -> Vec<Dialect> {
    vec![
        stripe::pays_an_invoice(),
        stripe::beside_another(),
        mercadopago::mercadopago(),
        wompi::wompi(),
        http::http(),
        checkout::checkout(),
        adyen::adyen(),
        braintree::retries_a_subscription(),
        braintree::beside_another(),
    ]
}

pub(crate) fn settings(base: &str) -> GatewaySettings {
    GatewaySettings {
        api_base: Some(base.to_owned()),
        account: Some("account_1".to_owned()),
        public_key: Some("public_1".into()),
        ..GatewaySettings::new(GatewayId::from("under_test"), API_KEY.into())
    }
}

pub(crate) fn order(billing: bool) -> ChargeOrder {
    let attempt = AttemptId::from("att_1");
    ChargeOrder {
        idempotency_key: attempt.idempotency_key(),
        attempt,
        number: 2,
        gateway: GatewayId::from("under_test"),
        token: Some("pm_1".to_owned()),
        customer: Some("cus_1".to_owned()),
        subscription: Some("sub_1".to_owned()),
        invoice: "in_1".to_owned(),
        amount: Money::new(2900, "USD".parse().unwrap()),
        billing,
        network_transaction_id: None,
    }
}

pub(crate) fn attempt(billing: bool) -> AttemptRef {
    AttemptRef {
        charge: order(billing),
        payment: None,
        first_sent_at: jiff::Timestamp::from_second(SENT_AT).unwrap(),
    }
}

impl Dialect {
    pub(crate) fn gateway(&self, base: &str) -> Arc<dyn Gateway> {
        self.gateway_within(base, Timeouts::default())
    }

    pub(crate) fn gateway_within(&self, base: &str, timeouts: Timeouts) -> Arc<dyn Gateway> {
        (self.make)(settings(base), timeouts).unwrap()
    }

    pub(crate) fn order(&self) -> ChargeOrder {
        ChargeOrder { amount: self.amount(), ..order(self.billing) }
    }

    pub(crate) fn refund_order(&self) -> RefundOrder {
        RefundOrder {
            gateway: GatewayId::from("under_test"),
            attempt: AttemptId::from("att_1"),
            charge: self.payment.to_owned(),
            amount: self.amount(),
        }
    }

    pub(crate) fn hosted_request(&self) -> HostedRequest {
        HostedRequest {
            purpose: HostedPurpose::UpdateCard,
            customer: "cus_1".to_owned(),
            subscription: Some("sub_1".to_owned()),
            invoice: "in_1".to_owned(),
            amount: self.amount(),
            description: Some("Pro plan".to_owned()),
            return_url: "https://pay.example/pay/token".to_owned(),
            idempotency_key: "eff_1".to_owned(),
        }
    }

    pub(crate) fn mark_paid_order(&self) -> MarkPaidOrder {
        MarkPaidOrder {
            gateway: GatewayId::from("under_test"),
            invoice: "in_1".to_owned(),
            paid_at: Some(GatewayId::from("backup")),
            charge: Some("ch_9".to_owned()),
        }
    }

    pub(crate) fn amount(&self) -> Money {
        Money::new(2900, self.currency.parse().unwrap())
    }

    /// A double that answers what comes before a charge, and then `replies`.
    pub(crate) async fn double(&self, replies: impl IntoIterator<Item = Reply>) -> Double {
        let script = self.before_charge.iter().cloned().chain(replies);
        Double::keyed(self.key_header.unwrap_or_default(), script).await
    }

    pub(crate) async fn charge(&self, reply: Reply) -> (ChargeOutcome, Double) {
        let double = self.double([reply]).await;
        (self.gateway(&double.base).charge(&self.order()).await, double)
    }

    /// The requests that charge, among all that were seen.
    pub(crate) fn charges(&self, double: &Double) -> Vec<Seen> {
        double.seen().into_iter().filter(|seen| seen.line() == self.charge_line).collect()
    }

    pub(crate) async fn look_up(&self, replies: &[Reply]) -> LookUpAnswer {
        let double = Double::new(replies.to_vec()).await;
        let attempt = AttemptRef { charge: self.order(), ..attempt(self.billing) };
        let answer = self.gateway(&double.base).look_up(&attempt).await;
        let charged = double.seen().iter().any(|seen| seen.line() == self.charge_line);
        assert!(!charged, "{}: a look-up never charges", self.name);
        assert!(!double.seen().is_empty());
        answer
    }
}
