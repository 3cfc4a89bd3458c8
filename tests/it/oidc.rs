//! Sign-in at an OpenID Connect provider: a double that really signs, and lies where it is told to.
//!
//! What must stay true: who is sent back comes in with the role of the merchant file; an answer
//! with any part wrong (state, verifier, nonce, audience, time, key, algorithm, address) lets
//! nobody in.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::extract::{Form, State};
use axum::http::{HeaderMap, Request, StatusCode, header};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use recoup::clock::real_now;
use recoup::core::access::Role;
use recoup::http::{Oidc, OidcSettings};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
    RsaPublicKeyComponents,
};
use secrecy::SecretString;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use url::Url;

use crate::http_pages::see;
use crate::http_support::{Answer, Service, Setup};
use crate::sign_in::person;

const BACK: &str = "https://pay.nube.example/login/oidc/callback";

/// What the double does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lie {
    None,
    OtherNonce,
    OtherAudience,
    OtherIssuer,
    Expired,
    OfTheFuture,
    Unsigned,
    SignedWithThePublicKey,
    OtherKey,
    Changed,
    Unverified,
}

/// What a provider knows.
struct Provider {
    issuer: String,
    elliptic: EcdsaKeyPair,
    other: EcdsaKeyPair,
    rsa: RsaKeyPair,
    alg: Mutex<&'static str>,
    lie: Mutex<Lie>,
    claims: Mutex<Value>,
    /// By code: the challenge and the nonce.
    codes: Mutex<HashMap<String, (String, String)>>,
}

type Shared = State<Arc<Provider>>;

fn key() -> EcdsaKeyPair {
    let (random, scheme) = (SystemRandom::new(), &ECDSA_P256_SHA256_FIXED_SIGNING);
    let made = EcdsaKeyPair::generate_pkcs8(scheme, &random).unwrap();
    EcdsaKeyPair::from_pkcs8(scheme, made.as_ref(), &random).unwrap()
}

fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

impl Provider {
    async fn start() -> Arc<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let rsa = include_bytes!("../../fixtures/oidc/rsa.der");
        let provider = Arc::new(Self {
            issuer: format!("http://{}", listener.local_addr().unwrap()),
            elliptic: key(),
            other: key(),
            rsa: RsaKeyPair::from_pkcs8(rsa).unwrap(),
            alg: Mutex::new("ES256"),
            lie: Mutex::new(Lie::None),
            claims: Mutex::new(json!({ "sub": "1", "email": "Ada@nube.example",
                "email_verified": true })),
            codes: Mutex::default(),
        });
        let app = Router::new()
            .route("/.well-known/openid-configuration", get(about))
            .route("/keys", get(keys))
            .route("/token", post(token))
            .with_state(provider.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        provider
    }

    /// Somebody signs in there: the code that they are sent back with.
    fn consent(&self, place: &str) -> (String, String) {
        let url = Url::parse(place).unwrap();
        assert!(place.starts_with(&format!("{}/authorize?", self.issuer)), "{place}");
        let asked: HashMap<_, _> = url.query_pairs().into_owned().collect();
        for (name, value) in [
            ("response_type", "code"),
            ("client_id", "recoup"),
            ("redirect_uri", BACK),
            ("code_challenge_method", "S256"),
        ] {
            assert_eq!(asked[name], value, "{place}");
        }
        assert!(asked["scope"].split(' ').any(|scope| scope == "openid"));
        let mut codes = self.codes.lock().unwrap();
        let code = format!("code_{}", codes.len());
        let kept = (asked["code_challenge"].clone(), asked["nonce"].clone());
        codes.insert(code.clone(), kept);
        (code, asked["state"].clone())
    }

