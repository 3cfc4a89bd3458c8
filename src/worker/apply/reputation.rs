//! Reputation, in a batch: counted by the same transaction that keeps what it counts.
//!
//! Why here: a message and its count are one transaction, so a crash can neither lose a complaint
//! nor count it twice.
//!
//! What must stay true: it is read from the store once a batch, since another process may have
//! written it; what stops is said in the log once, without a customer in it.

use super::Batch;
use crate::core::customer::Channel;
use crate::core::reputation::{ChannelOrder, Reputation, Seen};
use crate::store::StoreError;

impl Batch<'_> {
    pub(super) async fn reputation(&mut self) -> Result<&mut Reputation, StoreError> {
        let known = match self.reputation.take() {
            Some(known) => known,
            None => self.store().reputation().await?,
        };
        Ok(self.reputation.insert(known))
    }

    /// Counts what a step made known of messages.
    pub(super) async fn hear(
        &mut self,
        before: Seen<'_>,
        after: Seen<'_>,
    ) -> Result<(), StoreError> {
        if before.0.messages == after.0.messages {
            return Ok(());
        }
        let (ceilings, now) = (self.applier.ceilings, self.now);
        let reputation = self.reputation().await?;
        let was = reputation.clone();
        let stops = reputation.note(before, after, &ceilings, now);
        let stop = stops.and_then(|channel| Some((channel, reputation.stop_of(channel)?)));
        if let Some((channel, stop)) = stop {
            let (channel, why) = (channel.as_str(), stop.why.as_str());
            tracing::error!(
                channel,
                why,
                "nothing goes by this channel any more until `recoup channels lift` is run"
            );
        }
        if *reputation != was {
            self.commit.reputation = self.reputation.clone();
        }
        Ok(())
    }

    /// Does what a person orders of a channel.
    pub(super) async fn order(
        &mut self,
        channel: Channel,
        order: &ChannelOrder,
    ) -> Result<(), StoreError> {
        let now = self.now;
        if self.reputation().await?.obey(channel, order, now) {
            let lifts = matches!(order, ChannelOrder::Lift);
            tracing::info!(channel = channel.as_str(), lifts, "a person ordered it of a channel");
            self.commit.reputation = self.reputation.clone();
        }
        Ok(())
    }
}

/// Shows which channels are stopped, for `/metrics`.
pub fn show(reputation: &Reputation) {
    let stopped = reputation.stopped();
    for channel in Channel::ALL {
        let value = if stopped.contains(&channel) { 1.0 } else { 0.0 };
        metrics::gauge!("recoup_channel_stopped", "channel" => channel.as_str()).set(value);
    }
}
