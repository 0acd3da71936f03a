//! Memory: what goes over the limit is killed, and it is said why.

use seclude_tests::{Cgroups, on_v2};

use crate::all;

/// Takes this many MiB and touches them.
fn take(mib: u32) -> String {
    format!("x = bytearray({mib} << 20); print('taken')")
}

const PYTHON: &str = "/usr/bin/python3";

#[test]
fn an_allocation_over_the_limit_is_killed_and_the_report_says_why() {
    let Some(cgroups) = Cgroups::with("memory", &["--memory", "64M"]) else { return };
    let (output, report) = cgroups.report(&["--memory", "64M", PYTHON, "-c", &take(200)]);
    assert_eq!(output.status.code(), Some(128 + 9), "{}", all(&output));
    assert!(all(&output).contains("out of memory"), "{}", all(&output));
    assert_eq!(report["cause"], "out-of-memory");
    assert!(report["usage"]["oom_kills"].as_u64() >= Some(1), "{report}");

    let (output, report) = cgroups.report(&["--memory", "64M", PYTHON, "-c", &take(20)]);
    assert!(output.status.success(), "less than the limit: {}", all(&output));
    assert_eq!((&report["cause"], &report["usage"]["oom_kills"]), (&"exited".into(), &0.into()));

    let (output, report) = cgroups.report(&["--pids", "100", PYTHON, "-c", &take(200)]);
    assert!(output.status.success(), "without the limit: {}", all(&output));
    assert_eq!(report["cause"], "exited");
    cgroups.done();
}

#[test]
fn a_command_that_fails_because_its_child_was_killed_is_out_of_memory_too() {
    let Some(cgroups) = Cgroups::with("memory-child", &["--memory", "64M"]) else { return };
    let script = |after: &str| format!("{PYTHON} -c '{}'; {after}", take(200).replace('\'', "\""));
    let (output, report) = cgroups.report(&["--memory", "64M", "sh", "-c", &script("exit 3")]);
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(report["cause"], "out-of-memory");
    // A command that can do without that child has not failed.
    let (output, report) = cgroups.report(&["--memory", "64M", "sh", "-c", &script("exit 0")]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!((&report["cause"], &report["usage"]["oom_kills"]), (&"exited".into(), &1.into()));
    cgroups.done();
}

#[test]
fn the_peak_is_what_was_taken_at_a_time() {
    let Some(cgroups) = Cgroups::with("memory-peak", &["--memory", "300M"]) else { return };
    let peak = |mib| {
        let (output, report) = cgroups.report(&["--memory", "300M", PYTHON, "-c", &take(mib)]);
        assert!(output.status.success(), "{}", all(&output));
        report["usage"]["memory_peak_bytes"].as_u64()
    };
    let (Some(small), Some(large)) = (peak(8), peak(150)) else {
        assert!(on_v2("memory"), "v1 has always counted it, v2 since Linux 5.19");
        return eprintln!("skipped: the kernel does not count the peak");
    };
    assert!((150 << 20..=300 << 20).contains(&large), "{large}");
    assert!(small < 100 << 20, "{small}");
    cgroups.done();
}

#[test]
fn a_limit_that_no_process_can_start_in_is_an_error_of_the_start() {
    let Some(cgroups) = Cgroups::with("memory-tiny", &["--memory", "64M"]) else { return };
    let output = cgroups.run(&["--memory", "4K", PYTHON, "-c", "pass"]);
    let said = all(&output);
    // Killed in its exec, or by the first thing that it does there.
    match output.status.code() {
        Some(125) => assert!(said.contains("too small for"), "{said}"),
        Some(137) => assert!(said.contains("out of memory"), "{said}"),
        _ => panic!("{said}"),
    }
    cgroups.done();
}

#[test]
fn without_swap_nothing_is_swapped_and_v1_wants_both_limits() {
    let Some(cgroups) = Cgroups::with("memory-swap", &["--memory", "64M", "--memory-swap", "0"]) else { return };
    let (output, report) = cgroups.report(&["--memory", "64M", "--memory-swap", "0", PYTHON, "-c", &take(200)]);
    assert_eq!(output.status.code(), Some(137), "{}", all(&output));
    assert_eq!(report["cause"], "out-of-memory");
    cgroups.done();
}

#[test]
fn everything_inside_is_killed_together_where_that_is_asked_for() {
    let group = ["--memory", "64M", "--memory-oom-group"];
    let Some(cgroups) = Cgroups::with("memory-group", &group) else { return };
    let script = format!("{PYTHON} -c '{}'; echo survived", take(200).replace('\'', "\""));
    let output = cgroups.run(&[&group[..], &["sh", "-c", &script]].concat());
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(137), &b""[..]), "{}", all(&output));
    let output = cgroups.run(&["--memory", "64M", "sh", "-c", &script]);
    assert!(all(&output).contains("survived"), "one process alone without it");
    cgroups.done();
}

#[test]
fn stress_ng_is_held_to_its_memory() {
    let Some(cgroups) = Cgroups::with("stress", &["--memory", "64M"]) else { return };
    if std::process::Command::new("stress-ng").arg("--version").output().is_err() {
        return eprintln!("skipped: stress-ng is not installed");
    }
    let stress = [
        "--vm",
        "1",
        "--vm-bytes",
        "300M",
        "--vm-keep",
        "--vm-populate",
        "-t",
        "2",
        "--oomable",
        "--temp-path",
        "/tmp",
    ];
    let run = |memory| {
        let flags = ["--memory", memory, "stress-ng"];
        cgroups.report(&[&flags[..], &stress[..]].concat()).1
    };
    let held = run("64M");
    assert!(held["usage"]["oom_kills"].as_u64() >= Some(1), "{held}");
    assert!(held["usage"]["memory_peak_bytes"].as_u64().is_none_or(|peak| peak <= 64 << 20), "{held}");
    let free = run("600M");
    assert_eq!(free["usage"]["oom_kills"], 0, "{free}");
    cgroups.done();
}

#[test]
fn a_caller_is_not_killed_for_what_its_container_lacks() {
    let Some(cgroups) = Cgroups::with("memory-caller", &["--memory", "64M"]) else { return };
    let ample = cgroups.report(&["--memory", "64M", "true"]).1;
    assert_eq!((&ample["spawn"]["clone"], &ample["spawn"]["shared_memory"]), (&"vm".into(), &true.into()));
    // So little that set-up could be killed: then nobody may share its memory.
    let little = cgroups.report(&["--memory", "8M", "true"]).1;
    assert_eq!((&little["spawn"]["clone"], &little["spawn"]["shared_memory"]), (&"copy".into(), &false.into()));
    let refused = cgroups.run(&["--memory", "8M", "--clone", "vm", "true"]);
    assert!(all(&refused).contains("vm cannot be had"), "{}", all(&refused));
    for memory in ["4K", "16K", "64K", "256K", "1M"] {
        let output = cgroups.run(&["--memory", memory, "true"]);
        assert!(output.status.code().is_some(), "{memory}: {}", all(&output));
    }
    cgroups.done();
}