    fn sign(&self, nonce: &str) -> String {
        let (lie, alg) = (*self.lie.lock().unwrap(), *self.alg.lock().unwrap());
        let now = real_now().as_second();
        let mut claims = self.claims.lock().unwrap().clone();
        let all = claims.as_object_mut().unwrap();
        for (name, value) in [
            ("iss", json!(self.issuer)),
            ("aud", json!("recoup")),
            ("iat", json!(now)),
            ("exp", json!(now + 300)),
            ("nonce", json!(nonce)),
        ] {
            all.insert(name.to_owned(), value);
        }
        let (name, value) = match lie {
            Lie::OtherNonce => ("nonce", json!("0".repeat(64))),
            Lie::OtherAudience => ("aud", json!(["recoup", "shop"])),
            Lie::OtherIssuer => ("iss", json!("https://evil.example")),
            Lie::Expired => ("exp", json!(now - 61)),
            Lie::OfTheFuture => ("iat", json!(now + 120)),
            Lie::Unverified => ("email_verified", json!(false)),
            _ => ("x", json!(1)),
        };
        all.insert(name.to_owned(), value);
        let said = match lie {
            Lie::Unsigned => "none",
            Lie::SignedWithThePublicKey => "HS256",
            _ => alg,
        };
        let head = b64(json!({ "alg": said, "kid": alg }).to_string());
        let signed = format!("{head}.{}", b64(claims.to_string()));
        let random = SystemRandom::new();
        let signature = match (lie, alg) {
            (Lie::Unsigned, _) => Vec::new(),
            (Lie::SignedWithThePublicKey, _) => {
                let key = self.elliptic.public_key().as_ref();
                let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, key);
                ring::hmac::sign(&key, signed.as_bytes()).as_ref().to_vec()
            }
            (Lie::OtherKey, _) => {
                self.other.sign(&random, signed.as_bytes()).unwrap().as_ref().to_vec()
            }
            (_, "ES256") => {
                self.elliptic.sign(&random, signed.as_bytes()).unwrap().as_ref().to_vec()
            }
            _ => {
                let mut signature = vec![0; self.rsa.public().modulus_len()];
                self.rsa
                    .sign(&RSA_PKCS1_SHA256, &random, signed.as_bytes(), &mut signature)
                    .unwrap();
                signature
            }
        };
        let signed = match lie {
            Lie::Changed => {
                let more = claims.to_string().replace("\"x\":1", "\"x\":2");
                format!("{head}.{}", b64(more))
            }
            _ => signed,
        };
        format!("{signed}.{}", b64(signature))
    }
}

async fn about(State(provider): Shared) -> Json<Value> {
    let at = |path: &str| format!("{}/{path}", provider.issuer);
    Json(json!({
        "issuer": provider.issuer,
        "authorization_endpoint": at("authorize"),
        "token_endpoint": at("token"),
        "jwks_uri": at("keys"),
    }))
}

async fn keys(State(provider): Shared) -> Json<Value> {
    let point = provider.elliptic.public_key().as_ref();
    let rsa = RsaPublicKeyComponents::<Vec<u8>>::from(provider.rsa.public());
    Json(json!({ "keys": [
        { "kty": "oct", "kid": "HS256", "k": "AAAA" },
        { "kty": "EC", "crv": "P-256", "kid": "ES256", "use": "sig",
            "x": b64(&point[1..33]), "y": b64(&point[33..]) },
        { "kty": "RSA", "alg": "RS256", "kid": "RS256", "n": b64(&rsa.n), "e": b64(&rsa.e) },
    ] }))
}

async fn token(
    State(provider): Shared,
    headers: HeaderMap,
    Form(form): Form<HashMap<String, String>>,
) -> Result<Json<Value>, StatusCode> {
    let basic = format!("Basic {}", STANDARD.encode("recoup:s3cret%2F"));
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let kept = provider.codes.lock().unwrap().remove(&form["code"]);
    let (challenge, nonce) = kept.ok_or(StatusCode::BAD_REQUEST)?;
    let proven = b64(Sha256::digest(&form["code_verifier"])) == challenge;
    if given != Some(&basic) || !proven || form["redirect_uri"] != BACK {
        return Err(StatusCode::UNAUTHORIZED);
    }
    Ok(Json(json!({ "id_token": provider.sign(&nonce), "token_type": "Bearer" })))
}

