//! The wire: how every gateway client sends one HTTP request and reads one answer.
//!
//! Why here: what a failed call *means* is decided by how it failed (reliability rules), so all
//! clients share one reading of it: [`Trouble::NotSent`] when no byte of the request left this
//! machine, [`Trouble::Lost`] when nobody can know, an [`Answer`] otherwise.
//!
//! What must stay true:
//! - every client has a reach (`super::reach`): none calls a metadata service;
//! - one call is one send: no redirect is followed, nothing is retried behind the caller's back;
//! - every call ends by itself, and no answer grows beyond [`MAX_BODY`];
//! - no text that leaves here holds a URL, a key, an e-mail address or a card number.

use std::error::Error as _;
use std::sync::{Arc, Once};
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName};
use reqwest::{Client, RequestBuilder, Url};
use serde_json::Value;
use url::Host;

use super::pace::Pace;
use super::reach::{Reach, Unreachable};
use super::{CallError, GatewaySettings};
use crate::core::effect::ChargeOutcome;

/// How long to wait for a connection. Gateways answer a SYN in well under a second from anywhere;
/// five seconds hold one lost packet and its re-sends.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long one call may take as a whole. A card authorization takes up to twenty-odd seconds at
/// slow issuers; giving up earlier only makes unknown outcomes.
pub const TOTAL_TIMEOUT: Duration = Duration::from_secs(30);

/// How large an answer may be. A Stripe invoice with expanded payments is some 20 KiB.
pub const MAX_BODY: usize = 1024 * 1024;

/// How long to wait before asking again when the gateway is busy and does not say.
pub const DEFAULT_RETRY_AFTER_S: u32 = 5;

/// How much of a gateway's own words is kept.
const MAX_WORDS: usize = 240;

/// How long a call may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// To connect, TLS included.
    pub connect: Duration,
    /// From the first byte sent to the last byte read.
    pub total: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { connect: CONNECT_TIMEOUT, total: TOTAL_TIMEOUT }
    }
}

/// A client that cannot be made from its settings.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The address is not one.
    #[error("read `{0}` as the http(s) address of a gateway's API")]
    Address(String),
    /// The address is one that is never called.
    #[error("call the API at `{0}`: {1}")]
    Reach(String, Unreachable),
    /// The HTTP client could not be set up.
    #[error("set up the HTTP client")]
    Client(#[source] reqwest::Error),
}

/// An HTTP client with time-outs, without redirects and without retries of its own, for addresses
/// of the merchant file.
pub fn client(timeouts: Timeouts) -> Result<Client, BuildError> {
    client_within(timeouts, Reach::Private)
}

