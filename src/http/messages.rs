//! The report on messages, as the API answers it. `core::report::messages` counts what the book
//! keeps; the dashboard shows the same numbers.
//!
//! What must stay true: every share has its denominator beside it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::AppState;
use crate::core::report::facts::Fate;
use crate::core::report::messages::{MessageReport, Tally};
use crate::core::report::select::Span;
use crate::store::StoreError;

/// What became of the messages of this time; of those not sent yet, by when they were decided.
pub(super) async fn report(state: &AppState, span: Span) -> Result<Value, StoreError> {
    let shelf = state.book.look_patiently(&state.store).await?;
    let report = MessageReport::of(shelf.cases(), span);
    Ok(json!({
        "since": span.since,
        "until": span.until,
        "total": tally(&report.total),
        "warnings": report.warnings(),
        "by_step": each(&report.by_step),
        "by_number": each(&report.by_number),
        "by_kind": each(&report.by_kind),
        "by_channel": each(&report.by_channel),
        "by_locale": each(&report.by_locale),
    }))
}

fn each<K: ToString>(tallies: &BTreeMap<K, Tally>) -> Value {
    let json = tallies.iter().map(|(key, one)| (key.to_string(), tally(one)));
    Value::Object(json.collect())
}

/// The numbers of some messages.
fn tally(tally: &Tally) -> Value {
    let (count, share) = (|fate| tally.count(fate), |fate| tally.share(fate));
    json!({
        "sent": tally.sent(),
        "by_status": tally.by_status,
        "delivered": count(Fate::Delivered),
        "opened": count(Fate::Opened),
        "opened_by_machine_only": count(Fate::Prefetched),
        "clicked": count(Fate::Clicked),
        "acted": count(Fate::Acted),
        "undelivered": count(Fate::Undelivered),
        "complained": count(Fate::Complained),
        "unsubscribed": count(Fate::Unsubscribed),
        "delivered_share": share(Fate::Delivered),
        "opened_share": share(Fate::Opened),
        "clicked_share": share(Fate::Clicked),
        "acted_share": share(Fate::Acted),
        "bounce_rate": share(Fate::Undelivered),
        "complaint_rate": share(Fate::Complained),
        "unsubscribe_rate": share(Fate::Unsubscribed),
    })
}
