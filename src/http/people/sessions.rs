//! Sessions of the dashboard, and links by which somebody sets a password.
//!
//! What must stay true: only digests of their secrets are stored; a session ends with its time,
//! with its person, with a new password, and with another admin token, from the next request on; a
//! link works once, for 30 minutes; the link for the first account is void once there is one.

use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

use super::users::{self, User};
use super::{Kind, Who, draw, print_of};
use crate::core::access::Role;
use crate::http::Problem;
use crate::http::link::sign;
use crate::store::{SideRecord, SideTable, SideWrite, Store, StoreError};

/// How long a session lasts.
pub(in crate::http) const SESSION: SignedDuration = SignedDuration::from_hours(12);
/// How long a link to set a password holds.
const INVITATION: SignedDuration = SignedDuration::from_mins(30);
/// Old records that go with each new one.
const FORGOTTEN: usize = 20;
/// The record that every first account is written over, so that there is one.
const FIRST: &str = "first";

/// A session, as stored under the digest of its token.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Session {
    of: Owner,
    expires_at: Timestamp,
}

/// Whose session it is.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Owner {
    /// Whoever had this admin token: proven by a signature that only it makes.
    AdminToken { proof: String },
    /// A person, while their password is the one that it was.
    Person { user: String, epoch: String },
}

/// A link to set a password, as stored under the digest of its token.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::http) struct Invitation {
    /// For whom; none: the first account, whoever makes it.
    pub(in crate::http) email: Option<String>,
    expires_at: Timestamp,
    #[serde(default)]
    used: bool,
}

fn proof(admin: &SecretString, token: &str) -> String {
    hex::encode(sign(admin.expose_secret().as_bytes(), &format!("recoup:session:{token}")))
}

/// What the forms of a session must send back.
pub(in crate::http) fn csrf(token: &str) -> String {
    hex::encode(sign(token.as_bytes(), "recoup:csrf"))
}

/// Begins a session of a person; its token.
pub(in crate::http) async fn begin(
    store: &dyn Store,
    id: &str,
    user: &User,
    now: Timestamp,
) -> Result<String, Problem> {
    let token = draw()?;
    let of = Owner::Person { user: id.to_owned(), epoch: user.epoch.clone() };
    keep(store, &token, (of, Some(id.to_owned())), now).await?;
    Ok(token)
}

/// Begins a session of whoever has the admin token; its token.
pub(in crate::http) async fn begin_as_admin(
    store: &dyn Store,
    admin: &SecretString,
    now: Timestamp,
) -> Result<String, Problem> {
    let token = draw()?;
    let of = Owner::AdminToken { proof: proof(admin, &token) };
    keep(store, &token, (of, None), now).await?;
    Ok(token)
}

async fn keep(
    store: &dyn Store,
    token: &str,
    (of, group): (Owner, Option<String>),
    now: Timestamp,
) -> Result<(), StoreError> {
    let session = Session { of, expires_at: now + SESSION };
    let record = SideRecord::new(SideTable::Session, print_of(token), now);
    let mut writes = vec![record.with(&session).in_group(group).into()];
    writes.extend(old(store, SideTable::Session, now - SESSION).await?);
    store.write_sides(writes).await
}

async fn old(
    store: &dyn Store,
    table: SideTable,
    before: Timestamp,
) -> Result<impl Iterator<Item = SideWrite>, StoreError> {
    let old = store.sides_before(table, before, FORGOTTEN).await?;
    Ok(old.into_iter().map(|old| SideWrite::Remove(old.table, old.key)))
}

/// Who a session's token belongs to now.
pub(in crate::http) async fn holder(
    store: &dyn Store,
    admin: Option<&SecretString>,
    token: &str,
    now: Timestamp,
) -> Result<Option<Who>, StoreError> {
    let Some(record) = store.side(SideTable::Session, &print_of(token)).await? else {
        return Ok(None);
    };
    let Session { of, expires_at } = record.read()?;
    if now >= expires_at {
        return Ok(None);
    }
    match of {
        Owner::AdminToken { proof: known } => {
            let holds = admin.is_some_and(|admin| proof(admin, token) == known);
            Ok(holds.then(Who::root))
        }
        Owner::Person { user, epoch } => {
            let found = users::find(store, &user).await?;
            let user = found.map(|(_, user)| user).filter(|user| user.epoch == epoch);
            let (kind, metrics) = (Kind::Person, false);
            Ok(user.map(|user| Who { kind, name: user.email, role: Some(user.role), metrics }))
        }
    }
}

/// Ends a session.
pub(in crate::http) async fn end(store: &dyn Store, token: &str) -> Result<(), StoreError> {
    store.write_sides(vec![SideWrite::Remove(SideTable::Session, print_of(token))]).await
}

/// What takes all sessions of a person away.
pub(super) async fn ends_of(store: &dyn Store, id: &str) -> Result<Vec<SideWrite>, StoreError> {
    let all = store.sides_of(SideTable::Session, id).await?;
    Ok(all.into_iter().map(|one| SideWrite::Remove(one.table, one.key)).collect())
}

