//! `recoup sandbox` as a developer runs it.
//!
//! Why here: its first line of JSON is what scripts read.
//!
//! What must stay true: the address answers when it is printed; SIGTERM ends it with exit code 0.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use serde_json::Value;

#[tokio::test]
async fn it_prints_what_a_merchant_file_needs_and_ends_when_told() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_recoup"))
        .args(["sandbox", "--listen", "127.0.0.1:0", "--seed", "5", "--json"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let printed: Value = serde_json::from_str(&line).unwrap();
    let client = recoup::sandbox::deliver::client().unwrap();
    let account = client
        .get(format!("{}/v1/account", printed["stripe"]["api_base"].as_str().unwrap()))
        .bearer_auth(printed["stripe"]["api_key"].as_str().unwrap());
    assert_eq!(account.send().await.unwrap().status(), 200);
    let told = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(told.success());
    let ended = tokio::task::spawn_blocking(move || child.wait()).await.unwrap().unwrap();
    assert_eq!(ended.code(), Some(0));
}

#[test]
fn a_taken_address_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = Command::new(env!("CARGO_BIN_EXE_recoup"))
        .args(["sandbox", "--listen", &address])
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(error.contains("failed to listen on") && error.contains(&address), "{error}");
}
