//! Tests of loading: order, types, places, rules, secrets.

use super::*;
use crate::core::customer::Channel;
use crate::core::policy::{Capabilities, Condition, MessageKind, NativeRetries, Schedule};

const EXAMPLE: &str = include_str!("../../recoup.example.toml");

pub(super) fn around(pairs: &[(&str, &str)]) -> Surroundings {
    let names = [
        ("RECOUP_ADMIN_TOKEN", "0123456789abcdef"),
        ("RECOUP_METRICS_TOKEN", "0123456789abcdef"),
        ("OIDC_CLIENT_SECRET", "secret"),
        ("STRIPE_API_KEY", "sk_test_1"),
        ("STRIPE_WEBHOOK_SECRET", "whsec_1"),
        ("BACKUP_KEY", "key"),
        ("BACKUP_SECRET", "secret"),
        ("HOOK_SECRET", "whsec_aG9vay1zZWNyZXQtMDEyMzQ1Njc4OTAx"),
        ("BANNER_SECRET", "whsec_YmFubmVyLXNlY3JldC0wMTIzNDU2Nzg5"),
        ("SMTP_URL", "smtp://127.0.0.1:1025"),
    ];
    let own = |(k, v): &(&str, &str)| ((*k).to_owned(), (*v).to_owned());
    Surroundings { env: names.iter().chain(pairs).map(own).collect(), flags: Vec::new() }
}

pub(super) const SMALL: &str = r#"
[merchant]
name = "Nube"
public_url = "https://pay.nube.example/"
support_email = "help@nube.example"
[[gateways]]
id = "stripe"
kind = "stripe"
api_key = { env = "STRIPE_API_KEY" }
webhook_secrets = [{ env = "STRIPE_WEBHOOK_SECRET" }]
[email]
smtp_url = { env = "SMTP_URL" }
from = "Nube <pay@nube.example>"
"#;

fn load(text: &str) -> Result<Config, ConfigErrors> {
    Config::read(text, "recoup.toml", &around(&[]))
}

fn capabilities(_: &GatewayConfig) -> Capabilities {
    Capabilities {
        look_up: true,
        resend_tells: false,
        network_transaction_id: false,
        currencies: Vec::new(),
        native_retries_switchable: false,
        read_invoice: true,
        hosted_update: true,
        page_takes_payment: false,
        token_only: false,
        paid_out_of_band: true,
        refund: true,
        subscriptions: true,
        pays_invoice_once: false,
        native_retries_visible: true,
        native_retry_window_s: 0,
        key_window_s: 0,
        horizon_s: 0,
    }
}

#[test]
fn the_example_loads_without_a_warning() {
    let config = load(EXAMPLE).unwrap();
    assert_eq!(config.warnings, []);
    assert_eq!(config.gateways.len(), 2);
    assert_eq!(config.merchant.name, "Café Nube");
}

#[test]
fn the_campaign_of_the_example_is_the_shipped_one() {
    let (example, small) = (load(EXAMPLE).unwrap(), load(SMALL).unwrap());
    let steps = |config: &Config| policy(config, capabilities).steps;
    assert_eq!(steps(&example), steps(&small));
}

#[test]
fn the_smallest_file_gets_the_shipped_defaults() {
    let config = load(SMALL).unwrap();
    assert_eq!(config.warnings, []);
    let policy = policy(&config, capabilities);
    assert_eq!(policy.schedule, Schedule::Smart);
    assert_eq!((policy.window_days, policy.max_attempts, policy.silent_attempts), (28, 4, 1));
    assert_eq!(policy.channels, [Channel::Email]);
    assert_eq!(policy.contact.hours, [Some((8, 20)); 7]);
    assert_eq!((policy.contact.per_day, policy.contact.gap_hours), (1, 0));
    let steps: Vec<_> = policy.steps.iter().map(|s| (s.after_days, s.kind, s.condition)).collect();
    assert_eq!(
        steps,
        [
            (0, MessageKind::PaymentFailed, Condition::WillRetry),
            (0, MessageKind::CardUpdate, Condition::NeedsCustomer),
            (7, MessageKind::CardUpdate, Condition::NeedsCustomer),
            (14, MessageKind::CardUpdate, Condition::Any),
            (24, MessageKind::LastNotice, Condition::Any),
        ]
    );
    assert_eq!(policy.gateways[0].native_retries, NativeRetries::Observe);
    assert_eq!(config.merchant.public_url, "https://pay.nube.example", "no slash at the end");
}

#[test]
fn steps_of_ones_own_replace_the_shipped_campaign() {
    let text = format!("{SMALL}\n[[reminders.steps]]\nafter_days = 2\nkind = \"card_update\"\n");
    let steps = policy(&load(&text).unwrap(), capabilities).steps;
    assert_eq!(steps.len(), 1);
    assert_eq!((steps[0].after_days, steps[0].condition), (2, Condition::Any));
}

