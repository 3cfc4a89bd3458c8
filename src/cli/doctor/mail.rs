//! Mail as the receivers see it: whether the sender's domain vouches for what goes out in its name.
//!
//! Why here: without SPF, DKIM and DMARC in line with the sender's address a reminder lands among
//! spam, and nobody hears of it.
//!
//! What must stay true: a resolver that does not answer is said as such, never as a record that is
//! missing; each problem has the record that mends it.

use std::net::SocketAddr;

use super::Check;
use super::dns::{self, DnsError};
use crate::config::{Email, EmailProvider};

/// Selectors that providers use where the merchant does not name one.
const SELECTORS: [&str; 12] = [
    "recoup",
    "default",
    "dkim",
    "mail",
    "s1",
    "s2",
    "k1",
    "selector1",
    "selector2",
    "google",
    "pm",
    "resend",
];

/// The three records of the sender's domain.
pub(super) async fn check(email: &Email, server: SocketAddr) -> Vec<Check> {
    let Some(domain) = domain_of(&email.from) else { return Vec::new() };
    vec![
        spf(email, &domain, server).await,
        dkim(email, &domain, server).await,
        dmarc(&domain, server).await,
    ]
}

/// The domain of `Name <address>`.
fn domain_of(from: &str) -> Option<String> {
    let address = from.rsplit_once('<').map_or(from, |(_, address)| address);
    let (_, domain) = address.trim_end_matches('>').trim().rsplit_once('@')?;
    Some(domain.to_lowercase())
}

/// What the provider wants to stand in the SPF record.
fn include(provider: Option<EmailProvider>) -> Option<&'static str> {
    match provider? {
        EmailProvider::Postmark => Some("include:spf.mtasv.net"),
        EmailProvider::Resend | EmailProvider::Ses => Some("include:amazonses.com"),
        EmailProvider::SendGrid => Some("include:sendgrid.net"),
    }
}

async fn spf(email: &Email, domain: &str, server: SocketAddr) -> Check {
    let name = "mail: SPF";
    let wanted = include(email.provider);
    let mends = wanted.unwrap_or("a:YOUR.MAIL.SERVER");
    let add = format!("add the TXT record at {domain}: \"v=spf1 {mends} ~all\"");
    let found = match records(server, domain, "v=spf1").await {
        Ok(found) => found,
        Err(silent) => return silent.check(name),
    };
    match found.as_slice() {
        [] => Check::ill(name, format!("{domain} has none"), add),
        [one] => match wanted {
            Some(wanted) if !one.contains(wanted) => {
                let fix = format!("put {wanted} into the record at {domain}, before its `all`");
                Check::ill(name, format!("{domain} does not let the provider send: {one}"), fix)
            }
            _ => Check::well(name, format!("{domain}: {one}")),
        },
        more => {
            let fix = format!("make one of the {} records at {domain}", more.len());
            Check::ill(name, "receivers take several records for none".to_owned(), fix)
        }
    }
}

async fn dkim(email: &Email, domain: &str, server: SocketAddr) -> Check {
    let name = "mail: DKIM";
    let own: Vec<&str> = match &email.dkim_selector {
        Some(selector) => vec![selector],
        None => SELECTORS.to_vec(),
    };
    for selector in &own {
        let at = format!("{selector}._domainkey.{domain}");
        match records(server, &at, "").await {
            Ok(found) if found.iter().any(|record| record.contains("p=")) => {
                if found.iter().any(|record| record.replace(' ', "").ends_with("p=")) {
                    let fix =
                        format!("switch the signing key on again, and renew the record at {at}");
                    return Check::ill(name, format!("the key at {at} was revoked"), fix);
                }
                return Check::well(name, format!("{domain} has a key at {at}"));
            }
            Ok(_) => {}
            Err(silent) => return silent.check(name),
        }
    }
    let fix = match &email.dkim_selector {
        Some(selector) => format!(
            "add the TXT record at {selector}._domainkey.{domain} that your mail provider shows"
        ),
        None => "switch on DKIM at your mail provider, add the record that it shows, and name its \
                 selector: email.dkim_selector"
            .to_owned(),
    };
    Check::ill(name, format!("no key of {domain} is found under {}", own.join(", ")), fix)
}

