//! Each rule has a text that breaks it, and only it is told.

use super::*;
use crate::message::{Register, Texts};

/// The findings about a merchant's own sheet.
fn with(sheet: &str) -> Vec<Finding> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("en.toml"), sheet).unwrap();
    let texts = Texts::read(folder.path(), Register::Informal).unwrap();
    let english = crate::message::locale::choose(Some("en"), "en");
    let mut found = check_locale(&Brand { texts, ..sample::brand() }, &english);
    once_each(&mut found);
    found
}

fn only(sheet: &str, rule: Rule, line: usize, words: &str) {
    let found = with(sheet);
    let told: Vec<_> = found.iter().map(|f| (f.rule, f.line, f.message.as_str())).collect();
    assert_eq!(found.len(), 1, "{told:?}");
    assert_eq!((found[0].rule, found[0].line), (rule, line), "{told:?}");
    assert!(found[0].file.ends_with("en.toml"), "{}", found[0].file);
    assert!(found[0].message.contains(words), "{told:?}");
}

#[test]
fn the_shipped_texts_pass() {
    for register in [Register::Informal, Register::Formal] {
        let found = check(&Brand { texts: Texts::shipped(register), ..sample::brand() });
        let told: Vec<String> = found
            .iter()
            .map(|f| {
                format!("{}:{}: {}: {} ({})", f.file, f.line, f.rule.as_str(), f.message, f.locale)
            })
            .collect();
        assert!(told.is_empty(), "{}", told.join("\n"));
    }
}

#[test]
fn the_shipped_sms_are_one_segment_of_the_gsm_alphabet() {
    let brand = sample::brand();
    for register in [Register::Informal, Register::Formal] {
        let brand = Brand { texts: Texts::shipped(register), ..brand.clone() };
        for locale in brand.texts.locales() {
            for kind in MessageKind::ALL {
                for order in sample::variants(kind, Channel::Sms, &locale) {
                    let text =
                        crate::message::render(&order, &brand, &sample::link(&brand)).unwrap().text;
                    let cost = sms::cost(&text);
                    assert_eq!(
                        cost.encoding,
                        "GSM-7",
                        "{} {text}: {:?}",
                        locale.tag,
                        sms::outside_gsm(&text)
                    );
                    assert!(cost.segments == 1, "{} {text}: {cost:?}", locale.tag);
                }
            }
        }
    }
}

const WHATSAPP: &str = "Hello, this is {{ brand }}. {{ amount }} for {{ plan }}: {{ reason }}. \
    {% if end_on and action != \\\"keep\\\" %}{{ end_on }}.{% endif %} Reply here.";

#[test]
fn each_rule_names_file_line_and_what_is_wrong() {
    only("[confirm_bank]\nsms = 'Confirm: {{ link }} STOP'", Rule::Brand, 2, "brand");
    only("[confirm_bank]\nsms = '{{ brand }}: {{ link }}'", Rule::OptOut, 2, "STOP");
    only("[confirm_bank]\nsms = '{{ brand }} STOP'", Rule::Link, 2, "0 times");
    only(
        "[confirm_bank]\nsms = '{{ brand }} {{ link }} {{ link }} STOP'",
        Rule::Link,
        2,
        "2 times",
    );
    only("[confirm_bank]\nsms = '{{ brand }} {{ link }} www.x.example STOP'", Rule::Link, 2, "own");
    let long = "x".repeat(400);
    only(
        &format!("[confirm_bank]\nsms = '{{{{ brand }}}} {long} {{{{ link }}}} STOP'"),
        Rule::Length,
        2,
        "segments",
    );
    only(&format!("[recovered]\nsubject = '{long}'"), Rule::Length, 2, "subject");
    only("[recovered]\nsubject = 'About your debt'", Rule::Forbidden, 2, "debt");
    only(
        "[confirm_bank]\nbutton = 'A button that is far too long for it'",
        Rule::Whatsapp,
        2,
        "button",
    );
    only(
        &format!("[card_update]\nwhatsapp = \"{WHATSAPP} {{{{ plan }}}}\""),
        Rule::Whatsapp,
        2,
        "end",
    );
}

#[test]
fn a_mail_tells_who_what_how_much_why_when_and_whom_to_ask() {
    let mail = |text: &str| format!("[payment_failed]\nmail = '''\n{text}\n'''\n");
    let full = "{{ amount }} for {{ plan }}: {{ reason }}.\n\n\
                {% if retry_on %}{{ retry_on }}{% endif %}\n\n\
                You can use a new card here. It is quick. It takes no time at all.\n\n\
                Pay:\n{{ link }}\n\n{{ contact }}";
    assert_eq!(with(&mail(full)), []);
    only(&mail(&full.replace("{{ amount }}", "It")), Rule::Amount, 3, "amount");
    only(&mail(&full.replace("{{ plan }}", "it")), Rule::Facts, 3, "plan");
    only(&mail(&full.replace("{{ reason }}", "so")), Rule::Facts, 3, "reason");
    only(&mail(&full.replace("{{ retry_on }}{%", "soon{%")), Rule::Facts, 3, "retry_on");
    only(
        &mail(
            &full.replace("{{ contact }}", "We are glad to have you with us here. See you soon."),
        ),
        Rule::Contact,
        3,
        "support_phone",
    );
    only(&mail(&full.replace("Pay:", "Pay IMMEDIATELY:")), Rule::Forbidden, 9, "immediately");
    let words = "word ".repeat(150);
    only(&mail(&full.replace("Pay:", &format!("{words}.\n\nPay:"))), Rule::Length, 3, "words");
    let office = "Notwithstanding contractual regularization, remuneration obligations necessitate \
                  expeditious administrative intervention. ";
    only(
        &mail(&full.replace("Pay:", &format!("{office}{office}\n\nPay:"))),
        Rule::Reading,
        3,
        "hard",
    );
    // The link stands inside of a paragraph: there is no button in the HTML.
    only(&mail(&full.replace("Pay:\n", "Pay here: ")), Rule::SameInHtml, 3, "button");
}

#[test]
fn a_text_that_fails_only_when_it_is_filled_in_is_found() {
    // `retry_on` is known, but not always.
    let sheet = "[payment_failed]\nsms = \"\"\"\n{{ brand }} {{ link }} STOP\n{{ retry_on }}\"\"\"";
    only(sheet, Rule::Render, 4, "not known");
}
