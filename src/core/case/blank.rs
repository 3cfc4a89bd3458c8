//! A case of which nothing has happened yet.
//!
//! Why here: whoever makes a case (the step that opens one, the dashboard's sample data, tests)
//! begins with the same one, and says only what is other.
//!
//! What must stay true: nothing is planned, known or waited for.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::page::PageRecord;
use super::{Case, Next, State};
use crate::core::ids::{CaseId, GatewayId};
use crate::core::money::Money;

impl Case {
    /// The case of an invoice that is owed, at its first moment, before its first step.
    pub fn blank(
        id: CaseId,
        gateway: GatewayId,
        invoice: impl Into<String>,
        amount: Money,
        at: Timestamp,
    ) -> Self {
        Self {
            id,
            revision: 0,
            arm: None,
            policy_version: String::new(),
            shadow: false,
            gateway,
            invoice: invoice.into(),
            customer: None,
            subscription: None,
            description: None,
            amount,
            opened_at: at,
            ended_at: None,
            state: State::Monitoring,
            reason: String::new(),
            decline: None,
            first_refusal: None,
            declined_at: at,
            token: None,
            card: None,
            window_from: at,
            native_attempts: 0,
            native_retry: None,
            native_next_at: None,
            attempts: Vec::new(),
            technical: 0,
            off_schedule: false,
            unverified: 0,
            restored: None,
            steps_done: 0,
            messages: Vec::new(),
            along: Vec::new(),
            waits_because: None,
            timers: BTreeMap::new(),
            pending: BTreeMap::new(),
            payments: Vec::new(),
            paid_by: None,
            unmarked: false,
            page: PageRecord::default(),
            page_used: false,
            renewed_to: None,
            moved_to: None,
            card_updated: false,
            forced: false,
            check_began_at: None,
            check_purpose: None,
            route: None,
            routed: None,
            recovered_by: None,
            flags: Vec::new(),
            next: Next { at: None, what: "wait".into(), why: String::new() },
            ledger_sequence: 0,
            effect_sequence: 0,
        }
    }
}
