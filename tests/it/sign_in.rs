//! People sign in: the link that sets a password, wrong passwords, roles, and the end of a session.
//!
//! What must stay true: a link works once and not for long; fifty wrong passwords are slowed and
//! told, and the real person still comes in; who is removed is out with the next click; no form
//! acts without its session's text, and no person beyond their role.

use axum::body::Body;
use axum::http::{Request, header};
use jiff::SignedDuration;
use recoup::clock::real_now;
use recoup::core::case::State;
use recoup::http::first_link;
use recoup::store::Store as _;
use serde_json::json;

use crate::http_pages::{csrf, see};
use crate::http_samples::case;
use crate::http_support::{Answer, Service, Setup};

const URL: &str = "https://pay.nube.example";
pub(crate) const PASSWORD: &str = "correct horse battery";

/// The path of a link.
pub(crate) fn path(link: &str) -> String {
    link.strip_prefix(URL).unwrap().to_owned()
}

/// A cookie that was set.
fn cookie(answer: &Answer, name: &str) -> String {
    let all = answer.headers.get_all("set-cookie").iter().map(|value| value.to_str().unwrap());
    let mut found = all.filter(|text| text.starts_with(&format!("{name}=")));
    let text = found.next().unwrap_or_else(|| panic!("no cookie {name}: {}", answer.text));
    assert!(text.contains("; HttpOnly; SameSite=Strict"), "{text}");
    text.split(';').next().unwrap().to_owned()
}

fn password(given: &str) -> String {
    format!("password={given}&again={given}").replace(' ', "+")
}

/// An account with a password, and its session.
pub(crate) async fn person(service: &Service, email: &str, role: &str) -> String {
    let body = json!({ "email": email, "role": role }).to_string();
    let made = service.api("POST", "/users", &body).await;
    assert_eq!(made.status, 200, "{}", made.text);
    let link = made.json()["link"].as_str().unwrap().to_owned();
    let answer = service.form(&path(&link), &password(PASSWORD), None).await;
    assert_eq!((answer.status.as_u16(), answer.header("location")), (303, "/"), "{}", answer.text);
    let twice = service.form(&path(&link), &password("another password"), None).await;
    assert_eq!(twice.status, 404, "a link works once");
    cookie(&answer, "recoup_session")
}

async fn sign_in(service: &Service, email: &str, given: &str, cookie: Option<&str>) -> Answer {
    let form = format!("email={email}&password={given}").replace(' ', "+");
    service.form("/login", &form, cookie).await
}

#[tokio::test]
async fn the_first_account_is_made_by_a_link_once() {
    let service = Service::new(Setup { admin_token: None, ..Setup::default() });
    let closed = service.get("/").await;
    assert!(closed.status == 503 && closed.text.contains("recoup serve"), "{}", closed.text);
    let now = real_now();
    let late = now - SignedDuration::from_mins(30);
    let old = first_link(&*service.store, URL, late).await.unwrap().unwrap();
    let link = first_link(&*service.store, URL, now).await.unwrap().unwrap();
    let other = first_link(&*service.store, URL, now).await.unwrap().unwrap();
    let kept = format!("{:?}", service.everything().await);
    assert!(!kept.contains(link.rsplit('/').next().unwrap()), "only a digest is stored");
    let gone = service.form(&path(&old), &password(PASSWORD), None).await;
    assert_eq!(gone.status, 404, "30 minutes are over");
    for _ in 0..3 {
        assert_eq!(service.get(&path(&link)).await.status, 200, "looking uses nothing up");
    }
    for wrong in [
        "email=ana@nube.example&password=short&again=short".to_owned(),
        format!("email=ana@nube.example&password={0}&again={0}x", "long-enough-it-is"),
        format!("email=nobody&{}", password(PASSWORD)),
        format!("email=ana@nube.example&{}", password("ana@nube.example")),
        String::new(),
    ] {
        assert_eq!(service.form(&path(&link), &wrong, None).await.status, 422, "{wrong}");
    }
    let form = format!("email=Ana@nube.example&{}", password(PASSWORD));
    let foreign = Request::post(path(&link))
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header("sec-fetch-site", "cross-site");
    let foreign = service.send(foreign.body(Body::from(form.clone())).unwrap()).await;
    assert_eq!(foreign.status, 404, "from another site nothing is taken");
    // Two come at once: one is the first.
    let (path_1, path_2) = (path(&link), path(&other));
    let both = tokio::join!(
        service.form(&path_1, &form, None),
        service.form(
            &path_2,
            "email=eve@evil.example&password=correct+horse&again=correct+horse",
            None
        )
    );
    let mut made = [both.0, both.1].into_iter().filter(|answer| answer.status == 303);
    let session = cookie(&made.next().expect("one of them"), "recoup_session");
    assert!(made.next().is_none(), "and only one");
    for link in [&link, &other] {
        assert_eq!(service.get(&path(link)).await.status, 404, "used, or void");
        assert_eq!(service.form(&path(link), &form, None).await.status, 404);
    }
    assert_eq!(first_link(&*service.store, URL, now).await.unwrap(), None, "there is somebody");
    let people = see(&service, "/users", &session).await;
    assert!(people.status == 200 && people.text.contains("option selected>admin"), "an admin");
}

