//! A mail server that keeps what it is given: for the demo and for tests.
//!
//! Why here: the e-mail channel is tried over real TCP and real SMTP, without anything leaving the
//! machine. Trouble can be ordered in advance, one for each delivery.
//!
//! What must stay true: it listens on this machine only; what it answered 250 to is in
//! [`MailSink::messages`].

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

mod mime;

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
}

type Shared = Arc<Mutex<Kept>>;

/// The server. It stops when it is dropped.
pub struct MailSink {
    /// Where it listens.
    pub addr: SocketAddr,
    kept: Shared,
    task: JoinHandle<()>,
}

impl MailSink {
    /// Listens on a free port of this machine.
    pub async fn start() -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let addr = listener.local_addr()?;
        let kept = Shared::default();
        let task = tokio::spawn(accept(listener, Arc::clone(&kept)));
        Ok(Self { addr, kept, task })
    }

    /// Its URL, as for `email.smtp_url`.
    pub fn url(&self) -> String {
        format!("smtp://{}", self.addr)
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

async fn accept(listener: TcpListener, kept: Shared) {
    let mut sessions = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        lock(&kept).connections += 1;
        let kept = Arc::clone(&kept);
        sessions.spawn(async move {
            let _ = Session::new(stream, kept).run().await;
        });
        while sessions.try_join_next().is_some() {}
    }
}

/// One connection.
struct Session {
    lines: BufReader<OwnedReadHalf>,
    out: OwnedWriteHalf,
    kept: Shared,
    from: String,
    to: Vec<String>,
    trouble: Option<Trouble>,
}

/// Whether a session goes on.
type Goes = std::io::Result<bool>;

impl Session {
    fn new(stream: TcpStream, kept: Shared) -> Self {
        let (input, out) = stream.into_split();
        let lines = BufReader::new(input);
        Self { lines, out, kept, from: String::new(), to: Vec::new(), trouble: None }
    }

    async fn run(mut self) -> std::io::Result<()> {
        self.say("220 mail sink of recoup's sandbox").await?;
        let mut line = String::new();
        loop {
            line.clear();
            if self.lines.read_line(&mut line).await? == 0 || !self.answer(line.trim_end()).await? {
                return Ok(());
            }
        }
    }

    async fn answer(&mut self, line: &str) -> Goes {
        let verb = line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
        match verb.as_str() {
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
        if self.trouble == Some(Trouble::CloseAtMail) {
            return Ok(false);
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
            if self.lines.read_line(&mut line).await? == 0 || raw.len() > MAX_MAIL {
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
        self.out.write_all(format!("{answer}\r\n").as_bytes()).await?;
        Ok(true)
    }
}

/// The address between the angle brackets.
fn path_of(line: &str) -> String {
    let inner = line.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
    inner.map_or("", |(path, _)| path).to_owned()
}
