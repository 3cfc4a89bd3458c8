//! Events to the merchant's own systems, over real HTTP, from the real binary.
//!
//! What must stay true: a receiver that checks signatures by the scheme's own words accepts every
//! event; what was decided is told at least once, whatever dies when, always under the same id; a
//! slow endpoint holds up no other; 410 ends an endpoint, and a replay sends the same bytes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::death::{TOKEN, World};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// One event as it arrived.
#[derive(Debug, Clone)]
struct Got {
    id: String,
    body: Value,
    bytes: Vec<u8>,
}

/// What an endpoint answers next; 200 when nothing is left.
#[derive(Default)]
struct Script {
    answers: Mutex<VecDeque<(u16, Option<&'static str>)>>,
    got: Mutex<Vec<Got>>,
    slow: Mutex<Duration>,
}

/// The merchant's own system.
struct Receiver {
    script: Arc<Script>,
    url: String,
}

impl Receiver {
    async fn start() -> Self {
        let script = Arc::new(Script::default());
        let app = Router::new().route("/h", post(take)).with_state(script.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/h", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { script, url }
    }

    fn answer(&self, answers: &[(u16, Option<&'static str>)]) {
        self.script.answers.lock().unwrap().extend(answers);
    }

    fn got(&self) -> Vec<Got> {
        self.script.got.lock().unwrap().clone()
    }

    fn kinds(&self) -> Vec<String> {
        self.got().iter().map(|got| got.body["type"].as_str().unwrap().to_owned()).collect()
    }

    fn section(&self, more: &str) -> String {
        let url = &self.url;
        format!(
            "[[webhooks]]\nurl = \"{url}\"\nsecret = \"{SECRET}\"\nprivate_network = true\n{more}\n"
        )
    }
}

async fn take(State(script): State<Arc<Script>>, headers: HeaderMap, body: Bytes) -> Response {
    let header = |name: &str| headers[name].to_str().unwrap().to_owned();
    let (id, at) = (header("webhook-id"), header("webhook-timestamp"));
    // By the words of the scheme, with another HMAC than the one that signs.
    let key = STANDARD.decode(SECRET.strip_prefix("whsec_").unwrap()).unwrap();
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &key);
    let signed = [id.as_bytes(), b".", at.as_bytes(), b".", &body[..]].concat();
    let genuine = header("webhook-signature").split(' ').any(|one| {
        let mac = one.strip_prefix("v1,").and_then(|text| STANDARD.decode(text).ok());
        mac.is_some_and(|mac| ring::hmac::verify(&key, &signed, &mac).is_ok())
    });
    let age = recoup::clock::real_now().as_second() - at.parse::<i64>().unwrap();
    if !genuine || age.abs() > 60 {
        return (StatusCode::UNAUTHORIZED, "not signed by recoup").into_response();
    }
    let slow = *script.slow.lock().unwrap();
    tokio::time::sleep(slow).await;
    let got = Got { id, body: serde_json::from_slice(&body).unwrap(), bytes: body.to_vec() };
    script.got.lock().unwrap().push(got);
    let (status, after) = script.answers.lock().unwrap().pop_front().unwrap_or((200, None));
    let status = StatusCode::from_u16(status).unwrap();
    match after {
        Some(after) if status.is_redirection() => {
            (status, [("location", after)], "").into_response()
        }
        Some(after) => (status, [("retry-after", after)], "later").into_response(),
        None => (status, "well").into_response(),
    }
}

/// A world with these sections behind its merchant file.
async fn world(sections: &str) -> World {
    let world = World::new().await;
    let file = world.read("recoup.toml");
    world.put("recoup.toml", &format!("{file}{sections}"));
    world
}

async fn post_api(world: &World, path: &str) -> (u16, Value) {
    let url = format!("http://{}/api/v1{path}", world.address);
    let answer = world.client.post(url).bearer_auth(TOKEN).json(&json!({})).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

fn end(mut child: std::process::Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_happens_to_a_case_is_told_in_order_signed_and_as_the_api_shows_it() {
    let (all, some) = (Receiver::start().await, Receiver::start().await);
    let only = some.section("events = [\"case.recovered\"]");
    let world = world(&(all.section("") + &only)).await;
    let child = world.start().await;
    assert!(world.fail(1).await && world.advance(0).await);
    assert_eq!(all.kinds(), ["case.opened", "attempt.scheduled"]);
    assert!(world.advance(3 * 86_400).await);
    let kinds = all.kinds();
    assert_eq!(kinds.last().unwrap(), "case.recovered", "{kinds:?}");
    assert_eq!(some.kinds(), ["case.recovered"]);
    let told = all.got().pop().unwrap();
    let case = world.cases().await.remove("in_1").unwrap();
    assert_eq!(told.body["data"], case, "the case as the API shows it");
    let ids: BTreeSet<_> = all.got().iter().map(|got| got.id.clone()).collect();
    assert_eq!(ids.len(), kinds.len(), "each event has an id of its own");
    let list = world.get("/webhook-deliveries?state=delivered&limit=100").await;
    assert_eq!(list["data"].as_array().unwrap().len(), kinds.len() + 1);
    assert_eq!(list["data"][0]["tries"][0]["status"], 200);
    end(child);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_front_end_is_told_when_to_fetch_the_banner_again() {
    let receiver = Receiver::start().await;
    let section = receiver.section("events = [\"banner.changed\"]");
    let world = world(&(section + &format!("[access]\nbanner_secret = \"{SECRET}\"\n"))).await;
    let child = world.start().await;
    assert!(world.fail(1).await && world.advance(0).await);
    let banner = async |customer| world.get(&format!("/customers/{customer}/banner")).await;
    assert_eq!((banner("c_1").await["show"].clone(), receiver.kinds().len()), (json!(false), 0));
    assert!(world.fail(4).await && world.advance(86_400).await);
    let case = world.cases().await.remove("in_4").unwrap();
    assert_eq!(case["state"], "awaiting_customer");
    assert_eq!(banner("c_4").await["show"], true);
    assert_eq!(receiver.got().last().unwrap().body["data"]["customer"], "c_4");
    let (told, id) = (receiver.kinds().len(), case["id"].as_str().unwrap());
    assert_eq!(post_api(&world, &format!("/cases/{id}/stop")).await.0, 200);
    assert!(world.advance(0).await);
    let now = (banner("c_4").await["show"].clone(), receiver.kinds().len());
    assert_eq!(now, (json!(false), told + 1));
    end(child);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_taken_is_tried_again_and_later_events_of_the_case_wait() {
    let receiver = Receiver::start().await;
    let world = world(&receiver.section("")).await;
    receiver.answer(&[(500, None), (302, Some("http://elsewhere.example/h")), (429, Some("7200"))]);
    let child = world.start().await;
    assert!(world.fail(1).await && world.advance(0).await);
    assert_eq!(receiver.kinds(), ["case.opened"], "the second waits for the first");
    assert!(world.advance(10).await);
    assert_eq!(receiver.got().len(), 2, "after five seconds");
    assert!(world.advance(400).await);
    assert_eq!(receiver.got().len(), 3, "after five minutes");
    assert!(world.advance(3_000).await);
    assert_eq!(receiver.got().len(), 3, "it asked for two hours");
    assert!(world.advance(6_000).await);
    let kinds = receiver.kinds();
    assert_eq!(kinds[..3], ["case.opened", "case.opened", "case.opened"]);
    assert!(kinds.contains(&"attempt.scheduled".to_owned()), "{kinds:?}");
    let got = receiver.got();
    assert!(got[..3].iter().all(|one| one.id == got[0].id && one.bytes == got[0].bytes));
    let id =
        world.get("/webhook-deliveries").await["data"].as_array().unwrap().last().unwrap()["id"]
            .as_str()
            .unwrap()
            .to_owned();
    let one = world.get(&format!("/webhook-deliveries/{id}")).await;
    let statuses: Vec<_> =
        one["tries"].as_array().unwrap().iter().map(|t| t["status"].as_u64().unwrap()).collect();
    assert_eq!(statuses, [500, 302, 429, 200]);
    assert_eq!(one["body"]["type"], "case.opened");
    end(child);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_410_ends_an_endpoint_until_it_is_enabled_and_a_replay_is_the_same_event() {
    let (gone, other) = (Receiver::start().await, Receiver::start().await);
    let world = world(&(gone.section("") + &other.section(""))).await;
    gone.answer(&[(410, None)]);
    let child = world.start().await;
    assert!(world.fail(1).await && world.advance(3 * 86_400).await);
    assert_eq!(gone.kinds(), ["case.opened"], "nothing more");
    assert!(other.kinds().contains(&"case.recovered".to_owned()), "the other hears on");
    let ended = world.get("/webhook-endpoints").await["data"][0].clone();
    assert!(ended["ended_at"].is_string(), "{ended}");
    let endpoint = ended["id"].as_str().unwrap().to_owned();
    let list = world.get(&format!("/webhook-deliveries?endpoint={endpoint}&limit=100")).await;
    let opened = list["data"].as_array().unwrap().last().unwrap()["id"].as_str().unwrap();
    let (status, problem) = post_api(&world, &format!("/webhook-deliveries/{opened}/replay")).await;
    assert_eq!((status, problem["code"].as_str()), (409, Some("endpoint_ended")));
    let (code, ..) = world.run(&["webhooks", "enable", &endpoint, "--json"]);
    assert_eq!(code, 0);
    let (status, _) = post_api(&world, &format!("/webhook-deliveries/{opened}/replay")).await;
    assert_eq!(status, 200);
    assert!(world.advance(1).await);
    let got = gone.got();
    assert_eq!(got.len(), 2);
    assert_eq!((&got[0].id, &got[0].bytes), (&got[1].id, &got[1].bytes));
    let (code, shown, _) = world.run(&["webhooks", "test", &endpoint, "--json"]);
    assert_eq!(code, 0, "{shown}");
    assert!(world.advance(1).await);
    assert_eq!(gone.kinds().last().unwrap(), "webhook.test");
    for nonsense in ["state=lost", "starting_after=whd_0", "limit=0", "limit=101", "x=1"] {
        let url = format!("http://{}/api/v1/webhook-deliveries?{nonsense}", world.address);
        let answer = world.client.get(url).bearer_auth(TOKEN).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 400, "{nonsense}");
    }
    end(child);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_endpoint_holds_up_no_other() {
    let (slow, fast) = (Receiver::start().await, Receiver::start().await);
    *slow.script.slow.lock().unwrap() = Duration::from_secs(3600);
    let opened = "events = [\"case.opened\"]";
    let world = world(&(slow.section(opened) + &fast.section(opened))).await;
    let child = world.start().await;
    for number in 1..=30 {
        assert!(world.fail(number).await);
    }
    // Time does not move while calls are under way; this is real time.
    for _ in 0..200 {
        if fast.got().len() == 30 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(fast.got().len(), 30);
    assert_eq!(slow.got().len(), 0);
    end(child);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_between_an_effect_and_its_commit_it_tells_everything_at_least_once() {
    let receiver = Receiver::start().await;
    let world = world(&receiver.section("")).await;
    let mut rng = fastrand::Rng::with_seed(11);
    let mut number = 0;
    for _ in 0..5 {
        let mut child = world.start().await;
        let kill_after = Duration::from_millis(rng.u64(20..400));
        let killer = async {
            tokio::time::sleep(kill_after).await;
            child.kill().unwrap();
        };
        let load = async {
            for _ in 0..20 {
                number += 1;
                world.fail(number).await;
                if number.is_multiple_of(5) {
                    world.advance(40_000).await;
                }
            }
        };
        tokio::join!(killer, load);
        child.wait().unwrap();
    }
    let child = world.start().await;
    for _ in 0..4 {
        assert!(world.advance(86_400).await);
    }
    let mut told: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut bytes: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for got in receiver.got() {
        let invoice = got.body["data"]["invoice"].as_str().unwrap().to_owned();
        let kind = got.body["type"].as_str().unwrap().to_owned();
        told.entry(invoice).or_default().insert(kind);
        let known = bytes.entry(got.id).or_insert_with(|| got.bytes.clone());
        assert_eq!(*known, got.bytes, "one id, one event");
    }
    let cases = world.cases().await;
    assert!(cases.len() > 10, "only {} cases", cases.len());
    for (invoice, case) in cases {
        let told = told.remove(&invoice).unwrap_or_default();
        assert!(told.contains("case.opened"), "{invoice}: {told:?}");
        let end = format!("case.{}", case["state"].as_str().unwrap());
        let ended = case["ended_at"].is_string();
        assert!(!ended || told.contains(&end), "{invoice} is {end}: {told:?}");
    }
    let left = world.get("/webhook-deliveries?state=pending").await;
    assert_eq!(left["data"], json!([]));
    end(child);
}
