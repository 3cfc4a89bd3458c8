//! Composing: the merchant file becomes gateways, channels, policy, worker and routes.
//!
//! Why here: the one place that names concrete gateways and channels. `serve`, `demo` and the
//! commands that look at a store all build the service in here.
//!
//! What must stay true: nothing else in the program names a concrete gateway or channel.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use async_trait::async_trait;
use jiff::Timestamp;

use super::channels;
use super::serve::Role;
use crate::channel::Deliver;
use crate::clock::Clock;
use crate::config::{
    Backup, Config, GatewayConfig, Mode, OutboundWebhook, Secret, StoreUrl, brand, policy,
};
use crate::core::case::news::News;
use crate::core::customer::Channel;
use crate::core::ids::GatewayId;
use crate::core::policy::{Capabilities, GatewayPolicy, NativeRetries, Policy};
use crate::gateway::history::Completeness;
use crate::gateway::kinds::Kind;
use crate::gateway::wire::Timeouts;
use crate::gateway::{self, Gateway, GatewaySettings};
use crate::http::{self, AdvanceError, AppState, Engine, Readiness};
use crate::store::erase::Retention;
use crate::store::outbound::Endpoint;
use crate::store::postgres::OpenOptions;
use crate::store::{Store, StoreError};
use crate::worker::{
    Applier, BrandedPost, Executor, Gateways, Handle, Mend, Outbound, Reconciler, Worker,
    show_reputation,
};

/// A worker that has begun no turn for so long gets nowhere: it begins one every few seconds, and
/// one that reads a batch of events at a gateway that does not answer takes minutes.
const STANDS_STILL: Duration = Duration::from_secs(900);

/// A service that is ready to run.
pub(crate) struct Service {
    /// What the routes need.
    pub(crate) state: AppState,
    /// The worker, not running yet.
    pub(crate) worker: Worker,
    /// The hand on it.
    pub(crate) handle: Handle,
    /// Finds what the gateways know and we do not.
    pub(crate) reconciler: Reconciler,
    /// What this process does of it.
    pub(crate) role: Role,
    /// Copies of the store while it runs.
    pub(crate) backup: Option<Backup>,
}

/// What a host application brings along.
#[derive(Default)]
pub(crate) struct Own {
    /// Gateways beside those of the merchant file, or in place of one with the same id.
    pub(crate) gateways: Vec<Arc<dyn Gateway>>,
    /// Channels in place of the merchant file's.
    pub(crate) channels: Vec<Arc<dyn Deliver>>,
}

/// Builds the service over a store.
pub(crate) async fn compose(
    config: &Config,
    store: Arc<dyn Store>,
    clock: Clock,
    metrics: Arc<dyn Fn() -> String + Send + Sync>,
) -> anyhow::Result<Service> {
    compose_with(config, store, (clock, metrics), Own::default()).await
}

/// The same, with what a host application brings along.
pub(crate) async fn compose_with(
    config: &Config,
    store: Arc<dyn Store>,
    (clock, metrics): (Clock, Arc<dyn Fn() -> String + Send + Sync>),
    own: Own,
) -> anyhow::Result<Service> {
    let (gateways, policy) = own.gateways(config)?;
    let (channels, policy) = own.channels(config, policy)?;
    let policy = Arc::new(policy);
    // Known already: a start writes nothing, also on a disk that is full.
    if store.policy(&policy.version()).await.context("read the policy")?.is_none() {
        store.put_policy(&policy).await.context("keep the policy")?;
    }
    let link_key = store.link_key().await.context("read the link key")?;
    let brand = Arc::new(brand(config));
    let public_url = brand.public_url.clone();
    let links: crate::worker::Links =
        Arc::new(move |case| http::link::url(&public_url, &link_key, case));
    let public_url = brand.public_url.clone();
    let stop_links: crate::worker::Links =
        Arc::new(move |case| http::link::unsubscribe_url(&public_url, &link_key, case));
    let post = BrandedPost::new(brand.clone(), links, channels);
    let post = post.with_stop_links(stop_links);
    let by_id = Gateways::new(gateways.iter().cloned());
    let ceilings = config.reminders.ceilings.ceilings();
    let endpoints = endpoints(config);
    let applier = Applier::new(store.clone(), by_id.clone(), policy.clone())
        .under(ceilings)
        .with_endpoints(endpoints.clone());
    show_reputation(&store.reputation().await.context("read the reputation of channels")?);
    let executor = Executor::new(by_id.clone(), Arc::new(post));
    let outbound = Outbound::new(store.clone(), endpoints.clone()).context("set up webhooks")?;
    let (worker, handle) = Worker::new(store.clone(), clock.clone(), applier, executor);
    let worker = worker.with_outbound(outbound);
    let reconciler = Reconciler::new(store.clone(), by_id, clock.clone(), handle.wake());
    let state = AppState {
        store,
        gateways: gateways.into(),
        callbacks: channels::callbacks(config)?.into(),
        clock,
        book: http::Book::default(),
        refused: http::Refusals::default(),
        keys: http::Keys::default(),
        wake: handle.wake(),
        engine: Arc::new(WorkerEngine { handle: handle.clone(), reconciler: reconciler.clone() }),
        admin_token: config.server.admin_token.as_ref().map(|token| token.get().clone()),
        metrics_token: config.server.metrics_token.as_ref().map(|token| token.get().clone()),
        oidc: oidc(config)?,
        brand,
        readiness: Readiness::default(),
        metrics,
        policy,
        ceilings,
        access: http::Access {
            grace_days: config.access.grace_days,
            banner_secret: config.access.banner_secret.as_ref().map(|s| s.get().clone()),
        },
        retention: Retention {
            raw_events_days: config.retention.raw_events_days,
            customers_days: config.retention.customers_days,
        },
        link_key,
        client_address_header: client_address_header(config)?,
        endpoints,
        gate: http::Gate::of_mib(config.server.webhook_memory_mib),
    };
    let backup = config.backup.clone();
    Ok(Service { state, worker, handle, reconciler, role: Role::All, backup })
}

