//! `GET /cases`: the list behind every figure, and the search.
//!
//! What must stay true: the list holds exactly the cases that its filters name; its length is the
//! figure's count.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::asked::Asked;
use super::{Person, Trouble, assets, home, sample, shell};
use crate::core::case::State as CaseState;
use crate::core::report::facts::Facts;
use crate::core::report::select::Standing;
use crate::http::book::Shelf;
use crate::http::csv::{self, Table};
use crate::http::pages::{CasesView, Chip, cases_page, filter_in_words};
use crate::http::{AppState, page};

/// Rows of one page.
const ROWS: usize = 50;

/// `GET /cases`.
pub(super) async fn list(
    State(state): State<AppState>,
    person: Person,
    asked: Asked,
) -> Result<Response, Trouble> {
    let shown = sample::shown(&state, &asked).await?;
    let shelf = shown.shelf();
    let version = shelf.version().to_string();
    if asked.text("seen") == Some(&version) {
        return Ok(assets::unchanged());
    }
    let found = find(shelf, &asked, &state)?;
    if asked.text("format").is_some() {
        let rows = csv::cases(found.into_iter());
        return Ok(csv::answer(Table::Cases, rows));
    }
    let number = asked.page()?;
    let start = (number - 1).saturating_mul(ROWS).min(found.len());
    let rows = &found[start..found.len().min(start + ROWS)];
    let names = rows.iter().filter_map(|case| {
        let key = case.customer.clone()?;
        let name = shelf.name(&key)?.to_owned();
        Some((key, name))
    });
    let plain = asked.with("page", "").with("seen", "");
    let view = CasesView {
        shell: shell(&state, &person.session, None),
        names: names.collect(),
        cases: shown.cases(&state, rows).await?,
        total: found.len(),
        first: start + 1,
        filters: filter_in_words(plain.pairs()),
        chips: chips(shelf, &asked, &state)?,
        query: asked.text("q").unwrap_or_default().to_owned(),
        hidden: hidden(&plain),
        older: (start + ROWS < found.len()).then(|| asked.with("page", number + 1).href("/cases")),
        newer: (number > 1).then(|| asked.with("page", number - 1).href("/cases")),
        csv: plain.with("format", "csv").href("/cases"),
        clear: Asked::default().with("sample", asked.text("sample").unwrap_or("")).href("/cases"),
        refresh: asked.with("seen", version).href("/cases"),
        is_filtered: asked.filters(),
        is_sample: asked.is_sample(),
    };
    Ok(page(StatusCode::OK, cases_page(&view)))
}

/// The cases that are asked for, the newest first.
fn find<'a>(shelf: &'a Shelf, asked: &Asked, state: &AppState) -> Result<Vec<&'a Facts>, Trouble> {
    let selection = asked.selection(&home::zone_of(state), state.clock.now())?;
    let typed = asked.text("q").unwrap_or_default().to_lowercase();
    let found = shelf.cases().rev().filter(|case| selection.holds(case));
    Ok(found.filter(|case| shelf.finds(case, &typed)).collect())
}

/// The states, each with the number of cases under the other filters.
fn chips(shelf: &Shelf, asked: &Asked, state: &AppState) -> Result<Vec<Chip>, Trouble> {
    let all = asked.with("state", "").with("page", "").with("seen", "");
    let found = find(shelf, &all, state)?;
    let current = asked.text("state");
    let chip = |word: &str, label: String, count: usize| Chip {
        label: format!("{label} {count}"),
        href: all.with("state", word).href("/cases"),
        current: current.unwrap_or_default() == word,
    };
    let mut chips = vec![chip("", "All".to_owned(), found.len())];
    let grouped = [("open", "Being worked on"), ("given_up", "Given up")];
    for (word, label) in grouped.into_iter().filter(|(word, _)| current == Some(*word)) {
        let standing = Standing::read(word);
        let count = found.iter().filter(|case| standing.is_some_and(|s| s.holds(case.state)));
        chips.push(chip(word, label.to_owned(), count.count()));
    }
    for one in CaseState::ALL {
        let count = found.iter().filter(|case| case.state == one).count();
        if count > 0 || current == Some(one.as_str()) {
            chips.push(chip(one.as_str(), crate::http::pages::label(one), count));
        }
    }
    Ok(chips)
}

/// What a search keeps of the other filters.
fn hidden(asked: &Asked) -> Vec<(String, String)> {
    let others = asked.pairs().filter(|(name, _)| !["q", "format"].contains(name));
    others.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}
