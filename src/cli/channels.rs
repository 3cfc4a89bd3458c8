//! Channels of the merchant file: what delivers messages, and what reads the reports on them.
//!
//! Why here: part of composing the service; names the concrete providers.
//!
//! What must stay true: a section that is incomplete is an error of the merchant file (`config`
//! says so first), never a channel that fails later.

use std::sync::Arc;

use anyhow::Context as _;
use secrecy::SecretString;

use crate::channel::Deliver;
use crate::channel::callback::Callbacks;
use crate::channel::callback::postmark::PostmarkCallbacks;
use crate::channel::callback::resend::ResendCallbacks;
use crate::channel::callback::sendgrid::SendgridCallbacks;
use crate::channel::callback::ses::SesCallbacks;
use crate::channel::callback::twilio::TwilioCallbacks;
use crate::channel::callback::whatsapp::WhatsappCallbacks;
use crate::channel::email::{EmailChannel, Provider};
use crate::channel::shadow::Silent;
use crate::channel::sms::{SmsChannel, SmsSettings};
use crate::channel::whatsapp::{WhatsappChannel, WhatsappSettings};
use crate::config::{Config, Email, EmailProvider, Mode, Secret, Sms, Whatsapp};
use crate::core::customer::Channel;

/// What delivers messages.
pub(super) fn deliver(config: &Config) -> anyhow::Result<Vec<Arc<dyn Deliver>>> {
    let mut channels: Vec<Arc<dyn Deliver>> = Vec::new();
    if let Some(settings) = &config.email {
        let reply_to = config.merchant.support_email.as_deref().unwrap_or_default();
        channels.push(Arc::new(email(settings, reply_to).context("set up [email]")?));
    }
    if let Some(settings) = config.sms.as_ref().filter(|_| config.delivers(Channel::Sms)) {
        channels.push(Arc::new(sms(settings, config).context("set up [sms]")?));
    }
    let usable = config.delivers(Channel::Whatsapp);
    if let Some(settings) = config.whatsapp.as_ref().filter(|_| usable) {
        channels.push(Arc::new(whatsapp(settings).context("set up [whatsapp]")?));
    }
    Ok(behind_the_wall(config.mode, channels))
}

/// In shadow mode nobody gets hold of a channel that is not behind the wall.
pub(super) fn behind_the_wall(
    mode: Mode,
    channels: Vec<Arc<dyn Deliver>>,
) -> Vec<Arc<dyn Deliver>> {
    let silent = |channel| Arc::new(Silent::new(channel)) as Arc<dyn Deliver>;
    match mode {
        Mode::Live => channels,
        Mode::Shadow => channels.into_iter().map(silent).collect(),
    }
}

fn email(email: &Email, reply_to: &str) -> anyhow::Result<EmailChannel> {
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

fn sms(sms: &Sms, config: &Config) -> anyhow::Result<SmsChannel> {
    let public_url = config.merchant.public_url.trim_end_matches('/');
    let settings = SmsSettings {
        account_sid: sms.account_sid.clone().context("find sms.account_sid")?,
        auth_token: secret(sms.auth_token.as_ref()).context("find sms.auth_token")?,
        from: sms.from.clone().context("find sms.from")?,
        api_base: sms.api_base.clone(),
        callback_url: format!("{public_url}/callbacks/sms"),
    };
    Ok(SmsChannel::new(settings)?)
}

/// The WhatsApp channel, also for its templates.
pub(super) fn whatsapp(whatsapp: &Whatsapp) -> anyhow::Result<WhatsappChannel> {
    let settings = WhatsappSettings {
        phone_number_id: whatsapp
            .phone_number_id
            .clone()
            .context("find whatsapp.phone_number_id")?,
        business_account_id: whatsapp.business_account_id.clone(),
        access_token: secret(whatsapp.access_token.as_ref())
            .context("find whatsapp.access_token")?,
        api_base: whatsapp.api_base.clone(),
    };
    Ok(WhatsappChannel::new(settings)?)
}

/// What reads the providers' reports; none where nothing verifies them.
pub(super) fn callbacks(config: &Config) -> anyhow::Result<Vec<Arc<dyn Callbacks>>> {
    let mut callbacks: Vec<Arc<dyn Callbacks>> = Vec::new();
    if let Some(email) = &config.email {
        callbacks.extend(email_callbacks(email)?);
    }
    if let Some(token) = config.sms.as_ref().and_then(|sms| secret(sms.auth_token.as_ref())) {
        callbacks.push(Arc::new(TwilioCallbacks::new(token)));
    }
    if let Some(whatsapp) = &config.whatsapp
        && let Some(app_secret) = secret(whatsapp.app_secret.as_ref())
    {
        let verify_token = secret(whatsapp.verify_token.as_ref());
        callbacks.push(Arc::new(WhatsappCallbacks::new(app_secret, verify_token)));
    }
    Ok(callbacks)
}

fn email_callbacks(email: &Email) -> anyhow::Result<Option<Arc<dyn Callbacks>>> {
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

fn secret(secret: Option<&Secret>) -> Option<SecretString> {
    secret.map(|secret| secret.get().clone())
}
