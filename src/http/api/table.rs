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

use crate::core::schema::{Described, Schemas, list};
use crate::http::AppState;
use crate::http::people::rule::Rule;

/// Where the API is.
pub(super) const BASE: &str = "/api/v1";

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
    pub(super) takes: Option<Make>,
    pub(super) example: Option<Value>,
    pub(super) gives: Make,
    /// What it asks of its caller; none: looking is a viewer's, changing an admin's.
    pub(super) rule: Option<Rule>,
    longest: Option<usize>,
}

/// An operation with this summary, which gives an object that the guides describe.
pub(super) fn op(summary: &'static str) -> Operation {
    Operation {
        method: "",
        path: "",
        summary,
        query: Vec::new(),
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
        self.query(name, about, json!({ "type": "string" }))
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
