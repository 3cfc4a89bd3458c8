//! E-mail: over SMTP, and the reports of whoever carries it on.
//!
//! What must stay true: without a secret (or a topic) nobody's report is believed.

use std::sync::Arc;

use anyhow::Context as _;

use crate::channel::Deliver;
use crate::channel::callback::Callbacks;
use crate::channel::callback::postmark::PostmarkCallbacks;
use crate::channel::callback::resend::ResendCallbacks;
use crate::channel::callback::sendgrid::SendgridCallbacks;
use crate::channel::callback::ses::SesCallbacks;
use crate::channel::email::{EmailChannel, Provider};
use crate::config::{Config, Email, EmailProvider};

pub(super) fn deliver(config: &Config) -> anyhow::Result<Option<Arc<dyn Deliver>>> {
    let Some(settings) = &config.email else { return Ok(None) };
    let reply_to = config.merchant.support_email.as_deref().unwrap_or_default();
    Ok(Some(Arc::new(channel(settings, reply_to).context("set up [email]")?)))
}

fn channel(email: &Email, reply_to: &str) -> anyhow::Result<EmailChannel> {
    let provider = match email.provider {
        None => Provider::None,
        Some(EmailProvider::Postmark) => Provider::Postmark,
        Some(EmailProvider::Resend) => Provider::Resend,
        Some(EmailProvider::SendGrid) => Provider::SendGrid,
        Some(EmailProvider::Ses) => {
            Provider::Ses { configuration_set: email.configuration_set.clone() }
        }
    };
    let mut channel = EmailChannel::new(email.smtp_url.get(), &email.from, reply_to)?;
    if let Some(path) = &email.ca_file {
        let pem = std::fs::read(path).with_context(|| format!("read {}", path.display()))?;
        channel = channel.trusting(email.smtp_url.get(), &pem)?;
    }
    Ok(channel.through(provider))
}

pub(super) fn callbacks(config: &Config) -> anyhow::Result<Option<Arc<dyn Callbacks>>> {
    let Some(email) = &config.email else { return Ok(None) };
    let Some(provider) = email.provider else { return Ok(None) };
    let verified = !email.callback_secrets.is_empty() || !email.sns_topics.is_empty();
    let secrets = email.callback_secrets.iter().map(|secret| secret.get().clone()).collect();
    let reader: Arc<dyn Callbacks> = match provider {
        EmailProvider::Postmark => Arc::new(PostmarkCallbacks::new(secrets)),
        EmailProvider::Resend => Arc::new(ResendCallbacks::new(secrets)),
        EmailProvider::SendGrid => Arc::new(SendgridCallbacks::new(secrets)),
        EmailProvider::Ses => {
            let reader = SesCallbacks::new(email.sns_topics.clone(), email.api_base.as_deref());
            Arc::new(reader.context("set up the reports of SES")?)
        }
    };
    Ok(verified.then_some(reader))
}
