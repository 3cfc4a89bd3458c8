//! Integration tests: one file a behavior, one binary.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on panics")]

mod accounts;
mod adyen_rescue;
mod adyen_webhooks;
mod arbitration;
mod backtest;
mod banner;
mod braintree;
mod browser;
mod browser_desk;
mod browser_pages;
mod callbacks;
mod ceilings;
mod channels;
mod cli_offline;
mod commands;
mod config;
mod dashboard;
#[expect(dead_code, reason = "the suite of stores asks more of it")]
#[path = "../database/mod.rs"]
mod database;
mod death;
mod decline_facts;
mod disk;
mod email;
mod exercise;
mod forget;
mod gateway_docs;
mod http_api;
mod http_pages;
mod http_samples;
mod http_support;
mod http_webhooks;
mod learning;
mod many;
mod measure;
mod merchants;
mod messages;
mod month;
#[path = "../support/mounts.rs"]
mod mounts;
mod mutations;
mod openapi;
mod outbound;
mod page_story;
mod page_world;
mod pages;
mod plan;
mod policies;
mod receiver;
mod reconcile;
mod routing;
mod sandbox;
mod sandbox_adyen;
mod sandbox_command;
mod sandbox_faults;
mod sandbox_http;
mod sandbox_webhooks;
mod security;
mod ses;
mod several;
mod shadow;
mod simulate;
mod smtp;
mod stripe_api;
mod stripe_history;
mod stripe_service;
mod subscriptions;
mod transfer;
mod trigger;
mod tutorial;
mod views;
mod webhook_fixtures;
mod webhook_vectors;
mod whatsapp_templates;
