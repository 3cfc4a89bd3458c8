//! Mutants that random histories hardly meet: each is noticed by the story that is told for its
//! rule.
//!
//! What must stay true: the story passes with the rule, and fails without it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::*;
use crate::core::consent::tests as consent;
use crate::core::fault::{Mutant, with};

/// Whether the story ends otherwise when these rules are taken away.
fn is_noticed(mutants: &[Mutant], story: fn()) -> bool {
    catch_unwind(story).is_ok() && with(mutants, || catch_unwind(AssertUnwindSafe(story)).is_err())
}

/// Rules, and the story that needs them.
type Needs = (&'static [Mutant], fn());

#[test]
fn each_story_notices_that_its_rule_is_gone() {
    let stories: [Needs; 10] = [
        (
            &[Mutant::HorizonFromFirstSend],
            failures::not_found_counts_from_the_last_send_not_from_the_first,
        ),
        (&[Mutant::NoClosingSweep], nothing_helps_and_the_case_is_exhausted_after_a_closing_sweep),
        (&[Mutant::SecondWhileUnknown], failures::an_unknown_outcome_blocks_every_other_attempt),
        (&[Mutant::ResendsAfterTheEnd], failures::nothing_is_sent_again_once_the_invoice_is_closed),
        (
            &[Mutant::TrustsRestored],
            restored::a_restored_case_asks_every_gateway_before_anything_is_charged,
        ),
        (
            &[Mutant::ResendsBlindly],
            failures::a_re_send_that_waited_until_its_key_may_be_forgotten_does_not_leave,
        ),
        (&[Mutant::ResendsBlindly], failures::an_expired_key_is_never_sent_again),
        (&[Mutant::CountsWhenPlanned], consent::what_nobody_has_told_of_may_be_leaving_just_now),
        (
            &[Mutant::IgnoresPromise],
            page_stories::charge_me_on_the_fifth_is_obeyed_and_nobody_is_reminded_before,
        ),
        (
            &[Mutant::MarksOnce],
            failures::what_could_not_be_marked_as_paid_and_is_paid_again_is_given_back,
        ),
    ];
    for (mutants, story) in stories {
        assert!(is_noticed(mutants, story), "nobody notices {mutants:?}");
    }
}
