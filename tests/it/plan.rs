//! `recoup plan --event`: what a merchant reads before recoup touches a customer.
//!
//! Why here: the golden plans are the product's promise in one page each; a change of the schedule,
//! the routing or a message shows in them.
//!
//! What must stay true: it works on a bare machine; nothing is written.

use std::path::Path;
use std::process::{Command, Output};

use recoup::core::money::Money;
use recoup::sandbox::sample::{Happening, Wanted, sample};
use recoup::sandbox::{Kind, Shape};
use serde_json::Value;

struct Desk {
    dir: tempfile::TempDir,
}

impl Desk {
    /// A folder with a captured event in `event.json`.
    fn with(kind: Kind, happening: Happening, decline: Option<&str>) -> Self {
        let wanted = Wanted {
            gateway: kind,
            happening,
            customer: "cus_42".into(),
            invoice: "in_42".into(),
            amount: Money::new(2900, "usd".parse().unwrap()),
            decline: decline.map(str::to_owned),
            at: "2026-01-05T14:00:00Z".parse().unwrap(),
            shape: Shape::Basil,
        };
        let dir = tempfile::tempdir().unwrap();
        let body = sample(&wanted).unwrap().body.to_string();
        std::fs::write(dir.path().join("event.json"), body).unwrap();
        Self { dir }
    }

    fn failed(decline: &str) -> Self {
        Self::with(Kind::Stripe, Happening::PaymentFailed, Some(decline))
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn plan(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_recoup"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("RECOUP_") {
                command.env_remove(name);
            }
        }
        command.arg("plan").args(args).current_dir(self.path()).output().unwrap()
    }

    fn text(&self, args: &[&str]) -> String {
        let output = self.plan(&[&["--event", "event.json"], args].concat());
        assert!(output.status.success(), "{output:?}");
        let left: Vec<_> = std::fs::read_dir(self.path()).unwrap().collect();
        assert_eq!(left.len(), 1, "nothing was written");
        String::from_utf8(output.stdout).unwrap()
    }

    fn json(&self, args: &[&str]) -> Value {
        serde_json::from_str(&self.text(&[args, &["--json"]].concat())).unwrap()
    }

    /// The command must fail, and gives its exit code and words.
    fn refused(&self, args: &[&str]) -> (i32, String) {
        let output = self.plan(args);
        assert!(output.stdout.is_empty(), "{output:?}");
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    }
}

fn steps<'a>(plan: &'a Value, what: &str) -> Vec<&'a Value> {
    let steps = plan["steps"].as_array().unwrap().iter();
    steps.filter(|step| step["what"] == what).collect()
}

#[test]
fn no_balance_is_tried_four_times_at_its_own_bank() {
    insta::assert_snapshot!(Desk::failed("insufficient_funds").text(&[]));
}

#[test]
fn a_decline_without_reason_is_tried_once_at_the_other_gateway() {
    insta::assert_snapshot!(Desk::failed("generic_decline").text(&["--token-at", "http"]));
}

#[test]
fn a_lost_card_is_not_charged_again_and_never_called_lost() {
    let desk = Desk::failed("lost_card");
    let plan = desk.json(&[]);
    assert!(steps(&plan, "attempt").is_empty());
    let messages = steps(&plan, "message");
    assert!(!messages.is_empty());
    for message in messages {
        let text = message["message"].to_string().to_lowercase();
        assert!(!text.contains("lost") && !text.contains("stolen"), "{text}");
    }
    insta::assert_snapshot!(desk.text(&[]));
}

#[test]
fn no_message_says_that_a_card_is_not_tried_while_it_is() {
    for decline in ["insufficient_funds", "generic_decline", "lost_card", "expired_card"] {
        let plan = Desk::failed(decline).json(&[]);
        let last = steps(&plan, "attempt").iter().filter_map(|a| a["at"].as_str()).max();
        for message in steps(&plan, "message") {
            let says_so = message["message"]["text"].to_string().contains("try that card again");
            let at = message["at"].as_str();
            assert!(!says_so || last.is_none() || at > last, "{decline}: {message}");
        }
    }
}

#[test]
fn the_same_event_gives_the_same_plan() {
    let desk = Desk::failed("insufficient_funds");
    assert_eq!(desk.json(&[]), desk.json(&[]));
    assert_eq!(desk.json(&[])["from"], "2026-01-05T14:00:00Z");
}

