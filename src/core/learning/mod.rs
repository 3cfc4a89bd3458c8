//! What recoup learns from outcomes: counters, not a model of their own.
//!
//! Why here: a decision asks "how did cases like this one go?", and the answer must be the same
//! after a restart, on another machine and in the lab. So what is learned is data: one value that
//! is versioned, serializable, mergeable, grows old, and is bounded in size by its construction.
//!
//! | file | what it learns |
//! |---|---|
//! | [`timing`] | on which days a declined charge goes through |
//! | [`routing`] | which gateway approves it, by counters and [`trees`]; [`chance`] chooses |
//! | [`health`] | whether a gateway is well |
//! | [`outcome`] | what an attempt taught, as it is kept |
//! | [`priors`], [`facts`], [`exact`] | where it begins, what it looks at, how it is kept |
//!
//! What must stay true: learning is a function of outcomes and their dates; nothing in here can
//! allow a charge that the rules forbid, it only chooses among days that they leave open. Nothing
//! is learned from a case that a person forced: whoever feeds this leaves those out.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub mod chance;
pub mod exact;
pub mod facts;
pub mod health;
pub mod outcome;
pub mod priors;
pub mod routing;
pub mod timing;
pub mod trees;

/// The version of the record.
pub const VERSION: u8 = 1;

/// Everything learned, as one record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Learned {
    /// The version of the record: [`VERSION`] when this program wrote it.
    pub version: u8,
    /// When declined charges go through.
    #[serde(default)]
    pub timing: timing::Timing,
    /// Which gateway approves what, and whether it is well. Shared, since it is large and a step
    /// only reads it.
    #[serde(default, skip_serializing_if = "is_untaught", with = "shared")]
    pub routing: Arc<routing::Routing>,
}

fn is_untaught(routing: &Arc<routing::Routing>) -> bool {
    routing.is_untaught()
}

/// Shared values are stored as what they are.
mod shared {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<T: Serialize, S: Serializer>(
        value: &Arc<T>,
        out: S,
    ) -> Result<S::Ok, S::Error> {
        value.as_ref().serialize(out)
    }

    pub(super) fn deserialize<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Arc<T>, D::Error> {
        T::deserialize(from).map(Arc::new)
    }
}

impl Default for Learned {
    fn default() -> Self {
        let (timing, routing) = (timing::Timing::default(), Arc::default());
        Self { version: VERSION, timing, routing }
    }
}

/// Why a record of what was learned is not taken over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnreadableRecord {
    /// It is no record, or it is damaged.
    #[error("read the record of what was learned: {0}")]
    Damaged(String),
    /// It holds a count that nobody can have counted.
    #[error(
        "read the record of what was learned: a count in it is negative, endless or no number; \
         export it anew"
    )]
    Impossible,
    /// Another program wrote it.
    #[error(
        "read the record of what was learned: it has version {0}, and this recoup reads {VERSION}; \
         export it with the same version of recoup"
    )]
    Version(u64),
}

/// A change of what was learned that a person asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Relearn {
    /// Add this record, as text.
    Merge(String),
    /// Begin with nothing.
    Reset,
    /// Begin with this record, as text.
    Replace(String),
}

/// What was learned, but for what has a record of its own.
#[derive(Debug, Serialize)]
pub struct WithoutRouting<'a> {
    version: u8,
    timing: &'a timing::Timing,
}