/// The same, for addresses within this reach. Hosts that are numbers are for [`Reach::check`].
pub fn client_within(timeouts: Timeouts, reach: Reach) -> Result<Client, BuildError> {
    install_crypto();
    Client::builder()
        .dns_resolver(Arc::new(reach))
        .connect_timeout(timeouts.connect)
        .timeout(timeouts.total)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .user_agent(concat!("recoup/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(BuildError::Client)
}

/// rustls wants one process-wide provider. A host application may have chosen already: then its
/// choice stands, which is why the error is ignored.
fn install_crypto() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
}

/// Where a gateway's API is, and the client that talks to it.
#[derive(Debug, Clone)]
pub struct Api {
    http: Client,
    base: Url,
    pace: Pace,
}

impl Api {
    /// The API at `base`, `http` or `https`.
    pub fn new(base: &str, timeouts: Timeouts) -> Result<Self, BuildError> {
        let url = Url::parse(base).map_err(|_| BuildError::Address(base.to_owned()))?;
        if !matches!(url.scheme(), "http" | "https") || url.cannot_be_a_base() {
            return Err(BuildError::Address(base.to_owned()));
        }
        let reach = Reach::Private;
        reach.check(&url).map_err(|why| BuildError::Reach(base.to_owned(), why))?;
        Ok(Self { http: client_within(timeouts, reach)?, base: url, pace: Pace::default() })
    }

    /// Keeps to the merchant's limit of requests, else to the one that the gateway publishes. A
    /// sandbox on this machine has none.
    pub fn paced(mut self, settings: &GatewaySettings, published: Option<u32>) -> Self {
        let published = published.filter(|_| !self.is_on_this_machine());
        self.pace = Pace::of(settings.requests_per_second.or(published));
        self
    }

    fn is_on_this_machine(&self) -> bool {
        match self.base.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        }
    }

    /// Sends one request in its turn, and reads its answer. Where the gateway says that it is asked
    /// too often, all requests after this one wait as long as it says.
    pub async fn send(&self, request: RequestBuilder) -> Result<Answer, Trouble> {
        self.pace.turn().await.map_err(Trouble::NotSent)?;
        let answer = send(request).await?;
        if answer.status == 429 {
            self.pace.pause(Duration::from_secs(u64::from(answer.wait_s())));
        }
        Ok(answer)
    }

    /// A GET of the path made of `segments`.
    pub fn get(&self, segments: &[&str]) -> RequestBuilder {
        self.http.get(self.url(segments))
    }

    /// A POST to the path made of `segments`.
    pub fn post(&self, segments: &[&str]) -> RequestBuilder {
        self.http.post(self.url(segments))
    }

    /// A PUT to the path made of `segments`.
    pub fn put(&self, segments: &[&str]) -> RequestBuilder {
        self.http.put(self.url(segments))
    }

    /// A DELETE of the path made of `segments`.
    pub fn delete(&self, segments: &[&str]) -> RequestBuilder {
        self.http.delete(self.url(segments))
    }

    /// Ids come from webhooks: each is one escaped segment and can never climb to another path.
    fn url(&self, segments: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty();
            path.extend(
                segments.iter().map(|s| if matches!(*s, "" | "." | "..") { "_" } else { s }),
            );
        }
        url
    }
}

/// What came back, whatever its status.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
    /// The gateway's id of the request, for its support.
    pub request_id: Option<String>,
    /// How long the gateway asks us to wait.
    pub retry_after_s: Option<u32>,
    /// Whether the gateway says that sending the same again can help (Stripe, Adyen).
    pub should_retry: Option<bool>,
}

impl Answer {
    /// The body as a JSON object; `None` when it is anything else.
    pub fn object(&self) -> Option<Value> {
        serde_json::from_slice::<Value>(&self.body).ok().filter(Value::is_object)
    }

    /// Whether the call went through.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Whether asking again later can help. Stripe's word adds to what the status means and takes
    /// nothing away: it speaks of the next seconds, and we ask again after minutes and hours.
    pub fn is_transient(&self) -> bool {
        matches!(self.status, 408 | 409 | 424 | 425 | 429)
            || self.status >= 500
            || self.should_retry == Some(true)
    }

    /// How long to wait before the same is sent again.
    pub fn wait_s(&self) -> u32 {
        self.retry_after_s.unwrap_or(DEFAULT_RETRY_AFTER_S)
    }

    fn of_head(status: u16, headers: &HeaderMap) -> Self {
        let text = |name: &'static str| {
            let value = headers.get(HeaderName::from_static(name))?;
            value.to_str().ok().map(|text| text.trim().to_owned())
        };
        Self {
            status,
            body: Vec::new(),
            request_id: REQUEST_IDS.into_iter().find_map(text).map(|id| scrub(&id)),
            retry_after_s: text("retry-after").and_then(|seconds| seconds.parse().ok()),
            should_retry: SHOULD_RETRY
                .into_iter()
                .find_map(text)
                .and_then(|word| word.parse().ok()),
        }
    }
}

/// The headers in which gateways give a request's id: Stripe; Checkout.com; Adyen; Mercado Pago.
const REQUEST_IDS: [&str; 4] = ["request-id", "cko-request-id", "pspreference", "x-request-id"];

/// The headers that say whether the same may be sent again: Stripe, Adyen.
const SHOULD_RETRY: [&str; 2] = ["stripe-should-retry", "transient-error"];

/// How one gateway words a refusal: the JSON pointers of what its error objects tell, in the order
/// in which a person wants to read it.
#[derive(Debug, Clone, Copy)]
pub struct Words(pub &'static [&'static str]);

