//! Hosted sessions of the gateways: made fresh at a click, one for the clicks of half an hour.
//!
//! Why here: mail scanners press buttons too. Each key of a gateway's is used once, also where the
//! gateway itself would not notice a second call.
//!
//! What must stay true: fifty clicks within half an hour ask the gateway once; a failure is not
//! remembered; an address is never logged, since it opens the gateway's page.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::visit::Visit;
use crate::clock::real_now;
use crate::core::case::Case;
use crate::core::decline::{Advice, Category};
use crate::core::ids::pick;
use crate::gateway::{CallError, HostedPurpose, HostedRequest};
use crate::http::{AppState, link};

/// Clicks within this time share one gateway session, in seconds.
const SESSION_S: i64 = 30 * 60;

/// Sessions that are remembered at most.
const MAX_SESSIONS: usize = 10_000;

/// One session: made when, and where it is. Locked while the gateway is asked.
type Slot = Arc<tokio::sync::Mutex<Option<(i64, String)>>>;

/// The sessions of the last half hour.
#[derive(Debug, Default)]
pub(super) struct Sessions(Mutex<HashMap<String, Slot>>);

impl Sessions {
    /// Where to send the customer.
    pub(super) async fn url(
        &self,
        state: &AppState,
        visit: &Visit,
        purpose: HostedPurpose,
    ) -> Result<String, CallError> {
        let slot = self.slot(&name(&visit.case, purpose));
        let mut made = slot.lock().await;
        let now = real_now().as_second();
        if let Some((at, url)) = made.as_ref()
            && (*at..*at + SESSION_S).contains(&now)
        {
            return Ok(url.clone());
        }
        let url = open(state, visit, purpose).await?;
        *made = Some((now, url.clone()));
        Ok(url)
    }

    fn slot(&self, name: &str) -> Slot {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.len() >= MAX_SESSIONS {
            // The gateway's own key still holds the clicks of this half hour together.
            slots.clear();
        }
        slots.entry(name.to_owned()).or_default().clone()
    }
}

/// Another session after another refusal, for another amount or another purpose.
fn name(case: &Case, purpose: HostedPurpose) -> String {
    let (id, attempts) = (&case.id, case.attempts.len());
    format!("{id} {purpose:?} {} {attempts} {:?}", case.declined_at, case.amount)
}

/// The same for all clicks of half an hour; another one after another refusal.
pub(super) fn key(case: &Case, purpose: HostedPurpose) -> String {
    let half_hour = real_now().as_second().div_euclid(SESSION_S).to_string();
    let parts = [case.id.as_str(), &name(case, purpose), &half_hour];
    format!("recoup-page-{}-{:016x}", case.id, pick(u64::MAX, &parts))
}

async fn open(
    state: &AppState,
    visit: &Visit,
    purpose: HostedPurpose,
) -> Result<String, CallError> {
    let case = &visit.case;
    let permanent =
        |why: &str| CallError::Permanent { what: "open a hosted page", why: why.into() };
    let gateway = state.gateway(case.gateway.as_str());
    let gateway = gateway.ok_or_else(|| permanent("the gateway is not in the merchant file"))?;
    let customer = case.customer.clone().ok_or_else(|| permanent("the customer is not known"))?;
    let back = link::url(&state.brand.public_url, &state.link_key, &case.id);
    let mut request = HostedRequest {
        purpose,
        customer,
        subscription: case.subscription.clone(),
        invoice: case.invoice.clone(),
        amount: case.amount,
        description: case.description.clone(),
        return_url: format!("{back}?done=card"),
        idempotency_key: key(case, purpose),
    };
    let answer = match gateway.hosted_session(&request).await {
        // Where the gateway has no page to confirm on, a new card helps too.
        Err(CallError::Permanent { .. }) if purpose == HostedPurpose::Authenticate => {
            request.purpose = HostedPurpose::UpdateCard;
            request.idempotency_key.push_str("-card");
            gateway.hosted_session(&request).await
        }
        answer => answer,
    };
    answer.map(|session| session.url)
}

/// What the button of this case leads to.
pub(super) fn purpose(case: &Case) -> HostedPurpose {
    let wants_bank = case.decline.as_ref().is_some_and(|decline| {
        decline.category == Category::AuthenticationRequired
            || decline.advice == Advice::Authenticate
    });
    if wants_bank { HostedPurpose::Authenticate } else { HostedPurpose::UpdateCard }
}
