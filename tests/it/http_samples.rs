//! Small records for the HTTP tests.

use recoup::core::case::{Attempt, AttemptOutcome, Case, Next, State};
use recoup::core::customer::Customer;
use recoup::core::decline::{Advice, Category, Decline};
use recoup::core::effect::ChargeOrder;
use recoup::core::event::PaymentMethodFacts;
use recoup::core::ids::{AttemptId, CaseId, GatewayId};
use recoup::core::ledger::Decision;
use recoup::core::money::Money;

use crate::http_support::at;

pub(crate) fn decline(category: Category) -> Decline {
    Decline {
        code: Some("insufficient_funds".to_owned()),
        network_code: Some("51".to_owned()),
        advice_code: None,
        network_advice_code: None,
        category,
        advice: Advice::None,
        min_delay_seconds: None,
    }
}

/// The case of invoice `in_{n}`.
pub(crate) fn case(n: i64) -> Case {
    let gateway = GatewayId::from("first");
    let invoice = format!("in_{n}");
    let id = CaseId::of(&gateway, &invoice);
    Case {
        attempts: vec![attempt(&id)],
        revision: 1,
        policy_version: "pol_1".to_owned(),
        customer: Some(format!("cus_{}", n % 2)),
        subscription: Some("sub_1".to_owned()),
        description: Some("Pro plan".to_owned()),
        state: State::Scheduled,
        reason: "no balance; tried again on payday".to_owned(),
        decline: Some(decline(Category::InsufficientFunds)),
        token: Some("pm_1".to_owned()),
        native_attempts: 1,
        next: Next { at: Some(at(9)), what: "attempt".to_owned(), why: "payday".to_owned() },
        ledger_sequence: 1,
        ..Case::blank(id, gateway, invoice, Money::new(2900 + n, "USD".parse().unwrap()), at(n))
    }
}

fn attempt(case: &CaseId) -> Attempt {
    let id = AttemptId::of(case, 1);
    Attempt {
        charge: ChargeOrder {
            idempotency_key: id.idempotency_key(),
            attempt: id,
            number: 1,
            gateway: GatewayId::from("first"),
            token: Some("pm_1".to_owned()),
            customer: Some("cus_1".to_owned()),
            subscription: None,
            invoice: "in_1".to_owned(),
            amount: Money::new(2900, "USD".parse().unwrap()),
            billing: true,
            network_transaction_id: None,
        },
        card: None,
        at: at(1),
        sent: Some((at(2), at(2))),
        sends: 1,
        look_ups: 0,
        outcome: AttemptOutcome::Declined,
        settled_at: Some(at(3)),
        payment: None,
        decline: Some(decline(Category::InsufficientFunds)),
        on_schedule: true,
        forced: false,
        refunded: false,
        decision: Decision {
            what: "attempt".to_owned(),
            at: Some(at(1)),
            via: Some("first".to_owned()),
            why: "evenly spaced".to_owned(),
            considered: Vec::new(),
        },
    }
}

pub(crate) fn customer(id: &str) -> Customer {
    let mut customer = Customer::new(id);
    customer.contact.name = Some("Ana".to_owned());
    customer.contact.email = Some("ana@nube.example".to_owned());
    let facts = PaymentMethodFacts {
        token: Some("pm_1".to_owned()),
        last4: Some("4242".to_owned()),
        ..PaymentMethodFacts::default()
    };
    customer.learn_method(&GatewayId::from("first"), &facts);
    customer
}