impl Words {
    /// A refusal in words: what it tells, the status and the gateway's id of the request.
    pub fn of(self, answer: &Answer) -> String {
        let trace = match &answer.request_id {
            Some(id) => format!("HTTP {}, request {id}", answer.status),
            None => format!("HTTP {}", answer.status),
        };
        let Some(body) = answer.object() else {
            return format!("the answer cannot be read ({trace})");
        };
        let told: Vec<String> = self.0.iter().filter_map(|at| word(body.pointer(at)?)).collect();
        match told.is_empty() {
            true => trace,
            false => format!("{} ({trace})", scrub(&told.join(" "))),
        }
    }

    /// A refusal as the error of a call.
    pub fn error(self, what: &'static str, answer: &Answer) -> CallError {
        let why = self.of(answer);
        if answer.is_transient() {
            CallError::Transient { what, why }
        } else {
            CallError::Permanent { what, why }
        }
    }

    /// The object of a successful answer, else the error that says whether asking again can help.
    pub fn object(
        self,
        what: &'static str,
        sent: Result<Answer, Trouble>,
    ) -> Result<Value, CallError> {
        let answer = self.success(what, sent)?;
        answer.object().ok_or_else(|| CallError::Transient { what, why: self.of(&answer) })
    }

    /// A successful answer, whatever its body.
    pub fn success(
        self,
        what: &'static str,
        sent: Result<Answer, Trouble>,
    ) -> Result<Answer, CallError> {
        let answer = sent.map_err(|trouble| trouble.into_call_error(what))?;
        if answer.is_success() { Ok(answer) } else { Err(self.error(what, &answer)) }
    }
}

/// A text, a number, or the texts of a list.
fn word(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()).filter(|text| !text.is_empty()),
        Value::Number(number) => Some(number.to_string()),
        Value::Array(items) => {
            let words: Vec<&str> = items.iter().filter_map(Value::as_str).collect();
            Some(words.join(" ")).filter(|text| !text.is_empty())
        }
        _ => None,
    }
}

/// A call without an answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// No byte of the request left this machine.
    #[error("reach the gateway: {0}")]
    NotSent(String),
    /// The request may have arrived, and nobody can know what came of it.
    #[error("hear the gateway's answer: {0}")]
    Lost(String),
}

impl Trouble {
    /// As the error of a call that may simply be made again.
    pub fn into_call_error(self, what: &'static str) -> CallError {
        CallError::Transient { what, why: self.to_string() }
    }

    /// As what is known of a charge.
    pub fn into_outcome(self) -> ChargeOutcome {
        match self {
            Self::NotSent(why) => ChargeOutcome::NotSent { why },
            Self::Lost(why) => ChargeOutcome::Unknown { why },
        }
    }
}

/// Sends one request and reads its answer.
pub async fn send(request: RequestBuilder) -> Result<Answer, Trouble> {
    let mut response = request.send().await.map_err(trouble)?;
    let mut answer = Answer::of_head(response.status().as_u16(), response.headers());
    while let Some(chunk) = response.chunk().await.map_err(trouble)? {
        if answer.body.len() + chunk.len() > MAX_BODY {
            return Err(Trouble::Lost(format!("the answer is larger than {MAX_BODY} bytes")));
        }
        answer.body.extend_from_slice(&chunk);
    }
    Ok(answer)
}

/// Only an error of connecting (name, TCP, TLS) proves that nothing was sent. A request that could
/// not be built was not sent either. All else, time-outs above all, proves nothing.
fn trouble(error: reqwest::Error) -> Trouble {
    let words = root_cause(&error);
    if error.is_builder() {
        Trouble::NotSent(format!("the request cannot be built: {words}"))
    } else if error.is_connect() {
        Trouble::NotSent(format!("no connection: {words}"))
    } else if error.is_timeout() {
        Trouble::Lost("time-out".to_owned())
    } else {
        Trouble::Lost(format!("broken connection: {words}"))
    }
}

/// The innermost error: it names the cause, and unlike the outer ones never the URL.
pub(crate) fn root_cause(error: &reqwest::Error) -> String {
    let mut cause = error.source();
    while let Some(inner) = cause.and_then(std::error::Error::source) {
        cause = Some(inner);
    }
    cause.map_or_else(|| "no cause given".to_owned(), |inner| scrub(&inner.to_string()))
}

