//! Keys: where each record and each index row stands in the one ordered map.
//!
//! Why here: every embedded store has the same layout, so what holds for one holds for all, and an
//! export moves between them. Keys are printable text. Numbers and times are written big-endian as
//! sixteen hex digits, so that the order of the text is the order of the numbers.
//!
//! | table | key | record |
//! |---|---|---|
//! | records | `card/{key}` `case/{id}` `closed/{case}` `customer/{id}` `effect/{id}` | |
//! | | `input/{number}` `ledger/{case}/{sequence}` `message/{id}` `policy/{version}` | |
//! | | `outcome/{number}` `side/{table}/{key}` `waiting/{number}` | |
//! | of the store | `meta/{name}` | marker, link key, run, test clock, hold, next numbers, |
//! | | | learned, reputation |
//! | derived | `x/…` | index rows and counts; rebuilt by an import, never exported |
//! | parts | `~/{key}/{n}` | of a record that is too long for one row (`store::record`) |
//!
//! What must stay true: a key once released never changes its meaning (`fixtures/stores/v1`); no
//! key is longer than `LONGEST`, or sled would move whole pages into files that it never syncs.

use std::borrow::Cow;

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use super::{CaseFilter, SideTable};
use crate::core::case::State;
use crate::core::ids::{CardKey, CaseId, EffectId, GatewayId, MessageId};
use crate::core::lane::Lane;

/// No key is longer than this many bytes.
#[cfg(test)]
const LONGEST: usize = 320;

/// A part longer than this is replaced by its beginning and a digest.
const LONGEST_PART: usize = 96;

/// Everything before this key is a record, everything from here on is derived.
pub(crate) const DERIVED: &str = "x/";

/// Under this stand the parts of records that are too long for one row.
pub(crate) const PARTS: &str = "~/";

/// The store's marker: format and number of commits.
pub(crate) const MARKER: &str = "meta/marker";
/// The key that signs card-update links.
pub(crate) const LINK_KEY: &str = "meta/link_key";
/// How often the store was opened: the current run of the process.
pub(crate) const RUN: &str = "meta/run";
/// The test clock.
pub(crate) const TEST_CLOCK: &str = "meta/test_clock";
/// Since when everything is held.
pub(crate) const HELD: &str = "meta/held";
/// When the store was restored.
pub(crate) const RESTORED: &str = "meta/restored";
/// Of which restoring it is known what came since.
pub(crate) const RECONCILED: &str = "meta/reconciled";
/// What was learned from cases that ended.
pub(crate) const LEARNED: &str = "meta/learned";
/// What was learned about gateways, when it was last kept whole.
pub(crate) const ROUTING: &str = "meta/routing";
/// How the messages of each channel were received.
pub(crate) const REPUTATION: &str = "meta/reputation";
/// Under this stand the newest outcomes that taught about gateways.
pub(crate) const OUTCOMES: &str = "outcome/";
/// The number that the next input gets.
pub(crate) const NEXT_INPUT: &str = "meta/next_input";
/// The number that the next effect gets.
pub(crate) const NEXT_EFFECT: &str = "meta/next_effect";

/// How many inputs wait.
pub(crate) const COUNT_INBOX: &str = "x/count/inbox";
/// How many effects wait or are under way.
pub(crate) const COUNT_OUTBOX: &str = "x/count/outbox";

/// The end of the range of all keys that begin with `prefix`, which ends in `/`.
pub(crate) fn end_of(prefix: &str) -> String {
    debug_assert!(prefix.ends_with('/'), "ranges are of whole parts");
    let mut end = prefix[..prefix.len() - 1].to_owned();
    end.push('0'); // the character behind `/`
    end
}

/// A number as text of the same order.
pub(crate) fn number(number: u64) -> String {
    let mut text = String::with_capacity(16);
    push_number(&mut text, number);
    text
}

fn push_number(key: &mut String, number: u64) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for place in (0..16_u32).rev() {
        key.push(char::from(DIGITS[(number >> (4 * place) & 15) as usize]));
    }
}

/// A key of these pieces; its numbers come behind them. Most of what a store does is making keys,
/// so none is written piece by piece into a text that grows.
fn joined(pieces: &[&str]) -> String {
    let mut key = String::with_capacity(pieces.iter().map(|piece| piece.len()).sum());
    pieces.iter().for_each(|piece| key.push_str(piece));
    key
}

