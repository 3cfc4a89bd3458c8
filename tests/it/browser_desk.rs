//! The dashboard in a real browser: for everybody, on every screen, light and dark.
//!
//! What must stay true: axe-core finds nothing on any page; nothing is wider than a small phone;
//! the policy of the pages stops nothing of their own; what changed appears by itself.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use fantoccini::Locator;
use recoup::core::case::State;
use recoup::core::ids::GatewayId;
use recoup::store::{CaseWrite, Commit, MessageRecord, Store as _};
use serde_json::Value;

use crate::browser::{Browser, Scripts};
use crate::http_samples::case;
use crate::http_support::{Service, TOKEN, at};

/// A service behind a real socket, with a session in the browser.
struct Desk {
    service: Arc<Service>,
    base: String,
    browser: Browser,
}

impl Desk {
    async fn open(service: Service) -> Option<Self> {
        let browser = Browser::open(Scripts::On).await?;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let app = service.app.clone().into_make_service_with_connect_info::<SocketAddr>();
        tokio::spawn(async move { axum::serve(listener, app).await });
        browser.page.goto(&format!("{base}/login")).await.unwrap();
        let token = browser.page.find(Locator::Css("input[name=token]")).await.unwrap();
        token.send_keys(&format!("{TOKEN}\u{e007}")).await.unwrap();
        let home = Locator::Css("body.desk");
        browser.page.wait().for_element(home).await.unwrap();
        Some(Self { service: Arc::new(service), base, browser })
    }

    async fn go(&self, path: &str) {
        self.browser.page.goto(&format!("{}{path}", self.base)).await.unwrap();
        // A policy that stops something of ours is told in the browser's console.
        const WATCH: &str = "window.stopped = []; document.addEventListener(\
            'securitypolicyviolation', e => window.stopped.push(e.violatedDirective))";
        self.browser.page.execute(WATCH, Vec::new()).await.unwrap();
    }

    /// What axe finds on a page at three widths, light and dark, and what is too wide for its
    /// screen; keeps a picture of each.
    async fn faults(&self, (room, name): (&str, &str), path: &str) -> Vec<String> {
        let mut found = Vec::new();
        for (width, scheme) in [(390, "light"), (768, "dark"), (1280, "light"), (1280, "dark")] {
            self.browser.look(width, scheme).await;
            self.go(path).await;
            self.ask(OPEN).await;
            for violation in self.browser.violations().await {
                found.push(format!("{name} {width} {scheme}: {violation:#}"));
            }
            let over = self.browser.overflow().await;
            if over > 0 {
                found.push(format!("{name} at {width}: {over} px too wide"));
            }
            self.browser.picture(&format!("{room}-{name}-{width}-{scheme}")).await;
        }
        found
    }

    async fn ask(&self, script: &str) -> Value {
        self.browser.page.execute(script, Vec::new()).await.unwrap()
    }
}

/// Everything that is closed is looked at too; of the menus, which lie over the page, one.
const OPEN: &str = "document.querySelectorAll('details:not(.menu), .menu:first-child')\
    .forEach(d => d.open = true)";

/// One case of each state, with a mail that was sent and a webhook that was refused.
async fn furnished() -> Service {
    let clock = recoup::clock::Clock::test(at(40 * 86_400));
    let setup = crate::http_support::Setup { clock, ..Default::default() };
    let service = Service::new(setup);
    for (n, state) in (1..).zip(State::ALL) {
        let mut one = case(n);
        one.state = state;
        one.opened_at = at(30 * 86_400 + n);
        one.ended_at = state.is_ended().then(|| at(35 * 86_400));
        one.recovered_by =
            (state == State::Recovered).then_some(recoup::core::case::RecoveredBy::Retry);
        one.card = Some(recoup::core::ids::CardKey::of_token(&GatewayId::from("first"), "pm_1"));
        service.put(one).await;
    }
    let mail = MessageRecord { case: case(1).id, ..crate::views::mail() };
    let mut card = recoup::core::card::Card::new(case(1).card.unwrap_or_else(|| {
        recoup::core::ids::CardKey::of_token(&GatewayId::from("first"), "pm_1")
    }));
    card.network = Some("visa".to_owned());
    let commit = Commit { messages: vec![mail], cards: vec![card], ..Commit::default() };
    service.store.commit(commit).await.unwrap();
    let request = axum::http::Request::post("/webhooks/first").header("x-signature", "bad");
    service.send(request.body("{}".into()).unwrap()).await;
    service
}

