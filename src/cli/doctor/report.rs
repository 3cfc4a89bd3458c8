//! What `recoup doctor` found, for a person.
//!
//! What must stay true: every problem has its fix in the line below.

use serde_json::Value;

use super::Findings;
use crate::gateway::history::Completeness;

/// Missing events that are listed one by one.
const SHOWN: usize = 50;

/// What a gateway can do: the name for a person, and of the capability.
const COLUMNS: [(&str, &str); 7] = [
    ("look up", "look_up"),
    ("refund", "refund"),
    ("hosted page", "hosted_update"),
    ("mark paid", "paid_out_of_band"),
    ("subscriptions", "subscriptions"),
    ("network id", "network_transaction_id"),
    ("retries off", "native_retries_switchable"),
];

/// All of it.
pub(super) fn in_words(findings: &Findings) -> String {
    let mut lines = Vec::new();
    for check in &findings.checks {
        let mark = if check.ok { "ok  " } else { "FAIL" };
        lines.push(format!("{mark}  {}: {}", check.name, check.detail));
        if let Some(fix) = &check.fix {
            lines.push(format!("      fix: {fix}"));
        }
    }
    if !findings.gateways.is_empty() {
        lines.push(String::new());
        lines.extend(table(&findings.gateways));
    }
    for one in findings.reconcile.iter().flatten() {
        lines.push(String::new());
        lines.extend(completeness(one));
    }
    lines.join("\n")
}

fn table(gateways: &[Value]) -> Vec<String> {
    let names = COLUMNS.map(|(name, _)| name);
    let id = |gateway: &Value| gateway["id"].as_str().unwrap_or_default().to_owned();
    let width = gateways.iter().map(|g| id(g).len()).max().unwrap_or(0).max("gateway".len());
    let mut lines = vec![format!("{:<width$}  {}", "gateway", names.join("  "))];
    for gateway in gateways {
        let cells = COLUMNS.map(|(name, key)| {
            let can = gateway["capabilities"][key].as_bool().unwrap_or(false);
            format!("{:<width$}", if can { "yes" } else { "-" }, width = name.len())
        });
        lines.push(format!("{:<width$}  {}", id(gateway), cells.join("  ")).trim_end().to_owned());
    }
    lines
}

fn completeness(found: &Completeness) -> Vec<String> {
    let gateway = &found.gateway;
    if let Some(error) = &found.error {
        return vec![format!("{gateway}: could not be compared: {error}")];
    }
    let Some(share) = found.completeness else {
        return vec![format!("{gateway}: it knows of nothing since {}", found.since)];
    };
    let missing = found.missing.len();
    let mut lines = vec![format!(
        "{gateway}: {:.2} % complete since {}: {missing} of {} were missing",
        // Never 100 % while something is missing.
        (share * 10_000.0).floor() / 100.0,
        found.since,
        found.known
    )];
    for gap in found.missing.iter().take(SHOWN) {
        let repaired = if gap.repaired { ", taken in" } else { "" };
        lines.push(format!("  {}: {}{repaired}", gap.id, gap.what));
    }
    if missing > SHOWN {
        lines.push(format!("  and {} more; --json lists all", missing - SHOWN));
    }
    if found.missing.iter().any(|gap| !gap.repaired) {
        lines.push("  fix: recoup doctor --reconcile --repair".to_owned());
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::history::Gap;
    use jiff::Timestamp;

    #[test]
    fn a_gap_is_never_rounded_away() {
        let gap = Gap {
            id: "evt_1".into(),
            what: "invoice.payment_failed of in_1".into(),
            invoice: Some("in_1".into()),
            repaired: false,
        };
        let found = Completeness::of("stripe".into(), Timestamp::UNIX_EPOCH, 1_000_000, vec![gap]);
        let lines = completeness(&found);
        assert!(lines[0].starts_with("stripe: 99.99 % complete"), "{lines:?}");
        assert_eq!(lines.last().unwrap(), "  fix: recoup doctor --reconcile --repair");
    }
}
