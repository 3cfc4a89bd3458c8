//! A channel from outside the crate: `cargo run --example own_channel`.
//!
//! Reminders by text message go to whatever the merchant has: here they are printed. A channel says
//! whom it reaches, takes one rendered message, and says what came of it. The program sends recoup
//! one signed webhook about an expired card, lets two weeks pass on a test clock, and prints what
//! the customer would have read.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use axum::body::Body;
use axum::http::Request;
use jiff::{SignedDuration, Timestamp};
use recoup::Recoup;
use recoup::channel::{Deliver, Delivery, Envelope};
use recoup::clock::{Clock, real_now};
use recoup::config::{Config, Surroundings};
use recoup::core::customer::Channel;
use recoup::core::event::Contact;
use recoup::sandbox::{Kind, deliver};
use recoup::store::memory::MemoryStore;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

/// What a real one would hand to its provider.
#[derive(Default)]
struct Printed(Mutex<Vec<String>>);

#[async_trait]
impl Deliver for Printed {
    fn channel(&self) -> Channel {
        Channel::Sms
    }

    fn reaches(&self, contact: &Contact) -> bool {
        contact.phone.is_some()
    }

    async fn deliver(&self, envelope: &Envelope) -> Delivery {
        let text = envelope.rendered.text.clone();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(text);
        // What is not known to have been accepted is `Unknown`, and is never sent again.
        Delivery::Accepted { answer: "printed".to_owned() }
    }
}

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// `[sms]` stays empty: the channel is the one above.
fn merchant() -> String {
    format!(
        "[merchant]\nname = \"Café Nube\"\npublic_url = \"https://pay.cafenube.example\"\n\
         support_email = \"help@cafenube.example\"\n[[gateways]]\nid = \"pay\"\nkind = \"http\"\n\
         api_base = \"https://payments.cafenube.example\"\napi_key = \"not-used\"\n\
         webhook_secrets = [\"{SECRET}\"]\n[reminders]\nchannels = [\"sms\"]\n[sms]\n"
    )
}

const FAILED: &str = r#"{"type": "invoice.payment_failed", "timestamp": "2026-11-02T15:00:00Z",
    "data": {"invoice": "in_1", "customer": {"id": "c_1", "phone": "+12025550123"},
    "amount": 2900, "currency": "USD", "attempt_count": 1,
    "decline": {"code": "expired_card"},
    "payment_method": {"token": "tok_1", "network": "visa", "last4": "4242"}}}"#;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let config = Config::read(&merchant(), "merchant.toml", &Surroundings::default())
        .map_err(|problems| anyhow::anyhow!("{problems}"))?;
    let printed = Arc::new(Printed::default());
    let clock = Clock::test("2026-11-02T15:00:00Z".parse::<Timestamp>()?);
    let recoup = Recoup::builder(config)
        .store(Arc::new(MemoryStore::new([7; 32])))
        .clock(clock.clone())
        .channel(printed.clone())
        .build()
        .await?;

    let routes: axum::Router = recoup.router();
    let engine = recoup.state().engine;
    let stop = CancellationToken::new();
    let story = async {
        let mut request = Request::post("/webhooks/pay");
        let signed = deliver::headers(Kind::Http, SECRET, ("msg_1", FAILED), real_now())?;
        for (name, value) in signed {
            request = request.header(name, value);
        }
        let answer = routes.oneshot(request.body(Body::from(FAILED))?).await?;
        anyhow::ensure!(answer.status().is_success(), "the webhook was refused");
        engine.settle().await;
        engine.advance(clock.now() + SignedDuration::from_hours(14 * 24)).await?;
        stop.cancel();
        anyhow::Ok(())
    };
    let (told, ran) = tokio::join!(story, recoup.run(stop.clone()));
    told?;
    ran?;
    let messages = printed.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
    for message in &messages {
        println!("{message}\n");
    }
    anyhow::ensure!(!messages.is_empty(), "the customer should have been written to");
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_runs() {
        super::main().unwrap();
    }
}
