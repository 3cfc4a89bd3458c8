//! `recoup serve --config-dir`: several merchants in one process, a file each.
//!
//! Why here: each merchant is a whole service of its own, with a store, gateways, a worker and its
//! budgets; they share a port and a runtime, and nothing else. So what floods or breaks one is not
//! in the way of the others.
//!
//! What must stay true: a file that cannot be used stops no other, and is said loudly; two
//! merchants share neither a store nor an address; a merchant's address is that of its
//! `public_url`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use jiff::Timestamp;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;
use url::Url;

use super::compose::{self, Service};
use super::open::open_store_with;
use crate::clock::Clock;
use crate::config::{Config, Mode, Surroundings};
use crate::http::{self, Problem, Readiness};
use crate::telemetry::Scope;

/// What lies over a file. It would lie over all of them, so it does not count here.
const LAID_OVER: &str = "RECOUP__";

/// How long open requests may take after the word to stop.
const LAST_CALL: Duration = Duration::from_secs(5);

/// One merchant, put together.
struct Merchant {
    name: String,
    place: Place,
    service: Service,
    scope: Scope,
}

/// Where a merchant is reached: the host and the path of its `public_url`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    host: String,
    path: String,
}

/// What a request is answered from.
struct Table {
    merchants: Vec<(Place, Router)>,
    ready: BTreeMap<String, Readiness>,
    broken: Vec<String>,
}

/// Serves every file of the folder.
pub(super) async fn serve(
    dir: &Path,
    (listen, test_clock): (&str, Option<Timestamp>),
    stop: impl Future<Output = ()>,
) -> anyhow::Result<ExitCode> {
    let (merchants, broken) = open_all(dir, test_clock).await?;
    let listener =
        TcpListener::bind(listen).await.with_context(|| format!("listen on {listen}"))?;
    let address = listener.local_addr().context("read the address")?;
    tracing::info!(%address, merchants = merchants.len(), broken = broken.len(), "recoup is ready");
    let (stopping, closing) = (CancellationToken::new(), CancellationToken::new());
    let mut table = Table { merchants: Vec::new(), ready: BTreeMap::new(), broken };
    let mut working = JoinSet::new();
    for Merchant { name, place, service, scope } in merchants {
        super::serve::tell_first_link(&service.state, Some(&name)).await;
        let routes = scope.over(http::router(service.state.clone()));
        let routes = match place.path.as_str() {
            "" => routes,
            path => Router::new().nest(path, routes),
        };
        table.merchants.push((place, routes));
        table.ready.insert(name.clone(), service.state.readiness.clone());
        let work = scope.around(Box::pin(service.run(stopping.clone())));
        working.spawn(async move { (name, work.await) });
    }
    let routes = Router::new()
        .route("/livez", get(async || axum::Json(json!({ "live": true }))))
        .route("/readyz", get(ready))
        .fallback(dispatch)
        .with_state(Arc::new(table))
        .into_make_service_with_connect_info::<SocketAddr>();
    let closed = closing.clone();
    let routes = axum::serve(listener, routes)
        .with_graceful_shutdown(async move { closed.cancelled().await });
    let mut routes = tokio::spawn(async move { routes.await });
    let mut stop = std::pin::pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => break,
            ended = &mut routes => ended.context("serve")?.context("serve")?,
            // Only a store that refuses ends one before it is told to. The others go on.
            Some(Ok((merchant, ended))) = working.join_next() => {
                tracing::error!(merchant, ?ended, "this merchant has stopped: restart");
            }
        }
    }
    closing.cancel();
    stopping.cancel();
    drop(tokio::time::timeout(LAST_CALL, &mut routes).await);
    routes.abort();
    while let Some(ended) = working.join_next().await {
        let (merchant, ended) = ended.context("stop the workers")?;
        ended.with_context(|| format!("make the store of {merchant} durable"))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Every file of the folder, put together; and the names of those that could not be.
async fn open_all(
    dir: &Path,
    test_clock: Option<Timestamp>,
) -> anyhow::Result<(Vec<Merchant>, Vec<String>)> {
    let (mut merchants, mut broken): (Vec<Merchant>, _) = (Vec::new(), Vec::new());
    let mut stores = BTreeMap::new();
    for path in files(dir)? {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let opened = async {
            let (config, place) = read(&path)?;
            let taken = merchants.iter().find(|merchant| merchant.place == place);
            if let Some(Merchant { name: other, .. }) = taken {
                bail!("use its public_url: {other} has the same");
            }
            let url = compose::store_url(&config);
            if let Some(other) =
                stores.insert(url.clone(), name.clone()).filter(|_| url != "memory:")
            {
                bail!("open the store {url}: {other} names the same");
            }
            open(name.clone(), config, (place, url), test_clock).await
        };
        match opened.await {
            Ok(merchant) => merchants.push(merchant),
            Err(error) => {
                let error = format!("{error:#}");
                tracing::error!(merchant = name, error, "this merchant is not served");
                broken.push(name);
            }
        }
    }
    ensure!(!merchants.is_empty(), "serve {}: no file of it can be used", dir.display());
    Ok((merchants, broken))
}

/// The merchant files of a folder, by their names.
fn files(dir: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = dir.read_dir().with_context(|| format!("read the folder {}", dir.display()))?;
    let mut files: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|end| end == "toml"))
        .collect();
    files.sort();
    Ok(files)
}

