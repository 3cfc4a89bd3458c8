//! Under load: nobody waits for somebody else's gateway, and a backlog drains in order and keeps no
//! webhook waiting.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use axum::routing::get;
use futures::StreamExt as _;
use jiff::Timestamp;
use recoup::clock::Clock;
use recoup::core::customer::Channel;
use recoup::core::effect::{AttemptRef, ChargeOrder, Effect, MessageOrder, Order, RefundOrder};
use recoup::core::ids::{AttemptId, CaseId, EffectId, GatewayId, MessageId};
use recoup::core::policy::MessageKind;
use recoup::gateway::http::HttpGateway;
use recoup::gateway::wire::Timeouts;
use recoup::gateway::{Gateway as _, GatewaySettings};
use recoup::store::memory::MemoryStore;
use recoup::store::{Commit, Store as _};
use serde_json::json;
use tokio::time::Instant;

use crate::http_samples::case;
use crate::http_support::at;
use crate::load_world::{Double, Mood, World, after_the_week, fill, post};
use crate::messages::order;

const SOON: Duration = Duration::from_secs(20);

fn store() -> Arc<MemoryStore> {
    Arc::new(MemoryStore::new([0; 32]))
}

/// Effects that need no case: one for each number.
async fn ask(store: &MemoryStore, name: &str, count: usize, order: impl Fn(usize) -> Order) {
    let case = CaseId::of(&GatewayId::from(name), "in_1");
    let effect = |n: usize| Effect {
        id: EffectId::of(&case, n as u64),
        case: case.clone(),
        not_before: at(0),
        order: order(n),
    };
    let effects = (0..count).map(effect).collect();
    store.commit(Commit { effects, ..Commit::default() }).await.unwrap();
}

fn refund(gateway: &str, n: usize) -> Order {
    Order::Refund(RefundOrder {
        gateway: GatewayId::from(gateway),
        attempt: AttemptId::from("att_1"),
        charge: format!("ch_{n:04}"),
        amount: case(1).amount,
    })
}

