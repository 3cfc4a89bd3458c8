//! A gateway in shadow mode: read, and never written to.
//!
//! Why here: the core asks for no charge in shadow mode, but "nothing is charged" is a promise that
//! must not hang on the core, the page, an API route or a defect in one of them. In shadow mode
//! every gateway is handed out behind this wall, so there is no other way to one.
//!
//! What must stay true: what changes something at the gateway is refused here, whoever asks; what
//! only reads passes.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;

use super::{
    CallError, Endpoint, Gateway, HostedRequest, HostedSession, Known, MalformedBody, Profile,
    Rejection, WebhookRequest, cannot,
};
use crate::core::decline::{Decline, RawDecline};
use crate::core::effect::{
    AdoptOrder, AttemptRef, ChargeOrder, ChargeOutcome, CloseOrder, InvoiceView, LookUpAnswer,
    MarkPaidOrder, MarkPaidOutcome, RefundOrder,
};
use crate::core::event::Event;
use crate::core::ids::GatewayId;
use crate::core::report::captures::Capture;

/// Why nothing is done.
const WHY: &str = "shadow mode: nothing is changed at a gateway";

/// A gateway that is only read.
pub struct ReadOnly(Arc<dyn Gateway>);

impl ReadOnly {
    /// This gateway, behind the wall.
    pub fn new(gateway: Arc<dyn Gateway>) -> Self {
        Self(gateway)
    }
}

#[async_trait]
impl Gateway for ReadOnly {
    fn id(&self) -> &GatewayId {
        self.0.id()
    }

    fn profile(&self) -> &Profile {
        self.0.profile()
    }

    fn verify(&self, request: &WebhookRequest<'_>) -> Result<(), Rejection> {
        self.0.verify(request)
    }

    fn items(&self, request: &WebhookRequest<'_>) -> Result<Vec<Vec<u8>>, MalformedBody> {
        self.0.items(request)
    }

    fn answer_challenge(&self, query: &str) -> Option<Result<String, Rejection>> {
        self.0.answer_challenge(query)
    }

    fn parse(&self, request: &WebhookRequest<'_>) -> Result<Vec<Event>, MalformedBody> {
        self.0.parse(request)
    }

    fn classify(&self, raw: &RawDecline) -> Decline {
        self.0.classify(raw)
    }

    async fn complete(&self, event: Event) -> Result<Event, CallError> {
        self.0.complete(event).await
    }

    async fn invoice(&self, invoice: &str) -> Result<InvoiceView, CallError> {
        self.0.invoice(invoice).await
    }

    async fn charge(&self, _: &ChargeOrder) -> ChargeOutcome {
        ChargeOutcome::NotSent { why: WHY.to_owned() }
    }

    async fn look_up(&self, attempt: &AttemptRef) -> LookUpAnswer {
        self.0.look_up(attempt).await
    }

    async fn refund(&self, _: &RefundOrder, _: &str) -> Result<(), CallError> {
        cannot("give a charge back", WHY)
    }

    async fn hosted_session(&self, _: &HostedRequest) -> Result<HostedSession, CallError> {
        cannot("open a page of the gateway", WHY)
    }

    async fn adopt_method(&self, _: &AdoptOrder, _: &str) -> Result<(), CallError> {
        cannot("adopt a payment method", WHY)
    }

    async fn mark_paid(&self, _: &MarkPaidOrder, _: &str) -> Result<MarkPaidOutcome, CallError> {
        cannot("mark an invoice as paid", WHY)
    }

    async fn close(&self, _: &CloseOrder, _: &str) -> Result<(), CallError> {
        cannot("close subscription and invoice", WHY)
    }

    async fn check_access(&self) -> Result<String, CallError> {
        self.0.check_access().await
    }

    async fn captures(
        &self,
        since: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<Capture>, CallError> {
        self.0.captures(since, until).await
    }

    async fn endpoints(&self) -> Option<Result<Vec<Endpoint>, CallError>> {
        self.0.endpoints().await
    }

    async fn known_since(&self, since: Timestamp) -> Result<Vec<Known>, CallError> {
        self.0.known_since(since).await
    }
}
