//! `recoup serve`: the service.
//!
//! Why here: opens the store, composes the service, listens, and ends it in order.
//!
//! What must stay true: on SIGTERM it stops accepting, finishes the step in hand and flushes,
//! within ten seconds; a store that refuses ends the process with exit code 1, and the gateways
//! send again.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use jiff::{SignedDuration, Timestamp};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::compact;
use super::compose::{self, Service};
use super::open::open_store_with;
use crate::clock::{Clock, real_now};
use crate::config::{Config, StoreUrl, Surroundings, locate};
use crate::http::Readiness;
use crate::store::erase::Erased;
use crate::store::{Store, StoreError};
use crate::worker::{Handle, Mend, Reconciler, Worker};
use crate::{http, telemetry};

/// How long open requests may take after the word to stop.
const LAST_CALL: Duration = Duration::from_secs(5);

/// How long a start waits for a database, and how long between two tries.
const OPEN_PATIENCE: Duration = Duration::from_secs(60);
const OPEN_PAUSE: Duration = Duration::from_secs(1);

/// How often the gateways are asked what they know.
const COMPARE_EVERY: Duration = Duration::from_secs(24 * 3600);

/// How far back: Stripe tries a webhook for three days.
const COMPARE_REACH: SignedDuration = SignedDuration::from_hours(4 * 24);

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  recoup serve\n  recoup serve --config shop.toml\n  \
    recoup serve --test-clock 2026-01-01T00:00:00Z   time moves only by POST \
    /api/v1/test-clock/advance\n  recoup serve --role receiver   takes webhooks, and leaves the \
    work to other processes on the same database\n\nStops on Ctrl-C or SIGTERM, within ten \
    seconds.")]
pub(super) struct Args {
    /// The merchant file [default: recoup.toml, where there is one].
    #[arg(long, short, value_name = "FILE", env = "RECOUP_CONFIG")]
    config: Option<PathBuf>,
    /// Listen here instead, e.g. 127.0.0.1:8080; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Start with a test clock at this time; a store that remembers a later one resumes there.
    #[arg(long, value_name = "RFC3339")]
    test_clock: Option<Timestamp>,
    /// What this process does, of several on one PostgreSQL store.
    #[arg(long, value_enum, default_value_t, env = "RECOUP_ROLE")]
    role: Role,
}

/// What a process does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Role {
    /// Takes webhooks, pages and API, and works.
    #[default]
    All,
    /// Takes webhooks, pages and API; others do the work.
    Receiver,
    /// Works; only health and metrics are answered.
    Worker,
}

/// Runs the command.
pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    if cfg!(feature = "mutants") {
        anyhow::bail!(
            "this recoup was built with the feature `mutants`, whose defects charge twice: build \
             it without"
        );
    }
    let path = locate(args.config);
    let flags = args.listen.map(|listen| ("server.listen".to_owned(), listen));
    let surroundings = Surroundings::of_process(flags.into_iter().collect());
    let config = Config::load(path.as_deref(), &surroundings);
    let config =
        config.map_err(|problems| anyhow::anyhow!("read the merchant file\n{problems}"))?;
    telemetry::start_logging("recoup=info,warn");
    for warning in &config.warnings {
        tracing::warn!("{}", warning.message);
    }
    let runtime = tokio::runtime::Runtime::new().context("start the runtime")?;
    runtime.block_on(serve(config, args.test_clock, args.role))
}

async fn serve(
    config: Config,
    test_clock: Option<Timestamp>,
    role: Role,
) -> anyhow::Result<ExitCode> {
    if let StoreUrl::Sled(path) = &config.store.url {
        compact::if_erased(path).await;
    }
    let store = open_patiently(&config).await?;
    ensure!(
        role == Role::All || (store.shared().is_some() && test_clock.is_none()),
        "serve in the role of a part: that takes a store which several processes share \
         (`postgres://…`), and the real clock"
    );
    let clock = match test_clock {
        Some(start) => {
            let remembered = store.test_clock().await.context("read the test clock")?;
            Clock::test(remembered.map_or(start, |at| at.max(start)))
        }
        None => Clock::System,
    };
    let metrics = telemetry::start_metrics();
    let service = compose::compose(&config, store, clock.clone(), metrics).await?;
    let service = Service { role, ..service };
    let listener = TcpListener::bind(&config.server.listen)
        .await
        .with_context(|| format!("listen on {}", config.server.listen))?;
    let address = listener.local_addr().context("read the address")?;
    tracing::info!(%address, test_clock = clock.is_test(), ?role, "recoup is ready");
    if config.server.admin_token.is_none() {
        tracing::warn!(
            "dashboard and API are closed: set [server] admin_token, e.g. to {{ env = \
             \"RECOUP_ADMIN_TOKEN\" }}"
        );
    }
    run_service(service, listener, asked_to_stop()).await?;
    tracing::info!("recoup has stopped");
    Ok(ExitCode::SUCCESS)
}

