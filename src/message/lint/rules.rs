//! The rules themselves: each looks at one rendered variant.
//!
//! Why here: a rule is one small function, and stands in one list.
//!
//! What must stay true: a rule reads what the customer reads, not the template.

use super::{Case, Channel, Fault, Rule, forbidden, has_link, reading, sms, values};
use crate::core::policy::{MessageKind, SubscriptionAction};
use crate::message::stop;

/// A subject that is longer is cut off on a phone, with a name of usual length in it.
const MAX_SUBJECT: usize = 70;

/// Words of a mail, without its footer, with a list of three invoices.
const MAX_MAIL_WORDS: usize = 120;

/// Segments of an SMS.
const MAX_SEGMENTS: usize = 2;

/// WhatsApp itself takes 1024 characters; nobody reads as many.
const MAX_WHATSAPP: usize = 600;

/// WhatsApp's own limit.
const MAX_BUTTON: usize = 25;

type Check = fn(&Case<'_>) -> Option<Fault>;

/// Which text each rule is told of, and the rule.
const CHECKS: [(&str, Check); 17] = [
    ("subject", subject_length),
    ("mail", mail_length),
    ("sms", sms_length),
    ("whatsapp", whatsapp_length),
    ("button", button_length),
    ("text", one_link),
    ("text", amount),
    ("text", brand),
    ("mail", contact),
    ("text", what_for),
    ("text", why),
    ("text", when),
    ("subject", forbidden_subject),
    ("text", forbidden_text),
    ("sms", opt_out),
    ("mail", reads_easily),
    ("mail", same_in_html),
];

/// Everything that is wrong with a variant, with the text that it is told of.
pub(super) fn all(case: &Case<'_>) -> Vec<(&'static str, Fault)> {
    let checks = CHECKS.iter().filter_map(|(part, check)| Some((*part, check(case)?)));
    checks.chain(whatsapp_form(case).map(|fault| ("whatsapp", fault))).collect()
}

fn fault(rule: Rule, message: impl Into<String>) -> Option<Fault> {
    Some(Fault { rule, word: None, message: message.into() })
}

fn too_long(is: usize, most: usize, what: &str) -> Option<Fault> {
    (is > most).then(|| fault(Rule::Length, format!("{is} {what}; write {most} at most"))).flatten()
}

fn subject_length(case: &Case<'_>) -> Option<Fault> {
    too_long(case.rendered.subject.chars().count(), MAX_SUBJECT, "characters in the subject")
}

/// The body of a mail without its footer.
fn body<'a>(case: &Case<'a>) -> &'a str {
    let text = case.rendered.text.as_str();
    text.rsplit_once("\n\n-- \n").map_or(text, |(body, _)| body)
}

/// Signs between spaces, as French has them, are no words.
fn words_of(text: &str) -> usize {
    text.split_whitespace().filter(|word| word.chars().any(char::is_alphanumeric)).count()
}

fn mail_length(case: &Case<'_>) -> Option<Fault> {
    let is_mail = case.order.channel == Channel::Email;
    let words = if is_mail { words_of(body(case)) } else { 0 };
    too_long(words, MAX_MAIL_WORDS, "words")
}

fn sms_length(case: &Case<'_>) -> Option<Fault> {
    if case.order.channel != Channel::Sms {
        return None;
    }
    let cost = sms::cost(&case.rendered.text);
    let mut fault = too_long(cost.segments, MAX_SEGMENTS, "segments")?;
    let strangers: String = sms::outside_gsm(&case.rendered.text).into_iter().collect();
    if !strangers.is_empty() {
        fault.message += &format!(" ({strangers} are not in the GSM alphabet)");
    }
    Some(fault)
}

fn whatsapp_length(case: &Case<'_>) -> Option<Fault> {
    let is = case.order.channel == Channel::Whatsapp;
    let length = if is { case.rendered.text.chars().count() } else { 0 };
    too_long(length, MAX_WHATSAPP, "characters")
}

