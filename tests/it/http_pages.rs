//! The hosted page and the dashboard: links, scanners, sessions, csrf.

use axum::body::Body;
use axum::http::{Request, header};
use recoup::core::case::State;
use recoup::core::decline::Category;
use recoup::core::ids::{CaseId, GatewayId};
use recoup::gateway::{CallError, HostedPurpose};
use recoup::http::link;
use recoup::store::Store as _;

use crate::http_samples::{case, decline};
use crate::http_support::{Answer, LINK_KEY, Service, Setup, TOKEN};

fn pay(n: i64) -> String {
    format!("/pay/{}", link::token_for(&LINK_KEY, &case(n).id))
}

#[tokio::test]
async fn the_page_is_for_nobody_else_and_nobodys_cache() {
    let service = Service::with_cases(1).await;
    let answer = service.get(&pay(1)).await;
    assert_eq!(answer.status, 200);
    for (name, value) in [
        ("cache-control", "no-store"),
        ("referrer-policy", "no-referrer"),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
    ] {
        assert_eq!(answer.header(name), value, "{name}");
    }
    assert!(answer.header("x-robots-tag").contains("noindex"));
    assert!(answer.header("content-security-policy").contains("default-src 'none'"));
    assert!(answer.text.contains("29.01") && answer.text.contains("4242"), "{}", answer.text);
    assert!(!answer.text.contains("ana@nube.example"), "no personal data");
}

