//! What the gateways of the merchant file need.
//!
//! Why here: which keys each kind takes is stated once, as a table; the rules over it are small.
//!
//! What must stay true: a gateway that could not sign in, or whose webhooks nobody could verify, is
//! told before anything starts.

use std::collections::BTreeSet;

use super::report::Report;
use super::rules::{error, warning};
use super::schema::{Config, GatewayConfig, GatewayKind};
use super::tree::Node;

/// A key of `[[gateways]]` and whether it is there.
type Field = (&'static str, fn(&GatewayConfig) -> bool);

const API_KEY: Field = ("api_key", |gateway| gateway.api_key.is_some());
const API_BASE: Field = ("api_base", |gateway| gateway.api_base.is_some());

/// What a kind cannot be without.
fn needs(kind: GatewayKind) -> &'static [Field] {
    match kind {
        GatewayKind::Stripe | GatewayKind::MercadoPago | GatewayKind::Wompi => &[API_KEY],
        GatewayKind::Checkout => &[API_KEY],
        GatewayKind::Http => &[API_KEY, API_BASE],
        GatewayKind::Adyen => {
            &[API_KEY, ("merchant_account", |gateway| gateway.merchant_account.is_some())]
        }
        GatewayKind::Braintree => &[
            ("merchant_id", |gateway| gateway.merchant_id.is_some()),
            ("public_key", |gateway| gateway.public_key.is_some()),
            ("private_key", |gateway| gateway.private_key.is_some()),
        ],
    }
}

/// What a kind can be without, and what follows.
fn wishes(kind: GatewayKind) -> &'static [(Field, &'static str)] {
    match kind {
        GatewayKind::Adyen => &[(API_BASE, "Adyen's test environment is called")],
        GatewayKind::Checkout => &[(
            ("processing_channel", |gateway| gateway.processing_channel.is_some()),
            "Checkout.com refuses charges of accounts that have several",
        )],
        GatewayKind::Wompi => &[(
            ("integrity_secret", |gateway| gateway.integrity_secret.is_some()),
            "Wompi refuses transactions that are not signed, where it asks for signatures",
        )],
        _ => &[],
    }
}

/// There is a gateway.
pub(super) fn exist(config: &Config, tree: &Node, report: &mut Report<'_>) {
    if config.gateways.is_empty() {
        let trouble = error(tree, "gateways", "there is no gateway");
        report
            .add(trouble.cure("add at least one `[[gateways]]`; the first is the billing gateway"));
    }
}

/// No two have one id.
pub(super) fn ids_differ(config: &Config, tree: &Node, report: &mut Report<'_>) {
    for (index, gateway) in config.gateways.iter().enumerate() {
        if config.gateways[..index].iter().any(|other| other.id == gateway.id) {
            let message = format!("a second gateway has the id `{}`", gateway.id);
            let trouble = error(tree, &format!("gateways.{index}.id"), message);
            report.add(trouble.cure("give each gateway an id of its own"));
        }
    }
}

/// What each kind needs is there; what it should have is asked for.
pub(super) fn have_what_they_need(config: &Config, tree: &Node, report: &mut Report<'_>) {
    for (index, gateway) in config.gateways.iter().enumerate() {
        let (kind, id) = (gateway.kind.as_str(), &gateway.id);
        let path = |key: &str| format!("gateways.{index}.{key}");
        for (key, _) in needs(gateway.kind).iter().filter(|(_, is_there)| !is_there(gateway)) {
            let message = format!("the {kind} gateway `{id}` has no `{key}`");
            report.add(error(tree, &path(key), message).cure(cure(key)));
        }
        for ((key, is_there), follows) in wishes(gateway.kind) {
            if !is_there(gateway) {
                let message = format!("the {kind} gateway `{id}` has no `{key}`: {follows}");
                report.add(warning(tree, &path(key), message).cure(cure(key)));
            }
        }
    }
}

fn cure(key: &str) -> String {
    match key {
        "api_base" => "add `api_base = \"https://…\"`: where its API is".to_owned(),
        "merchant_account" | "merchant_id" | "processing_channel" => {
            format!("add `{key} = \"…\"`, as in the gateway's own console")
        }
        _ => format!("add `{key} = {{ env = \"NAME\" }}`"),
    }
}

