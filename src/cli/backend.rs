//! The backend: what the commands about cases ask.
//!
//! Why here: a store has one process at a time. While the service runs, these commands ask it over
//! its API; while none runs, they open the store themselves and ask the same routes, in this
//! process. So there is one code path, and a command looks the same either way.
//!
//! What must stay true: nothing is charged or sent from here: without a service an action is only
//! kept, and is applied when one runs; the admin token is in no message.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderValue, Method, Request, header};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use tower::ServiceExt as _;
use url::Url;

use super::compose;
use super::open::{block_on, open_existing};
use super::show::Zone;
use crate::clock::Clock;
use crate::config::{Config, StoreUrl, Surroundings, locate};
use crate::http;
use crate::store::{Store, StoreError};

/// How long a service may take to accept a connection.
const CONNECT_TIME: Duration = Duration::from_secs(3);
/// How long it may take to answer: a little more than it allows itself.
const ANSWER_TIME: Duration = Duration::from_secs(35);
/// How long a comparison with the gateways, or a report over all cases, may take.
const LONG_ANSWER_TIME: Duration = Duration::from_secs(600);
/// Longest answer that is read: a list of a hundred cases with all their attempts.
const MAX_ANSWER: usize = 64 * 1024 * 1024;
/// Where the routes in this process seem to be.
const HERE: &str = "http://store.invalid";
/// The token of the routes in this process; nobody else can reach them.
const HERE_TOKEN: &str = "in this process";
/// What these commands call themselves: the audit list says by it that a command did it.
const AGENT: &str = concat!("recoup/", env!("CARGO_PKG_VERSION"));
/// Holds the admin token where there is no merchant file.
const TOKEN_ENV: &str = "RECOUP_ADMIN_TOKEN";

/// Which service, or which store.
#[derive(Debug, clap::Args)]
pub(super) struct BackendArgs {
    /// The merchant file [default: recoup.toml, where there is one].
    #[arg(long, short, value_name = "FILE", env = "RECOUP_CONFIG")]
    config: Option<PathBuf>,
    /// Ask the service at this address; `public` is merchant.public_url.
    /// [default: server.listen; where nothing listens, the store itself]
    #[arg(long, value_name = "URL")]
    url: Option<String>,
}

impl BackendArgs {
    /// The merchant file that was asked for.
    pub(super) fn config(&self) -> Option<PathBuf> {
        self.config.clone()
    }
}

/// What answers.
pub(super) struct Backend {
    side: Side,
    base: Url,
    token: Option<SecretString>,
    zone: Zone,
}

enum Side {
    Service(reqwest::Client),
    Store(Router, Arc<dyn Store>),
}

/// Where to ask, and with what.
struct Target {
    base: Option<Url>,
    token: Option<SecretString>,
    zone: Zone,
    config: Option<Config>,
}

/// What was asked for is not there, or was refused.
#[derive(Debug, thiserror::Error)]
#[error("{detail} ({code})")]
struct Refused {
    status: u16,
    code: String,
    detail: String,
}

/// Connects, runs `work`, and lets go of the store again.
pub(super) fn run<T>(
    args: &BackendArgs,
    work: impl AsyncFnOnce(&Backend) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    block_on(async {
        let backend = Backend::connect(args).await?;
        let done = work(&backend).await;
        backend.close().await?;
        done
    })
}

impl Backend {
    /// The running service, else the store.
    async fn connect(args: &BackendArgs) -> anyhow::Result<Self> {
        let Target { base, token, zone, config } = target(args)?;
        if let Some(base) = base {
            let client = client(&base)?;
            let alive = client.get(join(&base, &["livez"])).timeout(ANSWER_TIME);
            match alive.send().await {
                Ok(_) => return Ok(Self { side: Side::Service(client), base, token, zone }),
                Err(error) if error.is_connect() && args.url.is_none() => {}
                Err(error) => return Err(unreachable(&base, error)),
            }
        }
        let config = config.context("read the merchant file")?;
        let (router, store) = routes_here(&config).await?;
        let (base, token) = (Url::parse(HERE)?, Some(SecretString::from(HERE_TOKEN)));
        Ok(Self { side: Side::Store(router, store), base, token, zone })
    }

