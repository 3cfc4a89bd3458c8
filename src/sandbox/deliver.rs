//! Webhook delivery: signed, in order, repeated until it is taken, and broken on demand.
//!
//! Why here: a receiver must live with events that come twice, late, in another order or never.
//! The senders of this world do all of that, by a seed, so that a run can be repeated.
//!
//! What must stay true: a signature carries the real time of its sending, as real senders' do; a
//! body is never signed with another endpoint's secret.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::sync::{broadcast, mpsc, watch};

use super::shared::Shared;
use super::sign;
use super::{Kind, Secrets};
use crate::clock;

/// How long a receiver may take.
const TIME_OUT: Duration = Duration::from_secs(10);
/// How many deliveries a slow listener may fall behind.
const LOG_BACKLOG: usize = 1024;

/// What goes wrong with webhooks: shares between 0 and 1.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct WebhookFaults {
    /// Sent twice.
    pub duplicated: f64,
    /// Never sent.
    pub dropped: f64,
    /// Held back for `late_seconds` of the sandbox's clock.
    pub late: f64,
    /// How long a late one is held back.
    pub late_seconds: i64,
    /// The events of one call sent in another order.
    pub shuffled: f64,
}

/// One event on its way out.
#[derive(Debug, Clone)]
pub(crate) struct Outgoing {
    pub(crate) gateway: Kind,
    pub(crate) id: String,
    pub(crate) kind: String,
    pub(crate) body: String,
}

/// One try to deliver an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Delivery {
    /// Which gateway sent it.
    pub gateway: Kind,
    /// The event.
    pub event: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Which try, from 1.
    pub attempt: u32,
    /// What the receiver answered; `None`: nothing.
    pub status: Option<u16>,
}

/// A client with time-outs, for webhooks only: no redirects, as the senders do it.
pub fn client() -> reqwest::Result<reqwest::Client> {
    // Another part of the program may have chosen a provider already; either will do.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .timeout(TIME_OUT)
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("recoup-sandbox/", env!("CARGO_PKG_VERSION")))
        .build()
}

/// The headers that a gateway sends with `body`, signed at `at`.
pub fn headers(
    gateway: Kind,
    secret: &str,
    event: (&str, &str),
    at: Timestamp,
) -> Result<Vec<(&'static str, String)>, sign::UnreadableSecret> {
    let (id, body) = event;
    let json = ("content-type", "application/json; charset=utf-8".to_owned());
    Ok(match gateway {
        // The items of a notification carry their signatures themselves: see `sealed`.
        Kind::Adyen if body.contains("notificationItems") => vec![json],
        Kind::Adyen => vec![
            json,
            ("hmacsignature", sign::adyen_signature(secret, body.as_bytes())?),
            ("protocol", "HmacSHA256".to_owned()),
        ],
        Kind::Stripe => {
            vec![json, ("stripe-signature", sign::stripe_signature(secret, body.as_bytes(), at))]
        }
        Kind::Http => vec![
            json,
            ("webhook-id", id.to_owned()),
            ("webhook-timestamp", at.as_second().to_string()),
            ("webhook-signature", sign::standard_signature(secret, id, body.as_bytes(), at)?),
        ],
    })
}

/// The body as the gateway sends it: Adyen's notifications carry their signatures in it.
pub fn sealed(gateway: Kind, secret: &str, body: &str) -> Result<String, sign::UnreadableSecret> {
    match gateway {
        Kind::Adyen => sign::adyen_notification(secret, body),
        Kind::Http | Kind::Stripe => Ok(body.to_owned()),
    }
}