fn message(channel: Channel, n: usize) -> Order {
    let id = MessageId::from(format!("msg_{n}").as_str());
    Order::Send(MessageOrder { id, channel, ..order(MessageKind::CardUpdate, "en") })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_and_a_mail_server_that_hang_stop_nobody_else() {
    let (hanging, other) =
        (Double::new("hanging", Mood::Hanging), Double::new("other", Mood::Quick));
    let (post, store) = (post(), store());
    post.email.set(Mood::Hanging);
    ask(&store, "hanging", 900, |n| refund("hanging", n)).await;
    ask(&store, "email", 100, |n| message(Channel::Email, n)).await;
    ask(&store, "other", 300, |n| refund("other", n)).await;
    ask(&store, "sms", 40, |n| message(Channel::Sms, n)).await;
    let world = World::start(store, Clock::test(at(0)), &[&hanging, &other], &post);
    world.until(SOON, "the other gateway's refunds", || other.service.done() == 300).await;
    world.until(SOON, "the text messages", || post.sms.done() == 40).await;
    assert_eq!((hanging.service.done(), post.email.done()), (0, 0));
    assert_eq!(hanging.service.busiest(), 64, "its lane is full, and no fuller");
    assert_eq!(post.email.busiest(), 32);
    // It comes back: everything is done, once, in order but for what is under way together.
    hanging.service.set(Mood::Quick);
    post.email.set(Mood::Quick);
    world.until(SOON, "everything", || hanging.service.done() == 900).await;
    world.until(SOON, "the mails", || post.email.done() == 100).await;
    let calls = hanging.service.calls.lock().unwrap().clone();
    let mut sorted = calls.clone();
    sorted.sort();
    sorted.dedup();
    assert_eq!(sorted.len(), 900, "each once");
    for (place, call) in calls.iter().enumerate() {
        let right = sorted.binary_search(call).unwrap();
        assert!(place.abs_diff(right) <= 300, "{call} was the {place}th instead of the {right}th");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_that_wait_for_a_gateway_that_hangs_hold_up_no_others() {
    let (hanging, other) =
        (Double::new("hanging", Mood::Hanging), Double::new("other", Mood::Quick));
    let world = World::start(store(), Clock::System, &[&hanging, &other], &post());
    for n in 0..700 {
        world.event("hanging", &format!("read {n}")).await;
    }
    for n in 0..200 {
        world.event("other", &format!("read other {n}")).await;
        world.event("other", &format!("whole {n}")).await;
    }
    world.until(SOON, "the reads of the other gateway", || other.service.done() >= 200).await;
    let settled = tokio::time::timeout(SOON, async {
        while world.waiting().await.len() > 700 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    settled.await.expect("all events of the other gateway are applied");
    assert!(world.waiting().await.iter().all(|body| body.starts_with("read ")));
    assert!(hanging.service.busiest() <= 64, "{}", hanging.service.busiest());
    // What found no slot was put off, and not counted as tried.
    let entries = world.store.inbox(Timestamp::MAX, usize::MAX).await.unwrap();
    assert!(entries.iter().all(|entry| entry.tries == 0));
    hanging.service.set(Mood::Quick);
    let all = tokio::time::timeout(Duration::from_secs(90), async {
        while !world.waiting().await.is_empty() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    all.await.expect("all are read when it is back");
}

/// `RECOUP_LOAD_CASES=20000` and more for a longer look; `cargo bench --bench drain` drains more.
fn backlog() -> i64 {
    let asked = std::env::var("RECOUP_LOAD_CASES").ok();
    asked.map_or(1_500, |count| count.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_weeks_backlog_drains_in_order_and_keeps_no_webhook_waiting() {
    let (count, store) = (backlog(), store());
    let gateway = Double::new("first", Mood::Quick);
    fill(&*store, &gateway, count).await;
    let world = World::start(store, Clock::test(after_the_week()), &[&gateway], &post());
    let (began, mut slowest, mut events) = (Instant::now(), Duration::ZERO, 0);
    while gateway.charged().len() < count as usize {
        if began.elapsed() > Duration::from_secs(60) && gateway.charged().is_empty() {
            let case = CaseId::of(&GatewayId::from("first"), "in_1");
            panic!("nothing is charged: {:#?}", world.store.ledger(&case).await.unwrap());
        }
        assert!(began.elapsed() < Duration::from_secs(3_600), "{}", gateway.charged().len());
        world.event("first", &format!("whole {events}")).await;
        let sent = Instant::now();
        while !world.waiting().await.is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        slowest = slowest.max(sent.elapsed());
        events += 1;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let rate = count as f64 / began.elapsed().as_secs_f64();
    println!("{count} overdue cases: {rate:.0} a second; slowest of {events} events {slowest:?}");
    assert!(events > 5, "events came in while it drained");
    assert!(slowest < Duration::from_secs(5), "an event waited {slowest:?}");
    let charges = gateway.charged();
    assert_eq!(charges.len(), count as usize, "each once");
    for (place, number) in (1..).zip(&charges) {
        let off: i64 = place - number;
        assert!(off.abs() <= 320, "in_{number} was charged as the {place}th");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_failed_in_an_outage_comes_back_one_by_one() {
    let (down, store) = (Double::new("down", Mood::Failing), store());
    ask(&store, "down", 400, |n| refund("down", n)).await;
    let world = World::start(store, Clock::test(at(0)), &[&down], &post());
    let tried = || down.service.calls.lock().unwrap().len() == 400;
    world.until(SOON, "one try of each", tried).await;
    let now = world.clock.now();
    let mut seconds: BTreeMap<i64, usize> = BTreeMap::new();
    let released = tokio::time::timeout(SOON, async {
        loop {
            seconds.clear();
            for record in world.store.export(None, usize::MAX).await.unwrap() {
                if let Some(ready) = record.value.get("ready_at").and_then(|at| at.as_str()) {
                    let ready: Timestamp = ready.parse().unwrap();
                    *seconds.entry((ready - now).get_seconds()).or_default() += 1;
                }
            }
            if seconds.keys().all(|second| *second >= 10) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    released.await.expect("each waits for its next try");
    assert_eq!(seconds.values().sum::<usize>(), 400);
    let most = seconds.values().max().unwrap();
    assert!(*most <= 130, "{seconds:?}: a herd");
    assert!(seconds.keys().all(|second| (10..=15).contains(second)), "{seconds:?}");
}

/// A gateway's API that notes when it is asked, and is too busy for the `busy_at`-th.
async fn api(busy_at: usize) -> (String, Arc<Mutex<Vec<Instant>>>) {
    let asked: Arc<Mutex<Vec<Instant>>> = Arc::default();
    let seen = Arc::clone(&asked);
    let answer = async move || {
        let mut asked = seen.lock().unwrap();
        asked.push(Instant::now());
        if asked.len() == busy_at {
            return (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "2")]).into_response();
        }
        (StatusCode::NOT_FOUND, axum::Json(json!({}))).into_response()
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().route("/charges", get(answer));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (base, asked)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_is_sent_no_more_than_it_takes() {
    let (base, asked) = api(60).await;
    let settings = GatewaySettings {
        api_base: Some(base),
        requests_per_second: Some(40),
        ..GatewaySettings::new(GatewayId::from("pay"), "key".into())
    };
    let gateway = HttpGateway::new(settings, Timeouts::default()).unwrap();
    let sample = attempt();
    let look_ups = (0..100).map(|_| gateway.look_up(&sample));
    let answers: Vec<_> = futures::stream::iter(look_ups).buffer_unordered(100).collect().await;
    assert_eq!(answers.len(), 100);
    let asked = asked.lock().unwrap().clone();
    let within = |from: Instant| {
        asked.iter().filter(|at| **at >= from && **at < from + Duration::from_secs(1)).count()
    };
    // A quarter of a second's requests may leave ahead; a slow machine delays some.
    let most = asked.iter().map(|at| within(*at)).max().unwrap();
    assert!(most <= 62, "{most} in one second");
    // From the busy answer on everybody waits, but those that were under way already.
    let busy = asked[59];
    let soon = asked.iter().filter(|at| **at > busy && **at < busy + Duration::from_millis(1_500));
    assert!(soon.count() <= 41, "the gateway asked for two seconds of peace");
    let whole = *asked.last().unwrap() - asked[0];
    assert!(whole >= Duration::from_millis(2_100), "{whole:?}");
}

fn attempt() -> AttemptRef {
    let case = case(1);
    let charge = ChargeOrder {
        attempt: AttemptId::from("att_1"),
        number: 1,
        gateway: GatewayId::from("pay"),
        idempotency_key: "key_1".to_owned(),
        token: None,
        customer: None,
        subscription: None,
        invoice: case.invoice,
        amount: case.amount,
        billing: false,
        network_transaction_id: None,
    };
    AttemptRef { charge, payment: None, first_sent_at: at(0) }
}
