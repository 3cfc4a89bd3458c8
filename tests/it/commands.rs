//! `cases`, `explain`, `plan CASE`, the actions and `completions`, as a person and a script run
//! them: the real binary, against a real service, and against its store without one.
//!
//! What must stay true: both ways give the same JSON; what is refused says the cause and the cure;
//! the admin token is in no output.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use jiff::Timestamp;
use recoup::store::sled::SledStore;
use serde_json::{Value, json};

use crate::receiver::Receiver;

const TOKEN: &str = "0123456789abcdef-admin";
const SECRET: &str = "whsec_test_of_commands";

struct Ran {
    code: i32,
    out: String,
    err: String,
}

impl Ran {
    fn json(&self) -> Value {
        serde_json::from_str(&self.out)
            .unwrap_or_else(|_| panic!("no JSON: {} {}", self.out, self.err))
    }

    fn ok(self) -> Self {
        assert_eq!(self.code, 0, "{} {}", self.out, self.err);
        self
    }
}

/// A merchant's folder.
struct Home {
    dir: tempfile::TempDir,
}

impl Home {
    fn new() -> Self {
        let home = Self { dir: tempfile::tempdir().unwrap() };
        home.write("sled:store");
        home
    }

    /// The merchant file. Nothing listens where it says, and its gateway is not there.
    fn write(&self, store: &str) {
        let text = format!(
            "[merchant]\nname = \"Test\"\npublic_url = \"http://127.0.0.1:1\"\n\
             time_zone = \"America/Bogota\"\nsupport_email = \"help@example.com\"\n\
             [server]\nlisten = \"127.0.0.1:1\"\nadmin_token = \"{TOKEN}\"\n\
             [store]\nurl = \"{store}\"\n\
             [[gateways]]\nid = \"stripe\"\nkind = \"stripe\"\napi_key = \"sk_test_x\"\n\
             api_base = \"http://127.0.0.1:1\"\nwebhook_secrets = [\"{SECRET}\"]\n\
             [email]\nsmtp_url = \"smtp://127.0.0.1:1\"\nfrom = \"Test <test@example.com>\"\n"
        );
        std::fs::write(self.dir.path().join("recoup.toml"), text).unwrap();
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_recoup"));
        command.current_dir(self.dir.path());
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("RECOUP_") {
                command.env_remove(name);
            }
        }
        command
    }

    fn run(&self, args: &[&str]) -> Ran {
        self.run_with(args, &[])
    }

    fn run_with(&self, args: &[&str], env: &[(&str, &str)]) -> Ran {
        let output = self.command().args(args).envs(env.iter().copied()).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let ran = Ran {
            code: output.status.code().unwrap(),
            out: text(output.stdout),
            err: text(output.stderr),
        };
        assert!(!ran.out.contains(TOKEN) && !ran.err.contains(TOKEN), "the token was printed");
        ran
    }

    fn serve(&self) -> Service<'_> {
        let args = ["serve", "--listen", "127.0.0.1:0", "--test-clock", "2026-01-05T14:00:00Z"];
        let mut child = self.command().args(args).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = lines.by_ref().find_map(|line| {
            let line: Value = serde_json::from_str(&line.unwrap()).ok()?;
            Some(line.get("address")?.as_str()?.to_owned())
        });
        // The rest is read away, so that the service never waits for its reader.
        std::thread::spawn(move || lines.for_each(drop));
        Service { home: self, child, url: format!("http://{}", address.unwrap()) }
    }
}

/// A running service; ended in order when it goes.
struct Service<'a> {
    home: &'a Home,
    child: Child,
    url: String,
}