/// Where events go, what breaks them, and what became of them.
#[derive(Debug)]
pub(crate) struct Post {
    queue: mpsc::UnboundedSender<Vec<Outgoing>>,
    urls: Mutex<BTreeMap<Kind, String>>,
    faults: Mutex<WebhookFaults>,
    late: Mutex<Vec<(Timestamp, Outgoing)>>,
    log: Mutex<Vec<Delivery>>,
    heard: broadcast::Sender<Delivery>,
    open: watch::Sender<usize>,
    secrets: Secrets,
    backoff: Vec<Duration>,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Post {
    pub(crate) fn new(
        secrets: Secrets,
        backoff: Vec<Duration>,
    ) -> (Self, mpsc::UnboundedReceiver<Vec<Outgoing>>) {
        let (queue, receiver) = mpsc::unbounded_channel();
        let post = Self {
            queue,
            urls: Mutex::default(),
            faults: Mutex::default(),
            late: Mutex::default(),
            log: Mutex::default(),
            heard: broadcast::channel(LOG_BACKLOG).0,
            open: watch::channel(0).0,
            secrets,
            backoff,
        };
        (post, receiver)
    }

    pub(crate) fn set_url(&self, gateway: Kind, url: Option<String>) {
        match url {
            Some(url) => lock(&self.urls).insert(gateway, url),
            None => lock(&self.urls).remove(&gateway),
        };
    }

    pub(crate) fn set_faults(&self, faults: WebhookFaults) {
        *lock(&self.faults) = faults;
    }

    pub(crate) fn log(&self) -> Vec<Delivery> {
        lock(&self.log).clone()
    }

    pub(crate) fn hear(&self) -> broadcast::Receiver<Delivery> {
        self.heard.subscribe()
    }

    /// Queues the events of one call.
    pub(crate) fn send(&self, events: Vec<Outgoing>) {
        if events.is_empty() {
            return;
        }
        self.open.send_modify(|open| *open += events.len());
        if let Err(refused) = self.queue.send(events) {
            self.done(refused.0.len());
        }
    }

    /// Sends what was held back and is due.
    pub(crate) fn release(&self, now: Timestamp) {
        let mut due = Vec::new();
        lock(&self.late).retain(|(at, event)| {
            if *at <= now {
                due.push(event.clone());
            }
            *at > now
        });
        self.send(due);
    }

    /// Waits until every queued event was taken, dropped or given up.
    pub(crate) async fn settled(&self) {
        // An error means that the sender is gone, which `self` keeps alive.
        let _ = self.open.subscribe().wait_for(|open| *open == 0).await;
    }

    fn done(&self, count: usize) {
        self.open.send_modify(|open| *open = open.saturating_sub(count));
    }

    fn note(&self, delivery: Delivery) {
        lock(&self.log).push(delivery.clone());
        // Nobody has to listen.
        let _ = self.heard.send(delivery);
    }

    /// Which of a call's events are sent now, in which order.
    fn break_up(
        &self,
        events: Vec<Outgoing>,
        rng: &mut fastrand::Rng,
        now: Timestamp,
    ) -> Vec<Outgoing> {
        let faults = lock(&self.faults).clone();
        let mut sent = Vec::new();
        for event in events {
            if rng.f64() < faults.dropped {
                self.done(1);
            } else if rng.f64() < faults.late {
                let at = now + SignedDuration::from_secs(faults.late_seconds);
                lock(&self.late).push((at, event));
                self.done(1);
            } else {
                if rng.f64() < faults.duplicated {
                    self.open.send_modify(|open| *open += 1);
                    sent.push(event.clone());
                }
                sent.push(event);
            }
        }
        if rng.f64() < faults.shuffled {
            rng.shuffle(&mut sent);
        }
        sent
    }

    async fn attempt(&self, client: &reqwest::Client, event: &Outgoing, attempt: u32) -> bool {
        let Some(url) = lock(&self.urls).get(&event.gateway).cloned() else { return true };
        let secret = self.secrets.webhook(event.gateway);
        let Ok(body) = sealed(event.gateway, secret, &event.body) else { return true };
        let signed = headers(event.gateway, secret, (&event.id, &body), clock::real_now());
        let Ok(headers) = signed else { return true };
        let request = headers
            .into_iter()
            .fold(client.post(url), |request, (name, value)| request.header(name, value));
        let answer = request.body(body).send().await;
        let status = answer.ok().map(|answer| answer.status().as_u16());
        self.note(Delivery {
            gateway: event.gateway,
            event: event.id.clone(),
            kind: event.kind.clone(),
            attempt,
            status,
        });
        status.is_some_and(|status| (200..300).contains(&status))
    }
}

/// Delivers until the sandbox is gone.
pub(crate) async fn run(
    shared: Weak<Shared>,
    client: reqwest::Client,
    mut queue: mpsc::UnboundedReceiver<Vec<Outgoing>>,
    seed: u64,
) {
    let mut rng = fastrand::Rng::with_seed(seed);
    while let Some(events) = queue.recv().await {
        let Some(shared) = shared.upgrade() else { return };
        for event in shared.post.break_up(events, &mut rng, shared.now()) {
            deliver(&shared, &client, event).await;
        }
    }
}

async fn deliver(shared: &Arc<Shared>, client: &reqwest::Client, event: Outgoing) {
    if shared.post.attempt(client, &event, 1).await {
        return finish(shared, &event);
    }
    // A receiver that refuses one event must not hold up the next ones.
    tokio::spawn(repeat(Arc::downgrade(shared), client.clone(), event));
}

async fn repeat(shared: Weak<Shared>, client: reqwest::Client, event: Outgoing) {
    let Some(pauses) = shared.upgrade().map(|shared| shared.post.backoff.clone()) else { return };
    for (number, pause) in (2..).zip(pauses) {
        tokio::time::sleep(pause).await;
        let Some(shared) = shared.upgrade() else { return };
        if shared.post.attempt(&client, &event, number).await {
            return finish(&shared, &event);
        }
    }
    if let Some(shared) = shared.upgrade() {
        shared.post.done(1);
    }
}

fn finish(shared: &Shared, event: &Outgoing) {
    if lock(&shared.post.urls).contains_key(&event.gateway) {
        shared.mark_delivered(&event.id);
    }
    shared.post.done(1);
}
