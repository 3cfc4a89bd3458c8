//! `/tokens`: programs that call the API, each with a token of its own.
//!
//! What must stay true: a token is shown once, when it is made, and only its digest is stored; one
//! that is revoked opens nothing from the next request on; nobody makes a token that may do more
//! than they may.

use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::scope::Scope;
use super::{Who, draw, print_of, wrong};
use crate::clock::real_now;
use crate::core::schema::shown;
use crate::http::api::input::{Fields, Query, checked, json as read_json};
use crate::http::api::once::Unkept;
use crate::http::view::whole;
use crate::http::{AppState, Problem};
use crate::store::{SideRecord, SideTable, SideWrite, Store, StoreError};

/// Tokens at most; more than anybody needs.
const MOST: usize = 500;
/// How exact `last_used_at` is: a write for every request would be too dear.
const USED_WITHIN: SignedDuration = SignedDuration::from_mins(5);
/// What a token begins with, so that it is known for what it is where it does not belong.
const BEGINS: &str = "recoup_";
/// How much of a token is shown in lists: its beginning, 32 of 256 bits.
const SHOWN: usize = BEGINS.len() + 8;
/// Stands before the id of a token.
const ID: &str = "tok_";

/// A token, as stored under the digest of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Token {
    name: String,
    scopes: Vec<Scope>,
    prefix: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    used_at: Option<Timestamp>,
}

shown! {
    /// A token of the API. What it is was shown once, when it was made.
    as "Token" TokenView {
        /// Its id.
        id: String,
        /// Its name.
        name: String,
        /// How it begins.
        prefix: String,
        /// What it opens.
        scopes: Vec<Scope>,
        /// When it was made.
        created_at: Timestamp,
        /// When it was used last, to five minutes.
        last_used_at: Option<Timestamp>,
    }
}

/// Who holds this token; none: nobody.
pub(in crate::http) async fn holder(
    store: &dyn Store,
    token: &str,
) -> Result<Option<Who>, StoreError> {
    if !token.starts_with(BEGINS) {
        return Ok(None);
    }
    let Some(record) = store.side(SideTable::Token, &print_of(token)).await? else {
        return Ok(None);
    };
    let mut found: Token = record.read()?;
    let who = Who::program(found.name.clone(), &found.scopes);
    let now = real_now();
    if found.used_at.is_none_or(|used| now.duration_since(used) >= USED_WITHIN) {
        found.used_at = Some(now);
        match store.write_sides(vec![record.next().with(&found).into()]).await {
            // Another request has just written the same, or it was revoked at this moment.
            Ok(()) | Err(StoreError::Changed { .. }) => {}
            Err(error) => tracing::debug!(%error, "the use of a token could not be noted"),
        }
    }
    Ok(Some(who))
}

fn id_of(record: &SideRecord) -> String {
    // The beginning of the digest names it, and is no use to anybody.
    format!("{ID}{}", record.key.get(..20).unwrap_or_default())
}

fn view(record: &SideRecord) -> Result<TokenView, StoreError> {
    let Token { name, scopes, prefix, used_at } = record.read()?;
    let (id, created_at) = (id_of(record), record.at);
    Ok(TokenView { id, name, prefix, scopes, created_at, last_used_at: used_at })
}

/// All tokens, the newest first.
pub(in crate::http) async fn all(store: &dyn Store) -> Result<Vec<TokenView>, StoreError> {
    store.sides(SideTable::Token, None, MOST).await?.data.iter().map(view).collect()
}

/// `GET /tokens`.
pub(in crate::http) async fn list(
    State(state): State<AppState>,
    query: RawQuery,
) -> Result<Json<Value>, Problem> {
    Query::read(query, &[])?;
    Ok(whole(all(&*state.store).await?))
}

/// `POST /tokens`: a token, which is shown this once.
pub(in crate::http) async fn create(
    State(state): State<AppState>,
    body: Bytes,
) -> Result<(Extension<Unkept>, Json<Value>), Problem> {
    let mut errors = Vec::new();
    let known = ["name", "scopes"];
    let mut fields = Fields::of(read_json(&body)?, String::new(), &known, &mut errors);
    let name = fields.required_text("name", name_fits).unwrap_or_default();
    let expected = "it must be a list of: metrics, read, write, admin";
    let scopes: Option<Vec<Scope>> = fields.parsed("scopes", expected);
    checked((), errors)?;
    let scopes = scopes.filter(|scopes| !scopes.is_empty());
    let scopes = scopes.ok_or_else(|| wrong("/scopes", expected))?;
    let (view, token) = make(&state, &name, scopes).await?;
    let mut answer = json!(view);
    answer["token"] = json!(token);
    Ok((Extension(Unkept), Json(answer)))
}

/// Makes a token: how it is listed, and itself.
pub(in crate::http) async fn make(
    state: &AppState,
    name: &str,
    mut scopes: Vec<Scope>,
) -> Result<(TokenView, String), Problem> {
    name_fits(name).map_err(|why| wrong("/name", why))?;
    let name = name.trim().to_owned();
    scopes.sort_unstable();
    scopes.dedup();
    let known = all(&*state.store).await?;
    if known.len() >= MOST || known.iter().any(|token| token.name == name) {
        let detail = "there is a token of this name, or there are too many: revoke one first";
        return Err(Problem::new(StatusCode::CONFLICT, "token_exists", detail));
    }
    let token = format!("{BEGINS}{}", draw()?);
    let prefix = token.get(..SHOWN).unwrap_or_default().to_owned();
    let record = SideRecord::new(SideTable::Token, print_of(&token), real_now());
    let record = record.with(&Token { name, scopes, prefix, used_at: None });
    state.store.write_sides(vec![record.clone().into()]).await?;
    Ok((view(&record)?, token))
}

fn name_fits(text: &str) -> Result<(), &'static str> {
    let name = text.trim();
    let plain = name.chars().all(|c| c.is_alphanumeric() || " ._-".contains(c));
    let fits = plain && (1..=60).contains(&name.chars().count()) && !name.starts_with(ID);
    if fits { Ok(()) } else { Err("it must have 1 to 60 letters, digits, spaces, `.`, `_`, `-`") }
}

/// `DELETE /tokens/{id}`: it opens nothing any more.
pub(in crate::http) async fn revoke(
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    Ok(Json(json!(end(&state, &id).await?)))
}

/// Takes a token back, by its id or its name.
pub(in crate::http) async fn end(state: &AppState, id: &str) -> Result<TokenView, Problem> {
    let page = state.store.sides(SideTable::Token, None, MOST).await?;
    for record in page.data {
        let view = view(&record)?;
        if view.id == id || view.name == id {
            let gone = SideWrite::Remove(SideTable::Token, record.key);
            state.store.write_sides(vec![gone]).await?;
            return Ok(view);
        }
    }
    Err(Problem::not_found("there is no token with this id or name"))
}