impl Drop for Service<'_> {
    fn drop(&mut self) {
        let told = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        if !told.is_ok_and(|status| status.success()) {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}

impl Service<'_> {
    fn run(&self, args: &[&str]) -> Ran {
        self.home.run(&[args, &["--url", &self.url]].concat())
    }

    /// Sends a failed payment and lets it be applied.
    fn fail(&self, invoice: &str, decline: &str) {
        let url = format!("{}/webhooks/stripe", self.url);
        let args = ["trigger", "payment_failed", "--decline", decline, "--invoice", invoice];
        self.home.run(&[&args[..], &["--secret", SECRET, "--url", &url]].concat()).ok();
        self.settle();
    }

    /// Everything that is due now is done when this returns.
    fn settle(&self) {
        let advance = async {
            let client = recoup::sandbox::deliver::client().unwrap();
            let url = format!("{}/api/v1/test-clock/advance", self.url);
            let body = json!({ "by_seconds": 0 });
            client.post(url).bearer_auth(TOKEN).json(&body).send().await.unwrap().status()
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        assert_eq!(runtime.block_on(advance), 200);
    }
}

#[test]
fn people_and_tokens_are_made_with_and_without_a_service() {
    let home = Home::new();
    let service = home.serve();
    let add = ["user", "add", "ana@company.example", "--role", "support"];
    let said = service.run(&add).ok().out;
    assert!(said.contains("http://127.0.0.1:1/set-up/"), "{said}");
    let twice = service.run(&add);
    assert!(twice.code == 1 && twice.err.contains("user_exists"), "{}", twice.err);
    let token = service.run(&["token", "create", "shop", "--scope", "read"]).ok().out;
    let token = token.trim();
    // With a token of its own a command does what its scope allows.
    let with = |args: &[&str]| {
        let args = [args, &["--url", &service.url]].concat();
        let mut command = home.command();
        command.args(args).env("RECOUP__SERVER__ADMIN_TOKEN", token).output().unwrap()
    };
    assert!(with(&["cases"]).status.success());
    let refused = String::from_utf8(with(&["user", "list"]).stderr).unwrap();
    assert!(refused.contains("`admin`") && refused.contains("forbidden"), "{refused}");
    drop(service);
    // The same over the store itself.
    home.run(&["user", "role", "ana@company.example", "viewer"]).ok();
    let list = home.run(&["user", "list"]).ok().out;
    assert!(list.contains("ana@company.example  viewer"), "{list}");
    assert!(home.run(&["token", "list"]).ok().out.contains("shop"));
    home.run(&["token", "revoke", "shop"]).ok();
    home.run(&["user", "remove", "ana@company.example"]).ok();
    let audit = home.run(&["audit", "--json"]).ok().json();
    let lines = audit["data"].as_array().unwrap().iter();
    let told: Vec<_> = lines.map(|line| format!("{} {}", line["what"], line["via"])).collect();
    let by_command = |what: &str| format!("\"{what}\" \"command_line\"");
    assert_eq!(told[0], by_command("users.remove"));
    assert!(told.contains(&by_command("users.add")) && told.len() == 5, "{told:?}");
    assert!(home.run(&["audit"]).ok().out.contains("tokens.remove"));
}

#[test]
fn whoever_starts_the_service_gets_a_link_for_the_first_account_and_no_log_does() {
    let home = Home::new();
    let args = ["serve", "--listen", "127.0.0.1:0"];
    let mut child =
        home.command().args(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let link = lines.map(Result::unwrap).find(|line| line.contains("/set-up/")).unwrap();
    assert!(link.starts_with("http://127.0.0.1:1/set-up/"), "{link}");
    let told = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
    assert!(told.unwrap().success());
    child.wait().unwrap();
    let mut log = String::new();
    std::io::Read::read_to_string(&mut child.stderr.take().unwrap(), &mut log).unwrap();
    assert!(log.contains("recoup is ready") && !log.contains("set-up/"), "{log}");
}

#[test]
fn a_case_is_listed_explained_and_planned() {
    let home = Home::new();
    let service = home.serve();
    service.fail("in_1", "insufficient_funds");
    service.fail("in_2", "expired_card");
    let list = service.run(&["cases", "--json"]).ok().json();
    assert_eq!(list["has_more"], false);
    assert_eq!(list["data"].as_array().unwrap().len(), 2);
    let id = service.run(&["cases", "--invoice", "in_1", "--json"]).ok().json();
    let id = id["data"][0]["id"].as_str().unwrap().to_owned();
    let one = service.run(&["cases", "--limit", "1", "--json"]).ok().json();
    assert_eq!((one["data"].as_array().unwrap().len(), &one["has_more"]), (1, &json!(true)));
    let waiting = service.run(&["cases", "--state", "awaiting_customer"]).ok().out;
    assert!(waiting.contains("awaiting customer") && !waiting.contains(&id), "{waiting}");
    assert!(waiting.contains("29.00 USD") && waiting.contains("America/Bogota"), "{waiting}");
    let none = service.run(&["cases", "--customer", "cus_nobody"]).ok().out;
    assert_eq!(none, "No cases.\n");

    // By its id and by its invoice it is the same case.
    let explained = service.run(&["explain", &id, "--json"]).ok().json();
    assert_eq!(explained, service.run(&["explain", "in_1", "--json"]).ok().json());
    assert_eq!(explained["case"]["id"], id.as_str());
    let ledger = explained["ledger"].as_array().unwrap();
    assert!(ledger.len() >= 3 && ledger[0]["kind"] == "opened", "{ledger:?}");
    let text = service.run(&["explain", "in_1"]).ok().out;
    assert!(text.starts_with(&format!("{id}  scheduled\n")), "{text}");
    assert!(text.contains("Mon  5 Jan 2026 09:00  ✗ The payment of 29.00 USD"), "{text}");
    let is_time = |word: &str| word.trim_end_matches([':', '.']).parse::<Timestamp>().is_ok();
    assert!(!text.split_whitespace().any(is_time), "times are local: {text}");

    let plan = service.run(&["plan", "in_1", "--json"]).ok().json();
    let attempts = plan["steps"].as_array().unwrap().iter().filter(|s| s["what"] == "attempt");
    assert_eq!(attempts.count(), 4);
    assert_eq!((&plan["case"], &plan["ends"]["state"]), (&json!(id), &json!("exhausted")));
    let again = service.run(&["plan", "in_1", "--json"]).ok().json();
    assert_eq!(plan, again, "a dry run changes nothing");
}

#[test]
fn what_the_buttons_do() {
    let home = Home::new();
    let service = home.serve();
    service.fail("in_1", "insufficient_funds");
    let paused = service.run(&["pause", "in_1", "--until", "2026-01-20", "--json"]).ok().json();
    assert_eq!(
        (&paused["state"], &paused["next"]["at"]),
        (&json!("paused"), &json!("2026-01-20T05:00:00Z"))
    );
    let resumed = service.run(&["resume", "in_1"]).ok().out;
    assert!(resumed.contains("  scheduled\n") && resumed.contains("next     attempt"), "{resumed}");
    let in_vain = service.run(&["resume", "in_1"]);
    assert_eq!(in_vain.code, 1);
    assert!(in_vain.err.contains("nothing was changed: the case is not paused"), "{}", in_vain.err);
    service.run(&["retry", "in_1", "--json"]).ok();
    let ledger = service.run(&["explain", "in_1"]).ok().out;
    assert!(ledger.contains("← A person asked for an attempt now."), "{ledger}");
    let link = service.run(&["link", "in_1"]).ok().out;
    assert!(link.starts_with("http://127.0.0.1:1/pay/") && link.lines().count() == 1, "{link}");
    assert_eq!(service.run(&["link", "in_1", "--json"]).ok().json()["url"], link.trim_end());
    let stopped = service.run(&["stop", "in_1", "--reason", "gone", "--json"]).ok().json();
    assert_eq!(stopped["reason"], "a person stopped it: gone");
    let over = service.run(&["retry", "in_1"]);
    assert_eq!(over.code, 1);
    assert!(over.err.contains("the case is over") && over.out.contains("stopped"), "{}", over.err);
}

#[test]
fn what_is_wrong_is_said_with_its_cure() {
    let home = Home::new();
    let service = home.serve();
    let unknown = service.run(&["explain", "in_9"]);
    assert_eq!((unknown.code, unknown.out.as_str()), (1, ""));
    assert!(unknown.err.contains("`in_9`") && unknown.err.contains("recoup cases"));
    for args in [["stop", "case_9"], ["plan", "../cases"], ["link", "case_/.."]] {
        let unknown = service.run(&args);
        assert_eq!(unknown.code, 1, "{args:?}: {}", unknown.err);
        assert!(unknown.err.contains("there is no case of this id"), "{}", unknown.err);
    }
    let state = service.run(&["cases", "--state", "recoverd"]);
    assert_eq!(state.code, 2);
    assert!(state.err.contains("similar value exists: 'recovered'"), "{}", state.err);
    let time = service.run(&["pause", "in_9", "--until", "tomorrow"]);
    assert_eq!(time.code, 2);
    assert!(time.err.contains("2026-01-31T09:00:00Z"), "{}", time.err);
    let token = ("RECOUP__SERVER__ADMIN_TOKEN", "another-token-of-somebody");
    let refused = home.run_with(&["cases", "--url", &service.url], &[token]);
    assert_eq!(refused.code, 1);
    assert!(refused.err.contains("refused the admin token"), "{}", refused.err);
    assert!(!refused.err.contains("another-token"), "{}", refused.err);
    // The service is there, though not where the merchant file says.
    let held = home.run(&["cases"]);
    assert_eq!(held.code, 1);
    assert!(held.err.contains("another process holds the store"), "{}", held.err);
    assert!(held.err.contains("--url"), "{}", held.err);
}

#[test]
fn a_service_is_found_by_the_merchant_file_and_elsewhere_by_its_address() {
    let home = Home::new();
    let service = home.serve();
    service.fail("in_1", "insufficient_funds");
    let address = service.url.strip_prefix("http://").unwrap();
    let listen = ("RECOUP__SERVER__LISTEN", address);
    let found = home.run_with(&["cases", "--json"], &[listen]).ok().json();
    assert_eq!(found["data"][0]["invoice"], "in_1");
    let public = ("RECOUP__MERCHANT__PUBLIC_URL", service.url.as_str());
    assert_eq!(home.run_with(&["cases", "--url", "public", "--json"], &[public]).json(), found);
    // On another machine there is no merchant file.
    let elsewhere = Home { dir: tempfile::tempdir().unwrap() };
    let token = ("RECOUP_ADMIN_TOKEN", TOKEN);
    let ran = elsewhere.run_with(&["cases", "--url", &service.url, "--json"], &[token]).ok();
    assert_eq!(ran.json(), found);
}

#[test]
fn without_a_service_the_store_answers_and_actions_are_kept() {
    let home = Home::new();
    let service = home.serve();
    service.fail("in_1", "insufficient_funds");
    let by_service = service.run(&["explain", "in_1", "--json"]).ok().json();
    let plan = service.run(&["plan", "in_1", "--json"]).ok().json();
    let link = service.run(&["link", "in_1"]).ok().out;
    drop(service);
    assert_eq!(home.run(&["explain", "in_1", "--json"]).ok().json(), by_service);
    assert_eq!(home.run(&["plan", "in_1", "--json"]).ok().json(), plan);
    assert_eq!(home.run(&["link", "in_1"]).ok().out, link);
    let kept = home.run(&["pause", "in_1", "--json"]).ok();
    assert!(kept.err.contains("kept; applied when `recoup serve` runs"), "{}", kept.err);
    assert_eq!(kept.json()["state"], "scheduled", "not applied yet");
    let service = home.serve();
    service.settle();
    let list = service.run(&["cases", "--json"]).ok().json();
    assert_eq!(list["data"][0]["state"], "paused");
}

#[test]
fn where_there_is_nothing_to_ask_it_is_said() {
    let home = Home::new();
    let nothing = home.run(&["cases"]);
    assert_eq!(nothing.code, 1);
    assert!(nothing.err.contains("there is no store at sled:store yet"), "{}", nothing.err);
    assert!(!home.dir.path().join("store").exists(), "looking makes no store");
    home.write("memory:");
    let memory = home.run(&["cases"]);
    assert!(memory.code == 1 && memory.err.contains("a store in memory"), "{}", memory.err);
    home.write("sled:store");
    let _held = SledStore::open(&home.dir.path().join("store")).unwrap();
    let held = home.run(&["cases"]);
    assert!(held.code == 1 && held.err.contains("another process holds"), "{}", held.err);
    let absent = home.run(&["cases", "--url", "http://127.0.0.1:1"]);
    assert!(absent.code == 1 && absent.err.contains("nothing answers there"), "{}", absent.err);
    let nonsense = home.run(&["cases", "--url", "pay.company.example"]);
    assert!(nonsense.code == 1 && nonsense.err.contains("https://pay.company.example"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_recoup_is_told_apart() {
    let other = Receiver::start().await;
    let url = other.url.clone();
    let ran = tokio::task::spawn_blocking(move || Home::new().run(&["cases", "--url", &url]));
    let ran = ran.await.unwrap();
    assert!(ran.code == 1 && ran.err.contains("is not recoup"), "{}", ran.err);
}

#[test]
fn the_help_is_grouped_by_job_and_a_wrong_command_finds_its_neighbor() {
    let home = Home::new();
    let help = home.run(&["--help"]).ok().out;
    let job = |name: &str| help.find(&format!("\n{name}:\n")).unwrap_or_else(|| panic!("{help}"));
    let jobs = ["Try it", "Run it", "Look", "Act", "Webhooks", "Store", "Shell"].map(job);
    assert!(jobs.is_sorted(), "{help}");
    let wrong = home.run(&["explian"]);
    assert!(wrong.code == 2 && wrong.err.contains("'explain'"), "{}", wrong.err);
}

#[test]
fn every_shell_gets_its_completions() {
    let home = Home::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = home.run(&["completions", shell]).ok().out;
        for word in ["explain", "pause", "until"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    assert_eq!(home.run(&["completions", "tcsh"]).code, 2);
}

#[test]
fn lists_are_files_and_books_are_compared_with_a_service_and_without() {
    let home = Home::new();
    let lines = |ran: Ran| ran.ok().out.lines().count();
    {
        let service = home.serve();
        service.fail("in_1", "insufficient_funds");
        service.fail("in_2", "expired_card");
        assert_eq!(lines(service.run(&["cases", "--csv"])), 3);
        let one = service.run(&["cases", "--csv", "--invoice", "in_2"]).ok().out;
        assert!(one.starts_with("case,state,") && one.contains(",in_2,"), "{one}");
        assert_eq!(one.lines().count(), 2);
    }
    assert_eq!(lines(home.run(&["cases", "--csv", "--state", "scheduled"])), 2);
    assert_eq!(home.run(&["cases", "--csv", "--json"]).code, 2);
    for list in [&["report", "payments"][..], &["report", "attempts"], &["messages", "--csv"]] {
        assert_eq!(lines(home.run(list)), 1, "{list:?}: its head");
    }
    let wrong = home.run(&["report", "payments", "--since", "soon"]);
    assert_eq!(wrong.code, 2, "{}", wrong.err);
    let place = home.dir.path().join("january.html");
    let out = place.to_str().unwrap();
    home.run(&["report", "monthly", "--month", "2026-01", "--out", out]).ok();
    let month = std::fs::read_to_string(&place).unwrap();
    assert!(month.contains("failed payments of January 2026") && month.contains("$58.00"));
    // Nothing answers where its gateway should be: it is named, and nothing is said to agree.
    let told = home.run(&["reconcile", "--json"]).ok().json();
    assert_eq!(
        (&told["data"][0]["gateway"], &told["data"][0]["compared"]),
        (&json!("stripe"), &json!(false))
    );
    let words = home.run(&["reconcile"]).ok().out;
    assert!(words.starts_with("stripe: not compared ("), "{words}");
    assert_eq!(home.run(&["reconcile", "--since", "soon"]).code, 2);
}
