//! What only the other side can tell: where webhooks go, what the time is, which templates may go
//! out.
//!
//! What must stay true: nothing is changed there; what cannot be read is said, and is no failure of
//! the thing itself.

use jiff::Timestamp;
use jiff::fmt::rfc2822;

use super::{Check, PUBLIC_TIME};
#[cfg(feature = "whatsapp")]
use crate::cli::{channels, whatsapp};
use crate::clock::real_now;
use crate::config::{Config, GatewayKind, Mode};
use crate::gateway::wire::{self, Timeouts};
use crate::gateway::{Endpoint, Gateway};

/// Webhook signatures are refused from five minutes on; this is well before.
const CLOCK_OFF_S: i64 = 30;

/// Whether the gateway sends its webhooks here, and all that are needed.
pub(super) async fn webhooks(gateway: &dyn Gateway, at: &str) -> Option<Check> {
    let name = format!("{}: webhooks", gateway.id());
    let endpoints = match gateway.endpoints().await? {
        Ok(endpoints) => endpoints,
        Err(error) => {
            return Some(Check {
                fix: Some("give the key the right to read webhook endpoints, or look there".into()),
                ..Check::well(name, format!("where they go cannot be read: {error}"))
            });
        }
    };
    let Some(ours) = endpoints.iter().find(|e| same(&e.url, at)) else {
        let others: Vec<_> = endpoints.iter().map(|e| e.url.as_str()).collect();
        let detail = match others.as_slice() {
            [] => "the gateway sends none anywhere".to_owned(),
            others => format!("none go to {at}; there are: {}", others.join(", ")),
        };
        return Some(Check::ill(name, detail, format!("add an endpoint {at} at the gateway")));
    };
    if !ours.enabled {
        let detail = format!("the endpoint {at} is disabled");
        return Some(Check::ill(name, detail, "enable it at the gateway"));
    }
    let missing = missing(ours, gateway.profile().events);
    if missing.is_empty() {
        return Some(Check::well(name, format!("they go to {at}, with all events")));
    }
    let list = missing.join(", ");
    let fix = format!("switch on at that endpoint: {list}");
    Some(Check::ill(name, format!("{at} does not get {} events", missing.len()), fix))
}

fn missing<'a>(endpoint: &Endpoint, wanted: &[&'a str]) -> Vec<&'a str> {
    let has = |name: &str| endpoint.events.iter().any(|event| event == "*" || event == name);
    wanted.iter().copied().filter(|name| !has(name)).collect()
}

fn same(one: &str, other: &str) -> bool {
    one.trim_end_matches('/') == other.trim_end_matches('/')
}

/// Whether this machine's clock agrees with the billing gateway's.
pub(super) async fn clock(config: &Config) -> Option<Check> {
    let first = config.gateways.first()?;
    let base = first.api_base.as_deref().or(match first.kind {
        GatewayKind::Adyen => Some("https://checkout-test.adyen.com"),
        GatewayKind::Braintree => Some("https://api.braintreegateway.com"),
        GatewayKind::Checkout => Some("https://api.checkout.com"),
        GatewayKind::MercadoPago => Some("https://api.mercadopago.com"),
        GatewayKind::Stripe => Some("https://api.stripe.com"),
        GatewayKind::Wompi => Some("https://production.wompi.co"),
        GatewayKind::Http => None,
    })?;
    let times = Timeouts { connect: PUBLIC_TIME, total: PUBLIC_TIME };
    let answer = wire::client(times).ok()?.get(base).send().await.ok()?;
    let date = answer.headers().get("date")?.to_str().ok()?;
    let theirs = rfc2822::DateTimeParser::new().parse_timestamp(date).ok()?;
    Some(compare(theirs, real_now(), first.id.as_str()))
}

fn compare(theirs: Timestamp, ours: Timestamp, whose: &str) -> Check {
    let off = ours.duration_since(theirs).as_secs();
    if off.abs() <= CLOCK_OFF_S {
        return Check::well("clock", format!("it agrees with {whose}'s"));
    }
    let side = if off > 0 { "ahead of" } else { "behind" };
    let detail = format!("it is {} s {side} {whose}'s: webhooks will be refused", off.abs());
    Check::ill("clock", detail, "timedatectl set-ntp true")
}

/// Whether WhatsApp has approved every template that the texts need.
#[cfg(feature = "whatsapp")]
pub(super) async fn templates(config: &Config) -> Option<Check> {
    let name = "whatsapp: templates";
    let section = config.whatsapp.as_ref()?;
    section.business_account_id.as_ref()?;
    let fix = "recoup whatsapp templates --submit";
    let states = match channels::whatsapp(section) {
        Ok(channel) => whatsapp::states(config, &channel).await,
        Err(error) => Err(error),
    };
    Some(match states {
        Err(error) => {
            let fix = "see whether whatsapp.access_token and business_account_id are right";
            Check::ill(name, format!("{error:#}"), fix)
        }
        Ok(states) => {
            let open: Vec<_> = states
                .iter()
                .filter(|(_, state)| state != "APPROVED")
                .map(|(template, state)| format!("{template} ({state})"))
                .collect();
            match open.len() {
                0 => Check::well(name, format!("all {} are approved", states.len())),
                count => {
                    let first = open.iter().take(5).cloned().collect::<Vec<_>>().join(", ");
                    let detail = format!("{count} of {} are not: {first} …", states.len());
                    Check::ill(name, detail, fix)
                }
            }
        }
    })
}

/// Whether anything is charged at all.
pub(super) fn mode(config: &Config) -> Check {
    match config.mode {
        Mode::Live => Check::well("mode", "live: charges are made and messages are sent"),
        Mode::Shadow => Check {
            fix: Some("recoup live, when the plans look right".to_owned()),
            ..Check::well("mode", "shadow: everything is planned, nothing is charged or sent")
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_off_is_told_before_webhooks_are_refused() {
        let theirs: Timestamp = "2026-11-26T15:00:00Z".parse().unwrap();
        let at = |seconds| theirs + jiff::SignedDuration::from_secs(seconds);
        assert!(compare(theirs, at(20), "stripe").ok);
        let ahead = compare(theirs, at(90), "stripe");
        assert!(!ahead.ok && ahead.detail.contains("90 s ahead of stripe's"), "{ahead:?}");
        assert!(compare(theirs, at(-90), "stripe").detail.contains("behind"));
    }

    #[test]
    fn an_endpoint_lacks_what_it_does_not_name() {
        let endpoint = |events: &[&str]| Endpoint {
            url: "https://pay.example/webhooks/stripe".into(),
            enabled: true,
            events: events.iter().map(|event| (*event).to_owned()).collect(),
        };
        let wanted = ["invoice.paid", "invoice.payment_failed"];
        assert!(missing(&endpoint(&["*"]), &wanted).is_empty());
        assert_eq!(missing(&endpoint(&["invoice.paid"]), &wanted), ["invoice.payment_failed"]);
        assert!(same("https://a.example/x/", "https://a.example/x"));
    }
}
