//! What people and the merchant's systems say: of a case, of a customer.
//!
//! What must stay true: what is said of a customer reaches every open case of theirs in the same
//! transaction.

use std::collections::BTreeSet;

use super::Batch;
use crate::core::consent::{Consent, Standing};
use crate::core::customer::Channel;
use crate::core::input::Input;
use crate::store::{InboxBody, InboxEntry, StoreError};

impl Batch<'_> {
    /// Applies what a person or a merchant's system did.
    pub(super) async fn person(&mut self, entry: &InboxEntry) -> Result<(), StoreError> {
        match &entry.record.body {
            InboxBody::Operator { case, action } => {
                self.input(case, &Input::Operator(action.clone())).await
            }
            InboxBody::Learning(change) => self.relearn(change).await,
            InboxBody::Page { case, action } => {
                self.input(case, &Input::Page(action.clone())).await
            }
            InboxBody::Consent { customer, said } => {
                let mut record = self.customer(customer).await?;
                let before = record.clone();
                record.note_consent(said.clone());
                self.put_customer(customer, record, &before);
                self.customer_changed(customer).await
            }
            InboxBody::Customer { customer, contact, channels, excluded, profile } => {
                let mut record = self.customer(customer).await?;
                let before = record.clone();
                record.learn_contact(contact);
                record.learn_profile(profile);
                record.channels = channels.clone().or(record.channels);
                record.excluded = excluded.unwrap_or(record.excluded);
                self.put_customer(customer, record, &before);
                self.customer_changed(customer).await
            }
            InboxBody::PaymentMethods { customer, methods } => {
                let mut record = self.customer(customer).await?;
                let before = record.clone();
                let named: BTreeSet<_> = methods.iter().map(|m| m.gateway.clone()).collect();
                record.methods.retain(|m| {
                    !named.contains(&m.gateway)
                        || methods
                            .iter()
                            .any(|new| new.gateway == m.gateway && new.token() == m.token())
                });
                methods.iter().for_each(|method| record.put_method(method));
                self.put_customer(customer, record, &before);
                self.customer_changed(customer).await
            }
            InboxBody::Delivery { case, message, report } => {
                self.input(case, &Input::Delivery(message.clone(), report.clone())).await
            }
            InboxBody::Reply { channel, address, standing, word, at } => {
                let how = format!("{}:{word}", channel.as_str());
                let said = Consent { channel: *channel, standing: *standing, at: *at, how };
                self.replied(address, said).await
            }
            InboxBody::Webhook { .. } => Ok(()),
        }
    }

    /// Somebody at this address said yes or no. A no is said to a number, whatever the app: it
    /// holds on every channel of that number. A yes holds where it was said.
    async fn replied(&mut self, address: &str, said: Consent) -> Result<(), StoreError> {
        let phone = [Channel::Sms, Channel::Whatsapp];
        let channels: &[Channel] = match (said.standing, said.channel) {
            (Standing::OptedOut, Channel::Sms | Channel::Whatsapp) => &phone,
            (Standing::OptedIn, Channel::Sms) => &phone[..1],
            (Standing::OptedIn, Channel::Whatsapp) => &phone[1..],
            (_, Channel::Email) => &[Channel::Email],
        };
        let mut customers = BTreeSet::new();
        for case in self.store().cases_written_to(address).await? {
            customers.extend(self.case(&case).await?.map(|case| case.customer_key()));
        }
        for customer in customers {
            let mut record = self.customer(&customer).await?;
            let before = record.clone();
            for channel in channels {
                record.note_consent(Consent { channel: *channel, ..said.clone() });
            }
            self.put_customer(&customer, record, &before);
            self.customer_changed(&customer).await?;
        }
        Ok(())
    }

    async fn customer_changed(&mut self, customer: &str) -> Result<(), StoreError> {
        for case in self.open_cases_of(customer).await? {
            self.input(&case, &Input::CustomerChanged).await?;
        }
        Ok(())
    }
}
