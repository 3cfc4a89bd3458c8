//! The rules of the house, as a test: they are held, not hoped for.
//!
//! Why here: which room may know which, how long a file may be and what must not stand in one are
//! rules over the text of the tree; no compiler holds them. docs/ARCHITECTURE.md explains them.
//!
//! What must stay true: every rule is a function over sources, and a sample shows that it can fail.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::collections::{BTreeMap, BTreeSet};

#[path = "tidy/documents.rs"]
mod documents;
#[path = "tidy/rules.rs"]
mod rules;
#[path = "tidy/source.rs"]
mod source;
#[path = "tidy/supply.rs"]
mod supply;

use rules::{
    MAX_COLUMNS, MAX_LINES, MAX_MAIN, has_short_lines, is_pure, is_short, knows_only_its_rooms,
    leaves_nothing_open, names_no_machine, names_nothing_concrete, opens_with_what_it_is,
};
use source::{Source, read, sources, walk};

fn hold(rule: fn(&Source) -> Vec<String>, sources: &[Source]) {
    let wrong: Vec<_> = sources.iter().flat_map(rule).collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// `core`, and what a gateway's `webhook.rs` leads to within `gateway`.
fn pure(sources: &[Source]) -> Vec<Source> {
    let by_module: BTreeMap<_, _> = sources.iter().map(|s| (s.module().join("::"), s)).collect();
    let mut open: Vec<String> = by_module
        .keys()
        .filter(|m| m.ends_with("::webhook") && m.starts_with("gateway::"))
        .cloned()
        .collect();
    assert!(open.len() >= 2, "the webhooks have moved");
    let mut reached = BTreeSet::new();
    while let Some(module) = open.pop() {
        let Some(source) = by_module.get(&module) else { continue };
        // The trait and the composition of a gateway are not its webhook's business.
        let is_entry = source.path.ends_with("mod.rs") && module != "gateway";
        if !is_entry && reached.insert(module.clone()) && module != "gateway" {
            open.extend(source.paths().into_iter().filter(|path| path.starts_with("gateway::")));
        }
    }
    let is_pure = |s: &&Source| s.room() == "core" || reached.contains(&s.module().join("::"));
    sources.iter().filter(is_pure).cloned().collect()
}

#[test]
fn every_file_says_what_it_is() {
    for folder in ["src", "tests", "benches"] {
        hold(opens_with_what_it_is, &sources(folder));
    }
}

#[test]
fn core_and_webhooks_are_pure() {
    let pure = pure(&sources("src"));
    let paths: Vec<_> = pure.iter().map(|source| source.path.as_str()).collect();
    assert!(paths.contains(&"gateway/stripe/objects.rs"), "{paths:?}");
    assert!(paths.contains(&"core/case/step.rs"), "{paths:?}");
    hold(is_pure, &pure);
}

#[test]
fn imports_run_one_way() {
    hold(knows_only_its_rooms, &sources("src"));
}

#[test]
fn only_the_command_line_names_concrete_parts() {
    hold(names_nothing_concrete, &sources("src"));
}

#[test]
fn files_and_lines_are_short() {
    hold(is_short, &sources("src"));
    hold(has_short_lines, &sources("tests"));
    hold(has_short_lines, &sources("benches"));
}

#[test]
fn nothing_is_left_open() {
    for folder in ["src", "tests", "benches"] {
        hold(leaves_nothing_open, &sources(folder));
    }
}

#[test]
fn no_machine_is_named() {
    let endings = ["rs", "md", "toml", "csv", "json", "html", "css", "txt", "mjml"];
    for folder in ["src", "tests", "benches", "docs", "fixtures"] {
        for (path, text) in walk(folder, &endings) {
            hold(names_no_machine, &[Source { path: path.display().to_string(), text }]);
        }
    }
    for file in ["README.md", "CHANGELOG.md", "fly.toml", "Dockerfile", "recoup.example.toml"] {
        hold(names_no_machine, &[Source::new(file, &read(file))]);
    }
}

#[test]
fn what_we_are_built_from_is_allowed() {
    let rules: toml::Table = read(".deny.toml").parse().unwrap();
    let packages = supply::packages();
    assert!(packages.len() > 100, "only {} crates", packages.len());
    let wrong = supply::wrong_with(&packages, &rules);
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    assert_eq!(supply::without_reason(&rules), [""; 0], "an exception says why");
}

#[test]
fn unsafe_code_is_forbidden_in_all_of_it() {
    let manifest: toml::Table = read("Cargo.toml").parse().unwrap();
    assert_eq!(manifest["lints"]["rust"]["unsafe_code"].as_str(), Some("forbid"));
    for source in ["src/lib.rs", "src/main.rs"] {
        assert!(read(source).contains("#![forbid(unsafe_code)]"), "{source}");
    }
    for source in sources("src") {
        assert!(
            !source.text.contains("danger_accept"),
            "{}: certificates are checked",
            source.path
        );
    }
}

// The rules can fail.

#[test]
fn a_crate_that_is_not_allowed_is_found() {
    let rules: toml::Table = read(".deny.toml").parse().unwrap();
    let index = &supply::index();
    let wrong = |name: &str, licence: Option<&str>, source: &str| {
        let package = serde_json::json!({ "name": name, "license": licence, "source": source });
        supply::wrong_with(&[package], &rules).len()
    };
    assert_eq!(wrong("a", Some("MIT"), index), 0);
    assert_eq!(wrong("a", Some("(MIT OR Apache-2.0) AND Unicode-3.0"), index), 0);
    assert_eq!(wrong("a", Some("GPL-3.0 OR MIT"), index), 0);
    assert_eq!(wrong("a", Some("MIT/Apache-2.0"), index), 0);
    assert_eq!(wrong("a", Some("MIT AND GPL-3.0"), index), 1);
    assert_eq!(wrong("a", Some("(MIT OR GPL-3.0"), index), 1);
    assert_eq!(
        (wrong("a", Some("MPL-2.0"), index), wrong("webdriver", Some("MPL-2.0"), index)),
        (1, 0)
    );
    assert_eq!(wrong("a", None, index), 1);
    assert_eq!(wrong("openssl", Some("MIT"), index), 1);
    assert_eq!(wrong("a", Some("MIT"), &index.replace("registry", "git")), 1);
    let silent = "[bans]\ndeny = [{ crate = \"a\" }]\n[advisories]\nignore = []\n";
    assert_eq!(supply::without_reason(&silent.parse().unwrap()).len(), 1);
}

#[test]
fn each_rule_finds_what_it_is_for() {
    let finds = |rule: fn(&Source) -> Vec<String>, path: &str, text: &str| {
        !rule(&Source::new(path, text)).is_empty()
    };
    assert!(finds(opens_with_what_it_is, "a.rs", "use x;\n"));
    assert!(finds(is_pure, "core/a.rs", "fn f() { jiff::Timestamp::now(); }\n"));
    assert!(finds(is_pure, "core/a.rs", "use tokio::sync::Notify;\n"));
    assert!(!finds(is_pure, "core/a.rs", "// no tokio here\nfn instant() {}\n"));
    let in_test = "#[cfg(test)]\nmod tests {\n    use tokio;\n}\n";
    assert!(!finds(is_pure, "core/a.rs", in_test));
    assert!(finds(is_pure, "core/a.rs", &format!("{in_test}use tokio;\n")));
    assert!(finds(knows_only_its_rooms, "core/a.rs", "use crate::store::Store;\n"));
    assert!(finds(knows_only_its_rooms, "core/a.rs", "use crate::{core::x, store};\n"));
    assert!(finds(knows_only_its_rooms, "core/mod.rs", "use super::store::Store;\n"));
    assert!(finds(knows_only_its_rooms, "core/case/a.rs", "use super::super::super::http;\n"));
    assert!(!finds(knows_only_its_rooms, "core/case/a.rs", "use super::super::money;\n"));
    assert!(finds(knows_only_its_rooms, "store/a.rs", "use crate::cli;\n"));
    assert!(finds(knows_only_its_rooms, "attic/a.rs", ""));
    let sled = "use crate::store::{Store, sled::SledStore};\n";
    assert!(finds(names_nothing_concrete, "worker/a.rs", sled));
    assert!(!finds(names_nothing_concrete, "cli/a.rs", sled));
    assert!(!finds(names_nothing_concrete, "store/sled/open.rs", "use super::super::sled::X;\n"));
    assert!(finds(names_nothing_concrete, "gateway/wire.rs", "use super::stripe;\n"));
    assert!(finds(is_short, "a.rs", &"\n".repeat(MAX_LINES + 1)));
    assert!(finds(is_short, "main.rs", &"\n".repeat(MAX_MAIN + 1)));
    assert!(finds(is_short, "a.rs", &"x".repeat(MAX_COLUMNS + 1)));
    assert!(finds(leaves_nothing_open, "a.rs", &["// TO", "DO: later"].concat()));
    assert!(finds(leaves_nothing_open, "a.rs", &["pub fn get", "_name() {}"].concat()));
    assert!(finds(names_no_machine, "a.rs", &["open(\"/ho", "me/ada/x\")"].concat()));
    assert!(finds(names_no_machine, "a.rs", &["https:", "//mirror.corp.net/x"].concat()));
    assert!(!finds(names_no_machine, "a.rs", "https://pay.cafenube.example/x"));
}
