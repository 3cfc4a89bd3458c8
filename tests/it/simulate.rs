//! `recoup simulate`: over a made world (`fixtures/worlds`), and over the issuer model.
//!
//! What must stay true: the same files, options and seed give the same result; a bad line is named,
//! or left out and counted; the answers of the world are no evidence.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

const TEST: &str = "fixtures/worlds/test.jsonl";
const TRAIN: &str = "fixtures/worlds/train.jsonl";

fn run(args: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_recoup"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .arg("simulate")
        .args(args)
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn json(args: &[&str]) -> Value {
    let (code, out, err) = run(&[args, &["--json"]].concat());
    assert_eq!(code, 0, "{err}");
    serde_json::from_str(&out).unwrap()
}

#[test]
fn a_small_world() {
    let args = ["--world", TEST, "--train", TRAIN, "--attempts", "2", "--against", "tuned"];
    let found = json(&args);
    assert_eq!(found, json(&args), "it is not reproducible");
    let rounded = |value: &Value| (value.as_f64().unwrap() * 1e4).round() / 1e4;
    insta::assert_json_snapshot!(serde_json::json!({
        "schedule": found["schedule"],
        "cases": found["cases"],
        "recovered": found["recovered"],
        "recovered_share": rounded(&found["recovered_share"]),
        "attempts": found["attempts"],
        "attempts_per_case": rounded(&found["attempts_per_case"]),
        "groups": found["by_group"].as_object().unwrap().keys().collect::<Vec<_>>(),
        "against": found["against"][0]["schedule"],
        "against_recovered": found["against"][0]["recovered"],
        "training_cases": found["training_cases"],
        "skipped_lines": found["skipped_lines"],
    }));
}

#[test]
fn evidence_moves_days_and_pays() {
    let args = ["--world", TEST, "--train", TRAIN, "--attempts", "1", "--against", "even"];
    let found = json(&args);
    assert!(found["against"][0]["difference"].as_f64().unwrap() > 0.2, "{found}");
}

#[test]
fn without_evidence_smart_is_even() {
    let dir = tempfile::tempdir().unwrap();
    let line = |n: u32| {
        format!(
            "{{\"case\":\"c{n}\",\"customer\":\"u{n}\",\"group\":\"g\",\
             \"failed_on\":\"2026-03-{:02}\",\
             \"category\":\"insufficient_funds\",\"past\":[],\"opens\":[{}]}}\n",
            1 + n % 28,
            1 + n % 30
        )
    };
    let world = write(dir.path(), &(0..60).map(line).collect::<String>());
    let of = |schedule| {
        let mut found = json(&["--world", &world, "--schedule", schedule]);
        found["schedule"].take();
        found
    };
    assert_eq!(of("smart"), of("even"));
}

#[test]
fn no_schedule_sees_the_answers() {
    let dir = tempfile::tempdir().unwrap();
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(TEST)).unwrap();
    // The same world in which every day opens: the first attempt is on the same day.
    let all: Vec<String> = (1..=30).map(|day| day.to_string()).collect();
    let open = text.lines().map(|line| {
        let (head, _) = line.split_once("\"opens\"").unwrap();
        format!("{head}\"opens\":[{}]}}\n", all.join(","))
    });
    let open = write(dir.path(), &open.collect::<String>());
    let found = json(&["--world", &open, "--train", TRAIN, "--attempts", "1"]);
    assert_eq!(found["recovered"], 120);
    let days = |found: &Value| -> u64 {
        found["by_day"].as_object().unwrap().values().map(|n| n.as_u64().unwrap()).sum()
    };
    assert_eq!(days(&found), 120);
    let seen = json(&["--world", TEST, "--train", TRAIN, "--attempts", "1"]);
    for (day, count) in seen["by_day"].as_object().unwrap() {
        assert!(found["by_day"][day].as_u64() >= count.as_u64(), "day {day} was chosen less");
    }
}

fn write(dir: &Path, text: &str) -> String {
    let path = dir.join("world.jsonl");
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

#[test]
fn a_bad_line_is_named_or_left_out_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(TEST)).unwrap();
    let lines: Vec<_> = text.lines().collect();
    let bad = lines[1].replace("insufficient_funds", "poverty");
    let cut = &lines[2][..40];
    let world = write(dir.path(), &[lines[0], &bad, cut, lines[3]].join("\n"));
    let (code, out, err) = run(&["--world", &world]);
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(err.contains("world.jsonl, line 2, field `category`"), "{err}");
    let (code, _, err) = run(&["--world", &world, "--skip-bad"]);
    assert_eq!(code, 0);
    assert!(err.contains("2 bad lines were left out"), "{err}");
    assert_eq!(json(&["--world", &world, "--skip-bad"])["skipped_lines"], 2);
    let (code, _, err) = run(&["--world", "nowhere.jsonl"]);
    assert!(code == 1 && err.contains("nowhere.jsonl"), "{err}");
    let empty = write(dir.path(), "\n");
    let (code, _, err) = run(&["--world", &empty]);
    assert!(code == 1 && err.contains("it has no case"), "{err}");
}

