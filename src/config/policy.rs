//! From the merchant file to the policy that the core decides by.
//!
//! Why here: the core reads no file, and the file names no capability of a gateway.

use std::collections::BTreeMap;

use super::schema::{Config, GatewayConfig, Mode, Retries};
use crate::core::customer::Channel;
use crate::core::money::Currency;
use crate::core::policy::{CampaignStep, Capabilities, GatewayPolicy, Policy, Schedule};
use crate::core::trial::MILLION;
use crate::core::worth::Fee;
use crate::message::Brand;

impl Config {
    /// The channels that are wished for and can be used, in their order.
    pub fn usable_channels(&self) -> Vec<Channel> {
        let wanted = self.reminders.channels.iter().copied();
        wanted.filter(|channel| self.delivers(*channel)).collect()
    }
}

/// Whose messages and pages these are.
pub fn brand(config: &Config) -> Brand {
    let merchant = &config.merchant;
    Brand {
        name: merchant.name.clone(),
        support_email: merchant.support_email.clone(),
        support_phone: merchant.support_phone.clone(),
        postal_address: merchant.postal_address.clone(),
        color: Some(merchant.brand_color.clone()),
        logo_url: merchant.logo_url.clone(),
        locale: merchant.locale.clone(),
        time_zone: merchant.time_zone.clone(),
        public_url: merchant.public_url.clone(),
        texts: config.texts.clone(),
    }
}

/// The share of cases that is held out, in parts of a million; only the smart schedule has any.
fn holdout_ppm(retries: &Retries) -> u32 {
    let share = (retries.holdout.clamp(0.0, 1.0) * f64::from(MILLION)).round() as u32;
    if retries.schedule == Schedule::Smart { share } else { 0 }
}

/// Amounts that are too fine were refused before.
fn fees(gateway: &GatewayConfig) -> BTreeMap<Currency, Fee> {
    let stated = gateway.fees.iter();
    stated.filter_map(|(currency, fee)| Some((*currency, fee.exact(*currency)?))).collect()
}

/// The policy of this merchant, with what each gateway can do.
pub fn policy(config: &Config, capabilities: impl Fn(&GatewayConfig) -> Capabilities) -> Policy {
    let channels = config.usable_channels();
    let gateway = |gateway: &GatewayConfig| GatewayPolicy {
        id: gateway.id.clone(),
        native_retries: gateway.native_retries,
        capabilities: capabilities(gateway),
        fees: fees(gateway),
    };
    // A step on a channel that cannot be used goes out on the first that can.
    let step = |step| {
        let step = CampaignStep::from(step);
        CampaignStep { channel: step.channel.filter(|c| channels.contains(c)), ..step }
    };
    let steps = config.reminders.steps.iter().map(step).collect();
    Policy {
        gateways: config.gateways.iter().map(gateway).collect(),
        schedule: config.retries.schedule.clone(),
        window_days: config.retries.window_days,
        max_attempts: config.retries.max_attempts,
        holdout_ppm: holdout_ppm(&config.retries),
        silent_attempts: config.reminders.silent_attempts,
        steps,
        channels,
        contact: config.contact_policy(),
        subscription_action: config.final_action.subscription,
        invoice_action: config.final_action.invoice,
        page: config.page.clone(),
        locale: config.merchant.locale.clone(),
        time_zone: config.merchant.time_zone.clone(),
        shadow: config.mode == Mode::Shadow,
    }
}
