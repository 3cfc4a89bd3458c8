//! The sandbox's webhooks: signed, repeated, and broken on demand.
//!
//! Why here: a receiver is only as good as the sender that it was tested with.
//!
//! What must stay true: signatures are checked by hand, not with the code that made them.

use std::time::Duration;

use recoup::clock::{Clock, real_now};
use recoup::sandbox::{
    Kind, NewBill, NewCustomer, Sandbox, SandboxOptions, Step, Target, WebhookFaults,
};

use crate::receiver::{Receiver, hmac};

const FAILURE: [&str; 5] = [
    "invoice.finalized",
    "charge.failed",
    "payment_intent.payment_failed",
    "invoice.payment_failed",
    "customer.subscription.updated",
];

async fn start(receiver: &Receiver, retries: Vec<Duration>) -> Sandbox {
    Sandbox::start(SandboxOptions {
        webhook_url: Some(receiver.url.clone()),
        clock: Clock::test("2026-11-01T09:00:00Z".parse().unwrap()),
        webhook_retries: retries,
        ..SandboxOptions::default()
    })
    .await
    .unwrap()
}

fn fail_one(sandbox: &Sandbox) -> String {
    let bill = NewBill::new("", 2900, "usd");
    let of = sandbox.subscribe(NewCustomer::default(), "tok_insufficient_funds", bill);
    sandbox.bill(&of.subscription).unwrap()
}

#[tokio::test]
async fn a_failure_is_told_in_order_and_signed_in_real_time() {
    let receiver = Receiver::start().await;
    let sandbox = start(&receiver, Vec::new()).await;
    fail_one(&sandbox);
    sandbox.webhooks_settled().await;
    assert_eq!(receiver.kinds(), FAILURE);
    let got = &receiver.got()[3];
    assert_eq!(got.path, "/webhooks/stripe");
    let event = got.json();
    let created = "2026-11-01T09:00:00Z".parse::<jiff::Timestamp>().unwrap().as_second();
    assert_eq!(event["created"], created, "the sandbox's clock");
    let (time, digest) = got.header("stripe-signature").split_once(',').unwrap();
    let time = time.strip_prefix("t=").unwrap();
    let age = real_now().as_second() - time.parse::<i64>().unwrap();
    assert!((0..60).contains(&age), "signed in real time");
    let secret = sandbox.secrets().stripe_webhook_secret.as_bytes();
    let expected = hmac(secret, &[time.as_bytes(), b".", &got.body]);
    assert_eq!(digest, format!("v1={}", hex::encode(expected)));
    assert!(sandbox.events().iter().all(|event| event.delivered));
}

#[tokio::test]
async fn what_is_not_taken_is_sent_again() {
    let receiver = Receiver::start().await;
    receiver.answer([500, 200, 200, 200, 200, 503]);
    let pause = Duration::from_millis(30);
    let sandbox = start(&receiver, vec![pause, pause]).await;
    fail_one(&sandbox);
    sandbox.webhooks_settled().await;
    let first: Vec<_> = sandbox.deliveries().into_iter().filter(|d| d.kind == FAILURE[0]).collect();
    let tries: Vec<_> = first.iter().map(|d| (d.attempt, d.status)).collect();
    assert_eq!(tries, [(1, Some(500)), (2, Some(503)), (3, Some(200))]);
    assert!(first.iter().all(|delivery| delivery.event == first[0].event));
    assert_eq!(receiver.got().len(), FAILURE.len() + 2);
}

#[tokio::test]
async fn what_is_never_taken_is_given_up_and_listed() {
    let receiver = Receiver::start().await;
    receiver.answer([500; 10]);
    let sandbox = start(&receiver, vec![Duration::from_millis(5)]).await;
    fail_one(&sandbox);
    sandbox.webhooks_settled().await;
    assert_eq!(receiver.got().len(), 10);
    assert!(sandbox.events().iter().all(|event| !event.delivered));
}

#[tokio::test]
async fn events_come_twice_never_or_in_another_order() {
    let receiver = Receiver::start().await;
    let sandbox = start(&receiver, Vec::new()).await;
    sandbox.set_webhook_faults(WebhookFaults { duplicated: 1.0, ..WebhookFaults::default() });
    fail_one(&sandbox);
    sandbox.webhooks_settled().await;
    let twice: Vec<_> = FAILURE.iter().flat_map(|kind| [*kind, *kind]).collect();
    assert_eq!(receiver.kinds(), twice);
    sandbox.set_webhook_faults(WebhookFaults { dropped: 1.0, ..WebhookFaults::default() });
    fail_one(&sandbox);
    sandbox.webhooks_settled().await;
    assert_eq!(receiver.got().len(), twice.len());
    sandbox.set_webhook_faults(WebhookFaults { shuffled: 1.0, ..WebhookFaults::default() });
    fail_one(&sandbox);
    sandbox.webhooks_settled().await;
    let mut shuffled = receiver.kinds().split_off(twice.len());
    assert_ne!(shuffled, FAILURE);
    shuffled.sort();
    let mut sorted = FAILURE;
    sorted.sort_unstable();
    assert_eq!(shuffled, sorted);
}

#[tokio::test]
async fn a_late_event_comes_when_the_clock_has_passed() {
    let receiver = Receiver::start().await;
    let sandbox = start(&receiver, Vec::new()).await;
    let late = WebhookFaults { late: 1.0, late_seconds: 3600, ..WebhookFaults::default() };
    sandbox.set_webhook_faults(late);
    fail_one(&sandbox);
    sandbox.webhooks_settled().await;
    assert!(receiver.got().is_empty());
    sandbox.set_webhook_faults(WebhookFaults::default());
    sandbox.advance_to("2026-11-01T10:00:00Z".parse().unwrap());
    sandbox.webhooks_settled().await;
    assert_eq!(receiver.kinds(), FAILURE);
}

#[tokio::test]
async fn an_address_can_be_set_later_and_taken_away() {
    let receiver = Receiver::start().await;
    let sandbox = start(&receiver, Vec::new()).await;
    sandbox.set_webhook_url(Kind::Stripe, None);
    let invoice = fail_one(&sandbox);
    sandbox.webhooks_settled().await;
    assert!(receiver.got().is_empty());
    sandbox.set_webhook_url(Kind::Stripe, Some(&receiver.url));
    let of = sandbox.events()[1].body["data"]["object"]["customer"].as_str().unwrap().to_owned();
    sandbox.script(Target::Customer(of), [Step::approve()]);
    sandbox.native_attempt(&invoice);
    assert!(sandbox.dispute_invoice(&invoice));
    sandbox.webhooks_settled().await;
    assert_eq!(
        receiver.kinds(),
        [
            "charge.succeeded",
            "payment_intent.succeeded",
            "invoice.paid",
            "invoice.payment_succeeded",
            "invoice_payment.paid",
            "customer.subscription.updated",
            "charge.dispute.created"
        ]
    );
}
