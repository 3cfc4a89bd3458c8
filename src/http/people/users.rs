//! `/users`: the people who sign in.
//!
//! Why here: what the API and the dashboard do with accounts is done here once, for both.
//!
//! What must stay true: an account is changed over the revision that was read; the last admin
//! cannot be taken away while there is no admin token; a removed person's sessions end at once.

use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::oidc::Person;
use super::sessions::{ends_of, invite};
use super::{draw, wrong};
use crate::clock::real_now;
use crate::core::access::Role;
use crate::core::ids::digest;
use crate::core::schema::shown;
use crate::http::api::input::{Fields, Query, checked, json as read_json};
use crate::http::api::once::Unkept;
use crate::http::view::whole;
use crate::http::{AppState, Problem};
use crate::store::{SideRecord, SideTable, SideWrite, Store, StoreError};

/// Accounts at most; more than anybody needs.
const MOST: usize = 1_000;

/// A person, as stored.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::http) struct User {
    pub(in crate::http) email: String,
    pub(in crate::http) role: Role,
    /// None until it is set through a link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::http) password: Option<String>,
    /// Sessions of another epoch have ended.
    pub(in crate::http) epoch: String,
    /// Who they are at the provider through which they sign in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::http) subject: Option<String>,
}

shown! {
    /// A person who signs in.
    as "User" UserView {
        /// Their id.
        id: String,
        /// The address that they sign in with.
        email: String,
        /// What they may do.
        role: Role,
        /// Whether they have set a password.
        has_password: bool,
        /// Since when there is an account.
        created_at: Timestamp,
    }
    /// A person, and the link by which they set a password: once, within 30 minutes.
    as "Invited" InvitedView {
        /// The person.
        user: UserView,
        /// Where they set it.
        link: String,
        /// Until when.
        expires_at: Timestamp,
    }
}

/// The id of the account with this address.
pub(in crate::http) fn id_of(email: &str) -> String {
    format!("usr_{}", digest(&["user", &email.trim().to_lowercase()]))
}

/// The account of this id.
pub(in crate::http) async fn find(
    store: &dyn Store,
    id: &str,
) -> Result<Option<(SideRecord, User)>, StoreError> {
    let Some(record) = store.side(SideTable::User, id).await? else { return Ok(None) };
    let user = record.read()?;
    Ok(Some((record, user)))
}

/// Whether there is any account.
pub(in crate::http) async fn any(store: &dyn Store) -> Result<bool, StoreError> {
    Ok(!store.sides(SideTable::User, None, 1).await?.data.is_empty())
}

/// All accounts, the newest first.
pub(in crate::http) async fn all(store: &dyn Store) -> Result<Vec<UserView>, StoreError> {
    let page = store.sides(SideTable::User, None, MOST).await?;
    page.data.iter().map(|record| Ok(view(record, record.read()?))).collect()
}

fn view(record: &SideRecord, user: User) -> UserView {
    UserView {
        id: record.key.clone(),
        email: user.email,
        role: user.role,
        has_password: user.password.is_some(),
        created_at: record.at,
    }
}

/// Makes an account, and the link by which its person sets a password.
pub(in crate::http) async fn add(
    state: &AppState,
    email: &str,
    role: Role,
) -> Result<InvitedView, Problem> {
    address(email).map_err(|why| wrong("/email", why))?;
    let (id, email) = (id_of(email), email.trim().to_lowercase());
    if all(&*state.store).await?.len() >= MOST {
        return Err(wrong("/email", "there are too many accounts: remove one first"));
    }
    let user = User { email, role, password: None, epoch: draw()?, subject: None };
    let record = SideRecord::new(SideTable::User, id, real_now()).with(&user);
    match state.store.write_sides(vec![record.clone().into()]).await {
        Ok(()) => invited(state, &record, user).await,
        Err(StoreError::Changed { .. }) => {
            let detail = "there is an account with this address: change its role, or reset it";
            Err(Problem::new(StatusCode::CONFLICT, "user_exists", detail))
        }
        Err(error) => Err(error.into()),
    }
}

async fn invited(
    state: &AppState,
    record: &SideRecord,
    user: User,
) -> Result<InvitedView, Problem> {
    let url = &state.brand.public_url;
    let (link, expires_at) = invite(&*state.store, url, Some(&user.email), real_now()).await?;
    Ok(InvitedView { user: view(record, user), link, expires_at })
}

/// Gives somebody another role, from their next request on.
pub(in crate::http) async fn change(
    state: &AppState,
    id: &str,
    role: Role,
) -> Result<UserView, Problem> {
    let (record, user) = load(state, id).await?;
    if role != Role::Admin {
        keeps_an_admin(state, &record.key).await?;
    }
    let user = User { role, ..user };
    let next = record.next().with(&user);
    write(state, vec![next.clone().into()]).await?;
    Ok(view(&next, user))
}

/// Takes somebody's password and sessions away, and makes a link to set another.
pub(in crate::http) async fn reset(state: &AppState, id: &str) -> Result<InvitedView, Problem> {
    let (record, user) = load(state, id).await?;
    let user = User { password: None, epoch: draw()?, ..user };
    let next = record.next().with(&user);
    let mut writes = ends_of(&*state.store, &record.key).await?;
    writes.push(next.clone().into());
    write(state, writes).await?;
    invited(state, &next, user).await
}

