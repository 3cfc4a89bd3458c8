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
use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::compact;
use super::compose::{self, Service};
use super::offline::print_line;
use super::open::open_store_with;
use crate::clock::{Clock, real_now};
use crate::config::{Config, Mode, StoreUrl, Surroundings, locate};
use crate::store::{Restoring, Store, StoreError};
use crate::{http, telemetry};

/// How long open requests may take after the word to stop.
const LAST_CALL: Duration = Duration::from_secs(5);

/// How long a start waits for a database, and how long between two tries.
const OPEN_PATIENCE: Duration = Duration::from_secs(60);
const OPEN_PAUSE: Duration = Duration::from_secs(1);

/// Where several merchants are served when nobody says otherwise.
const LISTEN: &str = "127.0.0.1:8080";

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  recoup serve\n  recoup serve --config shop.toml\n  \
    recoup serve --config-dir /etc/recoup/merchants --listen 0.0.0.0:8080\n  \
    recoup serve --test-clock 2026-01-01T00:00:00Z   time moves only by POST \
    /api/v1/test-clock/advance\n  recoup serve --role receiver   takes webhooks, and leaves the \
    work to other processes on the same database\n\nStops on Ctrl-C or SIGTERM, within ten \
    seconds.")]
pub(super) struct Args {
    /// The merchant file [default: recoup.toml, where there is one].
    #[arg(long, short, value_name = "FILE", env = "RECOUP_CONFIG")]
    config: Option<PathBuf>,
    /// Several merchants: every .toml file of this folder is one, reached at its public_url.
    #[arg(long, value_name = "DIR")]
    config_dir: Option<PathBuf>,
    /// Listen here instead, e.g. 127.0.0.1:8080; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Start with a test clock at this time; a store that remembers a later one resumes there.
    #[arg(long, value_name = "RFC3339")]
    test_clock: Option<Timestamp>,
    /// What this process does, of several on one PostgreSQL store.
    #[arg(long, value_enum, default_value_t, env = "RECOUP_ROLE")]
    role: Role,
    /// The database was put back to an earlier state: what happened since is looked up at the
    /// gateways before anything is charged. `recoup import` and copies of a directory say so
    /// themselves.
    #[arg(long)]
    restored: bool,
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
    if let Some(dir) = &args.config_dir {
        let listen = args.listen.as_deref().unwrap_or(LISTEN);
        return super::merchants::run(dir, listen, args.test_clock);
    }
    let path = locate(args.config);
    let flags = args.listen.map(|listen| ("server.listen".to_owned(), listen));
    let surroundings = Surroundings::of_process(flags.into_iter().collect());
    let config = Config::load(path.as_deref(), &surroundings);
    let config =
        config.map_err(|problems| anyhow::anyhow!("read the merchant file\n{problems}"))?;
    let _until_the_end = super::tell::start()?;
    for warning in &config.warnings {
        tracing::warn!("{}", warning.message);
    }
    let runtime = tokio::runtime::Runtime::new().context("start the runtime")?;
    let restored = args.restored.then(|| Restoring { at: real_now(), is_over: false });
    runtime.block_on(serve(config, args.test_clock, args.role, restored))
}

async fn serve(
    config: Config,
    test_clock: Option<Timestamp>,
    role: Role,
    restored: Option<Restoring>,
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
    if let Some(restored) = restored {
        store.put_restored(restored).await.context("note that the store was restored")?;
    }
    let clock = match test_clock {
        Some(start) => {
            let remembered = store.test_clock().await.context("read the test clock")?;
            Clock::test(remembered.map_or(start, |at| at.max(start)))
        }
        None => Clock::System,
    };
    if config.mode == Mode::Shadow {
        super::live::refuse_cases_at_work(&*store).await?;
    }
    let metrics = telemetry::start_metrics();
    let service = compose::compose(&config, store, clock.clone(), metrics).await?;
    let service = Service { role, ..service };
    let listener = TcpListener::bind(&config.server.listen)
        .await
        .with_context(|| format!("listen on {}", config.server.listen))?;
    let address = listener.local_addr().context("read the address")?;
    tracing::info!(%address, test_clock = clock.is_test(), ?role, "recoup is ready");
    if config.mode == Mode::Shadow {
        tracing::warn!("shadow mode: everything is planned, nothing is charged or sent");
    }
    if config.server.admin_token.is_none() {
        tracing::warn!(
            "the API takes no admin token, and the dashboard only people with an account: set \
             [server] admin_token, e.g. to {{ env = \"RECOUP_ADMIN_TOKEN\" }}"
        );
    }
    if role != Role::Worker {
        tell_first_link(&service.state, None).await;
    }
    run_service(service, listener, asked_to_stop()).await?;
    tracing::info!("recoup has stopped");
    Ok(ExitCode::SUCCESS)
}

/// While nobody has an account: the link by which the first one is made. It is for whoever started
/// the service, and in no log.
pub(super) async fn tell_first_link(state: &http::AppState, merchant: Option<&str>) {
    let link = http::first_link(&*state.store, &state.brand.public_url, real_now()).await;
    let told = match link {
        Ok(Some(link)) => {
            let whose = merchant.map_or_else(String::new, |name| format!(" of {name}"));
            let text =
                format!("The first account{whose} is made here, once, within 30 minutes:\n{link}");
            print_line(&text).context("print the set-up link")
        }
        Ok(None) => Ok(()),
        Err(error) => Err(error).context("make a set-up link"),
    };
    // Nobody who signs in already is kept out by it.
    if let Err(error) = told {
        tracing::warn!(error = format!("{error:#}"), "there is no link for the first account");
    }
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
    let routes = match service.role {
        Role::All | Role::Receiver => http::router(service.state.clone()),
        Role::Worker => http::health_router(service.state.clone()),
    };
    let routes = routes.into_make_service_with_connect_info::<SocketAddr>();
    let (stopping, closed) = (CancellationToken::new(), CancellationToken::new());
    let closing = closed.clone();
    let routes = axum::serve(listener, routes)
        .with_graceful_shutdown(async move { closing.cancelled().await });
    let mut routes = tokio::spawn(async move { routes.await });
    let mut work = std::pin::pin!(service.run(stopping.clone()));
    let worked = tokio::select! {
        () = stop => None,
        // Only a store that refuses ends it before it is told to: fail-stop.
        worked = &mut work => Some(worked),
        ended = &mut routes => return ended.context("serve")?.context("serve"),
    };
    closed.cancel();
    stopping.cancel();
    // Requests that are under way may still ask the worker for something: both end together.
    let last_call = async {
        drop(tokio::time::timeout(LAST_CALL, &mut routes).await);
        routes.abort();
    };
    match worked {
        Some(worked) => {
            last_call.await;
            worked.context("keep working")
        }
        None => {
            let (worked, ()) = tokio::join!(work, last_call);
            worked.context("make the store durable")
        }
    }
}

/// Comes true on Ctrl-C or SIGTERM.
pub(super) async fn asked_to_stop() {
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
