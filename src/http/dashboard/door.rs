//! The door: sign-in, sign-out, and the link by which somebody sets a password.
//!
//! Why here: everything that a person meets before they have a session.
//!
//! What must stay true: a wrong password is slowed, told and noted, and nobody learns whether an
//! account exists; whoever guesses at an account does not lock its owner out: a browser that they
//! signed in with before has a count of its own; a form that comes from another site does nothing;
//! looking at a link uses nothing up.

use std::sync::Arc;

use axum::extract::{Extension, Form, Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Router, middleware};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use super::{Trouble, closed, is_open};
use crate::clock::real_now;
use crate::core::ids::digest;
use crate::gateway::signature::is_same;
use crate::http::auth::{self, Cookie, Site, Transport};
use crate::http::pages::{LoginView, login_page, set_up_page};
use crate::http::pay::address_of;
use crate::http::people::audit::{self, Deed, Outcome, Via};
use crate::http::people::password::{Busy, Passwords, check_new};
use crate::http::people::throttle::Throttle;
use crate::http::people::users::{self, User, is_address};
use crate::http::people::{Kind, Who, draw, sessions};
use crate::http::{AppState, link, page, see_other};

/// How long a browser is known after somebody signed in with it.
const KNOWN: SignedDuration = SignedDuration::from_hours(365 * 24);

/// What the door remembers while the service runs.
#[derive(Clone, Default)]
pub(super) struct Door {
    passwords: Passwords,
    throttle: Arc<Throttle>,
}

/// What a browser gets with a session.
pub(super) type Cookies = AppendHeaders<[(header::HeaderName, HeaderValue); 2]>;

/// The caller's address, as far as it is known.
#[derive(Clone)]
struct Caller(Option<String>);

pub(super) fn routes(state: &AppState) -> Router<AppState> {
    Router::new()
        .route("/login", get(form).post(sign_in))
        .route("/logout", post(sign_out))
        .route("/set-up/{token}", get(set_up_form).post(set_up))
        .layer(Extension(Door::default()))
        .layer(middleware::from_fn_with_state(state.clone(), see_from))
}

async fn see_from(
    State(state): State<AppState>,
    mut request: Request,
    next: middleware::Next,
) -> Response {
    let from = Caller(address_of(&state, &request));
    request.extensions_mut().insert(from);
    next.run(request).await
}

/// Whether the browser says that a form comes from another site.
pub(super) fn is_foreign(state: &AppState, headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(site) = text("sec-fetch-site") {
        return !matches!(site, "same-origin" | "none");
    }
    let Some(origin) = text("origin") else { return false };
    let of = origin.split_once("://").map(|(_, host)| host);
    let is_public = origin == auth::origin(&state.brand.public_url);
    !is_public && (of.is_none() || of != text("host"))
}

/// `GET /login`.
async fn form(State(state): State<AppState>) -> Result<Response, Trouble> {
    Ok(if is_open(&state).await? {
        door(&state, StatusCode::OK, None).await
    } else {
        closed(&state)
    })
}

/// The page at the door.
pub(super) async fn door(state: &AppState, status: StatusCode, problem: Option<&str>) -> Response {
    let view = LoginView {
        brand: &state.brand.name,
        problem,
        // Who has no account yet is not asked for one.
        people: users::any(&*state.store).await.unwrap_or(true),
        token: state.admin_token.is_some(),
        provider: state.oidc.as_ref().map(|oidc| oidc.name()),
    };
    page(status, login_page(&view))
}

/// What the form at the door sends.
#[derive(Deserialize)]
struct SignIn {
    #[serde(default)]
    token: String,
    #[serde(default)]
    email: String,
    #[serde(default)]
    password: String,
}

/// `POST /login`.
async fn sign_in(
    State(state): State<AppState>,
    Extension(desk): Extension<Door>,
    Extension(Caller(from)): Extension<Caller>,
    headers: HeaderMap,
    Form(form): Form<SignIn>,
) -> Result<Response, Trouble> {
    if !is_open(&state).await? {
        return Ok(closed(&state));
    }
    if is_foreign(&state, &headers) {
        let problem = "This form came from another site. Sign in here.";
        return Ok(door(&state, StatusCode::FORBIDDEN, Some(problem)).await);
    }
    let from = from.map(|from| format!("from {}", digest(&[&from])));
    if form.email.trim().is_empty() {
        return sign_in_by_token(&state, &desk, (&headers, from), form.token.trim()).await;
    }
    let (id, now) = (users::id_of(&form.email), real_now());
    let names: Vec<String> = if is_known(&state, &headers, &id) {
        vec![format!("browser of {id}")]
    } else {
        from.into_iter().chain([format!("account {id}")]).collect()
    };
    if let Some(wait) = desk.throttle.wait(&names, now) {
        return Ok(slowed(&state, wait).await);
    }
    let found = users::find(&*state.store, &id).await?.map(|(_, user)| user);
    let stored = found.as_ref().and_then(|user| user.password.clone());
    let right = match desk.passwords.is(form.password.into(), stored).await {
        Ok(right) => right,
        Err(Busy) => return Ok(busy(&state).await),
    };
    let Some(user) = found.filter(|_| right) else {
        return Ok(refused(&state, &desk, &names, &id).await);
    };
    for name in names.iter().filter(|name| !name.starts_with("from ")) {
        desk.throttle.right(name);
    }
    welcome(&state, &headers, (&id, &user), now).await
}

