//! Composing: the merchant file becomes gateways, channels, policy, worker and routes.
//!
//! Why here: the one place that names concrete gateways and channels. `serve`, `demo` and the
//! commands that look at a store all build the service in here.
//!
//! What must stay true: nothing else in the program names a concrete gateway or channel.

use std::sync::Arc;

use anyhow::Context as _;
use async_trait::async_trait;
use jiff::Timestamp;

use crate::channel::Deliver;
use crate::channel::email::EmailChannel;
use crate::clock::Clock;
use crate::config::{Config, GatewayConfig, GatewayKind, StoreUrl, brand, policy};
use crate::core::policy::{Capabilities, Policy};
use crate::gateway::http::HttpGateway;
use crate::gateway::stripe::Stripe;
use crate::gateway::{Gateway, GatewaySettings};
use crate::http::{self, AdvanceError, AppState, Engine, Readiness};
use crate::store::Store;
use crate::worker::{Applier, BrandedPost, Executor, Gateways, Handle, Worker};

/// A service that is ready to run.
pub(crate) struct Service {
    /// What the routes need.
    pub(crate) state: AppState,
    /// The worker, not running yet.
    pub(crate) worker: Worker,
    /// The hand on it.
    pub(crate) handle: Handle,
}

/// Builds the service over a store.
pub(crate) async fn compose(
    config: &Config,
    store: Arc<dyn Store>,
    clock: Clock,
    metrics: Arc<dyn Fn() -> String + Send + Sync>,
) -> anyhow::Result<Service> {
    let gateways = config.gateways.iter().map(gateway).collect::<anyhow::Result<Vec<_>>>()?;
    let policy = Arc::new(policy_of(config));
    // Known already: a start writes nothing, also on a disk that is full.
    if store.policy(&policy.version()).await.context("read the policy")?.is_none() {
        store.put_policy(&policy).await.context("keep the policy")?;
    }
    let link_key = store.link_key().await.context("read the link key")?;
    let brand = Arc::new(brand(config));
    let public_url = brand.public_url.clone();
    let links: crate::worker::Links =
        Arc::new(move |case| http::link::url(&public_url, &link_key, case));
    let post = BrandedPost::new(brand.clone(), links, channels(config)?);
    let by_id = Gateways::new(gateways.iter().cloned());
    let applier = Applier::new(store.clone(), by_id.clone(), policy);
    let executor = Executor::new(by_id, Arc::new(post));
    let (worker, handle) = Worker::new(store.clone(), clock.clone(), applier, executor);
    let state = AppState {
        store,
        gateways: gateways.into(),
        clock,
        wake: handle.wake(),
        engine: Arc::new(WorkerEngine(handle.clone())),
        admin_token: config.server.admin_token.as_ref().map(|token| token.get().clone()),
        brand,
        readiness: Readiness::default(),
        metrics,
        link_key,
    };
    Ok(Service { state, worker, handle })
}

/// The policy of the merchant file.
pub(crate) fn policy_of(config: &Config) -> Policy {
    policy(config, capabilities)
}

/// The store URL of the merchant file, as the other commands take it.
pub(crate) fn store_url(config: &Config) -> String {
    match &config.store.url {
        StoreUrl::Memory => "memory:".to_owned(),
        StoreUrl::Sled(path) => format!("sled:{}", path.display()),
    }
}

fn capabilities(gateway: &GatewayConfig) -> Capabilities {
    match gateway.kind {
        GatewayKind::Http => HttpGateway::what_it_can_do(),
        GatewayKind::Stripe => Stripe::what_it_can_do(),
    }
}

fn gateway(config: &GatewayConfig) -> anyhow::Result<Arc<dyn Gateway>> {
    let settings = GatewaySettings {
        id: config.id.clone(),
        api_base: config.api_base.clone(),
        api_key: config.api_key.get().clone(),
        webhook_secrets: config.webhook_secrets.iter().map(|s| s.get().clone()).collect(),
    };
    let id = config.id.clone();
    let built: Arc<dyn Gateway> = match config.kind {
        GatewayKind::Http => {
            Arc::new(HttpGateway::new(settings).with_context(|| format!("set up gateway {id}"))?)
        }
        GatewayKind::Stripe => {
            Arc::new(Stripe::new(settings).with_context(|| format!("set up gateway {id}"))?)
        }
    };
    Ok(built)
}

fn channels(config: &Config) -> anyhow::Result<Vec<Arc<dyn Deliver>>> {
    let mut channels: Vec<Arc<dyn Deliver>> = Vec::new();
    if let Some(email) = &config.email {
        let reply_to = config.merchant.support_email.as_deref().unwrap_or_default();
        let channel = EmailChannel::new(email.smtp_url.get(), &email.from, reply_to);
        channels.push(Arc::new(channel.context("set up [email]")?));
    }
    Ok(channels)
}

/// What the routes ask of the worker.
struct WorkerEngine(Handle);

#[async_trait]
impl Engine for WorkerEngine {
    async fn settle(&self) {
        // A worker that has stopped applies nothing; the routes answer what is there.
        let _ = self.0.settle().await;
    }

    async fn advance(&self, to: Timestamp) -> Result<(), AdvanceError> {
        if self.0.advance(to).await {
            Ok(())
        } else {
            Err(AdvanceError("the worker has stopped; see the log, then restart".to_owned()))
        }
    }
}
