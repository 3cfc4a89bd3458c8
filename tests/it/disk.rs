//! The running service, and what happens to its disk: full, read-only, failing, another's, emptied,
//! cut off, damaged. It refuses, says what to do, and loses nothing that it acknowledged.

use std::fs::{self, File};
use std::time::Duration;

use fs2::FileExt as _;

use crate::death::{Load, World};
use crate::mounts::Mounted;

const ONE_DAY: u64 = 86_400;
const RETRIES: &str = "schedule = { days = [1] }";

/// A world whose store is on a disk of its own, where there can be one.
async fn on_a_disk(kind: &'static str) -> Option<(World, Mounted)> {
    let world = World::at(RETRIES, "disk/store").await;
    let disk = Mounted::new(kind, &world.path("."), "disk")?;
    Some((world, disk))
}

/// Sends failures up to this number; each must be acknowledged.
async fn fill(world: &World, numbers: std::ops::Range<usize>) {
    for number in numbers {
        assert!(world.fail(number).await, "in_{number} was not taken");
    }
}

/// Every invoice up to this number has its case, and what was charged was charged once.
async fn nothing_is_lost(world: &World, numbers: std::ops::Range<usize>) {
    assert!(world.advance(3 * ONE_DAY).await);
    let cases = world.cases().await;
    for number in numbers {
        assert!(cases.contains_key(&format!("in_{number}")), "in_{number} is gone");
    }
    assert!(world.sandbox.double_charges().is_empty());
}

async fn reason(world: &World) -> String {
    let ready = format!("http://{}/readyz", world.address);
    let answer = world.client.get(ready).send().await.unwrap();
    assert_eq!(answer.status(), 503);
    answer.text().await.unwrap()
}

