//! What the documents must say: they go with the code, or the test fails.

use std::collections::BTreeSet;
use std::path::Path;

use crate::source::{ROOT, Source, read, sources, walk};

/// The first cell of each row of the tables in a document, without its back-ticks.
fn first_cells(document: &str) -> BTreeSet<String> {
    let rows = document.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.filter_map(|row| row.split_once('`')).map(|(cell, _)| cell.to_owned()).collect()
}

#[test]
fn every_dependency_has_a_reason() {
    let manifest: toml::Table = read("Cargo.toml").parse().unwrap();
    let mut direct = BTreeSet::new();
    for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
        let table = manifest.get(section).and_then(toml::Value::as_table);
        direct.extend(table.into_iter().flat_map(|table| table.keys().cloned()));
    }
    assert_eq!(direct, first_cells(&read("docs/adr/dependencies.md")));
}

/// Words between `before` and a closing quote.
fn quoted_after(text: &str, before: &str) -> BTreeSet<String> {
    let tails = text.split(before).skip(1);
    tails.filter_map(|tail| tail.split_once('"')).map(|(word, _)| word.to_owned()).collect()
}

#[test]
fn every_problem_and_metric_is_documented() {
    let code: String = sources("src").iter().map(Source::code).collect();
    let dense: String = code.split_whitespace().collect::<Vec<_>>().join(" ");
    let dense = dense.replace("describe_counter!", "").replace("describe_gauge!", "");
    let mut metrics = BTreeSet::new();
    for kind in ["counter!( \"", "counter!(\"", "gauge!(\"", "gauge!( \"", "histogram!(\""] {
        metrics.extend(quoted_after(&dense, kind));
    }
    assert!(metrics.len() >= 5, "{metrics:?}");
    let operations = first_cells(&read("docs/OPERATIONS.md"));
    let missing: Vec<_> = metrics.difference(&operations).collect();
    assert!(missing.is_empty(), "docs/OPERATIONS.md does not name {missing:?}");
    let told = read("src/telemetry.rs");
    let unsaid: Vec<_> = metrics.iter().filter(|n| !told.contains(&format!("\"{n}\""))).collect();
    assert!(unsaid.is_empty(), "src/telemetry.rs does not describe {unsaid:?}");
    let gone = operations.iter().filter(|n| n.starts_with("recoup_") && !metrics.contains(*n));
    assert_eq!(gone.collect::<Vec<_>>(), Vec::<&String>::new(), "these metrics are gone");
}

#[test]
fn alerts_and_dashboard_ask_for_metrics_that_exist() {
    let told = read("src/telemetry.rs");
    let mut asked = BTreeSet::new();
    for file in ["deploy/alerts.yml", "deploy/alerts_test.yml", "deploy/grafana.json"] {
        let text = read(file);
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let ours = words.filter(|word| word.starts_with("recoup_"));
        asked.extend(ours.map(str::to_owned));
    }
    assert!(asked.len() >= 10, "{asked:?}");
    let unknown: Vec<_> = asked.iter().filter(|n| !told.contains(&format!("\"{n}\""))).collect();
    assert!(unknown.is_empty(), "src/telemetry.rs knows no {unknown:?}");
}

#[test]
fn every_problem_code_is_documented() {
    let http = sources("src").into_iter().filter(|source| source.room() == "http");
    let http: String = http.map(|source| source.code()).collect();
    let mut codes = BTreeSet::new();
    // `StatusCode::X, "code"` or `status, "code"`, over a line break too.
    for status in http.split("StatusCode::").chain(http.split("::new(status")).skip(1) {
        let rest = status.trim_start_matches(|c: char| c.is_ascii_uppercase() || c == '_');
        let rest = rest.strip_prefix(',').map(str::trim_start).unwrap_or_default();
        let code = rest.strip_prefix('"').and_then(|rest| rest.split_once('"'));
        codes.extend(code.map(|(code, _)| code.to_owned()).filter(|code| !code.contains(' ')));
    }
    assert!(codes.len() >= 10, "{codes:?}");
    let gateway = read("src/gateway/mod.rs");
    let names = gateway.split("impl RejectionCode").nth(1).unwrap();
    codes.extend(quoted_after(names.split("/// A webhook").next().unwrap(), "=> \""));
    let documented = first_cells(&read("docs/ERRORS.md"));
    assert_eq!(codes, documented, "left: in the code, right: in docs/ERRORS.md");
}

