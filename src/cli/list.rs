//! Lists of the API, as commands ask for them: filters, spans of time, page by page.
//!
//! Why here: every list has the same pages, so every command reads them by the same loop.
//!
//! What must stay true: no more than was asked for; that there are more is said.

use serde_json::Value;

use super::backend::Backend;
use super::offline::Usage;
use super::report::moment;
use super::show::Zone;

/// Rows in one answer of the API at most.
const PAGE: usize = 100;

/// A part of a query.
pub(super) type Part<'a> = (&'static str, &'a str);

/// The filters that were given.
pub(super) fn given<'a, const N: usize>(
    all: [(&'static str, &'a Option<String>); N],
) -> Vec<Part<'a>> {
    all.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?))).collect()
}

/// From when until when, as far as that was given.
pub(super) fn span(
    zone: &Zone,
    since: Option<&str>,
    until: Option<&str>,
) -> Result<Vec<(&'static str, String)>, Usage> {
    let since = moment(zone, "--since", since)?.map(|at| ("since", at));
    let until = moment(zone, "--until", until)?.map(|at| ("until", at));
    Ok(since.into_iter().chain(until).collect())
}

/// Parts that are owned, as a query takes them.
pub(super) fn parts<'a>(owned: &'a [(&'static str, String)]) -> Vec<Part<'a>> {
    owned.iter().map(|(name, value)| (*name, value.as_str())).collect()
}

/// Reads page by page, up to `limit` rows; and whether there are more.
pub(super) async fn read(
    backend: &Backend,
    path: &str,
    filters: &[Part<'_>],
    limit: u32,
) -> anyhow::Result<(Vec<Value>, bool)> {
    let limit = limit as usize;
    let (mut rows, mut has_more): (Vec<Value>, bool) = (Vec::new(), true);
    while has_more && rows.len() < limit {
        let page_limit = (limit - rows.len()).min(PAGE).to_string();
        let after = rows.last().and_then(|row| row.get("id")).and_then(Value::as_str);
        let mut query = vec![("limit", page_limit.as_str())];
        query.extend(filters);
        query.extend(after.map(|after| ("starting_after", after)));
        let mut page = backend.get(&[path], &query).await?;
        has_more = page.get("has_more").and_then(Value::as_bool).unwrap_or(false);
        let Some(Value::Array(data)) = page.get_mut("data").map(Value::take) else { break };
        // A page of a rare filter may be empty though there are more.
        if data.is_empty() {
            break;
        }
        rows.extend(data);
    }
    has_more |= rows.len() > limit;
    rows.truncate(limit);
    Ok((rows, has_more))
}
