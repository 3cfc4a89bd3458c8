//! Messages: every kind, language and gap gives good sentences, one link and the exact amount.

use recoup::core::customer::Channel;
use recoup::core::decline::Category;
use recoup::core::effect::{MessageOrder, OwedInvoice};
use recoup::core::event::Contact;
use recoup::core::ids::{CaseId, MessageId};
use recoup::core::money::Money;
use recoup::core::policy::{MessageKind, SubscriptionAction};
use recoup::message::format::money;
use recoup::message::locale::choose;
use recoup::message::{Brand, Register, Rendered, Texts, has_link, render};

pub(crate) const LINK: &str = "https://pay.cafenube.example/pay/Ab3dE9x-1_2?x=1&y=2";

pub(crate) use recoup::message::sample::brand;

fn bare_brand() -> Brand {
    Brand { support_email: None, support_phone: None, postal_address: None, color: None, ..brand() }
}

/// An order of which everything is known.
pub(crate) fn order(kind: MessageKind, locale: &str) -> MessageOrder {
    MessageOrder {
        id: MessageId("msg_0123456789abcdef0123".to_owned()),
        kind,
        channel: Channel::Email,
        contact: Contact {
            name: Some("Ana Ruiz".to_owned()),
            email: Some("ana@customer.example".to_owned()),
            locale: Some(locale.to_owned()),
            time_zone: Some("America/Bogota".to_owned()),
            ..Contact::default()
        },
        amount: Money::new(2_900_050, "COP".parse().unwrap()),
        description: Some("Plan Pro".to_owned()),
        last4: Some("4242".to_owned()),
        category: Category::InsufficientFunds,
        retry_at: Some("2026-11-24T14:10:00Z".parse().unwrap()),
        ends_at: Some("2026-12-04T14:10:00Z".parse().unwrap()),
        subscription_action: SubscriptionAction::Pause,
        also_owed: Vec::new(),
        withheld: false,
    }
}

/// The same with everything optional away.
fn bare(order: &MessageOrder) -> MessageOrder {
    MessageOrder {
        contact: Contact { locale: order.contact.locale.clone(), ..Contact::default() },
        description: None,
        last4: None,
        retry_at: None,
        ends_at: None,
        ..order.clone()
    }
}

/// Every kind, language, action and gap.
fn every() -> Vec<(MessageOrder, Brand, Rendered)> {
    let mut all = Vec::new();
    let actions = [SubscriptionAction::Keep, SubscriptionAction::Pause, SubscriptionAction::Cancel];
    for kind in MessageKind::ALL {
        for locale in ["en-US", "es-CO", "es-ES", "pt-BR", "pt-PT", "fr", "it"] {
            for action in actions {
                let full = MessageOrder { subscription_action: action, ..order(kind, locale) };
                for (order, brand) in [(bare(&full), bare_brand()), (full.clone(), brand())] {
                    let rendered = render(&order, &brand, LINK).unwrap();
                    all.push((order, brand, rendered));
                }
            }
        }
    }
    all
}

/// What a person sees of an HTML part.
fn visible(html: &str) -> String {
    let body = &html[html.find("<body").unwrap()..];
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
    unescape(&text).split(' ').filter(|w| !w.trim().is_empty()).collect::<Vec<_>>().join(" ")
}

pub(crate) fn unescape(text: &str) -> String {
    let pairs = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#x27;", "'"), ("&#x2f;", "/")];
    let text = pairs.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to));
    text.replace("&amp;", "&")
}

#[test]
fn every_message_is_whole() {
    for (order, brand, message) in every() {
        let html = message.html.as_deref().unwrap();
        let what = format!("{:?}\n{}\n{}", order.kind, message.subject, message.text);
        for part in [&message.subject, &message.text, &visible(html)] {
            for gap in ["{{", "{%", "}}", "None", "undefined", "  ", " ,", " .", "()", ",,"] {
                assert!(!part.contains(gap), "{gap:?} in {what}");
            }
        }
        let amount = money(order.amount, &choose(order.contact.locale.as_deref(), &brand.locale));
        assert!(message.text.contains(&amount), "{amount} in {what}");
        assert!(visible(html).contains(&amount), "{amount} in the HTML of {what}");
        assert!(html.len() <= 30_000, "{} bytes: {what}", html.len());
        assert!(message.subject.chars().count() <= 80, "{what}");
        assert!(message.text.split_whitespace().count() <= 130, "{what}");
    }
}

