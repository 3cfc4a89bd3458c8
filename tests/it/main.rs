//! Integration tests: one file a behavior, one binary.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on panics")]

mod adyen_rescue;
mod adyen_webhooks;
mod arbitration;
mod backtest;
mod banner;
mod braintree;
mod cli_offline;
mod commands;
mod config;
mod death;
mod decline_facts;
mod email;
mod exercise;
mod gateway_docs;
mod http_api;
mod http_pages;
mod http_samples;
mod http_support;
mod http_webhooks;
mod learning;
mod measure;
mod messages;
mod month;
mod mutations;
mod pages;
mod plan;
mod policies;
mod receiver;
mod reconcile;
mod sandbox;
mod sandbox_adyen;
mod sandbox_command;
mod sandbox_faults;
mod sandbox_http;
mod sandbox_webhooks;
mod simulate;
mod stripe_api;
mod stripe_history;
mod subscriptions;
mod transfer;
mod trigger;
mod views;
mod webhook_fixtures;
mod webhook_vectors;
