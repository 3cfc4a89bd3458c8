//! A customer is forgotten: afterwards neither an export nor the files of the store hold their
//! name, addresses or tokens, and the books are as they were.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::death::{TOKEN, World};

const ANA: &str = "ana.perez@nube.example";
const LUIS: &str = "luis.gomez@nube.example";
const OF_ANA: [&str; 4] = [ANA, "573015550199", "Ana Perez", "tok_of_ana"];

fn failure(invoice: &str, who: &str, name: &str, phone: &str, token: &str) -> String {
    json!({
        "type": "invoice.payment_failed",
        "timestamp": "2026-01-05T13:00:00Z",
        "data": {
            "invoice": invoice, "subscription": format!("sub_{invoice}"),
            "customer": {"id": who, "email": who, "phone": phone, "name": name},
            "amount": 2900, "currency": "USD", "attempt_count": 1,
            "decline": {"code": "insufficient_funds"},
            "payment_method": {"token": token, "network": "visa", "last4": "4242"},
        },
    })
    .to_string()
}

/// Everything that the store holds on the disk, and what an export says.
fn kept(world: &World) -> Vec<Vec<u8>> {
    let (code, export, said) = world.run(&["export"]);
    assert_eq!(code, 0, "{said}");
    let files = std::fs::read_dir(world.store()).unwrap().flatten();
    let files = files.filter(|entry| entry.path().is_file());
    let mut kept: Vec<_> = files.map(|entry| std::fs::read(entry.path()).unwrap()).collect();
    kept.push(export.into_bytes());
    kept
}

/// As it is, and inside base64 at each of its three places: so raw events are kept.
fn holds(kept: &[Vec<u8>], text: &str) -> bool {
    let mut forms = vec![text.to_owned()];
    for before in 0..3 {
        let padded = format!("{}{text}", "x".repeat(before));
        let whole = STANDARD.encode(&padded[..padded.len() / 3 * 3]);
        forms.push(whole[(before * 4).div_ceil(3)..].to_owned());
    }
    kept.iter().any(|bytes| {
        forms.iter().any(|form| bytes.windows(form.len()).any(|part| part == form.as_bytes()))
    })
}

fn stop(mut service: std::process::Child) {
    service.kill().unwrap();
    service.wait().unwrap();
}

async fn post(world: &World, path: &str, body: Value) -> (u16, Value) {
    let url = format!("http://{}/api/v1{path}", world.address);
    let sent = world.client.post(url).bearer_auth(TOKEN).json(&body).send().await.unwrap();
    (sent.status().as_u16(), sent.json().await.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn afterwards_nothing_names_them_and_the_books_stay() {
    let world = World::new().await;
    let service = world.start().await;
    let ana = failure("in_1", ANA, "Ana Perez", "+573015550199", "tok_of_ana");
    assert!(world.post("msg_1", ana.clone()).await);
    let luis = failure("in_2", LUIS, "Luis Gomez", "+34911222333", "tok_of_luis");
    assert!(world.post("msg_2", luis).await);
    assert!(world.advance(60).await);
    // Somebody changed her record, and the audit list says so.
    let url = format!("http://{}/api/v1/customers/{ANA}", world.address);
    let put = world.client.put(url).bearer_auth(TOKEN).json(&json!({ "locale": "es" }));
    assert_eq!(put.send().await.unwrap().status(), 200);
    let path = format!("/customers/{ANA}/forget");
    let (status, problem) = post(&world, &path, json!({})).await;
    assert_eq!((status, &problem["code"]), (409, &json!("case_open")), "{problem}");
    assert!(world.advance(3 * 86_400).await);
    let before = world.cases().await;
    assert_eq!(before["in_1"]["state"], "recovered", "{:#}", before["in_1"]);
    stop(service);
    assert!(OF_ANA.iter().all(|text| holds(&kept(&world), text)), "there is something to erase");

    let service = world.start().await;
    let (code, said, why) = world.run(&["forget", ANA]);
    assert_eq!(code, 0, "{why}");
    assert!(said.contains("forgotten_") && !said.contains(ANA), "{said}");
    assert_eq!(world.run(&["forget", ANA]).0, 1, "nobody is left to forget");
    assert!(world.post("msg_1", ana).await, "the same event again is a duplicate");
    assert!(world.advance(60).await);
    stop(service);
    // The next start makes the store anew.
    let service = world.start().await;
    let after = world.cases().await;
    stop(service);

    let kept = kept(&world);
    for text in OF_ANA {
        assert!(!holds(&kept, text), "{text} is still there");
    }
    for deed in ["customers.change", "customers.forget"] {
        assert!(holds(&kept, deed), "that it was done stays: {deed}");
    }
    assert!(holds(&kept, LUIS) && holds(&kept, "tok_of_luis"), "others are as they were");
    assert_eq!(after["in_2"], before["in_2"]);
    for field in ["id", "state", "amount", "opened_at", "ended_at", "invoice"] {
        assert_eq!(after["in_1"][field], before["in_1"][field], "{field}");
    }
    assert!(after["in_1"]["customer"].as_str().unwrap().starts_with("forgotten_"));
    assert_eq!(after["in_1"]["attempts"][0]["outcome"], before["in_1"]["attempts"][0]["outcome"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_merchant_file_no_longer_keeps_is_erased() {
    let world = World::with(
        "schedule = { days = [1] }\n[retention]\nraw_events_days = 30\ncustomers_days = 60",
    )
    .await;
    let service = world.start().await;
    let ana = failure("in_1", ANA, "Ana Perez", "+573015550199", "tok_of_ana");
    assert!(world.post("msg_1", ana).await);
    assert!(world.advance(40 * 86_400).await);
    let (_, first) = post(&world, "/retention", json!({})).await;
    assert_eq!((&first["erased"]["inputs"], &first["erased"]["customers"]), (&json!(1), &json!(0)));
    assert!(world.advance(40 * 86_400).await);
    let (code, said, why) = world.run(&["forget", "--expired", "--json"]);
    assert_eq!(code, 0, "{why}");
    let second: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(
        (&second["erased"]["customers"], &second["erased"]["cases"]),
        (&json!(1), &json!(1))
    );
    stop(service);
    let (code, _, why) = world.run(&["compact"]);
    assert_eq!(code, 0, "{why}");
    let kept = kept(&world);
    for text in OF_ANA {
        assert!(!holds(&kept, text), "{text} is still there");
    }
}