#[test]
fn a_reason_can_be_assumed() {
    let desk = Desk::with(Kind::Stripe, Happening::PaymentFailed, None);
    let output = desk.plan(&["--event", "event.json"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && said.contains("--decline CODE"), "{said}");
    let plan = desk.json(&["--decline", "expired_card"]);
    assert_eq!(plan["decline"]["category"], "credential_outdated");
    assert!(steps(&plan, "attempt").is_empty());
    assert_eq!(plan["ends"]["state"], "exhausted");
}

#[test]
fn the_merchant_file_decides_where_there_is_one() {
    let desk = Desk::failed("generic_decline");
    let text = "[merchant]\nname = \"Café Nube\"\npublic_url = \"https://pay.cafenube.example\"\n\
        locale = \"es-CO\"\ntime_zone = \"America/Bogota\"\n\
        [[gateways]]\nid = \"main\"\nkind = \"stripe\"\napi_key = \"sk_test_x\"\n\
        webhook_secrets = [\"whsec_x\"]\n\
        [[gateways]]\nid = \"backup\"\nkind = \"http\"\napi_key = \"x\"\n\
        api_base = \"https://backup.example\"\n\
        [retries]\nmax_attempts = 2\n\
        [final_action]\nsubscription = \"cancel\"\n\
        [email]\nsmtp_url = \"smtp://127.0.0.1:1\"\nfrom = \"Café Nube <a@cafenube.example>\"\n";
    let folder = tempfile::tempdir().unwrap();
    let shop = folder.path().join("shop.toml");
    std::fs::write(&shop, text).unwrap();
    let config = shop.to_str().unwrap();
    let plan = desk.json(&["--config", config, "--gateway", "main", "--token-at", "backup"]);
    let attempts = steps(&plan, "attempt");
    assert_eq!(attempts.len(), 2);
    assert_eq!((&attempts[0]["via"], &attempts[1]["via"]), (&"backup".into(), &"main".into()));
    let message = steps(&plan, "message")[0]["message"].clone();
    assert_eq!(message["locale"], "es-CO");
    assert!(message["text"].as_str().unwrap().contains("https://pay.cafenube.example/pay/…"));
    assert_eq!(steps(&plan, "close")[0]["text"], "At main: subscription cancel, invoice keep.");
    let args = ["--event", "event.json", "--config", config];
    let (code, said) = desk.refused(&[&args[..], &["--gateway", "backup"]].concat());
    assert!(code == 1 && said.contains("the billing gateway (`main`)"), "{said}");
    let (code, said) = desk.refused(&[&args[..], &["--token-at", "adyen"]].concat());
    assert!(code == 2 && said.contains("it has: main, backup"), "{said}");
}

#[test]
fn the_http_gateways_events_are_planned_too() {
    let desk = Desk::with(Kind::Http, Happening::PaymentFailed, Some("generic_decline"));
    let plan = desk.json(&["--gateway", "http"]);
    assert_eq!(steps(&plan, "attempt")[0]["via"], "http");
}

#[test]
fn what_cannot_be_planned_is_said() {
    let desk = Desk::with(Kind::Stripe, Happening::Voided, None);
    let (code, said) = desk.refused(&["--event", "event.json"]);
    assert!(code == 1 && said.contains("it is `invoice_voided`"), "{said}");
    let (code, said) = desk.refused(&["--event", "event.json", "--gateway", "paypal"]);
    assert!(code == 2 && said.contains(&recoup::gateway::kinds::names()), "{said}");
    let (code, said) = desk.refused(&["--event", "nowhere.json"]);
    assert!(code == 2 && said.contains("nowhere.json"), "{said}");
    let (code, said) = desk.refused(&[]);
    assert!(code == 2 && said.contains("--event"), "{said}");
    let (code, _) = desk.refused(&["in_42", "--event", "event.json"]);
    assert_eq!(code, 2, "one or the other");
    std::fs::write(desk.path().join("event.json"), "{}").unwrap();
    let (code, said) = desk.refused(&["--event", "event.json"]);
    assert!(code == 1 && said.contains("read the webhook body"), "{said}");
}
