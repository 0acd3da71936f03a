//! What cannot be allowed: one line each, before anything is made.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use seclude_tests::{Scratch, seclude_bin, seclude_command};

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
        ("--allow udp/github.com:53", "before a port"),
        ("--allow github.com:sctp/53", "no port"),
        ("--allow github.com:udp/", "no port"),
        ("--allow github.com:udp/70000", "no port"),
        ("--allow github.com:udp/53", "port 53"),
        ("--allow github.com:443,udp/1000-1511", "more than 1024"),
        ("--allow *.example.org:udp/443", "written out"),
        ("--allow github.com:udp/443 --sni require", "does not begin with TLS"),
        ("--allow udp/53:example.org", "before a port"),
        ("--allow example.org:53/udp", "before a port"),
        ("--allow-private udp/53:example.org", "before a port"),
        ("--allow github.com:53", "port 53"),
        ("--allow github.com:1-1000", "port 53"),
        ("--allow github.com:1000-2000", "more than 1024"),
        ("--allow *.example.org:1000-1128", "and there are 128"),
        ("--allow *.example.org:1000-1099 --allow *.a.example.org:2000-2099", "200 sockets"),
        ("--allow *example.org", "first label"),
        ("--allow a.*.example.org", "first label"),
        ("--allow *.127.0.0.1", "address"),
        ("--allow xn--a.münchen.de", "no international name"),
        ("--allow １２７.0.0.1", "address"),
        ("--allow host.internal:80", "--allow-loopback"),
        ("--allow-private 10.0.0.1", "address"),
        ("--allow-private *", "first label"),
        ("--allow-private db:53", "port 53"),
        ("--allow-private db --net veth", "--allow-private"),
        ("--allow-loopback 0", "0"),
        ("--allow-loopback 70000", "70000"),
        ("--allow-loopback 53", "port 53"),
        ("--allow-loopback 80 --net host", "--allow-loopback"),
        ("--allow-from /nonexistent", "--allow-from /nonexistent"),
        ("--allow-from /", "it is a directory"),
        ("--sni require", "--allow makes"),
        ("--sni sometimes --allow a.org", "require or off"),
        ("--refusal no", "--allow makes"),
        ("--allow a.org --refusal \u{1b}[2J", "one line"),
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
        (
            "--allow github.com -p 8080:80/udp",
            "--publish: egress: published port 0.0.0.0:8080:80/udp: a network of names has TCP alone",
        ),
        ("--allow github.com -p 8053:53", "--publish: egress: published port 0.0.0.0:8053:53/tcp: port 53"),
        (
            "--allow github.com -p 8080:80 -p 8080:81",
            "--publish: egress: published port 0.0.0.0:8080:81/tcp: 0.0.0.0:8080:80/tcp has it already",
        ),
        ("--allow github.com -p 1000-1128:1000-1128", "there can be 128"),
        ("--allow github.com -p 203.0.113.9:8080:80", "the host has no such address (--publish [IP:]HOST:CONT)"),
        ("-p 8080:80", "--allow"),
        ("--allow github.com --dns host", "--dns: beside --allow names are answered for by seclude"),
        ("--allow github.com --dns 192.0.2.53", "--dns: beside --allow names are answered for by seclude"),
        ("--allow-loopback 80 --dns 127.0.0.1 --dns ::1", "--dns: beside --allow-loopback names"),
        ("--allow github.com --mtu 1400", "--mtu"),
        ("--allow github.com --detach", "'--detach' cannot be used with '--allow': names are relayed by this process"),
        ("--allow-loopback 80 --detach", "'--detach' cannot be used with '--allow-loopback'"),
        ("--allow github.com --no-die-with-parent", "'--no-die-with-parent' cannot be used with '--allow'"),
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

#[test]
fn what_a_request_says_beside_names_is_refused_by_its_own_name() {
    let place = Scratch::new("egress-spec");
    let spec = place.path().join("names.toml");
    let refused = |text: &str, flags: &[&str]| {
        fs::write(&spec, format!("{text}\n[network]\ntype = \"names\"\nallow = [\"a.org\"]\n")).unwrap();
        let mut command = seclude_command(&["run", "--spec"]);
        let output = command.arg(&spec).args(flags).args(["--", "true"]).output().unwrap();
        assert_eq!(output.status.code(), Some(125));
        String::from_utf8(output.stderr).unwrap()
    };
    for (text, flags, said) in [
        ("dns = [\"192.0.2.53\"]", &[][..], "a network of names (`network`) answers"),
        ("", &["--dns", "192.0.2.53"], "--dns: egress: a network of names (`network`) answers"),
        ("", &["--detach"], "--detach: egress: a network of names is relayed by a thread of its caller"),
        ("", &["--no-die-with-parent"], "--no-die-with-parent: egress: a network of names is relayed"),
    ] {
        let error = refused(text, flags);
        assert!(
            error.contains(said) && error.lines().count() == 1 && !error.contains("--net"),
            "{text} {flags:?}: {error}"
        );
    }
}

