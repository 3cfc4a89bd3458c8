//! The questions of `recoup init`: five at the most, each with its reason and a default.
//!
//! What must stay true: an answer that cannot be is asked for again, with what is wrong; an empty
//! line is the default; an end of input is an error, not an answer.

use std::io::{BufRead, Write};
use std::path::Path;

use anyhow::{Context as _, bail};
use serde::Serialize;

/// The kinds of gateways that can be the billing gateway.
pub(super) const GATEWAYS: [&str; 7] =
    ["stripe", "adyen", "braintree", "mercadopago", "wompi", "checkout", "http"];

/// What the merchant answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Answers {
    /// The business.
    pub(super) name: String,
    /// What links in messages begin with.
    pub(super) public_url: String,
    /// Where customers reach a human.
    pub(super) support_email: String,
    /// The billing gateway's kind.
    pub(super) gateway: String,
    /// The customers' language.
    pub(super) locale: String,
}

impl Answers {
    /// What can be guessed: the folder's name, the environment's language.
    pub(super) fn suggested(dir: &Path) -> Self {
        let folder = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
        let folder = folder.file_name().map(|name| name.to_string_lossy().into_owned());
        Self {
            name: folder.map_or_else(|| "My shop".to_owned(), |name| titled(&name)),
            public_url: "http://127.0.0.1:8080".to_owned(),
            support_email: "support@example.com".to_owned(),
            gateway: "stripe".to_owned(),
            locale: std::env::var("LANG").ok().and_then(|lang| tag(&lang)).unwrap_or("en".into()),
        }
    }
}

/// `cafe-nube` → `Cafe nube`.
fn titled(folder: &str) -> String {
    let words = folder.replace(['-', '_'], " ");
    let mut letters = words.trim().chars();
    letters.next().map_or_else(
        || "My shop".to_owned(),
        |first| first.to_uppercase().chain(letters).collect::<String>(),
    )
}

/// `es_CO.UTF-8` → `es-CO`; `C` and the like are no language.
fn tag(lang: &str) -> Option<String> {
    let name = lang.split(['.', '@']).next()?.replace('_', "-");
    let known = ["en", "es", "pt", "fr", "it"];
    known.contains(&name.split('-').next()?).then_some(name)
}

/// One question.
struct Question<'a> {
    text: &'a str,
    why: &'a str,
    default: String,
    check: fn(&str) -> Result<(), String>,
}

/// Asks all of them.
pub(super) fn all(
    suggested: Answers,
    input: &mut impl BufRead,
    output: &mut impl Write,
) -> anyhow::Result<Answers> {
    let mut ask =
        |text, why, default, check| one(&Question { text, why, default, check }, input, output);
    Ok(Answers {
        name: ask(
            "What is the business called?",
            "It signs every message: customers trust a name that they know.",
            suggested.name,
            is_name,
        )?,
        public_url: ask(
            "Where will customers and gateways reach this service?",
            "Links in messages begin with it. The default works on this machine only.",
            suggested.public_url,
            is_url,
        )?,
        support_email: ask(
            "Where do customers reach a human?",
            "It stands in every message, and replies go there.",
            suggested.support_email,
            is_email,
        )?,
        gateway: ask(
            "Which gateway owns the subscriptions? (stripe, adyen, braintree, mercadopago, wompi, \
             checkout, http)",
            "Its invoices are the ones to get back; others can be added for retries later.",
            suggested.gateway,
            is_gateway,
        )?,
        locale: ask(
            "Which language do most customers read?",
            "For those whose language is not known, e.g. es-CO, en, pt-BR.",
            suggested.locale,
            is_locale,
        )?,
    })
}

