//! The dashboard over its routes: every figure against its list, search, sample data, live parts,
//! what a person does, and what was refused.
//!
//! What must stay true: a figure counts exactly the rows of the list that it opens.

use axum::body::Body;
use axum::http::Request;
use recoup::core::case::{AttemptOutcome, Case, RecoveredBy, State};
use recoup::core::customer::Channel;
use recoup::core::decline::Category;
use recoup::core::ids::{GatewayId, MessageId};
use recoup::core::money::Money;
use recoup::core::trial::Arm;
use recoup::store::{InboxBody, Store as _};

use crate::http_pages::{csrf, login, see};
use crate::http_samples::{case, customer, decline};
use crate::http_support::{Answer, Service, Setup, at};
use crate::messages::unescape;
use crate::views::message;

/// So many cases, of every kind, in two currencies, before the time of the service.
const CASES: i64 = 90;

/// A clock late enough that old cases are old enough for a report.
async fn busy() -> Service {
    let clock = recoup::clock::Clock::test(at(70 * 86_400));
    let service = Service::new(Setup { clock, ..Setup::default() });
    for n in 1..=CASES {
        service.put(varied(n)).await;
    }
    service
}

fn varied(n: i64) -> Case {
    let mut one = case(n);
    one.customer = Some(format!("cus_{n}"));
    one.opened_at = at(n * 67_000);
    let currency = if n % 7 == 3 { "EUR" } else { "USD" };
    one.amount = Money::new(1_000 + n, currency.parse().unwrap());
    one.arm = Some(if n % 5 == 0 { Arm::Holdout } else { Arm::Smart });
    let categories = [Category::InsufficientFunds, Category::CredentialOutdated, Category::Unknown];
    one.decline = Some(decline(categories[n as usize % 3]));
    one.state =
        [State::Recovered, State::Recovered, State::Scheduled, State::Exhausted][n as usize % 4];
    if n % 11 == 0 {
        one.state = State::Stopped;
    }
    one.ended_at = one.state.is_ended().then(|| at(n * 67_000 + 86_400 * (n % 6)));
    if one.state == State::Recovered {
        let by = [RecoveredBy::Retry, RecoveredBy::OtherGateway, RecoveredBy::CardUpdate];
        one.recovered_by = Some(by[n as usize % 3]);
        if n % 3 == 1 {
            one.attempts[0].outcome = AttemptOutcome::Approved;
            one.attempts[0].charge.gateway = GatewayId::from("second");
        }
    }
    let channels = [Channel::Email, Channel::Whatsapp];
    one.messages = (0..n % 4)
        .map(|k| message(&MessageId::of(&one.id, k as u32), channels[n as usize / 4 % 2], k == 1))
        .collect();
    one
}

/// Every link of a page: where it leads, and the number that stands in it.
fn figures(page: &str) -> Vec<(String, usize)> {
    let links = page.split("<a ").skip(1).filter_map(|rest| {
        let (tag, rest) = rest.split_once('>')?;
        let href = tag.split_once("href=\"")?.1.split('"').next()?;
        let inside = rest.split_once("</a>")?.0;
        let number = match inside.split_once("<b>") {
            Some((_, rest)) => rest.split("</b>").next()?,
            None => inside,
        };
        Some((unescape(href), number.trim().parse().ok()?))
    });
    links.filter(|(href, _)| href.starts_with("/cases")).collect()
}

async fn rows(service: &Service, href: &str, cookie: &str) -> usize {
    let sign = if href.contains('?') { '&' } else { '?' };
    let file = see(service, &format!("{href}{sign}format=csv"), cookie).await;
    assert_eq!(file.status, 200, "{href}: {}", file.text);
    assert!(file.header("content-type").starts_with("text/csv"), "{href}");
    file.text.lines().count() - 1
}

