//! Telemetry: logs and metrics, set up once, by the command that runs the service.
//!
//! Why here: a library that is mounted in a host sets up nothing by itself.
//!
//! What must stay true: no card number, secret, link token, e-mail address or phone number is ever
//! in a log line (design I10; `tests/pii` holds it). Logs go to stderr, data to stdout.

use std::io::{self, IsTerminal as _, Write};
use std::sync::Arc;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;

use crate::core::card_number;

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

fn describe() {
    use metrics::describe_counter;
    describe_counter!("recoup_webhooks_total", "Webhooks by gateway and outcome.");
    describe_counter!("recoup_events_refused_total", "Events that open no case, by reason.");
    describe_counter!("recoup_events_unreadable_total", "Accepted events that cannot be read.");
    describe_counter!("recoup_card_numbers_total", "Card numbers that came in; none is kept.");
    describe_counter!("recoup_declines_unknown_total", "Declines whose code is in no table.");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_with_a_card_number_is_written_with_its_last_four() {
        let mut out = Masked(Vec::new());
        let line = "{\"why\":\"declined for 4242 4242 4242 4242\"}\n";
        out.write_all(line.as_bytes()).unwrap();
        let written = String::from_utf8(out.0).unwrap();
        assert_eq!(written, "{\"why\":\"declined for ****4242\"}\n");
    }
}
