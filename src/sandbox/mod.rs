//! The sandbox: payment gateways with state that speak the real protocols over real HTTP.
//!
//! Why here: the demo, the tests and a developer's own integration need gateways that decline,
//! hang, answer twice and send webhooks late, without an account anywhere. [`Sandbox::start`]
//! serves them on loopback; the handle makes customers, scripts outcomes and shows the ledger; the
//! same things can be done over HTTP under `/_sandbox/…` (see [`control`]).
//!
//! | address | what |
//! |---|---|
//! | `/stripe/v1/…`, `/v1/…` | Stripe's API |
//! | `/adyen/v{NN}/…`, `/adyen/checkout/v{NN}/…`, `/checkout/v{NN}/…` | Adyen's Checkout API |
//! | `/http/…` | the `http` gateway's protocol |
//! | `/stripe/pages/…`, `/adyen/pages/…`, `/http/pages/…` | hosted pages |
//! | `/_sandbox/…` | control |
//!
//! What must stay true: the same seed, clock and calls give the same ids, outcomes and bodies; no
//! money, no card and no address in here is real.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::sync::broadcast;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;

mod adyen;
mod api;
mod cards;
pub mod control;
pub mod deliver;
mod form;
mod handle;
mod http;
mod idempotency;
mod ids;
mod issuer;
mod line;
pub mod mail;
mod page;
mod refusal;
pub mod sample;
mod server;
mod shared;
pub mod sign;
mod stripe;
mod world;

pub use adyen::{MERCHANT_ACCOUNT, NewAdyenPayment};
pub use deliver::{Delivery, WebhookFaults};
pub use handle::{InvoiceFacts, Subscribed};
pub use http::{NewHttpCustomer, NewHttpInvoice};
pub use issuer::{Answer, Fault, Rule, Step, Target};
pub use refusal::Refusal;
pub use stripe::Shape;
pub use stripe::make::{NewBill, NewCustomer};
pub use world::{Capture, EventRecord};

use deliver::Post;
use shared::Shared;
use world::World;

/// How often due work (pending outcomes, native retries, late webhooks) is looked for.
const TICK: Duration = Duration::from_millis(50);
/// How long a shutdown waits for open connections.
const LAST_CALL: Duration = Duration::from_secs(1);

/// Which sandbox gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Adyen.
    Adyen,
    /// The `http` gateway.
    Http,
    /// Stripe.
    Stripe,
}

impl Kind {
    /// All of them, the best known first.
    pub const ALL: [Self; 3] = [Self::Stripe, Self::Adyen, Self::Http];

    /// The kind as in the merchant file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Adyen => "adyen",
            Self::Http => "http",
            Self::Stripe => "stripe",
        }
    }
}

/// How a sandbox is to be.
#[derive(Debug, Clone)]
pub struct SandboxOptions {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where webhooks go: `{gateway}` stands for `stripe`, `adyen` or `http`; an address without a
    /// path gets `/webhooks/{gateway}`. Absent: nowhere, until [`Sandbox::set_webhook_url`].
    pub webhook_url: Option<String>,
    /// Everything that is made up follows from it.
    pub seed: u64,
    /// What time it is here. Signatures carry the real time all the same.
    pub clock: Clock,
    /// The version in which Stripe writes its events, and its answers where a call names none.
    pub stripe_shape: Shape,
    /// Days between the retries of Stripe's own, and of Adyen's Auto Rescue; empty: neither retries
    /// by itself.
    pub native_retry_days: Vec<i64>,
    /// How many charges of cards without an outcome of their own are approved.
    pub approve_share: f64,
    /// Pauses before a webhook that was not taken is sent again, in real time.
    pub webhook_retries: Vec<Duration>,
    /// How long a call that never answers is held before its connection is cut.
    pub hold: Duration,
}

impl Default for SandboxOptions {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            webhook_url: None,
            seed: 1,
            clock: Clock::System,
            stripe_shape: Shape::Basil,
            native_retry_days: Vec::new(),
            approve_share: 0.7,
            webhook_retries: [200, 1_000, 5_000, 30_000].map(Duration::from_millis).to_vec(),
            hold: Duration::from_secs(60),
        }
    }
}

/// The keys and secrets of a sandbox; they follow from the seed, and protect nothing.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Secrets {
    /// Stripe's API key.
    pub stripe_api_key: String,
    /// Stripe's webhook secret.
    pub stripe_webhook_secret: String,
    /// Adyen's API key.
    pub adyen_api_key: String,
    /// Adyen's HMAC key, in hexadecimal.
    pub adyen_webhook_secret: String,
    /// The `http` gateway's API key.
    pub http_api_key: String,
    /// The `http` gateway's webhook secret.
    pub http_webhook_secret: String,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets(…)")
    }
}

impl Secrets {
    fn of(seed: u64) -> Self {
        use base64::Engine as _;
        let text = |of: &str, length| ids::derived(&["key", of, &seed.to_string()], length);
        let bytes = text("http webhooks", 32);
        let encoded = base64::engine::general_purpose::STANDARD.encode(bytes);
        Self {
            stripe_api_key: format!("sk_test_sandbox{}", text("stripe", 24)),
            stripe_webhook_secret: format!("whsec_{}", text("stripe webhooks", 32)),
            adyen_api_key: format!("AQEsandbox{}", text("adyen", 24)),
            adyen_webhook_secret: text("adyen webhooks", 64).to_ascii_uppercase(),
            http_api_key: format!("key_sandbox{}", text("http", 24)),
            http_webhook_secret: format!("whsec_{encoded}"),
        }
    }

