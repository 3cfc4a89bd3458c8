//! The customer: how to reach them, and the payment methods that we may charge.
//!
//! Why here: a card has one token at each gateway that knows it; routing and the network limits
//! both need to know which tokens are the same card.
//!
//! What must stay true: two tokens get one [`CardKey`] when they share a fingerprint, or last four
//! and expiry, within one customer. Counting too much is safe, too little is not (design I4).

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::consent::{Consent, Contacted};
use super::delivery::Suppressed;
use super::event::{Contact, PaymentMethodFacts};
use super::ids::{CardKey, GatewayId};

/// A way to reach a customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// E-mail.
    Email,
    /// Text message.
    Sms,
    /// WhatsApp.
    Whatsapp,
}

impl Channel {
    /// Every channel.
    pub const ALL: [Self; 3] = [Self::Email, Self::Sms, Self::Whatsapp];

    /// The name as in the merchant file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Sms => "sms",
            Self::Whatsapp => "whatsapp",
        }
    }
}

/// One card (or other means) of a customer at one gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentMethod {
    /// The gateway that issued the token.
    pub gateway: GatewayId,
    /// What the gateway told of the card; `token` is always there.
    pub facts: PaymentMethodFacts,
    /// The card behind the token.
    pub card: CardKey,
    /// The gateway's own id of the customer, where it is another than the billing gateway's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway_customer: Option<String>,
    /// The scheme's id of the first, authenticated payment, where known.
    pub network_transaction_id: Option<String>,
    /// The method that the customer's subscriptions use.
    pub default: bool,
    /// The customer agreed that this method may be charged for this merchant.
    pub consent: bool,
    /// The expiry before the present one: the same card was renewed, e.g. by the networks' account
    /// updater.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub former_exp: Option<String>,
}

impl PaymentMethod {
    /// Under which id it is kept whom its gateway calls so, where that is another name.
    pub fn alias(&self) -> Option<String> {
        self.gateway_customer.as_deref().map(|theirs| alias(&self.gateway, theirs))
    }

    /// The gateway's token.
    pub fn token(&self) -> &str {
        self.facts.token.as_deref().unwrap_or_default()
    }
}

/// Everything we know of a customer, by the billing gateway's id of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Customer {
    /// The billing gateway's id.
    pub id: String,
    /// Reachability and language.
    pub contact: Contact,
    /// Channels that the customer may be contacted on, in their order; `None`: the merchant's.
    pub channels: Option<Vec<Channel>>,
    /// Never charged and never contacted by recoup.
    pub excluded: bool,
    /// The customer said: no more reminders.
    pub reminders_stopped: bool,
    /// Their payment methods at all gateways.
    pub methods: Vec<PaymentMethod>,
    /// Messages that went out in the last 31 days, over all cases: what the contact policy counts.
    pub contacted_at: Vec<Contacted>,
    /// What the customer said of each channel, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub consents: Vec<Consent>,
    /// Addresses that nothing goes to any more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub suppressed: Vec<Suppressed>,
    /// The merchant's segments that the customer is in.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub tags: BTreeSet<String>,
    /// Since when they have been a customer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer_since: Option<Date>,
    /// This is only another gateway's name of a customer: the billing gateway's id of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub same_as: Option<String>,
}

/// What a merchant states of a customer for campaigns; what is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// Replaces the tags.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<BTreeSet<String>>,
    /// Since when they have been a customer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer_since: Option<Date>,
    /// What the customer said to the merchant of each channel.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub consents: Vec<Consent>,
}

/// Tags of one customer that are taken from a gateway.
const MAX_TAGS: usize = 50;

/// Longest tag.
const MAX_TAG: usize = 64;

/// Whether this can be a tag: it stands in ledgers and in the merchant file.
pub fn check_tag(text: &str) -> Result<(), &'static str> {
    let clean = |c: char| c.is_alphanumeric() || "_-.:".contains(c);
    if !text.is_empty() && text.chars().count() <= MAX_TAG && text.chars().all(clean) {
        return Ok(());
    }
    Err("is no tag: letters, digits and `_-.:`, 64 characters at most")
}

