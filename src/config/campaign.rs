//! What must hold of the campaign and of the contact policies.
//!
//! Why here: a campaign that cannot go out as it is written is found when the file is read, not
//! when a customer hears nothing.

use super::contact::{DEFAULT_POLICY, preset_names};
use super::error::nearest;
use super::report::{Report, Trouble};
use super::rules::{error, warning};
use super::schema::Config;
use super::tree::Node;
use crate::core::contact::has_holidays;
use crate::core::policy::{HolidayRule, MessageKind};

pub(super) fn steps_can_go_out(config: &Config, tree: &Node, report: &mut Report<'_>) {
    let window = config.retries.window_days;
    for (index, step) in config.reminders.steps.iter().enumerate() {
        if let Some(channel) = step.channel
            && !config.reminders.channels.contains(&channel)
        {
            let path = format!("reminders.steps.{index}.channel");
            let message = format!("`{}` is not in `reminders.channels`", channel.as_str());
            report.add(error(tree, &path, message).cure("add it there, or take another channel"));
        }
        if step.after_days > window {
            let path = format!("reminders.steps.{index}.after_days");
            let message = format!(
                "the step on day {} is behind the window of {window} days: it never goes out",
                step.after_days
            );
            report.add(warning(tree, &path, message).cure("see `retries.window_days`"));
        }
    }
}

/// Steps are read from above to below: one that is written behind a later one would be misread.
pub(super) fn steps_are_in_order(config: &Config, tree: &Node, report: &mut Report<'_>) {
    let steps = &config.reminders.steps;
    for (index, pair) in steps.windows(2).enumerate() {
        let (before, step) = (&pair[0], &pair[1]);
        let path = format!("reminders.steps.{}.after_days", index + 1);
        if step.after_days < before.after_days {
            let message = format!(
                "the step on day {} stands behind the one on day {}",
                step.after_days, before.after_days
            );
            report.add(error(tree, &path, message).cure("write the steps in the order of days"));
        } else if before.kind == MessageKind::LastNotice
            && step.kind != MessageKind::LastNotice
            && step.after_days > before.after_days
        {
            let message = format!(
                "a `{}` on day {} comes behind a last notice: that one was not the last",
                step.kind.as_str(),
                step.after_days
            );
            report.add(error(tree, &path, message).cure("move the last notice to the end"));
        }
    }
    for (index, step) in steps.iter().enumerate() {
        let (least, most) = (step.min_tenure_days, step.max_tenure_days);
        if least.zip(most).is_some_and(|(least, most)| least > most) {
            let path = format!("reminders.steps.{index}.min_tenure_days");
            let message = "`min_tenure_days` is more than `max_tenure_days`: it is for nobody";
            report.add(error(tree, &path, message).cure("exchange the two"));
        }
        let crossed = step.min_amount.iter().find(|least| {
            let same = |most: &&super::schema::Amount| most.0.currency == least.0.currency;
            step.max_amount.iter().find(same).is_some_and(|most| least.0.minor > most.0.minor)
        });
        if let Some(least) = crossed {
            let path = format!("reminders.steps.{index}.min_amount");
            let message = format!("`min_amount` {} is more than `max_amount`", least.0);
            report.add(error(tree, &path, message).cure("exchange the two"));
        }
        if let Some(tag) = step.tags.iter().find(|tag| step.without_tags.contains(tag)) {
            let path = format!("reminders.steps.{index}.without_tags");
            let message = format!("the tag `{tag}` is asked for and left out: it is for nobody");
            report.add(error(tree, &path, message).cure("take it out of one of the two"));
        }
    }
}

fn unknown_policy(config: &Config, name: &str, trouble: Trouble) -> Trouble {
    let own: Vec<&str> = config.contact_policies.keys().map(String::as_str).collect();
    let shipped: Vec<&str> = preset_names().collect();
    match nearest(name, own.into_iter().chain(shipped)) {
        Some(near) => trouble.suggest(near),
        None => {
            let shipped: Vec<_> = preset_names().collect();
            let shipped = shipped.join(", ");
            trouble.cure(format!("take one of {shipped}, or add `[contact_policies.{name}]`"))
        }
    }
}

