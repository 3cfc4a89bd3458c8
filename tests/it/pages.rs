//! Pages: what a person must find on them, in every state and language, and nothing else.

use std::collections::BTreeMap;

use recoup::core::case::State;
use recoup::core::decline::Category;
use recoup::core::policy::MessageKind;
use recoup::http::pages::{
    CasesView, Door, LoginView, MESSAGE_POLICY, PayNotice, PayState, case_page, cases_page,
    content_security_policy, login_page, pay_page, problem_page, set_up_page, unknown_link_page,
};
use recoup::message::render;

use crate::messages::{LINK, brand, order, unescape};
use crate::views::{case, case_view, cases_view, empty_view, pay, shell};

const EVIL: &str = "<script>alert(1)</script>";

/// What is true of every page.
fn is_whole(html: &str) {
    for gap in
        ["{{", "{%", "{amount}", "{plan}", "{date}", "{last4}", "undefined", "cannot be shown"]
    {
        assert!(!html.contains(gap), "{gap} in {html}");
    }
    assert!(html.starts_with("<!doctype html>"), "{html}");
    assert!(html.contains("<html lang=\"") && html.contains("name=\"viewport\""));
    assert!(html.contains("prefers-color-scheme:dark"));
    // The dashboard's own style and script, and no other.
    let rest = html.replace("<script src=\"/assets/htmx.js", "");
    let rest = rest.replace("<link rel=\"stylesheet\" href=\"/assets/desk.css", "");
    assert!(!rest.contains("<script") && !rest.contains("<link ") && !rest.contains("@import"));
    assert!(html.len() <= 50_000, "{} bytes", html.len());
    assert!(html.contains("<h1") || html.contains("<h2"));
}

fn button(html: &str, path: &str) -> Option<String> {
    let (_, rest) = html.split_once(&format!("<form method=\"post\" action=\"{path}\""))?;
    let (_, rest) = rest.split_once("<button")?;
    let (_, rest) = rest.split_once('>')?;
    Some(unescape(rest.split_once("</button>")?.0))
}

#[test]
fn the_hosted_page_says_what_is_owed_and_opens_its_doors() {
    for (locale, label, why, next) in [
        ("en-US", "Update card and pay $29.00", "insufficient funds", "Tue 24 Nov"),
        (
            "es-US",
            "Actualizar tarjeta y pagar $29.00",
            "fondos insuficientes",
            "martes 24 de noviembre",
        ),
    ] {
        let html = pay_page(&pay(State::Scheduled), locale);
        is_whole(&html);
        assert_eq!(button(&html, "/pay/tok_1/update-card").as_deref(), Some(label));
        for text in [why, next, "Café Nube", "Plan Pro", "4242", "+57 601 555 0100", "ayuda@"] {
            assert!(html.contains(text), "{text} in {html}");
        }
        for door in ["retry", "more-time", "other-way", "already-paid", "stop-reminders"] {
            assert!(button(&html, &format!("/pay/tok_1/{door}")).is_some(), "{door} in {html}");
        }
        assert!(html.contains(&format!("<html lang=\"{locale}\"")));
    }
}

#[test]
fn a_door_that_was_not_opened_is_not_there() {
    let mut view = pay(State::Scheduled);
    view.doors = vec![Door::UpdateCard];
    let html = pay_page(&view, "en");
    assert_eq!(html.matches("<form ").count(), 1, "{html}");
}

#[test]
fn a_bank_confirmation_is_no_card_problem() {
    let mut view = pay(State::AwaitingCustomer);
    view.state = PayState::ConfirmBank;
    let html = pay_page(&view, "en");
    is_whole(&html);
    let label = button(&html, "/pay/tok_1/update-card");
    assert_eq!(label.as_deref(), Some("Confirm with my bank"));
    assert!(html.contains("Your card is fine") && !html.contains("insufficient funds"));
}

#[test]
fn an_ended_case_shows_how_it_ended_and_offers_nothing() {
    for (state, text) in [
        (State::Recovered, "We received $29.00 for Plan Pro"),
        (State::Stopped, "Nothing to pay"),
        (State::Exhausted, "We no longer try to collect $29.00"),
        (State::Attempting, "Your payment is being made"),
    ] {
        let html = pay_page(&pay(state), "en");
        is_whole(&html);
        assert!(html.contains(text), "{text} in {html}");
        assert_eq!(html.matches("<form ").count(), 0, "{html}");
    }
}

