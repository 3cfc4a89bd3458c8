//! `recoup check`, as a merchant meets it: the real binary over files with mistakes.
//!
//! What must stay true: each mistake is told at its exact place, with the nearest right key, and
//! the exit code says whether the file can be used.

use std::process::{Command, Output};

use serde_json::Value;

const SMALL: &str = r#"[merchant]
name = "Nube"
public_url = "https://pay.nube.example"
support_email = "help@nube.example"
[[gateways]]
id = "stripe"
kind = "stripe"
api_key = { env = "T_KEY" }
webhook_secrets = [{ env = "T_SECRET" }]
[email]
smtp_url = { env = "T_SMTP" }
from = "Nube <pay@nube.example>"
"#;

fn check(text: &str, arguments: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("recoup.toml");
    std::fs::write(&path, text).unwrap();
    Command::new(env!("CARGO_BIN_EXE_recoup"))
        .arg("check")
        .arg("--config")
        .arg(&path)
        .args(arguments)
        .env_clear()
        .env("T_KEY", "sk_test_1")
        .env("T_SECRET", "whsec_1")
        .env("T_SMTP", "smtp://127.0.0.1:1025")
        .current_dir(folder.path())
        .output()
        .unwrap()
}

fn problems(text: &str) -> (i32, Vec<Value>) {
    let output = check(text, &["--json"]);
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    let code = output.status.code().unwrap();
    assert_eq!(document["ok"], Value::Bool(code == 0), "{document}");
    (code, document["problems"].as_array().unwrap().clone())
}

/// (what to replace in the good file, with what, line, column, part of the message, suggestion)
type Mistake = (&'static str, &'static str, u64, u64, &'static str, Option<&'static str>);

const MISTAKES: &[Mistake] = &[
    ("name =", "nmae =", 2, 1, "unknown key `nmae`", Some("name")),
    ("[email]", "[emial]", 10, 2, "unknown key `emial`", Some("email")),
    ("name = \"Nube\"", "name = 3", 2, 8, "is a whole number, and must be text", None),
    ("name = \"Nube\"\n", "", 1, 1, "`merchant.name` is missing", None),
    ("\"stripe\"\napi", "\"stirpe\"\napi", 7, 8, "is not one of: stripe, adyen", Some("stripe")),
    ("\"stripe\"\napi", "\"adyen\"\napi", 5, 1, "has no `merchant_account`", None),
    ("\"stripe\"\napi", "\"braintree\"\napi", 5, 1, "has no `private_key`", None),
    ("api_key = { env = \"T_KEY\" }\n", "", 5, 1, "has no `api_key`", None),
    ("\"stripe\"\napi", "\"http\"\napi", 5, 1, "has no `api_base`", None),
    ("id = \"stripe\"", "id = \"api\"", 6, 6, "is reserved", None),
    ("T_KEY", "T_GONE", 8, 19, "the environment variable T_GONE is not set", None),
    ("{ env = \"T_KEY\" }", "{ file = \"gone\" }", 8, 20, "the file gone cannot be read", None),
    ("{ env = \"T_KEY\" }", "{ evn = \"T_KEY\" }", 8, 13, "not from `evn`", Some("env")),
    ("[{ env = \"T_SECRET\" }]", "[]", 9, 19, "the billing gateway has no webhook secret", None),
    ("T_KEY", "T_SECRET", 8, 11, "is a webhook secret", None),
    ("https://pay", "ftp://pay", 3, 14, "is not an http:// or https:// URL", None),
    ("help@nube.example", "help", 4, 17, "is not an e-mail address", None),
    ("[merchant]", "[merchant]\nlocale = \"12\"", 2, 10, "is not a language tag", None),
    ("[merchant]", "[merchant]\ntime_zone = \"Bogota\"", 2, 13, "is not an IANA time zone", None),
    ("[email]", "[retries]\nwindow_days = 0\n[email]", 11, 15, "must be from 1 to 90", None),
    (
        "[email]",
        "[backup]\ndir = \"copies\"\n[store]\nurl = \"postgres://recoup@db/recoup\"\n[email]",
        10,
        1,
        "`[backup]` copies a sled store",
        None,
    ),
    (
        "[email]",
        "[retries]\nschedule = { days = [8, 3] }\n[email]",
        11,
        21,
        "each later than the one before",
        None,
    ),
    (
        "[email]",
        "[retries]\nschedule = { days = [3, 40] }\n[email]",
        11,
        25,
        "day 40 is behind `window_days = 28`",
        None,
    ),
    (
        "[email]",
        "[reminders]\ncontact_policy = \"co-ley-2003\"\n[email]",
        11,
        18,
        "there is no contact policy `co-ley-2003`",
        Some("co-ley-2300"),
    ),
    (
        "[email]",
        "[contact_policies.own]\nbase = \"br\"\nper_day = 4\n[email]",
        12,
        11,
        "allows 4 a day and only 3 a week",
        None,
    ),
    (
        "[email]",
        "[contact_policies.own]\nbase = \"us-tcpa \"\n[email]",
        11,
        8,
        "there is no shipped contact policy",
        Some("us-tcpa"),
    ),
    (
        "[email]",
        "[contact_policies.own]\nper_day = 1\n[email]",
        10,
        1,
        "`contact_policies.own.hours` is missing",
        None,
    ),
    (
        "[email]",
        "[contact_policies.own.hours]\nmonday = []\n[email]",
        10,
        1,
        "allows no hour on any day",
        None,
    ),
    (
        "[email]",
        "[reminders]\ncontact_policy = \"own\"\n[contact_policies.own]\nbase = \"eu\"\n\
         gap_hours = 700\n[email]",
        14,
        13,
        "longer than the campaign of 28 days",
        None,
    ),
    (
        "[email]",
        "[[reminders.steps]]\nafter_days = 7\nkind = \"card_update\"\n\
         [[reminders.steps]]\nafter_days = 3\nkind = \"last_notice\"\n[email]",
        14,
        14,
        "the step on day 3 stands behind the one on day 7",
        None,
    ),
    (
        "[email]",
        "[[reminders.steps]]\nafter_days = 7\nkind = \"last_notice\"\n\
         [[reminders.steps]]\nafter_days = 9\nkind = \"card_update\"\n[email]",
        14,
        14,
        "comes behind a last notice",
        None,
    ),
    (
        "[email]",
        "[[reminders.steps]]\nafter_days = 7\nkind = \"card_update\"\ncategories = \
         [\"insufficient_fund\"]\n[email]",
        13,
        15,
        "did you mean `insufficient_funds`?",
        None,
    ),
    (
        "[email]",
        "[[reminders.steps]]\nafter_days = 7\nkind = \"card_update\"\nmin_amount = \
         [\"50 dollars\"]\n[email]",
        13,
        15,
        "is not an amount such as `29.00 USD`",
        None,
    ),
    (
        "[email]",
        "[reminders]\npre_dunning = true\n[email]",
        11,
        15,
        "do not tell when the next charge is",
        None,
    ),
    (
        "[email]",
        "[reminders]\ncontact_policy = \"defualt\"\n[email]",
        11,
        18,
        "there is no contact policy `defualt`",
        Some("default"),
    ),
    (
        "[email]",
        "[[reminders.steps]]\nafter_days = 1\nkind = \"card_update\"\nchannel = \"sms\"\n[email]",
        13,
        11,
        "`sms` is not in `reminders.channels`",
        None,
    ),
    ("[email]", "[store]\nurl = \"postgres:h\"\n[email]", 11, 7, "postgres://", None),
    ("[merchant]", "[merchant", 1, 10, "this is not TOML", None),
];

