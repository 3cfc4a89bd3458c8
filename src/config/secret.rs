//! Secrets of the merchant file.
//!
//! Why here: one type, so that no configuration that is printed for debugging can show one.
//!
//! What must stay true: a secret is wiped when it is dropped, and so is each copy that is made on
//! the way here.

use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Deserializer};

/// A secret as it is used: already read from the environment, a file or the merchant file.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// The secret, wrapped.
    pub fn get(&self) -> &SecretString {
        &self.0
    }

    /// The secret itself, to hand it to the one who needs it.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl From<Secret> for SecretString {
    fn from(secret: Secret) -> Self {
        secret.0
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(SecretString::from(text))
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Copied, not grown into: a buffer that is moved leaves its bytes behind.
        let text = Zeroizing::new(String::deserialize(deserializer)?);
        Ok(Self::from(text.as_str()))
    }
}