fn button_length(case: &Case<'_>) -> Option<Fault> {
    if case.order.channel != Channel::Whatsapp || !has_link(case.order.kind) {
        return None;
    }
    let key = format!("{}.button", case.order.kind.as_str());
    let button = values::entry(case.brand, case.locale, &key).ok()?;
    let text = button.fill(&case.facts.plain().ok()?).ok()?;
    let length = text.trim().chars().count();
    if length == 0 || length > MAX_BUTTON {
        return fault(
            Rule::Whatsapp,
            format!("a button of {length} characters; 1 to {MAX_BUTTON} fit"),
        );
    }
    None
}

fn one_link(case: &Case<'_>) -> Option<Fault> {
    // On WhatsApp, the link is the button.
    let wanted = usize::from(has_link(case.order.kind) && case.order.channel != Channel::Whatsapp);
    let count = case.rendered.text.matches(case.link).count();
    let lower = case.rendered.text.to_lowercase().replace(&case.link.to_lowercase(), " ");
    let others = ["://", "www."].iter().find(|mark| lower.contains(**mark));
    if let Some(mark) = others {
        let message = "a link that is not the customer's own; write {{ link }} only";
        return Some(Fault {
            rule: Rule::Link,
            word: Some((*mark).to_owned()),
            message: message.to_owned(),
        });
    }
    if count == wanted {
        return None;
    }
    fault(Rule::Link, format!("{{{{ link }}}} stands in it {count} times, and must {wanted} times"))
}

fn value<'a>(case: &'a Case<'_>, name: &str) -> Option<&'a str> {
    case.facts.open.iter().find(|(known, _)| *known == name)?.1.as_deref()
}

/// A known fact that the text does not tell.
fn untold(case: &Case<'_>, rule: Rule, names: &[&str]) -> Option<Fault> {
    if case.order.channel == Channel::Sms {
        return None;
    }
    let known: Vec<_> = names.iter().filter_map(|name| value(case, name)).collect();
    if known.is_empty() || known.iter().any(|value| case.rendered.text.contains(value)) {
        return None;
    }
    let names = names.join(" }} or {{ ");
    fault(rule, format!("{{{{ {names} }}}} is known here, and not told"))
}

fn amount(case: &Case<'_>) -> Option<Fault> {
    untold(case, Rule::Amount, &["amount"])
}

fn what_for(case: &Case<'_>) -> Option<Fault> {
    untold(case, Rule::Facts, &["plan", "service"])
}

fn why(case: &Case<'_>) -> Option<Fault> {
    match case.order.kind {
        MessageKind::CardUpdate | MessageKind::LastNotice | MessageKind::PaymentFailed => {
            untold(case, Rule::Facts, &["reason"])
        }
        // The card is fine; the money is here.
        MessageKind::ConfirmBank | MessageKind::Recovered => None,
    }
}

fn when(case: &Case<'_>) -> Option<Fault> {
    let ends = case.order.subscription_action != SubscriptionAction::Keep;
    match case.order.kind {
        MessageKind::PaymentFailed => untold(case, Rule::Facts, &["retry_on"]),
        MessageKind::LastNotice if ends => {
            untold(case, Rule::Facts, &["end_on", "end_date", "end_short"])
        }
        _ => None,
    }
}

fn brand(case: &Case<'_>) -> Option<Fault> {
    let name = values::brand_name(case.brand);
    let told = match case.order.channel {
        // Every footer begins with it; the sender and the first lines must say it too.
        Channel::Email => format!("{}\n{}", case.rendered.subject, case.rendered.text),
        Channel::Sms | Channel::Whatsapp => case.rendered.text.clone(),
    };
    if told.contains(&name) {
        return None;
    }
    fault(Rule::Brand, "{{ brand }} is not told")
}

fn contact(case: &Case<'_>) -> Option<Fault> {
    if case.order.channel != Channel::Email {
        return None;
    }
    let phone = case.brand.support_phone.as_deref().map(values::one_line)?;
    if body(case).contains(&phone) {
        return None;
    }
    fault(
        Rule::Contact,
        "{{ support_phone }} (or {{ contact }}) is not in the text: nobody to turn to",
    )
}

