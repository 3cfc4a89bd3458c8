//! The hosted page as its customers meet it: the real binary over sandbox Stripe, one test clock.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use recoup::clock::Clock;
use recoup::sandbox::{
    Kind, NewBill, NewCustomer, Sandbox, SandboxOptions, Step, Subscribed, Target,
};
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};

const TOKEN: &str = "a-token-of-this-test-only";
const START: &str = "2026-01-05T13:00:00Z";

pub(crate) struct World {
    pub(crate) sandbox: Sandbox,
    pub(crate) address: String,
    client: reqwest::Client,
    child: Child,
    _folder: tempfile::TempDir,
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl World {
    pub(crate) async fn new() -> Self {
        let clock = Clock::test(START.parse().unwrap());
        let options =
            SandboxOptions { clock, native_retry_days: Vec::new(), ..SandboxOptions::default() };
        let sandbox = Sandbox::start(options).await.unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let address = format!("127.0.0.1:{port}");
        sandbox.set_webhook_url(Kind::Stripe, Some(&format!("http://{address}/webhooks/stripe")));
        let folder = tempfile::tempdir().unwrap();
        let secrets = sandbox.secrets();
        let file = format!(
            "[merchant]\nname = \"Café Nube\"\npublic_url = \"http://{address}\"\n\
             support_email = \"help@nube.example\"\nsupport_phone = \"+57 601 555 0100\"\n\
             brand_color = \"#5b3fd6\"\n[server]\nlisten = \"{address}\"\n\
             admin_token = \"{TOKEN}\"\n[store]\nurl = \"memory:\"\n[[gateways]]\n\
             id = \"stripe\"\nkind = \"stripe\"\napi_base = \"{base}\"\napi_key = \"{key}\"\n\
             webhook_secrets = [\"{secret}\"]\nnative_retries = \"off\"\n",
            base = sandbox.api_base(Kind::Stripe),
            key = secrets.stripe_api_key,
            secret = secrets.stripe_webhook_secret,
        );
        std::fs::write(folder.path().join("recoup.toml"), file).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_recoup"))
            .args(["serve", "--test-clock", START])
            .current_dir(folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
        let client = client.build().unwrap();
        let world = Self { sandbox, address, client, child, _folder: folder };
        for _ in 0..600 {
            let url = world.url("/readyz");
            if world.client.get(url).send().await.is_ok_and(|a| a.status().is_success()) {
                return world;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("the service did not come up");
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// A customer whose card says these in turn.
    pub(crate) fn customer(&self, locale: &str, steps: Vec<Step>) -> Subscribed {
        let new = NewCustomer {
            email: Some("ana@example.com".into()),
            locale: Some(locale.into()),
            ..NewCustomer::default()
        };
        let on = self.sandbox.subscribe(new, "pm_card_visa", NewBill::new("", 2900, "usd"));
        self.sandbox.script(Target::Customer(on.customer.clone()), steps);
        on
    }

    /// Their bill of now, and the path of its page.
    pub(crate) async fn bill(&self, on: &Subscribed) -> (String, String) {
        let invoice = self.sandbox.bill(&on.subscription).unwrap();
        self.settle().await;
        let link = self.link(&invoice).await;
        (invoice, link)
    }

    pub(crate) async fn link(&self, invoice: &str) -> String {
        let id = self.case(invoice).await["id"].as_str().unwrap().to_owned();
        let url = self.url(&format!("/api/v1/cases/{id}/link"));
        let answer = self.client.post(url).bearer_auth(TOKEN).json(&json!({})).send().await;
        let link: Value = answer.unwrap().json().await.unwrap();
        let link = link["url"].as_str().unwrap().to_owned();
        link[link.find("/pay/").unwrap()..].to_owned()
    }

    pub(crate) async fn case(&self, invoice: &str) -> Value {
        let url = self.url(&format!("/api/v1/cases?invoice={invoice}"));
        let answer = self.client.get(url).bearer_auth(TOKEN).send().await.unwrap();
        let page: Value = answer.json().await.unwrap();
        let id = page["data"][0]["id"].as_str().unwrap().to_owned();
        let url = self.url(&format!("/api/v1/cases/{id}"));
        self.client.get(url).bearer_auth(TOKEN).send().await.unwrap().json().await.unwrap()
    }

    pub(crate) async fn settle(&self) {
        self.to(self.sandbox.clock().now()).await;
    }

    pub(crate) async fn hours(&self, hours: i64) {
        self.to(self.sandbox.clock().now() + SignedDuration::from_hours(hours)).await;
    }

    async fn to(&self, now: Timestamp) {
        self.sandbox.advance_to(now);
        loop {
            self.sandbox.webhooks_settled().await;
            let before = self.sandbox.deliveries().len();
            let url = self.url("/api/v1/test-clock/advance");
            let sent = self.client.post(url).bearer_auth(TOKEN).json(&json!({ "to": now }));
            let answer = sent.timeout(Duration::from_secs(60)).send().await.unwrap();
            assert!(answer.status().is_success(), "{}", answer.status());
            self.sandbox.webhooks_settled().await;
            if self.sandbox.deliveries().len() == before {
                return;
            }
        }
    }

    pub(crate) async fn page(&self, path: &str) -> String {
        self.client.get(self.url(path)).send().await.unwrap().text().await.unwrap()
    }

    pub(crate) async fn post(&self, path: &str, form: &[(&str, &str)]) -> Response {
        self.client.post(self.url(path)).form(form).send().await.unwrap()
    }

    /// Presses a button and follows where it leads on this site.
    pub(crate) async fn press(&self, link: &str, door: &str, form: &[(&str, &str)]) -> String {
        let answer = self.post(&format!("{link}/{door}"), form).await;
        assert_eq!(answer.status(), StatusCode::SEE_OTHER, "{door}");
        let to = answer.headers()["location"].to_str().unwrap().to_owned();
        self.page(&to).await
    }

    /// On the gateway's page: gives this card.
    pub(crate) async fn give_card(&self, gateway_page: &str, card: &str) -> Response {
        let form = [("card", card)];
        self.client.post(gateway_page).form(&form).send().await.unwrap()
    }
}