#[test]
fn wrong_use_is_said() {
    for args in [
        &["--attempts", "4"][..],
        &["--world", TEST, "--schedule", "tuned"],
        &["--world", TEST, "--schedule", "days=8,3"],
        &["--world", TEST, "--schedule", "days=0"],
        &["--world", TEST, "--attempts", "0"],
        &["--world", TEST, "--window", "61"],
        &["--world", TEST, "--folds", "2"],
        &["--world", TEST, "--issuer-model"],
        &["--issuer-model", "--country", "XX"],
    ] {
        let (code, out, err) = run(args);
        assert_eq!((code, out.as_str()), (2, ""), "{args:?}: {err}");
    }
}

#[test]
fn folds_play_every_case_once() {
    let found = json(&["--train", TRAIN, "--folds", "3", "--against", "even"]);
    assert_eq!(found["cases"], 300);
    assert_eq!(found["against"][0]["cases"], 300);
}

#[test]
fn days_of_ones_own_are_kept_in_the_window() {
    let found = json(&["--world", TEST, "--schedule", "days=3,8,40"]);
    let days: Vec<_> = found["by_day"].as_object().unwrap().keys().cloned().collect();
    assert!(days.iter().all(|day| ["3", "8"].contains(&day.as_str())), "{days:?}");
    assert_eq!(found["max_attempts"], 3);
}

#[test]
fn the_issuer_model_follows_from_its_seed() {
    let args = ["--issuer-model", "--country", "CO,EU", "--cases", "400", "--train-cases", "300"];
    let found = json(&args);
    assert_eq!(found, json(&args));
    assert_eq!(found["cases"], 800);
    assert_eq!(found["by_group"].as_object().unwrap().len(), 2);
    let share = found["recovered_share"].as_f64().unwrap();
    assert!((0.4..0.9).contains(&share), "{share}");
    let other = json(&[&args[..], &["--seed", "2"]].concat());
    assert_ne!(found["recovered"], other["recovered"]);
    let own = json(&[&args[..], &["--history", "itself"]].concat());
    assert_eq!(own["training_cases"], 600);
    let drawn = json(&[&args[..], &["--draw", "5"]].concat());
    assert_ne!(found["recovered"], drawn["recovered"]);
}

#[test]
fn a_model_of_ones_own_is_played_and_a_bad_one_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (code, shipped, err) = run(&["--print-model"]);
    assert_eq!((code, err.as_str()), (0, ""));
    let args = |file: &str| {
        ["--issuer-model", "--model", file, "--cases", "2000", "--train-cases", "0"]
            .map(str::to_owned)
    };
    let play = |text: &str| {
        let file = write(folder.path(), text);
        let args = args(&file);
        run(&args.iter().map(String::as_str).chain(["--json"]).collect::<Vec<_>>())
    };
    let share = |out: &str| {
        serde_json::from_str::<Value>(out).unwrap()["recovered_share"].as_f64().unwrap()
    };
    let built_in =
        json(&["--issuer-model", "--cases", "2000", "--train-cases", "0"])["recovered_share"]
            .clone();
    let (code, same, err) = play(&shipped);
    assert_eq!((code, share(&same)), (0, built_in.as_f64().unwrap()), "{err}");
    // Who never fills the account up again pays nothing.
    let never = |name: &str, text: &str| {
        let (before, after) = text.split_once(&format!("[parameters.{name}]\nvalue = ")).unwrap();
        let rest = after.split_once('\n').unwrap().1;
        format!("{before}[parameters.{name}]\nvalue = 1.0\n{rest}")
    };
    let (code, poor, err) = play(&never("never_funded", &shipped));
    assert!(code == 0 && share(&poor) < share(&same) - 0.05, "{err}");
    let (code, _, err) = play(&shipped.replacen("spread = 0.15", "spread = 99.0", 1));
    assert!(code == 1 && err.contains("field `parameters.cause_funds.spread`"), "{err}");
}
