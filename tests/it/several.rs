//! Several processes on one PostgreSQL store, under load: one is killed again and again, and the
//! database goes away and comes back.
//!
//! What must stay true: every webhook that was acknowledged is accounted for, at whatever process;
//! nobody is charged twice in the gateway's own books; no process dies because the database does.

use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use recoup::core::ids::{CaseId, GatewayId};
use serde_json::{Value, json};

use super::database::Server;
use super::death::{TOKEN, World, failure};

const ROLES: [&str; 3] = ["all", "all", "worker"];
const KILLS: usize = 5;

/// Three processes, one database, one gateway.
struct Fleet {
    world: World,
    addresses: Vec<String>,
    processes: Mutex<Vec<Child>>,
    acknowledged: Mutex<BTreeSet<usize>>,
    retried: Mutex<BTreeSet<usize>>,
    is_over: AtomicBool,
}

impl Fleet {
    async fn new(store: &str) -> Self {
        let world = World::new().await;
        let own = world.read("recoup.toml");
        let free = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let addresses: Vec<String> = ROLES.iter().map(|_| free().to_string()).collect();
        let before = own.split("url = \"sled:").nth(1).unwrap().split('"').next().unwrap();
        let store = format!("{store}\"\nlease_seconds = 2\npatience_seconds = 2");
        let text = own.replace(&format!("sled:{before}\""), &store);
        for (n, address) in addresses.iter().enumerate() {
            world.put(&format!("{n}.toml"), &text.replace(&world.address, address));
        }
        let (processes, acknowledged, retried) = Default::default();
        let is_over = AtomicBool::new(false);
        Self { world, addresses, processes, acknowledged, retried, is_over }
    }

    fn spawn(&self, n: usize) -> Child {
        Command::new(env!("CARGO_BIN_EXE_recoup"))
            .args(["serve", "--config", &format!("{n}.toml"), "--role", ROLES[n]])
            .current_dir(self.world.folder())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }

    async fn is_ready(&self, n: usize) -> Option<(u16, String)> {
        let answer = self.world.client.get(format!("http://{}/readyz", self.addresses[n]));
        let answer = answer.timeout(Duration::from_secs(10)).send().await.ok()?;
        Some((answer.status().as_u16(), answer.text().await.unwrap()))
    }

    async fn wait_until_ready(&self) {
        for n in 0..ROLES.len() {
            for _ in 0..1_200 {
                if self.is_ready(n).await.is_some_and(|(status, _)| status == 200) {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(25)).await;
            }
            assert_eq!(self.is_ready(n).await.map(|(status, _)| status), Some(200), "{n}");
        }
    }

    /// Webhooks as a gateway sends them, again until one process has taken them; and people who
    /// press the button.
    async fn load(&self, sender: usize) {
        let mut random = fastrand::Rng::with_seed(sender as u64);
        for count in 0.. {
            if self.is_over.load(Ordering::SeqCst) {
                return;
            }
            let number = 4 * (10_000 * sender + count) + 1 + sender % 3;
            let now = recoup::clock::real_now().to_string();
            let body = failure(number).replace("2026-01-05T13:00:00Z", &now);
            let address = &self.addresses[random.usize(0..2)];
            let sent = self.world.post_to(address, &format!("msg_{number}"), body).await;
            if let Ok(answer) = sent {
                match answer.status().as_u16() {
                    200 => drop(self.acknowledged.lock().unwrap().insert(number)),
                    503 => assert!(answer.headers().contains_key("retry-after")),
                    other => panic!("answered {other}"),
                }
            }
            let waits: Vec<usize> = {
                let retried = self.retried.lock().unwrap();
                self.acknowledged.lock().unwrap().difference(&retried).copied().collect()
            };
            // Somebody presses the button of the oldest and of another one.
            for place in [0, random.usize(0..waits.len().max(1))] {
                if let Some(number) = waits.get(place) {
                    self.retry(&self.addresses[random.usize(0..2)], *number).await;
                }
            }
        }
    }

    /// Charges a case now, by hand. Its time-outs and repetitions are part of the load.
    async fn retry(&self, address: &str, number: usize) {
        let case = CaseId::of(&GatewayId::from("pay"), &format!("in_{number}"));
        let url = format!("http://{address}/api/v1/cases/{case}/retry");
        let asked = self.world.client.post(url).bearer_auth(TOKEN).json(&json!({}));
        let asked = asked.header("Idempotency-Key", format!("retry-{number}")).send().await;
        if asked.is_ok_and(|answer| answer.status().is_success()) {
            self.retried.lock().unwrap().insert(number);
        }
    }

    async fn cases(&self) -> BTreeMap<String, Value> {
        let mut cases = BTreeMap::new();
        let mut after = String::new();
        loop {
            let url = format!("http://{}/api/v1/cases?limit=100{after}", self.addresses[0]);
            let page = self.world.client.get(url).bearer_auth(TOKEN).send().await.unwrap();
            let page: Value = page.json().await.unwrap();
            for case in page["data"].as_array().unwrap() {
                after = format!("&starting_after={}", case["id"].as_str().unwrap());
                cases.insert(case["invoice"].as_str().unwrap().to_owned(), case.clone());
            }
            if page["has_more"] != json!(true) {
                return cases;
            }
        }
    }