    /// The zone that times are shown in.
    pub(super) fn zone(&self) -> &Zone {
        &self.zone
    }

    /// Whether an action is applied now. Without a service it is kept until one runs.
    pub(super) fn applies(&self) -> bool {
        matches!(self.side, Side::Service(_))
    }

    /// A GET of `/api/v1/{path}`.
    pub(super) async fn get(&self, path: &[&str], query: &[(&str, &str)]) -> anyhow::Result<Value> {
        self.ask(Method::GET, self.query(path, query), None, ANSWER_TIME).await
    }

    /// The same, for what takes as long as every case takes to read.
    pub(super) async fn read_patiently(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> anyhow::Result<Value> {
        self.ask(Method::GET, self.query(path, query), None, LONG_ANSWER_TIME).await
    }

    /// The same, of an answer that is a file and no JSON.
    pub(super) async fn file(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> anyhow::Result<String> {
        let (status, bytes) =
            self.send(Method::GET, self.query(path, query), None, LONG_ANSWER_TIME).await?;
        match status {
            200..300 => String::from_utf8(bytes).context("read the file that was answered"),
            _ => self.read(status, &bytes).map(|json| json.to_string()),
        }
    }

    /// The same; none where there is no such thing.
    pub(super) async fn find(&self, path: &[&str]) -> anyhow::Result<Option<Value>> {
        match self.get(path, &[]).await {
            Ok(found) => Ok(Some(found)),
            Err(error) => match error.downcast_ref::<Refused>() {
                Some(refused) if refused.status == 404 => Ok(None),
                _ => Err(error),
            },
        }
    }

    /// A POST to `/api/v1/{path}`.
    pub(super) async fn post(&self, path: &[&str], body: &Value) -> anyhow::Result<Value> {
        self.ask(Method::POST, self.api(path), Some(body.to_string()), ANSWER_TIME).await
    }

    /// The same, with a query.
    pub(super) async fn ask_with(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
        body: &Value,
    ) -> anyhow::Result<Value> {
        let body = Some(body.to_string());
        self.ask(Method::POST, self.query(path, query), body, LONG_ANSWER_TIME).await
    }

    /// A POST of a text that is JSON already.
    pub(super) async fn post_text(&self, path: &[&str], text: String) -> anyhow::Result<Value> {
        self.ask(Method::POST, self.api(path), Some(text), ANSWER_TIME).await
    }

    /// A PUT of a text that is JSON already.
    pub(super) async fn put_text(&self, path: &[&str], text: String) -> anyhow::Result<Value> {
        self.ask(Method::PUT, self.api(path), Some(text), ANSWER_TIME).await
    }

    /// A DELETE of `/api/v1/{path}`.
    pub(super) async fn delete(&self, path: &[&str]) -> anyhow::Result<Value> {
        self.ask(Method::DELETE, self.api(path), None, ANSWER_TIME).await
    }

    /// The same, for what takes as long as gateways take to tell what they know.
    pub(super) async fn post_patiently(
        &self,
        path: &[&str],
        body: &Value,
    ) -> anyhow::Result<Value> {
        self.ask(Method::POST, self.api(path), Some(body.to_string()), LONG_ANSWER_TIME).await
    }

    /// Lets go of the store.
    async fn close(&self) -> anyhow::Result<()> {
        match &self.side {
            Side::Service(_) => Ok(()),
            Side::Store(_, store) => store.close().await.context("close the store"),
        }
    }

    fn query(&self, path: &[&str], query: &[(&str, &str)]) -> Url {
        let mut url = self.api(path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    fn api(&self, path: &[&str]) -> Url {
        join(&self.base, &[&["api", "v1"], path].concat())
    }

    async fn ask(
        &self,
        method: Method,
        url: Url,
        body: Option<String>,
        patience: Duration,
    ) -> anyhow::Result<Value> {
        let (status, bytes) = self.send(method, url, body, patience).await?;
        self.read(status, &bytes)
    }

    async fn send(
        &self,
        method: Method,
        url: Url,
        body: Option<String>,
        patience: Duration,
    ) -> anyhow::Result<(u16, Vec<u8>)> {
        let mut request = Request::builder().method(method).header(header::USER_AGENT, AGENT);
        if let Some(token) = &self.token {
            let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose_secret()))
                .context("use the admin token: it has characters that no header can hold")?;
            value.set_sensitive(true);
            request = request.header(header::AUTHORIZATION, value);
        }
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        Ok(match &self.side {
            Side::Service(client) => {
                let request = request.uri(url.as_str()).body(body.unwrap_or_default())?;
                let mut request: reqwest::Request = request.try_into()?;
                *request.timeout_mut() = Some(patience);
                let answer = client.execute(request).await;
                let answer = answer.map_err(|error| unreachable(&self.base, error))?;
                (answer.status().as_u16(), answer.bytes().await?.to_vec())
            }
            Side::Store(router, _) => {
                let request =
                    request.uri(url.as_str()).body(Body::from(body.unwrap_or_default()))?;
                let answer = router.clone().oneshot(request).await?;
                let status = answer.status().as_u16();
                (status, to_bytes(answer.into_body(), MAX_ANSWER).await?.to_vec())
            }
        })
    }

    fn read(&self, status: u16, bytes: &[u8]) -> anyhow::Result<Value> {
        let base = self.base.as_str().trim_end_matches('/');
        let Ok(body) = serde_json::from_slice::<Value>(bytes) else {
            bail!(
                "ask the service at {base}: what answers there ({status}) is not recoup; give the \
                 service's address with --url"
            );
        };
        if (200..300).contains(&status) {
            return Ok(body);
        }
        let text = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default();
        let refused = Refused {
            status,
            code: text("code").to_owned(),
            detail: detail(status, text("detail"), &body),
        };
        Err(anyhow::Error::new(refused).context(format!("ask the service at {base}")))
    }
}

/// What the service said, and what to do about it where it cannot know.
fn detail(status: u16, said: &str, body: &Value) -> String {
    if status == 401 {
        return format!(
            "it refused the admin token: set `admin_token` under `[server]` in the merchant file \
             (or {TOKEN_ENV}, where there is no file) to the one that the service was started with"
        );
    }
    let fields = body.get("errors").and_then(Value::as_array).into_iter().flatten();
    let fields = fields.filter_map(|error| {
        let name = error.get("pointer")?.as_str()?.trim_start_matches('/');
        Some(format!("{name}: {}", error.get("detail")?.as_str()?))
    });
    [said.to_owned()].into_iter().chain(fields).collect::<Vec<_>>().join("; ")
}

/// Without a merchant file an address and a token in the environment are enough.
fn target(args: &BackendArgs) -> anyhow::Result<Target> {
    let path = locate(args.config.clone());
    let address = args.url.as_deref().filter(|url| *url != "public");
    if let (None, Some(address)) = (&path, address) {
        let token = std::env::var(TOKEN_ENV).ok().filter(|token| !token.is_empty());
        let token = token.map(SecretString::from);
        let base = Some(parse_address(address)?);
        return Ok(Target { base, token, zone: Zone::of("UTC"), config: None });
    }
    let config = Config::load(path.as_deref(), &Surroundings::of_process(Vec::new()));
    let config =
        config.map_err(|problems| anyhow::anyhow!("read the merchant file\n{problems}"))?;
    let base = match &args.url {
        Some(url) if url == "public" => Some(parse_address(&config.merchant.public_url)?),
        Some(url) => Some(parse_address(url)?),
        None => listening_at(&config.server.listen),
    };
    let token = config.server.admin_token.as_ref().map(|token| token.get().clone());
    let zone = Zone::of(&config.merchant.time_zone);
    Ok(Target { base, token, zone, config: Some(config) })
}

fn parse_address(address: &str) -> anyhow::Result<Url> {
    let url = Url::parse(address).ok();
    let url = url.filter(|url| matches!(url.scheme(), "http" | "https"));
    url.with_context(|| {
        format!("read the address `{address}`: it reads https://pay.company.example, or `public`")
    })
}

/// Where this machine reaches a service that listens so. Port 0 tells nothing.
fn listening_at(listen: &str) -> Option<Url> {
    let (host, port) = listen.rsplit_once(':')?;
    let host = match host {
        "0.0.0.0" | "" => "127.0.0.1",
        "[::]" => "[::1]",
        host => host,
    };
    (port != "0").then(|| Url::parse(&format!("http://{host}:{port}")).ok())?
}

fn client(base: &Url) -> anyhow::Result<reqwest::Client> {
    // Another part of the program may have chosen a provider already; either will do.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = reqwest::Client::builder()
        .connect_timeout(CONNECT_TIME)
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(AGENT);
    let is_here = base.host().is_some_and(|host| match host {
        url::Host::Domain(name) => name == "localhost",
        url::Host::Ipv4(address) => address.is_loopback(),
        url::Host::Ipv6(address) => address.is_loopback(),
    });
    let builder = if is_here { builder.no_proxy() } else { builder };
    builder.build().context("set up the HTTP client")
}

fn join(base: &Url, segments: &[&str]) -> Url {
    let mut url = base.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(segments);
    }
    url
}

fn unreachable(base: &Url, error: reqwest::Error) -> anyhow::Error {
    let what = match &error {
        error if error.is_timeout() => "it does not answer in time",
        error if error.is_connect() => {
            "nothing answers there; is `recoup serve` running, and is this its address?"
        }
        _ => "the connection broke",
    };
    let at = base.as_str().trim_end_matches('/').to_owned();
    anyhow::anyhow!("ask the service at {at}: {what}")
}

/// The service's own routes over the store, without its worker: nothing is performed.
async fn routes_here(config: &Config) -> anyhow::Result<(Router, Arc<dyn Store>)> {
    let listen = &config.server.listen;
    if config.store.url == StoreUrl::Memory {
        bail!(
            "ask the service: nothing answers at {listen}, and a store in memory lives in its \
             service only; start `recoup serve`, or give its address with --url"
        );
    }
    let url = compose::store_url(config);
    let store = open_existing(&url).await.map_err(|error| no_store(error, listen, &url))?;
    let clock = match store.test_clock().await.context("read the test clock")? {
        Some(at) => Clock::test(at),
        None => Clock::System,
    };
    let metrics = Arc::new(String::new);
    let service = compose::compose(config, store.clone(), clock, metrics).await?;
    let mut state = service.state;
    state.admin_token = Some(SecretString::from(HERE_TOKEN));
    // The worker is dropped here: to wait for it is over at once.
    Ok((http::router(state), store))
}

fn no_store(error: anyhow::Error, listen: &str, url: &str) -> anyhow::Error {
    match error.downcast_ref::<StoreError>() {
        Some(StoreError::Locked { path }) => anyhow::anyhow!(
            "ask the service: nothing answers at {listen}, and another process holds the store at \
             {path}; if `recoup serve` listens elsewhere, give its address with --url"
        ),
        Some(_) => error,
        None => anyhow::anyhow!(
            "ask the service: nothing answers at {listen}, and there is no store at {url} yet; \
             start `recoup serve`, or name its merchant file with --config"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_on_all_addresses_is_asked_at_this_one() {
        for (listen, asked) in [
            ("127.0.0.1:8080", Some("http://127.0.0.1:8080/")),
            ("0.0.0.0:8080", Some("http://127.0.0.1:8080/")),
            ("[::]:8080", Some("http://[::1]:8080/")),
            ("localhost:8080", Some("http://localhost:8080/")),
            ("127.0.0.1:0", None),
        ] {
            assert_eq!(listening_at(listen).map(String::from).as_deref(), asked, "{listen}");
        }
    }

    #[test]
    fn an_id_stays_one_segment_of_the_path() {
        let base = Url::parse("https://pay.example/recoup/").unwrap();
        let url = join(&base, &["cases", "a/../b?c"]);
        assert_eq!(url.as_str(), "https://pay.example/recoup/cases/a%2F..%2Fb%3Fc");
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for address in ["pay.company.example", "ftp://x", ""] {
            assert!(parse_address(address).is_err(), "{address}");
        }
    }
}
