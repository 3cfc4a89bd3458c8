//! A channel that too many people complain of, or that writes to too many addresses that do not
//! exist, stops by itself: through the real binary, over deaths and restarts.
//!
//! What must stay true: nothing goes by a stopped channel; what would have gone by it goes by the
//! next one that reaches the customer, or waits; it is lifted with one command; nothing is lost and
//! nothing goes out twice.

use recoup::sandbox::mail::Trouble;
use serde_json::{Value, json};

use crate::channels::{PHONE, Twilio, fail, get, sms_section};
use crate::death::{TOKEN, World};

/// Twenty mails are enough here, and one bounce in five is too much.
fn sections(base: &str) -> String {
    let ceilings = "[reminders.ceilings]\nmessages = 10\nbounces = 0.2\n[sms]";
    sms_section(base).replacen("[sms]", ceilings, 1)
}

async fn fail_mail_only(world: &World, n: usize) {
    let customer = json!({"id": format!("c_{n}"), "email": format!("c{n}@example.com")});
    fail(world, &format!("in_{n}"), customer).await;
}

async fn email(world: &World) -> Value {
    let page = get(world, "channels").await;
    let rows = page["data"].as_array().unwrap();
    rows.iter().find(|row| row["channel"] == "email").unwrap().clone()
}

async fn metric(world: &World) -> String {
    let url = format!("http://{}/metrics", world.address);
    let answer = world.client.get(url).bearer_auth(TOKEN).send().await.unwrap();
    let text = answer.text().await.unwrap();
    let line = text.lines().find(|l| l.starts_with("recoup_channel_stopped{channel=\"email\""));
    line.unwrap_or("none").rsplit(' ').next().unwrap().to_owned()
}

fn mailed(world: &World, n: usize) -> usize {
    let to = format!("c{n}@example.com");
    world.mail.messages().iter().filter(|mail| mail.to == [to.clone()]).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mail_stops_by_itself_and_goes_on_when_a_person_lifts_it() {
    let (twilio, base) = Twilio::start().await;
    let world = World::with(&sections(&base)).await;
    let mut child = world.start().await;
    for n in 1..=8 {
        fail_mail_only(&world, n).await;
    }
    for n in 9..=10 {
        assert_eq!(email(&world).await["state"], "open", "{n}");
        world.mail.order(Trouble::Recipient("550 5.1.1 no such mailbox".into()));
        fail_mail_only(&world, n).await;
    }
    let stopped = email(&world).await;
    assert_eq!((&stopped["state"], &stopped["stop"]["by"]), (&json!("stopped"), &json!("bounces")));
    assert_eq!((&stopped["messages"], &stopped["bounces"]), (&json!(10), &json!(2)));
    let why = "2 of 10 messages in 30 days went to addresses that nothing reaches";
    assert_eq!(stopped["stop"]["why"], why);
    assert_eq!(metric(&world).await, "1");

    // Whoever has a phone gets a text message; whoever has none waits.
    let both = json!({"id": "c_11", "email": "c11@example.com", "phone": PHONE});
    fail(&world, "in_11", both).await;
    fail_mail_only(&world, 12).await;
    assert_eq!((twilio.sms().len(), mailed(&world, 11), mailed(&world, 12)), (1, 0, 0));

    // A death forgets nothing, and days of waiting are told once.
    child.kill().unwrap();
    child.wait().unwrap();
    let mut child = world.start().await;
    assert_eq!(email(&world).await["stop"]["why"], why);
    assert_eq!(metric(&world).await, "1");
    for _ in 0..3 {
        assert!(world.advance(86_400).await);
    }
    assert_eq!((twilio.sms().len(), mailed(&world, 12)), (1, 0));
    let cases = get(&world, "cases?invoice=in_12").await;
    let id = cases["data"][0]["id"].as_str().unwrap().to_owned();
    let ledger = get(&world, &format!("cases/{id}/ledger")).await;
    let text = ledger.to_string();
    let told = text.matches("A message waits: email is stopped for all customers.").count();
    assert_eq!(told, 1, "{ledger:#}");

    // One call lifts it; what waited goes out, once.
    let url = format!("http://{}/api/v1/channels/email/lift", world.address);
    let lift = || world.client.post(&url).bearer_auth(TOKEN).json(&json!({}));
    let lifted: Value = lift().send().await.unwrap().json().await.unwrap();
    assert_eq!((&lifted["state"], &lifted["messages"]), (&json!("open"), &json!(0)), "{lifted:#}");
    assert_eq!(metric(&world).await, "0");
    assert!(world.advance(86_400).await);
    assert_eq!(mailed(&world, 12), 1);
    assert_eq!(lift().send().await.unwrap().status(), 200, "lifting twice changes nothing");
    child.kill().unwrap();
    child.wait().unwrap();
    let mut child = world.start().await;
    assert_eq!(email(&world).await["state"], "open");
    assert!(world.advance(3_600).await);
    assert_eq!((mailed(&world, 12), twilio.sms().len()), (1, 1), "nothing twice");
    let unknown = url.replace("email", "pigeon");
    let answer = world.client.post(unknown).bearer_auth(TOKEN).send().await.unwrap();
    assert_eq!(answer.status(), 404);
    child.kill().unwrap();
    child.wait().unwrap();
}