/// `prefix`, numbers with a separator between them, and what stands behind them.
fn numbered(prefix: &str, numbers: &[u64], behind: Option<&str>) -> String {
    let long = prefix.len() + 17 * numbers.len() + behind.map_or(0, str::len);
    let mut key = String::with_capacity(long);
    key.push_str(prefix);
    for (place, number) in numbers.iter().enumerate() {
        if place > 0 {
            key.push('/');
        }
        push_number(&mut key, *number);
    }
    if let Some(behind) = behind {
        key.push('/');
        key.push_str(behind);
    }
    key
}

/// The number that [`number`] wrote.
pub(crate) fn read_number(text: &str) -> Option<u64> {
    u64::from_str_radix(text, 16).ok()
}

/// A time as text of the same order, rounded up to the millisecond: never due too early.
pub(crate) fn time(at: Timestamp) -> String {
    number(time_number(at))
}

fn time_number(at: Timestamp) -> u64 {
    ordered(millis(at))
}

/// A time in milliseconds, rounded up.
pub(crate) fn millis(at: Timestamp) -> i64 {
    let floor = at.as_millisecond();
    let rest = at.as_nanosecond() - i128::from(floor) * 1_000_000;
    floor + i64::from(rest > 0)
}

/// The first text behind every time up to `now`.
pub(crate) fn after_time(now: Timestamp) -> String {
    number(ordered(now.as_millisecond()) + 1)
}

/// The time that [`time`] wrote.
pub(crate) fn read_time(text: &str) -> Option<Timestamp> {
    let millis = (read_number(text)? ^ (1 << 63)).cast_signed();
    Timestamp::from_millisecond(millis).ok()
}

/// The row of one part of a record.
pub(crate) fn part_of(key: &str, part: u32) -> String {
    format!("{PARTS}{key}/{part:04x}")
}

fn ordered(millis: i64) -> u64 {
    millis.cast_unsigned() ^ (1 << 63)
}

/// The last part of a key as it was before [`part`], where that part is an id of ours.
pub(crate) fn last_part(key: &str) -> &str {
    key.rsplit('/').next().unwrap_or(key)
}

/// The part at `position`, counted from 0.
pub(crate) fn part_at(key: &str, position: usize) -> &str {
    key.split('/').nth(position).unwrap_or_default()
}

/// Foreign text as one part of a key, where a database keeps it in a column of its own.
pub(crate) fn part(text: &str) -> String {
    in_key(text).into_owned()
}

/// Foreign text as one part of a key: no separator, no control character, not too long.
fn in_key(text: &str) -> Cow<'_, str> {
    // Most are ids of ours, which are parts as they are.
    let plain = |byte: u8| !matches!(byte, b'%' | b'/' | 0x7f.. | ..0x20);
    if text.len() <= LONGEST_PART && text.bytes().all(plain) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'%' | b'/' | 0x7f.. | ..0x20 => out.push_str(&format!("%{byte:02x}")),
            _ => out.push(char::from(byte)),
        }
    }
    if out.len() > LONGEST_PART {
        out.truncate(LONGEST_PART - 33);
        out.push('+');
        out.push_str(&hex::encode(&Sha256::digest(text)[..16]));
    }
    Cow::Owned(out)
}

pub(crate) fn case(id: &CaseId) -> String {
    joined(&["case/", &in_key(id.as_str())])
}

pub(crate) fn closed(case: &CaseId) -> String {
    joined(&["closed/", &in_key(case.as_str())])
}

pub(crate) fn card(key: &CardKey) -> String {
    joined(&["card/", &in_key(key.as_str())])
}

pub(crate) fn customer(id: &str) -> String {
    joined(&["customer/", &in_key(id)])
}

/// The policies by their versions.
pub(crate) const POLICIES: &str = "policy/";

pub(crate) fn policy(version: &str) -> String {
    joined(&[POLICIES, &in_key(version)])
}

pub(crate) fn effect(id: &EffectId) -> String {
    joined(&["effect/", &in_key(id.as_str())])
}

pub(crate) fn message(id: &MessageId) -> String {
    joined(&["message/", &in_key(id.as_str())])
}

pub(crate) fn outcome(at: u64) -> String {
    numbered(OUTCOMES, &[at], None)
}