/// Begins a session for somebody who is who they say, and leads them in.
async fn welcome(
    state: &AppState,
    headers: &HeaderMap,
    person: (&str, &User),
    now: Timestamp,
) -> Result<Response, Trouble> {
    let cookies = let_in(state, headers, person, now).await?;
    Ok((cookies, see_other("/")).into_response())
}

/// Begins a session for somebody who is who they say.
pub(super) async fn let_in(
    state: &AppState,
    headers: &HeaderMap,
    (id, user): (&str, &User),
    now: Timestamp,
) -> Result<Cookies, Trouble> {
    count("done");
    note(state, &person(user), "sessions.begin", Outcome::Done).await;
    let token = sessions::begin(&*state.store, id, user, now).await?;
    let known = format!("{id}.{}", known_proof(state, id));
    let transport = Transport::of(state, headers);
    let known = Cookie { name: auth::KNOWN, value: &known, age: KNOWN, site: Site::Strict };
    let cookies = [auth::session_cookie(&token).header(transport), known.header(transport)];
    Ok(AppendHeaders(cookies.map(|cookie| (header::SET_COOKIE, cookie))))
}

fn person(user: &User) -> Who {
    let (kind, name) = (Kind::Person, user.email.clone());
    Who { kind, name, role: Some(user.role), metrics: false }
}

pub(super) fn nobody(name: &str) -> Who {
    Who { kind: Kind::Nobody, name: name.to_owned(), role: None, metrics: false }
}

pub(super) async fn note(state: &AppState, who: &Who, what: &str, outcome: Outcome) {
    audit::write(&*state.store, (who, Via::Dashboard), Deed::named(what), outcome).await;
}

/// Only we could have written it: this browser has signed in to this account before.
fn is_known(state: &AppState, headers: &HeaderMap, id: &str) -> bool {
    let value = auth::cookie_of(headers, auth::KNOWN).and_then(|value| value.split_once('.'));
    value.is_some_and(|(known, proof)| {
        known == id && is_same(proof.as_bytes(), known_proof(state, id).as_bytes())
    })
}

fn known_proof(state: &AppState, id: &str) -> String {
    hex::encode(link::sign(&state.link_key, &format!("recoup:known:{id}")))
}

async fn refused(state: &AppState, desk: &Door, names: &[String], id: &str) -> Response {
    let now = real_now();
    desk.throttle.wrong(names, now);
    count("refused");
    tracing::warn!(account = id, "a sign-in with a wrong address or password");
    note(state, &nobody(id), "sessions.begin", Outcome::Refused).await;
    match desk.throttle.wait(names, now) {
        Some(wait) => slowed(state, wait).await,
        None => {
            let problem = "This address and password do not belong together.";
            door(state, StatusCode::UNAUTHORIZED, Some(problem)).await
        }
    }
}

async fn slowed(state: &AppState, wait: i64) -> Response {
    count("slowed");
    let problem = format!("Too many wrong passwords. Try again in {wait} seconds.");
    let answer = door(state, StatusCode::TOO_MANY_REQUESTS, Some(&problem)).await;
    ([(header::RETRY_AFTER, wait.to_string())], answer).into_response()
}

async fn busy(state: &AppState) -> Response {
    let problem = "Too many people sign in at this moment. Try again.";
    door(state, StatusCode::SERVICE_UNAVAILABLE, Some(problem)).await
}

pub(super) fn count(outcome: &'static str) {
    metrics::counter!("recoup_sign_ins_total", "outcome" => outcome).increment(1);
}

