//! Defects that can be switched on, to show that the tests would find them.
//!
//! Why here: a rule that no test misses when it is gone is no rule. Each of these takes one rule
//! away, at the place where it stands; `tests/mutants` shows who notices.
//!
//! What must stay true: without the feature `mutants` no defect can be switched on and nothing of
//! this is in the program; a program with it does not serve.

/// A rule that is taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Mutant {
    /// An event is acknowledged before it is kept.
    AcknowledgesBeforeKeeping,
    /// What becomes known of an attempt is booked on another.
    BooksOnAnother,
    /// Two invoices are tried on one card at the same time.
    CardTwiceAtOnce,
    /// What a dead process had begun is begun again.
    ChargesAgainAfterDeath,
    /// A charge that waited in the outbox leaves whatever happened meanwhile.
    ChargesAfterTheEnd,
    /// More is charged than is owed.
    ChargesMore,
    /// A case that a person holds is charged.
    ChargesWhileHeld,
    /// A message counts when it was planned, until somebody tells when it left.
    CountsWhenPlanned,
    /// A failure that is told after the end opens the case again.
    FailureReopens,
    /// That a card must never be charged is forgotten.
    ForgetsNever,
    /// A payment that was made twice is not given back, and nobody is told.
    ForgetsSecondPayment,
    /// "Not found" counts from the first send.
    HorizonFromFirstSend,
    /// The delay that a network stated is not kept.
    IgnoresDelay,
    /// The gateway's own retry is not waited for.
    IgnoresNativeRetry,
    /// No limit of a network counts.
    IgnoresLimits,
    /// That somebody paid otherwise is not heeded.
    IgnoresOtherPayment,
    /// The day that the customer asked for is not waited for.
    IgnoresPromise,
    /// A stop of the subscription is not heeded.
    IgnoresStop,
    /// What a gateway counts of an attempt counts there only.
    LimitsByGateway,
    /// What could not be marked as paid is left at that.
    MarksOnce,
    /// A message leaves whatever happened meanwhile.
    MessageAfterTheEnd,
    /// A message leaves at any hour, and any number on a day.
    MessageAtAnyTime,
    /// A message that may have gone out is sent again.
    MessageTwice,
    /// A no to messages is not heeded.
    MessageAfterNo,
    /// A re-send is another charge to the gateway.
    NewKeyOnResend,
    /// Nothing is looked up before giving up, or after the end.
    NoClosingSweep,
    /// An input that comes twice is kept twice.
    NoDeduplication,
    /// Nothing is looked up before a new attempt.
    NoPreFlight,
    /// "Not found" is final at once.
    NotFoundIsFinal,
    /// A charge is sent again though the invoice is owed no more.
    ResendsAfterTheEnd,
    /// A charge is sent again when the gateway may have forgotten its key.
    ResendsBlindly,
    /// A charge leaves before it is kept that it will.
    SendsBeforeKeeping,
    /// The next attempt is made while nobody knows what became of the last.
    SecondWhileUnknown,
    /// A look-up for something else lets the next attempt go.
    StaleAnswerCounts,
    /// A time-out counts as a failure.
    TimeOutIsFailure,
    /// A restored store is taken for what happened.
    TrustsRestored,
}

impl Mutant {
    /// Every one.
    pub const ALL: [Self; 36] = [
        Self::AcknowledgesBeforeKeeping,
        Self::BooksOnAnother,
        Self::CardTwiceAtOnce,
        Self::ChargesAgainAfterDeath,
        Self::ChargesAfterTheEnd,
        Self::ChargesMore,
        Self::ChargesWhileHeld,
        Self::CountsWhenPlanned,
        Self::FailureReopens,
        Self::ForgetsNever,
        Self::ForgetsSecondPayment,
        Self::HorizonFromFirstSend,
        Self::IgnoresDelay,
        Self::IgnoresNativeRetry,
        Self::IgnoresLimits,
        Self::IgnoresOtherPayment,
        Self::IgnoresPromise,
        Self::IgnoresStop,
        Self::LimitsByGateway,
        Self::MarksOnce,
        Self::MessageAfterTheEnd,
        Self::MessageAtAnyTime,
        Self::MessageTwice,
        Self::MessageAfterNo,
        Self::NewKeyOnResend,
        Self::NoClosingSweep,
        Self::NoDeduplication,
        Self::NoPreFlight,
        Self::NotFoundIsFinal,
        Self::ResendsAfterTheEnd,
        Self::ResendsBlindly,
        Self::SendsBeforeKeeping,
        Self::SecondWhileUnknown,
        Self::StaleAnswerCounts,
        Self::TimeOutIsFailure,
        Self::TrustsRestored,
    ];
}

/// Whether this rule is taken away.
#[cfg(not(feature = "mutants"))]
pub(crate) const fn fault(_: Mutant) -> bool {
    false
}

#[cfg(feature = "mutants")]
pub(crate) use switched::fault;
#[cfg(feature = "mutants")]
pub use switched::with;

#[cfg(feature = "mutants")]
mod switched {
    use std::cell::Cell;

    use super::Mutant;

    std::thread_local! {
        static SWITCHED_ON: Cell<u64> = const { Cell::new(0) };
    }

    /// Whether this rule is taken away, on this thread.
    pub(crate) fn fault(mutant: Mutant) -> bool {
        SWITCHED_ON.with(|on| on.get() & (1 << mutant as u64) != 0)
    }

    /// Does something with these rules taken away, on this thread.
    pub fn with<T>(mutants: &[Mutant], doing: impl FnOnce() -> T) -> T {
        let bits = mutants.iter().fold(0, |bits, mutant| bits | 1 << *mutant as u64);
        SWITCHED_ON.with(|on| on.set(bits));
        let done = doing();
        SWITCHED_ON.with(|on| on.set(0));
        done
    }
}