impl Own {
    /// All gateways in their order, and the policy that knows what each can do.
    fn gateways(&self, config: &Config) -> anyhow::Result<(Vec<Arc<dyn Gateway>>, Policy)> {
        let mut policy = policy_of(config);
        let own = |id: &GatewayId| self.gateways.iter().find(|gateway| gateway.id() == id);
        let mut all = Vec::new();
        for settings in &config.gateways {
            all.push(match own(&settings.id) {
                Some(gateway) => behind_the_wall(config.mode, gateway.clone()),
                None => gateway(config.mode, settings)?,
            });
        }
        let named = |id: &GatewayId| config.gateways.iter().any(|settings| settings.id == *id);
        let further = self.gateways.iter().filter(|gateway| !named(gateway.id()));
        all.extend(further.map(|gateway| behind_the_wall(config.mode, gateway.clone())));
        for gateway in &self.gateways {
            let capabilities = gateway.capabilities().clone();
            match policy.gateways.iter_mut().find(|known| known.id == *gateway.id()) {
                Some(known) => known.capabilities = capabilities,
                None => policy.gateways.push(GatewayPolicy {
                    id: gateway.id().clone(),
                    native_retries: NativeRetries::Observe,
                    capabilities,
                    fees: BTreeMap::new(),
                }),
            }
        }
        Ok((all, policy))
    }

    /// All channels, and the policy that prefers them as the merchant file says.
    fn channels(
        self,
        config: &Config,
        mut policy: Policy,
    ) -> anyhow::Result<(Vec<Arc<dyn Deliver>>, Policy)> {
        let own: Vec<_> = self.channels.iter().map(|channel| channel.channel()).collect();
        let usable = |channel: &Channel| own.contains(channel) || config.delivers(*channel);
        policy.channels = config.reminders.channels.iter().copied().filter(usable).collect();
        let mut all = channels::deliver(config)?;
        all.retain(|channel| !own.contains(&channel.channel()));
        all.extend(channels::behind_the_wall(config.mode, self.channels));
        Ok((all, policy))
    }
}

/// Where events go. The names of events were checked when the file was read.
fn endpoints(config: &Config) -> Arc<[Endpoint]> {
    let named = |name: &String| News::ALL.into_iter().find(|news| news.as_str() == name);
    let endpoint = |webhook: &OutboundWebhook| Endpoint {
        id: Endpoint::id_of(&webhook.url),
        url: webhook.url.clone(),
        secret: webhook.secret.get().clone(),
        events: webhook.events.iter().filter_map(named).collect(),
        private_network: webhook.private_network,
    };
    match config.mode {
        Mode::Live => config.webhooks.iter().map(endpoint).collect(),
        // The merchant's systems act on what they are told, and nothing of it happened.
        Mode::Shadow => Arc::new([]),
    }
}

/// Where else people sign in.
fn oidc(config: &Config) -> anyhow::Result<Option<Arc<http::Oidc>>> {
    let Some(oidc) = &config.oidc else { return Ok(None) };
    let settings = http::OidcSettings {
        issuer: oidc.issuer.clone(),
        client_id: oidc.client_id.clone(),
        client_secret: oidc.client_secret.as_ref().map(|secret| secret.get().clone()),
        name: oidc.name.clone(),
        claim: oidc.claim.clone(),
        roles: oidc.roles.iter().map(|one| (one.value.clone(), one.role)).collect(),
    };
    let provider = http::Oidc::new(settings).context("set up [oidc]")?;
    Ok(Some(Arc::new(provider)))
}