/// Whether a customer's browser may be sent there: an absolute address of the web, nothing else.
pub fn is_web_address(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

/// A gateway's own words, fit for a log line: short, and without what could identify or pay.
pub fn scrub(words: &str) -> String {
    let mut after_bearer = false;
    let clean: Vec<&str> = words
        .split_whitespace()
        .map(|word| {
            let is_a_token = std::mem::replace(&mut after_bearer, word.ends_with("Bearer"));
            if is_a_token { "[secret]" } else { scrub_word(word) }
        })
        .collect();
    let clean = clean.join(" ");
    clean.chars().take(MAX_WORDS).collect()
}

fn scrub_word(word: &str) -> &str {
    /// Of Stripe and Checkout.com, of Mercado Pago, of Wompi; what any of them calls a secret.
    const SECRETS: [&str; 11] = [
        "sk_",
        "rk_",
        "pk_",
        "whsec_",
        "APP_USR-",
        "TEST-",
        "prv_",
        "_integrity_",
        "_events_",
        "_secret_",
        "Bearer",
    ];
    if word.contains('@') {
        "[address]"
    } else if word.contains("://") {
        "[url]"
    } else if SECRETS.iter().any(|mark| word.contains(mark)) {
        "[secret]"
    } else if word.chars().filter(char::is_ascii_digit).count() >= 4
        && !word.chars().any(|c| c.is_ascii_alphabetic())
        || names_a_number(word)
    {
        "[number]"
    } else {
        word
    }
}

/// A card's number inside a word (twelve digits or more), or a telephone's (seven after a plus).
fn names_a_number(word: &str) -> bool {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let telephone = word.split('+').skip(1).any(|rest| digits(rest) >= 7);
    telephone || word.split(|c: char| !c.is_ascii_digit()).any(|run| run.len() >= 12)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_never_leaves_its_segment() {
        let api = Api::new("http://127.0.0.1:9/base/", Timeouts::default()).unwrap();
        let path = |id: &str| api.url(&["v1", "invoices", id, "pay"]).path().to_owned();
        assert_eq!(path("in_1"), "/base/v1/invoices/in_1/pay");
        assert_eq!(path("../customers"), "/base/v1/invoices/..%2Fcustomers/pay");
        assert_eq!(path(".."), "/base/v1/invoices/_/pay");
        assert_eq!(path(""), "/base/v1/invoices/_/pay");
        assert_eq!(path("a?b#c"), "/base/v1/invoices/a%3Fb%23c/pay");
    }

    #[test]
    fn an_address_is_http_or_https() {
        for wrong in ["", "pay.example", "ftp://pay.example", "mailto:a@b.example"] {
            assert!(Api::new(wrong, Timeouts::default()).is_err(), "{wrong:?}");
        }
        assert!(Api::new("https://pay.example", Timeouts::default()).is_ok());
        let metadata = Api::new(&["http:", "//169.254.169.254"].concat(), Timeouts::default());
        assert!(matches!(metadata, Err(BuildError::Reach(..))));
    }

    #[test]
    fn words_lose_what_must_not_be_logged() {
        for (words, kept) in [
            ("No such customer: 'cus_123'", "No such customer: 'cus_123'"),
            ("Invalid API Key provided: sk_test_abc", "Invalid API Key provided: [secret]"),
            ("mail ana@example.com now", "mail [address] now"),
            ("Bearer abc.def expired", "[secret] [secret] expired"),
            ("key APP_USR-77-x, prv_prod_x", "key [secret] [secret]"),
            ("card n4242424242424242 of +573001234567x", "card [number] of [number]"),
            ("see https://pay.example/k?token=1", "see [url]"),
            ("card 4242424242424242 failed", "card [number] failed"),
            ("phone +57-601-555-0100", "phone [number]"),
            ("line\nbreak", "line break"),
        ] {
            assert_eq!(scrub(words), kept);
        }
        assert_eq!(scrub(&"x".repeat(9999)).len(), MAX_WORDS);
    }
}
