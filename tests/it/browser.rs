//! A real Chromium through WebDriver, for the tests of the pages.
//!
//! Why here: what a person meets is what a browser makes of a page. Without `chromedriver` these
//! tests are skipped, and say so; with `RECOUP_BROWSER=required` they fail instead.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use axum::http::Method;
use fantoccini::elements::Element;
use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder, Locator};
use serde_json::{Value, json};
use tokio::time::Instant;
use url::{ParseError, Url};

/// axe-core, unchanged: `tests/axe/README.md`.
const AXE: &str = include_str!("../axe/axe.min.js");

/// What a browser may do.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scripts {
    On,
    Off,
}

/// One browser with its driver.
pub(crate) struct Browser {
    pub(crate) page: Client,
    driver: Child,
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

impl Browser {
    /// `None`, and a word about it, where there is no browser.
    pub(crate) async fn open(scripts: Scripts) -> Option<Self> {
        let driver = Command::new("chromedriver")
            .args(["--port=0"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let Ok(mut driver) = driver else {
            let required = std::env::var("RECOUP_BROWSER").is_ok_and(|word| word == "required");
            assert!(!required, "chromedriver is not there: apt-get install chromium-driver");
            let word = b"\nSKIPPED: a browser test: chromedriver is not installed\n";
            std::io::stderr().write_all(word).unwrap();
            return None;
        };
        let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines();
        let port = lines.find_map(|line| {
            let line = line.ok()?;
            let (_, port) = line.split_once("started successfully on port ")?;
            Some(port.trim_end_matches('.').to_owned())
        });
        std::thread::spawn(move || lines.for_each(drop));
        let port = port.expect("chromedriver says its port");
        let mut options = json!({ "args": [
            "--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu",
            "--hide-scrollbars", "--lang=en-US",
        ]});
        if scripts == Scripts::Off {
            let key = "profile.managed_default_content_settings.javascript";
            options["prefs"] = json!({ key: 2 });
        }
        let mut wanted = serde_json::Map::new();
        wanted.insert("goog:chromeOptions".to_owned(), options);
        let mut builder = ClientBuilder::new(hyper_util_connector());
        let builder = builder.capabilities(wanted);
        let page = builder.connect(&format!("http://127.0.0.1:{port}")).await.unwrap();
        Some(Self { page, driver })
    }

    /// Shows the page as on a screen of this width, in this color scheme.
    pub(crate) async fn look(&self, width: u32, scheme: &str) {
        let metrics = json!({
            "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600,
        });
        self.devtools("Emulation.setDeviceMetricsOverride", metrics).await;
        let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.devtools("Emulation.setEmulatedMedia", features).await;
    }

    async fn devtools(&self, command: &str, params: Value) {
        let command = DevTools(json!({ "cmd": command, "params": params }));
        self.page.issue_cmd(command).await.unwrap();
    }

    /// What axe-core finds against WCAG 2.2 AA and its best practices.
    pub(crate) async fn violations(&self) -> Vec<Value> {
        const RUN: &str = "const done = arguments[arguments.length - 1]; \
            const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', \
            'best-practice']; const told = v => ({ rule: v.id, help: v.help, \
            where: v.nodes.map(n => n.html + n.failureSummary) }); \
            axe.run({ runOnly: { type: 'tag', values: tags } })\
            .then(found => done(found.violations.map(told)));";
        self.page.execute(AXE, Vec::new()).await.unwrap();
        let found = self.page.execute_async(RUN, Vec::new()).await.unwrap();
        found.as_array().cloned().unwrap()
    }

    /// By how many pixels the page is wider than the screen.
    pub(crate) async fn overflow(&self) -> i64 {
        const ASK: &str =
            "const e = document.documentElement; return e.scrollWidth - e.clientWidth";
        self.page.execute(ASK, Vec::new()).await.unwrap().as_i64().unwrap()
    }

    /// Presses what is there and waits for the page that it leads to. A driver may come back from a
    /// click before the form is on its way, and then the page that is left is still there.
    pub(crate) async fn press(&self, css: &str, leads_to: impl Fn(&Url) -> bool) -> Url {
        self.find(css).await.click().await.unwrap();
        let long = Instant::now() + Duration::from_secs(30);
        loop {
            let there = self.page.current_url().await.unwrap();
            if leads_to(&there) {
                return there;
            }
            assert!(Instant::now() < long, "{css} has led to {there}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The first of these, once it is there.
    pub(crate) async fn find(&self, css: &str) -> Element {
        let long = Duration::from_secs(30);
        self.page.wait().at_most(long).for_element(Locator::Css(css)).await.unwrap()
    }

    /// What is written in the first of these.
    pub(crate) async fn read(&self, css: &str) -> String {
        self.find(css).await.text().await.unwrap()
    }

    /// Keeps a picture where `RECOUP_SCREENSHOTS` names a folder.
    pub(crate) async fn picture(&self, name: &str) {
        let Some(folder) = std::env::var_os("RECOUP_SCREENSHOTS") else { return };
        let picture = self.page.screenshot().await.unwrap();
        std::fs::write(std::path::Path::new(&folder).join(format!("{name}.png")), picture).unwrap();
    }
}

fn hyper_util_connector() -> hyper_util::client::legacy::connect::HttpConnector {
    hyper_util::client::legacy::connect::HttpConnector::new()
}

/// A command of Chromium's own, through its driver.
#[derive(Debug)]
struct DevTools(Value);

impl WebDriverCompatibleCommand for DevTools {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, ParseError> {
        base.join(&format!("session/{}/goog/cdp/execute", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.0.to_string()))
    }
}
