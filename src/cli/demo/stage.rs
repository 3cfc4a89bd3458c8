//! The stage: sandbox gateways, mail sink and the real service, under one test clock.
//!
//! What must stay true: nothing leaves this machine; the service is the one that `serve` runs, over
//! real HTTP, real sled and real SMTP.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::people::{Person, Plot};
use crate::cli::{compose, open, serve};
use crate::clock::Clock;
use crate::config::{Config, Surroundings};
use crate::core::ids::{CaseId, GatewayId};
use crate::sandbox::mail::MailSink;
use crate::sandbox::{
    Fault, Kind, MERCHANT_ACCOUNT, NewBill, NewCustomer, Rule, Sandbox, SandboxOptions, Step,
    Target,
};
use crate::store::Store;
use crate::worker::Handle;

/// Opens API and dashboard of the demo; it protects nothing.
pub(super) const ADMIN_TOKEN: &str = "demo-admin-token-protects-nothing";

/// A number of a card that is approved, as a customer types it into the gateway's page.
const GOOD_CARD: &str = "5555555555554444";

/// A customer on the stage.
pub(super) struct Actor {
    pub(super) person: Person,
    pub(super) customer: String,
    pub(super) subscription: String,
    pub(super) number: usize,
    /// The open invoice, once it was billed.
    pub(super) invoice: Option<String>,
}

impl Actor {
    /// The case of the invoice.
    pub(super) fn case(&self) -> Option<CaseId> {
        let invoice = self.invoice.as_deref()?;
        Some(CaseId::of(&GatewayId::from("stripe"), invoice))
    }
}

/// Everything that runs.
pub(super) struct Stage {
    pub(super) sandbox: Sandbox,
    pub(super) mail: MailSink,
    pub(super) store: Arc<dyn Store>,
    pub(super) clock: Clock,
    pub(super) address: SocketAddr,
    handle: Handle,
    client: reqwest::Client,
    stop: CancellationToken,
    service: JoinHandle<anyhow::Result<()>>,
    _folder: TempDir,
}

impl Stage {
    /// Sets everything up, at `start` by the test clock.
    pub(super) async fn set_up(seed: u64, start: Timestamp) -> anyhow::Result<Self> {
        let clock = Clock::test(start);
        let sandbox = Sandbox::start(SandboxOptions {
            seed,
            clock: clock.clone(),
            hold: std::time::Duration::from_millis(300),
            ..SandboxOptions::default()
        });
        let sandbox = sandbox.await.context("start the sandbox")?;
        let mail = MailSink::start().await.context("start the mail sink")?;
        let listener = TcpListener::bind("127.0.0.1:0").await.context("listen")?;
        let address = listener.local_addr().context("read the address")?;
        let folder = tempfile::tempdir().context("make a temporary folder")?;
        let text = merchant_file(&sandbox, &mail, address);
        let config = Config::read(&text, "the demo's merchant file", &Surroundings::default())
            .map_err(|problems| anyhow::anyhow!("read the merchant file\n{problems}"))?;
        let path = folder.path().join("store");
        let store = open::open_store(&format!("sled:{}", path.display())).await?;
        let metrics = Arc::new(String::new);
        let service = compose::compose(&config, store.clone(), clock.clone(), metrics).await?;
        let handle = service.handle.clone();
        let stop = CancellationToken::new();
        let stopping = stop.clone();
        let until = async move { stopping.cancelled().await };
        let service = tokio::spawn(serve::run_service(service, listener, until));
        sandbox.set_webhook_url(Kind::Stripe, Some(&format!("http://{address}/webhooks/stripe")));
        sandbox.set_webhook_url(Kind::Adyen, Some(&format!("http://{address}/webhooks/backup")));
        let client = crate::sandbox::deliver::client().context("make a client")?;
        Ok(Self {
            sandbox,
            mail,
            store,
            clock,
            address,
            handle,
            client,
            stop,
            service,
            _folder: folder,
        })
    }

