//! Amazon SNS: the envelope in which Amazon's services tell things, signed by Amazon.
//!
//! Why here: anybody may have a topic of their own at Amazon, and SNS signs what they publish just
//! as it signs ours. So a signature alone proves nothing: the topic must be one that the merchant
//! named, and the certificate must come from SNS itself.
//!
//! What must stay true: nothing is fetched from anywhere but `sns.<region>.amazonaws.com` over TLS,
//! and nothing before the topic is known; a certificate is kept, so that a report costs no call;
//! what is not signed confirms no subscription.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use reqwest::{Client, Url};
use ring::signature::{
    RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY as RSA_SHA1, VerificationAlgorithm,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{
    AlgorithmIdentifier, CertificateDer, InvalidSignature, SignatureVerificationAlgorithm, alg_id,
};
use serde::Deserialize;

use super::signed::from_base64;
use super::{Unready, malformed, unmatched};
use crate::gateway::reach::Reach;
use crate::gateway::wire::{self, BuildError, Timeouts};
use crate::gateway::{MalformedBody, Rejection, RejectionCode};

/// Certificates that are kept. SNS signs with one a region, and changes it about once a year.
const KEPT_AT_MOST: usize = 8;

/// What SNS posts.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Envelope {
    #[serde(rename = "Type")]
    kind: String,
    /// The id of the message: the same message has the same one.
    pub(super) message_id: String,
    topic_arn: String,
    subject: Option<String>,
    /// What the topic was told.
    pub(super) message: String,
    timestamp: String,
    signature_version: String,
    signature: String,
    #[serde(rename = "SigningCertURL")]
    signing_cert_url: String,
    #[serde(rename = "SubscribeURL")]
    subscribe_url: Option<String>,
    token: Option<String>,
}

impl Envelope {
    /// Reads what SNS posted.
    pub(super) fn read(body: &[u8]) -> Result<Self, MalformedBody> {
        serde_json::from_slice(body).map_err(|_| {
            malformed(
                "the body is no message of SNS: post events by SNS, and leave `raw message \
                 delivery` of the subscription off",
            )
        })
    }

    /// Whether it carries something that the topic was told.
    pub(super) fn is_notification(&self) -> bool {
        self.kind == "Notification"
    }

    /// What SNS signs: each field by its name, in the order of the names.
    fn signed(&self) -> String {
        let subject = self.subject.as_deref();
        let fields: &[(&str, Option<&str>)] = if self.is_notification() {
            &[
                ("Message", Some(&self.message)),
                ("MessageId", Some(&self.message_id)),
                ("Subject", subject),
                ("Timestamp", Some(&self.timestamp)),
                ("TopicArn", Some(&self.topic_arn)),
                ("Type", Some(&self.kind)),
            ]
        } else {
            &[
                ("Message", Some(&self.message)),
                ("MessageId", Some(&self.message_id)),
                ("SubscribeURL", self.subscribe_url.as_deref()),
                ("Timestamp", Some(&self.timestamp)),
                ("Token", self.token.as_deref()),
                ("TopicArn", Some(&self.topic_arn)),
                ("Type", Some(&self.kind)),
            ]
        };
        let known = fields.iter().filter_map(|(name, value)| Some((name, (*value)?)));
        known.fold(String::new(), |text, (name, value)| format!("{text}{name}\n{value}\n"))
    }
}

/// Checks what SNS posts.
pub(super) struct Sns {
    http: Client,
    /// What stands in SNS's place, in a test.
    double: Option<Url>,
    topics: Vec<String>,
    /// The certificates by their address.
    kept: Mutex<BTreeMap<String, CertificateDer<'static>>>,
    /// Whoever fetches holds it: many reports at once cost one call.
    fetching: tokio::sync::Mutex<()>,
}