/// The tags of these texts; what can be none is left out.
pub fn tags_of<'a>(texts: impl IntoIterator<Item = &'a str>) -> BTreeSet<String> {
    let trimmed = texts.into_iter().map(str::trim).filter(|text| check_tag(text).is_ok());
    trimmed.map(ToOwned::to_owned).take(MAX_TAGS).collect()
}

impl Profile {
    /// Whether nothing is stated.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Customer {
    /// The messages that count when a case writes: what shadow mode withheld holds back no message
    /// that is sent.
    pub fn contacted_by(&self, shadow: bool) -> Vec<Contacted> {
        self.contacted_at.iter().filter(|c| shadow || !c.withheld).copied().collect()
    }

    /// Nobody waits any more for word of the message that was counted at `at`. One that may have
    /// left by then counts from `now`. Gives the moment at which it counts.
    pub(super) fn close_contact(&mut self, at: Timestamp, now: Timestamp) -> Timestamp {
        match self.contacted_at.iter_mut().rfind(|c| c.at == at) {
            Some(own) => {
                *own = Contacted { open: false, ..own.as_of(now) };
                own.at
            }
            None => at,
        }
    }

    /// A customer of whom only the id is known.
    pub fn new(id: impl Into<String>) -> Self {
        Self { id: id.into(), ..Self::default() }
    }

    /// Takes over what an event tells; what it does not tell stays.
    pub fn learn_contact(&mut self, contact: &Contact) {
        let known = &mut self.contact;
        let fields = [
            (&mut known.name, &contact.name),
            (&mut known.email, &contact.email),
            (&mut known.phone, &contact.phone),
            (&mut known.locale, &contact.locale),
            (&mut known.time_zone, &contact.time_zone),
            (&mut known.country, &contact.country),
        ];
        for (old, new) in fields {
            if new.is_some() {
                old.clone_from(new);
            }
        }
    }

    /// Takes over what a gateway tells. A day that is known stays: a gateway knows only since when
    /// it has the record, which may have moved there.
    pub fn learn_from_gateway(&mut self, profile: &Profile) {
        if let Some(tags) = &profile.tags {
            self.tags.clone_from(tags);
        }
        self.customer_since = self.customer_since.or(profile.customer_since);
    }

    /// Takes over what the merchant states.
    pub fn learn_profile(&mut self, profile: &Profile) {
        if let Some(tags) = &profile.tags {
            self.tags.clone_from(tags);
        }
        self.customer_since = profile.customer_since.or(self.customer_since);
        profile.consents.iter().cloned().for_each(|said| self.note_consent(said));
    }

    /// The method that this gateway knows by `token`.
    pub fn method(&self, gateway: &GatewayId, token: &str) -> Option<&PaymentMethod> {
        self.methods.iter().find(|m| m.gateway == *gateway && m.token() == token)
    }

    /// The method to charge at `gateway`: the default one, else the newest.
    pub fn method_at(&self, gateway: &GatewayId) -> Option<&PaymentMethod> {
        let mut at_gateway = self.methods.iter().filter(|m| m.gateway == *gateway);
        at_gateway.clone().rfind(|m| m.default).or_else(|| at_gateway.next_back())
    }

    /// Adds a method, or refreshes what is known of it, and says which card it is.
    /// Facts without a token are about no method and give `None`.
    pub fn learn_method(
        &mut self,
        gateway: &GatewayId,
        facts: &PaymentMethodFacts,
    ) -> Option<CardKey> {
        let token = facts.token.clone()?;
        let position =
            self.methods.iter().position(|m| m.gateway == *gateway && m.token() == token);
        let mut merged = position.map(|i| self.methods[i].facts.clone()).unwrap_or_default();
        merge_facts(&mut merged, facts);
        // A card keeps its key, and with it its count, though the method that it was first known
        // by is gone.
        let old = position.map(|i| &self.methods[i]).filter(|m| same_card(&m.facts, &merged));
        let card = match old {
            Some(method) => method.card.clone(),
            None => self.card_of(gateway, &merged),
        };
        match position {
            Some(i) => {
                if let Some(former) = renewed(&self.methods[i].facts, &merged) {
                    self.methods[i].former_exp = Some(former);
                }
                self.methods[i].facts = merged;
                self.methods[i].card = card;
            }
            None => self.methods.push(PaymentMethod {
                gateway: gateway.clone(),
                facts: merged,
                card,
                gateway_customer: None,
                network_transaction_id: None,
                default: false,
                // Nobody said that it may be charged in another card's place.
                consent: false,
                former_exp: None,
            }),
        }
        self.regroup();
        Some(self.method(gateway, &token)?.card.clone())
    }

