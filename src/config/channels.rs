//! What a channel needs to deliver, and to hear what became of its messages.
//!
//! What must stay true: a section that is there is complete, or says what is missing; a channel
//! whose reports nobody can verify is told of.

use super::report::Report;
use super::rules::{error, warning};
use super::schema::{Config, EmailProvider, Whatsapp};
use super::tree::Node;
use crate::core::customer::Channel;

/// What a section still needs before it delivers anything.
fn missing(config: &Config, channel: Channel) -> Vec<&'static str> {
    let keys: Vec<(&str, bool)> = match channel {
        Channel::Email => Vec::new(),
        Channel::Sms => config.sms.as_ref().map_or_else(Vec::new, |sms| {
            vec![
                ("account_sid", sms.account_sid.is_some()),
                ("auth_token", sms.auth_token.is_some()),
                ("from", sms.from.is_some()),
            ]
        }),
        Channel::Whatsapp => config.whatsapp.as_ref().map_or_else(Vec::new, |whatsapp| {
            vec![
                ("phone_number_id", whatsapp.phone_number_id.is_some()),
                ("access_token", whatsapp.access_token.is_some()),
            ]
        }),
    };
    keys.into_iter().filter(|(_, is_there)| !is_there).map(|(key, _)| key).collect()
}

impl Config {
    /// Whether this channel is set up.
    pub fn delivers(&self, channel: Channel) -> bool {
        let is_there = match channel {
            Channel::Email => self.email.is_some(),
            Channel::Sms => self.sms.is_some(),
            Channel::Whatsapp => self.whatsapp.is_some(),
        };
        is_there && missing(self, channel).is_empty()
    }
}

/// `[sms]` and `[whatsapp]` have what they need. One that is still empty is passed over.
pub(super) fn are_complete(config: &Config, tree: &Node, report: &mut Report<'_>) {
    for (channel, keys) in [(Channel::Sms, 3), (Channel::Whatsapp, 2)] {
        let section = channel.as_str();
        let missing = missing(config, channel);
        if missing.is_empty() {
            continue;
        }
        let message = format!("`[{section}]` still needs `{}`", missing.join("`, `"));
        let cure = "docs/CHANNELS.md says where to find it";
        report.add(match missing.len() == keys {
            true => warning(tree, section, format!("{message}: it is passed over")).cure(cure),
            false => error(tree, section, message).cure(cure),
        });
    }
}

/// What nobody can verify is not heard: bounces, complaints and a STOP would go by.
pub(super) fn are_reported_on(config: &Config, tree: &Node, report: &mut Report<'_>) {
    if let Some(email) = &config.email {
        let ses = email.provider == Some(EmailProvider::Ses);
        if !ses && !email.sns_topics.is_empty() {
            let message = "`email.sns_topics` is for `email.provider = \"ses\"`";
            report.add(error(tree, "email.sns_topics", message));
        }
        match (email.provider, email.callback_secrets.is_empty()) {
            (Some(EmailProvider::Ses), true) if email.sns_topics.is_empty() => {
                let message = "without `email.sns_topics` no bounce or complaint is heard";
                let cure = "name the topic of SNS that SES publishes to: docs/CHANNELS.md";
                report.add(warning(tree, "email.provider", message).cure(cure));
            }
            (Some(EmailProvider::Ses), true) => {}
            (Some(EmailProvider::Ses), false) => {
                let message =
                    "SES has no secret: Amazon signs, and `email.sns_topics` says for whom";
                report.add(error(tree, "email.callback_secrets", message).masked());
            }
            (Some(_), true) => {
                let message = "without `email.callback_secrets` no bounce or complaint is heard";
                let cure = "set what verifies the provider's reports: docs/CHANNELS.md";
                report.add(warning(tree, "email.provider", message).cure(cure));
            }
            (None, false) => {
                let message = "`email.callback_secrets` needs `email.provider`";
                report.add(error(tree, "email.callback_secrets", message).masked());
            }
            (Some(EmailProvider::Postmark), false) => {
                let plain = |s: &super::Secret| !s.expose().contains(':');
                if email.callback_secrets.iter().any(plain) {
                    let message = "for Postmark a callback secret is `name:password`";
                    report.add(error(tree, "email.callback_secrets", message).masked());
                }
            }
            _ => {}
        }
    }
    let unheard = |whatsapp: &Whatsapp| whatsapp.app_secret.is_none();
    if config.delivers(Channel::Whatsapp) && config.whatsapp.as_ref().is_some_and(unheard) {
        let message = "without `whatsapp.app_secret` no report and no STOP is heard";
        report.add(warning(tree, "whatsapp", message).cure("set the secret of your Meta app"));
    }
}