#[test]
fn flag_before_environment_before_file_before_default() {
    let text = format!("{SMALL}\n[server]\nlisten = \"127.0.0.1:1\"\n");
    assert_eq!(load(SMALL).unwrap().server.listen, "127.0.0.1:8080");
    assert_eq!(load(&text).unwrap().server.listen, "127.0.0.1:1");
    let mut around = around(&[("RECOUP__SERVER__LISTEN", "127.0.0.1:2")]);
    let config = Config::read(&text, "f", &around).unwrap();
    assert_eq!(config.server.listen, "127.0.0.1:2");
    around.flags.push(("server.listen".to_owned(), "127.0.0.1:3".to_owned()));
    let config = Config::read(&text, "f", &around).unwrap();
    assert_eq!(config.server.listen, "127.0.0.1:3");
}

#[test]
fn the_environment_takes_every_type_and_list_items() {
    let around = around(&[
        ("RECOUP__GATEWAYS__0__API_KEY", "sk_test_env"),
        ("RECOUP__GATEWAYS__1__ID", "other"),
        ("RECOUP__GATEWAYS__1__KIND", "http"),
        ("RECOUP__GATEWAYS__1__API_BASE", "http://127.0.0.1:1"),
        ("RECOUP__GATEWAYS__1__API_KEY", "k"),
        ("RECOUP__GATEWAYS__1__WEBHOOK_SECRETS", "a,b"),
        ("RECOUP__RETRIES__MAX_ATTEMPTS", "3"),
        ("RECOUP__RETRIES__SCHEDULE", "{ days = [1, 2] }"),
        ("RECOUP__REMINDERS__PRE_DUNNING", "false"),
        ("RECOUP__REMINDERS__CHANNELS", "email"),
    ]);
    let config = Config::read(SMALL, "f", &around).unwrap();
    assert_eq!(config.warnings, [], "a secret of the environment is no plain text in a file");
    assert_eq!(config.gateways[0].api_key.as_ref().unwrap().expose(), "sk_test_env");
    assert_eq!(config.gateways[1].webhook_secrets[1].expose(), "b");
    assert_eq!(config.retries.max_attempts, 3);
    assert_eq!(config.retries.schedule, Schedule::Days(vec![1, 2]));
}

#[test]
fn a_wrong_variable_is_told_by_its_name() {
    for (name, value, expected) in [
        ("RECOUP__RETRIES__MAX_ATTEMPS", "3", "unknown key `max_attemps`"),
        ("RECOUP__RETRIES__MAX_ATTEMPTS", "many", "`retries.max_attempts` is text"),
        ("RECOUP__GATEWAYS__7__ID", "x", "the list before it has 1 items"),
    ] {
        let errors = Config::read(SMALL, "f", &around(&[(name, value)])).unwrap_err();
        let problem = &errors.0[0];
        assert!(problem.message.contains(expected), "{problem}");
        assert_eq!(problem.file, format!("environment variable {name}"));
        assert_eq!(problem.line, None);
    }
}

#[test]
fn secrets_come_from_the_environment_or_a_file_and_are_never_shown() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    std::fs::write(&path, "sk_test_from_file\n").unwrap();
    let reference = format!("{{ file = {:?} }}", path.display().to_string());
    let text = SMALL.replace("{ env = \"STRIPE_API_KEY\" }", &reference);
    let config = load(&text).unwrap();
    assert_eq!(config.gateways[0].api_key.as_ref().unwrap().expose(), "sk_test_from_file");
    assert!(!format!("{config:?}").contains("sk_test"), "Debug shows no secret");

    let text = SMALL.replace("{ env = \"STRIPE_API_KEY\" }", "\"sk_test_plain\"");
    let config = load(&text).unwrap();
    assert_eq!(config.gateways[0].api_key.as_ref().unwrap().expose(), "sk_test_plain");
    assert_eq!(config.warnings.len(), 1);
    assert_eq!(config.warnings[0].severity, Severity::Warning);
    assert!(!config.warnings[0].to_string().contains("sk_test"));
}

#[test]
fn adyen_as_the_billing_gateway_is_asked_whether_it_retries_by_itself() {
    let warned = |more: &str| {
        let kind = format!(
            "kind = \"adyen\"\nmerchant_account = \"CafeNubeECOM\"\n\
             api_base = \"https://pay.example\"{more}"
        );
        let config = load(&SMALL.replace("kind = \"stripe\"", &kind)).unwrap();
        config.warnings.iter().map(|p| p.key.clone()).collect::<Vec<_>>()
    };
    assert_eq!(warned(""), ["gateways.0.native_retries"]);
    assert!(warned("\nnative_retries = \"off\"").is_empty());
    assert!(warned("\nnative_retries = \"observe\"").is_empty());
}

