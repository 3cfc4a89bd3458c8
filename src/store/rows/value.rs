//! Values: the typed records behind the keys, and the index rows that follow from each.
//!
//! Why here: memory keeps them as they are, sled as JSON. The index rows of a record are a pure
//! function of the record, so that whoever writes it (a step, an import) writes the same rows.
//!
//! What must stay true: a record has at most one row in `x/due`, and an effect exactly one in
//! `x/lane` or `x/claimed`. [`super::check`] compares all rows with this function.

use std::sync::Arc;

use jiff::Timestamp;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::core::card::Card;
use crate::core::case::Case;
use crate::core::customer::Customer;
use crate::core::effect::Effect;
use crate::core::learning::Learned;
use crate::core::learning::outcome::Outcome;
use crate::core::learning::routing::Routing;
use crate::core::ledger::LedgerEntry;
use crate::core::policy::Policy;
use crate::core::reputation::Reputation;
use crate::store::{InboxRecord, MessageRecord, SideRecord, keys};

/// The format of the store as a whole: keys, values and the rules between them.
///
/// 2: effects that wait stand by lane. [`super::upgrade`] makes it of 1.
pub(crate) const FORMAT: u32 = 2;

/// Tells a store from an empty directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Marker {
    /// The format, [`FORMAT`] for what this code writes.
    pub(crate) format: u32,
    /// How many groups of writes were made durable.
    pub(crate) commits: u64,
}

/// An input that waits for a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Waiting {
    /// How often it was taken up in vain.
    pub(crate) tries: u32,
    /// Not to be taken up before.
    pub(crate) not_before: Option<Timestamp>,
}

/// An effect in the outbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EffectRow {
    /// The effect, as the core asked for it.
    pub(crate) effect: Effect,
    /// How often it was tried in vain.
    pub(crate) tries: u32,
    /// The run that has begun it.
    pub(crate) claimed_by: Option<u64>,
    /// Not to be taken up before; a later time than the effect's own once it is tried again.
    pub(crate) ready_at: Timestamp,
    /// Its place among effects of one time.
    pub(crate) order: u64,
}

/// The key that signs links.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct LinkKey(pub(crate) [u8; 32]);

impl std::fmt::Debug for LinkKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LinkKey(…)")
    }
}

impl Serialize for LinkKey {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(&hex::encode(self.0))
    }
}

impl<'de> Deserialize<'de> for LinkKey {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let text = String::deserialize(input)?;
        let mut key = [0; 32];
        hex::decode_to_slice(text, &mut key).map_err(D::Error::custom)?;
        Ok(Self(key))
    }
}

/// One row's value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Card(Arc<Card>),
    Case(Arc<Case>),
    Customer(Arc<Customer>),
    Effect(Arc<EffectRow>),
    Input(Arc<InboxRecord>),
    Learned(Arc<Learned>),
    Ledger(Arc<LedgerEntry>),
    LinkKey(Arc<LinkKey>),
    /// An index row: its key says it all.
    Listed,
    Marker(Arc<Marker>),
    Message(Arc<MessageRecord>),
    Number(u64),
    Outcome(Arc<Outcome>),
    Policy(Arc<Policy>),
    Reputation(Arc<Reputation>),
    Routing(Arc<Routing>),
    Side(Arc<SideRecord>),
    Time(Timestamp),
    Waiting(Arc<Waiting>),
}

/// A record with a kind of its own.
pub(crate) trait Stored: Sized {
    /// The record, if `value` is one of this kind.
    fn of(value: Value) -> Option<Arc<Self>>;

    /// The value of this record.
    fn value(self) -> Value;
}

macro_rules! stored {
    ($($kind:ident($record:ty)),* $(,)?) => {$(
        impl Stored for $record {
            fn of(value: Value) -> Option<Arc<Self>> {
                if let Value::$kind(record) = value { Some(record) } else { None }
            }

            fn value(self) -> Value {
                Value::$kind(Arc::new(self))
            }
        }
    )*};
}

