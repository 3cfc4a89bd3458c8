//! Passwords: argon2id, off the threads that answer requests.
//!
//! Why here: one hash takes tens of milliseconds and 19 MiB by intent; on a thread of the runtime
//! it would hold up webhooks.
//!
//! What must stay true: at most two are computed at a time, and whoever would wait long is told to
//! come back; an account that does not exist takes as long as a wrong password; no password is in
//! an error, a log or `Debug`.

use std::sync::Arc;
use std::time::Duration;

use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::Semaphore;

/// Memory in KiB, passes, lanes: what OWASP asks for of argon2id.
const COST: (u32, u32, u32) = (19_456, 2, 1);
/// Hashes at the same time.
const AT_ONCE: usize = 2;
/// How long somebody waits for a turn.
const PATIENCE: Duration = Duration::from_secs(5);
/// Shortest password.
const SHORTEST: usize = 12;
/// Longest.
const LONGEST: usize = 256;

/// Computes and compares passwords.
#[derive(Clone)]
pub(in crate::http) struct Passwords(Arc<Semaphore>);

/// Too many passwords are being computed, or the machine has no memory left for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) struct Busy;

impl Default for Passwords {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(AT_ONCE)))
    }
}

/// What is wrong with a new password of the account with this address.
pub(in crate::http) fn check_new(password: &str, email: &str) -> Result<(), &'static str> {
    match password.chars().count() {
        ..SHORTEST => Err("A password has at least 12 characters."),
        SHORTEST..=LONGEST if password.eq_ignore_ascii_case(email) => {
            Err("The address is no password.")
        }
        SHORTEST..=LONGEST => Ok(()),
        _ => Err("A password has at most 256 characters."),
    }
}

impl Passwords {
    /// What is stored of a password, a PHC string; `salt` is random.
    pub(in crate::http) async fn hash(
        &self,
        password: SecretString,
        salt: [u8; 16],
    ) -> Result<String, Busy> {
        let hashed = self.compute(move || {
            let hash = argon().hash_password_with_salt(password.expose_secret().as_bytes(), &salt);
            hash.ok().map(|hash| hash.to_string())
        });
        hashed.await?.ok_or(Busy)
    }

    /// Whether it is the password of which `stored` was kept. Without one it takes as long.
    pub(in crate::http) async fn is(
        &self,
        password: SecretString,
        stored: Option<String>,
    ) -> Result<bool, Busy> {
        self.compute(move || {
            let password = password.expose_secret().as_bytes();
            match stored {
                Some(stored) => argon().verify_password(password, stored.as_str()).is_ok(),
                None => {
                    let _ = argon().hash_password_with_salt(password, b"no such account.");
                    false
                }
            }
        })
        .await
    }

    async fn compute<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Busy> {
        let turn = tokio::time::timeout(PATIENCE, self.0.clone().acquire_owned()).await;
        let turn = turn.map_err(|_| Busy)?.map_err(|_| Busy)?;
        let work = tokio::task::spawn_blocking(move || {
            // Held until it is computed, also where whoever asked has gone.
            let _turn = turn;
            work()
        });
        work.await.map_err(|_| Busy)
    }
}

fn argon() -> Argon2<'static> {
    let (memory, passes, lanes) = COST;
    let params = Params::new(memory, passes, lanes, None).unwrap_or_default();
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_is_known_again_and_no_other() {
        let passwords = Passwords::default();
        let kept = passwords.hash("correct horse battery".into(), [7; 16]).await.unwrap();
        assert!(kept.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{kept}");
        assert!(!kept.contains("horse"), "{kept}");
        let is = async |given: &str, kept: Option<&str>| {
            passwords.is(given.into(), kept.map(str::to_owned)).await.unwrap()
        };
        assert!(is("correct horse battery", Some(&kept)).await);
        assert!(!is("correct horse batterY", Some(&kept)).await);
        assert!(!is("correct horse battery", None).await);
        for damaged in ["", "$argon2id$v=19$m=19456,t=2,p=1$", "plain", "$argon2id$v=19$$$"] {
            assert!(!is("", Some(damaged)).await, "{damaged}");
        }
    }

    #[test]
    fn a_new_password_is_long_enough() {
        let check = |password: &str| check_new(password, "ana@company.example");
        assert!(check("elevenchars").is_err() && check("twelve chars").is_ok());
        assert!(check(&"x".repeat(257)).is_err() && check("Ana@company.example").is_err());
    }
}
