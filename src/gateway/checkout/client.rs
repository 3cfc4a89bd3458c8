//! Talking to Checkout.com: one signed-in request, one answer.
//!
//! Why here: everything that is sent. What an answer means for a charge is in `outcome`, for a
//! look-up in `look_up`.
//!
//! What must stay true: the same order makes the same bytes; every call that changes something has
//! an idempotency key; `retry` is never asked for, since then Checkout.com would charge beside us.

use reqwest::RequestBuilder;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use super::outcome::{self, WORDS};
use super::{money, naming};
use crate::core::effect::{ChargeOrder, ChargeOutcome, RefundOrder};
use crate::gateway::facts::text;
use crate::gateway::wire::{Answer, Api, BuildError, Timeouts, Trouble};
use crate::gateway::{
    CallError, GatewaySettings, HostedRequest, HostedSession, cannot, facts, shared,
};

/// The address that is the same for all accounts. Some live accounts have one of their own, with a
/// prefix: then it is the merchant file's `api_base`.
const API_BASE: &str = "https://api.checkout.com";

/// The header of the idempotency key.
pub(super) const KEY_HEADER: &str = "Cko-Idempotency-Key";

/// Characters of a link's description.
const MAX_DESCRIPTION: usize = 100;

/// The API of one Checkout.com account.
#[derive(Debug, Clone)]
pub(super) struct Client {
    api: Api,
    key: SecretString,
    channel: Option<String>,
}

impl Client {
    pub(super) fn new(settings: &GatewaySettings, timeouts: Timeouts) -> Result<Self, BuildError> {
        let base = settings.api_base.as_deref().unwrap_or(API_BASE);
        let (key, channel) = (settings.api_key.clone(), settings.account.clone());
        Ok(Self {
            api: Api::new(base, timeouts)?.paced(settings, super::profile().requests_per_second),
            key,
            channel,
        })
    }

    pub(super) async fn charge(&self, order: &ChargeOrder) -> ChargeOutcome {
        let Some(amount) = money::to_checkout(order.amount) else {
            let why = format!("Checkout.com cannot charge exactly {}", order.amount);
            return ChargeOutcome::Refused { why };
        };
        let source = match (&order.token, &order.customer) {
            (Some(token), _) => json!({ "type": "id", "id": token }),
            (None, Some(customer)) => json!({ "type": "customer", "id": customer }),
            (None, None) => {
                let why = "neither a card nor a customer of Checkout.com's is known".to_owned();
                return ChargeOutcome::Refused { why };
            }
        };
        let body = self.charge_body(order, amount, source);
        match self.post(&["payments"], &body, &order.idempotency_key).await {
            Ok(answer) => outcome::of_answer(order, &answer),
            Err(trouble) => trouble.into_outcome(),
        }
    }

    fn charge_body(&self, order: &ChargeOrder, amount: i64, source: Value) -> Value {
        let mut body = json!({
            "source": source,
            "amount": amount,
            "currency": order.amount.currency.code(),
            "payment_type": "Recurring",
            "merchant_initiated": true,
            "capture": true,
            "reference": naming::of_attempt(&order.invoice, &order.attempt),
            "metadata": naming::metadata(&order.invoice, Some(&order.attempt)),
        });
        self.add_channel(&mut body);
        // It takes a payment of its own, or the scheme's id of the agreement's first one.
        if let Some(first) = &order.network_transaction_id {
            body["previous_payment_id"] = json!(first);
        }
        body
    }

    fn add_channel(&self, body: &mut Value) {
        if let Some(channel) = &self.channel {
            body["processing_channel_id"] = json!(channel);
        }
    }

    /// The payments of one reference, the latest first; 100 are its most in one page.
    pub(super) async fn payments(
        &self,
        what: &'static str,
        reference: &str,
    ) -> Result<Value, CallError> {
        let query = [("reference", reference), ("limit", "100")];
        WORDS.object(what, self.send(self.api.get(&["payments"]).query(&query)).await)
    }

    /// One payment.
    pub(super) async fn payment(&self, what: &'static str, id: &str) -> Result<Value, CallError> {
        WORDS.object(what, self.send(self.api.get(&["payments", id])).await)
    }

    /// What was done with one payment, the latest first: a list.
    pub(super) async fn actions(&self, what: &'static str, id: &str) -> Result<Value, CallError> {
        let sent = self.send(self.api.get(&["payments", id, "actions"])).await;
        let answer = WORDS.success(what, sent)?;
        let list = serde_json::from_slice::<Value>(&answer.body).ok().filter(Value::is_array);
        list.ok_or_else(|| CallError::Transient { what, why: WORDS.of(&answer) })
    }

    /// Gives a payment back. The answer says that it is taken on; whether the bank takes it, a
    /// webhook tells. One that is given back already is done.
    pub(super) async fn refund(&self, order: &RefundOrder, key: &str) -> Result<(), CallError> {
        const WHAT: &str = "refund the charge";
        let mut body = json!({ "reference": order.attempt.as_str() });
        // Without an amount it is given back whole.
        if let Some(amount) = money::to_checkout(order.amount) {
            body["amount"] = json!(amount);
        }
        let sent = self.post(&["payments", &order.charge, "refunds"], &body, key).await;
        let is_so = async { Ok(self.payment(WHAT, &order.charge).await?["status"] == "Refunded") };
        shared::made(WORDS.success(WHAT, sent), is_so).await
    }

    /// A page where the amount is paid with any card. It asks for the country of the customer,
    /// which Checkout.com itself knows of a stored card.
    pub(super) async fn payment_link(
        &self,
        request: &HostedRequest,
    ) -> Result<HostedSession, CallError> {
        const WHAT: &str = "open a payment link";
        let Some(amount) = money::to_checkout(request.amount) else {
            return cannot(WHAT, "Checkout.com cannot charge exactly this amount");
        };
        let customer = self.send(self.api.get(&["customers", &request.customer])).await;
        let customer = WORDS.object("read the customer", customer)?;
        let Some(country) = country_of(&customer) else {
            return cannot(WHAT, "no stored card of the customer tells a country");
        };
        let mut body = json!({
            "amount": amount,
            "currency": request.amount.currency.code(),
            "payment_type": "Recurring",
            "billing": { "address": { "country": country } },
            "3ds": { "enabled": true },
            "reference": naming::of_link(&request.invoice, &request.idempotency_key),
            "metadata": naming::metadata(&request.invoice, None),
            "return_url": request.return_url,
        });
        self.add_channel(&mut body);
        if let Some(bought) = &request.description {
            body["description"] = json!(bought.chars().take(MAX_DESCRIPTION).collect::<String>());
        }
        let sent = self.post(&["payment-links"], &body, &request.idempotency_key).await;
        let link = WORDS.object(WHAT, sent)?;
        shared::session(WHAT, text(&link, "/_links/redirect/href"))
    }

    async fn post(&self, path: &[&str], body: &Value, key: &str) -> Result<Answer, Trouble> {
        self.send(self.api.post(path).header(KEY_HEADER, key).json(body)).await
    }

    async fn send(&self, request: RequestBuilder) -> Result<Answer, Trouble> {
        self.api.send(request.bearer_auth(self.key.expose_secret())).await
    }
}

/// Where the customer's cards are billed, else where they were issued.
fn country_of(customer: &Value) -> Option<String> {
    const PLACES: [&str; 2] = ["/account_holder/billing_address/country", "/issuer_country"];
    let cards = customer["instruments"].as_array()?;
    let told = |place: &str| cards.iter().find_map(|card| text(card, place));
    PLACES.into_iter().find_map(told).and_then(facts::country)
}