stored!(
    Card(Card),
    Case(Case),
    Customer(Customer),
    Effect(EffectRow),
    Input(InboxRecord),
    Learned(Learned),
    Ledger(LedgerEntry),
    LinkKey(LinkKey),
    Marker(Marker),
    Message(MessageRecord),
    Outcome(Outcome),
    Policy(Policy),
    Reputation(Reputation),
    Routing(Routing),
    Side(SideRecord),
    Waiting(Waiting),
);

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Card(record) => record.as_ref().serialize(out),
            Self::Case(record) => record.as_ref().serialize(out),
            Self::Customer(record) => record.as_ref().serialize(out),
            Self::Effect(record) => record.as_ref().serialize(out),
            Self::Input(record) => record.as_ref().serialize(out),
            // What it says of gateways has rows of its own.
            Self::Learned(record) => record.without_routing().serialize(out),
            Self::Ledger(record) => record.as_ref().serialize(out),
            Self::LinkKey(record) => record.as_ref().serialize(out),
            Self::Listed => out.serialize_unit(),
            Self::Marker(record) => record.as_ref().serialize(out),
            Self::Message(record) => record.as_ref().serialize(out),
            Self::Number(number) => number.serialize(out),
            Self::Outcome(record) => record.as_ref().serialize(out),
            Self::Policy(record) => record.as_ref().serialize(out),
            Self::Reputation(record) => record.as_ref().serialize(out),
            Self::Routing(record) => record.as_ref().serialize(out),
            Self::Side(record) => record.as_ref().serialize(out),
            Self::Time(time) => time.serialize(out),
            Self::Waiting(record) => record.as_ref().serialize(out),
        }
    }
}

impl Value {
    /// Reads the value that stands under `key`.
    pub(crate) fn read<'de, D: Deserializer<'de>>(key: &str, from: D) -> Result<Self, D::Error> {
        fn record<'de, T: Stored + Deserialize<'de>, D: Deserializer<'de>>(
            from: D,
        ) -> Result<Value, D::Error> {
            T::deserialize(from).map(Stored::value)
        }
        match (keys::part_at(key, 0), keys::part_at(key, 1)) {
            ("card", _) => record::<Card, D>(from),
            ("case", _) => record::<Case, D>(from),
            ("customer", _) => record::<Customer, D>(from),
            ("effect", _) => record::<EffectRow, D>(from),
            ("input", _) => record::<InboxRecord, D>(from),
            ("ledger", _) => record::<LedgerEntry, D>(from),
            ("message", _) => record::<MessageRecord, D>(from),
            ("outcome", _) => record::<Outcome, D>(from),
            ("policy", _) => record::<Policy, D>(from),
            ("side", _) => record::<SideRecord, D>(from),
            ("waiting", _) => record::<Waiting, D>(from),
            ("meta", "learned") => record::<Learned, D>(from),
            ("meta", "link_key") => record::<LinkKey, D>(from),
            ("meta", "reputation") => record::<Reputation, D>(from),
            ("meta", "routing") => record::<Routing, D>(from),
            ("meta", "marker") => record::<Marker, D>(from),
            ("closed", _) | ("meta", "held" | "reconciled" | "restored" | "test_clock") => {
                Timestamp::deserialize(from).map(Self::Time)
            }
            ("meta", "next_effect" | "next_input" | "run") | ("x", "count" | "seen") => {
                u64::deserialize(from).map(Self::Number)
            }
            ("x", _) => <()>::deserialize(from).map(|()| Self::Listed),
            _ => Err(D::Error::custom("there is no such table")),
        }
    }

    /// The index rows that follow from this record under `key`.
    pub(crate) fn index(&self, key: &str) -> Vec<(String, Self)> {
        let listed = |key| (key, Self::Listed);
        match self {
            Self::Case(case) => index_of_case(case).into_iter().map(listed).collect(),
            Self::Effect(row) => vec![listed(index_of_effect(row))],
            Self::Input(record) => {
                let seen = keys::seen(&record.source, &record.id);
                vec![(seen, Self::Number(own_number(key)))]
            }
            Self::Message(message) => {
                let lists = [keys::messages_of(&message.case), keys::SENT.to_owned()];
                let row = |list: String| keys::listed(&list, message.at, message.id.as_str());
                let to = message.address.as_ref().map(|address| {
                    format!("{}{}", keys::written_to(address), keys::part(message.case.as_str()))
                });
                lists.into_iter().map(row).chain(to).map(listed).collect()
            }
            Self::Side(record) => index_of_side(record).into_iter().map(listed).collect(),
            Self::Waiting(waiting) => {
                vec![listed(keys::ready(waiting.not_before, own_number(key)))]
            }
            _ => Vec::new(),
        }
    }

    /// The index rows that go, and those that come, when what stands under `key` changes.
    pub(crate) fn moved(
        key: &str,
        old: Option<&Self>,
        new: Option<&Self>,
    ) -> (Vec<String>, Vec<(String, Self)>) {
        if let (Some(Self::Case(old)), Some(Self::Case(new))) = (old, new)
            && stands_in_the_same_lists(old, new)
        {
            return moved_case(old, new);
        }
        let rows = |value: Option<&Self>| value.map(|v| v.index(key)).unwrap_or_default();
        let (gone, mut come) = (rows(old), rows(new));
        let leaves = |row: &(String, Self)| !come.contains(row);
        let leaving = gone.iter().filter(|row| leaves(row)).map(|(row, _)| row.clone()).collect();
        come.retain(|row| !gone.contains(row));
        (leaving, come)
    }

    /// The count that this record is part of.
    pub(crate) fn counted(&self) -> Option<&'static str> {
        match self {
            Self::Case(case) => Some(keys::count_of(case.state)),
            Self::Effect(_) => Some(keys::COUNT_OUTBOX),
            Self::Waiting(_) => Some(keys::COUNT_INBOX),
            _ => None,
        }
    }

    /// Whether any index row or count follows from records of this kind.
    pub(crate) fn has_index(&self) -> bool {
        matches!(
            self,
            Self::Case(_)
                | Self::Effect(_)
                | Self::Input(_)
                | Self::Message(_)
                | Self::Side(_)
                | Self::Waiting(_)
        )
    }
}

