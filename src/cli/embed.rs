//! recoup inside another application: its routes to mount, and one future to run.
//!
//! Why here: the binary and a host application put the same service together; this is the part of
//! it that a host sees.
//!
//! What must stay true: no logger and no recorder of metrics is set up, the host's are used; no
//! task runs but inside [`Recoup::run`]; pages and redirects lead to where the router is mounted.

use std::sync::Arc;

use axum::Router;
use tokio_util::sync::CancellationToken;

use super::compose::{self, Own, Service};
use super::open::open_store_with;
use crate::channel::Deliver;
use crate::clock::Clock;
use crate::config::Config;
use crate::gateway::Gateway;
use crate::http::{self, AppState};
use crate::store::{Store, StoreError};

/// Why a service could not be put together: the whole chain of causes in one text.
#[derive(Debug, thiserror::Error)]
#[error("set up recoup: {0}")]
pub struct SetUpError(String);

/// What goes into a service.
pub struct Builder {
    config: Config,
    store: Option<Arc<dyn Store>>,
    clock: Clock,
    own: Own,
}

impl Builder {
    /// Keeps everything in this store, not in the one that the merchant file names.
    #[must_use]
    pub fn store(mut self, store: Arc<dyn Store>) -> Self {
        self.store = Some(store);
        self
    }

    /// Goes by this clock, not by the machine's.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// With a gateway of the host's own: in place of the one with its id in the merchant file
    /// (which keeps its place, and may be the billing gateway), else behind all of those.
    #[must_use]
    pub fn gateway(mut self, gateway: Arc<dyn Gateway>) -> Self {
        self.own.gateways.push(gateway);
        self
    }

    /// With a channel of the host's own, in place of the merchant file's of the same kind.
    #[must_use]
    pub fn channel(mut self, channel: Arc<dyn Deliver>) -> Self {
        self.own.channels.push(channel);
        self
    }

    /// Opens the store and puts the service together. Nothing runs yet.
    ///
    /// # Errors
    /// The store does not open, a gateway or a channel cannot be set up, or a store with cases at
    /// work is to be run in shadow mode.
    pub async fn build(self) -> Result<Recoup, SetUpError> {
        self.put_together().await.map_err(|error| SetUpError(format!("{error:#}")))
    }

    async fn put_together(self) -> anyhow::Result<Recoup> {
        let Self { config, store, clock, own } = self;
        let store = match store {
            Some(store) => store,
            None => {
                let options = compose::store_options(&config);
                open_store_with(&compose::store_url(&config), options).await?
            }
        };
        if config.mode == crate::config::Mode::Shadow {
            super::live::refuse_cases_at_work(&*store).await?;
        }
        // What a host counts is rendered by the host.
        let metrics = Arc::new(String::new);
        let service = compose::compose_with(&config, store, (clock, metrics), own).await?;
        Ok(Recoup { service })
    }
}

/// One merchant's recoup, ready to be mounted and run.
///
/// ```no_run
/// use recoup::Recoup;
/// use recoup::config::{Config, Surroundings};
/// use tokio_util::sync::CancellationToken;
///
/// # async fn host() -> Result<(), Box<dyn std::error::Error>> {
/// let config = Config::load(Some("recoup.toml".as_ref()), &Surroundings::of_process(Vec::new()))?;
/// let recoup = Recoup::builder(config).build().await?;
/// let app: axum::Router = axum::Router::new().nest("/recoup", recoup.router());
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
/// let stop = CancellationToken::new();
/// let serve = axum::serve(listener, app);
/// tokio::select! {
///     ended = recoup.run(stop.clone()) => ended?,
///     ended = serve => ended?,
/// }
/// # Ok(())
/// # }
/// ```
pub struct Recoup {
    service: Service,
}

impl Recoup {
    /// Begins with a merchant file. `merchant.public_url` is where the world reaches the mounted
    /// router, with the path that it is mounted at: links in messages begin with it.
    pub fn builder(config: Config) -> Builder {
        Builder { config, store: None, clock: Clock::System, own: Own::default() }
    }

    /// Every route, for a host with any state of its own: webhooks, the customers' page, the API,
    /// the dashboard, health. It may be mounted at any path with [`Router::nest`].
    pub fn router<S: Clone + Send + Sync + 'static>(&self) -> Router<S> {
        http::router(self.state()).with_state(())
    }

    /// What the routes work with: for routes of the host's own beside them.
    pub fn state(&self) -> AppState {
        self.service.state.clone()
    }

    /// Works until `stop` is cancelled, then finishes what is in hand, within ten seconds, and
    /// makes the store durable. Without it the routes take webhooks and nothing follows from them.
    ///
    /// # Errors
    /// A store that refuses ends it: nothing more is done, and the process is to be restarted.
    pub async fn run(self, stop: CancellationToken) -> Result<(), StoreError> {
        self.service.run(stop).await
    }
}
