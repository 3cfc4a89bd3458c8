//! The audit list: who did what, by which way, and how it came out.
//!
//! Why here: one place names deeds and writes them down, whichever way they came.
//!
//! What must stay true: it is appended to and never changed, but where a customer is forgotten; it
//! holds ids, no bodies and no secrets; a deed that was done is not undone because it could not be
//! noted: that is said in the log.

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::Method;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::rule::Inside;
use super::{Kind, Who};
use crate::clock::real_now;
use crate::core::ids::digest;
use crate::core::schema::{one_of, shown};
use crate::http::api::input::Query;
use crate::http::api::unique;
use crate::http::{AppState, Problem};
use crate::store::erase::reference;
use crate::store::{SideRecord, SideTable, SideWrite, Store, StoreError};

/// How long the audit list reaches back.
const KEPT: SignedDuration = SignedDuration::from_hours(400 * 24);
/// Old entries that go with each new one.
const FORGOTTEN: usize = 20;
/// Longest name of a deed.
const MAX_DEED: usize = 30;
/// Longest id of what a deed is about.
const MAX_ABOUT: usize = 200;

/// By which way somebody came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::http) enum Via {
    /// The API.
    Api,
    /// A command of recoup.
    CommandLine,
    /// The dashboard.
    Dashboard,
}

/// How a deed came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::http) enum Outcome {
    /// It was done.
    Done,
    /// It broke off; it may have been done.
    Failed,
    /// They may not, and nothing was done.
    Refused,
}

one_of! {
    "CallerWay" Via { Api, CommandLine, Dashboard }
    "DeedOutcome" Outcome { Done, Failed, Refused }
}

impl Via {
    /// Its name.
    pub(in crate::http) fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::CommandLine => "command_line",
            Self::Dashboard => "dashboard",
        }
    }
}

impl Outcome {
    /// Its name.
    pub(in crate::http) fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Refused => "refused",
        }
    }
}

/// What was done, to what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::http) struct Deed {
    /// `cases.retry`.
    what: String,
    /// The id of the case, the customer, the gateway …
    about: Option<String>,
}

impl Deed {
    /// A deed of this name.
    pub(in crate::http) fn named(what: &str) -> Self {
        Self { what: what.to_owned(), about: None }
    }

    /// The deed of a request: the first part of the path is what it is about, the second whose, and
    /// what is left is the deed; where nothing is, the method says it.
    pub(in crate::http) fn of(method: &Method, path: &str) -> Self {
        let inner = path.split_once("/api/v1/").map_or(path, |(_, inner)| inner);
        let mut parts = inner.split('/').filter(|part| !part.is_empty()).map(decoded);
        let room = parts.next().unwrap_or_default();
        let rest: Vec<_> = parts.collect();
        let plain = match (method.as_str(), room.as_str()) {
            ("DELETE", _) => "remove",
            ("PUT", _) => "change",
            (_, "reconcile" | "retention") => "run",
            _ => "add",
        };
        // Rooms without ids: what follows is the deed.
        let has_ids = !["learning", "policies", "test-clock", "hold"].contains(&room.as_str());
        let (about, deed) = match (rest.as_slice(), has_ids) {
            ([], _) => (None, plain),
            ([deed], false) => (None, deed.as_str()),
            ([about], true) => (Some(about), plain),
            ([about, .., deed], _) => (Some(about), deed.as_str()),
        };
        let about = about.map(|about| about.chars().take(MAX_ABOUT).collect());
        // The path is the caller's: what names no deed is not written down as one.
        let is_word = |c: char| c.is_ascii_lowercase() || c == '-';
        let fits = deed.len() <= MAX_DEED && deed.chars().all(is_word);
        let deed = if fits { deed } else { "unknown" };
        Self { what: format!("{room}.{deed}"), about }
    }
}

impl Deed {
    /// Who is forgotten is not named by the very line that says so: the books' reference is.
    pub(in crate::http) fn without_names(self) -> Self {
        match self.what.as_str() {
            "customers.forget" => Self { about: self.about.as_deref().map(reference), ..self },
            _ => self,
        }
    }
}

fn decoded(part: &str) -> String {
    // A path is what a form's value is, but for the plus.
    let plain = part.replace('+', "%2B");
    let pair = format!("x={plain}");
    let mut read = url::form_urlencoded::parse(pair.as_bytes());
    read.next().map_or_else(String::new, |(_, value)| value.into_owned())
}

