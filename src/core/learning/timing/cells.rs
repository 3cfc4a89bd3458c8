//! Counters: of so many tries so many were approved, by what was known and on which days.
//!
//! Why here: one kind of group of declines has a table of fixed size. A try is counted under the
//! bill's day of the month, the customer's own history, the day of the refusal before it and its
//! own day. The day before matters: "declined on day 7, approved on day 14" is what a schedule of
//! several days is chosen by; counts by day alone would take the tries for independent.
//!
//! What must stay true: a count never overflows (both halves are halved together, which keeps the
//! share), `approved` is never more than `tries`, and an index is in the table for any input.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::history::History;

/// Days after the failed charge that are learned about; later ones count as the last.
pub const DAYS: usize = 30;
/// Days of the month, by twos.
pub(super) const BILLS: usize = 16;
/// The day before: the failed charge itself, then by twos.
pub(super) const BEFORES: usize = 16;
/// Pairs of the day before and a later day.
pub(super) const PAIRS: usize = OFFSETS[BEFORES];
/// Where the pairs of each day before begin.
const OFFSETS: [usize; BEFORES + 1] = offsets();
/// A count of one, in the units of the table.
const ONE: u16 = 16;

/// So many tries, and how many of them were approved; in sixteenths, since counts grow old.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) tries: u16,
    pub(super) approved: u16,
}

impl Count {
    fn add(&mut self, other: Self) {
        while u32::from(self.tries) + u32::from(other.tries) > u32::from(u16::MAX) {
            *self = self.scaled(1, 2);
            if self.tries == 0 {
                break;
            }
        }
        self.tries = self.tries.saturating_add(other.tries);
        self.approved = self.approved.saturating_add(other.approved).min(self.tries);
    }

    /// A part of it, rounded down, so that what is old is forgotten in the end.
    fn scaled(self, part: u32, of: u32) -> Self {
        let scale = |n: u16| (u32::from(n) * part / of.max(1)).min(u32::from(u16::MAX)) as u16;
        Self { tries: scale(self.tries), approved: scale(self.approved) }
    }

    /// As numbers of tries.
    pub(super) fn numbers(self) -> (f32, f32) {
        let one = f32::from(ONE);
        (f32::from(self.tries) / one, f32::from(self.approved) / one)
    }
}

const fn offsets() -> [usize; BEFORES + 1] {
    let (mut table, mut before) = ([0; BEFORES + 1], 0);
    while before < BEFORES {
        // After the failed charge: days 1 to 30; after days 1 and 2: 2 to 30; and so on.
        let first = if before == 0 { 1 } else { 2 * before };
        table[before + 1] = table[before] + (DAYS + 1 - first);
        before += 1;
    }
    table
}

/// In which row the refusal of this day stands.
pub(super) fn row_of(day: u32) -> usize {
    (day as usize).min(DAYS).div_ceil(2)
}

/// The first day that a row has.
pub(super) fn first_day(row: usize) -> usize {
    if row == 0 { 1 } else { 2 * row }
}

/// Where a pair stands.
pub(super) fn pair(row: usize, day: usize) -> usize {
    let row = row.min(BEFORES - 1);
    let day = day.clamp(first_day(row), DAYS);
    OFFSETS[row] + day - first_day(row)
}

/// The counters of one group of declines. Empty until something was learned.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Cells(Vec<Count>);

impl Cells {
    /// The longest table, in counts.
    const LENGTH: usize = BILLS * History::COUNT * PAIRS;

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The counts of one kind of bill and history, pair by pair.
    pub(super) fn of(&self, bill: usize, history: usize) -> &[Count] {
        let start = (bill * History::COUNT + history) * PAIRS;
        self.0.get(start..start + PAIRS).unwrap_or_default()
    }

