//! People, programs and the audit list, for an admin.

use jiff::Timestamp;
use minijinja::{Value, context};

use super::desk::around;
use super::words::when;
use super::{Shell, fill};
use crate::core::access::Role;
use crate::http::Scope;

/// Who may come in.
#[derive(Debug, Clone)]
pub struct PeopleView {
    /// Around it.
    pub shell: Shell,
    /// Whose link was made just now, and the link.
    pub link: Option<(String, String)>,
    /// The name of the token that was made just now, and the token.
    pub token: Option<(String, String)>,
    /// People.
    pub users: Vec<UserRow>,
    /// Programs.
    pub tokens: Vec<TokenRow>,
}

/// One person.
#[derive(Debug, Clone)]
pub struct UserRow {
    /// Their id.
    pub id: String,
    /// Their address.
    pub email: String,
    /// What they may do.
    pub role: Role,
    /// Whether they have set a password.
    pub has_password: bool,
    /// Since when there is an account.
    pub since: Timestamp,
    /// Whether it is whoever looks.
    pub is_self: bool,
}

/// One token.
#[derive(Debug, Clone)]
pub struct TokenRow {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// How it begins.
    pub prefix: String,
    /// What it opens.
    pub scopes: Vec<Scope>,
    /// When it was used last.
    pub used: Option<Timestamp>,
}

/// One line of the audit list.
#[derive(Debug, Clone)]
pub struct AuditRow {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub who: String,
    /// By which way.
    pub via: String,
    /// What.
    pub what: String,
    /// About what.
    pub about: Option<String>,
    /// Where that is shown.
    pub href: Option<String>,
    /// How it came out.
    pub outcome: &'static str,
}

/// `GET /users`.
pub fn people_page(view: &PeopleView) -> String {
    let shell = &view.shell;
    let roles = |role: Role| -> Vec<Value> {
        let one = |one: Role| context! { name => one.as_str(), chosen => one == role };
        Role::ALL.into_iter().map(one).collect()
    };
    let user = |user: &UserRow| {
        context! {
            id => user.id.clone(),
            email => user.email.clone(),
            roles => roles(user.role),
            has_password => user.has_password,
            since => when(user.since, shell),
            iso => user.since.to_string(),
            is_self => user.is_self,
        }
    };
    let token = |token: &TokenRow| {
        let scopes: Vec<_> = token.scopes.iter().map(|scope| scope.as_str()).collect();
        context! {
            id => token.id.clone(),
            name => token.name.clone(),
            prefix => token.prefix.clone(),
            scopes => scopes.join(", "),
            used => token.used.map(|at| when(at, shell)),
            iso => token.used.map(|at| at.to_string()),
        }
    };
    let page = context! {
        here => "users",
        link => view.link.clone(),
        token => view.token.clone(),
        roles => roles(Role::Viewer),
        scopes => Scope::ALL.map(Scope::as_str),
        users => view.users.iter().map(user).collect::<Vec<_>>(),
        tokens => view.tokens.iter().map(token).collect::<Vec<_>>(),
    };
    fill("people.html", context! { ..page, ..around(shell) })
}

/// `GET /audit`.
pub fn audit_page(shell: &Shell, rows: &[AuditRow], older: Option<String>) -> String {
    let row = |row: &AuditRow| {
        context! {
            at => when(row.at, shell),
            iso => row.at.to_string(),
            who => row.who.clone(),
            via => row.via.clone(),
            what => row.what.clone(),
            about => row.about.clone(),
            href => row.href.clone(),
            outcome => row.outcome,
        }
    };
    let rows: Vec<_> = rows.iter().map(row).collect();
    fill("audit.html", context! { here => "audit", rows, older, ..around(shell) })
}
