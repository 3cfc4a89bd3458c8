//! Stripe's hosted pages: the portal's card update, and the invoice with "Confirm and pay".
//!
//! Why here: the way of a customer through recoup's page ends on one of these two.
//!
//! What must stay true: the portal sets the customer's default only, as the real one does; a
//! subscription with a default of its own stays on the old card until somebody changes that too.

use super::charging::{self, Origin, Tried, Try};
use super::{customers, make};
use crate::core::money::Money;
use crate::sandbox::Kind;
use crate::sandbox::page;
use crate::sandbox::server::Shown;
use crate::sandbox::world::World;

/// `GET` of the portal.
pub(crate) fn show_portal(world: &World, secret: &str) -> Shown {
    match world.sessions.get(secret).filter(|s| s.gateway == Kind::Stripe && s.expires > world.now)
    {
        Some(session) => {
            Shown::page(200, page::card_form(&session.customer, session.return_url.as_deref()))
        }
        None => Shown::gone(),
    }
}

/// `POST` of the portal: another card.
pub(crate) fn use_portal(world: &mut World, secret: &str, card: &str) -> Shown {
    let session = world.sessions.get(secret).filter(|s| s.gateway == Kind::Stripe);
    let Some(session) = session.filter(|session| session.expires > world.now).cloned() else {
        return Shown::gone();
    };
    let method = make::method(world, None, card);
    customers::attach(world, &method, &session.customer);
    make::set_default(world, &session.customer, &method);
    customers::emit_customer(world, &session.customer);
    Shown::back(session.return_url, "Your card was saved.")
}

/// `GET` of a hosted invoice.
pub(crate) fn show_invoice(world: &World, secret: &str) -> Shown {
    let Some(invoice) = world.stripe.invoices.values().find(|i| i.page == secret) else {
        return Shown::gone();
    };
    if charging::refuse_closed(invoice).is_some() {
        let text = format!("This invoice is {}. There is nothing to pay.", invoice.status);
        return Shown::page(200, page::message("Invoice", &text));
    }
    Shown::page(200, page::invoice(&invoice.description, &owed(invoice), None))
}

fn owed(invoice: &super::model::Invoice) -> String {
    let minor = invoice.remaining();
    invoice.currency.parse().map_or_else(
        |_| format!("{minor} {}", invoice.currency),
        |currency| Money::new(minor, currency).to_string(),
    )
}

/// `POST` of a hosted invoice: the customer is there, confirms and pays.
pub(crate) fn pay_invoice(world: &mut World, secret: &str, card: Option<&str>) -> Shown {
    let found = world.stripe.invoices.values().find(|i| i.page == secret).cloned();
    let Some(invoice) = found else { return Shown::gone() };
    if charging::refuse_closed(&invoice).is_some() {
        return show_invoice(world, secret);
    }
    let given = card.map(|card| make::method(world, Some(&invoice.customer), card));
    let Some(method) = given.or_else(|| world.stripe.method_for(&invoice)) else {
        let note = "There is no card on file.";
        return Shown::page(402, page::invoice(&invoice.description, &owed(&invoice), Some(note)));
    };
    let attempt = Try { origin: Origin::Hosted, method, key: None };
    let note = match charging::charge_invoice(world, &invoice.id, &attempt) {
        Ok((Tried::Approved, _)) => return show_invoice(world, secret),
        Ok((Tried::Pending, _)) => "Your payment is processing.",
        Ok((Tried::Declined(refusal), _)) => refusal.message(),
        Ok((Tried::NeedsCustomer, _)) => "Your bank wants you to confirm.",
        Err(_) => "This invoice cannot be paid now.",
    };
    Shown::page(402, page::invoice(&invoice.description, &owed(&invoice), Some(note)))
}
