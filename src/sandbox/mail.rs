//! A mail server that keeps what it is given: for the demo and for tests.
//!
//! Why here: the e-mail channel is tried over real TCP and real SMTP, without anything leaving the
//! machine. It speaks TLS from the first byte, or after `STARTTLS`, where it is given a
//! certificate. Trouble can be ordered in advance, one for each delivery: refused, put off, broken
//! off, never answered.
//!
//! What must stay true: it listens on this machine only; what it answered 250 to is in
//! [`MailSink::messages`].

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

mod mime;
pub mod tls;

use tls::Tls;

/// The largest mail that is taken.
const MAX_MAIL: usize = 1 << 20;

/// A mail as it arrived, and as a person sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaughtMail {
    /// `MAIL FROM`.
    pub from: String,
    /// `RCPT TO`.
    pub to: Vec<String>,
    /// The subject, decoded.
    pub subject: String,
    /// The text part, decoded.
    pub text: String,
    /// The HTML part, decoded.
    pub html: Option<String>,
    /// Headers and body, byte for byte.
    pub raw: String,
}

impl CaughtMail {
    /// A header's value, unfolded and decoded.
    pub fn header(&self, name: &str) -> Option<String> {
        mime::Part::of(&self.raw).header(name)
    }
}

/// What goes wrong with one delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// The connection is closed instead of an answer to `MAIL FROM`.
    CloseAtMail,
    /// `MAIL FROM` is never answered.
    SilentAtMail,
    /// The mail is kept, and the content is never answered.
    SilentAfterContent,
    /// The mail is kept, and the connection is closed instead of an answer.
    CloseAfterContent,
    /// This answer to the content, e.g. `451 4.3.0 try again`.
    Content(String),
    /// This answer to `RCPT TO`, e.g. `550 5.1.1 no such mailbox`.
    Recipient(String),
}

#[derive(Default)]
struct Kept {
    mails: Vec<CaughtMail>,
    troubles: VecDeque<Trouble>,
    connections: usize,
    encrypted: usize,
}

type Shared = Arc<Mutex<Kept>>;

/// The server. It stops when it is dropped.
pub struct MailSink {
    /// Where it listens.
    pub addr: SocketAddr,
    kept: Shared,
    url: String,
    task: JoinHandle<()>,
}

impl MailSink {
    /// Listens on a free port of this machine, without TLS.
    pub async fn start() -> std::io::Result<Self> {
        Self::start_with(Tls::None).await
    }

    /// Listens on a free port of this machine.
    pub async fn start_with(tls: Tls) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let addr = listener.local_addr()?;
        let url = match &tls {
            Tls::None => format!("smtp://{addr}"),
            Tls::Offered(_) => format!("smtp://localhost:{}?tls=required", addr.port()),
            Tls::Wrapped(_) => format!("smtps://localhost:{}", addr.port()),
        };
        let kept = Shared::default();
        let task = tokio::spawn(accept(listener, Arc::clone(&kept), tls));
        Ok(Self { addr, kept, url, task })
    }

    /// Its URL, as for `email.smtp_url`.
    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// How many connections were encrypted so far.
    pub fn encrypted(&self) -> usize {
        lock(&self.kept).encrypted
    }

    /// What it was given so far, oldest first.
    pub fn messages(&self) -> Vec<CaughtMail> {
        lock(&self.kept).mails.clone()
    }

    /// How many connections were made so far.
    pub fn connections(&self) -> usize {
        lock(&self.kept).connections
    }

    /// Orders trouble for the next delivery that has none yet.
    pub fn order(&self, trouble: Trouble) {
        lock(&self.kept).troubles.push_back(trouble);
    }
}

impl Drop for MailSink {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock(kept: &Shared) -> MutexGuard<'_, Kept> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(listener: TcpListener, kept: Shared, tls: Tls) {
    let mut sessions = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        lock(&kept).connections += 1;
        let (kept, tls) = (Arc::clone(&kept), tls.clone());
        sessions.spawn(async move {
            let _ = begin(Box::new(stream), kept, tls).await;
        });
        while sessions.try_join_next().is_some() {}
    }
}

async fn begin(stream: Io, kept: Shared, tls: Tls) -> std::io::Result<()> {
    let (stream, offered) = match tls {
        Tls::None => (stream, None),
        Tls::Offered(acceptor) => (stream, Some(acceptor)),
        Tls::Wrapped(acceptor) => (encrypt(&acceptor, stream, &kept).await?, None),
    };
    Session::new(stream, kept, offered).run().await
}

async fn encrypt(acceptor: &TlsAcceptor, stream: Io, kept: &Shared) -> std::io::Result<Io> {
    let stream = acceptor.accept(stream).await?;
    lock(kept).encrypted += 1;
    Ok(Box::new(stream))
}

/// What a session talks over.
trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

type Io = Box<dyn Wire>;

/// One connection.
struct Session {
    io: BufReader<Io>,
    kept: Shared,
    /// What `STARTTLS` is answered with; `None`: it is not offered, or was taken up.
    tls: Option<TlsAcceptor>,
    from: String,
    to: Vec<String>,
    trouble: Option<Trouble>,
}

/// Whether a session goes on.
type Goes = std::io::Result<bool>;