impl Sns {
    /// For these topics; `double` is asked in SNS's place.
    pub(super) fn new(topics: Vec<String>, double: Option<&str>) -> Result<Self, BuildError> {
        let address = |text: &str| Url::parse(text).map_err(|_| BuildError::Address(text.into()));
        // A report names what is asked; a double is named by the merchant file.
        let reach = if double.is_some() { Reach::Private } else { Reach::Public };
        Ok(Self {
            http: wire::client_within(Timeouts::default(), reach)?,
            double: double.map(address).transpose()?,
            topics,
            kept: Mutex::default(),
            fetching: tokio::sync::Mutex::default(),
        })
    }

    /// Fetches the certificate of a message, where it is not at hand. What could not be verified
    /// anyway is left to [`Sns::verify`].
    pub(super) async fn fetch(&self, body: &[u8]) -> Result<(), Unready> {
        let Ok(envelope) = Envelope::read(body) else { return Ok(()) };
        let Some(url) = certificate_address(&envelope.signing_cert_url) else { return Ok(()) };
        if !self.knows(&envelope) || self.certificate(&envelope).is_some() {
            return Ok(());
        }
        let _one_at_a_time = self.fetching.lock().await;
        if self.certificate(&envelope).is_some() {
            return Ok(());
        }
        let answer = wire::send(self.http.get(self.instead(url))).await;
        let answer = answer.ok().filter(wire::Answer::is_success);
        let answer = answer.ok_or(Unready("the certificate of SNS cannot be had now"))?;
        let Ok(certificate) = CertificateDer::from_pem_slice(&answer.body) else {
            return Err(Unready("what SNS gave is no certificate"));
        };
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT_AT_MOST {
            kept.clear();
        }
        kept.insert(envelope.signing_cert_url, certificate);
        Ok(())
    }

    /// Whether SNS signed it, for a topic of ours.
    pub(super) fn verify(&self, body: &[u8]) -> Result<(), Rejection> {
        let envelope = Envelope::read(body)
            .map_err(|error| Rejection::new(RejectionCode::MalformedBody, error.0))?;
        if !self.knows(&envelope) {
            let hint = "the topic is none of email.sns_topics: anybody can have one of their own";
            return Err(unmatched(hint));
        }
        if certificate_address(&envelope.signing_cert_url).is_none() {
            return Err(unmatched("SigningCertURL is no address of a certificate of SNS"));
        }
        let certificate = self.certificate(&envelope);
        let certificate =
            certificate.ok_or_else(|| unmatched("the certificate was not fetched"))?;
        let Ok(certificate) = webpki::EndEntityCert::try_from(&certificate) else {
            return Err(unmatched("the certificate cannot be read"));
        };
        let algorithm: &dyn SignatureVerificationAlgorithm =
            match envelope.signature_version.as_str() {
                "1" => &Sha1Signed,
                "2" => webpki::ring::RSA_PKCS1_2048_8192_SHA256,
                _ => return Err(unmatched("SignatureVersion is neither 1 nor 2")),
            };
        let signature = from_base64(&envelope.signature);
        certificate
            .verify_signature(algorithm, envelope.signed().as_bytes(), &signature)
            .map_err(|_| unmatched("the signature is not over these fields"))
    }

    /// Does what a verified message asks of its receiver: a subscription is confirmed, since the
    /// merchant named its topic.
    pub(super) async fn heed(&self, body: &[u8]) -> Result<(), Unready> {
        let Ok(envelope) = Envelope::read(body) else { return Ok(()) };
        let topic = envelope.topic_arn.as_str();
        match envelope.kind.as_str() {
            "UnsubscribeConfirmation" => {
                tracing::warn!(topic, "SNS reports nothing here any more: it was unsubscribed");
            }
            "SubscriptionConfirmation" => {
                let url = envelope.subscribe_url.as_deref().and_then(address_of_sns);
                let Some(url) = url else {
                    tracing::warn!(
                        topic,
                        "SNS names no address of its own to confirm: passed over"
                    );
                    return Ok(());
                };
                let answer = wire::send(self.http.get(self.instead(url))).await;
                if !answer.is_ok_and(|answer| answer.is_success()) {
                    tracing::warn!(
                        topic,
                        "the subscription could not be confirmed; SNS asks again"
                    );
                    return Err(Unready("the subscription could not be confirmed at SNS now"));
                }
                tracing::info!(topic, "the subscription is confirmed: SNS reports here");
            }
            _ => {}
        }
        Ok(())
    }

