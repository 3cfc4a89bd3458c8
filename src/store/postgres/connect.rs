//! Connections: where the database is, how it is reached, and what is set on every session.
//!
//! Why here: one place decides on TLS, time limits and what a failure of the database means.
//!
//! What must stay true:
//! - over a network the certificate is verified, unless the URL says `sslmode=disable`;
//! - no wait is without a limit, here and at the server: locks of a client that vanished go;
//! - the password stands in no message.

use std::collections::HashMap;
use std::str::FromStr as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{AsyncMessage, Client, Config, Row, Statement};

use super::tls::Tls;
use crate::store::StoreError;

/// What a session is told. A server that answers before its disk does is told not to.
const SESSION: &str = "SET statement_timeout = '10s'; SET lock_timeout = '5s';
    SET idle_in_transaction_session_timeout = '5s'; SET jit = off;
    SET client_min_messages = warning; SET TimeZone = 'UTC';
    SELECT set_config('synchronous_commit', 'on', false)
        FROM pg_settings WHERE name = 'synchronous_commit' AND setting = 'off'";

/// How a store in PostgreSQL is opened.
#[derive(Debug, Clone)]
pub struct OpenOptions {
    /// Connections that reads share; writes have a few of their own.
    pub connections: usize,
    /// How long anything may take, connecting included, before the database counts as away.
    pub patience: Duration,
    /// How long a process may be silent before another takes over its work.
    pub lease: Duration,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self { connections: 4, patience: Duration::from_secs(3), lease: Duration::from_secs(10) }
    }
}

/// Where the database is.
#[derive(Clone)]
pub(super) struct Place {
    config: Config,
    tls: Tls,
    shown: String,
    pub(super) options: OpenOptions,
}

impl Place {
    /// Reads a URL as `libpq` does, with `sslrootcert` for a certificate authority of one's own.
    pub(super) fn of(url: &str, options: OpenOptions) -> Result<Self, StoreError> {
        let (base, query) = url.split_once('?').unwrap_or((url, ""));
        let (mut kept, mut mode, mut root) = (Vec::new(), None, None);
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=') {
                Some(("sslmode", value)) => mode = Some(value.to_owned()),
                Some(("sslrootcert", value)) => root = Some(unescape(value)),
                _ => kept.push(pair),
            }
        }
        let plain =
            if kept.is_empty() { base.to_owned() } else { format!("{base}?{}", kept.join("&")) };
        let unusable = |why: String| StoreError::Unusable { path: shown(base), why };
        let mut config = Config::from_str(&plain)
            .map_err(|error| unusable(format!("its URL cannot be read: {error}")))?;
        let is_here = config.get_hosts().iter().all(is_here);
        config.ssl_mode(match mode.as_deref() {
            Some("disable") => SslMode::Disable,
            None | Some("prefer" | "allow") if is_here && root.is_none() => SslMode::Disable,
            None | Some("prefer" | "allow" | "require" | "verify-ca" | "verify-full") => {
                SslMode::Require
            }
            Some(other) => {
                let why =
                    format!("sslmode is `disable`, `require` or `verify-full`, not `{other}`");
                return Err(unusable(why));
            }
        });
        config.connect_timeout(options.patience).tcp_user_timeout(options.patience);
        config.keepalives_idle(Duration::from_secs(10));
        if config.get_application_name().is_none() {
            config.application_name("recoup");
        }
        let tls = Tls::new(root.as_deref()).map_err(unusable)?;
        Ok(Self { config, tls, shown: shown(base), options })
    }

    /// Where it is, without what is secret.
    pub(super) fn shown(&self) -> &str {
        &self.shown
    }

    /// A new session. `hear` is given what the server says unasked.
    pub(super) async fn connect(&self, hear: Option<Hear>) -> Result<Conn, StoreError> {
        let connecting = async {
            let (client, mut connection) = self.config.connect(self.tls.clone()).await?;
            tokio::spawn(async move {
                while let Some(Ok(message)) =
                    std::future::poll_fn(|context| connection.poll_message(context)).await
                {
                    if let (AsyncMessage::Notification(note), Some(hear)) = (message, &hear) {
                        hear(note.payload());
                    }
                }
            });
            client.batch_execute(SESSION).await?;
            Ok(Conn::new(client, self.options.patience))
        };
        match tokio::time::timeout(self.options.patience, connecting).await {
            Ok(connected) => connected.map_err(|error: tokio_postgres::Error| told(&error)),
            Err(_) => Err(away("it does not let us in in time")),
        }
    }
}

/// Takes the payload of a notification.
pub(super) type Hear = Box<dyn Fn(&str) + Send + Sync>;

fn is_here(host: &Host) -> bool {
    match host {
        Host::Tcp(name) => matches!(name.as_str(), "localhost" | "127.0.0.1" | "::1"),
        #[cfg(unix)]
        Host::Unix(_) => true,
    }
}

/// The URL without user and password.
fn shown(base: &str) -> String {
    match (base.split_once("://"), base.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, place))) => format!("{scheme}://{place}"),
        _ => base.to_owned(),
    }
}

fn unescape(text: &str) -> String {
    let pair = format!("k={text}");
    let first = url::form_urlencoded::parse(pair.as_bytes()).next();
    first.map(|(_, value)| value.into_owned()).unwrap_or_default()
}

pub(super) fn away(why: impl Into<String>) -> StoreError {
    StoreError::Away(why.into())
}