#[tokio::test]
async fn every_figure_opens_a_list_of_as_many_rows() {
    let service = busy().await;
    let cookie = login(&service).await;
    let mut looked_at = 0;
    for path in ["/", "/?period=last", "/?period=30d", "/?period=year", "/?period=all&currency=EUR"]
    {
        let page = see(&service, path, &cookie).await;
        assert_eq!(page.status, 200);
        for (href, number) in figures(&page.text) {
            assert_eq!(rows(&service, &href, &cookie).await, number, "{path}: {href}");
            looked_at += 1;
        }
    }
    assert!(looked_at > 80, "{looked_at} figures");
    let all = see(&service, "/?period=all", &cookie).await.text;
    let words = format!("So far {CASES} payments failed");
    assert!(all.contains(&words), "{all}");
    for split in [
        "state=given_up",
        "decline=credential_outdated",
        "by=other_gateway",
        "via=second",
        "step=1",
        "channel=whatsapp",
        "channel=none",
        "arm=holdout",
        "window=28",
        "back_since=",
    ] {
        assert!(all.contains(split), "{split} in {all}");
    }
    assert_eq!(rows(&service, "/cases", &cookie).await, CASES as usize);
}

#[tokio::test]
async fn a_list_is_paged_and_each_case_stands_once() {
    let service = busy().await;
    let cookie = login(&service).await;
    let ids = |page: &str| -> Vec<String> {
        let hrefs = page.split("href=\"/cases/").skip(1);
        hrefs.map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
    };
    let first = see(&service, "/cases", &cookie).await.text;
    assert!(first.contains("90 cases, 1 to 50") && first.contains("page=2"), "{first}");
    let second = see(&service, "/cases?page=2", &cookie).await.text;
    assert!(second.contains("90 cases, 51 to 90") && !second.contains("page=3"), "{second}");
    let mut all = ids(&first);
    all.extend(ids(&second));
    all.sort();
    all.dedup();
    assert_eq!(all.len(), CASES as usize);
    let beyond = see(&service, "/cases?page=999999999999", &cookie).await;
    assert_eq!((beyond.status.as_u16(), ids(&beyond.text).len()), (200, 0));
}

#[tokio::test]
async fn a_search_finds_by_customer_address_card_and_invoice() {
    let service = Service::new(Setup::default());
    for n in 1..=20 {
        let mut one = case(n);
        one.customer = Some(format!("cus_{n}"));
        service.put(one).await;
    }
    let mut ana = customer("cus_7");
    ana.contact.name = Some("Ana María Ruiz".to_owned());
    ana.contact.email = Some("Ana.Ruiz@Elsewhere.example".to_owned());
    ana.methods[0].facts.last4 = Some("9931".to_owned());
    let commit = recoup::store::Commit { customers: vec![ana], ..Default::default() };
    let cookie = login(&service).await;
    assert_eq!(rows(&service, "/cases?q=ana.ruiz%40elsewhere", &cookie).await, 0);
    service.store.commit(commit).await.unwrap();
    for (typed, found) in [
        ("ANA.ruiz@elsewhere.example", 1),
        ("9931", 1),
        ("maría", 1),
        ("in_7", 1),
        ("cus_7", 1),
        ("in_1", 11),
        ("nobody", 0),
    ] {
        let typed: String = url::form_urlencoded::byte_serialize(typed.as_bytes()).collect();
        let count = rows(&service, &format!("/cases?q={typed}"), &cookie).await;
        assert_eq!(count, found, "{typed}");
    }
}

#[tokio::test]
async fn a_filter_that_cannot_be_is_told_and_filters_nothing() {
    let service = busy().await;
    let cookie = login(&service).await;
    for query in [
        "state=gone",
        "since=soon",
        "page=0",
        "page=x",
        "currency=ABC",
        "by=magic",
        "step=-1",
        "channel=pigeon",
        "window=3",
        "nonsense=1",
        "decline=%3Cscript%3E",
    ] {
        let answer = see(&service, &format!("/cases?{query}"), &cookie).await;
        assert_eq!(answer.status, 400, "{query}");
        assert!(answer.text.contains("cannot be asked for"), "{query}: {}", answer.text);
        assert!(!answer.text.contains("<script>"), "{query}");
    }
    assert_eq!(see(&service, "/?period=never", &cookie).await.status, 400);
}