#[test]
fn every_failure_rule_has_its_story() {
    let document = read("docs/adr/0006-failure-rules.md");
    let rows = document.lines().filter(|line| line.starts_with("| ") && line.ends_with("` |"));
    let story = |row: &str| row.trim_end_matches("` |").rsplit('`').next().unwrap().to_owned();
    let stories: Vec<_> = rows.map(story).collect();
    assert!(stories.len() >= 30, "{stories:?}");
    let code: Vec<_> = ["src", "tests"].into_iter().flat_map(sources).collect();
    let told = |name: &str| {
        let head = format!("fn {name}(");
        code.iter().any(|source| source.text.contains(&head))
    };
    let untold: Vec<_> = stories.iter().filter(|name| !told(name)).collect();
    assert!(untold.is_empty(), "no test tells {untold:?}");
    assert!(!told("a_rule_that_nobody_told_yet"), "each name is looked for");
}

/// What the files of `src` take in from outside of it, other than in tests.
fn taken_in_from_outside() -> BTreeSet<String> {
    let mut outside = BTreeSet::new();
    for source in sources("src") {
        let folder = source.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        for taken in source.code().split("include_").skip(1) {
            let Some(path) = taken.split('"').nth(1).filter(|path| path.starts_with("../")) else {
                continue;
            };
            let mut place: Vec<&str> = ["src"].into_iter().chain(folder.split('/')).collect();
            place.retain(|part| !part.is_empty());
            for part in path.split('/').filter(|part| !part.is_empty()) {
                match part {
                    ".." => drop(place.pop()),
                    part => place.push(part),
                }
            }
            outside.extend((place[0] != "src").then(|| place.join("/")));
        }
    }
    outside
}

#[test]
fn the_container_is_built_from_all_that_a_build_reads() {
    let dockerfile = read("Dockerfile");
    let copied: BTreeSet<&str> = dockerfile
        .lines()
        .filter_map(|line| line.strip_prefix("COPY ").filter(|line| !line.starts_with("--")))
        .flat_map(str::split_whitespace)
        .collect();
    let is_copied = |path: &str| copied.iter().any(|from| Path::new(path).starts_with(from));
    let outside = taken_in_from_outside();
    assert!(outside.contains("docs/errors"), "{outside:?}");
    let mut needed: Vec<_> = outside.into_iter().collect();
    needed.extend(["Cargo.toml", "Cargo.lock", "README.md", "src/main.rs"].map(str::to_owned));
    // Cargo looks for every target that the manifest names, unless it is told where it is.
    let manifest: toml::Table = read("Cargo.toml").parse().unwrap();
    for (kind, folder) in [("bench", "benches"), ("example", "examples"), ("test", "tests")] {
        let targets = manifest.get(kind).and_then(toml::Value::as_array).into_iter().flatten();
        let sought = targets.filter(|target| target.get("path").is_none());
        needed.extend(sought.map(|target| format!("{folder}/{}.rs", target["name"])));
    }
    needed.retain(|path| !is_copied(&path.replace('"', "")));
    assert_eq!(needed, Vec::<String>::new(), "the Dockerfile copies none of these");
}

#[test]
fn every_link_of_the_documents_leads_somewhere() {
    let mut documents = walk("docs", &["md"]);
    for file in ["README.md", "CHANGELOG.md"] {
        documents.push((Path::new(ROOT).join(file), read(file)));
    }
    for (path, text) in documents {
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = target.split('#').next().unwrap_or_default();
            if file.is_empty() || file.contains("://") {
                continue;
            }
            let target = path.parent().unwrap().join(file);
            assert!(target.exists(), "{}: {file} is not there", path.display());
        }
    }
}

#[test]
fn every_command_is_documented() {
    let commands = first_cells(&read("docs/COMMANDS.md"));
    let code = read("src/cli/mod.rs");
    let variants = code.split("enum Command {").nth(1).unwrap().split("\n}").next().unwrap();
    let variants = variants.lines().filter_map(|line| line.trim().split_once("Args)"));
    let there: BTreeSet<String> =
        variants.map(|(line, _)| line.split('(').next().unwrap().to_lowercase()).collect();
    assert!(there.len() > 10, "{there:?}");
    assert_eq!(commands, there, "left: in docs/COMMANDS.md, right: in the program");
}