    /// Counts a try with its weight, 0 to 1.
    pub(super) fn count(&mut self, at: (usize, usize, usize), approved: bool, weight: f32) {
        self.0.resize(Self::LENGTH, Count::default());
        let (bill, history, pair) = at;
        // A cast of a float saturates; one that is no number becomes 0.
        let tries = (weight.clamp(0.0, 1.0) * f32::from(ONE)).round() as u16;
        let approved = if approved { tries } else { 0 };
        if let Some(count) = self.0.get_mut((bill * History::COUNT + history) * PAIRS + pair) {
            count.add(Count { tries, approved });
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        if other.is_empty() {
            return;
        }
        self.0.resize(Self::LENGTH, Count::default());
        for (mine, theirs) in self.0.iter_mut().zip(&other.0) {
            mine.add(*theirs);
        }
    }

    pub(super) fn age(&mut self, part: u32, of: u32) {
        for count in &mut self.0 {
            *count = count.scaled(part, of);
        }
    }
}

/// Stored as text: runs of empty counts are left out, so a small merchant's record is small.
impl Serialize for Cells {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use base64::Engine as _;
        let mut bytes = Vec::new();
        let mut rest = self.0.as_slice();
        while !rest.is_empty() {
            let empty = rest.iter().take_while(|c| c.tries == 0).count().min(usize::from(u16::MAX));
            let (_, behind) = rest.split_at(empty);
            let full = behind.iter().take_while(|c| c.tries > 0).count().min(usize::from(u16::MAX));
            let (counts, behind) = behind.split_at(full);
            bytes.extend((empty as u16).to_le_bytes());
            bytes.extend((full as u16).to_le_bytes());
            for count in counts {
                bytes.extend(count.tries.to_le_bytes());
                bytes.extend(count.approved.to_le_bytes());
            }
            rest = behind;
        }
        serializer.serialize_str(&base64::engine::general_purpose::STANDARD_NO_PAD.encode(bytes))
    }
}

impl<'de> Deserialize<'de> for Cells {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use base64::Engine as _;
        use serde::de::Error as _;
        let text = String::deserialize(deserializer)?;
        let bytes = base64::engine::general_purpose::STANDARD_NO_PAD.decode(text);
        let bytes = bytes.map_err(|_| D::Error::custom("the counters are no base64"))?;
        unpack(&bytes).ok_or_else(|| D::Error::custom("the counters are damaged"))
    }
}

fn unpack(bytes: &[u8]) -> Option<Cells> {
    let mut numbers = bytes.chunks_exact(2).map(|two| u16::from_le_bytes([two[0], two[1]]));
    let mut counts = Vec::new();
    while let Some(empty) = numbers.next() {
        counts.resize(counts.len() + usize::from(empty), Count::default());
        for _ in 0..numbers.next()? {
            let count = Count { tries: numbers.next()?, approved: numbers.next()? };
            counts.push(count);
            if count.approved > count.tries {
                return None;
            }
        }
        if counts.len() > Cells::LENGTH {
            return None;
        }
    }
    let whole = bytes.len().is_multiple_of(2) && [0, Cells::LENGTH].contains(&counts.len());
    whole.then_some(Cells(counts))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pair_has_a_place_of_its_own() {
        let mut seen = std::collections::BTreeSet::new();
        for row in 0..BEFORES {
            for day in first_day(row)..=DAYS {
                assert!(seen.insert(pair(row, day)));
            }
        }
        assert_eq!(seen.len(), PAIRS);
        assert_eq!(seen.last().copied(), Some(PAIRS - 1));
        assert!(pair(usize::MAX, usize::MAX) < PAIRS && pair(0, 0) < PAIRS);
    }

    #[test]
    fn a_full_counter_keeps_its_share() {
        let mut count = Count::default();
        for n in 0..100_000 {
            count.add(Count { tries: ONE, approved: if n % 4 == 0 { ONE } else { 0 } });
        }
        let (tries, approved) = count.numbers();
        assert!((approved / tries - 0.25).abs() < 0.01, "{approved} of {tries}");
    }

    #[test]
    fn what_is_old_is_forgotten_in_the_end() {
        let mut cells = Cells::default();
        cells.count((3, 1, 7), true, 1.0);
        for _ in 0..100 {
            cells.age(944, 1000);
        }
        assert_eq!(cells.of(3, 1)[7], Count::default());
    }

    #[test]
    fn damaged_counters_are_refused() {
        assert!(serde_json::from_str::<Cells>("\"AAAA\"").is_err());
        assert!(serde_json::from_str::<Cells>("\"\"").is_ok_and(|cells| cells.is_empty()));
    }
}
