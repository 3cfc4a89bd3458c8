//! Traces to an OpenTelemetry collector: OTLP over HTTP, as JSON.
//!
//! Why here: a webhook, the decision that follows from it and what is then done are apart by days,
//! by processes and by restarts, so no context is handed on. The ids of a trace are computed: one
//! case is one trace, whoever works on it; one event is one trace, and a decision links to it.
//!
//! What must stay true: only the fields of [`TOLD`] leave the process, and no card number in them;
//! a collector that is slow or gone costs spans, never time of the service.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{
    Receiver, RecvTimeoutError, SyncSender, TryRecvError, TrySendError, sync_channel,
};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

use crate::core::card_number;

/// The fields of spans that are handed over: ids and words of ours, nothing of a person.
pub const TOLD: [&str; 8] = ["case", "effect", "event", "gateway", "id", "kind", "method", "route"];

/// How many finished spans wait at most; more are dropped, and counted.
const MAX_WAITING: usize = 2048;
/// How many are handed over at once.
const MAX_BATCH: usize = 512;
/// How long one waits at most for others.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often the sending thread looks whether the process ends.
const GLANCE: Duration = Duration::from_millis(100);
/// How long the end of the process waits for the last of them.
const LAST: Duration = Duration::from_secs(2);

/// Where spans go, from the variables that OpenTelemetry defines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collector {
    /// The whole address.
    pub url: String,
    /// Headers of every request, such as a key.
    pub headers: Vec<(String, String)>,
    /// What the service is called there.
    pub service: String,
}

impl Collector {
    /// `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`, or `OTEL_EXPORTER_OTLP_ENDPOINT` with `/v1/traces`
    /// behind it; `OTEL_EXPORTER_OTLP_HEADERS`; `OTEL_SERVICE_NAME`. `None`: no address, or
    /// `OTEL_SDK_DISABLED=true`.
    pub fn of(env: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let env = |name: &str| env(name).filter(|value| !value.trim().is_empty());
        if env("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            return None;
        }
        let base = || env("OTEL_EXPORTER_OTLP_ENDPOINT");
        let url = env("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
            .or_else(|| Some(format!("{}/v1/traces", base()?.trim_end_matches('/'))))?;
        let headers = env("OTEL_EXPORTER_OTLP_HEADERS").unwrap_or_default();
        let pair = |text: &str| {
            let (name, value) = text.split_once('=')?;
            Some((name.trim().to_owned(), value.trim().to_owned()))
        };
        Some(Self {
            url,
            headers: headers.split(',').filter_map(pair).collect(),
            service: env("OTEL_SERVICE_NAME").unwrap_or_else(|| "recoup".to_owned()),
        })
    }
}

/// One span: while it runs in the registry, then on its way.
#[derive(Debug, Clone)]
struct Told {
    name: &'static str,
    trace: u128,
    span: u64,
    parent: Option<u64>,
    began: u128,
    ended: u128,
    failed: bool,
    fields: BTreeMap<&'static str, String>,
}

/// The layer that notes spans and hands them to the thread that sends them.
pub struct Traces {
    queue: SyncSender<Told>,
    ids: Ids,
}

/// Waits, when it is dropped, until what was noted has been sent, for two seconds at most.
pub struct Flush {
    done: Receiver<()>,
    stop: Option<SyncSender<()>>,
}

impl Drop for Flush {
    fn drop(&mut self) {
        drop(self.stop.take());
        // Nobody is there to be told that it took too long.
        let _ = self.done.recv_timeout(LAST);
    }
}

/// Begins to send spans there with this client, on a thread of its own.
///
/// # Errors
/// No thread can be started.
pub fn begin(collector: Collector, client: reqwest::Client) -> std::io::Result<(Traces, Flush)> {
    let (queue, spans) = sync_channel(MAX_WAITING);
    let (stop, stopped) = sync_channel::<()>(0);
    let (tell_done, done) = sync_channel(1);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name("traces".to_owned()).spawn(move || {
        // What this thread itself logs and calls makes no spans: it would never come to an end.
        tracing::subscriber::with_default(tracing::subscriber::NoSubscriber::new(), || {
            while let Some(batch) = next_batch(&spans, &stopped) {
                let body = encode(&collector.service, &batch).to_string();
                let mut request = client.post(&collector.url);
                for (name, value) in &collector.headers {
                    request = request.header(name, value);
                }
                let request = request.header("content-type", "application/json").body(body);
                let sent = runtime.block_on(async { request.send().await?.error_for_status() });
                let outcome = if sent.is_ok() { "sent" } else { "lost" };
                metrics::counter!("recoup_spans_total", "outcome" => outcome)
                    .increment(batch.len() as u64);
            }
            // Who waited may have gone.
            let _ = tell_done.send(());
        });
    })?;
    Ok((Traces { queue, ids: Ids::new() }, Flush { done, stop: Some(stop) }))
}

/// The next spans to send; `None` at the end.
fn next_batch(spans: &Receiver<Told>, stopped: &Receiver<()>) -> Option<Vec<Told>> {
    let is_over = || matches!(stopped.try_recv(), Err(TryRecvError::Disconnected));
    let mut batch = Vec::new();
    let mut began = nanos();
    loop {
        match spans.recv_timeout(GLANCE) {
            Ok(span) => batch.push(span),
            Err(RecvTimeoutError::Timeout) if !is_over() => {}
            Err(_) => return (!batch.is_empty()).then_some(batch),
        }
        if batch.is_empty() {
            began = nanos();
        } else if batch.len() >= MAX_BATCH || nanos().saturating_sub(began) >= PATIENCE.as_nanos() {
            return Some(batch);
        }
    }
}

/// Ids of traces and spans.
struct Ids {
    seed: [u8; 32],
    next: AtomicU64,
}

impl Ids {
    fn new() -> Self {
        let process = format!("{} {}", std::process::id(), nanos());
        Self { seed: Sha256::digest(process).into(), next: AtomicU64::new(0) }
    }

