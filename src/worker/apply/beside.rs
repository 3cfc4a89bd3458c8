//! The inbox, beside what is being read: nothing in here waits for a gateway.
//!
//! Why here: what a webhook points to is read by [`Reading`]; this begins the reads and applies
//! what came of them, with everything that needed none.
//!
//! What must stay true: an input that is being read is not begun to be read again.

use jiff::Timestamp;

use super::{Applier, BATCH};
use crate::store::StoreError;
use crate::worker::intake::{Intake, Seen, Taken};
use crate::worker::reading::{Begun, Reading};

impl Applier {
    /// As [`Applier::inbox`], without waiting for anybody: what has to be read first is begun to be
    /// read, and what was read meanwhile is applied.
    pub(in crate::worker) async fn inbox_beside(
        &self,
        reading: &mut Reading,
        now: Timestamp,
    ) -> Result<usize, StoreError> {
        let entries = self.store.inbox(now, BATCH + reading.len()).await?;
        let fresh = entries.into_iter().filter(|entry| !reading.holds(entry.number));
        let fresh: Vec<_> = fresh.collect();
        let mut inputs = reading.finished();
        let (intake, mut begun) = (Intake::new(&self.gateways), 0);
        for entry in fresh {
            match intake.look_at(&entry, now) {
                Seen::Whole(taken) => inputs.push((entry, taken)),
                Seen::Unread(gateway, events) => {
                    match reading.begin(entry, (gateway, events), now) {
                        Begun::Yes => begun += 1,
                        Begun::PutOff(entry, at) => inputs.push((*entry, Taken::PutOff(at))),
                        Begun::Waits => {}
                    }
                }
            }
        }
        self.take_in(&inputs, now).await?;
        Ok(inputs.len() + begun)
    }
}
