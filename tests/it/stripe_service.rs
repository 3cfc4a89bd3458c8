//! The real binary over sandbox Stripe, both on one test clock.
//!
//! What must stay true: a step of the clock is over only when nothing follows from it any more, on
//! either side.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use jiff::Timestamp;
use recoup::clock::Clock;
use recoup::sandbox::{Kind, Sandbox, SandboxOptions};
use serde_json::json;

pub(crate) const TOKEN: &str = "a-token-of-this-test-only";
pub(crate) const START: &str = "2026-01-05T13:00:00Z";

pub(crate) struct StripeService {
    pub(crate) sandbox: Sandbox,
    pub(crate) address: String,
    /// Follows no redirect.
    pub(crate) client: reqwest::Client,
    child: Child,
    _folder: tempfile::TempDir,
}

impl Drop for StripeService {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl StripeService {
    /// Starts it in a folder of its own: with further lines of `[merchant]`, with the address of a
    /// store, and with what is said of Stripe's own retries and the days between them.
    pub(crate) async fn start(
        merchant: &str,
        store: &str,
        (native_retries, native_retry_days): (&str, Vec<i64>),
    ) -> Self {
        let clock = Clock::test(START.parse().unwrap());
        let options = SandboxOptions { clock, native_retry_days, ..SandboxOptions::default() };
        let sandbox = Sandbox::start(options).await.unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let address = format!("127.0.0.1:{port}");
        sandbox.set_webhook_url(Kind::Stripe, Some(&format!("http://{address}/webhooks/stripe")));
        let folder = tempfile::tempdir().unwrap();
        let secrets = sandbox.secrets();
        let file = format!(
            "[merchant]\npublic_url = \"http://{address}\"\n\
             support_email = \"help@nube.example\"\n{merchant}\n[server]\n\
             listen = \"{address}\"\nadmin_token = \"{TOKEN}\"\n[store]\nurl = \"{store}\"\n\
             [[gateways]]\nid = \"stripe\"\nkind = \"stripe\"\napi_base = \"{base}\"\n\
             api_key = \"{key}\"\nwebhook_secrets = [\"{secret}\"]\n\
             native_retries = \"{native_retries}\"\n",
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
        let service = Self { sandbox, address, client, child, _folder: folder };
        service.wait_until_ready().await;
        service
    }

    async fn wait_until_ready(&self) {
        for _ in 0..600 {
            let asked = self.client.get(self.url("/readyz")).send().await;
            if asked.is_ok_and(|answer| answer.status().is_success()) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("the service did not come up");
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Goes to `now` on both sides, and lets everything happen that follows.
    pub(crate) async fn to(&self, now: Timestamp) {
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
}