    fn fresh(&self) -> u128 {
        let next = self.next.fetch_add(1, Ordering::Relaxed);
        let mut digest = Sha256::new();
        digest.update(self.seed);
        digest.update(next.to_be_bytes());
        first_bytes(digest)
    }
}

/// The trace that belongs to one thing, wherever it is worked on.
fn trace_of(what: &str, id: &str) -> u128 {
    first_bytes(Sha256::new().chain_update(what).chain_update([0]).chain_update(id))
}

fn first_bytes(digest: Sha256) -> u128 {
    let digest = digest.finalize();
    // Zero is no id.
    digest.iter().take(16).fold(0, |id, byte| id << 8 | u128::from(*byte)).max(1)
}

/// The span under which an event was taken, so that a decision can link to it.
fn span_of(trace: u128) -> u64 {
    ((trace >> 64) as u64).max(1)
}

#[expect(
    clippy::disallowed_methods,
    reason = "a trace shows the machine's time, also under a test clock"
)]
fn nanos() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos())
}

/// Takes the fields that may be told.
struct Taking<'a>(&'a mut BTreeMap<&'static str, String>);

impl Visit for Taking<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        if let Some(name) = TOLD.iter().find(|name| **name == field.name()) {
            self.0.insert(name, card_number::masked(value).into_owned());
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Traces {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if !attributes.metadata().target().starts_with("recoup") {
            return;
        }
        let mut fields = BTreeMap::new();
        attributes.record(&mut Taking(&mut fields));
        let name = attributes.metadata().name();
        let above = span.parent();
        let above = above.and_then(|above| above.extensions().get::<Told>().cloned());
        let fresh = self.ids.fresh();
        let (trace, own, parent) = match (fields.get("case"), fields.get("event"), above) {
            (Some(case), ..) => (trace_of("case", case), fresh as u64, None),
            (None, Some(event), _) => {
                let trace = trace_of("event", event);
                (trace, span_of(trace), None)
            }
            (None, None, Some(above)) => (above.trace, fresh as u64, Some(above.span)),
            (None, None, None) => (fresh, fresh as u64, None),
        };
        let own = own.max(1);
        let (began, failed) = (nanos(), false);
        let told = Told { name, trace, span: own, parent, began, ended: began, failed, fields };
        span.extensions_mut().insert(told);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(told) = span.extensions_mut().get_mut::<Told>()
        {
            values.record(&mut Taking(&mut told.fields));
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if *event.metadata().level() == Level::ERROR
            && let Some(span) = context.event_span(event)
            && let Some(told) = span.extensions_mut().get_mut::<Told>()
        {
            told.failed = true;
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else { return };
        let Some(mut told) = span.extensions_mut().remove::<Told>() else { return };
        told.ended = nanos();
        if let Err(TrySendError::Full(_)) = self.queue.try_send(told) {
            metrics::counter!("recoup_spans_total", "outcome" => "dropped").increment(1);
        }
    }
}

/// The body of one request: `ExportTraceServiceRequest` in JSON, ids in hex.
fn encode(service: &str, batch: &[Told]) -> Value {
    json!({ "resourceSpans": [{
        "resource": { "attributes": [
            attribute("service.name", service),
            attribute("service.version", env!("CARGO_PKG_VERSION")),
        ] },
        "scopeSpans": [{
            "scope": { "name": "recoup", "version": env!("CARGO_PKG_VERSION") },
            "spans": batch.iter().map(one).collect::<Vec<_>>(),
        }],
    }] })
}

fn one(told: &Told) -> Value {
    let fields =
        told.fields.iter().map(|(name, value)| attribute(&format!("recoup.{name}"), value));
    // 1 is internal, 2 a server's, 3 a client's.
    let kind = match told.name {
        "request" => 2,
        "effect" => 3,
        _ => 1,
    };
    let mut span = json!({
        "traceId": format!("{:032x}", told.trace),
        "spanId": format!("{:016x}", told.span),
        "name": told.name,
        "kind": kind,
        "startTimeUnixNano": told.began.to_string(),
        "endTimeUnixNano": told.ended.to_string(),
        "attributes": fields.collect::<Vec<_>>(),
        "status": if told.failed { json!({ "code": 2 }) } else { json!({}) },
    });
    if let Some(parent) = told.parent {
        span["parentSpanId"] = json!(format!("{parent:016x}"));
    }
    // A decision names the event that it follows from, which has a trace of its own.
    if let (true, Some(event)) = (told.fields.contains_key("case"), told.fields.get("event")) {
        let trace = trace_of("event", event);
        span["links"] = json!([{
            "traceId": format!("{trace:032x}"),
            "spanId": format!("{:016x}", span_of(trace)),
        }]);
    }
    span
}

fn attribute(key: &str, value: &str) -> Value {
    json!({ "key": key, "value": { "stringValue": value } })
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;
    use crate::gateway::wire::{Timeouts, client};

    /// A collector that keeps the bodies it was sent.
    fn collector() -> (String, Receiver<(String, Value)>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/v1/traces", listener.local_addr().unwrap());
        let (keep, kept) = sync_channel(16);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut bytes = Vec::new();
                let (head, body) = loop {
                    let mut part = [0; 4096];
                    let read = stream.read(&mut part).unwrap();
                    bytes.extend_from_slice(&part[..read]);
                    let text = String::from_utf8_lossy(&bytes).to_ascii_lowercase();
                    let Some(end) = text.find("\r\n\r\n").map(|at| at + 4) else { continue };
                    let length = text.split("content-length: ").nth(1).unwrap();
                    let length: usize = length.lines().next().unwrap().parse().unwrap();
                    if bytes.len() >= end + length {
                        break (text[..end].to_owned(), bytes[end..end + length].to_vec());
                    }
                };
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").unwrap();
                keep.send((head, serde_json::from_slice(&body).unwrap())).unwrap();
            }
        });
        (url, kept)
    }

    /// What a service of its own tells of one day of a case.
    fn told(work: impl FnOnce()) -> (String, Vec<Value>) {
        let (url, kept) = collector();
        let headers = vec![("x-key".to_owned(), "secret".to_owned())];
        let collector = Collector { url, headers, service: "shop".to_owned() };
        let (traces, flush) = begin(collector, client(Timeouts::default()).unwrap()).unwrap();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(traces), work);
        drop(flush);
        let (head, body) = kept.recv_timeout(Duration::from_secs(10)).unwrap();
        let resource = &body["resourceSpans"][0];
        assert_eq!(resource["resource"]["attributes"][0]["value"]["stringValue"], "shop");
        (head, resource["scopeSpans"][0]["spans"].as_array().unwrap().clone())
    }

    fn take(event: &str) {
        let _request = tracing::info_span!("request", id = "r1", method = "POST").entered();
        let _webhook = tracing::debug_span!("webhook", gateway = "stripe", event).entered();
    }

    fn by_name<'a>(spans: &'a [Value], name: &str) -> &'a Value {
        spans.iter().find(|span| span["name"] == name).unwrap()
    }

    #[test]
    fn a_case_is_one_trace_and_links_to_the_event_that_it_follows_from() {
        let (head, spans) = told(|| {
            take("evt_1");
            let decide = tracing::debug_span!("decide", case = "stripe:in_1", event = "evt_1");
            decide.in_scope(|| ());
            tracing::info_span!("effect", case = "stripe:in_1", effect = "e1", kind = "charge")
                .in_scope(|| tracing::error!("it broke"));
        });
        assert!(head.starts_with("post /v1/traces ") && head.contains("x-key: secret"), "{head}");
        assert!(head.contains("content-type: application/json"), "{head}");
        assert_eq!(spans.len(), 4, "{spans:?}");
        let [webhook, decide, effect] =
            ["webhook", "decide", "effect"].map(|name| by_name(&spans, name));
        assert_eq!(decide["traceId"], effect["traceId"], "one case is one trace");
        assert_ne!(decide["traceId"], webhook["traceId"]);
        assert_eq!(decide["links"][0]["traceId"], webhook["traceId"]);
        assert_eq!(decide["links"][0]["spanId"], webhook["spanId"]);
        assert_eq!((&effect["status"]["code"], &decide["status"]), (&json!(2), &json!({})));
        assert_eq!(webhook["traceId"].as_str().unwrap().len(), 32);
        assert_eq!(webhook["spanId"].as_str().unwrap().len(), 16);
        let time = |name: &str| webhook[name].as_str().unwrap().parse::<u64>().unwrap();
        assert!(time("startTimeUnixNano") <= time("endTimeUnixNano"));
        let (_, later) = told(|| take("evt_1"));
        assert_eq!(by_name(&later, "webhook")["traceId"], webhook["traceId"], "in any process");
    }

    #[test]
    fn nothing_of_a_person_is_told() {
        let (_, spans) = told(|| {
            let span = tracing::info_span!(
                "effect",
                case = "c",
                effect = "for 4242 4242 4242 4242",
                email = "ana@customer.example",
                to = %"+573001234567",
            );
            span.in_scope(|| tracing::error!(why = "ana@customer.example", "refused"));
        });
        let text = json!(spans).to_string();
        assert!(text.contains("****4242"), "{text}");
        for word in ["ana@", "+57", "4242 4242", "refused"] {
            assert!(!text.contains(word), "{word}: {text}");
        }
    }

    #[test]
    fn a_collector_that_is_gone_holds_nobody_up() {
        let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let url = format!("http://{nobody}/v1/traces");
        let collector = Collector { url, headers: Vec::new(), service: "shop".to_owned() };
        let (traces, flush) = begin(collector, client(Timeouts::default()).unwrap()).unwrap();
        let began = nanos();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(traces), || {
            for _ in 0..3 * MAX_WAITING {
                take("evt_1");
            }
        });
        drop(flush);
        assert!(nanos().saturating_sub(began) < 5_000_000_000);
    }

    #[test]
    fn the_environment_names_the_collector() {
        let of = |pairs: &[(&str, &str)]| {
            let find = |name: &str| pairs.iter().find(|(key, _)| *key == name);
            Collector::of(|name| Some(find(name)?.1.to_owned()))
        };
        let base = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c.example:4318/");
        let own = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://t.example/x");
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[base, ("OTEL_SDK_DISABLED", "TRUE")]), None);
        assert_eq!(of(&[base]).unwrap().url, "http://c.example:4318/v1/traces");
        assert_eq!(of(&[base, own]).unwrap().url, "http://t.example/x");
        let full =
            of(&[base, ("OTEL_EXPORTER_OTLP_HEADERS", "a=b, c=d=e"), ("OTEL_SERVICE_NAME", "s")]);
        let full = full.unwrap();
        assert_eq!(full.headers, [("a".into(), "b".into()), ("c".into(), "d=e".into())]);
        assert_eq!(full.service, "s");
    }
}
