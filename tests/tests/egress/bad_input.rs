//! What cannot be allowed: one line each, before anything is made.

use seclude_tests::seclude_command;

#[test]
fn what_is_no_name_or_cannot_be_together_is_refused_in_one_line() {
    for (flags, said) in [
        ("--allow 127.0.0.1", "address"),
        ("--allow 0x7f.1:80", "address"),
        ("--allow 2130706433", "address"),
        ("--allow [::1]:443", "address"),
        ("--allow ::1", "address"),
        ("--allow https://github.com", "URL"),
        ("--allow github.com/path", "path"),
        ("--allow *", "first label"),
        ("--allow *.*.org", "first label"),
        ("--allow *.org", "nearly every name"),
        ("--allow github.com:0", "no port"),
        ("--allow github.com:70000", "no port"),
        ("--allow github.com:90-80", "ends before"),
        ("--allow udp/github.com:53", "only TCP"),
        ("--allow github.com:53", "port 53"),
        ("--allow github.com:1-1000", "port 53"),
        ("--allow github.com:1000-2000", "more than 1024"),
        ("--allow *.example.org", "not possible yet"),
        ("--allow münchen.de", "xn--"),
        ("--allow localhost", "the container itself"),
        ("--allow a..org", "between two dots"),
        ("--allow github.com --net none", "--allow"),
        ("--allow github.com --net host", "the host's own"),
        ("--allow github.com --net veth", "no name decides"),
        ("--allow github.com --net pasta", "no name decides"),
        ("--allow github.com --net join:/proc/self/ns/net", "there already"),
        ("--allow github.com --share net", "two ways"),
        ("--allow github.com --join net=/proc/self/ns/net", "two ways"),
        ("--allow github.com --no-namespaces", "net namespace"),
        ("--allow github.com -p 80:80", "--publish"),
        ("--allow github.com --dns host", "never asked"),
        ("--allow github.com --mtu 1400", "--mtu"),
        ("--allow github.com --detach", "outlives"),
        ("--allow github.com --no-die-with-parent", "outlives"),
    ] {
        let mut words = vec!["run"];
        words.extend(flags.split(' '));
        words.extend(["--", "true"]);
        let output = seclude_command(&words).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(125), "{flags}: {error}");
        assert!(error.contains(said) && error.lines().count() == 1, "{flags}: {error}");
    }
}
