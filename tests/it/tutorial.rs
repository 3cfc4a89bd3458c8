//! docs/TUTORIAL.md, run as it stands there: a newcomer's first ten minutes are a test.
//!
//! What must stay true: every command of it works in this order, and it ends with a recovery. Only
//! its two ports are others, since those may be taken on this machine.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The lines of its `sh` blocks.
fn commands(document: &str) -> String {
    let (mut lines, mut inside) = (Vec::new(), false);
    for line in document.lines() {
        match line {
            "```sh" => inside = true,
            "```" => inside = false,
            line if inside => lines.push(line),
            _ => {}
        }
    }
    lines.join("\n")
}

#[test]
fn the_tutorial_ends_with_a_recovery() {
    let document = std::fs::read_to_string("docs/TUTORIAL.md").unwrap();
    let script = commands(&document);
    assert!(script.lines().count() > 30, "{script}");
    let script = script
        .replace("127.0.0.1:9000", &format!("127.0.0.1:{}", free_port()))
        .replace("127.0.0.1:8080", &format!("127.0.0.1:{}", free_port()))
        .replace("recoup sandbox ", "recoup sandbox --listen SANDBOX ");
    // The sandbox listens where the control calls go.
    let control = script.split("/_sandbox/subscribe").next().unwrap();
    let address = control.rsplit(' ').next().unwrap();
    let script = script.replace("SANDBOX", address);
    let guarded = format!("set -eumo pipefail\ntrap 'kill $(jobs -p) 2>&1' EXIT\n{script}\n");
    let binary = Path::new(env!("CARGO_BIN_EXE_recoup")).parent().unwrap();
    let path = format!("{}:{}", binary.display(), std::env::var("PATH").unwrap_or_default());
    let folder = tempfile::tempdir().unwrap();
    let ran = Command::new("timeout")
        .args(["-k", "5", "240", "bash", "-c", &guarded])
        .current_dir(folder.path())
        .env("PATH", path)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stdout).into_owned();
    let log = std::fs::read_to_string(folder.path().join("shop/recoup.log")).unwrap_or_default();
    let told = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert!(ran.status.success(), "{said}\n--- stderr\n{told}\n--- log\n{log}");
    for wanted in ["would be made now", "recovered", "Everything is held", "Nothing is held"] {
        assert!(said.contains(wanted), "no `{wanted}` in:\n{said}\n{told}");
    }
}