fn pages() -> Vec<(&'static str, String)> {
    let one = case(1).id;
    vec![
        ("home", "/?period=all".to_owned()),
        ("home-sample", "/?sample=1&period=30d".to_owned()),
        ("home-empty-month", "/?period=last".to_owned()),
        ("cases", "/cases".to_owned()),
        ("cases-sample", "/cases?sample=1&state=recovered&currency=USD".to_owned()),
        ("cases-none", "/cases?q=nobody".to_owned()),
        ("case", format!("/cases/{one}")),
        ("messages", "/messages".to_owned()),
        ("messages-sample", "/messages?sample=1".to_owned()),
        ("preview", "/messages/preview?of=es-CO".to_owned()),
        ("gateways", "/gateways".to_owned()),
        ("report", "/report".to_owned()),
        ("report-sample", "/report?sample=1".to_owned()),
        ("people", "/users".to_owned()),
        ("audit", "/audit".to_owned()),
        ("problem", "/cases/case_0".to_owned()),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn axe_finds_nothing_on_any_page_at_three_widths_light_and_dark() {
    let Some(desk) = Desk::open(furnished().await).await else { return };
    crate::sign_in::person(&desk.service, "ana.perez.de.la.torre@nube.example", "support").await;
    let token = "{\"name\":\"the warehouse of the north\",\"scopes\":[\"read\",\"metrics\"]}";
    desk.service.api("POST", "/tokens", token).await;
    let mut found = Vec::new();
    for (name, path) in pages() {
        found.extend(desk.faults(("desk", name), &path).await);
        desk.browser.look(320, "light").await;
        let over = desk.browser.overflow().await;
        if over > 0 {
            found.push(format!("{name} at 320: {over} px too wide"));
        }
        let stopped = desk.ask("return window.stopped").await;
        if stopped != serde_json::json!([]) {
            found.push(format!("{name}: the policy stopped {stopped}"));
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn axe_finds_nothing_at_the_door_and_a_person_comes_in_by_it() {
    let Some(desk) = Desk::open(furnished().await).await else { return };
    let body = "{\"email\":\"ana@nube.example\",\"role\":\"viewer\"}";
    let made = desk.service.api("POST", "/users", body).await.json();
    let link = crate::sign_in::path(made["link"].as_str().unwrap());
    desk.browser.page.delete_all_cookies().await.unwrap();
    let mut found = Vec::new();
    for (name, path) in [("login", "/login"), ("set-up", &link), ("void", "/set-up/0")] {
        found.extend(desk.faults(("door", name), path).await);
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
    desk.go(&link).await;
    for field in ["#password", "#again"] {
        let field = desk.browser.find(field).await;
        field.send_keys(crate::sign_in::PASSWORD).await.unwrap();
    }
    desk.browser.press("button.primary", |there| there.path() == "/").await;
    desk.go(&format!("/cases/{}", case(2).id)).await;
    assert_eq!(desk.ask("return document.querySelectorAll('.actions').length").await, 0);
    desk.browser.picture("desk-viewer").await;
    desk.go("/audit").await;
    let heading = desk.browser.read("h1").await;
    assert_eq!(heading, "Not with your role");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_appears_by_itself_and_a_session_that_ends_leads_to_the_door() {
    let Some(desk) = Desk::open(furnished().await).await else { return };
    desk.go(&format!("/cases/{}", case(1).id)).await;
    assert_eq!(desk.ask("return typeof htmx").await, "object", "the script runs");
    desk.ask("window.same = true").await;
    let mut changed = desk.service.store.case(&case(1).id).await.unwrap().unwrap();
    changed.revision += 1;
    changed.state = State::Recovered;
    changed.reason = "paid by hand".to_owned();
    let cases = vec![CaseWrite { case: changed, ledger: Vec::new() }];
    desk.service.store.commit(Commit { cases, ..Commit::default() }).await.unwrap();
    let page = &desk.browser.page;
    let badge = Locator::Css("#head .badge.recovered");
    page.wait().at_most(Duration::from_secs(30)).for_element(badge).await.unwrap();
    assert_eq!(desk.ask("return window.same").await, true, "without a reload");
    page.delete_all_cookies().await.unwrap();
    let door = Locator::Css("input[name=token]");
    page.wait().at_most(Duration::from_secs(30)).for_element(door).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn by_keyboard_alone_a_person_skips_to_the_content_and_stops_a_case() {
    let Some(desk) = Desk::open(furnished().await).await else { return };
    desk.browser.look(1280, "light").await;
    let scheduled = case(2).id;
    desk.go(&format!("/cases/{scheduled}")).await;
    let press = async |selector: &str, keys: &str| {
        desk.ask(&format!("document.querySelector(\"{selector}\").focus()")).await;
        let found = desk.browser.page.find(Locator::Css(selector)).await.unwrap();
        found.send_keys(keys).await.unwrap();
    };
    let enter = "\u{e007}";
    press("a.skip", enter).await;
    assert!(desk.ask("return location.hash").await == "#content");
    let stop = format!("form[action='/cases/{scheduled}/stop']");
    let does = desk.ask(&format!("return document.querySelector(\"{stop}\").innerText")).await;
    assert_eq!(does, "", "nothing is offered before it is opened");
    desk.ask(&format!("document.querySelector(\"{stop}\").closest('details').id = 'stop'")).await;
    press("#stop summary", enter).await;
    let does = desk.ask(&format!("return document.querySelector(\"{stop}\").innerText")).await;
    assert!(does.as_str().unwrap().contains("This cannot be undone"), "{does}");
    press(&format!("{stop} input[name=text]"), "moved away").await;
    press(&format!("{stop} button"), enter).await;
    let told = Locator::Css("[role=status]");
    let told = desk.browser.page.wait().for_element(told).await.unwrap();
    assert_eq!(told.text().await.unwrap(), "Stopped.");
    let stopped = desk.service.store.case(&scheduled).await.unwrap().unwrap();
    assert_eq!(stopped.state, State::Stopped);
}

/// The pictures of the README, into the folder that `RECOUP_SCREENSHOTS` names: `scripts/pictures`.
#[tokio::test(flavor = "multi_thread")]
async fn pictures_for_the_readme() {
    if std::env::var_os("RECOUP_SCREENSHOTS").is_none() {
        return;
    }
    let clock = recoup::clock::Clock::test("2026-11-21T22:50:00Z".parse().unwrap());
    let service = Service::new(crate::http_support::Setup { clock, ..Default::default() });
    let mut told = crate::views::case("in_1Q9xK2", State::Scheduled);
    let customer = crate::views::customer();
    told.card = customer.methods.first().map(|method| method.card.clone());
    let mut card = recoup::core::card::Card::new(told.card.clone().unwrap());
    card.network = Some("visa".to_owned());
    let mail = MessageRecord { case: told.id.clone(), ..crate::views::mail() };
    let place = format!("/cases/{}", told.id);
    let commit = Commit {
        cases: vec![CaseWrite { case: told, ledger: crate::views::ledger() }],
        customers: vec![customer],
        cards: vec![card],
        messages: vec![mail],
        ..Commit::default()
    };
    service.store.commit(commit).await.unwrap();
    let Some(desk) = Desk::open(service).await else { return };
    for (name, path, width, scheme) in [
        ("home", "/?sample=1&period=30d", 1120, "light"),
        ("cases", "/cases?sample=1&state=recovered", 1120, "light"),
        ("case", place.as_str(), 1120, "light"),
        ("phone", "/?sample=1&period=30d", 390, "dark"),
    ] {
        desk.browser.look(width, scheme).await;
        desk.go(path).await;
        desk.browser.picture(name).await;
    }
}
