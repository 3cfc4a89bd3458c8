//! Auto Rescue: Adyen's own retries of refused payments.
//!
//! Why here: recoup must see that they go on, wait for them, and take over when they end.
//!
//! What must stay true: each attempt is an authorisation of the same reference; the end is told by
//! an event of its own; what no bank would take is not rescued.

use jiff::{SignedDuration, Timestamp};

use super::model::{self, Payment, Rescue};
use super::notify::{self, About};
use super::{payments, words};
use crate::sandbox::Kind;
use crate::sandbox::issuer::Answer;
use crate::sandbox::world::{self, World};

/// Marks a payment that the issuer is about to refuse, where Auto Rescue is switched on.
pub(super) fn begin(world: &mut World, psp: &str, answer: &Answer) {
    let refused = matches!(answer, Answer::Decline(_) | Answer::RequireAuthentication);
    if world.adyen.rescue_days.is_empty() || !refused {
        return;
    }
    let next = if is_final(answer) { None } else { due_after(world, 1) };
    let reference = model::next_id(world, "rescue");
    if let Some(payment) = world.adyen.payments.get_mut(psp) {
        let original = psp.to_owned();
        payment.rescue = Some(Rescue { reference, original, made: 1, next });
    }
}

/// When the attempt after the `made`-th is made.
fn due_after(world: &World, made: u32) -> Option<Timestamp> {
    let days = world.adyen.rescue_days.get(made as usize - 1)?;
    Some(world.now + SignedDuration::from_hours(24 * days))
}

/// Lost cards, ended agreements: the bank's word that it never will.
fn is_final(answer: &Answer) -> bool {
    match answer {
        Answer::Decline(refusal) => {
            matches!(refusal.advice_code.as_deref(), Some("do_not_try_again" | "confirm_card_data"))
        }
        Answer::RequireAuthentication => true,
        Answer::Approve | Answer::Pending { .. } => false,
    }
}

/// Makes the attempts whose time has come.
pub(super) fn perform_due(world: &mut World) {
    let now = world.now;
    let is_due = |payment: &&mut Payment| {
        payment.rescue.as_ref().and_then(|rescue| rescue.next).is_some_and(|at| at <= now)
    };
    let mut due = Vec::new();
    for payment in world.adyen.payments.values_mut().filter(is_due) {
        due.push(payment.clone());
        if let Some(rescue) = &mut payment.rescue {
            rescue.next = None;
        }
    }
    for payment in due {
        attempt(world, &payment);
    }
}

fn attempt(world: &mut World, earlier: &Payment) {
    let Some(rescue) = &earlier.rescue else { return };
    let token = earlier.token.clone().unwrap_or_default();
    let step = world.decide(Kind::Adyen, earlier.shopper.as_deref(), &token, &earlier.card);
    let answer = world::settled(&step.answer).clone();
    let made = rescue.made + 1;
    let approved = answer == Answer::Approve;
    let next = if approved || is_final(&answer) { None } else { due_after(world, made) };
    let psp = model::next_id(world, "payment");
    let payment = Payment {
        psp: psp.clone(),
        key: None,
        result: "Pending",
        refusal: None,
        rescue: Some(Rescue { made, next, ..rescue.clone() }),
        ..earlier.clone()
    };
    world.adyen.payments.insert(psp.clone(), payment);
    payments::settle(world, &psp, &answer);
    if next.is_none() {
        ended(world, &psp);
    }
}

fn ended(world: &mut World, psp: &str) {
    let Some(mut payment) = world.adyen.payments.get(psp).cloned() else { return };
    let modification = model::next_id(world, "rescue end");
    let success = payment.result == "Authorised";
    if let Some(rescue) = &payment.rescue {
        payment.psp.clone_from(&rescue.original);
    }
    let reason = if success { "" } else { "Maximum rescue attempts reached" };
    let amount = words::amount(payment.amount);
    let about = About { code: "AUTORESCUE", success, psp: Some(&modification), reason, amount };
    notify::of_payment(world, &payment, &about);
}