#[test]
fn a_message_has_exactly_one_link_and_thanks_have_none() {
    for (order, _, message) in every() {
        let html = message.html.as_deref().unwrap();
        let wanted = usize::from(has_link(order.kind));
        assert_eq!(message.text.matches("http").count(), wanted, "{}", message.text);
        assert_eq!(message.text.matches(LINK).count(), wanted, "{}", message.text);
        assert_eq!(html.matches("<a ").count(), wanted, "{html}");
        let href = format!("href=\"{}\"", LINK.replace('&', "&amp;"));
        assert_eq!(html.matches(&href).count(), wanted, "{html}");
        assert_eq!(html.matches("src=").count(), 0, "{html}");
    }
}

#[test]
fn html_and_text_say_the_same() {
    for (_, _, message) in every() {
        let seen = visible(message.html.as_deref().unwrap());
        for line in message.text.lines().filter(|l| !l.is_empty() && *l != LINK && *l != "-- ") {
            assert!(seen.contains(line.trim_end_matches([':', '\u{a0}'])), "{line:?} in {seen}");
        }
    }
}

#[test]
fn no_message_threatens_or_names_what_is_not_to_be_named() {
    let words = [
        "fail",
        "debt",
        "overdue",
        "final",
        "warning",
        "delinquent",
        "immediately",
        "collection",
        "stolen",
        "lost",
        "fraud",
        "deuda",
        "mora",
        "cobranza",
        "vencid",
        "fraude",
        "robad",
        "perdid",
        "fall",
        "rechaz",
        "inmediat",
        "!",
        "urgent",
    ];
    // The words are English and Spanish; the message check has lists of every language.
    let ours = |o: &MessageOrder| {
        o.contact.locale.as_deref().is_some_and(|l| l.starts_with("en") || l.starts_with("es"))
    };
    for (order, brand, _) in every().into_iter().filter(|(order, ..)| ours(order)) {
        for category in [Category::LostOrStolen, Category::FraudSuspected, order.category] {
            let message =
                render(&MessageOrder { category, ..order.clone() }, &brand, LINK).unwrap();
            let all = format!("{}\n{}", message.subject, message.text).to_lowercase();
            for word in words {
                let is_start = |w: &str| w.starts_with(word);
                let mut parts = all.split(|c: char| !c.is_alphabetic() && c != '!');
                assert!(!parts.any(is_start) && !all.contains("último aviso"), "{word}: {all}");
            }
        }
    }
}

#[test]
fn a_name_is_text_and_never_markup_or_a_link() {
    let mut nasty = order(MessageKind::CardUpdate, "en");
    nasty.contact.name = Some("<script>alert(1)</script> {{ link }}".to_owned());
    nasty.description = Some("Tom & Jerry \"<b>\"".to_owned());
    let message = render(&nasty, &brand(), LINK).unwrap();
    let html = message.html.as_deref().unwrap();
    assert!(!html.contains("<script>") && !html.contains("<b>"), "{html}");
    assert!(visible(html).contains("Tom & Jerry \"<b>\""), "{}", visible(html));
    assert!(message.text.contains("Tom & Jerry \"<b>\""));

    for name in
        ["Win at https://evil.example", "www.evil.example", "a\nSubject: x www.x", &"x".repeat(61)]
    {
        nasty.contact.name = Some(name.to_owned());
        let message = render(&nasty, &brand(), LINK).unwrap();
        assert!(message.text.starts_with("Hello,"), "{}", message.text);
    }
}

#[test]
fn the_language_is_the_customers_else_the_merchants() {
    for (customer, locale, hello) in [
        (Some("en-US"), "en-US", "Hi Ana Ruiz,"),
        (Some("es-MX"), "es-MX", "Hola, Ana Ruiz:"),
        (Some("pt-BR"), "pt-BR", "Olá, Ana Ruiz,"),
        (Some("fr-CA"), "fr-CA", "Bonjour Ana Ruiz,"),
        (Some("it"), "it", "Ciao Ana Ruiz,"),
        (Some("de"), "es-CO", "Hola, Ana Ruiz:"),
        (None, "es-CO", "Hola, Ana Ruiz:"),
    ] {
        let mut order = order(MessageKind::PaymentFailed, "");
        order.contact.locale = customer.map(str::to_owned);
        let message = render(&order, &brand(), LINK).unwrap();
        assert_eq!(message.locale, locale);
        assert!(message.text.starts_with(hello), "{}", message.text);
    }
}

