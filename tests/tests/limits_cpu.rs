//! CPU time: a quota is what a busy loop gets. Alone in its binary, so that nothing else of the suite is running.

use seclude_tests::Cgroups;

const TRIES: usize = 20;

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
    // What a busy machine takes from it is nobody's fault: one of some must have had as much as it may.
    for half in ["0.5", "50%"] {
        let had_it = (0..TRIES).any(|_| {
            let (cpus, report) = share(&["--cpus", half]);
            assert!(cpus <= 0.6, "{cpus}");
            let throttled = report["usage"]["cpu_throttled_us"].as_u64() > Some(0);
            assert!(throttled || cpus < 0.5, "{report}");
            throttled && cpus >= 0.4
        });
        assert!(had_it, "{half}: never as much");
    }
    let had_more = (0..TRIES).any(|_| {
        let (cpus, report) = share(&["--pids", "10"]);
        assert!(report["usage"]["cpu_throttled_us"].as_u64().unwrap_or(0) == 0, "{report}");
        cpus > 0.65
    });
    assert!(had_more, "never more than that without a quota");
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
