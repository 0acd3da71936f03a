//! Processes: one more than the limit fails, and a fork bomb ends.

use seclude_tests::Cgroups;

use crate::all;

const PYTHON: &str = "/usr/bin/python3";
/// Forks until it fails, at most 200 times; says how often it went, and how it failed.
const FORKS: &str = "
import os, errno, signal
made = []
try:
    while len(made) < 200:
        pid = os.fork()
        if pid == 0:
            signal.pause()
        made.append(pid)
    print(len(made), 'no error')
except OSError as error:
    print(len(made), errno.errorcode[error.errno])
for pid in made:
    os.kill(pid, 9)
    os.waitpid(pid, 0)
";
/// A bomb that no failure stops.
const BOMB: &str = "
import os
while True:
    try:
        os.fork()
    except OSError:
        pass
";

#[test]
fn the_65th_process_of_64_is_not_made() {
    let Some(cgroups) = Cgroups::with("pids", &["--pids", "64"]) else { return };
    // The init is one of them.
    for (first, made) in [(&[][..], "62 EAGAIN\n"), (&["--as-pid-1"], "63 EAGAIN\n")] {
        let (output, report) = cgroups.report(&[first, &["--pids", "64", PYTHON, "-c", FORKS]].concat());
        assert_eq!(String::from_utf8_lossy(&output.stdout), made, "{}", all(&output));
        assert_eq!(report["usage"]["pids_refused"], 1);
        assert_eq!(report["cause"], "exited", "it could do without the 65th");
    }
    let (output, report) = cgroups.report(&["--pids", "1000", PYTHON, "-c", FORKS]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "200 no error\n", "{}", all(&output));
    assert_eq!(report["usage"]["pids_refused"], 0);
    cgroups.done();
}

#[test]
fn a_command_that_fails_for_want_of_a_process_is_told_why() {
    let Some(cgroups) = Cgroups::with("pids-cause", &["--pids", "2"]) else { return };
    let program = "import os; os.fork(); os.fork()";
    let (output, report) = cgroups.report(&["--pids", "2", PYTHON, "-c", program]);
    assert_eq!(report["cause"], "pids-limit", "{}", all(&output));
    assert!(all(&output).contains("its limit of processes was reached"), "{}", all(&output));
    let (_, report) = cgroups.report(&["--pids", "20", PYTHON, "-c", program]);
    assert_eq!(report["cause"], "exited");
    cgroups.done();
}

#[test]
fn a_fork_bomb_ends_at_its_deadline_and_nothing_of_it_is_alive() {
    for share in ["uts", "pid,mount"] {
        let Some(cgroups) = Cgroups::with("bomb", &["--pids", "100"]) else { return };
        let mark = format!("bomb-{share}-{}", std::process::id());
        let flags = ["--pids", "100", "--timeout", "4s", "--share", share, "--", PYTHON, "-c", BOMB, &mark];
        let (output, report) = cgroups.report(&flags);
        assert_eq!(output.status.code(), Some(137), "{}", all(&output));
        assert_eq!(report["cause"], "deadline");
        assert_eq!(report["tree"], serde_json::json!({ "empty": true, "proof": "cgroup-removed" }));
        assert!(report["usage"]["pids_refused"].as_u64() > Some(0), "it did reach the limit: {report}");
        let alive = std::process::Command::new("pgrep").args(["-f", &mark]).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&alive.stdout), "");
        cgroups.done();
    }
}