/// A database that is being restarted is waited for; anything else is told at once.
async fn open_patiently(config: &Config) -> anyhow::Result<Arc<dyn Store>> {
    let begun = tokio::time::Instant::now();
    loop {
        let opened =
            open_store_with(&compose::store_url(config), compose::store_options(config)).await;
        match opened {
            Err(error) if is_away(&error) && begun.elapsed() < OPEN_PATIENCE => {
                tracing::warn!(%error, "the database is waited for");
                tokio::time::sleep(OPEN_PAUSE).await;
            }
            opened => return opened,
        }
    }
}

fn is_away(error: &anyhow::Error) -> bool {
    match error.downcast_ref() {
        // One that is not to be trusted does not become so by waiting.
        Some(StoreError::Away(why)) => !why.contains("certificate"),
        _ => false,
    }
}

/// Runs worker and routes until `stop` comes true, then ends both in order.
pub(super) async fn run_service(
    service: Service,
    listener: TcpListener,
    stop: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let Service { state, worker, handle, reconciler, role } = service;
    let store = state.store.clone();
    if let Some(shared) = store.shared() {
        shared.wake_on(handle.wake());
    }
    let compares = role != Role::Receiver && !state.clock.is_test();
    let daily = compares.then(|| {
        let erasing = tokio::spawn(erase_daily(state.clone()));
        [tokio::spawn(compare_daily(reconciler, store.clone())), erasing]
    });
    let readiness = state.readiness.clone();
    let stopping = CancellationToken::new();
    let mut worker = tokio::spawn(work(role, worker, store, stopping.clone()));
    let closing = stopping.clone();
    let routes = match role {
        Role::All | Role::Receiver => http::router(state),
        Role::Worker => http::health_router(state),
    };
    let routes = routes.into_make_service_with_connect_info::<SocketAddr>();
    let routes = axum::serve(listener, routes)
        .with_graceful_shutdown(async move { closing.cancelled().await });
    let mut routes = tokio::spawn(async move { routes.await });
    readiness.ready();
    let watching = tokio::spawn(tell_when_held(handle, readiness.clone()));
    tokio::select! {
        () = stop => {}
        ended = &mut worker => {
            // Only a store that refuses ends it before it is told to: fail-stop.
            readiness.unready("the store refused a write; restart");
            stopping.cancel();
            drop(tokio::time::timeout(LAST_CALL, routes).await);
            return ended.context("run the worker")?.context("keep working");
        }
        ended = &mut routes => return ended.context("serve")?.context("serve"),
    }
    watching.abort();
    readiness.unready("stopping");
    stopping.cancel();
    daily.iter().flatten().for_each(|daily| daily.abort());
    drop(tokio::time::timeout(LAST_CALL, &mut routes).await);
    routes.abort();
    worker.await.context("stop the worker")?.context("make the store durable")
}

/// While the worker holds everything, since the clock jumped, the service is not ready.
async fn tell_when_held(handle: Handle, readiness: Readiness) {
    let mut held = handle.held();
    while held.changed().await.is_ok() {
        match *held.borrow() {
            true => readiness.unready("the clock jumped forward: set it back, or restart"),
            false => readiness.ready(),
        }
    }
}

/// Works, or leaves it to others and only closes the store in the end.
async fn work(
    role: Role,
    worker: Worker,
    store: Arc<dyn Store>,
    stop: CancellationToken,
) -> Result<(), StoreError> {
    if role != Role::Receiver {
        return worker.run(stop).await;
    }
    drop(worker);
    stop.cancelled().await;
    store.close().await
}

/// Once a day: what the gateways know of the last days and we do not is taken in, as its webhook
/// would have been. Nothing runs under a test clock, whose days are no days of the gateways.
async fn compare_daily(reconciler: Reconciler, store: Arc<dyn Store>) {
    if !reconciler.can_ask() {
        return;
    }
    let mut days = tokio::time::interval(COMPARE_EVERY);
    // The first tick is now: the gap of the time in which nothing ran.
    loop {
        days.tick().await;
        if !is_the_one(&*store).await {
            continue;
        }
        let since = real_now() - COMPARE_REACH;
        if let Err(error) = reconciler.compare(since, Mend::Repair).await {
            tracing::warn!(%error, "could not compare with the gateways; again in a day");
        }
    }
}

/// Of several processes one does what is done once a day.
async fn is_the_one(store: &dyn Store) -> bool {
    match store.shared() {
        None => true,
        Some(shared) => shared.lead().await.unwrap_or(false),
    }
}

/// Once a day: what is older than the merchant file allows is erased.
async fn erase_daily(state: http::AppState) {
    let mut days = tokio::time::interval(COMPARE_EVERY);
    loop {
        days.tick().await;
        if !is_the_one(&*state.store).await {
            continue;
        }
        match http::expire(&state).await {
            Ok(erased) if erased == Erased::default() => {}
            Ok(erased) => tracing::info!(?erased, "erased what was old"),
            Err(error) => tracing::warn!(%error, "could not erase what is old; again in a day"),
        }
    }
}

/// Comes true on Ctrl-C or SIGTERM.
async fn asked_to_stop() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = terminate.recv() => return,
                _ = tokio::signal::ctrl_c() => return,
            }
        }
    }
    drop(tokio::signal::ctrl_c().await);
}