fn read(path: &Path) -> anyhow::Result<(Config, Place)> {
    let mut around = Surroundings::of_process(Vec::new());
    around.env.retain(|name, _| !name.starts_with(LAID_OVER));
    let config = Config::load(Some(path), &around);
    let config = config.map_err(|problems| anyhow::anyhow!("read the file\n{problems}"))?;
    let place = Place::of(&config.merchant.public_url)?;
    Ok((config, place))
}

async fn open(
    name: String,
    config: Config,
    (place, store): (Place, String),
    test_clock: Option<Timestamp>,
) -> anyhow::Result<Merchant> {
    let store = open_store_with(&store, compose::store_options(&config)).await?;
    if config.mode == Mode::Shadow {
        super::live::refuse_cases_at_work(&*store).await?;
    }
    let clock = match test_clock {
        Some(start) => {
            let remembered = store.test_clock().await.context("read the test clock")?;
            Clock::test(remembered.map_or(start, |at| at.max(start)))
        }
        None => Clock::System,
    };
    let scope = Scope::of_merchant(&name);
    let mut service = compose::compose(&config, store, clock, scope.render()).await?;
    service.worker = service.worker.within(scope.clone());
    Ok(Merchant { name, place, service, scope })
}

impl Place {
    fn of(public_url: &str) -> anyhow::Result<Self> {
        let url = Url::parse(public_url).context("read merchant.public_url")?;
        let host = url.host_str().context("find a host in merchant.public_url")?.to_owned();
        Ok(Self { host, path: url.path().trim_end_matches('/').to_owned() })
    }

    fn is_at(&self, host: &str, path: &str) -> bool {
        let rest = path.strip_prefix(self.path.as_str());
        self.host.eq_ignore_ascii_case(host)
            && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

/// Hands a request to the merchant whose address it is: of several, the one with the longest path.
async fn dispatch(State(table): State<Arc<Table>>, request: Request) -> Response {
    let named = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let named = named.or_else(|| request.uri().host()).unwrap_or_default();
    let host = match named.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => named,
    };
    let path = request.uri().path();
    let at = table.merchants.iter().filter(|(place, _)| place.is_at(host, path));
    match at.max_by_key(|(place, _)| place.path.len()) {
        Some((_, routes)) => match routes.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        },
        None => {
            let (status, why) = (StatusCode::NOT_FOUND, "no merchant has this address");
            Problem::new(status, "not_found", why).into_response()
        }
    }
}

/// Ready while one is: a merchant that is not must not take the others from the world. Those that
/// are not are named.
async fn ready(State(table): State<Arc<Table>>) -> Response {
    let down = table.ready.iter().filter(|(_, readiness)| readiness.reason().is_some());
    let down: Vec<_> = down.map(|(name, _)| name.clone()).collect();
    let any = down.len() < table.ready.len();
    let body = json!({ "ready": any, "not_ready": down, "broken": table.broken });
    let status = if any { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, axum::Json(body)).into_response()
}

/// Starts logging and runs.
pub(super) fn run(
    dir: &Path,
    listen: &str,
    test_clock: Option<Timestamp>,
) -> anyhow::Result<ExitCode> {
    let _until_the_end = super::tell::start()?;
    let runtime = tokio::runtime::Runtime::new().context("start the runtime")?;
    runtime.block_on(serve(dir, (listen, test_clock), super::serve::asked_to_stop()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_and_a_path() {
        let place = |url: &str| Place::of(url).unwrap();
        assert_eq!(place("https://pay.a.example"), place("https://pay.a.example/"));
        let b = place("https://pay.example:8443/b");
        assert!(b.is_at("PAY.example", "/b") && b.is_at("pay.example", "/b/pay/x"));
        assert!(!b.is_at("pay.example", "/bc") && !b.is_at("pay.example", "/"));
        assert!(!b.is_at("evil.example", "/b"));
    }
}
