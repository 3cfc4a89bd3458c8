//! Made orders: every kind of message with what is known and what is not.
//!
//! Why here: the preview, the message check and the list of WhatsApp templates must see the same
//! variants as customers do.
//!
//! What must stay true: every combination that a text can distinguish is among them; nobody in
//! them is real.

use jiff::Timestamp;

use super::locale::Locale;
use super::{Brand, Texts};
use crate::core::customer::Channel;
use crate::core::decline::Category;
use crate::core::effect::{MessageOrder, OwedInvoice};
use crate::core::event::Contact;
use crate::core::ids::{CaseId, MessageId};
use crate::core::money::Money;
use crate::core::policy::{MessageKind, SubscriptionAction};

/// As long as a real token.
const TOKEN: &str = "Ab3dE9xKq-1_2ZtVw8RmNcYpLs5GhJfUiOa";

/// 24 November and 4 December 2026, in the afternoon of Bogotá.
const RETRY_AT: i64 = 1_795_557_600;
const ENDS_AT: i64 = 1_796_421_600;

/// A merchant where there is no merchant file.
pub fn brand() -> Brand {
    Brand {
        name: "Café Nube".to_owned(),
        support_email: Some("ayuda@cafenube.example".to_owned()),
        support_phone: Some("+57 601 555 0100".to_owned()),
        postal_address: Some("Calle 10 # 5-51, Bogotá".to_owned()),
        color: Some("#5b3fd6".to_owned()),
        logo_url: None,
        locale: "es-CO".to_owned(),
        time_zone: "America/Bogota".to_owned(),
        public_url: "https://pay.cafenube.example".to_owned(),
        texts: Texts::default(),
    }
}

/// A link of the length that real ones have.
pub fn link(brand: &Brand) -> String {
    format!("{}/pay/{TOKEN}", brand.public_url)
}

/// What people of this locale pay in, and a usual price in it.
fn price(locale: &Locale) -> (i64, &'static str) {
    match locale.tag.as_str() {
        "es-ES" | "pt-PT" | "fr" | "it" => (2900, "EUR"),
        "es-CL" => (29_900, "CLP"),
        "es-MX" => (29_900, "MXN"),
        tag if tag.starts_with("es") => (2_900_000, "COP"),
        tag if tag.starts_with("pt") => (2990, "BRL"),
        tag if tag.starts_with("fr") || tag.starts_with("it") => (2900, "EUR"),
        _ => (2900, "USD"),
    }
}

/// An order of which everything is known. `None` only where a price is in no currency, which a test
/// rules out.
pub fn order(kind: MessageKind, channel: Channel, locale: &Locale) -> Option<MessageOrder> {
    let (minor, code) = price(locale);
    Some(MessageOrder {
        id: MessageId("msg_0123456789abcdef0123".to_owned()),
        kind,
        channel,
        contact: Contact {
            name: Some("Ana Ruiz".to_owned()),
            email: Some("ana@customer.example".to_owned()),
            phone: Some("+573005550100".to_owned()),
            locale: Some(locale.tag.clone()),
            ..Contact::default()
        },
        amount: Money::new(minor, code.parse().ok()?),
        description: Some("Plan Pro".to_owned()),
        last4: Some("4242".to_owned()),
        category: category(kind),
        retry_at: at(RETRY_AT),
        ends_at: at(ENDS_AT),
        subscription_action: SubscriptionAction::Pause,
        also_owed: Vec::new(),
        withheld: false,
    })
}

fn at(second: i64) -> Option<Timestamp> {
    Timestamp::from_second(second).ok()
}

/// The reason that a message of this kind usually has.
fn category(kind: MessageKind) -> Category {
    match kind {
        MessageKind::CardUpdate => Category::CredentialOutdated,
        MessageKind::ConfirmBank => Category::AuthenticationRequired,
        MessageKind::LastNotice | MessageKind::PaymentFailed | MessageKind::Recovered => {
            Category::InsufficientFunds
        }
    }
}

/// The same with everything optional away.
pub fn bare(order: &MessageOrder) -> MessageOrder {
    MessageOrder {
        contact: Contact { locale: order.contact.locale.clone(), ..Contact::default() },
        description: None,
        last4: None,
        retry_at: None,
        ends_at: None,
        ..order.clone()
    }
}

/// The same for three open invoices.
pub fn several(order: &MessageOrder) -> MessageOrder {
    let owed = |at: u8, description: &str| OwedInvoice {
        case: CaseId(format!("case_0123456789abcdef000{at}")),
        invoice: format!("in_{at}"),
        amount: order.amount,
        description: Some(description.to_owned()),
        ends_at: order.ends_at,
    };
    let also_owed = vec![owed(1, "Plan Extra"), owed(2, "Plan Mini")];
    MessageOrder { also_owed, ..order.clone() }
}

/// Every variant of a message that its texts can distinguish; the fullest comes first.
pub fn variants(kind: MessageKind, channel: Channel, locale: &Locale) -> Vec<MessageOrder> {
    let Some(full) = order(kind, channel, locale) else { return Vec::new() };
    let mut all = Vec::new();
    for subscription_action in
        [SubscriptionAction::Pause, SubscriptionAction::Cancel, SubscriptionAction::Keep]
    {
        let full = MessageOrder { subscription_action, ..full.clone() };
        all.extend([several(&full), bare(&full), several(&bare(&full))]);
        all.push(full);
    }
    all.swap(0, 3);
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::locale::choose;

    #[test]
    fn prices_are_in_the_money_that_they_say() {
        for tag in ["en", "es", "es-CL", "es-ES", "es-MX", "fr-CA", "it", "pt", "pt-PT"] {
            let locale = choose(Some(tag), "en");
            let order = order(MessageKind::Recovered, Channel::Email, &locale).unwrap();
            assert_eq!(order.amount.currency.code(), price(&locale).1);
        }
    }
}
