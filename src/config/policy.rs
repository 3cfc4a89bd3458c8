//! From the merchant file to the policy that the core decides by.
//!
//! Why here: the core reads no file, and the file names no capability of a gateway.

use super::rules::DEFAULT_POLICY;
use super::schema::{Config, ContactHours, GatewayConfig, Retries};
use crate::core::customer::Channel;
use crate::core::policy::{
    CampaignStep, Capabilities, ContactPolicy, GatewayPolicy, Policy, Schedule,
};
use crate::core::trial::MILLION;
use crate::message::Brand;

/// Decent hours of any day, in the customer's time zone.
const DECENT: Option<(u8, u8)> = Some((8, 20));

impl ContactHours {
    /// The days, Monday first.
    pub fn week(&self) -> [Option<(u8, u8)>; 7] {
        let h = &self.hours;
        [h.monday, h.tuesday, h.wednesday, h.thursday, h.friday, h.saturday, h.sunday]
    }
}

impl Config {
    /// When a customer may be contacted.
    pub fn contact_policy(&self) -> ContactPolicy {
        let name = &self.reminders.contact_policy;
        match self.contact_policies.get(name) {
            Some(own) => ContactPolicy {
                name: name.clone(),
                hours: own.week(),
                per_day: own.per_day,
                gap_hours: own.gap_hours,
            },
            None => ContactPolicy {
                name: DEFAULT_POLICY.to_owned(),
                hours: [DECENT; 7],
                per_day: 1,
                gap_hours: 0,
            },
        }
    }

    /// The channels that are wished for and can be used, in their order.
    pub fn usable_channels(&self) -> Vec<Channel> {
        let usable = |channel: &Channel| *channel == Channel::Email && self.email.is_some();
        self.reminders.channels.iter().copied().filter(usable).collect()
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
    }
}

/// The share of cases that is held out, in parts of a million; only the smart schedule has any.
fn holdout_ppm(retries: &Retries) -> u32 {
    let share = (retries.holdout.clamp(0.0, 1.0) * f64::from(MILLION)).round() as u32;
    if retries.schedule == Schedule::Smart { share } else { 0 }
}

/// The policy of this merchant, with what each gateway can do.
pub fn policy(config: &Config, capabilities: impl Fn(&GatewayConfig) -> Capabilities) -> Policy {
    let channels = config.usable_channels();
    let gateway = |gateway: &GatewayConfig| GatewayPolicy {
        id: gateway.id.clone(),
        native_retries: gateway.native_retries,
        capabilities: capabilities(gateway),
    };
    // A step on a channel that cannot be used goes out on the first that can.
    let step = |step| {
        let step = CampaignStep::from(step);
        CampaignStep { channel: step.channel.filter(|c| channels.contains(c)), ..step }
    };
    let mut steps: Vec<_> = config.reminders.steps.iter().map(step).collect();
    steps.sort_by_key(|step| step.after_days);
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
        locale: config.merchant.locale.clone(),
        time_zone: config.merchant.time_zone.clone(),
    }
}
