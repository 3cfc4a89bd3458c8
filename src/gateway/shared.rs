//! What every client says in the same way: what a search found, where a customer is sent, whether a
//! change that was refused had been made before.
//!
//! Why here: the second gateway needed it. How bytes travel is in `wire`; this is about what the
//! calls of the trait give back.
//!
//! What must stay true: a question that was not answered is never "no".

use super::{CallError, HostedSession, cannot, wire};
use crate::core::effect::{AttemptRef, ChargeOutcome, CloseOrder, LookUpAnswer};
use crate::core::policy::{InvoiceAction, SubscriptionAction};

/// The answer of a look-up from what its reads found.
pub(super) fn answer(found: Result<Option<ChargeOutcome>, CallError>) -> LookUpAnswer {
    match found {
        Ok(Some(outcome)) => LookUpAnswer::Found(outcome),
        Ok(None) => LookUpAnswer::NotFound,
        Err(error) => LookUpAnswer::Unavailable { why: error.to_string() },
    }
}

/// What a search found. It is never empty for an attempt whose payment the gateway told us of: a
/// search that lags, or another account's key, is no proof that nothing was charged.
pub(super) fn not_lost(
    attempt: &AttemptRef,
    what: &'static str,
    found: Option<ChargeOutcome>,
) -> Result<Option<ChargeOutcome>, CallError> {
    match (&attempt.payment, found) {
        (Some(payment), None) => {
            let why = format!("{payment}, which the gateway told us of, is not found");
            Err(CallError::Transient { what, why })
        }
        (_, found) => Ok(found),
    }
}

/// A hosted session at the address that an answer tells. The customer's browser is sent there, so
/// it must be an address of the web.
pub(super) fn session(what: &'static str, url: Option<&str>) -> Result<HostedSession, CallError> {
    let url = url.filter(|url| wire::is_web_address(url));
    let why = "the answer has no address to send the customer to".to_owned();
    url.map(|url| HostedSession { url: url.to_owned() }).ok_or(CallError::Permanent { what, why })
}

/// The end of a case at a gateway that has neither subscriptions nor invoices: nothing is to be
/// done when all is kept, and nothing else can be.
pub(super) fn close_nothing(order: &CloseOrder, why: &str) -> Result<(), CallError> {
    let keeps = order.subscription_action == SubscriptionAction::Keep
        && order.invoice_action == InvoiceAction::Keep;
    if keeps { Ok(()) } else { cannot("close the subscription", why) }
}

/// A change that was refused for good may have been made before: then what `is_made` reads says
/// so, and the change is done.
pub(super) async fn made<T>(
    change: Result<T, CallError>,
    is_made: impl Future<Output = Result<bool, CallError>>,
) -> Result<(), CallError> {
    let refused = match change {
        Ok(_) => return Ok(()),
        Err(error) if error.is_transient() => return Err(error),
        Err(error) => error,
    };
    match is_made.await {
        Ok(true) => Ok(()),
        Err(error) if error.is_transient() => Err(error),
        _ => Err(refused),
    }
}

/// The methods of [`super::Gateway`] that every client of ours has in the same words: its id and
/// profile, and its pure half, which is its `webhook.rs`. The struct has the fields `id`, `profile`
/// and `webhook_secrets`.
macro_rules! pure_half {
    () => {
        fn id(&self) -> &GatewayId {
            &self.id
        }

        fn profile(&self) -> &Profile {
            &self.profile
        }

        fn verify(&self, request: &WebhookRequest<'_>) -> Result<(), Rejection> {
            webhook::verify(request, &self.webhook_secrets)
        }

        fn classify(&self, raw: &RawDecline) -> Decline {
            webhook::classified(raw).decline
        }
    };
}
pub(super) use pure_half;