    fn webhook(&self, gateway: Kind) -> &str {
        match gateway {
            Kind::Adyen => &self.adyen_webhook_secret,
            Kind::Http => &self.http_webhook_secret,
            Kind::Stripe => &self.stripe_webhook_secret,
        }
    }
}

/// Why a sandbox could not start; completes "failed to …".
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The address is taken, or not ours.
    #[error("listen on {address}")]
    Listen {
        /// Which address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The webhook client.
    #[error("make the webhook client")]
    Client(#[from] reqwest::Error),
}

/// A running sandbox. Dropping it ends it.
#[derive(Debug)]
pub struct Sandbox {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: CancellationToken,
    server: JoinHandle<()>,
}

impl Sandbox {
    /// Starts the gateways and their webhooks.
    pub async fn start(options: SandboxOptions) -> Result<Self, SandboxError> {
        let wrong = |source| SandboxError::Listen { address: options.listen, source };
        let listener = TcpListener::bind(options.listen).await.map_err(wrong)?;
        let address = listener.local_addr().map_err(wrong)?;
        let client = deliver::client()?;
        let secrets = Secrets::of(options.seed);
        let (post, queue) = Post::new(secrets.clone(), options.webhook_retries.clone());
        let mut world = World::new(&options);
        world.base = format!("http://{address}");
        let ends = (secrets, options.hold);
        let shared = Arc::new(Shared::new(world, options.clock.clone(), post, ends));
        if let Some(url) = &options.webhook_url {
            for gateway in Kind::ALL {
                shared.post.set_url(gateway, Some(webhook_url(url, gateway)));
            }
        }
        let stop = CancellationToken::new();
        tokio::spawn(stop.clone().run_until_cancelled_owned(deliver::run(
            Arc::downgrade(&shared),
            client,
            queue,
            options.seed,
        )));
        tokio::spawn(stop.clone().run_until_cancelled_owned(tick(Arc::downgrade(&shared))));
        let server = tokio::spawn(serve(listener, shared.clone(), stop.clone()));
        Ok(Self { address, shared, stop, server })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What to put into `api_base`.
    pub fn api_base(&self, gateway: Kind) -> String {
        format!("http://{}/{}", self.address, gateway.as_str())
    }

    /// Keys and secrets.
    pub fn secrets(&self) -> &Secrets {
        &self.shared.secrets
    }

    /// Its time.
    pub fn clock(&self) -> &Clock {
        self.shared.clock()
    }

    /// Sends a gateway's webhooks to `url` from now on; `None`: nowhere.
    pub fn set_webhook_url(&self, gateway: Kind, url: Option<&str>) {
        self.shared.post.set_url(gateway, url.map(|url| webhook_url(url, gateway)));
    }

    /// Breaks webhooks from now on.
    pub fn set_webhook_faults(&self, faults: WebhookFaults) {
        self.shared.post.set_faults(faults);
    }

    /// Waits until every event so far was taken, dropped, held back or given up.
    pub async fn webhooks_settled(&self) {
        self.shared.post.settled().await;
    }

    /// Every try to deliver an event, in order.
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.shared.post.log()
    }

    /// Tells of every try to deliver an event from now on.
    pub fn hear_deliveries(&self) -> broadcast::Receiver<Delivery> {
        self.shared.post.hear()
    }

    /// Does what has become due by the clock; it is also looked for by itself.
    pub fn tick(&self) {
        self.shared.tick();
    }

    /// Moves the test clock through every due moment up to `to`. A system clock stays.
    pub fn advance_to(&self, to: Timestamp) {
        self.shared.clock().advance_to(to);
        self.shared.tick();
    }

    /// Ends it, and frees the address.
    pub async fn shutdown(mut self) {
        self.stop.cancel();
        if tokio::time::timeout(LAST_CALL, &mut self.server).await.is_err() {
            self.server.abort();
        }
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>, stop: CancellationToken) {
    let app = server::router(shared).into_make_service_with_connect_info::<line::Line>();
    let served = axum::serve(line::Lines(listener), app)
        .with_graceful_shutdown(stop.cancelled_owned())
        .await;
    if let Err(error) = served {
        tracing::warn!(%error, "the sandbox's server ended");
    }
}

async fn tick(shared: std::sync::Weak<Shared>) {
    loop {
        tokio::time::sleep(TICK).await;
        let Some(shared) = shared.upgrade() else { return };
        shared.tick();
    }
}

/// Where `gateway`'s webhooks go.
fn webhook_url(url: &str, gateway: Kind) -> String {
    if url.contains("{gateway}") {
        return url.replace("{gateway}", gateway.as_str());
    }
    match url::Url::parse(url) {
        Ok(parsed) if parsed.path() == "/" => {
            format!("{}/webhooks/{}", url.trim_end_matches('/'), gateway.as_str())
        }
        _ => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn webhook_addresses_are_completed() {
        for (given, stripe) in [
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080/webhooks/stripe"),
            ("http://127.0.0.1:8080/", "http://127.0.0.1:8080/webhooks/stripe"),
            ("http://h/in/{gateway}", "http://h/in/stripe"),
            ("http://h/hook", "http://h/hook"),
        ] {
            assert_eq!(webhook_url(given, Kind::Stripe), stripe);
        }
    }

    #[test]
    fn secrets_follow_from_the_seed_and_are_not_shown() {
        assert_eq!(Secrets::of(1), Secrets::of(1));
        assert_ne!(Secrets::of(1), Secrets::of(2));
        assert!(!format!("{:?}", Secrets::of(1)).contains("whsec"));
    }
}