async fn dmarc(domain: &str, server: SocketAddr) -> Check {
    let name = "mail: DMARC";
    // The record of the domain itself, else that of the one that it belongs to.
    let mut at = domain;
    loop {
        match records(server, &format!("_dmarc.{at}"), "v=DMARC1").await {
            Ok(found) => {
                if let Some(record) = found.first() {
                    return Check::well(name, format!("_dmarc.{at}: {record}"));
                }
            }
            Err(silent) => return silent.check(name),
        }
        match at.split_once('.') {
            Some((_, parent)) if parent.contains('.') => at = parent,
            _ => break,
        }
    }
    let fix = format!(
        "add the TXT record at _dmarc.{domain}: \"v=DMARC1; p=none; rua=mailto:dmarc@{domain}\""
    );
    Check::ill(name, format!("{domain} has none; large receivers ask for one"), fix)
}

/// The resolver did not tell.
struct Silent(DnsError);

impl Silent {
    fn check(self, name: &str) -> Check {
        let fix = "see whether this machine can ask DNS (/etc/resolv.conf, --dns)";
        Check::ill(name, self.0.to_string(), fix)
    }
}

async fn records(server: SocketAddr, name: &str, begin: &str) -> Result<Vec<String>, Silent> {
    let all = dns::txt(server, name).await.map_err(Silent)?;
    let begin = begin.to_lowercase();
    Ok(all.into_iter().filter(|text| text.trim().to_lowercase().starts_with(&begin)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::dns::tests::server;

    fn email(provider: Option<EmailProvider>, selector: Option<&str>) -> Email {
        Email {
            smtp_url: serde_json::from_str("\"smtp://127.0.0.1:1\"").unwrap(),
            from: "Café Nube <pagos@mail.nube.example>".to_owned(),
            provider,
            ca_file: None,
            callback_secrets: Vec::new(),
            sns_topics: Vec::new(),
            configuration_set: None,
            api_base: None,
            dkim_selector: selector.map(str::to_owned),
        }
    }

    #[tokio::test]
    async fn a_domain_that_vouches_for_its_mail_is_well() {
        let server = server(&[
            ("mail.nube.example", &["google-site=1", "v=spf1 include:sendgrid.net ~all"]),
            ("s1._domainkey.mail.nube.example", &["v=DKIM1; k=rsa; p=MIIB"]),
            ("_dmarc.nube.example", &["v=DMARC1; p=reject"]),
        ])
        .await;
        let checks = check(&email(Some(EmailProvider::SendGrid), None), server).await;
        assert!(checks.iter().all(|check| check.ok), "{checks:?}");
        assert!(checks[2].detail.contains("_dmarc.nube.example"), "of the organization");
    }

    #[tokio::test]
    async fn what_is_missing_or_wrong_is_told_with_its_record() {
        let server = server(&[
            ("mail.nube.example", &["v=spf1 include:_spf.google.com -all"]),
            ("nube._domainkey.mail.nube.example", &["v=DKIM1; p="]),
        ])
        .await;
        let checks = check(&email(Some(EmailProvider::Postmark), Some("nube")), server).await;
        assert!(checks.iter().all(|check| !check.ok), "{checks:?}");
        let fix = |n: usize| checks[n].fix.clone().unwrap();
        assert!(fix(0).contains("spf.mtasv.net"), "{}", fix(0));
        assert!(checks[1].detail.contains("revoked"), "{checks:?}");
        assert!(fix(2).contains("v=DMARC1; p=none"), "{}", fix(2));
        let none = check(&email(None, None), server).await;
        assert!(none[1].fix.as_ref().unwrap().contains("email.dkim_selector"));
    }

    #[tokio::test]
    async fn a_silent_resolver_is_not_a_missing_record() {
        let nobody = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let checks = check(&email(None, Some("x")), nobody.local_addr().unwrap()).await;
        assert!(checks.iter().all(|check| check.detail.contains("does not answer")), "{checks:?}");
    }

    #[test]
    fn the_domain_is_the_addresss() {
        assert_eq!(domain_of("Nube <a@Nube.Example>").as_deref(), Some("nube.example"));
        assert_eq!(domain_of("a@nube.example").as_deref(), Some("nube.example"));
        assert_eq!(domain_of("nobody"), None);
    }
}
