//! `recoup export`, `import`, `backup`: a store moves whole, and a broken file moves nothing.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use jiff::Timestamp;
use recoup::core::ids::GatewayId;
use recoup::store::sled::SledStore;
use recoup::store::{ExportRecord, InboxBody, InboxRecord, Store};

struct Home {
    dir: tempfile::TempDir,
}

impl Home {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn recoup(&self, args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_recoup"))
            .args(args)
            .current_dir(self.dir.path())
            .env_remove("RECOUP__STORE__URL")
            .output()
            .unwrap()
    }

    /// Runs the command, which must succeed.
    fn done(&self, args: &[&str]) -> Output {
        let output = self.recoup(args);
        assert!(output.status.success(), "{args:?}: {output:?}");
        output
    }

    /// Runs the command, which must fail with code 1, and gives its words.
    fn failed(&self, args: &[&str]) -> String {
        let output = self.recoup(args);
        assert_eq!(output.status.code(), Some(1), "{args:?}: {output:?}");
        assert!(output.stdout.is_empty());
        String::from_utf8(output.stderr).unwrap()
    }
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn fill(path: &Path, inputs: usize) {
    let store = SledStore::open(path).unwrap();
    let input = |n: usize| InboxRecord {
        source: GatewayId::from("stripe"),
        id: format!("evt_{n}"),
        received_at: Timestamp::UNIX_EPOCH,
        body: InboxBody::Webhook { body: vec![b'x'; 10 * n], headers: Vec::new() },
    };
    run(store.append((1..=inputs).map(input).collect())).unwrap();
}

fn all(path: &Path) -> Vec<ExportRecord> {
    let store = SledStore::open(path).unwrap();
    store.check().unwrap();
    run(store.export(None, 100_000)).unwrap()
}

#[test]
fn a_store_goes_through_a_file() {
    let home = Home::new();
    fill(&home.path("a"), 700);
    home.done(&["export", "--store", "sled:a", "-o", "a.jsonl"]);
    home.done(&["import", "a.jsonl", "--store", "sled:b"]);
    assert_eq!(all(&home.path("a")), all(&home.path("b")));
    let piped = home.done(&["export", "--store", "sled:b"]).stdout;
    assert_eq!(piped, fs::read(home.path("a.jsonl")).unwrap());
    let trailer = piped.split(|byte| *byte == b'\n').nth_back(1).unwrap();
    let trailer: serde_json::Value = serde_json::from_slice(trailer).unwrap();
    assert_eq!(trailer["records"], 1_402, "inputs, those that wait, link key and next number");
}

#[cfg(unix)]
#[test]
fn an_export_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let home = Home::new();
    fill(&home.path("data/recoup"), 1);
    home.done(&["export", "-o", "a.jsonl"]);
    let mode = fs::metadata(home.path("a.jsonl")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_broken_file_changes_nothing() {
    let home = Home::new();
    fill(&home.path("a"), 3);
    home.done(&["export", "--store", "sled:a", "-o", "a.jsonl"]);
    let text = fs::read_to_string(home.path("a.jsonl")).unwrap();
    let cut: String = text.lines().take(4).map(|line| format!("{line}\n")).collect();
    fs::write(home.path("cut.jsonl"), cut).unwrap();
    fs::write(home.path("changed.jsonl"), text.replace("evt_2", "evt_9")).unwrap();
    fs::write(home.path("other.jsonl"), "{\"id\":1}\n").unwrap();
    for (file, words) in [
        ("cut.jsonl", "cut off"),
        ("changed.jsonl", "was changed"),
        ("other.jsonl", "no export of recoup"),
        ("missing.jsonl", "missing.jsonl"),
    ] {
        let said = home.failed(&["import", file, "--store", "sled:b"]);
        assert!(said.contains(words), "{said}");
        assert!(!home.path("b").exists());
    }
}

#[test]
fn a_store_in_use_is_not_imported_into() {
    let home = Home::new();
    fill(&home.path("a"), 3);
    fill(&home.path("b"), 4);
    home.done(&["export", "--store", "sled:a", "-o", "a.jsonl"]);
    let before = all(&home.path("b"));
    let said = home.failed(&["import", "a.jsonl", "--store", "sled:b"]);
    assert!(said.contains("nothing is imported"), "{said}");
    assert_eq!(all(&home.path("b")), before);
}

#[test]
fn a_backup_opens_as_it_is() {
    let home = Home::new();
    fill(&home.path("a"), 300);
    home.done(&["backup", "copy", "--store", "sled:a"]);
    assert_eq!(all(&home.path("a")), all(&home.path("copy")));
    let said = home.failed(&["backup", "copy", "--store", "sled:a"]);
    assert!(said.contains("not empty"), "{said}");
}

#[test]
fn a_running_service_and_a_missing_store_are_told_apart() {
    let home = Home::new();
    let said = home.failed(&["export", "--store", "sled:a", "-o", "x"]);
    assert!(said.contains("there is none"), "{said}");
    assert!(!home.path("a").exists() && !home.path("x").exists(), "nothing was made");
    let _running = SledStore::open(&home.path("a")).unwrap();
    let said = home.failed(&["export", "--store", "sled:a", "-o", "x"]);
    assert!(said.contains("another process holds it"), "{said}");
}

#[test]
fn a_table_of_payment_methods_becomes_inputs() {
    let home = Home::new();
    let table = "customer,gateway,token,last4,exp,default,consent\n\
        cus_1,adyen,tok_1,4242,2029-06,true,true\n\
        cus_2,adyen,tok_2,,,,\n\
        cus_1,backup,b_1,4242,2029-06,,true\n";
    fs::write(home.path("wallet.csv"), table).unwrap();
    home.done(&["import", "payment-methods", "wallet.csv", "--store", "sled:a"]);
    let store = SledStore::open(&home.path("a")).unwrap();
    let inputs = run(store.inbox(Timestamp::MAX, 10)).unwrap();
    assert_eq!(inputs.len(), 2);
    let InboxBody::PaymentMethods { customer, methods } = &inputs[0].record.body else {
        panic!("another kind");
    };
    assert_eq!((customer.as_str(), methods.len()), ("cus_1", 2));
    drop(store);
    fs::write(home.path("bad.csv"), table.replace("2029-06", "06/29")).unwrap();
    let said = home.failed(&["import", "payment-methods", "bad.csv", "--store", "sled:b"]);
    assert!(said.contains("line 2, column exp") && said.contains("line 4, column exp"), "{said}");
    assert!(!home.path("b").exists(), "nothing was taken");
}