    /// Waits until so many more charges were asked for, within reason.
    async fn go_on_for(&self, more: usize) {
        let before = self.retried.lock().unwrap().len();
        for _ in 0..1_200 {
            if self.retried.lock().unwrap().len() >= before + more {
                return;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("nothing is applied any more");
    }

    /// Every acknowledged failure has its case, and nothing that was asked for is under way.
    async fn settle(&self) -> BTreeMap<String, Value> {
        let (acked, retried) =
            (self.acknowledged.lock().unwrap().clone(), self.retried.lock().unwrap().clone());
        let mut open = Vec::new();
        for _ in 0..600 {
            let cases = self.cases().await;
            let case = |number: &usize| cases.get(&format!("in_{number}"));
            open = acked.iter().filter(|number| case(number).is_none()).collect();
            // A charge that was under way at a death is looked up, and may wait for a while then.
            let under_way =
                |case: &Value| case["state"] == "attempting" || case["attempts"] == json!([]);
            open.extend(retried.iter().filter(|number| case(number).is_none_or(under_way)));
            if open.is_empty() {
                return cases;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        panic!("acknowledged or asked for, and not done: {open:?}");
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        for process in self.processes.get_mut().unwrap() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_random_and_the_database_pulled_away_nothing_is_lost_or_charged_twice() {
    let Some(mut server) = Server::start(&[]) else { return };
    let fleet = Fleet::new(&server.fresh()).await;
    let all = (0..ROLES.len()).map(|n| fleet.spawn(n)).collect();
    *fleet.processes.lock().unwrap() = all;
    fleet.wait_until_ready().await;
    let trouble = async {
        let mut random = fastrand::Rng::with_seed(11);
        for _ in 0..KILLS {
            fleet.go_on_for(4).await;
            tokio::time::sleep(Duration::from_millis(random.u64(0..300))).await;
            let victim = random.usize(0..ROLES.len());
            let mut process = fleet.spawn_in_place_of(victim);
            process.wait().unwrap();
        }
        fleet.wait_until_ready().await;
        server.kill();
        let mut told = Vec::new();
        for _ in 0..200 {
            told.clear();
            for n in 0..ROLES.len() {
                told.extend(fleet.is_ready(n).await);
            }
            if told.iter().all(|(status, why)| *status == 503 && why.contains("database")) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        assert!(told.len() == 3 && told.iter().all(|(status, _)| *status == 503), "{told:?}");
        tokio::time::sleep(Duration::from_millis(2_500)).await;
        server.go_on();
        fleet.wait_until_ready().await;
        for process in fleet.processes.lock().unwrap().iter_mut() {
            assert!(process.try_wait().unwrap().is_none(), "a process died with the database");
        }
        fleet.go_on_for(10).await;
        fleet.is_over.store(true, Ordering::SeqCst);
    };
    tokio::join!(trouble, fleet.load(0), fleet.load(1), fleet.load(2), fleet.load(3));
    let cases = fleet.settle().await;
    check(&fleet, &cases);
}

impl Fleet {
    /// Kills a process with SIGKILL, and starts another in its place. Returns the dead one.
    fn spawn_in_place_of(&self, victim: usize) -> Child {
        let mut processes = self.processes.lock().unwrap();
        processes[victim].kill().unwrap();
        std::mem::replace(&mut processes[victim], self.spawn(victim))
    }
}

fn check(fleet: &Fleet, cases: &BTreeMap<String, Value>) {
    let (acked, retried) = (fleet.acknowledged.lock().unwrap(), fleet.retried.lock().unwrap());
    assert!(acked.len() >= 30 && retried.len() >= 30, "{} {}", acked.len(), retried.len());
    let doubles = fleet.world.sandbox.double_charges();
    assert!(doubles.is_empty(), "charged twice: {doubles:?}");
    let mut charged: BTreeMap<String, usize> = BTreeMap::new();
    for capture in fleet.world.sandbox.ledger() {
        *charged.entry(capture.invoice.unwrap_or_default()).or_default() += 1;
    }
    for (invoice, case) in cases {
        let times = charged.get(invoice).copied().unwrap_or_default();
        match case["state"].as_str().unwrap() {
            "awaiting_outcome" => assert!(times <= 1, "{invoice}: {case:#}"),
            state => assert_eq!(times, usize::from(state == "recovered"), "{invoice}: {case:#}"),
        }
    }
    assert!(charged.len() * 2 > retried.len(), "{} of {}", charged.len(), retried.len());
    let mut mails = BTreeSet::new();
    for mail in fleet.world.mail.messages() {
        let id = mail.header("Message-ID").unwrap_or_default();
        assert!(mails.insert(id.clone()), "a message went out twice: {id}");
    }
}