/// Takes an account away; its sessions end with it.
pub(in crate::http) async fn remove(state: &AppState, id: &str) -> Result<UserView, Problem> {
    let (record, user) = load(state, id).await?;
    keeps_an_admin(state, &record.key).await?;
    let mut writes = ends_of(&*state.store, &record.key).await?;
    writes.push(SideWrite::Remove(SideTable::User, record.key.clone()));
    write(state, writes).await?;
    Ok(view(&record, user))
}

async fn write(state: &AppState, writes: Vec<SideWrite>) -> Result<(), Problem> {
    match state.store.write_sides(writes).await {
        Err(StoreError::Changed { .. }) => {
            let detail = "the account changes at this moment: ask again";
            Err(Problem::new(StatusCode::CONFLICT, "changed_meanwhile", detail))
        }
        written => Ok(written?),
    }
}

async fn load(state: &AppState, id: &str) -> Result<(SideRecord, User), Problem> {
    // By their address, too.
    let id = if id.contains('@') { id_of(id) } else { id.to_owned() };
    let found = find(&*state.store, &id).await?;
    found.ok_or_else(|| Problem::not_found("there is no account with this id or address"))
}

/// Without an admin token, one admin stays.
async fn keeps_an_admin(state: &AppState, without: &str) -> Result<(), Problem> {
    if state.admin_token.is_some() {
        return Ok(());
    }
    let others = all(&*state.store).await?;
    if others.iter().any(|other| other.role == Role::Admin && other.id != without) {
        return Ok(());
    }
    let detail = "this is the last admin, and there is no admin token: nobody could come in";
    Err(Problem::new(StatusCode::CONFLICT, "last_admin", detail))
}

fn address(text: &str) -> Result<(), &'static str> {
    let text = text.trim();
    let plain = text.len() <= 255 && !text.contains(|c: char| c.is_whitespace() || c.is_control());
    let fits = text.split_once('@').is_some_and(|(name, host)| {
        plain && !name.is_empty() && !host.is_empty() && !host.contains('@')
    });
    if fits { Ok(()) } else { Err("it is no e-mail address") }
}

/// The account of somebody who signed in at a provider, made or brought up to date; none where the
/// address is somebody else's there. An account with a password of its own keeps its role.
pub(in crate::http) async fn of_provider(
    store: &dyn Store,
    person: &Person,
    now: Timestamp,
) -> Result<Option<(String, User)>, Problem> {
    let Person { email, role, subject } = person;
    let id = id_of(email);
    let (record, user) = match find(store, &id).await? {
        None => {
            let (email, role) = (email.clone(), *role);
            let user = User { email, role, password: None, epoch: draw()?, subject: None };
            (SideRecord::new(SideTable::User, id.clone(), now), user)
        }
        Some((record, user)) => (record.next(), user),
    };
    if user.subject.as_ref().is_some_and(|known| known != subject) {
        return Ok(None);
    }
    let role = if user.password.is_some() { user.role } else { *role };
    let next = User { role, subject: Some(subject.clone()), ..user.clone() };
    if record.revision == 1 || next.role != user.role || next.subject != user.subject {
        store.write_sides(vec![record.with(&next).into()]).await?;
    }
    Ok(Some((id, next)))
}

/// Whether it could be somebody's address.
pub(in crate::http) fn is_address(text: &str) -> bool {
    address(text).is_ok()
}

fn role_name(text: &str) -> Result<(), &'static str> {
    text.parse::<Role>().map(drop).map_err(|_| "it must be one of: viewer, support, admin")
}

/// `GET /users`.
pub(in crate::http) async fn list(
    State(state): State<AppState>,
    query: RawQuery,
) -> Result<Json<Value>, Problem> {
    Query::read(query, &[])?;
    Ok(whole(all(&*state.store).await?))
}

/// `POST /users`: an account, and the link by which its person sets a password.
pub(in crate::http) async fn post(
    State(state): State<AppState>,
    body: Bytes,
) -> Result<(Extension<Unkept>, Json<Value>), Problem> {
    let mut errors = Vec::new();
    let known = ["email", "role"];
    let mut fields = Fields::of(read_json(&body)?, String::new(), &known, &mut errors);
    let email = fields.required_text("email", address).unwrap_or_default();
    let role = fields.required_text("role", role_name).unwrap_or_default();
    checked((), errors)?;
    let role = role.parse().unwrap_or(Role::Viewer);
    Ok((Extension(Unkept), Json(json!(add(&state, &email, role).await?))))
}

/// `PUT /users/{id}`: another role.
pub(in crate::http) async fn put(
    State(state): State<AppState>,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Json<Value>, Problem> {
    let mut errors = Vec::new();
    let mut fields = Fields::of(read_json(&body)?, String::new(), &["role"], &mut errors);
    let role = fields.required_text("role", role_name).unwrap_or_default();
    checked((), errors)?;
    Ok(Json(json!(change(&state, &id, role.parse().unwrap_or(Role::Viewer)).await?)))
}

/// `POST /users/{id}/reset`.
pub(in crate::http) async fn post_reset(
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<(Extension<Unkept>, Json<Value>), Problem> {
    Ok((Extension(Unkept), Json(json!(reset(&state, &id).await?))))
}

/// `DELETE /users/{id}`.
pub(in crate::http) async fn delete(
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    Ok(Json(json!(remove(&state, &id).await?)))
}