pub(super) fn contact_policy_exists(config: &Config, tree: &Node, report: &mut Report<'_>) {
    let name = config.reminders.contact_policy.as_str();
    let shipped = |name: &str| preset_names().any(|known| known == name);
    if !shipped(name) && !config.contact_policies.contains_key(name) {
        let path = "reminders.contact_policy";
        let trouble = error(tree, path, format!("there is no contact policy `{name}`"));
        report.add(unknown_policy(config, name, trouble));
    }
    for (name, rules) in &config.contact_policies {
        let path = format!("contact_policies.{name}");
        if shipped(name) {
            let message = format!("`{name}` is the name of a shipped contact policy");
            report.add(error(tree, &path, message).cure("give yours another name"));
        }
        let base = format!("{path}.base");
        match rules.base.as_deref() {
            Some(base_name) if !shipped(base_name) => {
                let message = format!("there is no shipped contact policy `{base_name}`");
                let trouble = error(tree, &base, message);
                report.add(match nearest(base_name, preset_names()) {
                    Some(near) => trouble.suggest(near),
                    None => trouble.cure(format!(
                        "the shipped ones are: {}",
                        preset_names().collect::<Vec<_>>().join(", ")
                    )),
                });
            }
            None if rules.hours.is_empty() => {
                let message = format!("`{path}.hours` is missing, and there is no `base`");
                let cure = format!("add `base = \"{DEFAULT_POLICY}\"`, or hours of your own");
                report.add(error(tree, &path, message).cure(cure));
            }
            _ => {}
        }
    }
}

/// Contradictions within one policy, and with the campaign that it is for.
pub(super) fn contact_policies_make_sense(config: &Config, tree: &Node, report: &mut Report<'_>) {
    for (name, rules) in &config.contact_policies {
        let path = format!("contact_policies.{name}");
        let policy = rules.policy(name);
        if policy.hours.iter().all(Option::is_none) && !rules.hours.is_empty() {
            let message = format!("`{path}` allows no hour on any day");
            let trouble = error(tree, &format!("{path}.hours"), message);
            report.add(trouble.cure("open at least one day, e.g. `monday = [8, 20]`"));
        }
        if policy.per_week.is_some_and(|week| week < policy.per_day) {
            let message = format!(
                "`{path}` allows {} a day and only {} a week",
                policy.per_day,
                policy.per_week.unwrap_or_default()
            );
            let place = if rules.per_week.is_some() { "per_week" } else { "per_day" };
            report.add(
                error(tree, &format!("{path}.{place}"), message).cure(
                    "a day cannot have more than its week: raise `per_week` or lower `per_day`",
                ),
            );
        }
        if rules.consent.as_ref().is_some_and(Vec::is_empty) && rules.base.is_some() {
            let message = format!("`{path}` asks for no consent, though its base does");
            report.add(
                warning(tree, &format!("{path}.consent"), message)
                    .cure("leave `consent` out to keep what the base asks for"),
            );
        }
    }
    let used = config.contact_policy();
    let days = config.reminders.steps.last().map_or(0, |step| step.after_days);
    let campaign_hours = days.max(config.retries.window_days).saturating_mul(24);
    if used.gap_hours > campaign_hours {
        let path = format!("contact_policies.{}.gap_hours", used.name);
        let message = format!(
            "a gap of {} hours is longer than the campaign of {} days: only its first message \
             would go out",
            used.gap_hours,
            campaign_hours / 24
        );
        report.add(error(tree, &path, message).cure("shorten `gap_hours`"));
    }
    let region = config.merchant.locale.split(['-', '_']).nth(1).unwrap_or_default();
    if used.holidays == HolidayRule::Closed && region.len() == 2 && !has_holidays(region) {
        let message = format!("the holidays of `{region}` are not known: no day counts as one");
        report.add(warning(tree, "reminders.contact_policy", message));
    }
}

/// No gateway tells when the next charge of a subscription is, so nobody can be told in time.
pub(super) fn nobody_is_written_to_before(config: &Config, tree: &Node, report: &mut Report<'_>) {
    if config.reminders.pre_dunning {
        let message = "`reminders.pre_dunning` cannot be done: the gateways' events do not tell \
                       when the next charge is, so nobody would know before which a card expires";
        let trouble = error(tree, "reminders.pre_dunning", message);
        report.add(trouble.cure(
            "take it out; a card that has expired is asked for at once when its charge fails",
        ));
    }
}