#[test]
fn every_state_notice_and_language_is_whole_also_where_nothing_is_known() {
    let notices = [
        PayNotice::CardDeclined,
        PayNotice::CardReceived,
        PayNotice::NoMoreTime,
        PayNotice::NotNow,
        PayNotice::RetryDeclined,
        PayNotice::NotedAlreadyPaid,
        PayNotice::NotedMoreTime,
        PayNotice::RemindersStopped,
        PayNotice::Retrying,
        PayNotice::Unavailable,
    ];
    for state in State::ALL {
        for locale in ["en", "es-CO", "de", ""] {
            let mut view = pay(state);
            view.description = None;
            view.last4 = None;
            view.category = None;
            view.retry_at = None;
            view.brand.support_email = None;
            view.brand.support_phone = None;
            view.brand.postal_address = None;
            for notice in notices {
                view.notice = Some(notice);
                let html = pay_page(&view, locale);
                is_whole(&html);
                assert!(html.contains("role=\"status\""), "{html}");
                assert!(!html.contains("notice_"), "{html}");
            }
        }
        is_whole(&unknown_link_page(&brand(), "es"));
    }
}

#[test]
fn lost_and_stolen_are_never_named_to_the_customer() {
    let mut view = pay(State::AwaitingCustomer);
    view.category = Some(Category::LostOrStolen);
    let html = pay_page(&view, "en").to_lowercase();
    assert!(!html.contains("stolen") && !html.contains("lost"), "{html}");
}

#[test]
fn nothing_that_somebody_typed_becomes_markup() {
    let mut view = pay(State::Scheduled);
    view.brand.name = EVIL.to_owned();
    view.brand.logo_url = Some("javascript:alert(1)".to_owned());
    view.brand.postal_address = Some(EVIL.to_owned());
    view.description = Some(format!("{EVIL} {{amount}}"));
    view.action = "/pay/\"><script>".to_owned();
    let html = pay_page(&view, "en");
    assert!(!html.contains("<script") && !html.contains("javascript:"), "{html}");

    let mut view = case_view(State::Scheduled);
    view.shell.brand = EVIL.to_owned();
    view.case.description = Some(EVIL.to_owned());
    view.case.invoice = EVIL.to_owned();
    view.case.flags = vec![EVIL.to_owned()];
    view.customer.as_mut().unwrap().contact.name = Some(EVIL.to_owned());
    view.ledger[0].text = EVIL.to_owned();
    view.messages[0].subject = EVIL.to_owned();
    view.messages[0].html = Some(EVIL.to_owned());
    assert!(!case_page(&view).contains(EVIL));

    let mut view = cases_view();
    view.query = format!("\"{EVIL}");
    view.names = BTreeMap::from([("cus_ana".to_owned(), EVIL.to_owned())]);
    let html = cases_page(&view);
    assert!(!html.contains(EVIL) && !html.contains("value=\"\"<"), "{html}");
    let door = LoginView {
        brand: EVIL,
        problem: Some(EVIL),
        people: true,
        token: true,
        provider: Some(EVIL),
    };
    assert!(!login_page(&door).contains("<script"));
    assert!(!set_up_page(EVIL, Some(EVIL), Some(EVIL)).contains("<script"));
    assert!(!problem_page(&shell(), EVIL, EVIL).contains(EVIL));
}

#[test]
fn the_list_filters_searches_and_leads_to_each_case() {
    let mut view = cases_view();
    view.query = "cus ana".to_owned();
    let html = cases_page(&view);
    is_whole(&html);
    for text in [
        "52 cases, 1 to 6",
        "href=\"/cases?q=cus+ana&amp;state=awaiting_customer\"",
        "href=\"/cases?page=2\"",
        "value=\"cus ana\"",
        "Ana Ruiz",
        "$29.00",
        "Insufficient funds",
        "aria-current",
        &format!("href=\"/cases/{}\"", view.cases[0].id),
    ] {
        assert!(html.contains(text), "{text} in {html}");
    }
}

#[test]
fn the_empty_list_teaches() {
    let html = cases_page(&empty_view());
    is_whole(&html);
    assert!(html.contains("No failed payment yet"), "{html}");
    let filtered = cases_page(&CasesView { is_filtered: true, ..empty_view() });
    assert!(filtered.contains("No case matches") && !filtered.contains("No failed payment"));
}