/// Waits for the service to end by itself, with code 1.
async fn ends(mut service: std::process::Child) {
    for _ in 0..400 {
        if let Some(status) = service.try_wait().unwrap() {
            assert_eq!(status.code(), Some(1));
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    service.kill().unwrap();
    service.wait().unwrap();
    panic!("it goes on");
}

fn stop(mut service: std::process::Child) {
    service.kill().unwrap();
    service.wait().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_takes_nothing_and_goes_on_when_there_is_room() {
    let Some((world, disk)) = on_a_disk("ext4").await else { return };
    let service = world.start().await;
    fill(&world, 1..20).await;
    let ballast = disk.path().join("ballast");
    let free = fs2::available_space(disk.path()).unwrap();
    File::create(&ballast).unwrap().allocate(free - (40 << 20)).unwrap();
    assert!(!world.fail(20).await, "taken on a full disk");
    assert!(reason(&world).await.contains("cannot be written to"));
    fs::remove_file(&ballast).unwrap();
    fill(&world, 20..30).await;
    nothing_is_lost(&world, 1..30).await;
    stop(service);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_dies_ends_the_service_and_what_was_acknowledged_is_there_afterwards() {
    for kind in ["ext4", "xfs"] {
        let Some((world, disk)) = on_a_disk(kind).await else { return };
        let load = Load::default();
        for cut in 0..3 {
            let service = world.start().await;
            let power = async {
                tokio::time::sleep(Duration::from_millis(60 + 40 * cut)).await;
                disk.cut_the_power();
            };
            tokio::join!(power, load.round(&world));
            assert!(!world.fail(9_000).await, "taken without a disk");
            ends(service).await;
            disk.comes_back();
        }
        let service = world.start().await;
        assert!(world.advance(3 * ONE_DAY).await);
        let cases = world.cases().await;
        let acknowledged = load.acknowledged.into_inner().unwrap();
        assert!(acknowledged.len() > 10, "{acknowledged:?}");
        for invoice in acknowledged {
            assert!(cases.contains_key(&invoice), "{kind}: {invoice} is gone");
        }
        assert!(world.sandbox.double_charges().is_empty());
        stop(service);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_only_disk_is_told_and_left_alone() {
    let Some((world, disk)) = on_a_disk("ext4").await else { return };
    let service = world.start().await;
    fill(&world, 1..10).await;
    stop(service);
    disk.remount("ro");
    let said = world.refuses_to_start();
    assert!(said.to_lowercase().contains("read-only file system"), "{said}");
    disk.remount("rw");
    let service = world.start().await;
    nothing_is_lost(&world, 1..10).await;
    stop(service);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_store_of_another_process_is_left_to_it() {
    let world = World::new().await;
    let service = world.start().await;
    fill(&world, 1..5).await;
    let said = world.refuses_to_start();
    assert!(said.contains("another process holds it"), "{said}");
    fill(&world, 5..10).await;
    nothing_is_lost(&world, 1..10).await;
    stop(service);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_emptied_store_is_not_begun_anew() {
    let world = World::new().await;
    let service = world.start().await;
    fill(&world, 1..5).await;
    stop(service);
    let aside = world.path("aside");
    fs::rename(world.store(), &aside).unwrap();
    let gone = world.refuses_to_start();
    assert!(gone.contains("is empty or gone") && gone.contains("recoup import"), "{gone}");
    fs::create_dir(world.store()).unwrap();
    let emptied = world.refuses_to_start();
    assert!(emptied.contains("was it emptied?"), "{emptied}");
    assert_eq!(fs::read_dir(world.store()).unwrap().count(), 0, "nothing was made");
    // What the message names is what begins anew.
    fs::remove_file(world.path(".store.recoup-store")).unwrap();
    stop(world.start().await);
    fs::remove_dir_all(world.store()).unwrap();
    fs::rename(&aside, world.store()).unwrap();
    let service = world.start().await;
    nothing_is_lost(&world, 1..5).await;
    stop(service);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_emptied_under_the_service_acknowledges_nothing_and_can_be_rescued() {
    let world = World::new().await;
    let mut service = world.start_heard().await;
    fill(&world, 1..5).await;
    let open = open_files(service.id(), &world.store().join("db"));
    fs::remove_dir_all(world.store()).unwrap();
    assert!(!world.fail(5).await, "taken into a file without a name");
    assert!(reason(&world).await.contains("cannot be written to"));
    // As the message says.
    let pause = |signal: &str| {
        let process = service.id().to_string();
        std::process::Command::new("kill").args([signal, &process]).status().unwrap();
    };
    pause("-STOP");
    fs::create_dir(world.store()).unwrap();
    fs::copy(open, world.store().join("db")).unwrap();
    service.kill().unwrap();
    service.wait().unwrap();
    let mut said = String::new();
    std::io::Read::read_to_string(&mut service.stderr.take().unwrap(), &mut said).unwrap();
    assert!(said.contains("it was removed from") && said.contains("SIGSTOP"), "{said}");
    let service = world.start().await;
    nothing_is_lost(&world, 1..5).await;
    stop(service);
}

/// The name under which the kernel shows the file that a process has open.
fn open_files(process: u32, path: &std::path::Path) -> std::path::PathBuf {
    let mut files = fs::read_dir(format!("/proc/{process}/fd")).unwrap().flatten();
    let is_it = |entry: &fs::DirEntry| fs::read_link(entry.path()).is_ok_and(|to| to == path);
    files.find(is_it).expect("it has it open").path()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_cut_off_or_scribbled_over_is_refused_and_its_backup_goes_on() {
    let world = World::new().await;
    let service = world.start().await;
    fill(&world, 1..30).await;
    stop(service);
    let (code, _, said) = world.run(&["export", "-o", "backup.jsonl"]);
    assert_eq!(code, 0, "{said}");
    let service = world.start().await;
    assert!(world.advance(2 * ONE_DAY).await, "it charges what the backup does not know of");
    stop(service);
    let database = File::options().write(true).open(world.store().join("db")).unwrap();
    let length = database.metadata().unwrap().len();
    database.set_len(length / 2).unwrap();
    for _ in 0..2 {
        let said = world.refuses_to_start();
        assert!(said.contains("damaged") && said.contains("recoup import"), "{said}");
    }
    // As the message says: the last backup into a new directory.
    let (code, _, said) = world.run(&["import", "backup.jsonl", "--store", "sled:store-new"]);
    assert_eq!(code, 0, "{said}");
    fs::remove_dir_all(world.store()).unwrap();
    fs::rename(world.path("store-new"), world.store()).unwrap();
    let service = world.start().await;
    nothing_is_lost(&world, 1..30).await;
    stop(service);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_damaged_record_ends_the_service_which_says_what_to_do() {
    let world = World::new().await;
    let service = world.start().await;
    fill(&world, 1..6).await;
    assert!(world.advance(60).await);
    let id = world.cases().await["in_2"]["id"].as_str().unwrap().to_owned();
    stop(service);
    let whole = {
        let db = sled::open(world.store()).unwrap();
        let key = format!("case/{id}");
        let whole = db.get(&key).unwrap().unwrap();
        let mut bytes = whole.to_vec();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        db.insert(&key, bytes).unwrap();
        db.flush().unwrap();
        (key, whole)
    };
    let mut service = world.start_heard().await;
    assert!(!world.advance(3 * ONE_DAY).await, "it went on over a damaged record");
    let mut said = String::new();
    std::io::Read::read_to_string(&mut service.stderr.take().unwrap(), &mut said).unwrap();
    ends(service).await;
    assert!(said.contains(&whole.0) && said.contains("recoup import"), "{said}");
    let db = sled::open(world.store()).unwrap();
    db.insert(&whole.0, whole.1).unwrap();
    db.flush().unwrap();
    drop(db);
    let service = world.start().await;
    nothing_is_lost(&world, 1..6).await;
    stop(service);
}
