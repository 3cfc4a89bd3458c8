//! Text messages, through Twilio.

use std::sync::Arc;

use anyhow::Context as _;

use super::secret;
use crate::channel::Deliver;
use crate::channel::callback::Callbacks;
use crate::channel::callback::twilio::TwilioCallbacks;
use crate::channel::sms::{SmsChannel, SmsSettings};
use crate::config::{Config, Sms};
use crate::core::customer::Channel;

pub(super) fn deliver(config: &Config) -> anyhow::Result<Option<Arc<dyn Deliver>>> {
    let usable = config.sms.as_ref().filter(|_| config.delivers(Channel::Sms));
    let Some(settings) = usable else { return Ok(None) };
    Ok(Some(Arc::new(channel(settings, config).context("set up [sms]")?)))
}

fn channel(sms: &Sms, config: &Config) -> anyhow::Result<SmsChannel> {
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

pub(super) fn callbacks(config: &Config) -> anyhow::Result<Option<Arc<dyn Callbacks>>> {
    let token = config.sms.as_ref().and_then(|sms| secret(sms.auth_token.as_ref()));
    Ok(token.map(|token| Arc::new(TwilioCallbacks::new(token)) as Arc<dyn Callbacks>))
}