#[test]
fn contact_hours_of_ones_own_are_used() {
    let text =
        EXAMPLE.replace("contact_policy = \"default\"", "contact_policy = \"business-hours\"");
    let contact = load(&text).unwrap().contact_policy();
    assert_eq!(contact.name, "business-hours");
    assert_eq!(contact.hours[0], Some((8, 18)));
    assert_eq!((contact.hours[5], contact.hours[6]), (None, None));
    assert_eq!(contact.gap_hours, 48);
}

#[test]
fn every_shown_file_of_the_interface_is_accepted() {
    // The sections of later versions may stand there; what they ask for is warned about.
    let text = format!(
        "{SMALL}\n[reminders]\nchannels = [\"email\", \"whatsapp\", \"sms\"]\n\
         [sms]\n[whatsapp]\n[retries]\nholdout = 0.05\n\
         [[webhooks]]\nurl = \"https://app.nube.example/h\"\nsecret = {{ env = \"BACKUP_KEY\" }}\n\
         events = [\"case.recovered\"]\n"
    );
    let config = load(&text).unwrap();
    let keys: Vec<_> = config.warnings.iter().map(|p| p.key.as_str()).collect();
    let expected = ["sms", "whatsapp"];
    assert_eq!(keys, expected);
    assert_eq!(config.usable_channels(), [Channel::Email]);
}

#[test]
fn every_key_is_in_the_reference() {
    let reference = include_str!("../../docs/CONFIGURATION.md");
    let missing: Vec<_> =
        all_paths().into_iter().filter(|path| !reference.contains(&format!("`{path}`"))).collect();
    assert!(missing.is_empty(), "docs/CONFIGURATION.md does not name {missing:?}");
}

/// The name in the environment of every secret that the merchant file can hold.
fn every_secret() -> Vec<String> {
    fn walk(table: &[keys::Key], prefix: &str, found: &mut Vec<String>) {
        for key in table {
            let name = format!("{prefix}__{}", key.name.to_uppercase());
            match &key.kind {
                keys::Kind::Secret | keys::Kind::List(keys::Kind::Secret) => found.push(name),
                keys::Kind::Table(inner) => walk(inner, &name, found),
                keys::Kind::List(keys::Kind::Table(inner)) => {
                    walk(inner, &format!("{name}__0"), found);
                }
                keys::Kind::Named(inner) => walk(inner, &format!("{name}__NAME"), found),
                _ => {}
            }
        }
    }
    let mut found = Vec::new();
    walk(keys::ROOT, "RECOUP", &mut found);
    found
}

#[test]
fn no_secret_is_shown_by_the_file_its_problems_or_its_debug() {
    const PLANTED: &str = "pl4nted-secret-0123456789";
    let secrets = every_secret();
    assert!(secrets.len() >= 14, "the secrets have moved: {secrets:?}");
    let more = "[sms]\nprovider = \"twilio\"\n[whatsapp]\nprovider = \"cloud-api\"\n[access]\n\
        grace_days = 7\n[[webhooks]]\nurl = \"https://app.example/x\"\n\
        secret = { env = \"BACKUP_SECRET\" }\n";
    let text = format!("{SMALL}{more}");
    let (mut accepted, mut told) = (0, 0);
    for name in &secrets {
        for planted in [PLANTED.to_owned(), format!("smtp://me:{PLANTED}@mail.example:25")] {
            let read = Config::read(&text, "f", &around(&[(name, &planted)]));
            let shown = match &read {
                Ok(config) => format!("{config:?} {:?}", config.warnings),
                Err(problems) => format!("{problems} {problems:?}"),
            };
            assert!(!shown.contains(PLANTED), "{name} is shown: {shown}");
            accepted += usize::from(read.is_ok());
            told += usize::from(read.is_err());
        }
        // In the file itself, too: as plain text, and where another type is wanted.
        let last = name.rsplit("__").next().unwrap().to_lowercase();
        for wrong in [format!("{last} = \"{PLANTED}\""), format!("{last} = [[\"{PLANTED}\"]]")] {
            let text = format!("{text}\n[server]\n{wrong}\n");
            let problems = load(&text).map(|config| format!("{config:?}"));
            let shown = problems.unwrap_or_else(|problems| format!("{problems} {problems:?}"));
            assert!(!shown.contains(PLANTED), "{wrong} is shown: {shown}");
        }
    }
    assert!(accepted >= 8 && told > 0, "{accepted} were accepted, {told} refused");
}
