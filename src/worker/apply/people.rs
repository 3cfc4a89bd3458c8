//! What people and the merchant's systems say: of a case, of a customer.
//!
//! What must stay true: what is said of a customer reaches every open case of theirs in the same
//! transaction.

use std::collections::BTreeSet;

use super::Batch;
use crate::core::case::step;
use crate::core::consent::{Consent, Standing};
use crate::core::customer::{Channel, Customer, PaymentMethod, alias};
use crate::core::event::Event;
use crate::core::ids::{CaseId, GatewayId};
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
                record.note_consent(said.clone());
                self.put_customer(customer, record);
                self.customer_changed(customer).await
            }
            InboxBody::Customer { customer, contact, channels, excluded, profile } => {
                let mut record = self.customer(customer).await?;
                record.learn_contact(contact);
                record.learn_profile(profile);
                record.channels = channels.clone().or(record.channels);
                record.excluded = excluded.unwrap_or(record.excluded);
                self.put_customer(customer, record);
                self.customer_changed(customer).await
            }
            InboxBody::PaymentMethods { customer, methods } => {
                let mut record = self.customer(customer).await?;
                let named: BTreeSet<_> = methods.iter().map(|m| m.gateway.clone()).collect();
                record.methods.retain(|m| {
                    !named.contains(&m.gateway)
                        || methods
                            .iter()
                            .any(|new| new.gateway == m.gateway && new.token() == m.token())
                });
                methods.iter().for_each(|method| record.put_method(method));
                self.put_customer(customer, record);
                self.put_aliases(customer, methods).await?;
                self.customer_changed(customer).await
            }
            InboxBody::Delivery { case, message, report } => {
                self.input(case, &Input::Delivery(message.clone(), report.clone())).await
            }
            InboxBody::Channel { channel, order } => self.order(*channel, order).await,
            InboxBody::Reply { channel, address, standing, word, at } => {
                let how = format!("{}:{word}", channel.as_str());
                let said = Consent { channel: *channel, standing: *standing, at: *at, how };
                self.replied(address, said).await
            }
            InboxBody::Emptied | InboxBody::Webhook { .. } => Ok(()),
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
            for channel in channels {
                record.note_consent(Consent { channel: *channel, ..said.clone() });
            }
            self.put_customer(&customer, record);
            self.customer_changed(&customer).await?;
        }
        Ok(())
    }

    // ---- what gateways tell of a customer ----

    /// The event with the billing gateway's id of its customer: every record of ours is under that
    /// one. A gateway of whose ids the wallet says nothing uses the same.
    pub(super) async fn in_our_ids(
        &mut self,
        source: &GatewayId,
        event: Event,
    ) -> Result<Event, StoreError> {
        let billing = self.applier.policy.billing().is_some_and(|b| b.id == *source);
        let Some(theirs) = event.customer.as_deref().filter(|_| !billing) else {
            return Ok(event);
        };
        let known = self.customer(&alias(source, theirs)).await?.same_as;
        Ok(Event { customer: known.or(event.customer), ..event })
    }

    /// Keeps by which ids other gateways know this customer.
    async fn put_aliases(
        &mut self,
        customer: &str,
        methods: &[PaymentMethod],
    ) -> Result<(), StoreError> {
        for method in methods {
            let Some(key) = method.alias() else { continue };
            // Read, so that a record that stays the same is not written.
            self.customer(&key).await?;
            let same_as = Some(customer.to_owned());
            let record = Customer { id: key.clone(), same_as, ..Customer::default() };
            self.put_customer(&key, record);
        }
        Ok(())
    }

    /// Takes over what an event tells of a customer that has a record, without a case.
    pub(super) async fn learn(
        &mut self,
        source: &GatewayId,
        event: &Event,
    ) -> Result<(), StoreError> {
        let Some(id) = event.customer.as_deref() else { return Ok(()) };
        let here = self.customers.get(id).is_some_and(|(_, changed)| *changed);
        if here || self.store().customer(id).await?.is_some() {
            self.learn_as(source, event, id).await?;
        }
        Ok(())
    }

    pub(super) async fn learn_for(
        &mut self,
        source: &GatewayId,
        event: &Event,
        case: &CaseId,
    ) -> Result<(), StoreError> {
        let key = self.case(case).await?.map(|case| case.customer_key());
        match key {
            Some(key) => self.learn_as(source, event, &key).await,
            None => Ok(()),
        }
    }

    async fn learn_as(
        &mut self,
        source: &GatewayId,
        event: &Event,
        key: &str,
    ) -> Result<(), StoreError> {
        let mut customer = self.customer(key).await?;
        step::learn(&mut customer, source, event);
        self.put_customer(key, customer);
        Ok(())
    }

    async fn customer_changed(&mut self, customer: &str) -> Result<(), StoreError> {
        for case in self.open_cases_of(customer).await? {
            self.input(&case, &Input::CustomerChanged).await?;
        }
        Ok(())
    }
}