/// What was done, as stored.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Entry {
    kind: Kind,
    who: String,
    what: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    about: Option<String>,
    via: Via,
    outcome: Outcome,
}

shown! {
    /// What somebody did.
    as "AuditEntry" AuditView {
        /// Its id.
        id: String,
        /// When, by the machine's clock.
        at: Timestamp,
        /// What kind of caller it was.
        kind: Kind,
        /// Who: a person's address, a token's name, or "admin token".
        who: String,
        /// What, e.g. "cases.retry".
        what: String,
        /// The id of what it was done to.
        about: Option<String>,
        /// By which way.
        via: Via,
        /// How it came out.
        outcome: Outcome,
    }
}

/// Notes what somebody did.
pub(in crate::http) async fn note(inside: &Inside, deed: Deed, outcome: Outcome) {
    write(&*inside.state.store, (&inside.who, inside.via), deed, outcome).await;
}

/// Notes what somebody did who is not inside: at the door.
pub(in crate::http) async fn write(
    store: &dyn Store,
    (who, via): (&Who, Via),
    Deed { what, about }: Deed,
    outcome: Outcome,
) {
    let now = real_now();
    tracing::info!(kind = ?who.kind, what, ?outcome, "a deed");
    // In the order in which they were done, also within a millisecond.
    let nanos = now.as_nanosecond().max(0);
    let key = format!("aud_{nanos:016x}{}", &digest(&[&unique()])[..6]);
    let told = what.clone();
    let entry = Entry { kind: who.kind, who: who.name.clone(), what, about, via, outcome };
    let mut writes = vec![SideRecord::new(SideTable::Audit, key, now).with(&entry).into()];
    if let Ok(old) = store.sides_before(SideTable::Audit, now - KEPT, FORGOTTEN).await {
        writes.extend(old.into_iter().map(|old| SideWrite::Remove(old.table, old.key)));
    }
    if let Err(error) = store.write_sides(writes).await {
        tracing::error!(%error, what = told, "the audit list could not be written");
    }
}

/// One entry as it is shown.
pub(in crate::http) fn view(record: &SideRecord) -> Result<AuditView, StoreError> {
    let Entry { kind, who, what, about, via, outcome } = record.read()?;
    Ok(AuditView { id: record.key.clone(), at: record.at, kind, who, what, about, via, outcome })
}

/// `GET /audit`.
pub(in crate::http) async fn list(
    State(state): State<AppState>,
    query: RawQuery,
) -> Result<Json<Value>, Problem> {
    let query = Query::read(query, &["limit", "starting_after"])?;
    let (limit, after) = (query.limit()?, query.get("starting_after"));
    if let Some(after) = after
        && state.store.side(SideTable::Audit, after).await?.is_none()
    {
        return Err(Problem::query("starting_after", "there is no such entry"));
    }
    let page = state.store.sides(SideTable::Audit, after, limit).await?;
    let data: Result<Vec<AuditView>, _> = page.data.iter().map(view).collect();
    Ok(Json(json!({ "data": data?, "has_more": page.has_more })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deed_has_the_same_name_on_every_way() {
        let of = |method: Method, path: &str| {
            let Deed { what, about } = Deed::of(&method, path);
            format!("{what} {}", about.unwrap_or_default())
        };
        assert_eq!(of(Method::POST, "/api/v1/cases/case_1/retry"), "cases.retry case_1");
        assert_eq!(of(Method::POST, "/cases/case_1/retry"), "cases.retry case_1");
        assert_eq!(of(Method::POST, "/shop/api/v1/cases/case_1/retry"), "cases.retry case_1");
        assert_eq!(of(Method::PUT, "/api/v1/customers/a%2Bb%40c"), "customers.change a+b@c");
        assert_eq!(of(Method::DELETE, "/api/v1/hold"), "hold.remove ");
        assert_eq!(of(Method::POST, "/api/v1/learning/merge"), "learning.merge ");
        assert_eq!(of(Method::POST, "/api/v1/tokens"), "tokens.add ");
        assert_eq!(of(Method::DELETE, "/api/v1/tokens/tok_1"), "tokens.remove tok_1");
        assert_eq!(of(Method::POST, "/api/v1/reconcile"), "reconcile.run ");
        assert_eq!(of(Method::POST, "/cases/case_1/ana@x.test"), "cases.unknown case_1");
    }
}
