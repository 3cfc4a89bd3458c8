//! The table of the API: each route with its handler, and what it takes and gives.
//!
//! Why here: the router and the description are made from one table, so a route that is not
//! described cannot be called, and one that is described is there.
//!
//! What must stay true: whatever is added here is behind the guard of its caller, and asks of them
//! what its rule says; a change that says nothing is an admin's.

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::handler::Handler;
use axum::routing::{MethodFilter, on};
use serde_json::{Value, json};

use super::shapes;
use crate::core::schema::{Described, Schemas, list};
use crate::http::AppState;
use crate::http::people::rule::Rule;

/// Where the API is.
pub(super) const BASE: &str = "/api/v1";

/// Content that programs read.
pub(super) const JSON: &str = "application/json";

/// Content for spreadsheets.
const CSV: &str = "text/csv";

/// Makes a schema.
type Make = fn(&mut Schemas) -> Value;

/// One parameter in the query.
#[derive(Clone)]
pub(super) struct Param {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) schema: Value,
}

/// One operation: what a route takes and gives.
#[derive(Clone)]
pub(super) struct Operation {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    pub(super) summary: &'static str,
    pub(super) query: Vec<Param>,
    /// What a part of the path may be, where it is a word.
    pub(super) parts: Vec<(&'static str, &'static [&'static str])>,
    pub(super) takes: Option<Make>,
    pub(super) example: Option<Value>,
    pub(super) gives: Make,
    /// What it asks of its caller; none: looking is a viewer's, changing an admin's.
    pub(super) rule: Option<Rule>,
    /// As which kinds of content.
    pub(super) kinds: &'static [&'static str],
    longest: Option<usize>,
}

/// An operation with this summary, which gives an object that the guides describe.
pub(super) fn op(summary: &'static str) -> Operation {
    Operation {
        method: "",
        path: "",
        summary,
        query: Vec::new(),
        parts: Vec::new(),
        kinds: &[JSON],
        takes: None,
        example: None,
        gives: |_| json!({ "type": "object" }),
        rule: None,
        longest: None,
    }
}

impl Operation {
    /// With a parameter in the query.
    pub(super) fn query(mut self, name: &'static str, about: &'static str, schema: Value) -> Self {
        self.query.push(Param { name, about, schema });
        self
    }

    /// With a text in the query.
    pub(super) fn text(self, name: &'static str, about: &'static str) -> Self {
        self.query(name, about, json!({ "type": "string", "minLength": 1 }))
    }

    /// With a part of the path that is one of these words.
    pub(super) fn part(mut self, name: &'static str, words: &'static [&'static str]) -> Self {
        self.parts.push((name, words));
        self
    }

    /// With `since` and `until`.
    pub(super) fn spans(self, what: &str, moment: &Value) -> Self {
        let about = |when: &str| json!(format!("{what} {when}."));
        let schema = |about: Value| {
            let mut schema = moment.clone();
            schema["description"] = about;
            schema
        };
        self.query("since", "A time.", schema(about("from then on"))).query(
            "until",
            "A time.",
            schema(about("before then")),
        )
    }

    /// A file and nothing else.
    pub(super) fn file(mut self) -> Self {
        self.kinds = &[CSV];
        self.query("format", "It is a file.", json!({ "type": "string", "enum": ["csv"] }))
    }

    /// A file too.
    pub(super) fn or_file(mut self) -> Self {
        self.kinds = &[JSON, CSV];
        let forms = json!({ "type": "string", "enum": ["json", "csv"], "default": "json" });
        self.query("format", "All that pass, in one file; or a page.", forms)
    }

    /// A page to be read by people.
    pub(super) fn page_of_html(mut self) -> Self {
        self.kinds = &["text/html"];
        self
    }

    /// With no body, or an empty object.
    pub(super) fn takes_nothing(self) -> Self {
        self.takes(shapes::nothing, json!({}))
    }

    /// With `limit` and `starting_after`.
    pub(super) fn pages(self) -> Self {
        let limit = json!({ "type": "integer", "minimum": 1, "maximum": 100, "default": 20 });
        self.query("limit", "Rows at most.", limit)
            .text("starting_after", "The id of the last row of the page before.")
    }

    /// With a body of these fields; all of them may be left out.
    pub(super) fn takes(mut self, schema: Make, example: Value) -> Self {
        self.takes = Some(schema);
        self.example = Some(example);
        self
    }

    /// With a longer body than other routes take.
    pub(super) fn long(mut self, longest: usize) -> Self {
        self.longest = Some(longest);
        self
    }

    /// Asks this of its caller.
    pub(super) fn by(mut self, rule: Rule) -> Self {
        self.rule = Some(rule);
        self
    }

    /// What it asks of its caller.
    pub(super) fn rule(&self) -> Rule {
        self.rule.unwrap_or_else(|| Rule::of_method(self.method))
    }

    /// Gives what this schema says.
    pub(super) fn gives(mut self, schema: Make) -> Self {
        self.gives = schema;
        self
    }

    /// Gives one of these.
    pub(super) fn one<T: Described>(self) -> Self {
        self.gives(T::schema)
    }

    /// Gives a page of these.
    pub(super) fn list<T: Described>(self) -> Self {
        self.gives(list::<T>)
    }
}

/// Routes with their operations.
#[derive(Default)]
pub(super) struct Table {
    router: Router<AppState>,
    operations: Vec<Operation>,
}

impl Table {
    /// A `GET`.
    pub(super) fn get<H: Handler<T, AppState>, T: 'static>(
        self,
        path: &'static str,
        handler: H,
        operation: Operation,
    ) -> Self {
        self.add(("get", path), handler, operation)
    }

    /// A `POST`.
    pub(super) fn post<H: Handler<T, AppState>, T: 'static>(
        self,
        path: &'static str,
        handler: H,
        operation: Operation,
    ) -> Self {
        self.add(("post", path), handler, operation)
    }

    /// A `PUT`.
    pub(super) fn put<H: Handler<T, AppState>, T: 'static>(
        self,
        path: &'static str,
        handler: H,
        operation: Operation,
    ) -> Self {
        self.add(("put", path), handler, operation)
    }

    /// A `DELETE`.
    pub(super) fn delete<H: Handler<T, AppState>, T: 'static>(
        self,
        path: &'static str,
        handler: H,
        operation: Operation,
    ) -> Self {
        self.add(("delete", path), handler, operation)
    }

    fn add<H: Handler<T, AppState>, T: 'static>(
        mut self,
        (method, path): (&'static str, &'static str),
        handler: H,
        operation: Operation,
    ) -> Self {
        let filter = match method {
            "get" => MethodFilter::GET,
            "post" => MethodFilter::POST,
            "put" => MethodFilter::PUT,
            _ => MethodFilter::DELETE,
        };
        let operation = Operation { method, path, ..operation };
        let mut route = operation.rule().over(on(filter, handler));
        if let Some(longest) = operation.longest {
            route = route.layer(DefaultBodyLimit::max(longest));
        }
        self.router = self.router.route(&format!("{BASE}{path}"), route);
        self.operations.push(operation);
        self
    }

    /// The routes.
    pub(super) fn into_router(self) -> Router<AppState> {
        self.router
    }

    /// What they take and give.
    pub(super) fn into_operations(self) -> Vec<Operation> {
        self.operations
    }
}
