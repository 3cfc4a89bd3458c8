//! People and programs: who asks, what each may do, and what they did.
//!
//! Why here: the dashboard and the API ask the same three questions (who is it, may they, note it),
//! and this room answers them for both.
//!
//! What must stay true: of passwords, sessions, tokens and links only digests are stored; a session
//! is looked up with its person on every request, so it ends with the person at once; whoever is
//! not known may do nothing.

use sha2::{Digest as _, Sha256};

use scope::Scope;

use super::Problem;
use super::problem::FieldError;
use crate::core::access::Role;
use crate::core::schema::one_of;

pub(super) mod audit;
mod jwt;
pub(super) mod oidc;
pub(super) mod password;
pub(super) mod rule;
pub(super) mod scope;
pub(super) mod sessions;
pub(super) mod throttle;
pub(super) mod tokens;
pub(super) mod users;

/// What kind of caller somebody is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    /// Whoever holds the admin token of the merchant file, or the store itself.
    AdminToken,
    /// Nobody who is known: a sign-in that was refused.
    Nobody,
    /// A person who signed in.
    Person,
    /// A program with a token of the API.
    Token,
}

one_of! {
    "CallerKind" Kind { AdminToken, Nobody, Person, Token }
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Who {
    pub(super) kind: Kind,
    /// A person's address, a token's name, or `admin token`.
    pub(super) name: String,
    /// What they may do; none: only read the metrics.
    pub(super) role: Option<Role>,
    /// Whether they may read the metrics.
    pub(super) metrics: bool,
}

impl Who {
    /// Whoever holds the admin token.
    pub(super) fn root() -> Self {
        let name = "admin token".to_owned();
        Self { kind: Kind::AdminToken, name, role: Some(Role::Admin), metrics: true }
    }

    /// A program with these scopes.
    fn program(name: String, scopes: &[Scope]) -> Self {
        let role = scopes.iter().filter_map(|scope| scope.role()).max();
        let metrics = scopes.iter().any(|scope| scope.opens_metrics());
        Self { kind: Kind::Token, name, role, metrics }
    }

    /// Whether they may do what needs this role.
    pub(super) fn may(&self, needed: Role) -> bool {
        self.role.is_some_and(|role| role >= needed)
    }
}

/// The digest under which a secret is stored.
fn print_of(secret: &str) -> String {
    hex::encode(Sha256::digest(secret))
}

/// A new secret: 256 random bits.
#[expect(clippy::disallowed_methods, reason = "sessions, links and tokens must not be guessed")]
pub(super) fn draw() -> Result<String, Problem> {
    let mut bytes = [0; 32];
    match getrandom::fill(&mut bytes) {
        Ok(()) => Ok(hex::encode(bytes)),
        Err(error) => {
            tracing::error!(%error, "no randomness");
            let status = axum::http::StatusCode::INTERNAL_SERVER_ERROR;
            Err(Problem::new(status, "internal", "the machine gives no randomness"))
        }
    }
}

/// A field that does not fit.
fn wrong(pointer: &str, detail: impl Into<String>) -> Problem {
    let (pointer, detail) = (pointer.to_owned(), detail.into());
    Problem::fields(vec![FieldError { pointer, detail }])
}