#[tokio::test]
async fn what_is_made_up_is_never_among_what_is_real() {
    let service = busy().await;
    let cookie = login(&service).await;
    let before = service.everything().await;
    for path in ["/", "/cases", "/messages", "/report"] {
        let real = see(&service, path, &cookie).await.text;
        assert!(!real.contains("Sample data: made up") && !real.contains("sample_"), "{path}");
    }
    let home = see(&service, "/?sample=1", &cookie).await.text;
    assert!(home.contains("Sample data: made up"), "{home}");
    let found = figures(&home);
    assert!(found.len() > 15, "{found:?}");
    for (href, number) in found {
        assert!(href.contains("sample=1"), "{href}");
        assert_eq!(rows(&service, &href, &cookie).await, number, "{href}");
    }
    let list = see(&service, "/cases?sample=1", &cookie).await.text;
    assert!(list.contains("sample_0") && !list.contains("in_1<"), "{list}");
    let id = list.split("href=\"/cases/case_").nth(1).unwrap().split('"').next().unwrap();
    let one = see(&service, &format!("/cases/case_{id}"), &cookie).await;
    assert!(one.status == 200 && one.text.contains("Sample data: made up"), "{}", one.text);
    assert!(!one.text.contains("class=\"pop\""), "nothing can be done with it");
    assert_eq!(see(&service, &format!("/cases/{}", &id[..5]), &cookie).await.status, 404);
    assert_eq!(service.everything().await, before);
}

#[tokio::test]
async fn the_page_looks_again_and_hears_of_what_changed() {
    let service = Service::with_cases(3).await;
    let cookie = login(&service).await;
    let asks = |page: &Answer| {
        let ask = page.text.split("hx-get=\"").nth(1).unwrap().split('"').next().unwrap();
        unescape(ask)
    };
    for path in ["/".to_owned(), "/cases".to_owned(), format!("/cases/{}", case(1).id)] {
        let ask = asks(&see(&service, &path, &cookie).await);
        assert_eq!(see(&service, &ask, &cookie).await.status, 204, "{ask}");
        let mut changed = service.store.case(&case(1).id).await.unwrap().unwrap();
        changed.revision += 1;
        let commit = recoup::store::Commit {
            cases: vec![recoup::store::CaseWrite { case: changed, ledger: Vec::new() }],
            ..Default::default()
        };
        service.store.commit(commit).await.unwrap();
        assert_eq!(see(&service, &ask, &cookie).await.status, 200, "{ask}");
    }
    let request = Request::get("/cases?seen=1").header("HX-Request", "true");
    let out = service.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!((out.status.as_u16(), out.header("hx-redirect")), (204, "/login"));
}

#[tokio::test]
async fn a_person_notes_pauses_and_writes() {
    let service = Service::with_cases(1).await;
    let cookie = login(&service).await;
    let id = case(1).id;
    let page = see(&service, &format!("/cases/{id}"), &cookie).await;
    let csrf = csrf(&page);
    let act = async |action: &str, more: &str| {
        let form = format!("csrf={csrf}{more}");
        service.form(&format!("/cases/{id}/{action}"), &form, Some(&cookie)).await
    };
    assert_eq!(act("note", "&text=+").await.status, 400, "a note without words");
    assert_eq!(act("pause", "&until=2001-01-01").await.status, 400, "a day that is over");
    assert_eq!(act("dance", "").await.status, 404);
    assert_eq!(act("note", "&text=called+on+Monday").await.status, 303);
    assert_eq!(act("pause", "&until=2099-01-31").await.status, 303);
    assert_eq!(act("write", "").await.status, 303);
    let page = see(&service, &format!("/cases/{id}?done=note"), &cookie).await;
    let plain = unescape(&page.text);
    for told in ["called on Monday", "2099-01-31T00:00:00Z", "Write", "Kept."] {
        assert!(plain.contains(told), "{told} in {plain}");
    }
}

