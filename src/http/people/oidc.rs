//! OpenID Connect: people who sign in at the merchant's own provider.
//!
//! Why here: the authorization code flow with PKCE needs three requests and one signature; the
//! merchant file says which address or claim has which role.
//!
//! What must stay true: nobody comes in without a role of the merchant file; an address counts only
//! where the provider has verified it; an answer is taken once, by the browser that asked.

use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use reqwest::{Client, RequestBuilder};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use url::Url;

use super::jwt::{self, Bad, Keys};
use super::users::is_address;
use crate::core::access::Role;
use crate::gateway::reach::Reach;
use crate::gateway::signature::is_same;
use crate::gateway::wire::{self, BuildError, Timeouts};
use crate::http::link::sign;

/// How long what the provider says of itself is believed.
const FRESH: SignedDuration = SignedDuration::from_hours(1);
/// How soon its keys are asked for again when one is unknown.
const AGAIN: SignedDuration = SignedDuration::from_mins(1);
/// How far clocks may be apart.
const LEEWAY_S: i64 = 60;

/// Where people sign in, and who is who there.
#[derive(Debug, Clone)]
pub struct OidcSettings {
    /// The provider's address, as its tokens name it.
    pub issuer: String,
    /// What the provider knows us by.
    pub client_id: String,
    /// What proves that it is us; a public client has none.
    pub client_secret: Option<SecretString>,
    /// What the button says.
    pub name: String,
    /// The claim that roles go by.
    pub claim: String,
    /// Values of the claim, `*` for anything, with the role: the first that fits counts.
    pub roles: Vec<(String, Role)>,
}

/// A provider.
#[derive(Debug)]
pub struct Oidc {
    settings: OidcSettings,
    client: Client,
    known: Mutex<Option<Known>>,
}

/// What a provider says of itself.
#[derive(Debug, Clone)]
struct Known {
    about: About,
    keys: Keys,
    at: Timestamp,
}

#[derive(Debug, Clone, Deserialize)]
struct About {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Vec<String>,
}

#[derive(Deserialize)]
struct Tokens {
    id_token: String,
}

/// Why somebody does not come in this way.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(in crate::http) enum Why {
    /// Nothing that they could do.
    #[error("ask the provider: {0}")]
    Provider(String),
    /// What the provider says of them is not to be believed.
    #[error("believe the provider's word: {0}")]
    Untrusted(String),
    /// They are who they say, and nobody here.
    #[error("find a role for somebody who signed in at the provider")]
    NoRole,
}

/// Who somebody is at the provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::http) struct Person {
    /// Their address.
    pub(in crate::http) email: String,
    /// Their role here.
    pub(in crate::http) role: Role,
    /// Who they are there, whatever their address becomes.
    pub(in crate::http) subject: String,
}

/// The secrets of one sign-in, derived from what only its browser has.
pub(in crate::http) struct Attempt<'a> {
    /// The service's key.
    pub(in crate::http) key: &'a [u8],
    /// Random, in the browser's cookie.
    pub(in crate::http) state: &'a str,
    /// Where the provider leads back to.
    pub(in crate::http) back: &'a str,
}

impl Attempt<'_> {
    fn derived(&self, what: &str) -> String {
        hex::encode(sign(self.key, &format!("recoup:oidc:{what}:{}", self.state)))
    }
}

impl Oidc {
    /// A provider; nothing is asked of it yet.
    pub fn new(settings: OidcSettings) -> Result<Self, BuildError> {
        let client = wire::client(Timeouts::default())?;
        Ok(Self { settings, client, known: Mutex::default() })
    }

    /// What the button says.
    pub(in crate::http) fn name(&self) -> &str {
        &self.settings.name
    }

