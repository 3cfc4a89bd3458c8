//! `/users`, `/tokens`, `/audit`: the rooms that only an admin enters.
//!
//! What must stay true: a link and a token are shown once, on the page that made them.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use super::asked::Asked;
use super::{Person, Sent, Trouble, shell};
use crate::core::access::Role;
use crate::http::Scope;
use crate::http::pages::{AuditRow, PeopleView, TokenRow, UserRow, audit_page, people_page};
use crate::http::people::{audit as list, tokens as programs, users as accounts};
use crate::http::{AppState, Problem, page, see_other};
use crate::store::SideTable;

/// Rows of the audit list on a page.
const ROWS: usize = 100;

/// What was made just now, and is shown this once.
#[derive(Default)]
struct Made {
    link: Option<(String, String)>,
    token: Option<(String, String)>,
}

/// `GET /users`.
pub(super) async fn users(
    State(state): State<AppState>,
    person: Person,
    asked: Asked,
) -> Result<Response, Trouble> {
    show(&state, &person, told(&asked), Made::default()).await
}

/// `GET /tokens`: on the same page.
pub(super) async fn tokens(person: Person) -> Response {
    drop(person);
    see_other("/users#tokens")
}

fn told(asked: &Asked) -> Option<String> {
    let told = match asked.text("done")? {
        "removed" => "Removed; every session of theirs has ended.",
        "revoked" => "Revoked: it opens nothing any more.",
        "changed" => "Changed, from their next click on.",
        _ => return None,
    };
    Some(told.to_owned())
}

async fn show(
    state: &AppState,
    person: &Person,
    notice: Option<String>,
    made: Made,
) -> Result<Response, Trouble> {
    let users = accounts::all(&*state.store).await?;
    let tokens = programs::all(&*state.store).await?;
    let view = PeopleView {
        shell: shell(state, &person.session, notice),
        link: made.link,
        token: made.token,
        users: users
            .into_iter()
            .map(|user| UserRow {
                is_self: user.email == person.session.name,
                id: user.id,
                email: user.email,
                role: user.role,
                has_password: user.has_password,
                since: user.created_at,
            })
            .collect(),
        tokens: tokens
            .into_iter()
            .map(|token| TokenRow {
                id: token.id,
                name: token.name,
                prefix: token.prefix,
                scopes: token.scopes,
                used: token.last_used_at,
            })
            .collect(),
    };
    Ok(page(StatusCode::OK, people_page(&view)))
}

/// What a form about people sends.
#[derive(Debug, Default, Deserialize)]
pub(super) struct UserForm {
    #[serde(default)]
    email: String,
    #[serde(default)]
    role: String,
}

/// What a problem of the API says, on a page.
fn as_page(problem: Problem) -> Trouble {
    match problem.status() {
        status if status.is_client_error() => Trouble::Asked(problem.in_words()),
        _ => Trouble::Store(problem),
    }
}

fn role(text: &str) -> Result<Role, Trouble> {
    text.parse().map_err(|_| Trouble::Asked(format!("There is no role “{text}”.")))
}

/// `POST /users`.
pub(super) async fn add_user(
    State(state): State<AppState>,
    Sent { person, form }: Sent<UserForm>,
) -> Result<Response, Trouble> {
    let added = accounts::add(&state, &form.email, role(&form.role)?).await.map_err(as_page)?;
    let link = Some((added.user.email, added.link));
    show(&state, &person, None, Made { link, ..Made::default() }).await
}

/// `POST /users/{id}/{change|reset|remove}`.
pub(super) async fn act_on_user(
    State(state): State<AppState>,
    Path((id, action)): Path<(String, String)>,
    Sent { person, form }: Sent<UserForm>,
) -> Result<Response, Trouble> {
    let done = match action.as_str() {
        "remove" => {
            accounts::remove(&state, &id).await.map_err(as_page)?;
            "removed"
        }
        "reset" => {
            let reset = accounts::reset(&state, &id).await.map_err(as_page)?;
            let link = Some((reset.user.email, reset.link));
            return show(&state, &person, None, Made { link, ..Made::default() }).await;
        }
        "change" => {
            accounts::change(&state, &id, role(&form.role)?).await.map_err(as_page)?;
            "changed"
        }
        _ => return Err(Trouble::Asked("There is no such action.".to_owned())),
    };
    Ok(see_other(&format!("/users?done={done}")))
}

/// What the form for a token sends.
#[derive(Debug, Default, Deserialize)]
pub(super) struct TokenForm {
    #[serde(default)]
    name: String,
    #[serde(default)]
    scope: String,
}

/// `POST /tokens`.
pub(super) async fn add_token(
    State(state): State<AppState>,
    Sent { person, form }: Sent<TokenForm>,
) -> Result<Response, Trouble> {
    let scope: Result<Scope, _> = form.scope.parse();
    let scope =
        scope.map_err(|_| Trouble::Asked(format!("There is no scope “{}”.", form.scope)))?;
    let (view, token) = programs::make(&state, &form.name, vec![scope]).await.map_err(as_page)?;
    let token = Some((view.name, token));
    show(&state, &person, None, Made { token, ..Made::default() }).await
}

/// `POST /tokens/{id}/remove`.
pub(super) async fn act_on_token(
    State(state): State<AppState>,
    Path((id, action)): Path<(String, String)>,
    Sent { .. }: Sent<TokenForm>,
) -> Result<Response, Trouble> {
    if action != "remove" {
        return Err(Trouble::Asked("There is no such action.".to_owned()));
    }
    programs::end(&state, &id).await.map_err(as_page)?;
    Ok(see_other("/users?done=revoked"))
}

/// `GET /audit`.
pub(super) async fn audit(
    State(state): State<AppState>,
    person: Person,
    asked: Asked,
) -> Result<Response, Trouble> {
    let after = asked.text("seen");
    let found = state.store.sides(SideTable::Audit, after, ROWS).await?;
    let mut rows = Vec::with_capacity(found.data.len());
    for record in &found.data {
        let entry = list::view(record)?;
        rows.push(AuditRow {
            at: entry.at,
            who: entry.who,
            via: entry.via.as_str().replace('_', " "),
            what: entry.what,
            href: entry.about.as_deref().and_then(href),
            about: entry.about,
            outcome: entry.outcome.as_str(),
        });
    }
    let last = found.data.last().filter(|_| found.has_more);
    let older = last.map(|last| Asked::default().with("seen", &last.key).href("/audit"));
    Ok(page(StatusCode::OK, audit_page(&shell(&state, &person.session, None), &rows, older)))
}

/// Where what a deed was about is shown.
fn href(about: &str) -> Option<String> {
    about.starts_with("case_").then(|| format!("/cases/{about}"))
}