pub(crate) fn input(at: u64) -> String {
    numbered("input/", &[at], None)
}

pub(crate) fn waiting(at: u64) -> String {
    numbered("waiting/", &[at], None)
}

pub(crate) fn ledger_of(case: &CaseId) -> String {
    joined(&["ledger/", &in_key(case.as_str()), "/"])
}

pub(crate) fn ledger(case: &CaseId, sequence: u64) -> String {
    joined(&["ledger/", &in_key(case.as_str()), "/", &number(sequence)])
}

/// Every input that ever came, by its source and id.
pub(crate) fn seen(source: &GatewayId, id: &str) -> String {
    joined(&["x/seen/", &in_key(source.as_str()), "/", &in_key(id)])
}

/// Inputs that wait for a step.
pub(crate) const READY: &str = "x/ready/";

/// A waiting input; those that were never deferred stand before all others.
pub(crate) fn ready(not_before: Option<Timestamp>, at: u64) -> String {
    numbered(READY, &[not_before.map_or(0, time_number), at], None)
}

/// Where deferred inputs begin, and those that wait for their first step end.
pub(crate) fn deferred() -> String {
    numbered(READY, &[1], Some(""))
}

/// Cases by their earliest timer.
pub(crate) const DUE: &str = "x/due/";

pub(crate) fn due(at: Timestamp, case: &CaseId) -> String {
    numbered(DUE, &[time_number(at)], Some(&in_key(case.as_str())))
}

/// Effects that nobody has begun, by lane and time.
pub(crate) const LANES: &str = "x/lane/";

pub(crate) fn lane(name: &str) -> String {
    format!("{LANES}{}/", in_key(name))
}

pub(crate) fn outbox(lane: &Lane, at: Timestamp, order: u64, id: &EffectId) -> String {
    let lane = self::lane(lane.as_str());
    numbered(&lane, &[time_number(at), order], Some(&in_key(id.as_str())))
}

/// Where they stood in format 1: by time alone.
pub(crate) const OUTBOX_V1: &str = "x/outbox/";

/// Effects that a run has begun, by run.
pub(crate) const CLAIMED: &str = "x/claimed/";

pub(crate) fn claimed_by(run: u64) -> String {
    numbered(CLAIMED, &[run], Some(""))
}

pub(crate) fn claimed(run: u64, at: Timestamp, order: u64, id: &EffectId) -> String {
    numbered(CLAIMED, &[run, time_number(at), order], Some(&in_key(id.as_str())))
}

/// Open cases of a customer.
pub(crate) fn open_of(customer: &str) -> String {
    joined(&["x/open/", &in_key(customer), "/"])
}

/// Open cases of a subscription.
pub(crate) fn open_of_subscription(subscription: &str) -> String {
    joined(&["x/open-subscription/", &in_key(subscription), "/"])
}

/// Cases that a gateway's payment belongs to.
pub(crate) fn payment(payment: &str) -> String {
    joined(&["x/payment/", &in_key(payment), "/"])
}

/// All cases by their opening, and the same for each value of each filter.
pub(crate) fn all_cases() -> String {
    "x/opened/".to_owned()
}

pub(crate) fn cases_in(state: State) -> String {
    joined(&["x/state/", state.as_str(), "/"])
}

pub(crate) fn cases_of_customer(customer: &str) -> String {
    joined(&["x/customer/", &in_key(customer), "/"])
}

pub(crate) fn cases_of_invoice(invoice: &str) -> String {
    joined(&["x/invoice/", &in_key(invoice), "/"])
}

pub(crate) fn cases_of_gateway(gateway: &GatewayId) -> String {
    joined(&["x/gateway/", &in_key(gateway.as_str()), "/"])
}

/// The narrowest list of cases that holds all that pass the filter.
pub(crate) fn list_for(filter: &CaseFilter) -> String {
    match filter {
        CaseFilter { invoice: Some(invoice), .. } => cases_of_invoice(invoice),
        CaseFilter { customer: Some(customer), .. } => cases_of_customer(customer),
        CaseFilter { state: Some(state), .. } => cases_in(*state),
        CaseFilter { gateway: Some(gateway), .. } => cases_of_gateway(gateway),
        CaseFilter { .. } => all_cases(),
    }
}

