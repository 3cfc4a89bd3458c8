//! A channel in shadow mode: it knows whom it would reach, and hands nothing over.
//!
//! Why here: as with `gateway::shadow`, "nothing is sent" must hang on one wall below everything
//! else that could go wrong.
//!
//! What must stay true: no envelope leaves.

use std::sync::Arc;

use async_trait::async_trait;

use super::{Deliver, Delivery, Envelope};
use crate::core::customer::Channel;
use crate::core::event::Contact;

/// A channel that hands nothing over.
pub struct Silent(Arc<dyn Deliver>);

impl Silent {
    /// This channel, behind the wall.
    pub fn new(channel: Arc<dyn Deliver>) -> Self {
        Self(channel)
    }
}

#[async_trait]
impl Deliver for Silent {
    fn channel(&self) -> Channel {
        self.0.channel()
    }

    fn reaches(&self, contact: &Contact) -> bool {
        self.0.reaches(contact)
    }

    async fn deliver(&self, _: &Envelope) -> Delivery {
        Delivery::Refused { answer: "shadow mode: nothing is sent".to_owned() }
    }
}