fn service(provider: &Provider, claim: &str, roles: &[(&str, Role)]) -> Service {
    let settings = OidcSettings {
        issuer: provider.issuer.clone(),
        client_id: "recoup".to_owned(),
        client_secret: Some(SecretString::from("s3cret/")),
        name: "Nube".to_owned(),
        claim: claim.to_owned(),
        roles: roles.iter().map(|(value, role)| ((*value).to_owned(), *role)).collect(),
    };
    let oidc = Some(Arc::new(Oidc::new(settings).unwrap()));
    Service::new(Setup { oidc, ..Setup::default() })
}

/// The browser leaves for the provider: where to, and its cookie.
async fn leave(service: &Service) -> (String, String) {
    let answer = service.form("/login/oidc", "", None).await;
    assert_eq!(answer.status, 303, "{}", answer.text);
    let cookie = answer.header("set-cookie");
    assert!(cookie.contains("HttpOnly; SameSite=Lax"), "{cookie}");
    let cookie = cookie.split(';').next().unwrap().to_owned();
    (answer.header("location").to_owned(), cookie)
}

async fn come_back(service: &Service, code: &str, state: &str, cookie: &str) -> Answer {
    let path = format!("/login/oidc/callback?code={code}&state={state}");
    let request = Request::get(path).header(header::COOKIE, cookie);
    service.send(request.body(Body::empty()).unwrap()).await
}

async fn sign_in(service: &Service, provider: &Provider) -> Answer {
    let (place, cookie) = leave(service).await;
    let (code, state) = provider.consent(&place);
    come_back(service, &code, &state, &cookie).await
}

fn session(answer: &Answer) -> Option<String> {
    let all = answer.headers.get_all("set-cookie").iter().map(|value| value.to_str().unwrap());
    let mut sessions = all.filter(|text| text.starts_with("recoup_session="));
    sessions.next().map(|text| text.split(';').next().unwrap().to_owned())
}

const ROLES: &[(&str, Role)] =
    &[("ada@nube.example", Role::Support), ("*@nube.example", Role::Viewer)];

#[tokio::test]
async fn somebody_signs_in_at_the_provider_with_the_role_of_the_file() {
    let provider = Provider::start().await;
    let service = service(&provider, "email", ROLES);
    assert!(service.get("/login").await.text.contains("Sign in with Nube"));
    for alg in ["ES256", "RS256"] {
        *provider.alg.lock().unwrap() = alg;
        let answer = sign_in(&service, &provider).await;
        assert_eq!(answer.status, 200, "{alg}: {}", answer.text);
        assert!(answer.text.contains("url=../../"), "a page of ours leads in");
        let session = session(&answer).unwrap();
        let home = see(&service, "/cases", &session).await;
        assert_eq!(home.status, 200);
        assert_eq!(see(&service, "/users", &session).await.status, 403, "support is no admin");
    }
    let users = service.api("GET", "/users", "").await.json();
    assert_eq!(users["data"].as_array().unwrap().len(), 1, "twice the same person: {users}");
    assert_eq!(
        (&users["data"][0]["email"], &users["data"][0]["role"]),
        (&json!("ada@nube.example"), &json!("support"))
    );
    // Another person there with the address of the first gets nothing of hers.
    provider.claims.lock().unwrap()["sub"] = json!("2");
    let other = sign_in(&service, &provider).await;
    assert!(other.status == 403 && session(&other).is_none(), "{}", other.text);
}

