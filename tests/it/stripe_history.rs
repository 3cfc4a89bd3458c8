//! Missed webhooks are found again: sandbox Stripe tells what recoup's client reads.

use recoup::gateway::wire::Timeouts;
use recoup::gateway::{self, GatewaySettings};
use recoup::sandbox::Kind;

use crate::stripe_api::{Api, options};

#[tokio::test]
async fn the_events_of_a_failed_invoice_and_the_invoice_itself_are_known() {
    let api = Api::start(options()).await;
    let (_, invoice) = api.failed();
    let key = api.sandbox.secrets().stripe_api_key.clone();
    let settings = GatewaySettings {
        api_base: Some(api.sandbox.api_base(Kind::Stripe)),
        ..GatewaySettings::new("stripe".into(), key.into())
    };
    let stripe = (gateway::kind("stripe").unwrap().build)(settings, Timeouts::default()).unwrap();
    assert!(stripe.check_access().await.unwrap().contains("acct_sandbox"));
    let known = stripe.known_since("2026-11-01T00:00:00Z".parse().unwrap()).await.unwrap();
    let types = stripe.profile().events;
    let sent: Vec<String> = api
        .sandbox
        .events()
        .into_iter()
        .filter(|event| types.contains(&event.kind.as_str()))
        .map(|event| event.id)
        .collect();
    let told = |by_case: bool| known.iter().filter(move |k| k.by_case == by_case);
    assert_eq!(told(false).count(), sent.len());
    assert!(told(false).all(|known| sent.contains(&known.id)));
    let failed = |known: &&gateway::Known| known.what.starts_with("invoice.payment_failed");
    assert_eq!(told(false).find(failed).unwrap().invoice.as_ref(), Some(&invoice));
    let gaps: Vec<&str> = told(true).map(|known| known.id.as_str()).collect();
    assert_eq!(gaps, [format!("recoup-gap-{invoice}-1")]);
    let later = stripe.known_since("2027-01-01T00:00:00Z".parse().unwrap()).await.unwrap();
    assert!(later.is_empty());
}
