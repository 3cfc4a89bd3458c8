//! E-mail over SMTP.
//!
//! Why here: the one channel that every merchant has. The exchange is made step by step, not by a
//! transport that hides it, because what a broken connection means depends on the step: before the
//! content has left nothing was taken, afterwards nobody knows.
//!
//! What must stay true: one call hands over at most once; the server's own words come back
//! verbatim; nothing of the message, the address or the URL is ever logged.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart, SinglePart};
use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension, MailParameter};
use lettre::transport::smtp::response::Response;
use lettre::{Address, Message};
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use super::{Deliver, Delivery, Envelope};
use crate::core::customer::Channel;
use crate::core::event::Contact;

/// How long a server may take.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// To connect, to greet, to log in.
    pub connect: Duration,
    /// To take sender and recipient.
    pub announce: Duration,
    /// To take the content; servers check it before they answer (RFC 5321 §4.5.3.2.6).
    pub content: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { connect: seconds(30), announce: seconds(60), content: seconds(300) }
    }
}

/// To say goodbye.
const GOODBYE: Duration = Duration::from_secs(5);
/// Connections kept for the next message.
const MAX_IDLE: usize = 4;

/// Why the channel cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum EmailError {
    /// `from` or `reply_to`.
    #[error("read {field} as an e-mail address")]
    Address {
        /// Which key of the merchant file.
        field: &'static str,
    },
    /// The certificate that is trusted beside the usual ones.
    #[error("read email.ca_file as a certificate (PEM)")]
    Certificate,
    /// TLS parameters.
    #[error("prepare TLS for the mail server: {0}")]
    Tls(String),
    /// `smtp_url`. Its text is a secret and is not repeated.
    #[error("read email.smtp_url: {0}")]
    Url(&'static str),
}

/// Whose server it is, where it reports what becomes of each mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Provider {
    /// A server that reports nothing.
    None,
    /// Postmark.
    Postmark,
    /// Resend.
    Resend,
    /// SendGrid.
    SendGrid,
    /// Amazon SES.
    Ses {
        /// The configuration set that publishes the events, where it is not the identity's own.
        configuration_set: Option<String>,
    },
}

impl Provider {
    /// The header in which this provider takes our reference and gives it back.
    fn headers(&self, envelope: &Envelope) -> Vec<(&'static str, String)> {
        let reference = envelope.reference();
        match self {
            Self::None => Vec::new(),
            Self::Postmark => vec![("X-PM-Metadata-recoup", reference)],
            Self::Resend => vec![("X-Recoup-Message", reference)],
            Self::Ses { configuration_set } => {
                let set = configuration_set.iter().cloned();
                set.map(|set| ("X-SES-CONFIGURATION-SET", set))
                    .chain([("X-SES-MESSAGE-TAGS", format!("recoup={reference}"))])
                    .chain([("X-Recoup-Message", reference)])
                    .collect()
            }
            Self::SendGrid => {
                let arguments = serde_json::json!({ "unique_args": { "recoup": reference } });
                vec![("X-SMTPAPI", arguments.to_string())]
            }
        }
    }
}

/// How a connection is encrypted, as the URL says.
#[derive(Clone)]
enum Encryption {
    /// Not at all.
    Plain,
    /// By `STARTTLS` where the server has it.
    IfOffered(TlsParameters),
    /// By `STARTTLS`, or not at all.
    Upgraded(TlsParameters),
    /// From the first byte.
    Wrapped(TlsParameters),
}

/// The server of the URL.
struct Server {
    host: String,
    port: u16,
    hello: ClientId,
    encryption: Encryption,
    credentials: Option<Credentials>,
}

/// Delivers over SMTP.
pub struct EmailChannel {
    server: Server,
    from: Mailbox,
    reply_to: Option<Mailbox>,
    provider: Provider,
    patience: Patience,
    idle: Mutex<VecDeque<AsyncSmtpConnection>>,
}

impl EmailChannel {
    /// `smtp_url`: `smtp://host:25`, `smtp://user:pass@host?tls=required` (STARTTLS),
    /// `smtps://user:pass@host`. `from`: `Name <address>`. `reply_to`: where a person reads; empty:
    /// the sender.
    pub fn new(smtp_url: &SecretString, from: &str, reply_to: &str) -> Result<Self, EmailError> {
        let mailbox =
            |text: &str, field| text.parse::<Mailbox>().map_err(|_| EmailError::Address { field });
        let reply_to = match reply_to.trim() {
            "" => None,
            text => Some(mailbox(text, "the support e-mail")?),
        };
        Ok(Self {
            server: Server::of(smtp_url.expose_secret(), None)?,
            from: mailbox(from, "email.from")?,
            reply_to,
            provider: Provider::None,
            patience: Patience::default(),
            idle: Mutex::new(VecDeque::new()),
        })
    }