#[tokio::test]
async fn a_refused_webhook_is_shown_with_its_reason_and_taken_when_it_is_authentic() {
    let service = Service::with_cases(1).await;
    let cookie = login(&service).await;
    let request = Request::post("/webhooks/first").header("x-signature", "bad");
    let body = Body::from("{\"ids\":[\"evt_<b>secret</b>\"]}");
    assert_eq!(service.send(request.body(body).unwrap()).await.status, 401);
    let page = see(&service, "/gateways", &cookie).await;
    assert!(page.text.contains("No signature match"), "{}", page.text);
    assert!(page.text.contains("look at the signature"), "the hint");
    assert!(!page.text.contains("secret"), "nothing of its body");
    let form = format!("csrf={}&number=0", csrf(&page));
    let again = service.form("/gateways/first/replay", &form, Some(&cookie)).await;
    assert_eq!(again.header("location"), "/gateways?done=refused");
    let foreign = service.form("/gateways/first/replay", "number=0", Some(&cookie)).await;
    assert_eq!(foreign.status, 403);
    // The secret is mended.
    service.gateway.trusting.store(true, std::sync::atomic::Ordering::SeqCst);
    let again = service.form("/gateways/first/replay", &form, Some(&cookie)).await;
    assert_eq!(again.header("location"), "/gateways?done=taken");
    let first = GatewayId::from("first");
    let kept = service.store.input(&first, "evt_<b>secret</b>").await.unwrap().unwrap();
    assert!(matches!(kept.body, InboxBody::Webhook { .. }));
    assert!(see(&service, "/gateways", &cookie).await.text.contains("None."), "it is off the list");
}

#[tokio::test]
async fn a_mail_stands_in_a_frame_without_rights() {
    let service = Service::with_cases(1).await;
    let cookie = login(&service).await;
    let id = case(1).id;
    let mut mail = crate::views::mail();
    mail.case = id.clone();
    let commit = recoup::store::Commit { messages: vec![mail.clone()], ..Default::default() };
    service.store.commit(commit).await.unwrap();
    let page = see(&service, &format!("/cases/{id}"), &cookie).await;
    let place = format!("/cases/{id}/messages/{}", mail.id);
    assert!(page.text.contains(&format!("sandbox loading=\"lazy\" src=\"{place}\"")));
    let policy = page.header("content-security-policy");
    assert!(policy.contains("script-src 'self'") && !policy.contains("unsafe"), "{policy}");
    let body = see(&service, &place, &cookie).await;
    assert_eq!(Some(body.text.clone()), mail.html, "exactly as sent");
    assert!(body.header("content-security-policy").starts_with("sandbox; default-src 'none'"));
    assert_eq!(body.header("x-frame-options"), "SAMEORIGIN");
    assert_eq!(service.get(&place).await.header("location"), "/login");
    let preview = see(&service, "/messages/preview?of=pt-BR", &cookie).await;
    assert!(preview.text.contains("/messages/preview/pt-BR/card_update"), "{}", preview.text);
    let shown = see(&service, "/messages/preview/pt-BR/card_update", &cookie).await;
    assert!(shown.status == 200 && shown.text.contains("<html"), "{}", shown.text);
}

#[tokio::test]
async fn assets_come_from_the_binary_and_may_be_kept() {
    let service = Service::new(Setup::default());
    for (name, kind) in [("desk.css", "text/css"), ("htmx.js", "text/javascript")] {
        let answer = service.get(&format!("/assets/{name}")).await;
        assert!(answer.header("content-type").starts_with(kind), "{name}");
        assert!(answer.header("cache-control").contains("immutable"), "{name}");
    }
    assert_eq!(service.get("/assets/../recoup.css").await.status, 404);
}

#[tokio::test]
async fn lists_come_as_files_by_the_api_too() {
    let service = busy().await;
    let attempts = service.api("GET", "/attempts?format=csv", "").await;
    assert_eq!(attempts.text.lines().count(), 1 + CASES as usize, "{}", attempts.text);
    let cases = service.api("GET", "/cases?format=csv&state=stopped", "").await;
    assert_eq!(cases.text.lines().count(), 1 + CASES as usize / 11, "{}", cases.text);
    let wrong = service.api("GET", "/cases?format=xlsx", "").await;
    wrong.is_problem(400, "invalid_query");
}
