//! News between processes: `LISTEN` and `NOTIFY`, as a wake-up and nothing else.
//!
//! Why here: a webhook that one process took is applied by another within moments, not with the
//! next poll.
//!
//! What must stay true: nothing depends on it: all work is read from the tables, and every process
//! polls. It is sent outside of transactions and not for each write, since the database lets only
//! one commit at a time notify.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::Instant;

use super::Inner;
use super::connect::Hear;
use crate::store::StoreError;

/// The channel; its name is of recoup, its payload says who sent it.
const CHANNEL: &str = "recoup";
/// At least so long between two notifications.
const PAUSE: Duration = Duration::from_millis(10);
/// How long until a lost session is made anew.
const AGAIN: Duration = Duration::from_secs(1);
/// How often a session is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Tells others and hears of others, from now on.
pub(super) fn start(inner: &Arc<Inner>) {
    let name = format!("{}-{:p}", std::process::id(), Arc::as_ptr(inner));
    tokio::spawn(tell(Arc::downgrade(inner), name.clone()));
    tokio::spawn(hear(Arc::downgrade(inner), name));
}

async fn tell(inner: Weak<Inner>, name: String) {
    loop {
        let Some(held) = inner.upgrade().filter(|inner| !inner.is_closed()) else { return };
        // Held while it waits; the store's end wakes it.
        held.news.notified().await;
        if held.is_closed() {
            return;
        }
        if let Ok(conn) = held.reader().await {
            // Lost, it is made up for by the poll.
            let _ = conn.query("SELECT pg_notify('recoup', $1)", &[&name]).await;
        }
        drop(held);
        tokio::time::sleep(PAUSE).await;
    }
}

async fn hear(inner: Weak<Inner>, name: String) {
    while let Some(held) = inner.upgrade().filter(|inner| !inner.is_closed()) {
        let place = held.place.clone();
        drop(held);
        let (waking, own) = (inner.clone(), name.clone());
        let hear: Hear = Box::new(move |from| {
            if from != own
                && let Some(inner) = waking.upgrade()
            {
                inner.wake_all();
            }
        });
        let session = async {
            let conn = place.connect(Some(hear)).await?;
            conn.batch(&format!("LISTEN {CHANNEL}")).await?;
            Ok::<_, StoreError>(conn)
        };
        let Ok(conn) = session.await else {
            tokio::time::sleep(AGAIN).await;
            continue;
        };
        // Whatever was said before is made up for.
        if let Some(inner) = inner.upgrade() {
            inner.wake_all();
        }
        let since = Instant::now();
        while conn.is_well() && inner.upgrade().is_some_and(|inner| !inner.is_closed()) {
            tokio::time::sleep(LOOK).await;
        }
        tracing::debug!(after = ?since.elapsed(), "the session that listens has ended");
    }
}