    /// Where the browser is sent to.
    pub(in crate::http) async fn begin(
        &self,
        attempt: &Attempt<'_>,
        now: Timestamp,
    ) -> Result<String, Why> {
        let known = self.known(now).await?;
        let mut url = self.address(&known.about.authorization_endpoint)?;
        let challenge = Sha256::digest(attempt.derived("verifier"));
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.settings.client_id)
            .append_pair("redirect_uri", attempt.back)
            .append_pair("scope", "openid email profile")
            .append_pair("state", attempt.state)
            .append_pair("nonce", &attempt.derived("nonce"))
            .append_pair("code_challenge", &URL_SAFE_NO_PAD.encode(challenge))
            .append_pair("code_challenge_method", "S256");
        Ok(url.into())
    }

    /// Who somebody is that the provider sent back with this code.
    pub(in crate::http) async fn finish(
        &self,
        attempt: &Attempt<'_>,
        code: &str,
        now: Timestamp,
    ) -> Result<Person, Why> {
        let known = self.known(now).await?;
        let token = self.redeem(&known.about, attempt, code).await?;
        let claims = match jwt::verify(&token, &known.keys) {
            // It may have changed its keys.
            Err(Bad::Key) if now.duration_since(known.at) >= AGAIN => {
                let fresh = self.ask(now).await?;
                jwt::verify(&token, &fresh.keys)
            }
            verified => verified,
        };
        let claims = claims.map_err(|why| Why::Untrusted(why.to_string()))?;
        self.check(&claims, &attempt.derived("nonce"), now)?;
        self.person(&claims)
    }

    async fn redeem(
        &self,
        about: &About,
        attempt: &Attempt<'_>,
        code: &str,
    ) -> Result<String, Why> {
        let (id, verifier) = (&self.settings.client_id, attempt.derived("verifier"));
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", attempt.back),
            ("client_id", id),
            ("code_verifier", &verifier),
        ];
        let mut request = self.client.post(self.address(&about.token_endpoint)?);
        let secret = self.settings.client_secret.as_ref().map(ExposeSecret::expose_secret);
        let methods = &about.token_endpoint_auth_methods_supported;
        let by_form = !methods.is_empty() && !methods.iter().any(|m| m == "client_secret_basic");
        match secret {
            Some(secret) if by_form => form.push(("client_secret", secret)),
            Some(secret) => {
                request = request.basic_auth(form_encoded(id), Some(form_encoded(secret)))
            }
            None => {}
        }
        let tokens: Tokens = read(request.form(&form)).await?;
        Ok(tokens.id_token)
    }

    /// The claims that make a token one for us, for this sign-in, now.
    fn check(&self, claims: &Map<String, Value>, nonce: &str, now: Timestamp) -> Result<(), Why> {
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        let id = self.settings.client_id.as_str();
        let for_us = match claims.get("aud") {
            Some(Value::String(one)) => one == id,
            Some(Value::Array(all)) => {
                let alone = all.len() == 1 || text("azp") == Some(id);
                alone && all.iter().any(|one| one == id)
            }
            _ => false,
        };
        let time = |name: &str| claims.get(name).and_then(Value::as_f64).map(|s| s as i64);
        let now = now.as_second();
        let wrong = [
            (text("iss") != Some(&self.settings.issuer), "it is of another issuer"),
            (!for_us, "it is for somebody else"),
            (time("exp").is_none_or(|end| end + LEEWAY_S <= now), "it has expired"),
            (time("iat").is_none_or(|at| at - LEEWAY_S > now), "it is of the future"),
            (time("nbf").is_some_and(|at| at - LEEWAY_S > now), "it is of the future"),
            (
                !text("nonce").is_some_and(|it| is_same(it.as_bytes(), nonce.as_bytes())),
                "it is of another sign-in",
            ),
        ];
        match wrong.into_iter().find(|(is_wrong, _)| *is_wrong) {
            Some((_, why)) => Err(Why::Untrusted(why.to_owned())),
            None => Ok(()),
        }
    }

    fn person(&self, claims: &Map<String, Value>) -> Result<Person, Why> {
        let text = |name: &str| claims.get(name).and_then(Value::as_str).unwrap_or_default();
        let email = text("email").trim().to_lowercase();
        let verified = match claims.get("email_verified") {
            Some(Value::Bool(verified)) => *verified,
            Some(Value::String(verified)) => verified == "true",
            _ => false,
        };
        if !is_address(&email) || !verified {
            return Err(Why::Untrusted("it has no e-mail address that was verified".to_owned()));
        }
        let values: Vec<String> = match claims.get(&self.settings.claim) {
            _ if self.settings.claim == "email" => vec![email.clone()],
            Some(Value::String(one)) => vec![one.clone()],
            Some(Value::Array(all)) => {
                all.iter().filter_map(Value::as_str).map(str::to_owned).collect()
            }
            _ => Vec::new(),
        };
        let fits = |pattern: &str| values.iter().any(|value| matches(pattern, value));
        let role = self.settings.roles.iter().find(|(pattern, _)| fits(pattern));
        let role = role.map(|(_, role)| *role).ok_or(Why::NoRole)?;
        let subject = format!("{} {}", self.settings.issuer, text("sub"));
        Ok(Person { email, role, subject })
    }

    async fn known(&self, now: Timestamp) -> Result<Known, Why> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match known {
            Some(known) if now.duration_since(known.at).abs() < FRESH => Ok(known),
            _ => self.ask(now).await,
        }
    }

    async fn ask(&self, now: Timestamp) -> Result<Known, Why> {
        let issuer = self.settings.issuer.trim_end_matches('/');
        let about = self.address(&format!("{issuer}/.well-known/openid-configuration"))?;
        let about: About = read(self.client.get(about)).await?;
        if about.issuer != self.settings.issuer {
            return Err(Why::Provider(format!("it calls itself {}", about.issuer)));
        }
        let keys: Keys = read(self.client.get(self.address(&about.jwks_uri)?)).await?;
        let known = Known { about, keys, at: now };
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some(known.clone());
        Ok(known)
    }

    /// An address of the provider: by TLS, unless the merchant file names the provider without.
    fn address(&self, text: &str) -> Result<Url, Why> {
        let url = Url::parse(text).map_err(|_| Why::Provider("an address is none".to_owned()))?;
        let plain = url.scheme() == "http" && self.settings.issuer.starts_with("http://");
        if url.scheme() != "https" && !plain {
            return Err(Why::Provider("an address is without TLS".to_owned()));
        }
        Reach::Private.check(&url).map_err(|why| Why::Provider(why.to_string()))?;
        Ok(url)
    }
}