#[test]
fn the_good_file_is_good() {
    let output = check(SMALL, &[]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(problems(SMALL), (0, Vec::new()));
}

#[test]
fn each_mistake_is_told_at_its_place() {
    for (from, to, line, column, message, suggestion) in MISTAKES {
        assert!(SMALL.contains(from), "{from} is not in the good file");
        let text = SMALL.replacen(from, to, 1);
        let (code, problems) = problems(&text);
        assert_eq!(code, 1, "{to}");
        let found = problems
            .iter()
            .find(|p| p["message"].as_str().unwrap().contains(message))
            .unwrap_or_else(|| panic!("{to}: no `{message}` in {problems:#?}"));
        assert_eq!(
            (found["line"].as_u64(), found["column"].as_u64()),
            (Some(*line), Some(*column)),
            "{to}: {found:#}"
        );
        assert_eq!(found["suggestion"].as_str(), *suggestion, "{to}: {found:#}");
        assert_eq!(found["severity"], "error");
    }
}

#[test]
fn a_file_without_gateways_and_two_gateways_of_one_id_are_refused() {
    let (without, _) = SMALL.split_once("[[gateways]]").unwrap();
    let (code, found) = problems(without);
    assert_eq!(code, 1);
    assert!(found.iter().any(|p| p["message"] == "`gateways` is missing"), "{found:#?}");

    let twice = format!(
        "{SMALL}[[gateways]]\nid = \"stripe\"\nkind = \"stripe\"\n\
        api_key = {{ env = \"T_KEY\" }}\nwebhook_secrets = [{{ env = \"T_SECRET\" }}]\n"
    );
    let (code, found) = problems(&twice);
    assert_eq!((code, found[0]["line"].as_u64()), (1, Some(14)), "{found:#?}");
}

#[test]
fn the_channel_email_needs_its_section() {
    let (without, _) = SMALL.split_once("[email]").unwrap();
    let (code, found) = problems(without);
    assert_eq!((code, found[0]["severity"].as_str()), (0, Some("warning")), "{found:#?}");
    let asked = format!("{without}[reminders]\nchannels = [\"email\"]\n");
    let (code, found) = problems(&asked);
    assert_eq!((code, found[0]["line"].as_u64()), (1, Some(11)), "{found:#?}");
}

#[test]
fn all_problems_are_told_at_once_and_no_secret_is_shown() {
    let text = SMALL
        .replace("name =", "nmae =")
        .replace("{ env = \"T_KEY\" }", "\"sk_live_visible\"")
        .replace("webhook_secrets", "webhook_secret");
    let output = check(&text, &[]);
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8(output.stderr).unwrap();
    for part in ["nmae", "`name`", "`webhook_secrets`", "secret in plain text", "^^^^"] {
        assert!(told.contains(part), "no {part} in {told}");
    }
    assert!(!told.contains("sk_live_visible"), "{told}");
}

#[test]
fn a_file_that_is_not_there_is_a_problem_not_a_panic() {
    let output = Command::new(env!("CARGO_BIN_EXE_recoup"))
        .args(["check", "--config", "/nowhere/recoup.toml", "--json"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["ok"], false);
    assert_eq!(document["problems"][0]["file"], "/nowhere/recoup.toml");
}

#[test]
fn wrong_use_is_exit_code_2() {
    let output =
        Command::new(env!("CARGO_BIN_EXE_recoup")).args(["check", "--nope"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}