/// A row of a list of cases or messages: `prefix`, time, id.
pub(crate) fn listed(prefix: &str, at: Timestamp, id: &str) -> String {
    numbered(prefix, &[time_number(at)], Some(&in_key(id)))
}

pub(crate) fn count_of(state: State) -> &'static str {
    match state {
        State::Attempting => "x/count/state/attempting",
        State::AwaitingCustomer => "x/count/state/awaiting_customer",
        State::AwaitingOutcome => "x/count/state/awaiting_outcome",
        State::Exhausted => "x/count/state/exhausted",
        State::Monitoring => "x/count/state/monitoring",
        State::Paused => "x/count/state/paused",
        State::Recovered => "x/count/state/recovered",
        State::Scheduled => "x/count/state/scheduled",
        State::Stopped => "x/count/state/stopped",
    }
}

/// Messages of a case.
pub(crate) fn messages_of(case: &CaseId) -> String {
    joined(&["x/message/", &in_key(case.as_str()), "/"])
}

/// Cases of which a message went to an address.
pub(crate) fn written_to(address: &str) -> String {
    joined(&["x/to/", &in_key(address), "/"])
}

/// All messages by time.
pub(crate) const SENT: &str = "x/sent/";

pub(crate) fn side(table: SideTable, key: &str) -> String {
    joined(&["side/", table.as_str(), "/", &in_key(key)])
}

/// The side records of a table by time.
pub(crate) fn sides(table: SideTable) -> String {
    joined(&["x/side/", table.as_str(), "/"])
}

/// Those that are due in a lane, by when.
pub(crate) fn sides_due(table: SideTable, lane: &str) -> String {
    joined(&["x/side-due/", table.as_str(), "/", &in_key(lane), "/"])
}

/// Those of a group by time.
pub(crate) fn sides_of(table: SideTable, group: &str) -> String {
    joined(&["x/side-of/", table.as_str(), "/", &in_key(group), "/"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_the_text_is_the_order_of_the_numbers() {
        let times = [i64::from(i32::MIN), -1, 0, 1, 1_700_000_000_000, 253_402_207_200_000];
        let texts: Vec<String> =
            times.iter().map(|&ms| time(Timestamp::from_millisecond(ms).unwrap())).collect();
        assert!(texts.is_sorted(), "{texts:?}");
        for (text, ms) in texts.iter().zip(times) {
            assert_eq!(read_time(text).unwrap().as_millisecond(), ms);
        }
        assert!(number(9) < number(10) && number(255) < number(256));
    }

    #[test]
    fn nothing_is_due_a_fraction_of_a_millisecond_too_early() {
        let at = Timestamp::from_nanosecond(1_500_000).unwrap();
        let now = |ms| after_time(Timestamp::from_millisecond(ms).unwrap());
        assert!(time(at) >= now(1));
        assert!(time(at) < now(2));
        let negative = Timestamp::from_nanosecond(-1_500_000).unwrap();
        assert_eq!(read_time(&time(negative)).unwrap().as_millisecond(), -1);
    }

    #[test]
    fn foreign_ids_cannot_leave_their_part() {
        let (a, b) = (GatewayId::from("a/b"), GatewayId::from("a"));
        assert_ne!(seen(&a, "c"), seen(&b, "b/c"));
        assert_ne!(part("%2f"), part("/"));
        assert!(part("é\n/").is_ascii());
    }

    #[test]
    fn a_long_id_gives_a_short_key_of_its_own() {
        let (one, two) = ("x".repeat(5_000) + "1", "x".repeat(5_000) + "2");
        let source = GatewayId(one.clone());
        assert_ne!(seen(&source, &one), seen(&source, &two));
        let at = Timestamp::UNIX_EPOCH;
        let longest = listed(&cases_of_customer(&one), at, &two);
        assert!(longest.len() + PARTS.len() + 5 <= LONGEST, "{}", longest.len());
        assert!(seen(&source, &one).len() <= LONGEST);
    }

    #[test]
    fn a_range_holds_its_prefix_and_nothing_else() {
        let (from, to) = ("case/a/".to_owned(), end_of("case/a/"));
        assert!("case/a/zzz" >= from.as_str() && "case/a/~" < to.as_str());
        assert!("case/a0" >= to.as_str() && "case/b" > to.as_str());
    }
}
