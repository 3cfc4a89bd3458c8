//! What needs more than one key: contradictions, and what is doubtful together.
//!
//! Why here: each rule is one small function over the typed values; the tree says where.
//!
//! What must stay true: nothing that the merchant asked for is left out in silence.

use super::channels;
use super::report::{Report, Trouble};
use super::schema::{Config, StoreUrl};
use super::text::is_plain_remote;
use super::tree::{At, Node};
use super::{built, campaign, gateways};
use crate::core::customer::Channel;
use crate::core::policy::Schedule;

/// The languages that messages are written in.
const LANGUAGES: [&str; 5] = ["en", "es", "pt", "fr", "it"];

/// Shorter tokens can be guessed.
const MIN_TOKEN: usize = 16;

/// A rule reads the values and tells what is wrong.
type Rule = fn(&Config, &Node, &mut Report<'_>);

const RULES: [Rule; 22] = [
    built::has_what_is_named,
    gateways::exist,
    gateways::ids_differ,
    gateways::have_what_they_need,
    gateways::have_webhooks,
    gateways::keys_are_of_the_right_kind,
    gateways::fees_are_told,
    gateways::silence_is_understood,
    channels_work,
    channels::are_complete,
    channels::are_reported_on,
    campaign::steps_can_go_out,
    campaign::steps_are_in_order,
    campaign::contact_policy_exists,
    campaign::contact_policies_make_sense,
    campaign::nobody_is_written_to_before,
    schedule_fits,
    support_is_named,
    surface_is_safe,
    events_are_sent_once,
    nothing_is_forgotten,
    backups_can_be_made,
];

/// Applies every rule.
pub(super) fn apply(config: &Config, tree: &Node, report: &mut Report<'_>) {
    for rule in RULES {
        rule(config, tree, report);
    }
}

pub(super) fn error(tree: &Node, path: &str, message: impl Into<String>) -> Trouble {
    Trouble::error(path, tree.place(path), message)
}

pub(super) fn warning(tree: &Node, path: &str, message: impl Into<String>) -> Trouble {
    Trouble::warning(path, tree.place(path), message)
}

fn channels_work(config: &Config, tree: &Node, report: &mut Report<'_>) {
    for (index, channel) in config.reminders.channels.iter().enumerate() {
        let path = format!("reminders.channels.{index}");
        let at = tree.place(&path);
        match channel {
            Channel::Email if config.email.is_some() => {}
            Channel::Email if at == At::Defaults => {
                let message = "there is no `[email]`: no message can reach a customer";
                let trouble = Trouble::warning("email", tree.place("email"), message);
                report.add(trouble.cure("add `[email]` with `smtp_url` and `from`"));
            }
            Channel::Email => {
                let message = "the channel `email` needs a section `[email]`";
                let trouble = error(tree, &path, message);
                report.add(trouble.cure("add `[email]` with `smtp_url` and `from`"));
            }
            Channel::Sms if config.sms.is_some() => {}
            Channel::Whatsapp if config.whatsapp.is_some() => {}
            Channel::Sms | Channel::Whatsapp => {
                let name = channel.as_str();
                let message = format!("the channel `{name}` needs a section `[{name}]`");
                let cure = format!("add `[{name}]`: docs/CHANNELS.md says how");
                report.add(error(tree, &path, message).cure(cure));
            }
        }
    }
}

fn schedule_fits(config: &Config, tree: &Node, report: &mut Report<'_>) {
    let retries = &config.retries;
    if config.reminders.silent_attempts > retries.max_attempts {
        let message = format!(
            "`reminders.silent_attempts` is {}, but only {} attempts are made: no message would go",
            config.reminders.silent_attempts, retries.max_attempts
        );
        report.add(error(tree, "reminders.silent_attempts", message));
    }
    let holdout = "retries.holdout";
    if retries.holdout > 0.0
        && retries.schedule != Schedule::Smart
        && tree.place(holdout) != At::Defaults
    {
        let message = "only `schedule = \"smart\"` is measured: no case is held out";
        report.add(warning(tree, holdout, message).cure("take out `holdout`"));
    }
    let Schedule::Days(days) = &retries.schedule else { return };
    let path = "retries.schedule.days";
    if days.is_empty() || !days.is_sorted_by(|a, b| a < b) {
        let message = "the days must be at least one, and each later than the one before";
        report.add(error(tree, path, message));
    }
    if let Some(late) = days.iter().position(|day| *day > retries.window_days) {
        let message =
            format!("day {} is behind `window_days = {}`", days[late], retries.window_days);
        report.add(error(tree, &format!("{path}.{late}"), message));
    }
    if days.len() > retries.max_attempts as usize {
        let message = format!("{} days, but `max_attempts = {}`", days.len(), retries.max_attempts);
        report.add(error(tree, path, message).cure("raise `max_attempts` or take out days"));
    }
}

/// Copies of one moment are made of a store that one process has to itself.
fn backups_can_be_made(config: &Config, tree: &Node, report: &mut Report<'_>) {
    let cure = match (&config.backup, &config.store.url) {
        (None, _) | (_, StoreUrl::Sled(_)) => return,
        (_, StoreUrl::Postgres(_)) => "use the database's own backup: docs/OPERATIONS.md",
        (_, StoreUrl::Memory) => "take out `[backup]`, or keep the store: `url = \"sled:…\"`",
    };
    let message = "`[backup]` copies a sled store, and `store.url` is none";
    report.add(error(tree, "backup", message).cure(cure));
}

fn support_is_named(config: &Config, tree: &Node, report: &mut Report<'_>) {
    let merchant = &config.merchant;
    if merchant.support_email.is_none() && merchant.support_phone.is_none() {
        let message = "neither `support_email` nor `support_phone`: customers can ask nobody";
        report.add(warning(tree, "merchant", message).cure("add at least one of them"));
    }
    let language = merchant.locale.split(['-', '_']).next().unwrap_or_default();
    if !LANGUAGES.contains(&language.to_ascii_lowercase().as_str()) {
        let message =
            format!("there are no messages in `{}` yet: they go out in English", language);
        let cure = format!("this version has: {}", LANGUAGES.join(", "));
        report.add(warning(tree, "merchant.locale", message).cure(cure));
    }
}

fn surface_is_safe(config: &Config, tree: &Node, report: &mut Report<'_>) {
    let bases = config.gateways.iter().enumerate();
    let bases = bases.map(|(i, g)| (format!("gateways.{i}.api_base"), g.api_base.as_deref()));
    let public = ("merchant.public_url".to_owned(), Some(config.merchant.public_url.as_str()));
    for (path, url) in bases.chain([public]) {
        if url.is_some_and(is_plain_remote) {
            let message = format!("`{path}` goes over the network without TLS");
            report.add(warning(tree, &path, message).cure("use https://"));
        }
    }
    let server = &config.server;
    let tokens = [("admin_token", &server.admin_token), ("metrics_token", &server.metrics_token)];
    for (name, token) in tokens {
        if token.as_ref().is_some_and(|token| token.expose().len() < MIN_TOKEN) {
            let what = name.replace('_', " ");
            let message = format!("the {what} is shorter than {MIN_TOKEN} characters");
            let trouble = warning(tree, &format!("server.{name}"), message).masked();
            report.add(trouble.cure("draw one: openssl rand -hex 32"));
        }
    }
    if config.email.as_ref().is_some_and(|e| !is_smtp(e.smtp_url.expose())) {
        let trouble = error(tree, "email.smtp_url", "`email.smtp_url` is not an SMTP URL").masked();
        report.add(trouble.cure("write smtp://host:port or smtps://user:password@host"));
    }
}

fn is_smtp(text: &str) -> bool {
    url::Url::parse(text).is_ok_and(|u| matches!(u.scheme(), "smtp" | "smtps") && u.has_host())
}

/// Events go to each address once, and not over the open network in plain text.
fn events_are_sent_once(config: &Config, tree: &Node, report: &mut Report<'_>) {
    for (index, webhook) in config.webhooks.iter().enumerate() {
        let path = format!("webhooks.{index}.url");
        if config.webhooks[..index].iter().any(|earlier| earlier.url == webhook.url) {
            let message = "this address stands in an earlier `[[webhooks]]`";
            report.add(error(tree, &path, message).cure("name all its events in one"));
        }
        if is_plain_remote(&webhook.url) && !webhook.private_network {
            let message = "events would go over the network without encryption";
            report.add(warning(tree, &path, message).cure("use https://"));
        }
    }
}

fn nothing_is_forgotten(config: &Config, tree: &Node, report: &mut Report<'_>) {
    if config.store.url == StoreUrl::Memory {
        let message = "the store `memory:` forgets everything when the process ends";
        report.add(warning(tree, "store.url", message));
    }
}
