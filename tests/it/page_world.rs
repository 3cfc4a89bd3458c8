//! The hosted page as its customers meet it: the real binary over sandbox Stripe, one test clock.

use std::ops::Deref;

use jiff::SignedDuration;
use recoup::sandbox::{NewBill, NewCustomer, Step, Subscribed, Target};
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};

use crate::stripe_service::{StripeService, TOKEN};

pub(crate) struct World(StripeService);

impl Deref for World {
    type Target = StripeService;

    fn deref(&self) -> &StripeService {
        &self.0
    }
}

impl World {
    pub(crate) async fn new() -> Self {
        let merchant = "name = \"Café Nube\"\nsupport_phone = \"+57 601 555 0100\"\n\
                        brand_color = \"#5b3fd6\"";
        Self(StripeService::start(merchant, "memory:", ("off", Vec::new())).await)
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
