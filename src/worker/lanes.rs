//! Lanes under way: how many effects of each are being performed, and what that leaves room for.
//!
//! Why here: a gateway or mail server that hangs keeps its own lane full until its calls time out,
//! and takes no room from the others.
//!
//! What must stay true: no lane and not all together have more under way than their bound; while a
//! gateway's lane that goes well is full, cases that are due are taken up little by little, so that
//! what was decided does not grow old in the outbox; they are never kept waiting altogether.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use crate::core::customer::Channel;
use crate::core::lane::Lane;
use crate::store::Room;

/// Effects under way at the same time, of all lanes.
const AT_ONCE: usize = 512;
/// Of one lane of gateways: at two seconds a charge, some thirty a second.
pub(super) const AT_A_GATEWAY: usize = 64;
/// Of one channel: Postfix, as it is shipped, refuses a client's 51st connection
/// (`smtpd_client_connection_count_limit`).
pub(super) const ON_A_CHANNEL: usize = 32;
/// A full lane out of which nothing came for so long, or whose calls take so long, stands still:
/// nobody waits for it.
const STANDS_STILL: Duration = Duration::from_secs(8);
/// While a full lane moves, due cases are taken up once in so long.
const LITTLE_BY_LITTLE: Duration = Duration::from_millis(500);

/// What is under way, by lane.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    busy: BTreeMap<Lane, Busy>,
    /// Those of which more is ready than was claimed, as of the last claim.
    crowded: BTreeSet<Lane>,
    /// When due cases were taken up although a lane was full.
    squeezed_in: Option<Instant>,
}

#[derive(Debug, Clone, Copy)]
struct Busy {
    count: usize,
    /// When an effect came back, or the first one left.
    moved: Instant,
    /// Whether the last one that came back had taken long.
    slow: bool,
}

impl Lanes {
    /// What may be claimed now.
    pub(super) fn room(&self) -> Room {
        let total = AT_ONCE.saturating_sub(self.count());
        let channels = Channel::ALL.into_iter().map(Lane::of_channel);
        let lanes = channels.chain(self.busy.keys().cloned());
        let of = lanes.map(|lane| {
            let under_way = self.busy.get(&lane).map_or(0, |busy| busy.count);
            let room = bound(&lane).saturating_sub(under_way);
            (lane, room)
        });
        Room { total, each: AT_A_GATEWAY, of: of.collect() }
    }

    fn count(&self) -> usize {
        self.busy.values().map(|busy| busy.count).sum()
    }

    /// An effect of this lane leaves.
    pub(super) fn begin(&mut self, lane: Lane, at: Instant) {
        self.busy.entry(lane).or_insert(Busy { count: 0, moved: at, slow: false }).count += 1;
    }

    /// One that had left at `began` came back.
    pub(super) fn end(&mut self, lane: &Lane, began: Instant, at: Instant) {
        if let Some(busy) = self.busy.get_mut(lane) {
            busy.count = busy.count.saturating_sub(1);
            busy.moved = at;
            busy.slow = at.duration_since(began) >= STANDS_STILL;
        }
        self.busy.retain(|_, busy| busy.count > 0);
    }

    /// What the last claim left behind.
    pub(super) fn note_crowded(&mut self, crowded: BTreeSet<Lane>) {
        self.crowded = crowded;
    }

    /// Whether any lane has more to do than it has room for.
    pub(super) fn is_crowded(&self) -> bool {
        !self.crowded.is_empty()
    }

    /// Whether cases that are due may be taken up: no gateway's lane that moves has more to do than
    /// it has room for, or none was taken up for a while.
    pub(super) fn can_follow(&mut self, now: Instant) -> bool {
        let keeps_up = self.crowded.iter().all(|lane| !self.is_to_be_waited_for(lane, now));
        let long_ago = |last: Instant| now.duration_since(last) >= LITTLE_BY_LITTLE;
        if !keeps_up && !self.squeezed_in.is_none_or(long_ago) {
            return false;
        }
        self.squeezed_in = Some(now);
        true
    }

    /// Messages can wait for days.
    fn is_to_be_waited_for(&self, lane: &Lane, now: Instant) -> bool {
        let moves = |busy: &Busy| !busy.slow && now.duration_since(busy.moved) < STANDS_STILL;
        !lane.is_channel() && self.busy.get(lane).is_none_or(moves)
    }
}

fn bound(lane: &Lane) -> usize {
    if lane.is_channel() { ON_A_CHANNEL } else { AT_A_GATEWAY }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_lane_leaves_the_others_their_room() {
        let (mut lanes, now) = (Lanes::default(), Instant::now());
        let (hanging, other) = (Lane::from("hanging"), Lane::from("other"));
        for _ in 0..AT_A_GATEWAY {
            lanes.begin(hanging.clone(), now);
        }
        let room = lanes.room();
        assert_eq!(room.of(&hanging), 0);
        assert_eq!(room.of(&other), AT_A_GATEWAY);
        assert_eq!(room.of(&Lane::of_channel(Channel::Email)), ON_A_CHANNEL);
        lanes.end(&hanging, now, now);
        assert_eq!(lanes.room().of(&hanging), 1);
    }

    /// A lane that has more to do than it has room for.
    fn crowded(lane: Lane, now: Instant) -> Lanes {
        let mut lanes = Lanes { squeezed_in: Some(now), ..Lanes::default() };
        lanes.begin(lane.clone(), now);
        lanes.note_crowded(BTreeSet::from([lane]));
        lanes
    }

    #[test]
    fn cases_come_little_by_little_while_a_full_lane_moves_and_freely_when_it_stands_still() {
        let (now, lane) = (Instant::now(), Lane::from("stripe"));
        let mut lanes = crowded(lane.clone(), now);
        assert!(!lanes.can_follow(now));
        assert!(lanes.can_follow(now + LITTLE_BY_LITTLE), "never altogether");
        assert!(!lanes.can_follow(now + LITTLE_BY_LITTLE));
        let later = now + STANDS_STILL;
        assert!(lanes.can_follow(later) && lanes.can_follow(later), "it stands still");
        lanes.begin(lane.clone(), later);
        lanes.end(&lane, later, later);
        assert!(!lanes.can_follow(later), "it moves again");
        lanes.begin(lane.clone(), later);
        lanes.end(&lane, now, later);
        assert!(lanes.can_follow(later), "one call took long");
    }

    #[test]
    fn nobody_waits_for_messages() {
        let now = Instant::now();
        let mut lanes = crowded(Lane::of_channel(Channel::Email), now);
        assert!(lanes.can_follow(now) && lanes.can_follow(now));
    }
}