/// Makes a link by which `email` (none: whoever comes first) sets a password.
pub(super) async fn invite(
    store: &dyn Store,
    public_url: &str,
    email: Option<&str>,
    now: Timestamp,
) -> Result<(String, Timestamp), Problem> {
    let token = draw()?;
    let expires_at = now + INVITATION;
    let invitation = Invitation { email: email.map(str::to_owned), expires_at, used: false };
    let record = SideRecord::new(SideTable::Invitation, print_of(&token), now).with(&invitation);
    let mut writes = vec![record.into()];
    writes.extend(old(store, SideTable::Invitation, now - INVITATION).await?);
    store.write_sides(writes).await?;
    Ok((format!("{}/set-up/{token}", public_url.trim_end_matches('/')), expires_at))
}

/// The link for the first account; none where there is one.
pub async fn first_link(
    store: &dyn Store,
    public_url: &str,
    now: Timestamp,
) -> Result<Option<String>, StoreError> {
    if users::any(store).await? {
        return Ok(None);
    }
    let made = invite(store, public_url, None, now).await;
    let refused = |_| StoreError::Refused("it takes no link".to_owned());
    made.map(|(link, _)| Some(link)).map_err(refused)
}

/// The link that a token makes, if it still holds.
pub(in crate::http) async fn invitation(
    store: &dyn Store,
    token: &str,
    now: Timestamp,
) -> Result<Option<(SideRecord, Invitation)>, StoreError> {
    let Some(record) = store.side(SideTable::Invitation, &print_of(token)).await? else {
        return Ok(None);
    };
    let found: Invitation = record.read()?;
    if now >= found.expires_at || found.used {
        return Ok(None);
    }
    let void = found.email.is_none() && users::any(store).await?;
    Ok((!void).then_some((record, found)))
}

/// Sets a password through a link, once. Every other session of the account ends.
pub(in crate::http) async fn accept(
    store: &dyn Store,
    (token, email): (&str, &str),
    password: String,
    now: Timestamp,
) -> Result<Option<(String, User)>, Problem> {
    let Some((record, found)) = invitation(store, token, now).await? else { return Ok(None) };
    let email = found.email.clone().unwrap_or_else(|| email.trim().to_lowercase());
    let id = users::id_of(&email);
    let (password, epoch) = (Some(password), draw()?);
    let (account, user) = match users::find(store, &id).await? {
        Some((account, user)) => (account.next(), User { password, epoch, ..user }),
        None if found.email.is_none() => {
            let user = User { email, role: Role::Admin, password, epoch, subject: None };
            (SideRecord::new(SideTable::User, id.clone(), now), user)
        }
        // An account that was removed meanwhile does not come back by its link.
        None => return Ok(None),
    };
    let mut writes = ends_of(store, &id).await?;
    if found.email.is_none() {
        // Of two who make the first account at once, by two links, one comes second.
        let first = store.side(SideTable::Invitation, FIRST).await?;
        let first = first.map_or_else(
            || SideRecord::new(SideTable::Invitation, FIRST, now),
            |first| SideRecord { at: now, ..first.next() },
        );
        let spent = Invitation { used: true, ..found.clone() };
        writes.push(first.with(&spent).into());
    }
    // Spent by the very write that uses it: of two who come at once, one finds it changed.
    writes.push(record.next().with(&Invitation { used: true, ..found }).into());
    writes.push(account.with(&user).into());
    match store.write_sides(writes).await {
        Ok(()) => Ok(Some((id, user))),
        Err(StoreError::Changed { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::memory::MemoryStore;

    #[tokio::test]
    async fn a_session_ends_by_time_and_with_the_admin_token() {
        let store = MemoryStore::new([0; 32]);
        let (admin, now) = (SecretString::from("token"), Timestamp::UNIX_EPOCH);
        let token = begin_as_admin(&store, &admin, now).await.unwrap();
        let at = async |admin: Option<&SecretString>, after: SignedDuration| {
            holder(&store, admin, &token, now + after).await.unwrap().is_some()
        };
        let almost = SESSION - SignedDuration::from_secs(1);
        assert!(at(Some(&admin), almost).await && !at(Some(&admin), SESSION).await);
        assert!(!at(Some(&SecretString::from("other")), almost).await);
        assert!(!at(None, almost).await, "the token was taken out of the file");
        assert!(holder(&store, Some(&admin), "", now).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_link_holds_for_half_an_hour() {
        let store = MemoryStore::new([0; 32]);
        let now = Timestamp::UNIX_EPOCH;
        let link = first_link(&store, "https://a.example/", now).await.unwrap().unwrap();
        let token = link.strip_prefix("https://a.example/set-up/").unwrap();
        let at = async |after: i64| {
            let then = now + SignedDuration::from_secs(after);
            invitation(&store, token, then).await.unwrap().is_some()
        };
        assert!(at(1_799).await && !at(1_800).await);
    }
}
