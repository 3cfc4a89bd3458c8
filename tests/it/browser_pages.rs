//! The customers' pages in a real browser: for everybody, on every screen, in every language.
//!
//! What must stay true: axe-core finds nothing, light and dark, in any language; nothing is wider
//! than a small phone; everything works without JavaScript.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{Html, IntoResponse as _, Response};
use recoup::core::case::State as CaseState;
use recoup::core::money::Money;
use recoup::http::pages::{
    Owed, Past, PastOutcome, PayNotice, PayState, PayView, Verdict, busy_page,
    content_security_policy, pay_page, unknown_link_page, verify_page,
};
use recoup::sandbox::Step;
use url::Url;

use crate::browser::{Browser, Scripts};
use crate::messages::brand;
use crate::page_world::World;
use crate::views::{at, pay};

const LOCALES: [&str; 7] = ["en-US", "es-CO", "es-ES", "fr-FR", "it-IT", "pt-BR", "pt-PT"];

/// An open case with everything on its page.
fn full() -> PayView {
    let mut view = pay(CaseState::Scheduled);
    view.card_is_for_all = true;
    let euros = Money::new(1250, "USD".parse().unwrap());
    view.others = vec![Owed {
        amount: euros,
        description: Some("Almacenamiento adicional de fotografías, 2 TB".to_owned()),
        href: "/pay/tok_2".to_owned(),
        token: "tok_2".to_owned(),
    }];
    let line = |when: &str, outcome| Past {
        at: at(when),
        amount: view.amount,
        description: view.description.clone(),
        outcome,
    };
    view.history = vec![
        line("2026-11-21T14:10:00Z", PastOutcome::Working),
        line("2026-11-18T15:02:00Z", PastOutcome::Failed),
        line("2026-10-18T15:02:00Z", PastOutcome::Paid),
        line("2026-09-18T15:02:00Z", PastOutcome::Closed),
    ];
    view
}

/// Names that people really have, and worse.
fn hostile() -> PayView {
    let mut view = full();
    view.brand.name = format!("\u{202e}{} 🦊 <b>شركة النخيل</b>", "Ünbreakable".repeat(30));
    view.brand.postal_address = Some("x".repeat(10_000));
    view.description = Some(format!("{} 🏳️‍🌈 مساحة", "W".repeat(300)));
    view.others[0].description = Some("خطة العائلة".repeat(40));
    view
}

fn pages(locale: &str) -> Vec<(&'static str, String)> {
    let brand = brand();
    let ended = |state| PayView { history: full().history, ..pay(state) };
    let bank = PayView { state: PayState::ConfirmBank, ..full() };
    let told = PayView { notice: Some(PayNotice::NoMoreTime), ..full() };
    vec![
        ("open", pay_page(&full(), locale)),
        ("told", pay_page(&told, locale)),
        ("bank", pay_page(&bank, locale)),
        ("working", pay_page(&pay(CaseState::Attempting), locale)),
        ("paid", pay_page(&ended(CaseState::Recovered), locale)),
        ("stopped", pay_page(&ended(CaseState::Stopped), locale)),
        ("unknown", unknown_link_page(&brand, locale)),
        ("busy", busy_page(&brand, locale)),
        ("verify", verify_page(&brand, locale, None)),
        ("genuine", verify_page(&brand, locale, Some(Verdict::Genuine))),
        ("foreign", verify_page(&brand, locale, Some(Verdict::NotGenuine))),
        ("hostile", pay_page(&hostile(), locale)),
    ]
}

type Shelf = Arc<BTreeMap<String, String>>;

/// Serves pages as the service does, with their policy.
async fn shelf(pages: BTreeMap<String, String>) -> String {
    async fn show(State(shelf): State<Shelf>, Path(name): Path<String>) -> Response {
        let html = shelf.get(&name).cloned().unwrap_or_default();
        let policy = content_security_policy(&html);
        ([(header::CONTENT_SECURITY_POLICY, policy)], Html(html)).into_response()
    }
    let app = axum::Router::new().route("/{name}", axum::routing::get(show));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app.with_state(Arc::new(pages))).await });
    format!("http://{address}")
}

