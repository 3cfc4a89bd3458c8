//! Channels of the merchant file: what delivers messages, and what reads the reports on them.
//!
//! Why here: part of composing the service; each file names one channel's concrete providers, and
//! is in the build with the cargo feature of its name.
//!
//! What must stay true: a section that is incomplete is an error of the merchant file (`config`
//! says so first), never a channel that fails later.

use std::sync::Arc;

use secrecy::SecretString;

use crate::channel::Deliver;
use crate::channel::callback::Callbacks;
use crate::channel::shadow::Silent;
use crate::config::{Config, Mode, Secret};

#[cfg(feature = "email")]
mod email;
#[cfg(feature = "sms")]
mod sms;
#[cfg(feature = "whatsapp")]
mod whatsapp;

#[cfg(feature = "whatsapp")]
pub(super) use whatsapp::channel as whatsapp;

/// Makes a part of a channel from the merchant file; `None` where it has no such channel.
type Made<T> = fn(&Config) -> anyhow::Result<Option<Arc<T>>>;

/// What one channel is made from.
struct Part {
    /// What delivers; `None` where the merchant file has no such channel.
    deliver: Made<dyn Deliver>,
    /// What reads the provider's reports; `None` where nothing verifies them.
    callbacks: Made<dyn Callbacks>,
}

/// The channels of this build.
const PARTS: &[Part] = &[
    #[cfg(feature = "email")]
    Part { deliver: email::deliver, callbacks: email::callbacks },
    #[cfg(feature = "sms")]
    Part { deliver: sms::deliver, callbacks: sms::callbacks },
    #[cfg(feature = "whatsapp")]
    Part { deliver: whatsapp::deliver, callbacks: whatsapp::callbacks },
];

/// What delivers messages.
pub(super) fn deliver(config: &Config) -> anyhow::Result<Vec<Arc<dyn Deliver>>> {
    let made = PARTS.iter().filter_map(|part| (part.deliver)(config).transpose());
    Ok(behind_the_wall(config.mode, made.collect::<Result<_, _>>()?))
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

/// What reads the providers' reports; none where nothing verifies them.
pub(super) fn callbacks(config: &Config) -> anyhow::Result<Vec<Arc<dyn Callbacks>>> {
    PARTS.iter().filter_map(|part| (part.callbacks)(config).transpose()).collect()
}

#[cfg_attr(not(feature = "channels"), allow(dead_code))]
fn secret(secret: Option<&Secret>) -> Option<SecretString> {
    secret.map(|secret| secret.get().clone())
}