fn one(
    question: &Question<'_>,
    input: &mut impl BufRead,
    output: &mut impl Write,
) -> anyhow::Result<String> {
    writeln!(output, "\n{}\n  {}", question.text, question.why)?;
    loop {
        write!(output, "  [{}] ", question.default)?;
        output.flush()?;
        let mut line = String::new();
        if input.read_line(&mut line).context("read the answer")? == 0 {
            bail!("read the answer: the input ended; `recoup init --yes` asks nothing");
        }
        let answer = match line.trim() {
            "" => question.default.clone(),
            answer => answer.to_owned(),
        };
        match (question.check)(&answer) {
            Ok(()) => return Ok(answer),
            Err(why) => writeln!(output, "  {why}")?,
        }
    }
}

fn is_name(answer: &str) -> Result<(), String> {
    let fits = answer.chars().count() <= 100 && !answer.chars().any(char::is_control);
    fits.then_some(()).ok_or_else(|| "A name of at most 100 letters, in one line.".to_owned())
}

fn is_url(answer: &str) -> Result<(), String> {
    let url = url::Url::parse(answer).ok();
    let fits = url.is_some_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    fits.then_some(()).ok_or_else(|| "It begins with https://, e.g. https://pay.example".into())
}

fn is_email(answer: &str) -> Result<(), String> {
    let parsed = answer.parse::<lettre::Address>();
    parsed.map(|_| ()).map_err(|_| "An address, e.g. support@example.com".to_owned())
}

fn is_gateway(answer: &str) -> Result<(), String> {
    if GATEWAYS.contains(&answer) {
        return Ok(());
    }
    let near = GATEWAYS
        .iter()
        .max_by(|a, b| strsim::jaro_winkler(a, answer).total_cmp(&strsim::jaro_winkler(b, answer)));
    let near = near.copied().unwrap_or_default();
    Err(format!("One of {}. Nearest: {near}. Any other payment system: http.", GATEWAYS.join(", ")))
}

fn is_locale(answer: &str) -> Result<(), String> {
    let fits = answer.parse::<icu_locale_core::Locale>().is_ok();
    fits.then_some(()).ok_or_else(|| "A language tag, e.g. es-CO, en, pt-BR".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(typed: &str) -> (anyhow::Result<Answers>, String) {
        let mut shown = Vec::new();
        let suggested = Answers {
            name: "My shop".into(),
            public_url: "http://127.0.0.1:8080".into(),
            support_email: "support@example.com".into(),
            gateway: "stripe".into(),
            locale: "en".into(),
        };
        let answers = all(suggested, &mut typed.as_bytes(), &mut shown);
        (answers, String::from_utf8(shown).unwrap())
    }

    #[test]
    fn an_empty_line_is_the_default_and_each_question_says_why() {
        let (answers, shown) = asked("Café Nube\n\nayuda@nube.example\n\nes-CO\n");
        let answers = answers.unwrap();
        assert_eq!((&answers.name[..], &answers.gateway[..]), ("Café Nube", "stripe"));
        assert_eq!(answers.locale, "es-CO");
        assert_eq!(shown.matches('?').count(), 5, "{shown}");
        assert_eq!(shown.matches("  [").count(), 5, "{shown}");
    }

    #[test]
    fn an_answer_that_cannot_be_is_asked_for_again() {
        let (answers, shown) =
            asked("Shop\npay.example\nhttps://pay.example\nnobody\na@b.example\nstrype\nadyen\n\n");
        assert_eq!(answers.unwrap().gateway, "adyen");
        for hint in ["It begins with https://", "An address", "Nearest: stripe"] {
            assert!(shown.contains(hint), "{hint}: {shown}");
        }
        let (ended, _) = asked("Shop\n");
        assert!(ended.unwrap_err().to_string().contains("--yes"));
    }

    #[test]
    fn the_environments_language_is_a_tag() {
        assert_eq!(tag("es_CO.UTF-8").as_deref(), Some("es-CO"));
        assert_eq!(tag("pt_BR@euro").as_deref(), Some("pt-BR"));
        assert_eq!((tag("C.UTF-8"), tag("POSIX")), (None, None));
        assert_eq!(titled("__"), "My shop");
    }
}