#[test]
fn with_too_few_descriptors_the_limit_is_told_before_anything_is_made() {
    for (flags, said) in [
        ("--allow *.example.org", ", 128 for names below a `*`: EMFILE"),
        (
            "--allow *.example.org -p 127.0.0.1:18473:80",
            ", 128 for names below a `*`, 128 for connections from outside: EMFILE",
        ),
        ("--allow a.org:1000-1099", "sockets: EMFILE"),
    ] {
        let with = |limit: u64| {
            let mut command = Command::new("sh");
            command.args(["-c", "ulimit -n $0; exec \"$@\"", &limit.to_string()]).arg(seclude_bin()).arg("run");
            let output = command.args(flags.split(' ')).args(["--", "true"]).output().unwrap();
            (output.status.code(), String::from_utf8(output.stderr).unwrap())
        };
        let refused = |limit: u64| {
            let (code, error) = with(limit);
            assert_eq!(code, Some(125), "{flags}: {limit}: {error}");
            assert!(error.contains(said) && error.lines().count() == 1, "{flags}: {limit}: {error}");
            assert!(!error.contains("left behind") && !error.contains("--net"), "{flags}: {limit}: {error}");
            let needed = error.split_once("ulimit -n ").and_then(|(_, rest)| rest.split_once(')'));
            needed.unwrap().0.parse::<u64>().unwrap()
        };
        let needed = refused(120);
        // Where all of them come, what is made afterwards would not.
        (needed - 32..needed).for_each(|limit| assert_eq!(refused(limit), needed));
        assert_eq!(with(needed), (Some(0), String::new()), "{flags}: what it asks for is enough");
    }
}

#[test]
fn a_file_of_names_is_read_to_its_first_wrong_line() {
    let place = Scratch::new("egress-allow-from");
    let path = |name: &str| place.path().join(name);
    fs::write(path("good"), "# ours\n\n  *.example.org:80,443  # all\nGITHUB.com\r\n").unwrap();
    let with = |words: &[&str], name: &str| {
        let mut command = seclude_command(words);
        command.arg("--allow-from").arg(path(name)).args(["--", "true"]).output().unwrap()
    };
    let good: serde_json::Value =
        serde_json::from_slice(&with(&["explain", "--spec", "--json"], "good").stdout).unwrap();
    assert_eq!(good["network"]["allow"], serde_json::json!(["*.example.org:80,443", "github.com:443"]));
    fs::write(path("line"), "a.org\n\nb.org:0\n").unwrap();
    fs::write(path("bytes"), b"a.org\n\xff\xfe\n").unwrap();
    fs::write(path("url"), "https://a.org/x#y\n").unwrap();
    fs::write(path("control"), "a.org\n\x1b[2J\n").unwrap();
    fs::write(path("dns"), "a.org\nb.org:53\n").unwrap();
    fs::write(path("many"), "a.org\nb.org:1000-1999\n").unwrap();
    fs::write(path("big"), "# comment\n".repeat(30_000)).unwrap();
    assert!(Command::new("mkfifo").arg(path("fifo")).status().unwrap().success());
    for (name, said) in [
        ("line", "line 3: \"b.org:0\": "),
        ("bytes", "line 2: it is not UTF-8"),
        ("url", "line 1: \"https://a.org/x\": it is a URL"),
        ("control", "line 2: \"\\u{1b}[2J\": "),
        ("dns", "line 2: egress: b.org:53: port 53 is where names are asked for"),
        ("many", "line 2: egress: b.org:1000-1999: all names and ports together"),
        ("big", "it has more than 262144 bytes"),
        ("fifo", "it is a FIFO"),
    ] {
        let output = with(&["run"], name);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(125), "{name}: {error}");
        let file = format!("--allow-from {}: ", path(name).display());
        assert!(error.contains(&format!("{file}{said}")) && error.lines().count() == 1, "{name}: {error}");
    }
}

#[test]
fn rules_that_overlap_are_told_and_the_wider_one_holds() {
    let words = ["explain", "--allow", "*.a.org", "--allow", "x.a.org:22", "--allow", "y.a.org", "--", "true"];
    let output = seclude_command(&words).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    for line in ["x.a.org:22 beside *.a.org:443: x.a.org has ports 22,443", "y.a.org:443 adds nothing to *.a.org:443"] {
        assert!(said.contains(line), "{said}");
    }
}

#[test]
fn names_come_from_stdin_once() {
    let with = |words: &[&str], text: &str| {
        let mut command = seclude_command(words);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // Whoever refuses it before may be gone.
        let _ = child.stdin.take().unwrap().write_all(text.as_bytes());
        child.wait_with_output().unwrap()
    };
    let good = with(&["explain", "--spec", "--json", "--allow-from", "-", "--", "true"], "# ours\na.org:22\n*.b.org\n");
    let good: serde_json::Value = serde_json::from_slice(&good.stdout).unwrap();
    assert_eq!(good["network"]["allow"], serde_json::json!(["a.org:22", "*.b.org:443"]));
    let ran = with(&["run", "--allow-from", "-", "--", "cat"], "a.org\n");
    assert_eq!((ran.status.code(), ran.stdout.as_slice()), (Some(0), &b""[..]), "{ran:?}");
    for (words, text, said) in [
        (&["--allow-from", "-"][..], "a.org\nb.org:0\n", "--allow-from -: line 2: \"b.org:0\": "),
        (&["--allow-from", "-", "--allow-from", "-"], "a.org\n", "--allow-from -: stdin is read once"),
        (&["--spec", "-", "--allow-from", "-"], "{}", "--allow-from -: stdin is read once, and is the spec already"),
        (&["--allow-from", "-"], &"# comment\n".repeat(30_000), "--allow-from -: it has more than 262144 bytes"),
    ] {
        let output = with(&[&["run"], words, &["--", "true"]].concat(), text);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(125), "{words:?}: {error}");
        assert!(error.contains(said) && error.lines().count() == 1, "{words:?}: {error}");
    }
}
