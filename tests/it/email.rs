//! E-mail end to end, over real TCP: what arrives, and what each way of failing means.

use recoup::channel::email::EmailChannel;
use recoup::channel::{Deliver as _, Delivery, Envelope};
use recoup::core::event::Contact;
use recoup::core::ids::{CaseId, GatewayId, MessageId};
use recoup::core::policy::MessageKind;
use recoup::message::render;
use recoup::sandbox::mail::{MailSink, Trouble};
use secrecy::SecretString;

use crate::messages::{LINK, brand, order};

pub(crate) const FROM: &str = "Café Nube <pagos@cafenube.example>";

fn channel(url: &str) -> EmailChannel {
    EmailChannel::new(&SecretString::from(url), FROM, "ayuda@cafenube.example").unwrap()
}

pub(crate) fn envelope(id: &str) -> Envelope {
    let order = order(MessageKind::CardUpdate, "es-CO");
    let rendered = render(&order, &brand(), LINK).unwrap();
    let case = CaseId::of(&GatewayId::from("stripe"), "in_1");
    let stop_link = Some("https://pay.cafenube.example/unsubscribe/t0ken".to_owned());
    Envelope { id: MessageId::from(id), case, contact: order.contact, rendered, stop_link }
}

pub(crate) fn to(address: &str) -> Envelope {
    let contact = Contact { email: Some(address.to_owned()), ..Contact::default() };
    Envelope { contact, ..envelope("msg_1") }
}

#[tokio::test]
async fn what_was_rendered_is_what_arrives() {
    let sink = MailSink::start().await.unwrap();
    let sent = envelope("msg_1");
    let delivery = channel(&sink.url()).deliver(&sent).await;
    assert_eq!(delivery, Delivery::Accepted { answer: "250 2.0.0 OK: kept as 1".to_owned() });

    let mails = sink.messages();
    assert_eq!(mails.len(), 1);
    let mail = &mails[0];
    assert_eq!(mail.from, "pagos@cafenube.example");
    assert_eq!(mail.to, ["ana@customer.example"]);
    assert_eq!(mail.subject, sent.rendered.subject);
    assert_eq!(mail.text.trim(), sent.rendered.text.trim());
    assert_eq!(mail.html.as_deref().map(str::trim), sent.rendered.html.as_deref().map(str::trim));
    for (name, value) in [
        ("Message-ID", "<msg_1@cafenube.example>"),
        ("Auto-Submitted", "auto-generated"),
        ("Content-Language", "es-CO"),
        ("Reply-To", "ayuda@cafenube.example"),
        ("MIME-Version", "1.0"),
        ("List-Unsubscribe", "<https://pay.cafenube.example/unsubscribe/t0ken>"),
        ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
    ] {
        assert_eq!(mail.header(name).as_deref(), Some(value), "{}", mail.raw);
    }
    assert!(mail.header("From").unwrap().contains("Café Nube"), "{}", mail.raw);
    assert!(mail.header("Content-Type").unwrap().starts_with("multipart/alternative"));
    assert!(mail.raw.is_ascii() && mail.raw.lines().all(|line| line.len() <= 998));
}

#[tokio::test]
async fn a_connection_serves_more_than_one_message() {
    let sink = MailSink::start().await.unwrap();
    let channel = channel(&sink.url());
    for number in 1..=3 {
        let delivery = channel.deliver(&envelope(&format!("msg_{number}"))).await;
        assert!(matches!(delivery, Delivery::Accepted { .. }), "{delivery:?}");
    }
    assert_eq!((sink.messages().len(), sink.connections()), (3, 1));
}

#[tokio::test]
async fn the_servers_words_decide_and_come_back() {
    let sink = MailSink::start().await.unwrap();
    let channel = channel(&sink.url());
    let later = |answer: &str| Delivery::Later { answer: answer.to_owned() };
    let gone = |answer: &str| Delivery::Unreachable { answer: answer.to_owned() };
    let refused = |answer: &str| Delivery::Refused { answer: answer.to_owned() };
    for (trouble, wanted) in [
        (Trouble::Recipient("550 5.1.1 no such mailbox".into()), gone("550 5.1.1 no such mailbox")),
        (Trouble::Recipient("550 no such user here".into()), gone("550 no such user here")),
        // These say nothing of the address.
        (Trouble::Recipient("550 5.7.1 no relaying".into()), refused("550 5.7.1 no relaying")),
        (Trouble::Recipient("552 5.2.2 mailbox full".into()), refused("552 5.2.2 mailbox full")),
        (Trouble::Recipient("451 4.7.1 greylisted".into()), later("451 4.7.1 greylisted")),
        (Trouble::Content("452 4.3.1 disk is full".into()), later("452 4.3.1 disk is full")),
        (Trouble::Content("554 5.7.1 not this one".into()), refused("554 5.7.1 not this one")),
    ] {
        sink.order(trouble.clone());
        assert_eq!(channel.deliver(&envelope("msg_1")).await, wanted, "{trouble:?}");
        assert_eq!(sink.messages().len(), 0, "{trouble:?}");
    }
    assert!(matches!(channel.deliver(&envelope("msg_1")).await, Delivery::Accepted { .. }));
}

#[tokio::test]
async fn a_broken_connection_means_what_the_step_says() {
    let sink = MailSink::start().await.unwrap();
    let channel = channel(&sink.url());
    sink.order(Trouble::CloseAtMail);
    let delivery = channel.deliver(&envelope("msg_1")).await;
    assert!(matches!(delivery, Delivery::Later { .. }), "{delivery:?}");
    assert_eq!(sink.messages().len(), 0);

    sink.order(Trouble::CloseAfterContent);
    let delivery = channel.deliver(&envelope("msg_1")).await;
    assert!(matches!(delivery, Delivery::Unknown { .. }), "{delivery:?}");
    assert_eq!(sink.messages().len(), 1, "it was taken, and nobody said so");
}

#[tokio::test]
async fn no_server_is_later() {
    let sink = MailSink::start().await.unwrap();
    let url = sink.url();
    drop(sink);
    let delivery =
        channel(&url.replace("127.0.0.1", "127.0.0.2")).deliver(&envelope("msg_1")).await;
    assert!(matches!(delivery, Delivery::Later { .. }), "{delivery:?}");
}

#[tokio::test]
async fn what_is_no_address_is_refused_without_a_connection() {
    let sink = MailSink::start().await.unwrap();
    let channel = channel(&sink.url());
    for address in ["", "ana", "ana@", "a b@c.example", "a@b.example\r\nRCPT TO:<x@y.example>"] {
        let envelope = to(address);
        assert!(!channel.reaches(&envelope.contact), "{address}");
        let delivery = channel.deliver(&envelope).await;
        assert!(matches!(delivery, Delivery::Refused { .. }), "{address}: {delivery:?}");
    }
    assert_eq!(sink.connections(), 0);
    assert!(channel.reaches(&to("ana@customer.example").contact));
}

#[tokio::test]
async fn a_subject_cannot_add_a_header() {
    let sink = MailSink::start().await.unwrap();
    let mut envelope = envelope("msg_1");
    envelope.rendered.subject = "one\r\nBcc: x@y.example".to_owned();
    channel(&sink.url()).deliver(&envelope).await;
    for mail in sink.messages() {
        assert_eq!(mail.header("Bcc"), None, "{}", mail.raw);
        assert_eq!(mail.to, ["ana@customer.example"]);
    }
}
