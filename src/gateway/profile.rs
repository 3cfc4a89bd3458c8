//! What a gateway is like, as data: what it can do, how it is connected, what is unproven.
//!
//! Why here: the core and the worker ask the capabilities, never a gateway's name; `recoup doctor`
//! and the tables of the documentation are made from the same values.
//!
//! What must stay true: nothing here is code that decides; a statement that was not read in a
//! source of the gateway's own stands in [`Profile::unproven`] too.

use crate::core::policy::Capabilities;

/// How a gateway knows the same charge when it is sent twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Idempotency {
    /// By a header of this name.
    Header(&'static str),
    /// By a reference, in the field of this name, that it takes only once.
    UniqueReference(&'static str),
    /// Not at all: a charge is never sent twice, its reference finds it again.
    Reference(&'static str),
}

/// What a customer can be sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hosted {
    /// A page of the gateway where a new card is given for the subscription.
    CardUpdate,
    /// A page of the gateway where the amount is paid, with any card.
    PayByLink,
    /// Nothing: the merchant needs a page of their own.
    Nothing,
}

/// What an authentic webhook proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proves {
    /// All of it: the raw body is signed.
    Body,
    /// Only some fields: what else decides is read again through the API.
    SomeFields,
    /// Only that something happened: everything is read again through the API.
    Pointer,
}

/// The answer that a gateway takes as "received".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acknowledgement {
    /// 200 and a JSON object, which it does not read.
    Json,
    /// 200 and exactly this text.
    Text(&'static str),
}

/// A gateway's own retries, and how they are stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NativeRetryFacts {
    /// What it does by itself; empty: nothing.
    pub what: &'static str,
    /// Where they are switched off, with the names of its own console; `None`: they cannot be.
    pub switch_off: Option<&'static str>,
}

/// What one kind of gateway is like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// Its kind in the merchant file.
    pub kind: &'static str,
    /// Its name for people.
    pub name: &'static str,
    /// What it can do.
    pub capabilities: Capabilities,
    /// How the same charge is known again.
    pub idempotency: Idempotency,
    /// How an outcome is found after a time-out, in words.
    pub found_by: &'static str,
    /// What a customer can be sent to.
    pub hosted: Hosted,
    /// Beside that, it has a page of the invoice on which it is paid by any means that it offers.
    pub invoice_page: bool,
    /// What an authentic webhook proves.
    pub proves: Proves,
    /// What it wants to hear.
    pub acknowledgement: Acknowledgement,
    /// The webhook's address carries signed facts in its query, which are kept with the body.
    pub query_is_signed: bool,
    /// It tells what it knows since a time, so that missed webhooks can be found.
    pub tells_history: bool,
    /// How many requests a second its API takes, by its own documentation, of which `recoup` uses
    /// no more unless the merchant file says so; `None`: as many as there are.
    pub requests_per_second: Option<u32>,
    /// Its own retries.
    pub native_retries: NativeRetryFacts,
    /// Countries (ISO 3166) whose merchants it serves; empty: many.
    pub regions: &'static [&'static str],
    /// The events to switch on, by its own names.
    pub events: &'static [&'static str],
    /// The rights that the key needs, by its own names.
    pub rights: &'static [&'static str],
    /// What no source of the gateway's own was read for.
    pub unproven: &'static [&'static str],
}

impl Profile {
    /// A gateway of which only its capabilities are stated: the rest is the plainest there is.
    pub fn plain(kind: &'static str, name: &'static str, capabilities: Capabilities) -> Self {
        Self {
            kind,
            name,
            capabilities,
            idempotency: Idempotency::Header("Idempotency-Key"),
            found_by: "its key",
            hosted: Hosted::CardUpdate,
            invoice_page: false,
            proves: Proves::Body,
            acknowledgement: Acknowledgement::Json,
            query_is_signed: false,
            tells_history: false,
            requests_per_second: None,
            native_retries: NativeRetryFacts { what: "", switch_off: None },
            regions: &[],
            events: &[],
            rights: &[],
            unproven: &[],
        }
    }
}
