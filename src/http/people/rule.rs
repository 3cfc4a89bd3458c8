//! What each route asks of its caller, held in one place.
//!
//! Why here: a route stands in its table with its rule, and the rule stands around its handler: it
//! is asked before the handler runs, and what was done is noted when it has run. The same rule is
//! what the API's description says.
//!
//! What must stay true: a request whose caller nobody has looked up does nothing; a deed that is
//! refused for its role changes nothing; reading is not noted.

use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::MethodRouter;

use super::audit::{self, Outcome, Via};
use super::scope::Scope;
use super::{Kind, Who};
use crate::core::access::Role;
use crate::http::pages::{Shell, problem_page};
use crate::http::{AppState, Problem, page};

/// Who calls, for the rules and handlers further in.
#[derive(Clone)]
pub(in crate::http) struct Inside {
    /// Where what is done is noted.
    pub(in crate::http) state: AppState,
    /// Who it is.
    pub(in crate::http) who: Who,
    /// By which way they came.
    pub(in crate::http) via: Via,
    /// What a refusal looks like; none: problem JSON.
    pub(in crate::http) shell: Option<Shell>,
}

/// What a route asks of its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) struct Rule {
    needs: Role,
    reads: bool,
    /// The names of actions, last in the path, that need an admin.
    admins: &'static [&'static str],
}

impl Rule {
    /// To look.
    pub(in crate::http) const SEE: Self = Self { needs: Role::Viewer, reads: true, admins: &[] };

    /// To act on cases and customers.
    pub(in crate::http) const ACT: Self = Self { needs: Role::Support, reads: false, admins: &[] };

    /// To decide who may do what, and how the service works.
    pub(in crate::http) const RULE: Self = Self { needs: Role::Admin, reads: false, admins: &[] };

    /// To look at what is an admin's business.
    pub(in crate::http) const INSPECT: Self = Self { needs: Role::Admin, reads: true, admins: &[] };

    /// What a route asks that says nothing of its own: a change is an admin's.
    pub(in crate::http) fn of_method(method: &str) -> Self {
        if method == "get" { Self::SEE } else { Self::RULE }
    }

    /// The same, with actions that need an admin.
    pub(in crate::http) const fn but_for(self, admins: &'static [&'static str]) -> Self {
        Self { admins, ..self }
    }

    /// The least role.
    pub(in crate::http) fn needs(self) -> Role {
        self.needs
    }

    /// The actions that need an admin.
    pub(in crate::http) fn admins(self) -> &'static [&'static str] {
        self.admins
    }

    /// The role that the action at the end of this path needs.
    pub(in crate::http) fn needs_of(self, path: &str) -> Role {
        let action = path.rsplit('/').next().unwrap_or_default();
        if self.admins.contains(&action) { Role::Admin } else { self.needs }
    }

    /// Stands around a handler.
    pub(in crate::http) fn over(self, route: MethodRouter<AppState>) -> MethodRouter<AppState> {
        route.layer(middleware::from_fn_with_state(self, pass))
    }
}

/// Lets who may pass, and notes what they did.
async fn pass(State(rule): State<Rule>, request: Request, next: Next) -> Response {
    let Some(inside) = request.extensions().get::<Inside>().cloned() else {
        // A route that was put in front of the door: nobody gets in there.
        tracing::error!("a route is not behind the door");
        return crate::http::auth::unauthorized().into_response();
    };
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let needed = rule.needs_of(&path);
    let deed = audit::Deed::of(&method, &path).without_names();
    let changes = !rule.reads && method != Method::HEAD && method != Method::OPTIONS;
    if !inside.who.may(needed) {
        if changes {
            audit::note(&inside, deed, Outcome::Refused).await;
        }
        return refuse(&inside, needed);
    }
    let response = next.run(request).await;
    if changes {
        let status = response.status();
        let outcome = match () {
            () if status.is_server_error() => Some(Outcome::Failed),
            () if status.is_client_error() => None,
            () => Some(Outcome::Done),
        };
        if let Some(outcome) = outcome {
            audit::note(&inside, deed, outcome).await;
        }
    }
    response
}

fn refuse(inside: &Inside, needed: Role) -> Response {
    let has = inside.who.role.map_or("nothing", Role::as_str);
    match &inside.shell {
        Some(shell) => {
            let text = format!(
                "This needs the role {needed}; yours is {has}. Nothing was done. An admin can \
                 change it: recoup user role {} {needed}",
                inside.who.name
            );
            page(StatusCode::FORBIDDEN, problem_page(shell, "Not with your role", &text))
        }
        None => {
            let scope = Scope::of(needed).as_str();
            let detail = match inside.who.kind {
                Kind::Token => format!(
                    "this needs a token with the scope `{scope}`; the token `{}` has not",
                    inside.who.name
                ),
                _ => format!("this needs the role {needed}; yours is {has}"),
            };
            Problem::new(StatusCode::FORBIDDEN, "forbidden", detail).into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_may_need_more_than_its_route() {
        let rule = Rule::ACT.but_for(&["mark-paid"]);
        assert_eq!(rule.needs_of("/cases/case_1/retry"), Role::Support);
        assert_eq!(rule.needs_of("/cases/case_1/mark-paid"), Role::Admin);
        assert_eq!(Rule::of_method("delete").needs(), Role::Admin);
        assert_eq!(Rule::of_method("get"), Rule::SEE);
    }
}
