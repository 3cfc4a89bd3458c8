//! The calls of the `http` protocol, one for one.
//!
//! Why here: the protocol is part of the public interface; a merchant reads this file next to it.
//!
//! What must stay true: bodies hold exactly the documented fields; the same order always makes the
//! same bytes, since the other side compares them under one key.

use reqwest::RequestBuilder;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use super::outcome::{self, WORDS};
use crate::core::effect::{
    AttemptRef, ChargeOrder, ChargeOutcome, CloseOrder, LookUpAnswer, MarkPaidOrder,
    MarkPaidOutcome, RefundOrder,
};
use crate::core::policy::{InvoiceAction, SubscriptionAction};
use crate::gateway::wire::{Answer, Api, BuildError, Timeouts, Trouble};
use crate::gateway::{CallError, GatewaySettings, HostedRequest, HostedSession, shared};

/// The API of one payment system.
#[derive(Debug, Clone)]
pub(super) struct Client {
    api: Api,
    key: SecretString,
}

impl Client {
    pub(super) fn new(settings: &GatewaySettings, timeouts: Timeouts) -> Result<Self, BuildError> {
        let base = settings.api_base.as_deref().unwrap_or_default();
        Ok(Self {
            api: Api::new(base, timeouts)?.paced(settings, super::profile().requests_per_second),
            key: settings.api_key.clone(),
        })
    }

    pub(super) async fn charge(&self, order: &ChargeOrder) -> ChargeOutcome {
        let body = json!({
            "amount": order.amount.minor,
            "currency": order.amount.currency.code(),
            "payment_method": order.token,
            "customer": order.customer,
            "invoice": order.invoice,
            "attempt": order.number,
            "off_session": true,
        });
        match self.post(&["charges"], &body, &order.idempotency_key).await {
            Ok(answer) => outcome::of_answer(order, &answer),
            Err(trouble) => trouble.into_outcome(),
        }
    }

    pub(super) async fn look_up(&self, attempt: &AttemptRef) -> LookUpAnswer {
        let query = [("idempotency_key", attempt.charge.idempotency_key.as_str())];
        let request = self.api.get(&["charges"]).query(&query);
        let answer = match self.send(request).await {
            Ok(answer) => answer,
            Err(trouble) => return LookUpAnswer::Unavailable { why: trouble.to_string() },
        };
        if answer.status == 404 {
            return LookUpAnswer::NotFound;
        }
        let charge = answer.object().filter(|_| answer.is_success());
        match charge.and_then(|charge| outcome::of_charge(&attempt.charge, &charge)) {
            Some(found) => LookUpAnswer::Found(found),
            None => LookUpAnswer::Unavailable { why: WORDS.of(&answer) },
        }
    }

    pub(super) async fn refund(&self, order: &RefundOrder, key: &str) -> Result<(), CallError> {
        const WHAT: &str = "refund the charge";
        let answer = self.post(&["charges", &order.charge, "refund"], &json!({}), key).await;
        WORDS.success(WHAT, answer).map(drop)
    }

    /// The protocol has one page for the customer, and a card given anew is confirmed there too:
    /// so it serves both purposes.
    pub(super) async fn hosted_session(
        &self,
        request: &HostedRequest,
    ) -> Result<HostedSession, CallError> {
        const WHAT: &str = "open a card-update session";
        let body = json!({ "customer": request.customer, "return_url": request.return_url });
        let sent = self.post(&["card-update-sessions"], &body, &request.idempotency_key).await;
        let session = WORDS.object(WHAT, sent)?;
        shared::session(WHAT, session["url"].as_str())
    }

    pub(super) async fn mark_paid(
        &self,
        order: &MarkPaidOrder,
        key: &str,
    ) -> Result<MarkPaidOutcome, CallError> {
        const WHAT: &str = "mark the invoice as paid";
        let body = json!({ "gateway": order.paid_at, "charge": order.charge });
        let sent = self.post(&["invoices", &order.invoice, "paid"], &body, key).await;
        let answer = sent.map_err(|trouble| trouble.into_call_error(WHAT))?;
        if says_already_paid(&answer) {
            return Ok(MarkPaidOutcome::AlreadyPaid);
        }
        if answer.is_success() {
            return Ok(MarkPaidOutcome::Done);
        }
        match WORDS.error(WHAT, &answer) {
            CallError::Permanent { why, .. } => Ok(MarkPaidOutcome::Failed { why }),
            error @ CallError::Transient { .. } => Err(error),
        }
    }

    /// The protocol has no call that writes an invoice off or voids it: the operator is told, after
    /// the subscription's part is done.
    pub(super) async fn close(&self, order: &CloseOrder, key: &str) -> Result<(), CallError> {
        const WHAT: &str = "close the subscription";
        let action = match order.subscription_action {
            SubscriptionAction::Keep => None,
            SubscriptionAction::Pause => Some("pause"),
            SubscriptionAction::Cancel => Some("cancel"),
        };
        if let Some((id, action)) = order.subscription.as_deref().zip(action) {
            let sent = self.post(&["subscriptions", id, action], &json!({}), key).await;
            WORDS.success(WHAT, sent)?;
        }
        if order.invoice_action == InvoiceAction::Keep {
            return Ok(());
        }
        let why = "the http protocol has no call that ends an invoice".to_owned();
        Err(CallError::Permanent { what: "close the invoice", why })
    }

    async fn post(&self, path: &[&str], body: &Value, key: &str) -> Result<Answer, Trouble> {
        self.send(self.api.post(path).header("idempotency-key", key).json(body)).await
    }

    async fn send(&self, request: RequestBuilder) -> Result<Answer, Trouble> {
        self.api.send(request.bearer_auth(self.key.expose_secret())).await
    }
}

/// A 409 is one way to say it, and a word in any answer is another.
fn says_already_paid(answer: &Answer) -> bool {
    let body = answer.object().unwrap_or_default();
    let says = |name: &str| body[name] == "already_paid" || body["error"][name] == "already_paid";
    answer.status == 409 || ["status", "code", "error"].into_iter().any(says)
}