fn forbidden_in(case: &Case<'_>, text: &str) -> Option<Fault> {
    // What customers and merchants are called is theirs.
    let mut own = vec![case.link.to_owned(), values::brand_name(case.brand)];
    own.extend(["plan", "service"].iter().filter_map(|name| value(case, name)).map(str::to_owned));
    let text = own.iter().fold(text.to_owned(), |text, own| text.replace(own, " · "));
    let word = forbidden::find(&text, case.locale.language)?;
    let message = format!("`{word}` is a word that no message uses");
    Some(Fault { rule: Rule::Forbidden, word: Some(word), message })
}

fn forbidden_subject(case: &Case<'_>) -> Option<Fault> {
    forbidden_in(case, &case.rendered.subject)
}

fn forbidden_text(case: &Case<'_>) -> Option<Fault> {
    forbidden_in(case, body(case))
}

fn opt_out(case: &Case<'_>) -> Option<Fault> {
    let word = stop::word(case.locale.language);
    let asked = case.order.channel == Channel::Sms && has_link(case.order.kind);
    if !asked || case.rendered.text.contains(word) {
        return None;
    }
    fault(Rule::OptOut, format!("{{{{ stop_word }}}} ({word}) is not told"))
}

fn reads_easily(case: &Case<'_>) -> Option<Fault> {
    if case.order.channel != Channel::Email {
        return None;
    }
    let least = reading::least(case.locale.language);
    let score = reading::score(&body(case).replace(case.link, ""), case.locale.language)?;
    if score >= least {
        return None;
    }
    let message = format!(
        "hard to read ({score:.0}, and {least:.0} is plain): write shorter words and sentences"
    );
    fault(Rule::Reading, message)
}

fn same_in_html(case: &Case<'_>) -> Option<Fault> {
    let seen = visible(case.rendered.html.as_deref()?);
    let href = format!("href=\"{}\"", case.link.replace('&', "&amp;"));
    if has_link(case.order.kind) && !case.rendered.html.as_deref()?.contains(&href) {
        return fault(Rule::SameInHtml, "the HTML has no button with the link");
    }
    let lines =
        case.rendered.text.lines().map(|line| spaced(line.trim_end_matches([':', ' ', '\u{a0}'])));
    let missing = lines
        .filter(|line| !line.is_empty() && *line != case.link && *line != "--")
        .find(|line| !seen.contains(line.as_str()))?;
    fault(Rule::SameInHtml, format!("the HTML does not say `{missing}`"))
}

/// What a person sees of an HTML part.
fn visible(html: &str) -> String {
    let body = html.find("<body").map_or(html, |at| &html[at..]);
    let mut text = String::new();
    let mut inside = false;
    for c in body.chars() {
        match c {
            '<' => inside = true,
            '>' => {
                inside = false;
                text.push(' ');
            }
            _ if !inside => text.push(c),
            _ => {}
        }
    }
    let pairs = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#x27;", "'"), ("&amp;", "&")];
    spaced(&pairs.iter().fold(text, |text, (from, to)| text.replace(from, to)))
}

fn spaced(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What WhatsApp refuses in a template's body.
fn whatsapp_form(case: &Case<'_>) -> Option<Fault> {
    let call = case.rendered.whatsapp.as_ref()?;
    let text = case.rendered.text.as_str();
    let edge =
        call.variables.iter().find(|v| text.starts_with(v.as_str()) || text.ends_with(v.as_str()));
    if let Some(variable) = edge {
        return fault(
            Rule::Whatsapp,
            format!("a body may not begin or end with a variable (`{variable}`)"),
        );
    }
    if text.contains("\n\n\n") || text.contains("    ") {
        return fault(
            Rule::Whatsapp,
            "a body may not hold more than two line breaks or three spaces in a row",
        );
    }
    None
}
