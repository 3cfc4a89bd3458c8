//! Power cuts: what was acknowledged is on the disk, not only with the operating system.
//!
//! A process writes to a store on a file system of its own, which is shut down without a flush in
//! the middle. What had been acknowledged by then must be there when it is mounted again. The same
//! with sled's `flush()` alone must fail: else the cut cuts nothing.

use std::path::Path;

use super::kill::{Sync, Writer, verify};
use crate::mounts::Mounted;

/// How many cuts; the environment may name more.
const CUTS: u64 = 3;
const CUTS_FROM: &str = "RECOUP_POWER_CUTS";

/// Within so many cuts sled's `flush()` alone must lose something; by measurement four of five do.
const CONTROL_CUTS: u64 = 20;

fn cuts() -> u64 {
    std::env::var(CUTS_FROM).map_or(CUTS, |text| text.parse().unwrap())
}

/// Writes, cuts the power, and gives what had been acknowledged by then.
fn one_cut(disk: &Mounted, store: &Path, round: u64, sync: Sync) -> Vec<String> {
    let mut random = fastrand::Rng::with_seed(round);
    let mut writer = Writer::start(store, round, sync);
    writer.acknowledges(random.usize(1..600));
    disk.cut_the_power();
    let acked = writer.dies_in_the_dark();
    disk.comes_back();
    acked
}

fn nothing_is_lost_on(kind: &'static str) {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = Mounted::new(kind, folder.path(), "disk") else { return };
    let store = disk.path().join("store");
    let mut acked = Vec::new();
    for round in 0..cuts() {
        let new = one_cut(&disk, &store, round, Sync::Real);
        assert!(!new.is_empty());
        verify(&store, &new).unwrap_or_else(|why| panic!("{kind}, cut {round}: {why}"));
        acked.extend(new);
    }
    verify(&store, &acked).unwrap();
}

#[test]
fn nothing_acknowledged_is_lost_in_a_power_cut_on_ext4() {
    nothing_is_lost_on("ext4");
}

#[test]
fn nothing_acknowledged_is_lost_in_a_power_cut_on_xfs() {
    nothing_is_lost_on("xfs");
}

#[test]
fn with_the_flush_of_sled_alone_it_would_be_lost() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = Mounted::new("ext4", folder.path(), "disk") else { return };
    let store = disk.path().join("store");
    let lost = (0..CONTROL_CUTS).any(|round| {
        let acked = one_cut(&disk, &store, round, Sync::FlushOnly);
        verify(&store, &acked).is_err()
    });
    assert!(lost, "{CONTROL_CUTS} cuts lost nothing, so they cut nothing");
}