/// As OAuth wants an id and a secret before they are put into `Basic`.
fn form_encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

async fn read<T: DeserializeOwned>(request: RequestBuilder) -> Result<T, Why> {
    let answer = wire::send(request.header("accept", "application/json")).await;
    let answer = answer.map_err(|_| Why::Provider("it cannot be reached".to_owned()))?;
    if !answer.is_success() {
        return Err(Why::Provider(format!("it answered {}", answer.status)));
    }
    serde_json::from_slice(&answer.body)
        .map_err(|_| Why::Provider("its answer cannot be read".to_owned()))
}

/// Whether a value is what the pattern says: `*` stands for anything, once, at its beginning.
fn matches(pattern: &str, value: &str) -> bool {
    match pattern.strip_prefix('*') {
        Some(end) => {
            value.len() >= end.len() && {
                let (value, end) = (value.to_lowercase(), end.to_lowercase());
                value.ends_with(&end)
            }
        }
        None => value.eq_ignore_ascii_case(pattern),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_an_end_or_the_whole() {
        assert!(matches("*@nube.example", "Ada@nube.example"));
        assert!(!matches("*@nube.example", "ada@nube.example.evil.example"));
        assert!(!matches("*@nube.example", "ada@evilnube.example"));
        assert!(matches("ada@nube.example", "ADA@nube.example") && !matches("ada", "adab"));
        assert!(matches("*", "anybody"));
    }
}