    /// Ends the service in order.
    pub(super) async fn tear_down(self) -> anyhow::Result<()> {
        self.stop.cancel();
        self.service.await.context("stop the service")??;
        self.sandbox.shutdown().await;
        Ok(())
    }

    /// Moves to `to` and lets everything happen that follows, webhooks included.
    pub(super) async fn advance(&self, to: Timestamp) -> anyhow::Result<()> {
        loop {
            ensure!(self.handle.advance(to).await, "the worker stopped");
            let before = self.sandbox.deliveries().len();
            self.sandbox.tick();
            self.sandbox.webhooks_settled().await;
            if self.sandbox.deliveries().len() == before {
                return Ok(());
            }
        }
    }

    /// Brings a customer on the stage, with what their bank will say.
    pub(super) async fn enter(
        &self,
        number: usize,
        person: Person,
        start: Timestamp,
    ) -> anyhow::Result<Actor> {
        let mail = format!("customer{number}@example.com");
        let new = NewCustomer {
            name: Some(person.name.to_owned()),
            email: Some(mail.clone()),
            locale: Some(person.locale.to_owned()),
            country: Some(person.country.to_owned()),
            time_zone: Some(person.zone.to_owned()),
            ..NewCustomer::default()
        };
        let card = format!("pm_card_visa#{number}");
        let bill = NewBill::new("", person.amount, "usd");
        let on = self.sandbox.subscribe(new, &card, bill);
        self.write_script(&person, &on.customer, &on.payment_method, start);
        let actor = Actor {
            customer: on.customer,
            subscription: on.subscription,
            number,
            person,
            invoice: None,
        };
        let contact = json!({
            "locale": actor.person.locale, "time_zone": actor.person.zone,
        });
        self.put(&format!("customers/{}", actor.customer), &contact).await?;
        if has_second_gateway(actor.person.plot) {
            let token = self.sandbox.create_adyen_card(&actor.customer, &card);
            let methods = json!([{ "gateway": "backup", "token": token, "consent": true }]);
            let path = format!("customers/{}/payment-methods", actor.customer);
            self.put(&path, &methods).await?;
        }
        Ok(actor)
    }

    fn write_script(&self, person: &Person, customer: &str, method: &str, start: Timestamp) {
        let of_customer = || Target::Customer(customer.to_owned());
        let of_card = || Target::Card(method.to_owned());
        let failed = start + SignedDuration::from_hours(person.fails_after_h);
        let until = |days: i64| Some(failed + SignedDuration::from_hours(24 * days));
        let rule = |target, until, step| Rule { target, from: None, until, step };
        match person.plot {
            Plot::Funds(days) => self.sandbox.schedule(rule(
                of_customer(),
                until(days),
                Step::decline("insufficient_funds"),
            )),
            Plot::Limit => self.sandbox.schedule(rule(
                of_customer(),
                until(2),
                Step::decline("card_velocity_exceeded"),
            )),
            Plot::OtherGateway => {
                self.sandbox.schedule(rule(of_card(), None, Step::decline("do_not_honor")));
            }
            Plot::Ignores => {
                self.sandbox.schedule(rule(of_customer(), None, Step::decline("do_not_honor")));
            }
            Plot::Expired => {
                self.sandbox.schedule(rule(of_card(), None, Step::decline("expired_card")));
            }
            Plot::Stolen => {
                self.sandbox.schedule(rule(of_card(), None, Step::decline("stolen_card")));
            }
            Plot::Cancels | Plot::PaysMeanwhile => {
                let step = Step::decline("insufficient_funds");
                self.sandbox.schedule(rule(of_card(), None, step));
            }
            Plot::Confirms => {
                self.sandbox.script(of_customer(), [Step::require_authentication()]);
            }
            Plot::Technical => {
                self.sandbox.script(of_customer(), [Step::decline("processing_error")]);
            }
            Plot::LostAnswer => self.sandbox.script(
                of_customer(),
                [
                    Step::decline("insufficient_funds"),
                    Step::approve().with_fault(Fault::TimeoutAfter),
                ],
            ),
        }
    }