#[tokio::test]
async fn fifty_wrong_passwords_are_slowed_and_the_real_person_comes_in() {
    let service = Service::with_cases(1).await;
    person(&service, "ana@nube.example", "support").await;
    let known = sign_in(&service, "ANA@nube.example", PASSWORD, None).await;
    let known = cookie(&known, "recoup_known");
    let mut statuses = Vec::new();
    for n in 0..50 {
        let answer = sign_in(&service, "ana@nube.example", &format!("guess {n}"), None).await;
        if answer.status == 429 {
            assert!(answer.header("retry-after").parse::<u32>().unwrap() > 0);
            assert!(answer.text.contains("Try again in"), "{}", answer.text);
        }
        assert_eq!(answer.header("set-cookie"), "");
        statuses.push(answer.status.as_u16());
    }
    assert_eq!(statuses[..4], [401; 4], "a slip of the finger costs nothing");
    assert!(statuses.iter().filter(|status| **status == 429).count() >= 40, "{statuses:?}");
    let stranger = sign_in(&service, "ana@nube.example", PASSWORD, None).await;
    assert_eq!(stranger.status, 429, "while it waits no password counts");
    let owner = sign_in(&service, "ana@nube.example", PASSWORD, Some(&known)).await;
    assert_eq!(owner.status, 303, "in the browser that she had used before: {}", owner.text);
    let forged = "recoup_known=usr_1.00";
    let forged = sign_in(&service, "ana@nube.example", PASSWORD, Some(forged)).await;
    assert_eq!(forged.status, 429);
    // Whether there is an account shows in nothing.
    let nobody = sign_in(&service, "nobody@nube.example", "guess", None).await;
    let body = json!({ "email": "eva@nube.example", "role": "viewer" }).to_string();
    service.api("POST", "/users", &body).await;
    let unset = sign_in(&service, "eva@nube.example", "guess", None).await;
    assert_eq!((nobody.status, nobody.text), (unset.status, unset.text));
    let audit = service.api("GET", "/audit?limit=100", "").await.text;
    assert!(audit.contains("\"refused\"") && !audit.contains("guess"), "{audit}");
}

