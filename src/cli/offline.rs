//! What `verify`, `parse` and `classify` share: reading a captured webhook from files and flags.
//!
//! Why here: the three work without a merchant file, a key or a network.
//!
//! What must stay true: wrong usage is told apart from a bad webhook (exit 2, not 1); no secret and
//! no body is ever part of a message.

use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::Value;

use crate::gateway::WebhookRequest;
use crate::gateway::kinds::{self, Kind};

/// Exit code: used wrongly.
const USED_WRONGLY: u8 = 2;
/// Exit code: the thing asked about is not well.
pub(super) const NOT_WELL: u8 = 1;

/// The command was used wrongly; completes "recoup: ".
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Usage(String);

impl Usage {
    pub(super) fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

/// The flags that give a captured webhook.
#[derive(Debug, clap::Args)]
pub(super) struct Captured {
    /// The raw body, exactly as it arrived: a file, or `-` for standard input.
    #[arg(long, value_name = "FILE|-")]
    body: PathBuf,
    /// A header as it arrived; repeat for more.
    #[arg(long = "header", value_name = "K: V")]
    headers: Vec<String>,
    /// The full URL with its query, for gateways that sign it.
    #[arg(long)]
    url: Option<String>,
}

/// A captured webhook, read.
pub(super) struct Webhook {
    body: Vec<u8>,
    headers: Vec<(String, String)>,
    url: Option<String>,
}

impl Captured {
    /// Reads the body and the headers.
    pub(super) fn read(self) -> Result<Webhook, Usage> {
        let headers = self.headers.iter().map(|line| header(line)).collect::<Result<_, _>>()?;
        Ok(Webhook { body: read_body(&self.body)?, headers, url: self.url })
    }
}

impl Webhook {
    /// The webhook as it arrives at `now`.
    pub(super) fn request(&self, now: jiff::Timestamp) -> WebhookRequest<'_> {
        WebhookRequest { body: &self.body, headers: &self.headers, url: self.url.as_deref(), now }
    }
}

/// The bytes of a file, or of standard input.
pub(super) fn read_body(path: &std::path::Path) -> Result<Vec<u8>, Usage> {
    if path.as_os_str() == "-" {
        let mut body = Vec::new();
        return match std::io::stdin().lock().read_to_end(&mut body) {
            Ok(_) => Ok(body),
            Err(error) => Err(Usage::new(format!("the body on standard input: {error}"))),
        };
    }
    std::fs::read(path).map_err(|error| Usage::new(format!("the body {}: {error}", path.display())))
}

/// `K: V`. An empty value is allowed: that is how an empty header is checked.
fn header(line: &str) -> Result<(String, String), Usage> {
    let form = || Usage::new("a header reads `Name: value`, e.g. --header 'Stripe-Signature: t=…'");
    let (name, value) = line.split_once(':').ok_or_else(form)?;
    let name = name.trim();
    let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if name.is_empty() || !name.bytes().all(is_token) {
        return Err(form());
    }
    Ok((name.to_owned(), value.trim().to_owned()))
}

/// The kind of gateway, or what kinds there are.
pub(super) fn gateway(kind: &str) -> Result<&'static Kind, Usage> {
    kinds::kind(kind).ok_or_else(|| {
        Usage::new(format!("no gateway of kind `{kind}`; there are: {}", kinds::names()))
    })
}

/// One JSON document on stdout.
pub(super) fn print_json(value: &Value) -> std::io::Result<()> {
    let text = serde_json::to_string_pretty(value)?;
    print_line(&text)
}

/// A line on stdout; a reader that went away is no error.
pub(super) fn print_line(text: &str) -> std::io::Result<()> {
    match writeln!(std::io::stdout().lock(), "{text}") {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// A file on stdout, as it is.
pub(super) fn print_file(text: &str) -> std::io::Result<()> {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// Exit 2 with the reason on stderr; other results as they are.
#[expect(clippy::print_stderr, reason = "the command line's own messages go to stderr")]
pub(super) fn finish(result: anyhow::Result<ExitCode>) -> anyhow::Result<ExitCode> {
    match result {
        Err(error) => match error.downcast::<Usage>() {
            Ok(usage) => {
                eprintln!("recoup: {usage}");
                Ok(ExitCode::from(USED_WRONGLY))
            }
            Err(other) => Err(other),
        },
        done => done,
    }
}
