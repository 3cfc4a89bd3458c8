//! Telemetry: logs and metrics, set up once, by the command that runs the service.
//!
//! Why here: a library that is mounted in a host sets up nothing by itself.
//!
//! What must stay true: no card number, secret, link token, e-mail address or phone number is ever
//! in a log line (design I10; `tests/pii` holds it). Logs go to stderr, data to stdout.

use std::io::{self, IsTerminal as _, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use tracing_subscriber::EnvFilter;

use crate::core::card_number;

#[cfg(feature = "otel")]
pub mod otlp;

/// Starts logging to stderr: plain lines on a terminal, JSON elsewhere. `RUST_LOG` chooses what.
pub fn start_logging(default: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(|| Masked(io::stderr()));
    let started = if io::stderr().is_terminal() {
        builder.try_init()
    } else {
        builder.json().flatten_event(true).try_init()
    };
    // A host application has set up its own logging: that one stays.
    drop(started);
}

/// The same, and traces beside it.
#[cfg(feature = "otel")]
pub fn start_logging_with(default: &str, traces: otlp::Traces) {
    use tracing_subscriber::filter::{LevelFilter, Targets};
    use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
    use tracing_subscriber::util::SubscriberInitExt as _;
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let lines = tracing_subscriber::fmt::layer().with_writer(|| Masked(io::stderr()));
    // What ties webhook, decision and effect together is no line of the log, so below its level.
    let ours = Targets::new().with_target("recoup", LevelFilter::DEBUG);
    let all = tracing_subscriber::registry().with(traces.with_filter(ours));
    let started = if io::stderr().is_terminal() {
        all.with(lines.with_filter(filter)).try_init()
    } else {
        all.with(lines.json().flatten_event(true).with_filter(filter)).try_init()
    };
    drop(started);
}

/// What is written with every card number as its last four. A line comes in one piece.
struct Masked<W>(W);

impl<W: Write> Write for Masked<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        self.0.write_all(card_number::masked(&text).as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// From now on a panic is reported by its place alone: what it says may hold anything, and nothing
/// personal is ever in a log line. Those of the threads named here are left to who waits for them.
pub fn report_panics(answered: &'static [&'static str]) {
    std::panic::set_hook(Box::new(move |panic| {
        let thread = std::thread::current();
        if thread.name().is_some_and(|name| answered.contains(&name)) {
            return;
        }
        let place = panic.location().map_or_else(String::new, ToString::to_string);
        let trace = std::backtrace::Backtrace::capture();
        if tracing::dispatcher::has_been_set() {
            tracing::error!(place, %trace, "a defect of recoup: it panicked");
        } else {
            say(&format!("recoup: a defect of recoup: it panicked at {place}\n{trace}"));
        }
    }));
}

#[expect(clippy::print_stderr, reason = "nothing else reports before logging has started")]
fn say(line: &str) {
    eprintln!("{line}");
}

/// Starts collecting metrics; what comes back renders them as Prometheus reads them.
pub fn start_metrics() -> Arc<dyn Fn() -> String + Send + Sync> {
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle: PrometheusHandle = recorder.handle();
    // A host application has its own recorder: then these stay empty.
    drop(metrics::set_global_recorder(recorder));
    describe();
    Arc::new(move || handle.render())
}

/// One merchant's metrics, where several are in one process: what runs inside the scope is counted
/// there, each with the label `merchant`.
#[derive(Clone)]
pub struct Scope {
    recorder: Arc<PrometheusRecorder>,
}

impl Scope {
    /// The scope of this merchant.
    pub fn of_merchant(name: &str) -> Self {
        let recorder = PrometheusBuilder::new().add_global_label("merchant", name);
        let recorder = Arc::new(recorder.build_recorder());
        metrics::with_local_recorder(&*recorder, describe);
        Self { recorder }
    }

    /// Renders them.
    pub fn render(&self) -> Arc<dyn Fn() -> String + Send + Sync> {
        let handle = self.recorder.handle();
        Arc::new(move || handle.render())
    }

    /// What this future counts is counted here.
    pub fn around<T>(&self, work: BoxFuture<'static, T>) -> Scoped<T> {
        Scoped { recorder: self.recorder.clone(), work }
    }

    /// What these routes count is counted here.
    pub fn over(&self, routes: axum::Router) -> axum::Router {
        let scope = self.clone();
        routes.layer(axum::middleware::from_fn(
            move |request: axum::extract::Request, next: axum::middleware::Next| {
                scope.around(Box::pin(next.run(request)))
            },
        ))
    }
}

/// A future that counts in a scope.
pub struct Scoped<T> {
    recorder: Arc<PrometheusRecorder>,
    work: BoxFuture<'static, T>,
}

impl<T> Future for Scoped<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let recorder = self.recorder.clone();
        metrics::with_local_recorder(&*recorder, || self.work.as_mut().poll(context))
    }
}