    /// Takes over a method as the merchant stated it.
    pub fn put_method(&mut self, stated: &PaymentMethod) {
        if self.learn_method(&stated.gateway, &stated.facts).is_none() {
            return;
        }
        let same =
            |m: &&mut PaymentMethod| m.gateway == stated.gateway && m.token() == stated.token();
        if let Some(method) = self.methods.iter_mut().find(same) {
            method.network_transaction_id.clone_from(&stated.network_transaction_id);
            method.gateway_customer.clone_from(&stated.gateway_customer);
            method.consent = stated.consent;
        }
        if stated.default {
            self.set_default(&stated.gateway, stated.token());
        }
    }

    /// A token of which nothing is known stands for the customer's one known card: to count too
    /// much on it is safe.
    fn regroup(&mut self) {
        let bare = |m: &PaymentMethod| m.facts.fingerprint.is_none() && m.facts.last4.is_none();
        let known: BTreeSet<_> =
            self.methods.iter().filter(|m| !bare(m)).map(|m| m.card.clone()).collect();
        let mut known = known.into_iter();
        if let (Some(only), None) = (known.next(), known.next()) {
            for method in self.methods.iter_mut().filter(|m| bare(m)) {
                method.card = only.clone();
            }
        }
    }

    /// Makes one method the default of its gateway.
    pub fn set_default(&mut self, gateway: &GatewayId, token: &str) {
        for method in self.methods.iter_mut().filter(|m| m.gateway == *gateway) {
            method.default = method.facts.token.as_deref() == Some(token);
        }
    }

    /// Takes over that this method is the one that the customer now pays with at `gateway`. It may
    /// be charged as the one could whose place it takes: one with consent on record, or a token of
    /// a card that another gateway holds too.
    pub fn replace_method(&mut self, gateway: &GatewayId, facts: &PaymentMethodFacts) {
        let Some(token) = facts.token.as_deref() else { return };
        let elsewhere =
            |card: &CardKey| self.methods.iter().any(|m| m.gateway != *gateway && m.card == *card);
        let agreed =
            self.method_at(gateway).is_some_and(|former| former.consent || elsewhere(&former.card));
        self.learn_method(gateway, facts);
        self.set_default(gateway, token);
        let same = |m: &&mut PaymentMethod| m.gateway == *gateway && m.token() == token;
        if let Some(method) = self.methods.iter_mut().find(same) {
            method.consent |= agreed;
        }
    }

    /// Forgets a method that was removed at its gateway.
    pub fn forget_method(&mut self, gateway: &GatewayId, token: &str) {
        self.methods.retain(|m| !(m.gateway == *gateway && m.token() == token));
    }

    /// All cards that the customer's methods stand for.
    pub fn cards(&self) -> BTreeSet<CardKey> {
        self.methods.iter().map(|m| m.card.clone()).collect()
    }

    /// Cards that stood for a token before it was known which card it is, and which that is.
    pub fn former_cards(&self) -> Vec<(CardKey, CardKey)> {
        let known = |m: &&PaymentMethod| m.facts.fingerprint.is_some() || m.facts.last4.is_some();
        let pairs = self.methods.iter().filter(known);
        let pairs = pairs.map(|m| (CardKey::of_token(&m.gateway, m.token()), m.card.clone()));
        pairs.filter(|(former, now)| former != now).collect()
    }