impl Learned {
    /// What is kept in one record: of gateways there is another.
    pub fn without_routing(&self) -> WithoutRouting<'_> {
        WithoutRouting { version: self.version, timing: &self.timing }
    }

    /// Reads a record from elsewhere; what could not have been learned is refused.
    pub fn read(text: &str) -> Result<Self, UnreadableRecord> {
        let damaged = |error: serde_json::Error| UnreadableRecord::Damaged(error.to_string());
        let value: serde_json::Value = serde_json::from_str(text).map_err(damaged)?;
        match value.get("version").and_then(serde_json::Value::as_u64) {
            None => return Err(UnreadableRecord::Damaged("it has no version".to_owned())),
            Some(version) if version != u64::from(VERSION) => {
                return Err(UnreadableRecord::Version(version));
            }
            Some(_) => {}
        }
        let learned: Self = serde_json::from_str(text).map_err(damaged)?;
        let sound = learned.timing.is_sound() && learned.routing.is_sound();
        if sound { Ok(learned) } else { Err(UnreadableRecord::Impossible) }
    }

    /// What it is after this change.
    pub fn changed(&self, change: &Relearn) -> Result<Self, UnreadableRecord> {
        match change {
            Relearn::Merge(text) => {
                let mut both = self.clone();
                both.merge(&Self::read(text)?);
                Ok(both)
            }
            Relearn::Replace(text) => Self::read(text),
            Relearn::Reset => Ok(Self::default()),
        }
    }

    /// Takes over what another learned, as if all its outcomes had been seen here.
    pub fn merge(&mut self, other: &Self) {
        self.timing.merge(&other.timing);
        Arc::make_mut(&mut self.routing).merge(&other.routing);
    }
}

#[cfg(test)]
mod tests {
    use super::timing::{Context, Group, History};
    use super::*;

    fn taught(cases: usize, month: &str) -> Learned {
        let mut learned = Learned::default();
        let failed_on = format!("{month}-21").parse().unwrap();
        let history = History::Unknown;
        let context = Context { group: Group::Funds, failed_on, history, segment: 5 };
        (0..cases).for_each(|_| learned.timing.learn_known(&context, |day| day % 3 == 0));
        learned
    }

    fn cases(learned: &Learned) -> f64 {
        learned.timing.cases().iter().map(|(_, cases)| cases).sum()
    }

    #[test]
    fn a_record_comes_back_as_it_was() {
        let learned = taught(37, "2026-01");
        let text = serde_json::to_string(&learned).unwrap();
        assert_eq!(Learned::read(&text).unwrap(), learned);
        assert_eq!(serde_json::to_string(&Learned::read(&text).unwrap()).unwrap(), text);
        assert_eq!(learned.changed(&Relearn::Replace(text)).unwrap(), learned);
        assert_eq!(learned.changed(&Relearn::Reset).unwrap(), Learned::default());
    }

    #[test]
    fn two_records_add_up_and_the_older_has_faded() {
        let (mine, theirs) = (taught(100, "2026-01"), taught(60, "2026-01"));
        let merge = |of: &Learned| Relearn::Merge(serde_json::to_string(of).unwrap());
        let both = mine.changed(&merge(&theirs)).unwrap();
        assert!((cases(&both) - 160.0).abs() < 1e-3, "{}", cases(&both));
        let old = mine.changed(&merge(&taught(60, "2025-01"))).unwrap();
        assert!((cases(&old) - (100.0 + 60.0 * 0.944_f64.powi(12))).abs() < 0.01);
    }

    #[test]
    fn what_cannot_have_been_learned_is_refused() {
        let good = serde_json::to_string(&taught(5, "2026-01")).unwrap();
        let version = |v: &str| good.replacen("\"version\":1", &format!("\"version\":{v}"), 1);
        assert_eq!(Learned::read(&version("2")), Err(UnreadableRecord::Version(2)));
        let hopeless = |pair: &str| good.replacen("\"hopeless\":[0.0,5.0]", pair, 1);
        assert_ne!(hopeless("x"), good, "the field is there: {good}");
        for pair in ["[0.0,1e39]", "[0.0,-1.0]"] {
            let bad = hopeless(&format!("\"hopeless\":{pair}"));
            assert_eq!(Learned::read(&bad), Err(UnreadableRecord::Impossible), "{pair}");
        }
        let month = good.replacen("\"month\":24313", "\"month\":-2147483648", 1);
        assert_ne!(month, good);
        assert_eq!(Learned::read(&month), Err(UnreadableRecord::Impossible));
        let endless = hopeless("\"hopeless\":[0.0,1e999]");
        for bad in [
            "",
            "[]",
            "{}",
            "null",
            &good[..good.len() - 9],
            &endless,
            &hopeless("\"hopeless\":[NaN,1]"),
        ] {
            let found = Learned::read(bad);
            assert!(matches!(found, Err(UnreadableRecord::Damaged(_))), "{bad:.40}: {found:?}");
        }
    }
}
