//! CPU time: a quota is what a busy loop gets. Alone in its binary, so that nothing else of the suite is running.

use seclude_tests::Cgroups;

/// Spins for two seconds of the wall's clock, and says how much CPU time it had of each.
const SPIN: &str = "
import time
wall, cpu = time.monotonic(), time.process_time()
while time.monotonic() - wall < 2: pass
print((time.process_time() - cpu) / (time.monotonic() - wall))
";

#[test]
fn half_a_cpu_is_what_a_busy_loop_gets_of_it() {
    let Some(cgroups) = Cgroups::with("cpus", &["--cpus", "0.5"]) else { return };
    let share = |flags: &[&str]| -> (f64, serde_json::Value) {
        let (output, report) = cgroups.report(&[flags, &["/usr/bin/python3", "-c", SPIN]].concat());
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        (said.trim().parse().unwrap_or_else(|_| panic!("{said}{}", String::from_utf8_lossy(&output.stderr))), report)
    };
    for half in ["0.5", "50%"] {
        let (cpus, report) = share(&["--cpus", half]);
        assert!((0.4..=0.6).contains(&cpus), "{cpus}");
        assert!(report["usage"]["cpu_throttled_us"].as_u64() > Some(0), "{report}");
    }
    let (cpus, report) = share(&["--pids", "10"]);
    assert!(cpus > 0.65, "{cpus} without a quota");
    assert!(report["usage"]["cpu_throttled_us"].as_u64().unwrap_or(0) == 0, "{report}");
    cgroups.done();
}

#[test]
fn a_cpuset_is_all_the_cpus_that_there_are() {
    let Some(cgroups) = Cgroups::with("cpuset", &["--cpuset-cpus", "0"]) else { return };
    let count = |flags: &[&str]| {
        let output = cgroups.run(&[flags, &["nproc"]].concat());
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    assert_eq!(count(&["--cpuset-cpus", "0"]), "1");
    let all = std::thread::available_parallelism().unwrap().to_string();
    assert_eq!(count(&["--pids", "50"]), all);
    cgroups.done();
}
