//! `[store]`: which store, and how a database is reached.
//!
//! What must stay true: no `Debug` shows a URL that may hold a password.

use std::fmt;
use std::path::PathBuf;

use serde::Deserialize;

/// `[store]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoreSettings {
    /// Which store, and where.
    pub url: StoreUrl,
    /// Of PostgreSQL: connections that reads share.
    pub connections: u16,
    /// Of PostgreSQL: seconds until a database that does not answer counts as away.
    pub patience_seconds: u16,
    /// Of PostgreSQL: seconds after which another process takes over from one that is silent.
    pub lease_seconds: u16,
}

/// Which store, and where.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum StoreUrl {
    /// Gone when the process ends.
    Memory,
    /// A database; the URL may hold a password.
    Postgres(String),
    /// The embedded store, in this folder.
    Sled(PathBuf),
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("Memory"),
            Self::Postgres(_) => f.write_str("Postgres(…)"),
            Self::Sled(path) => f.debug_tuple("Sled").field(path).finish(),
        }
    }
}

impl TryFrom<String> for StoreUrl {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("memory", _)) => Ok(Self::Memory),
            Some(("sled", path)) if !path.is_empty() => Ok(Self::Sled(path.into())),
            Some(("postgres" | "postgresql", rest)) if rest.starts_with("//") => {
                Ok(Self::Postgres(text))
            }
            _ => {
                Err("a store is `sled:FOLDER`, `postgres://USER@HOST/DATABASE` or `memory:`"
                    .to_owned())
            }
        }
    }
}
