//! Mail servers as they are: that encrypt, that fall silent, that put off, that break off; and one
//! that we did not write.
//!
//! What must stay true: what may have been taken is never handed over again; what was not taken is
//! not lost; nothing goes unencrypted, or to whom nobody vouches for, where TLS is asked for.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use recoup::channel::email::{EmailChannel, Patience};
use recoup::channel::{Deliver as _, Delivery};
use recoup::sandbox::mail::tls::{Tls, acceptor};
use recoup::sandbox::mail::{MailSink, Trouble};
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::channels::{fail, get};
use crate::death::World;
use crate::email::{FROM, envelope, to};

const AUTHORITY: &[u8] = include_bytes!("mail_tls/ca.pem");

fn tls() -> tokio_rustls::TlsAcceptor {
    acceptor(include_bytes!("mail_tls/cert.pem"), include_bytes!("mail_tls/key.pk8")).unwrap()
}

fn stranger(url: &str) -> EmailChannel {
    EmailChannel::new(&SecretString::from(url), FROM, "").unwrap()
}

fn friend(url: &str) -> EmailChannel {
    stranger(url).trusting(&SecretString::from(url), AUTHORITY).unwrap()
}

fn is_accepted(delivery: &Delivery) -> bool {
    matches!(delivery, Delivery::Accepted { .. })
}

fn is_later(delivery: &Delivery) -> bool {
    matches!(delivery, Delivery::Later { .. })
}

#[tokio::test]
async fn mail_goes_encrypted_to_whom_somebody_vouches_for() {
    for server in [Tls::Offered(tls()), Tls::Wrapped(tls())] {
        let sink = MailSink::start_with(server).await.unwrap();
        let channel = friend(&sink.url());
        for number in 1..=2 {
            let delivery = channel.deliver(&envelope(&format!("msg_{number}"))).await;
            assert!(is_accepted(&delivery), "{}: {delivery:?}", sink.url());
        }
        let counts = (sink.messages().len(), sink.connections(), sink.encrypted());
        assert_eq!(counts, (2, 1, 1), "one encrypted connection for both");
        let delivery = stranger(&sink.url()).deliver(&envelope("msg_3")).await;
        assert!(is_later(&delivery), "nobody vouches for it: {delivery:?}");
        assert_eq!(sink.messages().len(), 2);
    }
}

#[tokio::test]
async fn nothing_goes_in_the_clear_where_tls_is_asked_for() {
    let plain = MailSink::start().await.unwrap();
    let port = plain.addr.port();
    for url in
        [format!("smtp://localhost:{port}?tls=required"), format!("smtps://localhost:{port}")]
    {
        let patience = Patience { connect: Duration::from_millis(500), ..Patience::default() };
        let delivery = friend(&url).waiting(patience).deliver(&envelope("msg_1")).await;
        assert!(is_later(&delivery), "{url}: {delivery:?}");
    }
    let url = format!("smtp://localhost:{port}?tls=opportunistic");
    assert!(is_accepted(&friend(&url).deliver(&envelope("msg_1")).await), "as it was asked for");
    assert_eq!(plain.messages().len(), 1);
}

#[tokio::test]
async fn a_server_that_falls_silent_took_it_only_if_it_had_the_content() {
    let sink = MailSink::start().await.unwrap();
    let short = Duration::from_millis(300);
    let patience = Patience { connect: short, announce: short, content: short };
    let channel = stranger(&sink.url()).waiting(patience);
    sink.order(Trouble::SilentAtMail);
    let delivery = channel.deliver(&envelope("msg_1")).await;
    assert!(is_later(&delivery) && sink.messages().is_empty(), "{delivery:?}");
    sink.order(Trouble::SilentAfterContent);
    let delivery = channel.deliver(&envelope("msg_1")).await;
    assert!(matches!(delivery, Delivery::Unknown { .. }), "{delivery:?}");
    assert_eq!(sink.messages().len(), 1, "it was taken, and nobody said so");
    assert!(is_accepted(&channel.deliver(&envelope("msg_2")).await), "the next one goes");
}