#[tokio::test]
async fn opening_a_link_changes_nothing_however_often() {
    let service = Service::with_cases(1).await;
    let before = service.everything().await;
    for _ in 0..50 {
        for method in ["GET", "HEAD"] {
            for path in [pay(1), format!("{}?done=card", pay(1)), "/".into(), "/login".into()] {
                let request = Request::builder().method(method).uri(path);
                service.send(request.body(Body::empty()).unwrap()).await;
            }
        }
    }
    for door in ["update-card", "stop-reminders"] {
        service.get(&format!("{}/{door}", pay(1))).await.is_problem(405, "method_not_allowed");
    }
    assert_eq!(service.everything().await, before);
    assert!(service.gateway.sessions.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_link_that_leads_nowhere_is_a_friendly_404() {
    let service = Service::with_cases(1).await;
    let good = link::token_for(&LINK_KEY, &case(1).id);
    let unknown = link::token_for(&LINK_KEY, &case(2).id);
    let foreign = link::token_for(&[8; 32], &case(1).id);
    let changed = format!("{}{}", &good[..34], if good.ends_with('A') { 'B' } else { 'A' });
    let mixed = format!("{}{}", &unknown[..13], &good[13..]);
    for token in [unknown, foreign, changed, mixed, "x".into(), "A".repeat(4000)] {
        let answer = service.get(&format!("/pay/{token}")).await;
        assert_eq!(answer.status, 404);
        assert!(answer.text.contains("help@nube.example"), "a human to write to");
        for door in ["update-card", "stop-reminders"] {
            let answer = service.form(&format!("/pay/{token}/{door}"), "", None).await;
            assert_eq!(answer.status, 404);
        }
    }
    assert!(service.gateway.sessions.lock().unwrap().is_empty());
}

#[tokio::test]
async fn the_button_leads_to_the_gateways_own_page_once_for_many_clicks() {
    let service = Service::with_cases(1).await;
    let mut places = Vec::new();
    for _ in 0..20 {
        let answer = service.form(&format!("{}/update-card", pay(1)), "", None).await;
        assert_eq!(answer.status, 303);
        places.push(answer.header("location").to_owned());
    }
    assert!(places[0].starts_with("https://gateway.example/s/"));
    // Over the turn of a half hour there may be a second one.
    places.dedup();
    assert!(places.len() <= 2, "{places:?}");
    assert!(service.store.backlog().await.unwrap().inbox <= 2, "the click is noted once");
    let sessions = service.gateway.sessions.lock().unwrap();
    assert_eq!(sessions[0].purpose, HostedPurpose::UpdateCard);
    assert_eq!((sessions[0].customer.as_str(), sessions[0].invoice.as_str()), ("cus_1", "in_1"));
    let back = format!("https://pay.nube.example{}?done=card", pay(1));
    assert_eq!(sessions[0].return_url, back);
}

#[tokio::test]
async fn a_bank_that_wants_a_confirmation_gets_it_where_the_gateway_can() {
    let service = Service::new(Setup::default());
    let mut wants_bank = case(1);
    wants_bank.state = State::AwaitingCustomer;
    wants_bank.decline = Some(decline(Category::AuthenticationRequired));
    service.put(wants_bank).await;
    let mut another = case(3);
    another.state = State::AwaitingCustomer;
    another.decline = Some(decline(Category::AuthenticationRequired));
    service.put(another).await;
    let click = async |n| service.form(&format!("{}/update-card", pay(n)), "", None).await;
    assert_eq!(click(1).await.status, 303);
    let cannot = CallError::Permanent { what: "open", why: "no such page".into() };
    *service.gateway.failing.lock().unwrap() = Some(cannot);
    assert_eq!(click(3).await.status, 303, "a new card helps too");
    let sessions = service.gateway.sessions.lock().unwrap();
    let purposes: Vec<_> = sessions.iter().map(|s| s.purpose).collect();
    use HostedPurpose::{Authenticate, UpdateCard};
    assert_eq!(purposes, [Authenticate, Authenticate, UpdateCard]);
    assert_ne!(sessions[1].idempotency_key, sessions[2].idempotency_key, "another request");
}

#[tokio::test]
async fn a_gateway_that_fails_gives_a_friendly_page_and_changes_nothing() {
    let service = Service::with_cases(1).await;
    let before = service.everything().await;
    let down = CallError::Transient { what: "open", why: "busy".into() };
    *service.gateway.failing.lock().unwrap() = Some(down);
    let answer = service.form(&format!("{}/update-card", pay(1)), "", None).await;
    assert_eq!(answer.status, 502);
    assert!(answer.text.contains("help@nube.example"), "a human to write to");
    assert!(!answer.text.contains("busy"), "not the gateway's words");
    assert_eq!(service.everything().await, before);
}

#[tokio::test]
async fn an_ended_case_shows_its_end_and_opens_no_door() {
    let service = Service::new(Setup::default());
    let mut paid = case(1);
    paid.state = State::Recovered;
    service.put(paid).await;
    let answer = service.get(&pay(1)).await;
    assert_eq!(answer.status, 200);
    assert!(!answer.text.contains("<form"), "{}", answer.text);
    let answer = service.form(&format!("{}/update-card", pay(1)), "", None).await;
    assert_eq!((answer.status.as_u16(), answer.header("location")), (303, pay(1).as_str()));
    assert!(service.gateway.sessions.lock().unwrap().is_empty());
}

#[tokio::test]
async fn reminders_stop_at_the_first_click() {
    let service = Service::with_cases(1).await;
    for _ in 0..2 {
        let answer = service.form(&format!("{}/stop-reminders", pay(1)), "", None).await;
        let back = format!("{}?done=stop-reminders", pay(1));
        assert_eq!((answer.status.as_u16(), answer.header("location")), (303, back.as_str()));
    }
    assert!(service.store.customer("cus_1").await.unwrap().unwrap().reminders_stopped);
    let input = format!("{}:stop-reminders", case(1).id);
    assert!(service.store.input(&GatewayId::from("page"), &input).await.unwrap().is_some());
}

pub(crate) async fn login(service: &Service) -> String {
    let answer = service.form("/login", &format!("token={TOKEN}"), None).await;
    assert_eq!((answer.status.as_u16(), answer.header("location")), (303, "/"));
    let cookie = answer.header("set-cookie");
    assert!(cookie.contains("HttpOnly; SameSite=Strict"), "{cookie}");
    cookie.split(';').next().unwrap().to_owned()
}

pub(crate) async fn see(service: &Service, path: &str, cookie: &str) -> Answer {
    let request = Request::get(path).header(header::COOKIE, cookie);
    service.send(request.body(Body::empty()).unwrap()).await
}

pub(crate) fn csrf(page: &Answer) -> String {
    let (_, rest) = page.text.split_once("name=\"csrf\" value=\"").expect("a form with csrf");
    rest.split('"').next().unwrap().to_owned()
}

#[tokio::test]
async fn the_dashboard_is_behind_a_session() {
    let service = Service::with_cases(1).await;
    let id = case(1).id;
    for path in ["/".to_owned(), "/cases".to_owned(), format!("/cases/{id}")] {
        let answer = service.get(&path).await;
        assert_eq!((answer.status.as_u16(), answer.header("location")), (303, "/login"));
        let answer = see(&service, &path, "recoup_session=1.2").await;
        assert_eq!(answer.header("location"), "/login");
    }
    let answer = service.form("/login", "token=wrong", None).await;
    assert_eq!((answer.status.as_u16(), answer.header("set-cookie")), (401, ""));
    let cookie = login(&service).await;
    let list = see(&service, "/cases", &cookie).await;
    assert_eq!(list.status, 200);
    assert!(list.text.contains("in_1"), "{}", list.text);
    let one = see(&service, &format!("/cases/{id}"), &cookie).await;
    assert!(one.text.contains("opened"), "the ledger");
    assert_eq!(see(&service, "/cases/case_00", &cookie).await.status, 404);
}

#[tokio::test]
async fn without_an_admin_token_the_dashboard_stays_closed() {
    let service = Service::new(Setup { admin_token: None, ..Setup::default() });
    for path in ["/", "/login", "/cases/case_00"] {
        let answer = service.get(path).await;
        assert_eq!(answer.status, 503, "{path}");
        assert!(answer.text.contains("admin_token"), "it says how to set it");
    }
    assert_eq!(service.form("/login", "token=", None).await.status, 503);
}

#[tokio::test]
async fn a_form_from_elsewhere_does_nothing() {
    let service = Service::with_cases(1).await;
    let cookie = login(&service).await;
    let id = case(1).id;
    let stop = format!("/cases/{id}/stop");
    let before = service.everything().await;
    for form in ["", "csrf=", "csrf=00", &format!("csrf={TOKEN}")] {
        let answer = service.form(&stop, form, Some(&cookie)).await;
        assert_eq!(answer.status, 403, "{form}");
    }
    assert_eq!(service.everything().await, before);
    let csrf = csrf(&see(&service, &format!("/cases/{id}"), &cookie).await);
    let answer = service.form(&stop, &format!("csrf={csrf}"), None).await;
    assert_eq!(answer.header("location"), "/login", "the text alone is no session");
    assert_eq!(service.everything().await, before);

    let form = format!("csrf={csrf}&text=moved");
    let answer = service.form(&stop, &form, Some(&cookie)).await;
    let done = format!("/cases/{id}?done=stop");
    assert_eq!((answer.status.as_u16(), answer.header("location")), (303, done.as_str()));
    let stopped = service.store.case(&CaseId::from(id.as_str())).await.unwrap().unwrap();
    assert_eq!(stopped.state, State::Stopped);
}

#[tokio::test]
async fn a_link_is_made_on_the_dashboard() {
    let service = Service::with_cases(1).await;
    let cookie = login(&service).await;
    let id = case(1).id;
    let csrf = csrf(&see(&service, &format!("/cases/{id}"), &cookie).await);
    let link = format!("/cases/{id}/link");
    let answer = service.form(&link, &format!("csrf={csrf}"), Some(&cookie)).await;
    assert_eq!(answer.status, 200);
    let token = link::token_for(&LINK_KEY, &id);
    assert!(answer.text.contains(&token), "the link is shown");
}

#[tokio::test]
async fn a_session_over_tls_stays_on_tls_and_ends_at_logout() {
    let service = Service::new(Setup::default());
    let request = Request::post("/login")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(header::ORIGIN, "https://pay.nube.example");
    let body = Body::from(format!("token={TOKEN}"));
    let answer = service.send(request.body(body).unwrap()).await;
    assert!(answer.header("set-cookie").ends_with("; Secure"));
    let answer = service.form("/logout", "", None).await;
    assert!(answer.header("set-cookie").contains("Max-Age=0"));
}