    fn card_of(&self, gateway: &GatewayId, facts: &PaymentMethodFacts) -> CardKey {
        let token = facts.token.as_deref().unwrap_or_default();
        let others = self.methods.iter().filter(|m| !(m.gateway == *gateway && m.token() == token));
        let known = others.clone().find(|m| same_card(&m.facts, facts));
        match (known, &facts.fingerprint) {
            (Some(method), _) => method.card.clone(),
            (None, Some(fingerprint)) => CardKey::of_fingerprint(fingerprint),
            (None, None) => CardKey::of_token(gateway, token),
        }
    }
}

/// Under which id it is kept whom a gateway calls so: a record that only says who that is
/// ([`Customer::same_as`]).
pub fn alias(gateway: &GatewayId, theirs: &str) -> String {
    format!("{gateway}//{theirs}")
}

/// The expiry that a later one has replaced.
fn renewed(old: &PaymentMethodFacts, new: &PaymentMethodFacts) -> Option<String> {
    // Both read `2030-03`: as texts they are in the order of time.
    old.exp.clone().filter(|former| new.exp.as_ref().is_some_and(|exp| exp > former))
}

fn same_card(a: &PaymentMethodFacts, b: &PaymentMethodFacts) -> bool {
    let both = |x: &Option<String>, y: &Option<String>| x.is_some() && x == y;
    both(&a.fingerprint, &b.fingerprint) || (both(&a.last4, &b.last4) && both(&a.exp, &b.exp))
}

fn merge_facts(old: &mut PaymentMethodFacts, new: &PaymentMethodFacts) {
    let fields = [
        (&mut old.token, &new.token),
        (&mut old.network, &new.network),
        (&mut old.last4, &new.last4),
        (&mut old.exp, &new.exp),
        (&mut old.country, &new.country),
        (&mut old.funding, &new.funding),
        (&mut old.fingerprint, &new.fingerprint),
    ];
    for (old, new) in fields {
        if new.is_some() {
            old.clone_from(new);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(token: &str, last4: Option<&str>, fingerprint: Option<&str>) -> PaymentMethodFacts {
        PaymentMethodFacts {
            token: Some(token.into()),
            last4: last4.map(Into::into),
            exp: last4.map(|_| "2030-03".into()),
            fingerprint: fingerprint.map(Into::into),
            ..PaymentMethodFacts::default()
        }
    }

    #[test]
    fn one_card_at_two_gateways_is_one_card() {
        let (a, b) = (GatewayId::from("a"), GatewayId::from("b"));
        let mut customer = Customer::new("cus_1");
        let first = customer.learn_method(&a, &facts("pm_1", Some("4242"), Some("fp_a")));
        let second = customer.learn_method(&b, &facts("tok_1", Some("4242"), Some("fp_b")));
        assert_eq!(first, second);
        let third = customer.learn_method(&b, &facts("tok_2", Some("1111"), Some("fp_a")));
        assert_eq!(first, third, "the fingerprint alone is enough");
        let other = customer.learn_method(&b, &facts("tok_3", Some("0002"), None));
        assert_ne!(first, other);
        assert_eq!(customer.cards().len(), 2);
    }

    #[test]
    fn a_card_keeps_its_key_when_its_first_token_goes() {
        let (a, b) = (GatewayId::from("a"), GatewayId::from("b"));
        let mut customer = Customer::new("cus_1");
        customer.learn_method(&b, &facts("tok_1", Some("4242"), None));
        let key = customer.learn_method(&a, &facts("pm_1", Some("4242"), Some("fp_1")));
        customer.forget_method(&b, "tok_1");
        let again = customer.learn_method(&a, &facts("pm_1", Some("4242"), Some("fp_1")));
        assert_eq!(key, again, "its attempts would be counted anew");
    }

    #[test]
    fn a_token_that_got_a_new_card_gets_a_new_key() {
        let a = GatewayId::from("a");
        let mut customer = Customer::new("cus_1");
        let old = customer.learn_method(&a, &facts("pm_1", Some("4242"), Some("fp_1")));
        let new = customer.learn_method(&a, &facts("pm_1", Some("1881"), Some("fp_2")));
        assert_ne!(old, new);
        assert_eq!(customer.methods.len(), 1);
    }
}
