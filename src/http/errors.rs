//! `/errors/{code}`: what an error means and what to do, where its `type` leads.
//!
//! Why here: whoever meets a problem finds the answer at the address in it, on this very service.
//!
//! What must stay true: every code of a problem has its page in `docs/errors`.

use axum::extract::Path;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};

use super::Problem;

macro_rules! pages {
    ($($code:literal),* $(,)?) => {
        /// Every code with its page.
        pub(super) const PAGES: &[(&str, &str)] = &[$((
            $code,
            include_str!(concat!("../../docs/errors/", $code, ".md")),
        )),*];
    };
}

pages!(
    "admin_token_not_set",
    "advance_failed",
    "bad_location",
    "banner_not_configured",
    "body_too_large",
    "busy",
    "card_number",
    "case_open",
    "changed_meanwhile",
    "endpoint_ended",
    "forbidden",
    "idempotency_key_in_use",
    "idempotency_key_reused",
    "internal",
    "invalid_fields",
    "invalid_idempotency_key",
    "invalid_learning",
    "invalid_policy",
    "invalid_query",
    "last_admin",
    "malformed_body",
    "malformed_header",
    "malformed_json",
    "method_not_allowed",
    "missing_header",
    "no_signature_match",
    "no_test_clock",
    "not_found",
    "provider_unreachable",
    "store_unavailable",
    "timestamp_in_future",
    "timestamp_too_old",
    "token_exists",
    "unauthorized",
    "user_exists",
);

/// `GET /errors/{code}`.
pub(super) async fn show(Path(code): Path<String>) -> Result<Response, Problem> {
    let page = PAGES.iter().find(|(known, _)| *known == code);
    let (_, text) = page.ok_or_else(|| Problem::not_found("there is no error of this code"))?;
    Ok(([(CONTENT_TYPE, "text/markdown; charset=utf-8")], *text).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_of_the_index_has_its_page() {
        let rows = include_str!("../../docs/ERRORS.md").lines();
        let codes = rows.filter_map(|row| row.strip_prefix("| `")?.split('`').next());
        let mut named: Vec<_> = codes.collect();
        named.sort_unstable();
        assert!(named.len() > 20, "{named:?}");
        assert_eq!(named, PAGES.iter().map(|(code, _)| *code).collect::<Vec<_>>());
        for (code, page) in PAGES {
            assert!(page.contains(&format!("`{code}`, HTTP ")), "{code}");
        }
    }
}
