//! Starting logs, and traces where the build has them and a collector is named.
//!
//! Why here: `recoup serve` for one merchant and for several start them in the same way; a host
//! application has its own.

use crate::telemetry;

/// What is logged, where `RUST_LOG` does not say.
const LOGGED: &str = "recoup=info,warn";

/// Starts both. What comes back is kept until the end: it sends the last spans.
#[cfg(feature = "otel")]
pub(super) fn start() -> anyhow::Result<Option<telemetry::otlp::Flush>> {
    use std::time::Duration;

    use crate::gateway::wire::{Timeouts, client};
    use anyhow::Context as _;

    let Some(collector) = telemetry::otlp::Collector::of(|name| std::env::var(name).ok()) else {
        telemetry::start_logging(LOGGED);
        return Ok(None);
    };
    let timeouts = Timeouts { connect: Duration::from_secs(5), total: Duration::from_secs(10) };
    let client = client(timeouts).context("set up the client for traces")?;
    let begun = telemetry::otlp::begin(collector, client);
    let (traces, flush) = begun.context("start the thread that sends traces")?;
    telemetry::start_logging_with(LOGGED, traces);
    Ok(Some(flush))
}

/// Starts logging. Who asks for traces is told that this build has none.
#[cfg(not(feature = "otel"))]
pub(super) fn start() -> anyhow::Result<Option<std::convert::Infallible>> {
    telemetry::start_logging(LOGGED);
    let asked = ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"];
    if asked.iter().any(|name| std::env::var_os(name).is_some()) {
        tracing::warn!("traces are asked for, and this build has none: the cargo feature `otel`");
    }
    Ok(None)
}