    /// The same, through a provider that reports what becomes of each mail.
    #[must_use]
    pub fn through(mut self, provider: Provider) -> Self {
        self.provider = provider;
        self
    }

    /// The same, with a server that this authority (PEM) vouches for.
    ///
    /// # Errors
    /// What is no certificate.
    pub fn trusting(mut self, smtp_url: &SecretString, pem: &[u8]) -> Result<Self, EmailError> {
        let authority = Certificate::from_pem(pem).map_err(|_| EmailError::Certificate)?;
        self.server = Server::of(smtp_url.expose_secret(), Some(&authority))?;
        Ok(self)
    }

    /// The same, for a server that may take no longer.
    #[must_use]
    pub fn waiting(mut self, patience: Patience) -> Self {
        self.patience = patience;
        self
    }

    /// The whole mail, headers and both parts, in bytes that any server takes (7 bit).
    fn compose(&self, envelope: &Envelope, to: Mailbox) -> Result<Vec<u8>, String> {
        let rendered = &envelope.rendered;
        let mut builder = Message::builder()
            .from(self.from.clone())
            .to(to)
            .subject(&rendered.subject)
            .message_id(Some(format!("<{}@{}>", envelope.id, self.from.email.domain())))
            .raw_header(header("Auto-Submitted", "auto-generated"))
            .raw_header(header("Content-Language", &rendered.locale));
        for (name, value) in self.provider.headers(envelope) {
            builder = builder.raw_header(header(name, &value));
        }
        if let Some(link) = &envelope.stop_link {
            builder = builder
                .raw_header(header("List-Unsubscribe", &format!("<{link}>")))
                .raw_header(header("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"));
        }
        if let Some(reply_to) = &self.reply_to {
            builder = builder.reply_to(reply_to.clone());
        }
        let text =
            SinglePart::builder().header(ContentType::TEXT_PLAIN).body(rendered.text.clone());
        let message = match &rendered.html {
            None => builder.singlepart(text),
            Some(html) => {
                let html = SinglePart::builder().header(ContentType::TEXT_HTML).body(html.clone());
                builder.multipart(MultiPart::alternative().singlepart(text).singlepart(html))
            }
        };
        message.map(|m| m.formatted()).map_err(|e| e.to_string())
    }

    /// A connection that answers: a kept one, else a new one. `Err`: nothing was taken.
    async fn connection(&self) -> Result<AsyncSmtpConnection, String> {
        while let Some(mut kept) = self.take_idle() {
            if let Ok(true) = tokio::time::timeout(GOODBYE, kept.test_connected()).await {
                return Ok(kept);
            }
        }
        match tokio::time::timeout(self.patience.connect, self.server.connect()).await {
            Ok(connected) => connected.map_err(|e| words_of(&e)),
            Err(_) => Err("the mail server did not answer in time".to_owned()),
        }
    }

    fn take_idle(&self) -> Option<AsyncSmtpConnection> {
        self.idle.lock().ok()?.pop_front()
    }

    fn keep(&self, connection: AsyncSmtpConnection) {
        if let Ok(mut idle) = self.idle.lock() {
            idle.push_back(connection);
            idle.truncate(MAX_IDLE);
        }
    }

    async fn hand_over(&self, to: &Address, content: &[u8]) -> Delivery {
        let mut connection = match self.connection().await {
            Ok(connection) => connection,
            Err(answer) => return Delivery::Later { answer },
        };
        let announced = announce(&mut connection, &self.from.email, to);
        let refused = match tokio::time::timeout(self.patience.announce, announced).await {
            Ok(Ok(())) => None,
            Ok(Err(refused)) => Some(refused),
            Err(_) => Some(Delivery::Later { answer: "no answer in time".to_owned() }),
        };
        if let Some(delivery) = refused {
            say_goodbye(connection).await;
            return delivery;
        }
        let handing = connection.message(content);
        let delivery = match tokio::time::timeout(self.patience.content, handing).await {
            Ok(Ok(response)) => Delivery::Accepted { answer: verbatim(&response) },
            Ok(Err(error)) => by_reply(&error, |answer| Delivery::Unknown { answer }),
            Err(_) => Delivery::Unknown { answer: "no answer to the content in time".to_owned() },
        };
        match delivery {
            Delivery::Accepted { .. } => self.keep(connection),
            _ => say_goodbye(connection).await,
        }
        delivery
    }
}