    fn knows(&self, envelope: &Envelope) -> bool {
        self.topics.contains(&envelope.topic_arn)
    }

    fn certificate(&self, envelope: &Envelope) -> Option<CertificateDer<'static>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(&envelope.signing_cert_url).cloned()
    }

    /// The same path and query at the double, where there is one.
    fn instead(&self, url: Url) -> Url {
        let Some(double) = &self.double else { return url };
        let mut at_double = double.clone();
        at_double.set_path(url.path());
        at_double.set_query(url.query());
        at_double
    }
}

/// An address at SNS itself: `https://sns.<region>.amazonaws.com`, also of China.
fn address_of_sns(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let region = url.host_str()?.strip_prefix("sns.")?;
    let region = region.strip_suffix(".cn").unwrap_or(region).strip_suffix(".amazonaws.com")?;
    let plain = region.len() >= 3
        && region.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    let bare = url.port().is_none() && url.username().is_empty() && url.password().is_none();
    (url.scheme() == "https" && plain && bare).then_some(url)
}

/// The address of a certificate of SNS.
fn certificate_address(text: &str) -> Option<Url> {
    let url = address_of_sns(text)?;
    let name = url.path().strip_prefix("/SimpleNotificationService-")?.strip_suffix(".pem")?;
    let plain = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    (plain && url.query().is_none()).then_some(url)
}

/// SNS's first way of signing, which topics have until they are set to the second. Certificates
/// are signed by no such thing any more, so webpki leaves it out; of a message that names its own
/// topic and id nobody can make a second one with the same digest.
#[derive(Debug)]
struct Sha1Signed;

impl SignatureVerificationAlgorithm for Sha1Signed {
    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        VerificationAlgorithm::verify(
            &RSA_SHA1,
            public_key.into(),
            message.into(),
            signature.into(),
        )
        .map_err(|_| InvalidSignature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::RSA_ENCRYPTION
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        /// `sha1WithRSAEncryption`, without parameters.
        const SHA1_WITH_RSA: &[u8] =
            &[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x05, 0x05, 0x00];
        AlgorithmIdentifier::from_slice(SHA1_WITH_RSA)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_sns_itself_are_asked() {
        let right = "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0a1b.pem";
        assert!(certificate_address(right).is_some());
        let china = "https://sns.cn-north-1.amazonaws.com.cn/SimpleNotificationService-0a.pem";
        assert!(certificate_address(china).is_some());
        for wrong in [
            "http://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0a1b.pem",
            "https://sns.eu-west-1.amazonaws.com.evil.example/SimpleNotificationService-0a.pem",
            "https://evil.example/sns.eu-west-1.amazonaws.com/SimpleNotificationService-0a.pem",
            "https://sns.a.s3.amazonaws.com/SimpleNotificationService-0a1b.pem",
            "https://s3.eu-west-1.amazonaws.com/SimpleNotificationService-0a1b.pem",
            "https://sns.amazonaws.com/SimpleNotificationService-0a1b.pem",
            "https://sns.eu-west-1.amazonaws.com:8443/SimpleNotificationService-0a1b.pem",
            "https://a@sns.eu-west-1.amazonaws.com/SimpleNotificationService-0a1b.pem",
            "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-../a.pem",
            "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription",
            "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0a1b.pem?x=1",
            "",
        ] {
            assert!(certificate_address(wrong).is_none(), "{wrong}");
        }
    }
}