#[tokio::test]
async fn a_person_does_what_their_role_allows() {
    let service = Service::with_cases(2).await;
    let viewer = person(&service, "vera@nube.example", "viewer").await;
    let support = person(&service, "sam@nube.example", "support").await;
    let admin = person(&service, "ada@nube.example", "admin").await;
    let id = case(1).id;
    let place = format!("/cases/{id}");
    let page = see(&service, &place, &viewer).await;
    assert!(page.status == 200 && !page.text.contains("class=\"actions\""), "nothing is offered");
    let before = service.store.case(&id).await.unwrap();
    let text = csrf(&page);
    for action in ["pause", "link", "note", "mark-paid"] {
        let form = format!("csrf={text}&text=x");
        let answer = service.form(&format!("{place}/{action}"), &form, Some(&viewer)).await;
        assert_eq!(answer.status, 403, "{action}");
        let needs = if action == "mark-paid" { "role admin" } else { "role support" };
        assert!(answer.text.contains(needs), "it says what is missing: {}", answer.text);
        assert!(answer.text.contains("yours is viewer"), "{}", answer.text);
    }
    assert_eq!(service.store.case(&id).await.unwrap(), before, "nothing was done");
    let page = see(&service, &place, &support).await;
    assert!(page.text.contains("/pause\"") && !page.text.contains("/mark-paid\""));
    let form = format!("csrf={}", csrf(&page));
    assert_eq!(
        service.form(&format!("{place}/mark-paid"), &form, Some(&support)).await.status,
        403
    );
    assert_eq!(service.form(&format!("{place}/pause"), &form, Some(&support)).await.status, 303);
    assert_eq!(service.store.case(&id).await.unwrap().unwrap().state, State::Paused);
    for room in ["/users", "/tokens", "/audit"] {
        assert_eq!(see(&service, room, &support).await.status, 403, "{room}");
        assert!([200, 303].contains(&see(&service, room, &admin).await.status.as_u16()), "{room}");
    }
    assert!(
        !page.text.contains("href=\"/audit\"") && see(&service, "/", &admin).await.status == 200
    );
    let list = see(&service, "/audit", &admin).await;
    for line in ["cases.pause", "cases.mark-paid", "sam@nube.example", "refused", id.as_str()] {
        assert!(list.text.contains(line), "{line}: {}", list.text);
    }
}

#[tokio::test]
async fn every_form_of_the_dashboard_needs_the_text_of_its_session() {
    let service = Service::with_cases(1).await;
    let ada = person(&service, "ada@nube.example", "admin").await;
    let eva = person(&service, "eva@nube.example", "admin").await;
    let of_eva = csrf(&see(&service, "/users", &eva).await);
    let before = service.everything().await;
    for form in ["", "csrf=", "csrf=0", &format!("csrf={of_eva}")] {
        for place in [
            "/users",
            "/users/usr_1/remove",
            "/users/eva@nube.example/change",
            "/tokens",
            "/tokens/x/remove",
            "/logout",
            &format!("/cases/{}/stop", case(1).id),
            "/gateways/first/compare",
        ] {
            let answer = service.form(place, form, Some(&ada)).await;
            assert_eq!(answer.status, 403, "{place} with {form}");
        }
    }
    assert_eq!(service.everything().await, before);
}

#[tokio::test]
async fn a_session_ends_with_its_person() {
    let service = Service::with_cases(1).await;
    let ada = person(&service, "ada@nube.example", "admin").await;
    let text = csrf(&see(&service, "/users", &ada).await);
    let is_in = async |session: &str| see(&service, "/cases", session).await.status == 200;
    let change = async |place: String, more: &str| {
        let answer = service.form(&place, &format!("csrf={text}{more}"), Some(&ada)).await;
        assert!([200, 303].contains(&answer.status.as_u16()), "{place}: {}", answer.text);
        answer
    };
    let eva = person(&service, "eva@nube.example", "support").await;
    change("/users/eva@nube.example/change".to_owned(), "&role=viewer").await;
    let pause = format!("/cases/{}/pause", case(1).id);
    let form = format!("csrf={}", csrf(&see(&service, "/cases", &eva).await));
    assert_eq!(service.form(&pause, &form, Some(&eva)).await.status, 403, "a role counts at once");
    assert!(is_in(&eva).await);
    let reset = change("/users/eva@nube.example/reset".to_owned(), "").await;
    assert!(reset.text.contains("/set-up/") && !is_in(&eva).await, "a reset ends it");
    assert_eq!(sign_in(&service, "eva@nube.example", PASSWORD, None).await.status, 401);
    let link = reset.text.split("/set-up/").nth(1).unwrap().split('<').next().unwrap();
    change("/users/eva@nube.example/remove".to_owned(), "").await;
    let gone = service.form(&format!("/set-up/{link}"), &password(PASSWORD), None).await;
    assert_eq!(gone.status, 404, "no link brings a removed account back");
    let eva = person(&service, "eva@nube.example", "viewer").await;
    assert!(is_in(&eva).await);
    change("/users/eva@nube.example/remove".to_owned(), "").await;
    assert!(!is_in(&eva).await, "with the next click");
    let again = person(&service, "eva@nube.example", "viewer").await;
    assert!(is_in(&again).await && !is_in(&eva).await, "the old session stays ended");
    let out = service.form("/logout", &format!("csrf={text}"), Some(&ada)).await;
    assert!(out.header("set-cookie").contains("Max-Age=0") && !is_in(&ada).await);
}