/// By the admin token: it cannot be guessed, and is slowed by address all the same.
async fn sign_in_by_token(
    state: &AppState,
    desk: &Door,
    (headers, from): (&HeaderMap, Option<String>),
    given: &str,
) -> Result<Response, Trouble> {
    let (now, names) = (real_now(), Vec::from_iter(from));
    if let Some(wait) = desk.throttle.wait(&names, now) {
        return Ok(slowed(state, wait).await);
    }
    let Some(token) = state.admin_token.as_ref().filter(|token| auth::is_token(token, given))
    else {
        desk.throttle.wrong(&names, now);
        count("refused");
        tracing::warn!("a login with a wrong admin token");
        note(state, &nobody("admin token"), "sessions.begin", Outcome::Refused).await;
        let problem = "This is not the admin token.";
        return Ok(door(state, StatusCode::UNAUTHORIZED, Some(problem)).await);
    };
    count("done");
    note(state, &Who::root(), "sessions.begin", Outcome::Done).await;
    let session = sessions::begin_as_admin(&*state.store, token, now).await?;
    let cookie = auth::session_cookie(&session).header(Transport::of(state, headers));
    Ok(([(header::SET_COOKIE, cookie)], see_other("/")).into_response())
}

/// What the form that signs out sends.
#[derive(Deserialize)]
struct SignOut {
    #[serde(default)]
    csrf: String,
}

/// `POST /logout`.
async fn sign_out(
    State(state): State<AppState>,
    headers: HeaderMap,
    Form(form): Form<SignOut>,
) -> Result<Response, Trouble> {
    if let Some(token) = auth::cookie_of(&headers, auth::SESSION) {
        let admin = state.admin_token.as_ref();
        let who = sessions::holder(&*state.store, admin, token, real_now()).await?;
        if let Some(who) = who {
            if !is_same(form.csrf.as_bytes(), sessions::csrf(token).as_bytes()) {
                return Err(Trouble::Csrf);
            }
            sessions::end(&*state.store, token).await?;
            note(&state, &who, "sessions.end", Outcome::Done).await;
        }
    }
    let cookie = auth::session_cookie("").header(Transport::of(&state, &headers));
    Ok(([(header::SET_COOKIE, cookie)], see_other("/login")).into_response())
}

const VOID: &str = "This link was used, or is older than 30 minutes. An admin makes another: \
    recoup user reset ADDRESS. For the first account, start recoup serve again.";

/// `GET /set-up/{token}`.
async fn set_up_form(
    State(state): State<AppState>,
    Path(token): Path<String>,
) -> Result<Response, Trouble> {
    let found = sessions::invitation(&*state.store, &token, real_now()).await?;
    let brand = &state.brand.name;
    Ok(match found {
        Some((_, found)) => page(StatusCode::OK, set_up_page(brand, found.email.as_deref(), None)),
        None => door(&state, StatusCode::NOT_FOUND, Some(VOID)).await,
    })
}

/// What the form of a link sends.
#[derive(Deserialize)]
struct SetUp {
    #[serde(default)]
    email: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    again: String,
}

/// `POST /set-up/{token}`: the token in the address is what no other site knows.
async fn set_up(
    State(state): State<AppState>,
    Extension(desk): Extension<Door>,
    Path(token): Path<String>,
    headers: HeaderMap,
    Form(form): Form<SetUp>,
) -> Result<Response, Trouble> {
    let now = real_now();
    let found = sessions::invitation(&*state.store, &token, now).await?;
    let found = found.filter(|_| !is_foreign(&state, &headers));
    let Some((_, found)) = found else {
        return Ok(door(&state, StatusCode::NOT_FOUND, Some(VOID)).await);
    };
    let email = found.email.as_deref().unwrap_or(&form.email);
    let wrong = match check_new(&form.password, email) {
        Err(why) => Some(why),
        Ok(()) if form.password != form.again => Some("The two passwords are not the same."),
        Ok(()) if !is_address(email) => Some("This is no e-mail address."),
        Ok(()) => None,
    };
    if let Some(why) = wrong {
        let html = set_up_page(&state.brand.name, found.email.as_deref(), Some(why));
        return Ok(page(StatusCode::UNPROCESSABLE_ENTITY, html));
    }
    let salt = hex::decode(draw()?).ok().and_then(|salt| salt.get(..16)?.try_into().ok());
    let salt = salt.unwrap_or_default();
    let Ok(hash) = desk.passwords.hash(form.password.into(), salt).await else {
        return Ok(busy(&state).await);
    };
    let accepted = sessions::accept(&*state.store, (&token, &form.email), hash, now).await?;
    let Some((id, user)) = accepted else {
        return Ok(door(&state, StatusCode::NOT_FOUND, Some(VOID)).await);
    };
    note(&state, &person(&user), "users.password", Outcome::Done).await;
    desk.throttle.right(&format!("account {id}"));
    welcome(&state, &headers, (&id, &user), now).await
}