#[async_trait]
impl Deliver for EmailChannel {
    fn channel(&self) -> Channel {
        Channel::Email
    }

    fn reaches(&self, contact: &Contact) -> bool {
        address_of(contact).is_some()
    }

    async fn deliver(&self, envelope: &Envelope) -> Delivery {
        let Some(address) = address_of(&envelope.contact) else {
            return Delivery::Refused { answer: "not a valid e-mail address".to_owned() };
        };
        let to = Mailbox::new(display_name(&envelope.contact), address.clone());
        match self.compose(envelope, to) {
            Ok(content) => self.hand_over(&address, &content).await,
            Err(answer) => Delivery::Refused { answer },
        }
    }
}

fn address_of(contact: &Contact) -> Option<Address> {
    contact.email.as_deref()?.trim().parse().ok()
}

/// The customer's name for the `To` header; none that could pass for something else.
fn display_name(contact: &Contact) -> Option<String> {
    contact.name.as_deref().and_then(crate::message::words)
}

fn header(name: &'static str, value: &str) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
}

/// Names sender and recipient and asks to send. Until this is done, nothing was taken.
async fn announce(
    connection: &mut AsyncSmtpConnection,
    from: &Address,
    to: &Address,
) -> Result<(), Delivery> {
    let mut options = Vec::new();
    if !to.to_string().is_ascii() || !from.to_string().is_ascii() {
        if !connection.server_info().supports_feature(Extension::SmtpUtfEight) {
            let answer = "the mail server takes no address with such letters".to_owned();
            return Err(Delivery::Refused { answer });
        }
        options.push(MailParameter::SmtpUtfEight);
    }
    let later = |error: SmtpError| by_reply(&error, |answer| Delivery::Later { answer });
    connection.command(Mail::new(Some(from.clone()), options)).await.map_err(later)?;
    let named = connection.command(Rcpt::new(to.clone(), Vec::new())).await;
    named.map_err(|error| without_mailbox(later(error)))?;
    connection.command(Data).await.map_err(later)?;
    Ok(())
}

/// What was refused because there is no such mailbox will be refused every time. A refusal for
/// other reasons (no relaying, a full mailbox, a block list) says nothing of the address.
fn without_mailbox(delivery: Delivery) -> Delivery {
    let Delivery::Refused { answer } = delivery else { return delivery };
    let mut words = answer.split(' ');
    let code = words.next().unwrap_or_default();
    let is_enhanced = |word: &&str| word.starts_with("5.") && word.matches('.').count() == 2;
    let gone = match words.next().filter(is_enhanced) {
        Some(reason) => NO_MAILBOX.contains(&reason),
        None => matches!(code, "550" | "551" | "553"),
    };
    if gone { Delivery::Unreachable { answer } } else { Delivery::Refused { answer } }
}

/// The enhanced codes of an address that nothing reaches (RFC 3463, RFC 7505).
const NO_MAILBOX: [&str; 6] = ["5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.1"];

/// What a reply means; `unanswered` where there was none.
fn by_reply(error: &SmtpError, unanswered: impl FnOnce(String) -> Delivery) -> Delivery {
    let answer = words_of(error);
    if error.is_transient() {
        Delivery::Later { answer }
    } else if error.is_permanent() {
        Delivery::Refused { answer }
    } else {
        unanswered(answer)
    }
}

/// The server's reply as it was given, else what happened to the connection.
fn words_of(error: &SmtpError) -> String {
    use std::error::Error as _;
    let source = error.source().map(ToString::to_string).unwrap_or_default();
    match error.status() {
        Some(code) => format!("{code} {}", source.replace('\n', " ")).trim_end().to_owned(),
        None if source.is_empty() => error.to_string(),
        None => format!("no reply: {source}"),
    }
}

fn verbatim(response: &Response) -> String {
    let words = response.message().collect::<Vec<_>>().join(" ");
    format!("{} {words}", response.code()).trim_end().to_owned()
}

async fn say_goodbye(mut connection: AsyncSmtpConnection) {
    let _ = tokio::time::timeout(GOODBYE, connection.abort()).await;
}