#[tokio::test]
async fn the_last_admin_stays_where_there_is_no_admin_token() {
    let service = Service::new(Setup { admin_token: None, ..Setup::default() });
    let link = first_link(&*service.store, URL, real_now()).await.unwrap().unwrap();
    let form = format!("email=ada@nube.example&{}", password(PASSWORD));
    let ada = cookie(&service.form(&path(&link), &form, None).await, "recoup_session");
    let text = csrf(&see(&service, "/users", &ada).await);
    for (deed, more) in [("remove", ""), ("change", "&role=viewer")] {
        let place = format!("/users/ada@nube.example/{deed}");
        let answer = service.form(&place, &format!("csrf={text}{more}"), Some(&ada)).await;
        assert!(answer.status == 400 && answer.text.contains("last admin"), "{}", answer.text);
    }
    assert_eq!(see(&service, "/users", &ada).await.status, 200);
}

#[tokio::test]
async fn a_token_is_made_and_ended_on_the_page_and_shown_once() {
    let service = Service::with_cases(1).await;
    let ada = person(&service, "ada@nube.example", "admin").await;
    let text = csrf(&see(&service, "/users", &ada).await);
    let made =
        service.form("/tokens", &format!("csrf={text}&name=shop&scope=write"), Some(&ada)).await;
    let token = made.text.split("<code>recoup_").nth(1).unwrap().split('<').next().unwrap();
    assert_eq!(token.len(), 64, "{token}");
    let page = see(&service, "/users", &ada).await;
    assert!(!page.text.contains(token) && page.text.contains("shop"));
    let id = page.text.split("/tokens/tok_").nth(1).unwrap().split('/').next().unwrap();
    let place = format!("/tokens/tok_{id}/remove");
    assert_eq!(service.form(&place, &format!("csrf={text}"), Some(&ada)).await.status, 303);
    assert!(!see(&service, "/users", &ada).await.text.contains("shop"));
    let wrong = format!("csrf={text}&name=shop&scope=all");
    assert_eq!(service.form("/tokens", &wrong, Some(&ada)).await.status, 400);
}

#[tokio::test]
async fn an_account_is_made_once_and_with_a_role_that_there_is() {
    let service = Service::with_cases(1).await;
    let post = async |email: &str, role: &str| {
        let body = json!({ "email": email, "role": role }).to_string();
        service.api("POST", "/users", &body).await
    };
    assert_eq!(post("ana@nube.example", "support").await.status, 200);
    post(" ANA@nube.example", "viewer").await.is_problem(409, "user_exists");
    for (email, role) in [("ana", "viewer"), ("a b@c.example", "viewer"), ("b@c.example", "root")] {
        post(email, role).await.is_problem(422, "invalid_fields");
    }
    let list = service.api("GET", "/users", "").await.json();
    assert_eq!(list["data"][0]["has_password"], false);
    let changed = service.api("PUT", "/users/ana@nube.example", "{\"role\":\"admin\"}").await;
    assert_eq!(changed.json()["role"], "admin");
    service
        .api("PUT", "/users/nobody@x.example", "{\"role\":\"admin\"}")
        .await
        .is_problem(404, "not_found");
    assert_eq!(service.api("DELETE", "/users/ana@nube.example", "").await.status, 200);
    assert_eq!(service.api("GET", "/users", "").await.json()["data"], json!([]));
}