/// Everything that one locale reads, on every channel: for a native speaker to read through.
fn all_of(locale: &str, register: Register) -> String {
    let brand = Brand { texts: Texts::shipped(register), ..brand() };
    let mut all = String::new();
    for kind in MessageKind::ALL {
        for channel in [Channel::Email, Channel::Sms, Channel::Whatsapp] {
            let full = MessageOrder { channel, ..order(kind, locale) };
            for (variant, order) in [("full", full.clone()), ("bare", bare(&full))] {
                let message = render(&order, &brand, LINK).unwrap();
                let (kind, channel) = (kind.as_str(), channel.as_str());
                all += &format!("=== {kind} {channel} {variant}\n");
                if !message.subject.is_empty() {
                    all += &format!("Subject: {}\n", message.subject);
                }
                all += &format!("{}\n\n", message.text.replace('\u{a0}', "~"));
            }
        }
    }
    all
}

#[test]
fn golden_texts() {
    for locale in ["en", "es", "es-ES", "fr", "it", "pt", "pt-PT"] {
        insta::assert_snapshot!(format!("texts_{locale}"), all_of(locale, Register::Informal));
    }
    for locale in ["es", "it"] {
        insta::assert_snapshot!(format!("texts_{locale}_formal"), all_of(locale, Register::Formal));
    }
}

#[test]
fn several_invoices_are_one_message_with_every_amount() {
    for locale in ["en", "es-CO", "es-ES", "pt-BR", "pt-PT", "fr", "it"] {
        for kind in MessageKind::ALL {
            let mut order = order(kind, locale);
            order.also_owed = vec![
                owed("in_2", 1_000_025, "COP", Some("Plan Extra")),
                owed("in_3", 2900, "USD", None),
            ];
            let message = render(&order, &brand(), LINK).unwrap();
            let locale = choose(Some(locale), "en");
            let shown =
                |minor, code: &str| money(Money::new(minor, code.parse().unwrap()), &locale);
            let seen = visible(message.html.as_deref().unwrap());
            for amount in [shown(1_000_025, "COP"), shown(2900, "USD")] {
                assert!(message.text.contains(&amount), "{amount} in {}", message.text);
                assert!(seen.contains(&amount), "{amount} in {seen}");
            }
            // Of a thank-you, the amount is what was paid; of the others the sum, by currency.
            let sum = if kind == MessageKind::Recovered { 2_900_050 } else { 3_900_075 };
            assert!(message.text.contains(&shown(sum, "COP")), "{}", message.text);
        }
    }
}

fn owed(invoice: &str, minor: i64, code: &str, description: Option<&str>) -> OwedInvoice {
    OwedInvoice {
        case: CaseId("case_0123456789abcdef0123".to_owned()),
        invoice: invoice.to_owned(),
        amount: Money::new(minor, code.parse().unwrap()),
        description: description.map(str::to_owned),
        ends_at: None,
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(24))]
    #[test]
    fn whatever_somebody_is_called_nothing_of_it_is_markup_or_a_header(
        name in ".{0,80}", brand_name in "[^\\p{C}]{0,80}", plan in ".{0,80}",
    ) {
        for channel in [Channel::Email, Channel::Sms, Channel::Whatsapp] {
            let mut order = MessageOrder { channel, ..order(MessageKind::CardUpdate, "es") };
            order.contact.name = Some(format!("<b>{name}"));
            order.description = Some(format!("{plan}<i>\r\nBcc: x"));
            let brand = Brand { name: format!("<u>{brand_name}"), ..brand() };
            let message = render(&order, &brand, LINK).unwrap();
            proptest::prop_assert!(!message.subject.contains(['\r', '\n']));
            let html = message.html.unwrap_or_default();
            proptest::prop_assert!(!html.contains("<b>") && !html.contains("<i>"));
            proptest::prop_assert!(!html.contains("<u>"));
            let call = message.whatsapp.into_iter().flat_map(|call| call.variables);
            for variable in call {
                let is_line = !variable.is_empty() && !variable.contains(['\n', '\t']);
                proptest::prop_assert!(is_line, "{variable:?}");
            }
        }
    }
}
