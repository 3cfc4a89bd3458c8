//! Sending one event to one endpoint.
//!
//! Why here: the one place where an address that a merchant wrote down for events is called, within
//! the reach that its endpoint has.
//!
//! What must stay true: one call is one send, no redirect is followed; without the merchant's word
//! nothing goes to a private network, whatever a name resolves to; the signature is over the bytes
//! that are sent, with the real time, which is what receivers compare.

use std::time::Duration;

use jiff::fmt::rfc2822;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Client, Response, Url};

use crate::clock::real_now;
use crate::gateway::reach::Reach;
use crate::gateway::signature::sign_standard;
use crate::gateway::wire::{self, BuildError, Timeouts, scrub};
use crate::store::outbound::Endpoint;

/// How long one call may take.
const TIMEOUTS: Timeouts =
    Timeouts { connect: Duration::from_secs(5), total: Duration::from_secs(15) };

/// How much of an answer is read.
const ANSWER: usize = 1_024;

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reply {
    /// The HTTP status; none: no answer.
    pub(super) status: Option<u16>,
    /// The beginning of the answer, or why there was none.
    pub(super) answer: String,
    /// How long the endpoint asks us to wait.
    pub(super) retry_after_s: Option<i64>,
}

impl Reply {
    /// No answer, and why.
    pub(super) fn none(why: &str) -> Self {
        Self { status: None, answer: why.to_owned(), retry_after_s: None }
    }
}

/// Calls endpoints.
pub(super) struct Poster {
    public: Client,
    anywhere: Client,
}

impl Poster {
    pub(super) fn new() -> Result<Self, BuildError> {
        let client = |reach| wire::client_within(TIMEOUTS, reach);
        Ok(Self { public: client(Reach::Public)?, anywhere: client(Reach::Private)? })
    }

    /// Sends an event, signed by the Standard Webhooks scheme.
    pub(super) async fn post(&self, to: &Endpoint, event: &str, body: String) -> Reply {
        let Ok(url) = Url::parse(&to.url) else { return Reply::none("its address is none") };
        let (client, reach) = match to.private_network {
            true => (&self.anywhere, Reach::Private),
            false => (&self.public, Reach::Public),
        };
        if let Err(why) = reach.check(&url) {
            return Reply::none(&format!("{why}; `private_network = true` allows private ones"));
        }
        let at = real_now().as_second();
        let signature = sign_standard(&to.secret, (event, at), &body);
        let request = client
            .post(url)
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", event)
            .header("webhook-timestamp", at)
            .header("webhook-signature", signature)
            .body(body);
        match request.send().await {
            Ok(response) => read(response).await,
            Err(error) if error.is_timeout() => Reply::none("no answer in time"),
            Err(error) => Reply::none(&wire::root_cause(&error)),
        }
    }
}

async fn read(mut response: Response) -> Reply {
    let status = response.status();
    let after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let retry_after_s = after.and_then(seconds);
    let mut bytes = Vec::new();
    while bytes.len() < ANSWER {
        match response.chunk().await {
            Ok(Some(chunk)) => bytes.extend_from_slice(&chunk[..chunk.len().min(ANSWER)]),
            // The status has been heard; the rest only helps a reader.
            Ok(None) | Err(_) => break,
        }
    }
    let words = scrub(&String::from_utf8_lossy(&bytes));
    let answer = match status.is_redirection() {
        true => "a redirect, which is not followed".to_owned(),
        false => words,
    };
    Reply { status: Some(status.as_u16()), answer, retry_after_s }
}

/// `Retry-After`: seconds, or a date.
fn seconds(text: &str) -> Option<i64> {
    let text = text.trim();
    text.parse().ok().or_else(|| {
        let date = rfc2822::parse(text).ok()?;
        Some(date.timestamp().as_second() - real_now().as_second())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_name_of_this_machine_is_not_called() {
        let poster = Poster::new().unwrap();
        let endpoint = Endpoint {
            id: "whe_1".into(),
            url: "http://localhost:9/h".into(),
            secret: "x".into(),
            events: Vec::new(),
            private_network: false,
        };
        let reply = poster.post(&endpoint, "evt_1", "{}".into()).await;
        assert!(reply.answer.contains("private network"), "{}", reply.answer);
    }

    #[test]
    fn a_wait_is_seconds_or_a_date() {
        assert_eq!(seconds("120"), Some(120));
        assert!(seconds("Wed, 21 Oct 2015 07:28:00 GMT").unwrap() < 0);
        assert_eq!(seconds("soon"), None);
    }
}