impl Session {
    fn new(stream: Io, kept: Shared, tls: Option<TlsAcceptor>) -> Self {
        let io = BufReader::new(stream);
        Self { io, kept, tls, from: String::new(), to: Vec::new(), trouble: None }
    }

    async fn run(mut self) -> std::io::Result<()> {
        self.say("220 mail sink of recoup's sandbox").await?;
        let mut line = String::new();
        loop {
            line.clear();
            if self.io.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            let said = line.trim_end();
            if said.eq_ignore_ascii_case("STARTTLS") {
                self = self.start_tls().await?;
            } else if !self.answer(said).await? {
                return Ok(());
            }
        }
    }

    async fn start_tls(mut self) -> std::io::Result<Self> {
        let Some(acceptor) = self.tls.take() else {
            self.say("502 5.5.1 unknown command").await?;
            return Ok(self);
        };
        self.say("220 2.0.0 go on").await?;
        // What was sent before is forgotten, as RFC 3207 asks for: nobody can slip a command in.
        let stream = encrypt(&acceptor, self.io.into_inner(), &self.kept).await?;
        Ok(Self::new(stream, self.kept, None))
    }

    async fn answer(&mut self, line: &str) -> Goes {
        let verb = line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
        match verb.as_str() {
            "EHLO" if self.tls.is_some() => {
                self.say("250-recoup\r\n250-STARTTLS\r\n250-8BITMIME\r\n250 SMTPUTF8").await
            }
            "EHLO" => self.say("250-recoup\r\n250-8BITMIME\r\n250 SMTPUTF8").await,
            "HELO" | "NOOP" => self.say("250 OK").await,
            "RSET" => {
                self.forget();
                self.say("250 OK").await
            }
            "MAIL" => self.mail(line).await,
            "RCPT" => self.recipient(line).await,
            "DATA" if self.to.is_empty() => self.say("503 5.5.1 no recipient").await,
            "DATA" => self.content().await,
            "QUIT" => {
                self.say("221 bye").await?;
                Ok(false)
            }
            _ => self.say("502 5.5.1 unknown command").await,
        }
    }

    async fn mail(&mut self, line: &str) -> Goes {
        self.forget();
        self.trouble = lock(&self.kept).troubles.pop_front();
        match self.trouble {
            Some(Trouble::CloseAtMail) => return Ok(false),
            Some(Trouble::SilentAtMail) => return self.fall_silent().await,
            _ => {}
        }
        self.from = path_of(line);
        self.say("250 2.1.0 OK").await
    }

    async fn recipient(&mut self, line: &str) -> Goes {
        if let Some(Trouble::Recipient(answer)) =
            self.trouble.take_if(|t| matches!(t, Trouble::Recipient(_)))
        {
            return self.say(&answer).await;
        }
        self.to.push(path_of(line));
        self.say("250 2.1.5 OK").await
    }

    async fn content(&mut self) -> Goes {
        self.say("354 go on, end with a dot").await?;
        let Some(raw) = self.read_content().await? else {
            return Ok(false);
        };
        match self.trouble.take() {
            Some(Trouble::Content(answer)) => self.say(&answer).await,
            Some(Trouble::CloseAfterContent) => {
                self.keep(raw);
                Ok(false)
            }
            Some(Trouble::SilentAfterContent) => {
                self.keep(raw);
                self.fall_silent().await
            }
            _ => {
                let number = self.keep(raw);
                self.say(&format!("250 2.0.0 OK: kept as {number}")).await
            }
        }
    }

    /// The content up to the lone dot, unstuffed; `None` where it breaks off or is too large.
    async fn read_content(&mut self) -> std::io::Result<Option<String>> {
        let mut raw = String::new();
        let mut line = String::new();
        loop {
            line.clear();
            if self.io.read_line(&mut line).await? == 0 || raw.len() > MAX_MAIL {
                return Ok(None);
            }
            if line.trim_end_matches(['\r', '\n']) == "." {
                return Ok(Some(raw));
            }
            raw.push_str(line.strip_prefix('.').unwrap_or(&line));
        }
    }

    fn keep(&mut self, raw: String) -> usize {
        let part = mime::Part::of(&raw);
        let mail = CaughtMail {
            from: std::mem::take(&mut self.from),
            to: std::mem::take(&mut self.to),
            subject: part.header("subject").unwrap_or_default(),
            text: part.find("text/plain").unwrap_or_default(),
            html: part.find("text/html"),
            raw,
        };
        let mut kept = lock(&self.kept);
        kept.mails.push(mail);
        kept.mails.len()
    }

    fn forget(&mut self) {
        self.from.clear();
        self.to.clear();
        self.trouble = None;
    }

    async fn say(&mut self, answer: &str) -> Goes {
        self.io.write_all(format!("{answer}\r\n").as_bytes()).await?;
        self.io.flush().await?;
        Ok(true)
    }

    /// Answers nothing until the other side goes.
    async fn fall_silent(&mut self) -> Goes {
        let mut line = String::new();
        while self.io.read_line(&mut line).await? > 0 {
            line.clear();
        }
        Ok(false)
    }
}

/// The address between the angle brackets.
fn path_of(line: &str) -> String {
    let inner = line.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
    inner.map_or("", |(path, _)| path).to_owned()
}
