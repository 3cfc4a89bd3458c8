//! Which store a command works on, and how it is opened.
//!
//! Why here: only `cli` names concrete stores. Everything behind it sees the trait.
//!
//! What must stay true: flag > environment > merchant file > `sled:data/recoup`; a URL, which may
//! hold a password, is never shown.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use jiff::Timestamp;

use crate::clock::real_now;
use crate::store::memory::MemoryStore;
use crate::store::postgres::{OpenOptions, PostgresStore};
use crate::store::sled::SledStore;
use crate::store::{Restoring, Store, StoreError};

/// Where the store is when nobody says otherwise.
const DEFAULT_URL: &str = "sled:data/recoup";

/// The merchant file when nobody says otherwise.
const DEFAULT_CONFIG: &str = "recoup.toml";

/// The store that a command works on.
#[derive(Debug, clap::Args)]
pub(crate) struct StoreArgs {
    /// The merchant file that names the store.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The store itself: `sled:PATH`, `postgres://USER@HOST/DATABASE`, or `memory:`.
    #[arg(long, value_name = "URL", env = "RECOUP__STORE__URL", hide_env_values = true)]
    store: Option<String>,
}

impl StoreArgs {
    /// The URL of the store.
    pub(crate) fn url(&self) -> anyhow::Result<String> {
        if let Some(url) = &self.store {
            return Ok(url.clone());
        }
        let default = Path::new(DEFAULT_CONFIG);
        let file = match &self.config {
            Some(file) => file,
            None if default.exists() => default,
            None => return Ok(DEFAULT_URL.to_owned()),
        };
        Ok(url_in(file)?.unwrap_or_else(|| DEFAULT_URL.to_owned()))
    }

    /// Opens the store. One that is to be read must be there already.
    pub(crate) async fn open_existing(&self) -> anyhow::Result<Arc<dyn Store>> {
        open_existing(&self.url()?).await
    }

    /// Opens the store, and makes it where there is none.
    pub(crate) async fn open(&self) -> anyhow::Result<Arc<dyn Store>> {
        open_store(&self.url()?).await
    }
}

fn url_in(file: &Path) -> anyhow::Result<Option<String>> {
    let shown = file.display();
    let text = std::fs::read_to_string(file).with_context(|| format!("read {shown}"))?;
    let table: toml::Table = text.parse().with_context(|| format!("read {shown}"))?;
    let url = table.get("store").and_then(|store| store.get("url"));
    Ok(url.and_then(toml::Value::as_str).map(str::to_owned))
}

/// Opens a store that must be there already.
pub(crate) async fn open_existing(url: &str) -> anyhow::Result<Arc<dyn Store>> {
    if let Some(path) = url.strip_prefix("sled:")
        && !Path::new(path).join("db").exists()
    {
        anyhow::bail!("open the store at {path}: there is none; name it with --store sled:PATH");
    }
    open_store(url).await
}

/// Opens the store at a URL of the merchant file.
pub(crate) async fn open_store(url: &str) -> anyhow::Result<Arc<dyn Store>> {
    open_store_with(url, OpenOptions::default()).await
}

/// The same, with what the merchant file says of a database.
pub(crate) async fn open_store_with(
    url: &str,
    options: OpenOptions,
) -> anyhow::Result<Arc<dyn Store>> {
    match url.split_once(':') {
        Some(("postgres" | "postgresql", rest)) if rest.starts_with("//") => {
            Ok(Arc::new(PostgresStore::open_with(url, options).await?))
        }
        Some(("sled", path)) if !path.is_empty() => {
            let store = SledStore::open(Path::new(path))?;
            date_restoring(&store).await?;
            Ok(Arc::new(store))
        }
        Some(("memory", "")) => Ok(Arc::new(MemoryStore::new(draw_link_key()?))),
        _ => anyhow::bail!(
            "open the store: its URL is `sled:PATH`, `postgres://USER@HOST/DATABASE` or `memory:`"
        ),
    }
}

/// A store that found itself to be an older copy does not know the time.
async fn date_restoring(store: &dyn Store) -> Result<(), StoreError> {
    let undated = store.restored().await?.is_some_and(|one| one.at == Timestamp::MAX);
    if undated {
        store.put_restored(Restoring { at: real_now(), is_over: false }).await?;
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "a store in memory has a link key of its own, too")]
fn draw_link_key() -> anyhow::Result<[u8; 32]> {
    let mut key = [0; 32];
    getrandom::fill(&mut key).context("draw a link key")?;
    Ok(key)
}

/// Runs a command's future to its end.
pub(crate) fn block_on<T>(future: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("start the runtime")?.block_on(future)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flag_wins_over_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("recoup.toml");
        std::fs::write(&file, "[store]\nurl = \"sled:from/file\"\n").unwrap();
        let args = |store: Option<&str>| StoreArgs {
            config: Some(file.clone()),
            store: store.map(str::to_owned),
        };
        assert_eq!(args(Some("sled:from/flag")).url().unwrap(), "sled:from/flag");
        assert_eq!(args(None).url().unwrap(), "sled:from/file");
        std::fs::write(&file, "[merchant]\n").unwrap();
        assert_eq!(args(None).url().unwrap(), DEFAULT_URL);
    }

    #[tokio::test]
    async fn what_is_no_store_is_refused() {
        for url in ["", "sled:", "sled", "data/recoup", "redis://x", "postgres:x"] {
            assert!(open_store(url).await.is_err(), "{url}");
        }
    }
}
