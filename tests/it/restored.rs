//! The real binary on a store that was restored from a copy: what was captured since is found at
//! the gateway and never charged again, though the gateway has forgotten every key.

use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::process::Child;

use jiff::SignedDuration;
use recoup::clock::{Clock, real_now};
use recoup::sandbox::SandboxOptions;

use crate::death::World;

const ONE_DAY: u64 = 86_400;
const INVOICES: std::ops::Range<usize> = 1..12;

/// A world whose gateway lives by a clock that can be moved.
async fn world() -> World {
    let options = SandboxOptions { clock: Clock::test(real_now()), ..SandboxOptions::default() };
    World::over(options, "schedule = { days = [1] }", "store").await
}

fn stop(mut service: Child) -> String {
    service.kill().unwrap();
    let mut said = String::new();
    if let Some(mut stderr) = service.stderr.take() {
        stderr.read_to_string(&mut said).unwrap();
    }
    service.wait().unwrap();
    said
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        let to = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &to),
            false => drop(fs::copy(entry.path(), to).unwrap()),
        }
    }
}

/// Failures come in, `keep` makes a copy, the charges are made, the gateway forgets their keys, and
/// `restore` puts the copy in the place of the store.
async fn goes_back(keep: impl Fn(&World), restore: impl Fn(&World)) {
    let world = world().await;
    let service = world.start().await;
    for number in INVOICES {
        assert!(world.fail(number).await);
    }
    stop(service);
    keep(&world);
    let service = world.start().await;
    assert!(world.advance(2 * ONE_DAY).await);
    stop(service);
    let made = world.sandbox.ledger().len();
    assert!(made >= 5, "only {made} were charged");
    world.sandbox.advance_to(real_now() + SignedDuration::from_hours(24 * 5));
    restore(&world);
    let service = world.start_heard().await;
    assert!(world.advance(4 * ONE_DAY).await);
    let cases = world.cases().await;
    let ready = format!("http://{}/readyz", world.address);
    let ready = world.client.get(ready).send().await.unwrap().text().await.unwrap();
    let said = stop(service);
    assert!(said.contains("the store was restored"), "{said}");
    assert!(said.contains("what happened since the copy is known"), "{said}");
    assert!(ready.contains("\"reconciling_since\":null"), "{ready}");
    assert_eq!(world.sandbox.double_charges(), Vec::<String>::new());
    assert_eq!(world.sandbox.ledger().len(), made, "charged again");
    let recovered = cases.values().filter(|case| case["state"] == "recovered").count();
    assert_eq!(recovered, made, "what was captured is booked");
}

fn export(world: &World) {
    let (code, _, said) = world.run(&["export", "-o", "old.jsonl"]);
    assert_eq!(code, 0, "{said}");
}

fn replace(world: &World, by: &str) {
    fs::remove_dir_all(world.store()).unwrap();
    fs::rename(world.path(by), world.store()).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_export_charges_nothing_again() {
    goes_back(export, |world| {
        let (code, _, said) = world.run(&["import", "old.jsonl", "--store", "sled:new"]);
        assert_eq!(code, 0, "{said}");
        replace(world, "new");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_that_is_put_in_place_charges_nothing_again() {
    let keep = |world: &World| {
        let (code, _, said) = world.run(&["backup", "kept"]);
        assert_eq!(code, 0, "{said}");
    };
    goes_back(keep, |world| replace(world, "kept")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_copy_of_the_directory_is_told_from_the_store() {
    let keep = |world: &World| copy(&world.store(), &world.path("kept"));
    goes_back(keep, |world| replace(world, "kept")).await;
}