/// What an error of the database means: away for a while, full, or a defect.
pub(super) fn told(error: &tokio_postgres::Error) -> StoreError {
    let Some(db) = error.as_db_error() else {
        let why = chain(error);
        let is_ours =
            why.starts_with("error serializing") || why.starts_with("error deserializing");
        return if is_ours { StoreError::Refused(why) } else { away(why) };
    };
    let code = db.code();
    let passing = [
        SqlState::ADMIN_SHUTDOWN,
        SqlState::CRASH_SHUTDOWN,
        SqlState::CANNOT_CONNECT_NOW,
        SqlState::TOO_MANY_CONNECTIONS,
        SqlState::QUERY_CANCELED,
        SqlState::LOCK_NOT_AVAILABLE,
        SqlState::T_R_SERIALIZATION_FAILURE,
        SqlState::T_R_DEADLOCK_DETECTED,
        SqlState::READ_ONLY_SQL_TRANSACTION,
        SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
    ];
    // A row's own text may stand in the detail: only the message is told.
    let why = format!("{} ({})", db.message(), code.code());
    match code {
        code if passing.contains(code) || code.code().starts_with("08") => away(why),
        code if *code == SqlState::DISK_FULL => StoreError::Full(why),
        _ => StoreError::Refused(why),
    }
}

fn chain(error: &tokio_postgres::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        cause = inner.source();
    }
    text
}

/// What a statement is given.
pub(super) type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

/// One session.
pub(super) struct Conn {
    client: Client,
    statements: tokio::sync::Mutex<HashMap<&'static str, Statement>>,
    patience: Duration,
    broken: AtomicBool,
}

impl Conn {
    fn new(client: Client, patience: Duration) -> Self {
        let (statements, broken) = Default::default();
        Self { client, statements, patience, broken }
    }

    /// Whether it can be asked.
    pub(super) fn is_well(&self) -> bool {
        !self.client.is_closed() && !self.broken.load(Ordering::Relaxed)
    }

    /// The session itself.
    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// A statement, prepared once.
    pub(super) async fn statement(&self, sql: &'static str) -> Result<Statement, StoreError> {
        let mut known = self.statements.lock().await;
        if let Some(statement) = known.get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.limited(self.client.prepare(sql)).await?;
        known.insert(sql, statement.clone());
        Ok(statement)
    }

    pub(super) async fn query(
        &self,
        sql: &'static str,
        params: Params<'_>,
    ) -> Result<Vec<Row>, StoreError> {
        let statement = self.statement(sql).await?;
        self.limited(self.client.query(&statement, params)).await
    }

    pub(super) async fn execute(
        &self,
        sql: &'static str,
        params: Params<'_>,
    ) -> Result<u64, StoreError> {
        let statement = self.statement(sql).await?;
        self.limited(self.client.execute(&statement, params)).await
    }

    pub(super) async fn batch(&self, sql: &str) -> Result<(), StoreError> {
        self.limited(self.client.batch_execute(sql)).await
    }

    /// Waits so long and no longer. A session that was too slow, or that answered with an error in
    /// the middle of something, is not used again.
    pub(super) async fn limited<T>(
        &self,
        asking: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, StoreError> {
        let answer = match tokio::time::timeout(self.patience, asking).await {
            Ok(answer) => answer.map_err(|error| told(&error)),
            Err(_) => Err(away("it does not answer in time")),
        };
        if answer.is_err() {
            self.give_up();
        }
        answer
    }

    /// Not to be used again.
    pub(super) fn give_up(&self) {
        self.broken.store(true, Ordering::Relaxed);
    }
}

/// A place for one session, made when it is needed.
pub(super) struct Slot {
    place: Arc<Place>,
    held: tokio::sync::Mutex<Option<Arc<Conn>>>,
}

impl Slot {
    pub(super) fn new(place: Arc<Place>) -> Self {
        Self { place, held: tokio::sync::Mutex::default() }
    }

    pub(super) async fn get(&self) -> Result<Arc<Conn>, StoreError> {
        let mut held = self.held.lock().await;
        if let Some(conn) = held.as_ref().filter(|conn| conn.is_well()) {
            return Ok(conn.clone());
        }
        *held = None;
        let conn = Arc::new(self.place.connect(None).await?);
        *held = Some(conn.clone());
        Ok(conn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(url: &str) -> SslMode {
        Place::of(url, OpenOptions::default()).unwrap().config.get_ssl_mode()
    }

    #[test]
    fn over_a_network_it_is_tls_unless_the_url_says_otherwise() {
        for url in ["postgres://u:p@db.example/x", "postgres://u@db.example/x?sslmode=prefer"] {
            assert_eq!(mode(url), SslMode::Require, "{url}");
        }
        assert_eq!(mode("postgres://u@db.example/x?sslmode=disable"), SslMode::Disable);
        assert_eq!(mode("postgres://u@127.0.0.1/x?sslmode=verify-full"), SslMode::Require);
        for url in
            ["postgres://u@127.0.0.1/x", "postgres:///x?host=/run/db", "postgres://localhost"]
        {
            assert_eq!(mode(url), SslMode::Disable, "{url}");
        }
        assert!(Place::of("postgres://u@h/x?sslmode=no", OpenOptions::default()).is_err());
    }

    #[test]
    fn no_message_holds_the_password() {
        let place = Place::of("postgres://ana:s3cret@127.0.0.1:1/x", OpenOptions::default());
        assert_eq!(place.unwrap().shown(), "postgres://127.0.0.1:1/x");
        let wrong = Place::of("postgres://ana:s3cret@h/x?nonsense=s3cret", OpenOptions::default());
        let Err(error) = wrong else { panic!("an unknown parameter was taken") };
        assert!(!error.to_string().contains("s3cret"), "{error}");
    }
}
