//! WhatsApp, through the Cloud API.

use std::sync::Arc;

use anyhow::Context as _;

use super::secret;
use crate::channel::Deliver;
use crate::channel::callback::Callbacks;
use crate::channel::callback::whatsapp::WhatsappCallbacks;
use crate::channel::whatsapp::{WhatsappChannel, WhatsappSettings};
use crate::config::{Config, Whatsapp};
use crate::core::customer::Channel;

pub(super) fn deliver(config: &Config) -> anyhow::Result<Option<Arc<dyn Deliver>>> {
    let usable = config.whatsapp.as_ref().filter(|_| config.delivers(Channel::Whatsapp));
    let Some(settings) = usable else { return Ok(None) };
    Ok(Some(Arc::new(channel(settings).context("set up [whatsapp]")?)))
}

/// The channel, also for its templates.
pub(in crate::cli) fn channel(whatsapp: &Whatsapp) -> anyhow::Result<WhatsappChannel> {
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

pub(super) fn callbacks(config: &Config) -> anyhow::Result<Option<Arc<dyn Callbacks>>> {
    let Some(whatsapp) = &config.whatsapp else { return Ok(None) };
    let reader = secret(whatsapp.app_secret.as_ref()).map(|app_secret| {
        let verify_token = secret(whatsapp.verify_token.as_ref());
        Arc::new(WhatsappCallbacks::new(app_secret, verify_token)) as Arc<dyn Callbacks>
    });
    Ok(reader)
}