impl Server {
    fn of(text: &str, authority: Option<&Certificate>) -> Result<Self, EmailError> {
        let url = Url::parse(text).map_err(|_| EmailError::Url("it is not a URL"))?;
        let host = url.host_str().ok_or(EmailError::Url("it names no host"))?.to_owned();
        let tls = || {
            let mut builder = TlsParameters::builder(host.clone());
            if let Some(authority) = authority {
                builder = builder.add_root_certificate(authority.clone());
            }
            builder.build().map_err(|e| EmailError::Tls(words_of(&e)))
        };
        let wanted = url.query_pairs().find(|(key, _)| key == "tls").map(|(_, v)| v.into_owned());
        let (encryption, port) = match (url.scheme(), wanted.as_deref()) {
            ("smtps", _) => (Encryption::Wrapped(tls()?), 465),
            ("smtp", None | Some("none")) => (Encryption::Plain, 25),
            ("smtp", Some("required")) => (Encryption::Upgraded(tls()?), 587),
            ("smtp", Some("opportunistic")) => (Encryption::IfOffered(tls()?), 587),
            ("smtp", _) => return Err(EmailError::Url("tls is required, opportunistic or none")),
            _ => return Err(EmailError::Url("it begins with neither smtp:// nor smtps://")),
        };
        Ok(Self {
            port: url.port().unwrap_or(port),
            hello: hello_of(&url),
            credentials: credentials_of(&url)?,
            encryption,
            host,
        })
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, SmtpError> {
        let wrapped = match &self.encryption {
            Encryption::Wrapped(tls) => Some(tls.clone()),
            _ => None,
        };
        let address = (self.host.trim_matches(['[', ']']), self.port);
        let mut connection = AsyncSmtpConnection::connect_tokio1(
            address,
            Some(Patience::default().connect),
            &self.hello,
            wrapped,
            None,
        )
        .await?;
        match &self.encryption {
            Encryption::Upgraded(tls) => connection.starttls(tls.clone(), &self.hello).await?,
            Encryption::IfOffered(tls) if connection.can_starttls() => {
                connection.starttls(tls.clone(), &self.hello).await?;
            }
            _ => {}
        }
        if let Some(credentials) = &self.credentials {
            connection.auth(DEFAULT_MECHANISMS, credentials).await?;
        }
        Ok(connection)
    }
}

/// The path names us to the server, where given.
fn hello_of(url: &Url) -> ClientId {
    match url.path().trim_matches('/') {
        "" => ClientId::default(),
        name => ClientId::Domain(name.to_owned()),
    }
}

fn credentials_of(url: &Url) -> Result<Option<Credentials>, EmailError> {
    let Some(password) = url.password() else {
        return Ok(None);
    };
    Ok(Some(Credentials::new(percent_decoded(url.username())?, percent_decoded(password)?)))
}

/// Undoes `%40` and the like.
fn percent_decoded(text: &str) -> Result<String, EmailError> {
    // A form's decoder also makes a space of `+`; here a plus is a plus.
    let pair = format!("v={}", text.replace('+', "%2B"));
    url::form_urlencoded::parse(pair.as_bytes())
        .next()
        .map(|(_, value)| value.into_owned())
        .ok_or(EmailError::Url("its password is not percent-encoded"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_and_never_repeated() {
        for (url, host, port) in [
            ("smtp://127.0.0.1:1025", "127.0.0.1", 1025),
            ("smtp://mail.example", "mail.example", 25),
            ("smtp://u:p@mail.example?tls=required", "mail.example", 587),
            ("smtps://u:p%40x+y@mail.example/me.example", "mail.example", 465),
        ] {
            let server = Server::of(url, None).unwrap();
            assert_eq!((server.host.as_str(), server.port), (host, port), "{url}");
        }
        for url in ["", "mail.example", "http://u:secret@h", "smtp://u:secret@h?tls=maybe"] {
            let error = Server::of(url, None).err().unwrap().to_string();
            assert!(!error.contains("secret"), "{error}");
        }
        assert_eq!(percent_decoded("p%40x+y").unwrap(), "p@x+y");
    }

    #[test]
    fn senders_are_checked_when_set_up() {
        let url = SecretString::from("smtp://127.0.0.1:1");
        assert!(EmailChannel::new(&url, "Café Nube <pagos@nube.example>", "").is_ok());
        assert!(EmailChannel::new(&url, "pagos@nube.example", "ayuda@nube.example").is_ok());
        assert!(EmailChannel::new(&url, "nobody", "").is_err());
        assert!(EmailChannel::new(&url, "pagos@nube.example", "nobody").is_err());
    }
}
