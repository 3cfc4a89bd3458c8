//! The real binary beside services that accept and never answer: a gateway at which its webhooks
//! have to be read, and a mail server.
//!
//! What must stay true: the charges of the other gateway go out meanwhile, each once, and webhooks
//! are acknowledged.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use recoup::core::ids::{CaseId, GatewayId};
use recoup::sandbox::Kind;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::time::Instant;

use crate::death::{TOKEN, World, failure};

/// More than may be under way at one gateway or on one channel.
const HANGING: usize = 80;
const CHARGES: usize = 20;
/// Well below the time after which a call to a gateway is given up.
const SOON: Duration = Duration::from_secs(20);

/// Something that accepts connections and says nothing.
async fn silence() -> (String, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let held = tokio::spawn(async move {
        let mut connections = Vec::new();
        while let Ok((connection, _)) = listener.accept().await {
            connections.push(connection);
        }
    });
    (address, held)
}

/// The service by the real clock, killed when the test is over.
struct Running(Child);

impl Running {
    async fn start(world: &World) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_recoup"));
        command.arg("serve").current_dir(world.folder());
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let running = Self(child);
        let url = format!("http://{}/readyz", world.address);
        for _ in 0..600 {
            if world.client.get(&url).send().await.is_ok_and(|a| a.status().is_success()) {
                return running;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("the service did not come up");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

const SECRET: &str = "whsec_of_the_silent_one";

/// A merchant whose second gateway and whose mail server are silent.
async fn merchant(gateway: &str, mail: &str) -> World {
    let world = World::new().await;
    let own = world.read("recoup.toml").replace(&world.mail.url(), &format!("smtp://{mail}"));
    let second = format!(
        "[[gateways]]\nid = \"silent\"\nkind = \"stripe\"\napi_base = \"http://{gateway}\"\n\
         api_key = \"sk_test_silent\"\nwebhook_secrets = [\"{SECRET}\"]\n[retries]\n"
    );
    let days = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
    let hours: String = days.iter().map(|day| format!("{day} = [0, 24]\n")).collect();
    let contact = format!(
        "[reminders]\ncontact_policy = \"any\"\n[contact_policies.any]\nbase = \"default\"\n\
         [contact_policies.any.hours]\n{hours}"
    );
    world.put("recoup.toml", &format!("{}{contact}", own.replace("[retries]\n", &second)));
    world
}

/// A webhook of the silent gateway, about an invoice that has to be read there.
async fn silent_event(world: &World, n: usize) {
    let at = recoup::clock::real_now();
    let body = json!({
        "id": format!("evt_{n}"), "object": "event", "type": "invoice.payment_failed",
        "created": at.as_second(),
        "data": {"object": {"id": format!("in_s{n}"), "object": "invoice", "customer": "cus_1"}},
    })
    .to_string();
    let url = format!("http://{}/webhooks/silent", world.address);
    let mut request = world.client.post(url).body(body.clone());
    let id = format!("evt_{n}");
    let signed = recoup::sandbox::deliver::headers(Kind::Stripe, SECRET, (&id, &body), at);
    for (name, value) in signed.unwrap() {
        request = request.header(name, value);
    }
    let status = request.send().await.unwrap().status();
    assert!(status.is_success(), "{status}");
}

/// Today's failure of invoice `in_{number}`.
async fn fail(world: &World, number: usize) {
    let now = recoup::clock::real_now().to_string();
    let body = failure(number).replace("2026-01-05T13:00:00Z", &now);
    assert!(world.post(&format!("msg_{number}"), body).await, "{number} is not acknowledged");
}

/// Presses the button of a case, as soon as there is one.
async fn retry(world: &World, number: usize) {
    let case = CaseId::of(&GatewayId::from("pay"), &format!("in_{number}"));
    let url = format!("http://{}/api/v1/cases/{case}/retry", world.address);
    loop {
        let asked = world.client.post(&url).bearer_auth(TOKEN).json(&json!({}));
        let asked = asked.header("Idempotency-Key", format!("retry-{number}")).send().await;
        if asked.is_ok_and(|answer| answer.status().is_success()) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_and_a_mail_server_that_never_answer_hold_up_no_charge_of_another() {
    let ((gateway, _held), (mail, _kept)) = (silence().await, silence().await);
    let world = merchant(&gateway, &mail).await;
    let running = Running::start(&world).await;
    for n in 1..=HANGING {
        silent_event(&world, n).await;
        // Hard declines: each customer is asked for another card at once.
        fail(&world, 4 * n).await;
    }
    let began = Instant::now();
    let soft: Vec<usize> = (0..CHARGES).map(|n| 4_001 + 4 * n).collect();
    let charged = tokio::time::timeout(SOON, async {
        for &number in &soft {
            fail(&world, number).await;
        }
        for &number in &soft {
            retry(&world, number).await;
        }
        while world.sandbox.ledger().len() < CHARGES {
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    });
    let charged = charged.await;
    let ledger = world.sandbox.ledger();
    assert!(charged.is_ok(), "{} of {CHARGES} charges in {SOON:?}", ledger.len());
    println!("{CHARGES} charges beside silent services: {:?}", began.elapsed());
    assert_eq!(ledger.len(), CHARGES);
    assert!(world.sandbox.double_charges().is_empty());
    assert!(world.mail.messages().is_empty(), "the mail server is not silent");
    drop(running);
}
