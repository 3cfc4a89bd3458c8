//! Lanes: whom an effect waits for.
//!
//! Why here: a gateway that hangs must hold up nobody but its own. Effects that need the same
//! services stand in one lane; the store claims from each lane only what the worker has room for.
//!
//! What must stay true: an effect's lane follows from its order alone, so it is the same before
//! and after a restart.

use std::collections::BTreeSet;

use super::customer::Channel;
use super::effect::Order;

/// Before the name of a channel; no gateway's id holds a colon.
const CHANNEL: &str = "channel:";

/// The services that an effect needs: gateways by their ids, or one channel.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lane(String);

impl Lane {
    /// The lane of messages on this channel.
    pub fn of_channel(channel: Channel) -> Self {
        Self(format!("{CHANNEL}{}", channel.as_str()))
    }

    /// Whether messages go this way.
    pub fn is_channel(&self) -> bool {
        self.0.starts_with(CHANNEL)
    }

    /// Its name: `stripe`, `backup+stripe`, `channel:email`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Lane {
    fn from(name: &str) -> Self {
        Self(name.to_owned())
    }
}

impl Order {
    /// Whom performing it waits for. A look-up asks every gateway that an attempt went through,
    /// so it stands in the lane of all of them.
    pub fn lane(&self) -> Lane {
        Lane(match self {
            Self::AdoptMethod(order) => order.gateway.to_string(),
            Self::Charge(order) => order.gateway.to_string(),
            Self::Check(order) => {
                let asked = order.attempts.iter().map(|attempt| &attempt.charge.gateway);
                let all: BTreeSet<&str> =
                    asked.chain([&order.gateway]).map(|gateway| gateway.as_str()).collect();
                all.into_iter().collect::<Vec<_>>().join("+")
            }
            Self::Close(order) => order.gateway.to_string(),
            Self::MarkPaid(order) => order.gateway.to_string(),
            Self::Refund(order) => order.gateway.to_string(),
            Self::Send(order) => return Lane::of_channel(order.channel),
        })
    }
}
