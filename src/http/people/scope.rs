//! What a program's token opens.
//!
//! What must stay true: a scope that only reads the metrics gives no role at all.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::core::access::Role;
use crate::core::schema::one_of;

/// What a token of the API opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// `/metrics`, and nothing else.
    Metrics,
    /// What a viewer may.
    Read,
    /// What support may.
    Write,
    /// What an admin may, and the metrics.
    Admin,
}

one_of! {
    "Scope" Scope { Metrics, Read, Write, Admin }
}

/// A name of no scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it must be one of: metrics, read, write, admin")]
pub struct NoSuchScope;

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 4] = [Self::Metrics, Self::Read, Self::Write, Self::Admin];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Metrics => "metrics",
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }

    /// The least scope of a token that may do what this role may.
    pub fn of(role: Role) -> Self {
        match role {
            Role::Viewer => Self::Read,
            Role::Support => Self::Write,
            Role::Admin => Self::Admin,
        }
    }

    /// The role whose deeds it allows.
    pub fn role(self) -> Option<Role> {
        match self {
            Self::Metrics => None,
            Self::Read => Some(Role::Viewer),
            Self::Write => Some(Role::Support),
            Self::Admin => Some(Role::Admin),
        }
    }

    /// Whether it opens the metrics.
    pub fn opens_metrics(self) -> bool {
        matches!(self, Self::Metrics | Self::Admin)
    }
}

impl FromStr for Scope {
    type Err = NoSuchScope;

    fn from_str(name: &str) -> Result<Self, NoSuchScope> {
        let found = Self::ALL.into_iter().find(|scope| scope.as_str() == name);
        found.ok_or(NoSuchScope)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_has_its_scope() {
        for role in Role::ALL {
            assert_eq!(Scope::of(role).role(), Some(role));
        }
        for scope in Scope::ALL {
            assert_eq!(scope.as_str().parse(), Ok(scope));
        }
        assert!(Scope::Metrics.role().is_none() && !Scope::Write.opens_metrics());
        assert!("".parse::<Scope>().is_err());
    }
}