fn client_address_header(config: &Config) -> anyhow::Result<Option<http::HeaderName>> {
    let name = config.server.client_address_header.as_deref();
    name.map(|name| name.parse().context("read server.client_address_header")).transpose()
}

/// A client for each gateway of the merchant file, in its order.
pub(crate) fn gateways(config: &Config) -> anyhow::Result<Vec<Arc<dyn Gateway>>> {
    config.gateways.iter().map(|settings| gateway(config.mode, settings)).collect()
}

/// In shadow mode nobody gets hold of a gateway that is not behind the wall.
fn behind_the_wall(mode: Mode, gateway: Arc<dyn Gateway>) -> Arc<dyn Gateway> {
    match mode {
        Mode::Live => gateway,
        Mode::Shadow => Arc::new(gateway::shadow::ReadOnly::new(gateway)),
    }
}

/// The policy of the merchant file.
pub(crate) fn policy_of(config: &Config) -> Policy {
    policy(config, capabilities)
}

/// The store URL of the merchant file, as the other commands take it.
pub(crate) fn store_url(config: &Config) -> String {
    match &config.store.url {
        StoreUrl::Memory => "memory:".to_owned(),
        StoreUrl::Postgres(url) => url.clone(),
        StoreUrl::Sled(path) => format!("sled:{}", path.display()),
    }
}

/// How a database is opened.
pub(crate) fn store_options(config: &Config) -> OpenOptions {
    OpenOptions {
        connections: config.store.connections.into(),
        patience: Duration::from_secs(config.store.patience_seconds.into()),
        lease: Duration::from_secs(config.store.lease_seconds.into()),
    }
}

fn kind_of(gateway: &GatewayConfig) -> anyhow::Result<&'static Kind> {
    let kind = gateway.kind.as_str();
    gateway::kind(kind).with_context(|| format!("find a client for gateways of kind {kind}"))
}

fn capabilities(gateway: &GatewayConfig) -> Capabilities {
    let profile = kind_of(gateway).map(|kind| (kind.profile)());
    profile.map_or_else(|_| Capabilities::default(), |profile| profile.capabilities)
}

fn gateway(mode: Mode, config: &GatewayConfig) -> anyhow::Result<Arc<dyn Gateway>> {
    let built = (kind_of(config)?.build)(settings(config), Timeouts::default());
    let built = built.with_context(|| format!("set up gateway {}", config.id))?;
    Ok(behind_the_wall(mode, built))
}

/// What a client is made from. Braintree's pair of keys signs in and verifies webhooks too.
fn settings(config: &GatewayConfig) -> GatewaySettings {
    let secret = |secret: &Option<Secret>| secret.as_ref().map(|secret| secret.get().clone());
    let key = secret(&config.api_key).or_else(|| secret(&config.private_key));
    let accounts = [&config.merchant_account, &config.merchant_id, &config.processing_channel];
    GatewaySettings {
        api_base: config.api_base.clone(),
        webhook_secrets: config.webhook_secrets.iter().map(|s| s.get().clone()).collect(),
        account: accounts.into_iter().find_map(Clone::clone),
        public_key: secret(&config.public_key),
        integrity_secret: secret(&config.integrity_secret),
        requests_per_second: config.requests_per_second,
        ..GatewaySettings::new(config.id.clone(), key.unwrap_or_default())
    }
}

/// What the routes ask of the worker.
struct WorkerEngine {
    handle: Handle,
    reconciler: Reconciler,
}

#[async_trait]
impl Engine for WorkerEngine {
    async fn settle(&self) {
        // A worker that has stopped applies nothing; the routes answer what is there.
        let _ = self.handle.settle().await;
    }

    async fn advance(&self, to: Timestamp) -> Result<(), AdvanceError> {
        if self.handle.advance(to).await {
            Ok(())
        } else {
            Err(AdvanceError("the worker has stopped; see the log, then restart".to_owned()))
        }
    }

    fn stands_still(&self) -> Option<Duration> {
        Some(self.handle.idle_for()).filter(|idle| *idle > STANDS_STILL)
    }

    async fn reconcile(
        &self,
        since: Timestamp,
        repair: bool,
    ) -> Result<Vec<Completeness>, StoreError> {
        let mend = if repair { Mend::Repair } else { Mend::Tell };
        self.reconciler.compare(since, mend).await
    }
}