async fn status(world: &World, n: usize) -> (String, Value) {
    let page = get(world, &format!("messages?customer=c_{n}")).await;
    let row = page["data"][0].clone();
    (row["status"].as_str().unwrap_or("none").to_owned(), row)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_and_nothing_goes_twice_whatever_the_server_does() {
    let section = "schedule = { days = [1] }\n[reminders]\nsilent_attempts = 0\n\
                   [[reminders.steps]]\nafter_days = 0\nkind = \"card_update\"";
    let world = World::with(section).await;
    let mut child = world.start().await;
    let put_off = || Trouble::Content("451 4.3.0 try again".into());
    for (n, troubles, wanted, copies) in [
        (1, vec![put_off(), put_off()], "sent", 1),
        (2, vec![Trouble::CloseAtMail], "sent", 1),
        (3, vec![Trouble::CloseAfterContent], "uncertain", 1),
        (4, vec![Trouble::Content("554 5.7.1 not this one".into())], "failed", 0),
        (5, vec![Trouble::Recipient("550 5.1.1 no such mailbox".into())], "failed", 0),
    ] {
        troubles.into_iter().for_each(|trouble| world.mail.order(trouble));
        let address = format!("c{n}@example.com");
        fail(&world, &format!("in_{n}"), json!({"id": format!("c_{n}"), "email": address})).await;
        for _ in 0..4 {
            assert!(world.advance(3_600).await);
        }
        let (found, row) = status(&world, n).await;
        assert_eq!(found, wanted, "{n}: {row:#}");
        // What it says, or would have said, is on record, with the server's own words.
        assert!(row["text"].as_str().unwrap().contains("Café Nube"), "{n}: {row:#}");
        assert!(!row["answer"].as_str().unwrap().is_empty(), "{n}: {row:#}");
        for _ in 0..20 {
            assert!(world.advance(3_600).await);
        }
        let mails = world.mail.messages();
        let own = mails.iter().filter(|mail| mail.to == [address.clone()]).count();
        assert_eq!(own, copies, "{n}");
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Python's aiosmtpd, with a handler that refuses `gone@`, puts off `later@`, and says what it
/// took.
struct Aiosmtpd {
    python: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
    port: u16,
}

const SCRIPT: &str = r#"
import asyncio, email, json, sys
from email import policy
from aiosmtpd.smtp import SMTP

class Handler:
    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("gone@"):
            return "550 5.1.1 no such mailbox"
        if address.startswith("later@"):
            return "451 4.7.1 greylisted"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        mail = email.message_from_bytes(envelope.content, policy=policy.default)
        body = mail.get_body(("plain",)).get_content()
        html = mail.get_body(("html",)).get_content()
        print(json.dumps({"to": envelope.rcpt_tos, "subject": mail["subject"], "text": body,
            "html": html, "id": mail["message-id"], "defects": len(mail.defects)}), flush=True)
        return "250 2.0.0 taken"

async def main():
    loop = asyncio.get_running_loop()
    factory = lambda: SMTP(Handler(), enable_SMTPUTF8=True, loop=loop)
    server = await loop.create_server(factory, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()

asyncio.run(main())
"#;

impl Drop for Aiosmtpd {
    fn drop(&mut self) {
        let _ = self.python.kill();
        let _ = self.python.wait();
    }
}

impl Aiosmtpd {
    /// `None`, and a word about it, where it is not installed.
    fn start() -> Option<Self> {
        let python = std::env::var("RECOUP_PYTHON").unwrap_or_else(|_| "python3".to_owned());
        let mut command = Command::new(&python);
        let spawned = command
            .args(["-c", SCRIPT])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .stdin(Stdio::null())
            .spawn();
        let mut python = spawned.ok();
        let mut lines = python
            .as_mut()
            .and_then(|python| python.stdout.take())
            .map(|out| BufReader::new(out).lines());
        let port = lines.as_mut().and_then(|lines| lines.next()?.ok()?.parse().ok());
        if let (Some(python), Some(lines), Some(port)) = (python.take(), lines, port) {
            return Some(Self { python, lines, port });
        }
        let required = std::env::var("RECOUP_AIOSMTPD").is_ok_and(|word| word == "required");
        assert!(!required, "Python's aiosmtpd is not there: pip install aiosmtpd");
        let word = b"\nSKIPPED: a mail test: Python's aiosmtpd is not installed\n";
        std::io::stderr().write_all(word).unwrap();
        None
    }

    fn took(&mut self) -> Value {
        serde_json::from_str(&self.lines.next().unwrap().unwrap()).unwrap()
    }
}

#[tokio::test]
async fn a_mail_server_that_we_did_not_write_reads_what_we_send() {
    let Some(mut server) = Aiosmtpd::start() else { return };
    let channel = stranger(&format!("smtp://127.0.0.1:{}", server.port));
    let sent = envelope("msg_1");
    let delivery = channel.deliver(&sent).await;
    assert_eq!(delivery, Delivery::Accepted { answer: "250 2.0.0 taken".into() });
    let took = server.took();
    assert_eq!(took["to"], json!(["ana@customer.example"]));
    assert_eq!(took["subject"], sent.rendered.subject.as_str());
    let text = took["text"].as_str().unwrap().replace("\r\n", "\n");
    assert_eq!(text.trim(), sent.rendered.text.trim());
    assert!(took["html"].as_str().unwrap().contains("</html>"));
    assert_eq!((&took["id"], &took["defects"]), (&json!("<msg_1@cafenube.example>"), &json!(0)));

    let gone = Delivery::Unreachable { answer: "550 5.1.1 no such mailbox".into() };
    assert_eq!(channel.deliver(&to("gone@example.com")).await, gone);
    let later = Delivery::Later { answer: "451 4.7.1 greylisted".into() };
    assert_eq!(channel.deliver(&to("later@example.com")).await, later);
    assert!(is_accepted(&channel.deliver(&to("josé@example.com")).await), "SMTPUTF8");
    assert_eq!(server.took()["to"], json!(["josé@example.com"]));
}