    /// The second gateway is down for ten hours of day 11.
    pub(super) fn schedule_outage(&self, start: Timestamp) {
        let hour = |hour: i64| Some(start + SignedDuration::from_hours(hour));
        self.sandbox.schedule(Rule {
            target: Target::Gateway(Kind::Adyen),
            from: hour(11 * 24),
            until: hour(11 * 24 + 10),
            step: Step::approve().with_fault(Fault::DroppedBefore),
        });
    }

    /// The customer follows the link of a mail, through recoup's page, to the gateway's page, and
    /// does there what it asks for.
    pub(super) async fn follow_link(&self, link: &str, number: usize) -> anyhow::Result<()> {
        let page = self.client.get(link).send().await.context("open the page")?;
        ensure!(page.status().is_success(), "the hosted page answered {}", page.status());
        let door = format!("{link}/update-card");
        let sent = self.client.post(door).send().await.context("go through the door")?;
        let status = sent.status();
        let location = sent.headers().get("location").and_then(|l| l.to_str().ok());
        let location = location.with_context(|| format!("the door answered {status}"))?.to_owned();
        self.use_page(&location, number).await
    }

    /// What a customer does on the gateway's own page.
    pub(super) async fn use_page(&self, url: &str, number: usize) -> anyhow::Result<()> {
        self.client.get(url).send().await.context("open the gateway's page")?;
        let card = format!("{GOOD_CARD}#{number}");
        let form = [("card", card.as_str())];
        let done = self.client.post(url).form(&form).send().await.context("use the page")?;
        let status = done.status();
        ensure!(status.is_success() || status.is_redirection(), "its page answered {status}");
        Ok(())
    }

    async fn put(&self, path: &str, body: &Value) -> anyhow::Result<()> {
        let url = format!("http://{}/api/v1/{path}", self.address);
        let sent = self.client.put(url).bearer_auth(ADMIN_TOKEN).json(body).send().await;
        let answer = sent.context("call the API")?;
        let status = answer.status();
        ensure!(status.is_success(), "the API answered {status}");
        Ok(())
    }
}

fn has_second_gateway(plot: Plot) -> bool {
    matches!(plot, Plot::OtherGateway | Plot::Ignores | Plot::Technical)
}

fn merchant_file(sandbox: &Sandbox, mail: &MailSink, address: SocketAddr) -> String {
    let secrets = sandbox.secrets();
    format!(
        r##"
[merchant]
name = "Café Nube"
public_url = "http://{address}"
support_email = "help@cafenube.example"
support_phone = "+57 601 555 0100"
postal_address = "Calle 10 # 5-51, Bogotá"
locale = "en"
time_zone = "America/Bogota"
brand_color = "#5b3fd6"

[server]
listen = "{address}"
admin_token = "{ADMIN_TOKEN}"

[store]
url = "memory:"

[[gateways]]
id = "stripe"
kind = "stripe"
api_base = "{stripe}"
api_key = "{stripe_key}"
webhook_secrets = ["{stripe_secret}"]

[[gateways]]
id = "backup"
kind = "adyen"
api_base = "{adyen}"
api_key = "{adyen_key}"
webhook_secrets = ["{adyen_secret}"]
merchant_account = "{MERCHANT_ACCOUNT}"

[email]
smtp_url = "{smtp}"
from = "Café Nube <pay@cafenube.example>"
"##,
        stripe = sandbox.api_base(Kind::Stripe),
        stripe_key = secrets.stripe_api_key,
        stripe_secret = secrets.stripe_webhook_secret,
        adyen = sandbox.api_base(Kind::Adyen),
        adyen_key = secrets.adyen_api_key,
        adyen_secret = secrets.adyen_webhook_secret,
        smtp = mail.url(),
    )
}