#[test]
fn a_case_tells_all_it_saw_and_why() {
    let view = case_view(State::Scheduled);
    let html = case_page(&view);
    is_whole(&html);
    for entry in &view.ledger {
        assert!(html.contains(&entry.text), "{} in {html}", entry.text);
        if let Some(decision) = &entry.decision {
            assert!(unescape(&html).contains(&decision.why), "{} in {html}", decision.why);
        }
    }
    let plain = unescape(&html);
    for text in [
        view.messages[0].text.as_str().trim(),
        "250 2.0.0 OK: queued as 4F2A",
        "Tue 24 Nov, 09:10 (in 2 days)",
        view.case.next.why.as_str(),
        "Visa ending 4242, until 2027-03",
        "Last notice by email, Fri 20 Nov, 10:02: waits to be sent.",
    ] {
        assert!(plain.contains(text), "{text} in {html}");
    }
    for action in ["retry", "write", "pause", "stop", "link", "mark-paid", "note"] {
        let path = format!("/cases/{}/{action}", view.case.id);
        assert!(button(&html, &path).is_some(), "{action} in {html}");
    }
    assert_eq!(html.matches("value=\"csrf_1\"").count(), 7 + 1, "and one to sign out");
    assert!(plain.contains("Charges $29.00 as soon as earlier attempts are looked up"), "{plain}");
}

#[test]
fn actions_are_those_that_the_state_allows() {
    for state in State::ALL {
        let html = case_page(&case_view(state));
        is_whole(&html);
        let id = case("in_1", state).id;
        let has = |action: &str| html.contains(&format!("/cases/{id}/{action}\""));
        assert_eq!(has("stop"), !state.is_ended(), "{state:?}");
        assert_eq!(has("resume"), state == State::Paused, "{state:?}");
        let is_flying = matches!(state, State::Attempting | State::AwaitingOutcome);
        let may_retry = !state.is_ended() && !is_flying && state != State::Paused;
        assert_eq!(has("retry"), may_retry, "{state:?}");
    }
}

#[test]
fn a_mail_in_its_frame_runs_nothing() {
    let html = case_page(&case_view(State::Scheduled));
    assert!(html.contains("<iframe ") && html.contains(" sandbox loading=\"lazy\" src=\"/cases/"));
    let policy = content_security_policy(&html);
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    assert!(policy.contains("script-src 'self'"), "{policy}");
    assert!(MESSAGE_POLICY.starts_with("sandbox;") && !MESSAGE_POLICY.contains("script"));
}

/// Writes every page to the folder named by `RECOUP_PAGES`, to be looked at in a browser.
#[test]
fn pages_can_be_looked_at() {
    let Some(dir) = std::env::var_os("RECOUP_PAGES") else {
        return;
    };
    let dir = std::path::Path::new(&dir);
    let write = |name: &str, html: String| std::fs::write(dir.join(name), html).unwrap();
    let mut notice = pay(State::Scheduled);
    notice.notice = Some(PayNotice::CardReceived);
    let mut simple = pay(State::AwaitingCustomer);
    simple.category = Some(Category::CredentialOutdated);
    simple.retry_at = None;
    simple.doors = vec![Door::UpdateCard, Door::StopReminders];
    simple.brand.color = Some("#ffd400".to_owned());
    write("pay-en.html", pay_page(&pay(State::Scheduled), "en-US"));
    write("pay-es.html", pay_page(&simple, "es-CO"));
    write("pay-notice.html", pay_page(&notice, "en-US"));
    write("pay-done.html", pay_page(&pay(State::Recovered), "en-US"));
    write("pay-stopped.html", pay_page(&pay(State::Stopped), "es-CO"));
    write("pay-working.html", pay_page(&pay(State::Attempting), "en"));
    write("pay-unknown.html", unknown_link_page(&brand(), "en"));
    write("cases.html", cases_page(&cases_view()));
    write("cases-empty.html", cases_page(&empty_view()));
    write("case.html", case_page(&case_view(State::Scheduled)));
    write("case-done.html", case_page(&case_view(State::Recovered)));
    write(
        "login.html",
        login_page(&LoginView {
            brand: "Café Nube",
            problem: Some("That token is not right."),
            people: true,
            token: true,
            provider: None,
        }),
    );
    for kind in MessageKind::ALL {
        let mail = render(&order(kind, "es-CO"), &brand(), LINK).unwrap();
        write(&format!("mail-{}.html", kind.as_str()), mail.html.unwrap());
    }
}

#[test]
fn who_just_gave_a_card_is_not_asked_for_one() {
    for notice in [PayNotice::CardReceived, PayNotice::Retrying] {
        let mut view = pay(State::AwaitingCustomer);
        view.notice = Some(notice);
        let html = pay_page(&view, "en");
        is_whole(&html);
        assert_eq!(html.matches("<form ").count(), 0, "{html}");
        assert!(html.contains("Check again") && !html.contains("didn't go through"), "{html}");
    }
}
