//! What this build has: each gateway and each channel is a cargo feature of its name.
//!
//! Why here: a merchant file that names what was left out is told so where it names it, with what
//! to do, before anything starts.
//!
//! What must stay true: the names are those of the merchant file and of `Cargo.toml`.

use super::report::Report;
use super::rules::error;
use super::schema::Config;
use super::tree::Node;
use crate::core::customer::Channel;

/// The gateways and channels of this build.
pub const BUILT_IN: &[&str] = &[
    #[cfg(feature = "adyen")]
    "adyen",
    #[cfg(feature = "braintree")]
    "braintree",
    #[cfg(feature = "checkout")]
    "checkout",
    #[cfg(feature = "email")]
    "email",
    #[cfg(feature = "http")]
    "http",
    #[cfg(feature = "mercadopago")]
    "mercadopago",
    #[cfg(feature = "sms")]
    "sms",
    #[cfg(feature = "stripe")]
    "stripe",
    #[cfg(feature = "whatsapp")]
    "whatsapp",
    #[cfg(feature = "wompi")]
    "wompi",
];

/// Whatever the file names is in this build.
pub(super) fn has_what_is_named(config: &Config, tree: &Node, report: &mut Report<'_>) {
    has(BUILT_IN, config, tree, report);
}

fn has(built: &[&str], config: &Config, tree: &Node, report: &mut Report<'_>) {
    let gateways = config.gateways.iter().enumerate();
    let gateways = gateways.map(|(at, g)| (g.kind.as_str(), format!("gateways.{at}.kind")));
    let channels = [
        (Channel::Email, config.email.is_some()),
        (Channel::Sms, config.sms.is_some()),
        (Channel::Whatsapp, config.whatsapp.is_some()),
    ];
    let channels = channels.into_iter().filter(|(_, is_set_up)| *is_set_up);
    let channels = channels.map(|(channel, _)| (channel.as_str(), channel.as_str().to_owned()));
    for (name, path) in gateways.chain(channels).filter(|(name, _)| !built.contains(name)) {
        let message = format!("`{name}` was left out of this build of recoup");
        let cure = format!(
            "build it with the cargo feature `{name}` (without `--features`, and \
            without `--no-default-features`, everything is in)"
        );
        report.add(error(tree, &path, message).cure(cure));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Surroundings;
    use crate::config::tests::{SMALL, around};
    use crate::gateway::KINDS;

    #[test]
    fn what_was_left_out_is_told_where_it_is_named() {
        let surroundings: Surroundings = around(&[]);
        let told = |built: &[&str]| {
            let mut report = Report::new(&surroundings, "recoup.toml".to_owned(), SMALL);
            let tree = crate::config::assemble(SMALL, &surroundings, &mut report).unwrap();
            let config = Config::read(SMALL, "recoup.toml", &surroundings).unwrap();
            has(built, &config, &tree, &mut report);
            report.finish()
        };
        assert_eq!(told(&["stripe", "email"]), []);
        let problems = told(&["adyen"]);
        let keys: Vec<_> = problems.iter().map(|p| (p.key.as_str(), p.line)).collect();
        assert_eq!(keys, [("gateways.0.kind", Some(8)), ("email", Some(11))]);
        assert!(problems[0].message.contains("`stripe` was left out"), "{}", problems[0].message);
        assert!(problems[0].cure.as_deref().is_some_and(|cure| cure.contains("feature `stripe`")));
    }

    #[test]
    fn every_kind_of_gateway_of_this_build_is_in_the_list() {
        for kind in KINDS {
            assert!(BUILT_IN.contains(&kind.kind), "{}", kind.kind);
        }
        assert!(KINDS.len() + 3 >= BUILT_IN.len(), "{BUILT_IN:?}");
    }
}
