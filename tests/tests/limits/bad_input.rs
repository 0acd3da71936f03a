//! Values that cannot be meant: one line that names the flag and the range, and nothing is left.

use seclude_tests::{Host, refused};

#[test]
fn a_value_out_of_range_names_the_flag_and_the_range() {
    for (arguments, flag, range) in [
        (&["--memory", "0"][..], "--memory", "4096 to"),
        (&["--memory", "1"], "--memory", "4096 to"),
        (&["--memory", "17179869184G"], "--memory", "2^64"),
        (&["--memory", "-1"], "--memory", "from 4096 bytes"),
        (&["--memory", "lots"], "--memory", "K, M, G"),
        (&["--memory-high", "0"], "--memory-high", "4096 to"),
        (&["--memory", "1M", "--memory-high", "2M"], "--memory-high", "at most memory.max, which is 1048576"),
        (&["--cpus", "0"], "--cpus", "0.01 to"),
        (&["--cpus", "-1"], "--cpus", "0.01 to"),
        (&["--cpus", "0%"], "--cpus", "0.01 to"),
        (&["--cpus", "all"], "--cpus", "number of CPUs"),
        (&["--cpu-weight", "0"], "--cpu-weight", "1..=10000"),
        (&["--cpu-weight", "10001"], "--cpu-weight", "1..=10000"),
        (&["--pids", "0"], "--pids", "1..=4194304"),
        (&["--pids", "-1"], "--pids", "1..=4194304"),
        (&["--pids", "4194305"], "--pids", "1..=4194304"),
        (&["--io-weight", "0"], "--io-weight", "1..=10000"),
        (&["--io-max", "/dev/null/x:rbps=1"], "--io-max", "Not a directory"),
        (&["--io-max", "8:0:rbps=0"], "--io-max", "1 to"),
        (&["--io-max", "8:0"], "--io-max", "/dev/vda:rbps=10M"),
        (&["--hugetlb", "3M=3M"], "--hugetlb", "2097152"),
        (&["--hugetlb", "2M"], "--hugetlb", "PAGE=SIZE"),
        (&["--cpuset-cpus", "0-"], "--cpuset-cpus", "0-"),
        (&["--device-allow", "/etc/passwd"], "--device-allow", "not a device"),
        (&["--device-allow", "c 5000:1"], "--device-allow", "0 to 4095"),
        (&["--device-allow", "c 1:3:x"], "--device-allow", "some of r, w, m"),
        (&["--prefer", "comfort"], "--prefer", "memory-high"),
        (&["--cgroup-mount=upside-down"], "--cgroup-mount", "ro, rw"),
    ] {
        let line = refused(125, &[&["run"], arguments, &["true"]].concat());
        assert!(line.contains(flag) && line.contains(range), "{arguments:?}: {line}");
    }
    // Those of other tests are in a place of their own.
    let left: Vec<String> = Host::look().cgroups.into_iter().filter(|path| !path.contains("seclude-test")).collect();
    assert_eq!(left, Vec::<String>::new());
}

#[test]
fn more_than_the_machine_has_is_out_of_range_too() {
    if seclude_tests::Cgroups::with("range", &["--cpus", "0.5"]).is_none() {
        return;
    }
    for (flag, value, range) in
        [("--cpus", "4000", "the number of CPUs online"), ("--cpuset-cpus", "0,4000", "the CPUs online (4000 is not)")]
    {
        let line = refused(125, &["run", flag, value, "true"]);
        assert!(line.contains(flag) && line.contains(range), "{line}");
    }
}

#[test]
fn what_contradicts_itself_is_said() {
    for (arguments, what) in [
        (&["--prefer", "memory"][..], "memory is preferred, but was not asked for"),
        (&["--pids", "5", "--prefer", "memory"], "memory is preferred, but was not asked for"),
        (&["--cgroup", "relative", "--pids", "5"], "an absolute path in the hierarchy"),
        (&["--cgroup", "/a/../b", "--pids", "5"], "`..`"),
        (&["--share", "cgroup", "--cgroup-mount"], "new cgroup namespace"),
        (&["--share", "cgroup", "--cgroup-mount=rw"], "new cgroup namespace"),
    ] {
        let line = refused(125, &[&["run"], arguments, &["true"]].concat());
        assert!(line.contains(what), "{arguments:?}: {line}");
    }
}

#[test]
fn a_user_to_whom_nothing_is_delegated_is_told_what_to_do() {
    seclude_tests::ordinary_user_only!();
    let output = seclude_tests::seclude(&["run", "--pids", "5", "true"]);
    if output.status.success() {
        return eprintln!("skipped: something is delegated to this user");
    }
    let line = seclude_tests::refusal(125, &output);
    assert!(line.contains("Delegate=yes") || line.contains("mount -t cgroup2"), "{line}");
}
