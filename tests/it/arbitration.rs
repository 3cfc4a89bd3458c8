//! Two engines, one invoice: the billing gateway's own retries and ours, against the real binary.
//!
//! What must stay true: while the gateway still plans a retry nothing of ours is charged; its
//! attempts count against the networks' limits; retries that are said to be off and are planned all
//! the same raise a warning that a person sees.

use std::ops::Deref;

use jiff::{SignedDuration, Timestamp};
use recoup::sandbox::{Kind, NewBill, NewCustomer, Rule, Step, Target};
use serde_json::{Value, json};

use crate::stripe_service::{START, StripeService, TOKEN};

/// The service over sandbox Stripe, both on one test clock.
struct Scene(StripeService);

impl Deref for Scene {
    type Target = StripeService;

    fn deref(&self) -> &StripeService {
        &self.0
    }
}

impl Scene {
    async fn new(native_retries: &str, native_retry_days: Vec<i64>) -> Self {
        let native = (native_retries, native_retry_days);
        Self(StripeService::start("name = \"Nube\"", "sled:store", native).await)
    }

    /// A subscription whose bill fails now, and whose card has no money until `funded`.
    fn failed_bill(&self, funded: Timestamp) -> String {
        let new = NewCustomer { email: Some("ana@example.com".into()), ..NewCustomer::default() };
        let card = "pm_card_visa";
        let on = self.sandbox.subscribe(new, card, NewBill::new("", 2900, "usd"));
        self.sandbox.schedule(Rule {
            target: Target::Customer(on.customer),
            from: None,
            until: Some(funded),
            step: Step::decline("insufficient_funds"),
        });
        self.sandbox.bill(&on.subscription).unwrap()
    }

    /// Goes to `to` hour by hour on both sides, and lets everything happen that follows.
    async fn advance(&self, to: Timestamp) {
        let mut now = self.sandbox.clock().now();
        while now < to {
            now = (now + SignedDuration::from_hours(6)).min(to);
            self.to(now).await;
        }
    }

    async fn case(&self, invoice: &str) -> Value {
        let url = format!("http://{}/api/v1/cases?invoice={invoice}", self.address);
        let sent = self.client.get(url).bearer_auth(TOKEN).send().await.unwrap();
        let page: Value = sent.json().await.unwrap();
        page["data"].as_array().unwrap().first().cloned().unwrap_or_default()
    }

    async fn ledger(&self, case: &Value) -> String {
        let id = case["id"].as_str().unwrap();
        let url = format!("http://{}/api/v1/cases/{id}/ledger", self.address);
        let sent = self.client.get(url).bearer_auth(TOKEN).send().await.unwrap();
        sent.text().await.unwrap()
    }
}

fn day(days: i64) -> Timestamp {
    START.parse::<Timestamp>().unwrap() + SignedDuration::from_hours(24 * days)
}

#[tokio::test(flavor = "multi_thread")]
async fn observe_waits_for_the_gateways_own_retries_and_counts_them() {
    let scene = Scene::new("observe", vec![3, 4, 5]).await;
    let invoice = scene.failed_bill(day(20));
    // Stripe tries on days 0, 3, 7 and 12, and then gives up.
    for days in [1, 6, 11] {
        scene.advance(day(days)).await;
        let case = scene.case(&invoice).await;
        assert_eq!(case["state"], "monitoring", "day {days}: {case:#}");
        assert_eq!(case["attempts"], json!([]), "day {days}");
    }
    scene.advance(day(30)).await;
    let case = scene.case(&invoice).await;
    assert_eq!(case["state"], "recovered", "{case:#}");
    let attempts = case["attempts"].as_array().unwrap();
    let first: Timestamp = attempts[0]["at"].as_str().unwrap().parse().unwrap();
    assert!(first > day(12), "ours begin when the gateway has given up: {first}");
    // Four declines of the gateway's own are on the card: of twelve, seven are left after ours.
    let ledger = scene.ledger(&case).await;
    assert!(ledger.contains("7 attempts left under the network limits"), "{ledger}");
    assert!(scene.sandbox.double_charges().is_empty());
    assert_eq!(scene.sandbox.ledger().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn off_warns_and_waits_when_a_retry_is_planned_all_the_same() {
    let scene = Scene::new("off", vec![3, 4]).await;
    let invoice = scene.failed_bill(day(20));
    scene.advance(day(6)).await;
    let case = scene.case(&invoice).await;
    assert_eq!((case["state"].as_str(), &case["attempts"]), (Some("monitoring"), &json!([])));
    let flags = case["flags"].as_array().unwrap();
    assert_eq!(flags.len(), 1, "one warning, though two events told it: {flags:?}");
    let warning = flags[0].as_str().unwrap();
    assert!(warning.contains("plans a retry of its own"), "{warning}");
    assert!(warning.contains("switch them off there"), "{warning}");
    scene.advance(day(30)).await;
    assert_eq!(scene.case(&invoice).await["state"], "recovered");
    assert_eq!(scene.sandbox.ledger().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn off_begins_at_once_where_nothing_is_planned() {
    let scene = Scene::new("off", Vec::new()).await;
    let invoice = scene.failed_bill(day(3));
    scene.advance(day(1)).await;
    let case = scene.case(&invoice).await;
    assert_eq!((case["state"].as_str(), &case["flags"]), (Some("scheduled"), &json!([])));
    scene.advance(day(9)).await;
    assert_eq!(scene.case(&invoice).await["state"], "recovered");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lost_webhooks_did_not_bring_the_gap_finder_takes_in() {
    let scene = Scene::new("observe", Vec::new()).await;
    scene.sandbox.set_webhook_url(Kind::Stripe, None);
    let invoice = scene.failed_bill(day(3));
    scene.advance(day(1)).await;
    assert_eq!(scene.case(&invoice).await, Value::Null, "nothing arrived");
    let reconcile = async |repair: bool| -> Value {
        let url = format!("http://{}/api/v1/reconcile", scene.address);
        let sent = scene.client.post(url).bearer_auth(TOKEN).json(&json!({ "repair": repair }));
        let mut answer: Value = sent.send().await.unwrap().json().await.unwrap();
        answer["data"][0].take()
    };
    let told = reconcile(false).await;
    assert_eq!(told["completeness"], json!(0.0), "{told:#}");
    let repaired = reconcile(true).await;
    let missing = repaired["missing"].as_array().unwrap();
    assert!(missing.iter().any(|gap| gap["invoice"] == json!(invoice)), "{repaired:#}");
    assert!(missing.iter().all(|gap| gap["repaired"] == json!(true)), "{repaired:#}");
    assert_eq!(reconcile(false).await["completeness"], json!(1.0));
    scene.advance(day(9)).await;
    assert_eq!(scene.case(&invoice).await["state"], "recovered");
    assert_eq!(scene.sandbox.ledger().len(), 1, "and it was charged once");
}
