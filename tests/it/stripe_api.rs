//! A small client of sandbox Stripe, for tests.
//!
//! Why here: it is written apart from recoup's own client, so that one does not cover the other.
//!
//! What must stay true: it sends what Stripe's own libraries send: forms and a bearer key.

use std::time::Duration;

use recoup::clock::Clock;
use recoup::sandbox::{
    Kind, NewBill, NewCustomer, Sandbox, SandboxOptions, Step, Subscribed, Target,
};
use serde_json::Value;

const NOW: &str = "2026-11-01T09:00:00Z";

pub(crate) fn options() -> SandboxOptions {
    SandboxOptions {
        clock: Clock::test(NOW.parse().unwrap()),
        hold: Duration::from_secs(20),
        ..SandboxOptions::default()
    }
}

pub(crate) struct Api {
    pub(crate) sandbox: Sandbox,
    pub(crate) client: reqwest::Client,
}

impl Api {
    pub(crate) async fn start(options: SandboxOptions) -> Self {
        let sandbox = Sandbox::start(options).await.unwrap();
        Self { sandbox, client: recoup::sandbox::deliver::client().unwrap() }
    }

    pub(crate) fn call(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let url = format!("{}{path}", self.sandbox.api_base(Kind::Stripe));
        let method = method.parse().unwrap();
        self.client.request(method, url).bearer_auth(&self.sandbox.secrets().stripe_api_key)
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        read(self.call("GET", path)).await.1
    }

    pub(crate) async fn post(&self, path: &str, form: &[(&str, &str)]) -> (u16, Value) {
        read(self.call("POST", path).form(form)).await
    }

    pub(crate) async fn keyed(&self, key: &str, path: &str, form: &[(&str, &str)]) -> (u16, Value) {
        read(self.call("POST", path).header("idempotency-key", key).form(form)).await
    }

    pub(crate) fn subscribe(&self, card: &str) -> Subscribed {
        self.sandbox.subscribe(
            NewCustomer { email: Some("ada@example.com".into()), ..NewCustomer::default() },
            card,
            NewBill::new("", 2900, "usd"),
        )
    }

    /// A customer with a failed invoice.
    pub(crate) fn failed(&self) -> (Subscribed, String) {
        let of = self.subscribe("tok_visa");
        let declined = Step::decline("insufficient_funds");
        self.sandbox.script(Target::Customer(of.customer.clone()), [declined]);
        let invoice = self.sandbox.bill(&of.subscription).unwrap();
        (of, invoice)
    }

    pub(crate) fn script(&self, of: &Subscribed, steps: impl IntoIterator<Item = Step>) {
        self.sandbox.script(Target::Customer(of.customer.clone()), steps);
    }

    pub(crate) fn kinds(&self) -> Vec<String> {
        self.sandbox.events().into_iter().map(|event| event.kind).collect()
    }
}

pub(crate) async fn read(request: reqwest::RequestBuilder) -> (u16, Value) {
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

pub(crate) fn pay(invoice: &str) -> String {
    format!("/v1/invoices/{invoice}/pay")
}