#[tokio::test]
async fn no_lie_of_a_provider_lets_anybody_in() {
    let provider = Provider::start().await;
    let service = service(&provider, "email", ROLES);
    for lie in [
        Lie::OtherNonce,
        Lie::OtherAudience,
        Lie::OtherIssuer,
        Lie::Expired,
        Lie::OfTheFuture,
        Lie::Unsigned,
        Lie::SignedWithThePublicKey,
        Lie::OtherKey,
        Lie::Changed,
        Lie::Unverified,
    ] {
        *provider.lie.lock().unwrap() = lie;
        let answer = sign_in(&service, &provider).await;
        assert_eq!(answer.status, 403, "{lie:?}: {}", answer.text);
        assert!(session(&answer).is_none(), "{lie:?}");
    }
    *provider.lie.lock().unwrap() = Lie::None;
    assert!(session(&sign_in(&service, &provider).await).is_some(), "the truth lets in");
    assert_eq!(service.api("GET", "/users", "").await.json()["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn an_answer_is_for_the_browser_that_asked_and_once() {
    let provider = Provider::start().await;
    let service = service(&provider, "email", ROLES);
    let (place, cookie) = leave(&service).await;
    let (_, other) = leave(&service).await;
    let (code, state) = provider.consent(&place);
    for (state, cookie) in [
        (state.as_str(), ""),
        (state.as_str(), other.as_str()),
        ("", cookie.as_str()),
        ("", "recoup_oidc="),
    ] {
        let answer = come_back(&service, &code, state, cookie).await;
        assert!(answer.status == 403 && session(&answer).is_none(), "{state} {cookie}");
    }
    // Its state carried over into another browser's cookie fits no verifier of the provider's.
    let (other_place, other_cookie) = leave(&service).await;
    let (_, other_state) = provider.consent(&other_place);
    let stolen = come_back(&service, &code, &other_state, &other_cookie).await;
    assert!(session(&stolen).is_none(), "{}", stolen.text);
    let (place, cookie) = leave(&service).await;
    let (code, state) = provider.consent(&place);
    assert!(session(&come_back(&service, &code, &state, &cookie).await).is_some());
    let twice = come_back(&service, &code, &state, &cookie).await;
    assert!(session(&twice).is_none(), "a code works once: {}", twice.text);
}

#[tokio::test]
async fn roles_go_by_a_claim_and_who_has_none_stays_out() {
    let provider = Provider::start().await;
    let roles = [("billing-admins", Role::Admin), ("billing", Role::Support)];
    let service = service(&provider, "groups", &roles);
    let with = |groups: Value| provider.claims.lock().unwrap()["groups"] = groups;
    with(json!(["staff", "billing"]));
    let support = session(&sign_in(&service, &provider).await).unwrap();
    assert_eq!(see(&service, "/users", &support).await.status, 403);
    with(json!(["billing-admins"]));
    assert!(session(&sign_in(&service, &provider).await).is_some());
    assert_eq!(see(&service, "/users", &support).await.status, 200, "the role is read anew");
    for groups in [json!([]), json!("staff"), Value::Null] {
        with(groups);
        let answer = sign_in(&service, &provider).await;
        assert!(answer.status == 403 && answer.text.contains("no role here"), "{}", answer.text);
        assert!(session(&answer).is_none());
    }
    let audit = service.api("GET", "/audit", "").await.text;
    assert!(audit.contains("\"provider\"") && audit.contains("refused"), "{audit}");
}

#[tokio::test]
async fn an_account_with_a_password_keeps_its_role() {
    let provider = Provider::start().await;
    let service = service(&provider, "email", &[("*", Role::Viewer)]);
    person(&service, "ada@nube.example", "admin").await;
    let session = session(&sign_in(&service, &provider).await).unwrap();
    assert_eq!(see(&service, "/users", &session).await.status, 200, "she was an admin before");
}

#[tokio::test]
async fn a_provider_that_is_away_is_told_and_the_others_come_in() {
    let provider = Provider::start().await;
    let settings = OidcSettings {
        issuer: "http://127.0.0.1:1".to_owned(),
        client_id: "recoup".to_owned(),
        client_secret: None,
        name: "Nube".to_owned(),
        claim: "email".to_owned(),
        roles: Vec::new(),
    };
    let oidc = Some(Arc::new(Oidc::new(settings).unwrap()));
    let service = Service::new(Setup { oidc, ..Setup::default() });
    let answer = service.form("/login/oidc", "", None).await;
    assert!(answer.status == 503 && answer.text.contains("does not answer"), "{}", answer.text);
    crate::http_pages::login(&service).await;
    drop(provider);
}
