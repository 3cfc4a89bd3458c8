//! `recoup backtest` as a merchant runs it: a good log, and logs that go wrong.
//!
//! Why here: what a bad log leads to must be said, not guessed: which line, which field, and what
//! was left out.
//!
//! What must stay true: nothing is concluded from lines that nobody agreed to leave out.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/backtest").join(name)
}

fn log() -> String {
    std::fs::read_to_string(fixture("log.csv")).unwrap()
}

/// Runs it over this log, on standard input.
fn backtest(log: &str, more: &[&str]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_recoup"))
        .args(["backtest", "-", "--value", "20", "--fees"])
        .arg(fixture("fees.toml"))
        .args(more)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that was used wrongly does not read its input.
    let _ = child.stdin.take().unwrap().write_all(log.as_bytes());
    child.wait_with_output().unwrap()
}

const UNTIL: [&str; 2] = ["--train-until", "2026-01-28"];

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!("{error}: {}", String::from_utf8_lossy(&output.stderr));
    })
}

fn refused(log: &str) -> String {
    let output = backtest(log, &UNTIL);
    assert_eq!(output.status.code(), Some(2), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(output.stdout.is_empty());
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn every_policy_is_judged_and_the_verdict_is_plain() {
    let output = backtest(&log(), &[&UNTIL[..], &["--json"]].concat());
    assert_eq!(output.status.code(), Some(1), "six hundred attempts are no evidence");
    let report = json(&output);
    let names: Vec<_> =
        report["policies"].as_array().unwrap().iter().map(|p| p["policy"].clone()).collect();
    assert_eq!(names, ["logged", "north", "south", "ours", "ours_exploring"]);
    for policy in report["policies"].as_array().unwrap() {
        for figure in ["snips", "dr", "success"] {
            let [low, estimate, high] =
                ["low", "estimate", "high"].map(|key| policy[figure][key].as_f64().unwrap());
            assert!(low <= estimate && estimate <= high, "{policy}");
        }
    }
    let logged = &report["policies"][0];
    assert_eq!(logged["ess"], report["judged"].as_f64().unwrap(), "every attempt counts once");
    assert_eq!(logged["snips"]["estimate"], logged["dr"]["estimate"]);
    assert_eq!(report["suffices"], false);
    assert!(report["verdict"].as_str().unwrap().starts_with("The evidence does not suffice"));
    assert_eq!(report["trained"].as_u64().unwrap() + report["judged"].as_u64().unwrap(), 1_200);
    let again = backtest(&log(), &[&UNTIL[..], &["--json"]].concat());
    assert_eq!(output.stdout, again.stdout, "the same log and seed give the same report");
}

#[test]
fn a_bad_line_is_named_and_left_out_only_when_that_is_asked_for() {
    let rows = [
        ("yesterday,x,1,north,CO,visa,0,9,1", "attempted_at"),
        ("2026-01-02T00:00:00Z,,1,north,CO,visa,0,9,1", "invoice"),
        ("2026-01-02T00:00:00Z,x,0,north,CO,visa,0,9,1", "attempt"),
        ("2026-01-02T00:00:00Z,x,1,west,CO,visa,0,9,1", "gateway"),
        ("2026-01-02T00:00:00Z,x,1,north,CO,visa,maybe,9,1", "three_ds"),
        ("2026-01-02T00:00:00Z,x,1,north,CO,visa,0,NaN,1", "amount"),
        ("2026-01-02T00:00:00Z,x,1,north,CO,visa,0,1e400,1", "amount"),
        ("2026-01-02T00:00:00Z,x,1,north,CO,visa,0,99999999999999999999,1", "amount"),
        ("2026-01-02T00:00:00Z,x,1,north,CO,visa,0,-1,1", "amount"),
        ("2026-01-02T00:00:00Z,x,1,north", "approved"),
        ("2026-01-02T00:00:00Z,x,1,north,CO,visa,0,9,2", "approved"),
    ];
    for (row, field) in rows {
        let said = refused(&format!("{}{row}\n", log()));
        assert!(said.contains(&format!("line 1202, field {field}: ")), "{row}: {said}");
    }
    let all: String = rows.iter().map(|(row, _)| format!("{row}\n")).collect();
    let options = [&UNTIL[..], &["--json", "--skip-bad"]].concat();
    let mixed = backtest(&format!("{}{all}", log()), &options);
    let report = json(&mixed);
    assert_eq!(report["left_out"], rows.len());
    assert!(String::from_utf8_lossy(&mixed.stderr).contains("11 bad lines are left out"));
    let clean = json(&backtest(&log(), &options));
    assert_eq!(report["policies"], clean["policies"], "bad lines change nothing");
}

#[test]
fn propensities_are_used_and_a_zero_is_refused() {
    let with = |propensity: &dyn Fn(&str) -> &'static str| {
        let rows = log();
        let (header, rows) = rows.split_once('\n').unwrap();
        let rows: String = rows.lines().map(|row| format!("{row},{}\n", propensity(row))).collect();
        format!("{header},propensity\n{rows}")
    };
    let known = with(&|row| if row.contains(",north,") { "0.6" } else { "0.4" });
    let options = [&UNTIL[..], &["--json"]].concat();
    let (known, guessed) = (json(&backtest(&known, &options)), json(&backtest(&log(), &options)));
    let south = |report: &Value| report["policies"][2]["snips"]["estimate"].as_f64().unwrap();
    assert!((south(&known) - south(&guessed)).abs() < 0.3, "{} {}", south(&known), south(&guessed));
    for zero in ["0", "-0.5", "1.5", "NaN", "inf"] {
        let said = refused(&with(&|_| zero));
        assert!(said.contains("line 2, field propensity: "), "{said}");
        assert!(said.contains("and 1180 more"), "{said}");
    }
}

#[test]
fn a_log_out_of_order_is_sorted_and_that_is_said() {
    let rows = log();
    let (header, rows) = rows.split_once('\n').unwrap();
    let turned: Vec<_> = rows.lines().rev().collect();
    let options = [&UNTIL[..], &["--json"]].concat();
    let report = json(&backtest(&format!("{header}\n{}\n", turned.join("\n")), &options));
    assert!(report["notes"][0].as_str().unwrap().starts_with("1199 lines are earlier"), "{report}");
    let straight = json(&backtest(&log(), &options));
    let ours = |report: &Value| report["policies"][3]["snips"]["estimate"].clone();
    assert_eq!(ours(&report), ours(&straight));
}

#[test]
fn wrong_use_is_said() {
    for (log, more, said) in [
        (log(), &["--train-until", "1999-01-01"][..], "find an attempt before"),
        (log(), &["--train-until", "2999-01-01"], "find an attempt from"),
        (log(), &["--train-until", "soon"], "--train-until is a day"),
        ("a,b\n1,2\n".to_owned(), &UNTIL, "field attempted_at: the column is missing"),
        (String::new(), &UNTIL, "the column is missing"),
        (log(), &[], "--train-until"),
    ] {
        let output = backtest(&log, more);
        assert_eq!(output.status.code(), Some(2), "{said}");
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(told.contains(said), "{told}");
    }
}

#[test]
fn a_cold_start_is_watched() {
    let options = ["--cold-start", "--outages", "--runs", "1", "--json"];
    let output = backtest(&log(), &options);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let report = json(&output);
    for mark in report["marks"].as_array().unwrap() {
        let share = mark["share"].as_f64().unwrap();
        assert!(share > 0.3 && share <= 1.0, "{mark}");
    }
    assert!(report["state_bytes"].as_u64().unwrap() < 1 << 20);
}