#[test]
fn every_page_is_small_whatever_is_on_it() {
    for locale in LOCALES {
        for (name, html) in pages(locale) {
            let allowed = if name == "hostile" { 60_000 } else { 30_000 };
            assert!(html.len() < allowed, "{name} in {locale}: {} bytes", html.len());
            assert!(!html.contains("<b>ش") && !html.contains("<script"), "{name} in {locale}");
            assert!(html.contains("dir=\"ltr\"") && !html.contains("http-equiv"), "{name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn axe_finds_nothing_and_nothing_is_too_wide_in_any_language_light_and_dark() {
    let Some(browser) = Browser::open(Scripts::On).await else { return };
    let all = LOCALES.iter().flat_map(|locale| {
        pages(locale).into_iter().map(move |(name, html)| (format!("{name}-{locale}"), html))
    });
    let all: BTreeMap<String, String> = all.collect();
    let base = shelf(all.clone()).await;
    let mut found = Vec::new();
    for name in all.keys() {
        browser.page.goto(&format!("{base}/{name}")).await.unwrap();
        let open = "document.querySelectorAll('details').forEach(d => { d.open = true })";
        browser.page.execute(open, Vec::new()).await.unwrap();
        for scheme in ["light", "dark"] {
            browser.look(390, scheme).await;
            for violation in browser.violations().await {
                found.push(format!("{name} {scheme}: {violation:#}"));
            }
        }
        for width in [320, 768, 1280] {
            browser.look(width, "light").await;
            let over = browser.overflow().await;
            if over > 0 {
                found.push(format!("{name} at {width}: {over} px too wide"));
            }
        }
        let rtl = "document.documentElement.dir = 'rtl'";
        browser.page.execute(rtl, Vec::new()).await.unwrap();
        browser.look(320, "light").await;
        let over = browser.overflow().await;
        if over > 0 {
            found.push(format!("{name} from right to left: {over} px too wide"));
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_for_people() {
    if std::env::var_os("RECOUP_SCREENSHOTS").is_none() {
        return;
    }
    let Some(browser) = Browser::open(Scripts::On).await else { return };
    let mut all = BTreeMap::new();
    for locale in LOCALES {
        for (name, html) in pages(locale) {
            all.insert(format!("{name}-{locale}"), html);
        }
    }
    let base = shelf(all.clone()).await;
    for name in all.keys() {
        browser.page.goto(&format!("{base}/{name}")).await.unwrap();
        for (width, scheme) in [(320, "light"), (390, "dark"), (1280, "light")] {
            browser.look(width, scheme).await;
            browser.picture(&format!("{name}-{width}-{scheme}")).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_javascript_a_customer_pays_with_a_new_card() {
    let Some(browser) = Browser::open(Scripts::Off).await else { return };
    let world = World::new().await;
    let on = world.customer("en-US", vec![Step::decline("lost_card"), Step::approve()]);
    let (invoice, link) = world.bill(&on).await;
    let page = &browser.page;
    page.goto(&world.url(&link)).await.unwrap();
    assert_eq!(browser.read("button.primary").await, "Update card and pay $29.00");
    let gateway = |url: &Url| url.path().starts_with("/stripe/pages/portal/");
    browser.press("button.primary", gateway).await;
    let other = "input[value='5555555555554444']";
    browser.find(other).await.click().await.unwrap();
    let back = browser.press("button", |url| url.path() == link).await;
    assert_eq!(back.query(), Some("done=card"));
    world.settle().await;
    page.refresh().await.unwrap();
    assert_eq!(browser.read("h1").await, "Thank you");
    assert_eq!(world.case(&invoice).await["state"], "recovered");
    assert!(world.sandbox.double_charges().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_javascript_a_customer_asks_for_a_day() {
    let Some(browser) = Browser::open(Scripts::Off).await else { return };
    let world = World::new().await;
    let on = world.customer("en-US", vec![Step::decline("insufficient_funds")]);
    let (_, link) = world.bill(&on).await;
    let page = &browser.page;
    page.goto(&world.url(&link)).await.unwrap();
    browser.find(".others summary").await.click().await.unwrap();
    let field = browser.find("input[type=date]").await;
    field.send_keys("01152026").await.unwrap();
    browser.press("form[action$=more-time] button", |url| url.query().is_some()).await;
    let notice = browser.read("[role=status]").await;
    assert!(notice.contains("written down the date"), "{notice}");
    let lead = browser.read(".lead").await;
    assert!(lead.contains("Thu 15 Jan"), "{lead}");
}
