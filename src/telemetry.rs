//! Telemetry: logs and metrics, set up once, by the command that runs the service.
//!
//! Why here: a library that is mounted in a host sets up nothing by itself.
//!
//! What must stay true: no card number, secret, link token, e-mail address or phone number is ever
//! in a log line (design I10; `tests/pii` holds it). Logs go to stderr, data to stdout.

use std::io::IsTerminal as _;
use std::sync::Arc;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;

/// Starts logging to stderr: plain lines on a terminal, JSON elsewhere. `RUST_LOG` chooses what.
pub fn start_logging(default: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = if std::io::stderr().is_terminal() {
        builder.try_init()
    } else {
        builder.json().flatten_event(true).try_init()
    };
    // A host application has set up its own logging: that one stays.
    drop(started);
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

fn describe() {
    use metrics::describe_counter;
    describe_counter!("recoup_webhooks_total", "Webhooks by gateway and outcome.");
    describe_counter!("recoup_events_refused_total", "Events that open no case, by reason.");
    describe_counter!("recoup_events_unreadable_total", "Accepted events that cannot be read.");
    describe_counter!("recoup_declines_unknown_total", "Declines whose code is in no table.");
}
