//! Sections of a few keys.
//!
//! What must stay true: as in `schema`: every key here stands in `keys.rs` too.

use std::path::PathBuf;

use serde::Deserialize;

use super::secret::Secret;
use crate::core::access::Role;

/// `[access]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Access {
    /// Days after the failure from which access should be limited; absent: never.
    pub grace_days: Option<u32>,
    /// Signs the banner; without it there is none.
    pub banner_secret: Option<Secret>,
}

/// `[oidc]`: people sign in at a provider of the merchant's own.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenId {
    /// The provider's address, as its tokens name it.
    pub issuer: String,
    /// What the provider knows us by.
    pub client_id: String,
    /// What proves that it is us; a public client has none.
    pub client_secret: Option<Secret>,
    /// What the button says.
    #[serde(default = "provider")]
    pub name: String,
    /// The claim that roles go by.
    #[serde(default = "by_email")]
    pub claim: String,
    /// Who has which role: the first that fits.
    #[serde(default)]
    pub roles: Vec<OpenIdRole>,
}

/// One `[[oidc.roles]]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenIdRole {
    /// A value of the claim; `*` at its beginning stands for anything.
    pub value: String,
    /// The role of who has it.
    pub role: Role,
}

fn provider() -> String {
    "your provider".to_owned()
}

fn by_email() -> String {
    "email".to_owned()
}

/// `[backup]`: copies of the store while the service runs.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Backup {
    /// The folder that they go to.
    pub dir: PathBuf,
    /// Hours between two.
    #[serde(default = "daily")]
    pub every_hours: u32,
    /// How many are kept.
    #[serde(default = "a_week")]
    pub keep: u32,
}

fn daily() -> u32 {
    24
}

fn a_week() -> u32 {
    7
}