/// Webhooks can be verified; Braintree signs them with the pair of keys.
pub(super) fn have_webhooks(config: &Config, tree: &Node, report: &mut Report<'_>) {
    for (index, gateway) in config.gateways.iter().enumerate() {
        if !gateway.webhook_secrets.is_empty() || gateway.kind == GatewayKind::Braintree {
            continue;
        }
        let path = format!("gateways.{index}.webhook_secrets");
        let cure = "add `webhook_secrets = [{ env = \"NAME\" }]`";
        report.add(if index == 0 {
            let message = "the billing gateway has no webhook secret: no failure would be heard of";
            error(tree, &path, message).cure(cure)
        } else {
            let message =
                format!("`{}` has no webhook secret: its webhooks are refused", gateway.id);
            warning(tree, &path, message).cure(cure)
        });
    }
}

/// Where a billing gateway says nothing of retries of its own unless it was given them, the
/// merchant says which it is: silence would be waited out.
pub(super) fn silence_is_understood(config: &Config, tree: &Node, report: &mut Report<'_>) {
    let path = "gateways.0.native_retries";
    let adyen = config.gateways.first().is_some_and(|g| g.kind == GatewayKind::Adyen);
    if !adyen || tree.find(path).is_some() {
        return;
    }
    let message = "without a word of Auto Rescue recoup waits for it, up to a month";
    let cure = "add `native_retries = \"off\"`; or \"observe\", where Adyen has switched Auto \
                Rescue on for you";
    report.add(warning(tree, path, message).cure(cure));
}

/// No key stands where another belongs.
pub(super) fn keys_are_of_the_right_kind(config: &Config, tree: &Node, report: &mut Report<'_>) {
    for (index, gateway) in config.gateways.iter().enumerate() {
        if gateway.kind != GatewayKind::Stripe {
            continue;
        }
        let key = gateway.api_key.as_ref().map_or("", |key| key.expose());
        let wrong = [("pk_", "a publishable key"), ("whsec_", "a webhook secret")];
        if let Some((_, what)) = wrong.iter().find(|(prefix, _)| key.starts_with(prefix)) {
            let path = format!("gateways.{index}.api_key");
            let trouble = error(tree, &path, format!("`{path}` is {what}")).masked();
            report.add(trouble.cure("it must be a secret or restricted key: sk_… or rk_…"));
        }
        for (position, secret) in gateway.webhook_secrets.iter().enumerate() {
            let api_key = ["sk_", "rk_", "pk_"].iter().any(|p| secret.expose().starts_with(p));
            if api_key {
                let path = format!("gateways.{index}.webhook_secrets.{position}");
                let trouble = error(tree, &path, format!("`{path}` is an API key")).masked();
                report.add(trouble.cure("it must be the endpoint's signing secret: whsec_…"));
            }
        }
    }
}

/// Fees are exact in their currency, and one gateway's are not weighed against another's silence.
pub(super) fn fees_are_told(config: &Config, tree: &Node, report: &mut Report<'_>) {
    let stated: BTreeSet<_> = config.gateways.iter().flat_map(|g| g.fees.keys().copied()).collect();
    for (index, gateway) in config.gateways.iter().enumerate() {
        let path = format!("gateways.{index}.fees");
        for (currency, fee) in &gateway.fees {
            if fee.exact(*currency).is_none() {
                let message = format!("the fees of `{}` in {currency} are too fine", gateway.id);
                let decimals = usize::from(currency.exponent()) + 2;
                let cure = format!("{currency} is counted with up to {decimals} decimals");
                report.add(error(tree, &format!("{path}.{currency}"), message).cure(cure));
            }
        }
        for currency in stated.iter().filter(|currency| !gateway.fees.contains_key(currency)) {
            let message = format!(
                "`{}` has no fees in {currency}, and others have: it is taken to cost nothing",
                gateway.id
            );
            let cure = format!("add `[gateways.fees.{currency}]` to it");
            report.add(warning(tree, &path, message).cure(cure));
        }
    }
}