/// What `/metrics` says of each: with a unit where it has one. A test holds that none is left out.
fn describe() {
    use metrics::{Unit, describe_counter, describe_gauge};
    describe_counter!("recoup_attempts_total", "Charges by gateway and outcome.");
    describe_gauge!(
        "recoup_backup_last_timestamp_seconds",
        Unit::Seconds,
        "When the last backup was begun, in seconds since the epoch."
    );
    describe_counter!("recoup_backups_total", "Backups by outcome.");
    describe_gauge!("recoup_channel_stopped", "1 while no message goes out by the channel.");
    describe_counter!(
        "recoup_webhook_deliveries_total",
        "Outbound events by how handing over went."
    );
    describe_counter!("recoup_callbacks_total", "Reports of providers by channel and outcome.");
    describe_gauge!("recoup_cases", "Cases by state.");
    describe_counter!("recoup_card_numbers_total", "Card numbers that came in; none is kept.");
    describe_counter!("recoup_declines_unknown_total", "Declines whose code is in no table.");
    describe_counter!(
        "recoup_events_missing_total",
        "Events that a gateway knew and the store did not."
    );
    describe_counter!("recoup_events_of_other_mode_total", "Test events at a live key, or live.");
    describe_counter!("recoup_events_refused_total", "Failures that open no case, by reason.");
    describe_counter!("recoup_events_unreadable_total", "Accepted events that cannot be read.");
    describe_gauge!("recoup_held", "1 while a person holds everything.");
    describe_gauge!("recoup_inbox_waiting", "Inputs that are not applied yet.");
    describe_counter!("recoup_messages_total", "Messages by channel and outcome.");
    describe_gauge!(
        "recoup_oldest_due_age_seconds",
        Unit::Seconds,
        "For how long the oldest thing that is due has waited."
    );
    describe_gauge!("recoup_outbox_waiting", "Effects that are not done yet, or are under way.");
    describe_gauge!(
        "recoup_reconciling_cases",
        "After a restore: open cases that wait for what happened since the copy."
    );
    describe_counter!(
        "recoup_recovered_minor_units_total",
        "What came back, in minor units of its currency, by what brought it back."
    );
    describe_counter!("recoup_sign_ins_total", "Sign-ins to the dashboard by outcome.");
    describe_counter!("recoup_spans_total", "Spans of traces by what became of them.");
    describe_counter!("recoup_webhooks_total", "Webhooks by gateway and outcome.");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_prometheus_reads_is_what_its_tool_wants() {
        let recorder = PrometheusBuilder::new().build_recorder();
        metrics::with_local_recorder(&recorder, || {
            describe();
            metrics::counter!("recoup_webhooks_total", "gateway" => "a", "outcome" => "accepted")
                .increment(1);
            metrics::gauge!("recoup_oldest_due_age_seconds").set(1.0);
        });
        let text = recorder.handle().render();
        assert!(text.contains("# HELP recoup_webhooks_total Webhooks by gateway"), "{text}");
        assert!(text.contains("# TYPE recoup_webhooks_total counter"), "{text}");
        assert!(text.contains("recoup_webhooks_total{gateway=\"a\",outcome=\"accepted\"} 1"));
        assert!(text.contains("# TYPE recoup_oldest_due_age_seconds gauge"), "{text}");
    }

    #[test]
    fn a_line_with_a_card_number_is_written_with_its_last_four() {
        let mut out = Masked(Vec::new());
        let line = "{\"why\":\"declined for 4242 4242 4242 4242\"}\n";
        out.write_all(line.as_bytes()).unwrap();
        let written = String::from_utf8(out.0).unwrap();
        assert_eq!(written, "{\"why\":\"declined for ****4242\"}\n");
    }
}