fn own_number(key: &str) -> u64 {
    keys::read_number(keys::last_part(key)).unwrap_or_default()
}

fn index_of_case(case: &Case) -> Vec<String> {
    let list = |prefix: &str| keys::listed(prefix, case.opened_at, case.id.as_str());
    let mut rows = vec![
        list(&keys::all_cases()),
        list(&keys::cases_in(case.state)),
        list(&keys::cases_of_invoice(&case.invoice)),
        list(&keys::cases_of_gateway(&case.gateway)),
    ];
    rows.extend(case.due_at().map(|at| keys::due(at, &case.id)));
    if let Some(customer) = &case.customer {
        rows.push(list(&keys::cases_of_customer(customer)));
        if !case.state.is_ended() {
            rows.push(list(&keys::open_of(customer)));
        }
    }
    if let Some(subscription) = case.subscription.as_ref().filter(|_| !case.state.is_ended()) {
        rows.push(list(&keys::open_of_subscription(subscription)));
    }
    rows.extend(case.payments.iter().map(|payment| list(&keys::payment(payment))));
    rows
}

fn index_of_side(record: &SideRecord) -> Vec<String> {
    let table = record.table;
    let mut rows = vec![keys::listed(&keys::sides(table), record.at, &record.key)];
    let due_list = keys::sides_due(table, &record.lane);
    rows.extend(record.due.map(|due| keys::listed(&due_list, due, &record.key)));
    if let Some(group) = &record.group {
        rows.push(keys::listed(&keys::sides_of(table, group), record.at, &record.key));
    }
    rows
}

/// Most steps change nothing but when the case is due, and its state.
fn stands_in_the_same_lists(old: &Case, new: &Case) -> bool {
    old.opened_at == new.opened_at
        && old.invoice == new.invoice
        && old.gateway == new.gateway
        && old.customer == new.customer
        && old.subscription == new.subscription
        && old.payments == new.payments
        && old.state.is_ended() == new.state.is_ended()
}

/// As [`Value::moved`], for a case that [`stands_in_the_same_lists`].
fn moved_case(old: &Case, new: &Case) -> (Vec<String>, Vec<(String, Value)>) {
    let in_state =
        |case: &Case| keys::listed(&keys::cases_in(case.state), case.opened_at, case.id.as_str());
    let due = |case: &Case| case.due_at().map(|at| keys::due(at, &case.id));
    let (mut gone, mut come) = (Vec::new(), Vec::new());
    if old.state != new.state {
        gone.push(in_state(old));
        come.push((in_state(new), Value::Listed));
    }
    if old.due_at() != new.due_at() {
        let (was, is) = (due(old), due(new));
        // Moments of one millisecond have one row.
        if was != is {
            gone.extend(was);
            come.extend(is.map(|row| (row, Value::Listed)));
        }
    }
    (gone, come)
}

fn index_of_effect(row: &EffectRow) -> String {
    match row.claimed_by {
        None => keys::outbox(&row.effect.order.lane(), row.ready_at, row.order, &row.effect.id),
        Some(run) => keys::claimed(run, row.ready_at, row.order, &row.effect.id),
    }
}
