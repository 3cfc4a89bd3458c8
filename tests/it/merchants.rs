//! Several merchants in one process: the real binary over a folder of files.
//!
//! What must stay true: each has its own cases, token, metrics and address; a broken file and a
//! gateway that hangs are in nobody else's way.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use recoup::sandbox::Kind;
use recoup::sandbox::deliver;
use serde_json::{Value, json};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

struct House {
    folder: tempfile::TempDir,
    address: String,
    client: reqwest::Client,
    child: Child,
}

impl Drop for House {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl House {
    /// `a` has a Stripe that hangs, `b` any gateway, `c` a word that no file knows, and `d` the
    /// store of `b`.
    async fn open(hanging: &str) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let (folder, address) = (tempfile::tempdir().unwrap(), format!("127.0.0.1:{port}"));
        let file = |name: &str, store: &str, kind: &str, base: &str, more: &str| {
            let text = format!(
                "[merchant]\nname = \"{name}\"\npublic_url = \"http://{address}/{name}\"\n\
                 support_email = \"help@{name}.example\"\n[server]\n\
                 admin_token = \"token-of-merchant-{name}\"\n[store]\nurl = \"{store}\"\n\
                 [[gateways]]\nid = \"pay\"\nkind = \"{kind}\"\napi_base = \"{base}\"\n\
                 api_key = \"sk_test_key\"\nwebhook_secrets = [\"{SECRET}\"]\n{more}"
            );
            std::fs::write(folder.path().join(format!("{name}.toml")), text).unwrap();
        };
        file("a", "sled:a", "stripe", hanging, "");
        file("b", "sled:b", "http", "http://127.0.0.1:1", "");
        file("c", "sled:c", "http", "http://127.0.0.1:1", "[retrys]\n");
        file("d", "sled:b", "http", "http://127.0.0.1:1", "");
        let child = Command::new(env!("CARGO_BIN_EXE_recoup"))
            .args(["serve", "--config-dir", ".", "--listen", &address])
            .current_dir(folder.path())
            .env_remove("RECOUP_CONFIG")
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(folder.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        let client = deliver::client().unwrap();
        let house = Self { folder, address, client, child };
        for _ in 0..600 {
            if house.get("/readyz", "").await.is_some() {
                return house;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("it did not come up: {}", house.log());
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The text of a good answer.
    async fn get(&self, path: &str, token: &str) -> Option<String> {
        let answer = self.client.get(self.url(path)).bearer_auth(token).send().await.ok()?;
        if answer.status().is_success() { answer.text().await.ok() } else { None }
    }

    async fn send(&self, merchant: &str, kind: Kind, id: &str, body: &Value) {
        let (body, at) = (body.to_string(), recoup::clock::real_now());
        let mut request =
            self.client.post(self.url(&format!("/{merchant}/webhooks/pay"))).body(body.clone());
        for (name, value) in deliver::headers(kind, SECRET, (id, &body), at).unwrap() {
            request = request.header(name, value);
        }
        let answer = request.send().await.unwrap();
        assert!(answer.status().is_success(), "{}: {}", answer.status(), self.log());
    }

    async fn cases(&self, merchant: &str) -> usize {
        let token = format!("token-of-merchant-{merchant}");
        let list = self.get(&format!("/{merchant}/api/v1/cases"), &token).await.unwrap();
        let list: Value = serde_json::from_str(&list).unwrap();
        list["data"].as_array().unwrap().len()
    }
}

/// Takes connections and never says a word.
fn hang() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let taken: Vec<_> = listener.incoming().collect();
        drop(taken);
    });
    format!("http://{address}")
}

fn of_stripe(number: u32) -> Value {
    json!({
        "id": format!("evt_{number}"), "object": "event", "type": "invoice.payment_failed",
        "created": 1_790_000_000, "livemode": false,
        "data": { "object": {
            "id": format!("in_{number}"), "object": "invoice", "customer": "cus_1",
            "amount_due": 2900, "amount_remaining": 2900, "currency": "usd", "status": "open",
            "attempt_count": 1,
        } },
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_floods_hangs_or_breaks_one_merchant_is_in_nobody_elses_way() {
    let house = House::open(&hang()).await;
    let ready: Value = serde_json::from_str(&house.get("/readyz", "").await.unwrap()).unwrap();
    assert_eq!(ready, json!({ "ready": true, "not_ready": [], "broken": ["c", "d"] }));
    let log = house.log();
    assert!(log.contains("retrys") && log.contains("b names the same"), "{log}");

    // A flood at `a`, each of which needs a read that hangs.
    for number in 0..40 {
        house.send("a", Kind::Stripe, &format!("evt_{number}"), &of_stripe(number)).await;
    }
    let failed = json!({
        "type": "invoice.payment_failed", "timestamp": "2026-01-05T13:00:00Z",
        "data": {
            "invoice": "in_1", "customer": {"id": "c_1"}, "amount": 2900, "currency": "USD",
            "attempt_count": 1, "decline": {"code": "insufficient_funds"},
            "payment_method": {"token": "tok_1", "network": "visa"},
        },
    });
    house.send("b", Kind::Http, "msg_1", &failed).await;
    let mut waits = 0;
    while house.cases("b").await == 0 {
        waits += 1;
        assert!(waits < 1_000, "b waits for a: {}", house.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let waiting = house.get("/a/metrics", "token-of-merchant-a").await.unwrap();
    let waits = |line: &str| line.starts_with("recoup_inbox_waiting") && !line.ends_with(" 0");
    assert!(waiting.lines().any(waits), "a was still busy meanwhile: {waiting}");

    // Each is by itself.
    assert_eq!(house.cases("a").await, 0);
    assert!(house.get("/b/api/v1/cases", "token-of-merchant-a").await.is_none(), "its own token");
    assert!(house.get("/c/livez", "").await.is_none() && house.get("/x", "").await.is_none());
    let counted = house.get("/b/metrics", "token-of-merchant-b").await.unwrap();
    let own = counted.lines().filter(|line| line.starts_with("recoup_webhooks_total{"));
    let own: Vec<_> = own.collect();
    assert_eq!(own.len(), 1, "{own:?}");
    assert!(own[0].contains("merchant=\"b\"") && own[0].ends_with(" 1"), "{own:?}");
    // A person of one is nobody at the other, also with the cookie of the first.
    let invite = house.client.post(house.url("/a/api/v1/users"));
    let invite = invite.bearer_auth("token-of-merchant-a");
    let body = json!({ "email": "ana@a.example", "role": "admin" });
    let made: Value = invite.json(&body).send().await.unwrap().json().await.unwrap();
    let link = made["link"].as_str().unwrap();
    assert!(link.starts_with(&house.url("/a/set-up/")), "{link}");
    let elsewhere = link.replace("/a/set-up/", "/b/set-up/");
    assert_eq!(house.client.get(elsewhere).send().await.unwrap().status(), 404);
    let form = [("password", "correct horse battery"), ("again", "correct horse battery")];
    let set = house.client.post(link).form(&form).send().await.unwrap();
    assert_eq!(set.headers()["location"], "/a/");
    let cookies = set.headers().get_all("set-cookie").iter();
    let cookies: Vec<_> = cookies.map(|cookie| cookie.to_str().unwrap().to_owned()).collect();
    assert!(cookies.len() == 2 && cookies.iter().all(|c| c.contains("; Path=/a; HttpOnly")));
    let session = cookies[0].split(';').next().unwrap();
    for (merchant, status) in [("a", 200), ("b", 303)] {
        let url = house.url(&format!("/{merchant}/users"));
        let page = house.client.get(url).header("cookie", session).send().await.unwrap();
        assert_eq!(page.status(), status, "{merchant}");
    }
    let people = house.get("/b/api/v1/users", "token-of-merchant-b").await.unwrap();
    assert!(people.contains("\"data\":[]"), "{people}");
    assert!(house.get("/b/api/v1/audit", "token-of-merchant-b").await.unwrap().contains("[]"));
    // A page leads to where it is.
    let login = house.get("/b/login", "").await.unwrap();
    assert!(login.contains("action=\"/b/login\""), "{login}");
}
