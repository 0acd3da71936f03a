//! The report: valid by its published schema, its numbers named with their sources.

use seclude_tests::{Cgroups, Scratch, seclude_command};
use serde_json::Value;

use crate::all;

/// Whether there is a validator: Debian's python3-jsonschema.
fn is_validated() -> bool {
    let output = std::process::Command::new("/usr/bin/python3").args(["-c", "import jsonschema"]).output().unwrap();
    if !output.status.success() {
        eprintln!("skipped: python3-jsonschema is not installed");
    }
    output.status.success()
}

/// What a validator says of a report; empty if it is valid.
fn complaints(report: &Value) -> String {
    let own = Scratch::new("schema");
    let schema = own.file("schema.json", include_str!("../../../docs/report.schema.json"));
    let file = own.file("report.json", &report.to_string());
    if !is_validated() {
        return String::new();
    }
    let program = "
import json, sys, jsonschema
schema, report = (json.load(open(path)) for path in sys.argv[1:])
jsonschema.Draft7Validator.check_schema(schema)
for error in jsonschema.Draft7Validator(schema).iter_errors(report):
    print(error.message)
";
    let output =
        std::process::Command::new("/usr/bin/python3").args(["-c", program]).args([schema, file]).output().unwrap();
    assert!(output.status.success(), "{}", all(&output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn report(arguments: &[&str]) -> Value {
    let own = Scratch::new("report-of");
    let file = own.join("report.json");
    let all = [&["run", "--report", file.to_str().unwrap()], arguments].concat();
    seclude_command(&all).output().unwrap();
    serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
}

#[test]
fn every_report_is_what_its_schema_says() {
    for arguments in [
        &["true"][..],
        &["--init", "sh", "-c", "kill -TERM $$"],
        &["--timeout", "50ms", "sleep", "1000"],
        &["--clone", "legacy", "false"],
        &["/no/such/command"],
        &["--workdir", "relative", "true"],
        &["--memory", "0", "true"],
        &["--timeout", "1us", "true"],
        &["sh", "-c", "unshare --user true; mount -t tmpfs none /mnt"],
        &["--no-denials", "true"],
    ] {
        let report = report(arguments);
        assert_eq!(complaints(&report), "", "{arguments:?}: {report}");
    }
    let mut broken = report(&["true"]);
    broken["cause"] = "boredom".into();
    broken["surprise"] = 1.into();
    if is_validated() {
        assert_ne!(complaints(&broken), "");
    }
}

#[test]
fn a_report_of_a_limited_container_names_where_each_number_is_from() {
    let Some(cgroups) = Cgroups::with("sources", &["--pids", "10", "--memory", "64M", "--cpus", "1"]) else { return };
    let flags = ["--pids", "10", "--memory", "64M", "--cpus", "1"];
    let (output, report) = cgroups.report(&[&flags[..], &["--prefer", "memory", "sh", "-c", ":"]].concat());
    assert!(output.status.success(), "{}", all(&output));
    assert_eq!(complaints(&report), "", "{report}");
    assert_eq!(report["tree"], serde_json::json!({ "empty": true, "proof": "cgroup-removed" }));
    assert_eq!(report["spawn"]["preferred"], serde_json::json!([{ "feature": "memory", "achieved": true }]));
    let usage = report["usage"].as_object().unwrap();
    for (name, value) in usage.iter().filter(|(name, value)| *name != "sources" && !value.is_null()) {
        let field = name.trim_end_matches("_us").trim_end_matches("_peak_bytes");
        let known = usage["sources"].as_object().unwrap().keys().any(|source| source.starts_with(field));
        assert!(known, "{name} is {value}, from where? {}", usage["sources"]);
    }
    for phase in ["wall_us", "run_us", "clean_up_us"] {
        assert!(report[phase].as_f64() > Some(0.0), "{phase}");
    }
    for phase in ["prepare_us", "clone_us", "attend_us", "set_up_us"] {
        assert!(report["spawn"][phase].as_f64() > Some(0.0), "{phase}");
    }
    cgroups.done();
}

#[test]
fn what_was_preferred_and_is_not_there_is_told_and_what_was_required_is_an_error() {
    // v1 has no memory.high; v2 without swap accounting no memory.swap.max. One of the two is somewhere missing.
    let Some(cgroups) = Cgroups::with("preferred", &["--memory", "64M"]) else { return };
    for (flag, name) in
        [("--memory-high", "memory-high"), ("--memory-low", "memory-low"), ("--memory-swap", "memory-swap")]
    {
        let flags = ["--memory", "64M", flag, "32M"];
        let required = cgroups.run(&[&flags[..], &["true"]].concat());
        let (preferred, report) = cgroups.report(&[&flags[..], &["--prefer", name, "true"]].concat());
        assert!(preferred.status.success(), "{}", all(&preferred));
        let entry = &report["spawn"]["preferred"][0];
        assert_eq!(
            (&entry["feature"], &entry["achieved"]),
            (&name.into(), &required.status.success().into()),
            "{report}"
        );
        if !required.status.success() {
            assert!(entry["reason"].as_str().unwrap().contains("memory"), "{report}");
            assert!(all(&required).contains(&format!("{flag}: ")), "{}", all(&required));
        }
        // The other limit holds all the same.
        assert!(report["spawn"]["cgroup"]["path"].is_string(), "{report}");
    }
    cgroups.done();
}

#[test]
fn without_a_cgroup_at_all_what_is_preferred_is_told_as_not_achieved() {
    // The mounts of a host without cgroups: a filesystem of another kind over them.
    let hidden = "mount -t tmpfs none /sys/fs/cgroup && exec \"$0\" \"$@\"";
    let own = Scratch::new("no-cgroups");
    let file = own.join("report.json");
    let run = |flags: &[&str]| {
        let mut command = std::process::Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount", "sh", "-c", hidden]).arg(seclude_tests::seclude_bin());
        command.args(["run", "--report"]).arg(&file).args(["--pids", "10"]).args(flags).arg("true").output().unwrap()
    };
    let preferred = run(&["--prefer", "pids"]);
    assert!(preferred.status.success(), "{}", all(&preferred));
    let report: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    assert_eq!(complaints(&report), "");
    assert_eq!(report["spawn"]["cgroup"], Value::Null);
    assert_eq!(report["spawn"]["preferred"][0]["achieved"], false, "{report}");
    assert!(report["spawn"]["preferred"][0]["reason"].is_string(), "{report}");
    let required = run(&[]);
    assert_eq!(required.status.code(), Some(125), "{}", all(&required));
}

#[test]
fn a_parent_that_cannot_be_meant_is_not_softened() {
    let report = report(&["--cgroup", "/../outside", "--pids", "10", "--prefer", "pids", "true"]);
    assert_eq!(report["cause"], "not-started", "{report}");
}
