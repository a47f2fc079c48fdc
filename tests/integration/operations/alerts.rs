//! The rules of `deploy/prometheus`: promtool accepts them, each alert fires and ends as its test
//! says, and each has a test and a section of the runbooks.

use std::collections::BTreeSet;

use iem_test_support::promtool;

const ALERTS: &str = include_str!("../../../deploy/prometheus/alerts.yml");
const TESTS: [&str; 2] = [
    include_str!("../../data/prometheus/alerts.test.yml"),
    include_str!("../../data/prometheus/days.test.yml"),
];
const RUNBOOKS: &str = include_str!("../../../docs/runbooks.md");
/// The words that begin the parts of each section of the runbooks, in this order.
const PARTS: [&str; 5] = [
    "- **Means.** ",
    "- **Costs.** ",
    "- **Look.** ",
    "- **Do.** ",
    "- **Ends** ",
];

fn path(name: &str) -> String {
    format!("{}/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// The names of all alerts, each once.
fn alerts() -> BTreeSet<&'static str> {
    let names = ALERTS
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "));
    let names: Vec<_> = names.collect();
    let set = names.iter().copied().collect::<BTreeSet<_>>();
    assert!(names.len() > 30 && set.len() == names.len(), "{names:?}");
    set
}

#[test]
fn promtool_accepts_the_rules_and_the_configuration() {
    promtool(
        &["check", "config", &path("deploy/prometheus/prometheus.yml")],
        "",
    );
}

#[test]
fn every_alert_fires_and_ends_as_its_test_says() {
    let files =
        ["alerts", "days"].map(|name| path(&format!("tests/data/prometheus/{name}.test.yml")));
    promtool(&["test", "rules", &files[0], &files[1]], "");
}

/// A test that fires an alert says with which labels; the others of the alert expect none.
#[test]
fn every_alert_has_a_test_in_which_it_fires_and_one_in_which_it_does_not() {
    let mut fires = BTreeSet::new();
    let mut is_silent = BTreeSet::new();
    for lines in TESTS.map(|text| text.lines().map(str::trim).collect::<Vec<_>>()) {
        for pair in lines.windows(2) {
            let Some(name) = pair[0].strip_prefix("alertname: ") else {
                continue;
            };
            match pair[1] {
                "exp_alerts:" => fires.insert(name),
                "exp_alerts: []" => is_silent.insert(name),
                other => panic!("{name}: {other}"),
            };
        }
    }
    let names = alerts()
        .into_iter()
        .map(str::to_owned)
        .collect::<BTreeSet<_>>();
    assert_eq!(
        fires
            .into_iter()
            .map(str::to_owned)
            .collect::<BTreeSet<_>>(),
        names
    );
    assert_eq!(
        is_silent
            .into_iter()
            .map(str::to_owned)
            .collect::<BTreeSet<_>>(),
        names
    );
}

#[test]
fn every_alert_has_a_severity_a_summary_and_its_own_section_of_the_runbooks() {
    let sections: Vec<_> = RUNBOOKS.split("\n## ").skip(1).collect();
    let mut faults = Vec::new();
    for rule in ALERTS.split("- alert: ").skip(1) {
        let name = rule.lines().next().unwrap_or_default();
        let anchor = format!("runbook_url: docs/runbooks.md#{}", name.to_lowercase());
        let is_whole = ["severity: ", "summary: ", &anchor]
            .iter()
            .all(|part| rule.contains(part));
        if !is_whole {
            faults.push(format!("{name} lacks a severity, a summary or {anchor}"));
        }
        let section = sections
            .iter()
            .find(|section| section.lines().next() == Some(name));
        let Some(section) = section else {
            faults.push(format!("{name} has no section"));
            continue;
        };
        let parts: Vec<_> = PARTS.iter().map(|part| section.find(part)).collect();
        if !parts.iter().all(Option::is_some) || !parts.is_sorted() {
            faults.push(format!("{name}: its section lacks a part of {PARTS:?}"));
        }
    }
    let headings = sections.iter().filter_map(|section| section.lines().next());
    let unknown =
        headings.filter(|name| name.starts_with("IemGateway") && !alerts().contains(name));
    faults.extend(unknown.map(|name| format!("{name} is a section of no alert")));
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
