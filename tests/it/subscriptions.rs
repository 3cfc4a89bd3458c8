//! The end of a subscription, told by its id alone, against the real binary.
//!
//! What must stay true: nothing is charged for a subscription that was cancelled, whether or not
//! the gateway names the customer, and whichever news comes first.

use serde_json::{Value, json};

use crate::death::World;

fn failed(invoice: &str, subscription: &str) -> String {
    json!({
        "type": "invoice.payment_failed",
        "timestamp": "2026-01-05T13:00:00Z",
        "data": {
            "invoice": invoice, "subscription": subscription, "customer": {"id": "c_1"},
            "amount": 2900, "currency": "USD", "attempt_count": 1,
            "decline": {"code": "insufficient_funds"},
            "payment_method": {"token": "tok_1", "network": "visa"},
        },
    })
    .to_string()
}

fn cancelled(subscription: &str) -> String {
    json!({
        "type": "subscription.cancelled",
        "timestamp": "2026-01-05T13:05:00Z",
        "data": {"subscription": subscription},
    })
    .to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_subscription_is_never_charged() {
    let world = World::new().await;
    let mut child = world.start().await;
    assert!(world.post("m1", failed("in_1", "sub_1")).await);
    assert!(world.post("m2", failed("in_2", "sub_2")).await);
    assert!(world.advance(60).await);
    assert!(world.post("m3", cancelled("sub_1")).await);
    // This one's end is told before its failure.
    assert!(world.post("m4", cancelled("sub_3")).await);
    assert!(world.advance(60).await);
    assert!(world.post("m5", failed("in_3", "sub_3")).await);
    assert!(world.advance(5 * 86_400).await);
    let cases = world.cases().await;
    child.kill().unwrap();
    child.wait().unwrap();
    let none = Value::from(Vec::<Value>::new());
    assert_eq!(cases["in_1"]["state"], "stopped");
    assert_eq!(cases["in_1"]["attempts"], none);
    assert_eq!(cases["in_2"]["state"], "recovered", "another subscription goes on");
    assert!(!cases.contains_key("in_3"));
}
