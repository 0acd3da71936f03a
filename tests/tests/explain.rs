//! `seclude explain`, `doctor`, `completions` and `man`: what is said about a run without one.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use seclude::{Command, Extent, IdMap, Mount, Namespace, Overlay, Root, UserMap};
use seclude_tests::{Host, Scratch, has_overlays, inside, seclude, seclude_bin, stdout_of, try_outside};
use serde_json::Value;

/// Every signal but SIGPIPE, which is ignored by every Rust program.
const NOT_PIPE: u64 = !(1 << 12);

/// A doctor has directories of its own in /tmp while it looks, which whoever compares the host before and after would find.
static DOCTORS: Mutex<()> = Mutex::new(());

fn explain(flags: &[&str]) -> String {
    stdout_of(&seclude(&[&["explain"], flags].concat()))
}

fn explained(flags: &[&str]) -> Value {
    serde_json::from_str(&explain(&[&["--json"], flags].concat())).expect("JSON")
}

#[test]
fn the_plan_says_who_does_what_and_when() {
    let text =
        explain(&["--tmpfs", "/mnt:size=1M", "--hostname", "box", "--rlimit", "NOFILE=7", "--bind", "/etc:/opt", "id"]);
    let headings: Vec<&str> = text.lines().filter(|line| !line.starts_with(' ')).collect();
    assert_eq!(headings, ["parent, before the clone", "clone", "parent, while the child waits", "child"]);
    for word in ["tmpfs on /mnt, 1048576 bytes", "box", "NOFILE", "lo up", "uid_map", "pivot"] {
        assert!(text.contains(word), "{word}: {text}");
    }
    let plain = explain(&["id"]);
    for word in ["tmpfs on /mnt", "box", "NOFILE"] {
        assert!(!plain.contains(word), "{word} was not asked for: {plain}");
    }
    assert!(!explain(&["--share", "net", "id"]).contains("lo up"));
}

#[test]
fn the_json_has_the_same_actions_as_the_text() {
    let flags = ["--map-subids", "--init", "--tty", "--bind", "/etc:/mnt", "--user", "5", "id"];
    let (text, json) = (explain(&flags), explained(&flags));
    assert_eq!(json["clone"], "vm");
    let actions = json["actions"].as_array().unwrap();
    let lines: Vec<&str> = text.lines().filter(|line| line.starts_with(' ')).collect();
    assert_eq!(lines.len(), actions.len());
    for (line, action) in lines.iter().zip(actions) {
        for key in ["step", "action", "about"] {
            let word = action[key].as_str().unwrap_or("");
            assert!(line.contains(word), "{word:?} in {line:?}");
        }
    }
}

/// The actions of a plan that the library makes, as `explain --json` shows them.
fn of_the_library(command: &Command) -> Value {
    serde_json::to_value(command.plan().unwrap().actions()).unwrap()
}

#[test]
fn the_plan_is_the_librarys_for_the_same_request() {
    let mut command = Command::new("id");
    command.sandbox().keep_ignored_signals(NOT_PIPE);
    assert_eq!(explained(&["id"])["actions"], of_the_library(&command));

    let mut command = Command::new("id");
    command
        .sandbox()
        .keep_ignored_signals(NOT_PIPE)
        .share(Namespace::Net)
        .hostname("box")
        .current_dir("/usr")
        .init(true);
    command.mount(Mount::bind("/etc", "/mnt").read_only()).mount(Mount::mask("/mnt/hostname"));
    let flags =
        ["--share=net", "--hostname=box", "--workdir=/usr", "--init", "--ro-bind=/etc:/mnt", "--mask=/mnt/hostname"];
    assert_eq!(explained(&[&flags[..], &["id"]].concat())["actions"], of_the_library(&command));

    let mut command = Command::new("id");
    let ids = IdMap::new(vec![Extent { inside: 0, outside: 100_000, count: 10 }]).unwrap();
    command.sandbox().keep_ignored_signals(NOT_PIPE).user_map(UserMap::Extents { uids: ids.clone(), gids: ids });
    command.root(Root::overlay(Overlay::new(["/srv"]).ephemeral()));
    let flags = ["--uid-map=0:100000:10", "--gid-map=0:100000:10", "--root=/srv", "--overlay", "id"];
    assert_eq!(explained(&flags)["actions"], of_the_library(&command));
}

#[test]
fn explaining_makes_no_process_and_touches_nothing() {
    let _alone = DOCTORS.lock().unwrap_or_else(PoisonError::into_inner);
    let scratch = Scratch::new("explain");
    let (upper, work) = (scratch.directory("upper"), scratch.directory("work"));
    let lower = scratch.directory("lower");
    let bind = format!("{}:/mnt", scratch.path().display());
    let overlay = format!("lower={},upper={},work={},to=/srv", lower.display(), upper.display(), work.display());
    let flags = ["--bind", &bind, "--overlay-mount", &overlay, "sh", "-c", "> /mnt/ran"];
    let before = (Host::look(), scratch.listing());
    explain(&flags);
    explained(&flags);
    assert_eq!(scratch.listing(), before.1);
    before.0.assert_back("explain");
    if has_overlays() {
        stdout_of(&seclude(&[&["run"], &flags[..]].concat()));
        assert!(scratch.join("ran").exists(), "to run is another thing");
    }
    // Not even the places are looked at.
    explain(&["--root", "/no/such/root", "--bind", "/no/such/source:/mnt", "/no/such/command"]);
    // What contradicts itself is wrong already here.
    seclude_tests::refused(125, &["explain", "--workdir", "relative", "id"]);
    seclude_tests::refused(125, &["explain", "--init", "--share", "pid", "id"]);
}

/// The doctors of other tests have cgroups meanwhile.
fn quiet_host() -> Host {
    Host { cgroups: BTreeSet::new(), ..Host::look() }
}

#[test]
fn the_doctor_finds_this_host_well() {
    let _alone = DOCTORS.lock().unwrap_or_else(PoisonError::into_inner);
    let text = seclude(&["doctor"]);
    assert_eq!(text.status.code(), Some(0));
    let text = stdout_of(&text);
    let json: Value = serde_json::from_str(&stdout_of(&seclude(&["doctor", "--json"]))).unwrap();
    assert_eq!(json["sandbox_works"], true);
    // A verdict for each privilege level, also for programs.
    let both = ["summary", "other_summary"].map(|key| json[key].as_str().unwrap().starts_with("as root"));
    assert_eq!(both, [seclude_tests::is_root(), !seclude_tests::is_root()]);
    let findings = json["findings"].as_array().unwrap();
    for feature in ["user namespace", "net namespace", "clone way vm", "clone way legacy", "minimal /dev", "sandbox"] {
        let finding = findings.iter().find(|finding| finding["feature"] == feature);
        assert_eq!(finding.unwrap_or_else(|| panic!("{feature}: {json}"))["verdict"], "works");
    }
    let names = findings.iter().find(|finding| finding["feature"] == "network of names").unwrap();
    assert_eq!(
        [&names["verdict"], &names["evidence"]],
        ["works", "a program inside was answered through it"],
        "with the bash that these tests have"
    );
    for finding in findings {
        assert!(text.contains(finding["feature"].as_str().unwrap()));
    }
    let before = quiet_host();
    seclude(&["doctor"]);
    assert_eq!(quiet_host(), before);
}

#[test]
fn the_doctor_finds_a_host_ill_that_has_no_user_namespaces() {
    let _alone = DOCTORS.lock().unwrap_or_else(PoisonError::into_inner);
    let bin = format!("--ro-bind={}:/tmp/seclude", seclude_bin().display());
    let flags = ["--cap-add=ALL", "--mount=type=proc,dst=/mnt", &bin, "--workdir=/"];
    let script = "echo 0 > /mnt/sys/user/max_user_namespaces; /tmp/seclude doctor --json; echo $?";
    let said = inside(&flags, script);
    let (json, code) = said.rsplit_once('\n').unwrap();
    assert_eq!(code, "1");
    let json: Value = serde_json::from_str(json).unwrap();
    assert_eq!(json["sandbox_works"], false);
    let finding = &json["findings"][1];
    assert_eq!((&finding["feature"], &finding["verdict"]), (&"user namespace".into(), &"does-not".into()));
    let remedy = finding["remedy"].as_str().unwrap();
    assert!(remedy.contains("max_user_namespaces") && !remedy.contains("No space left"), "{remedy}");
}

#[test]
fn the_doctor_rehearses_a_plan_and_names_the_first_step_that_would_fail() {
    let _alone = DOCTORS.lock().unwrap_or_else(PoisonError::into_inner);
    let scratch = Scratch::new("rehearsal");
    let bind = format!("--bind={}:/mnt", scratch.path().display());
    let rehearse = |flags: &[&str]| {
        let output = seclude(&[&["doctor", "--for"], flags].concat());
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let before = quiet_host();
    let (code, said) = rehearse(&[&bind, "--init", "sh", "-c", "> /mnt/ran"]);
    assert_eq!((code, scratch.listing().len()), (Some(0), 0), "nothing was run: {said}");
    assert!(said.starts_with("it works: ") && said.contains("the command is there"), "{said}");
    let run = seclude(&["run", &bind, "--init", "sh", "-c", "> /mnt/ran"]);
    assert!(run.status.success() && scratch.join("ran").exists(), "to run is another thing");
    // Without a command only what comes before it is tried.
    assert_eq!(rehearse(&[&bind, "--hostname", "box"]).0, Some(0));

    for (flags, words) in [
        (&["--root", "/no/such/root", "id"][..], &["root /no/such/root", "ENOENT"][..]),
        (&["--tmpfs", "/usr/no/such/target", "id"], &["mount tmpfs on /usr/no/such/target", "EROFS", "(child)"]),
        (&["--init", "no-such-command"], &["exec no-such-command", "ENOENT"]),
        (&["/etc/passwd"], &["exec /etc/passwd", "EACCES"]),
        (&["/usr"], &["exec /usr", "it is a directory"]),
    ] {
        let (code, said) = rehearse(flags);
        assert_eq!((code, said.lines().count()), (Some(1), 1), "{said}");
        assert!(said.starts_with("it does not work: ") && words.iter().all(|word| said.contains(word)), "{said}");
        let run = seclude(&[&["run"], flags].concat());
        let line = String::from_utf8_lossy(&run.stderr).into_owned();
        assert!(!run.status.success() && words.iter().all(|word| line.contains(word)), "as the run itself: {line}");
    }
    let json = seclude(&["doctor", "--json", "--for", "--root", "/no/such/root", "id"]);
    let json: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!((&json["works"], &json["error"]["step"]), (&false.into(), &"root".into()));
    assert_eq!(quiet_host(), before);
    seclude_tests::refused(125, &["doctor", "--for", "--no-such-flag"]);
    seclude_tests::refused(125, &["doctor", "--for", "--workdir", "relative", "id"]);
}

/// Every long flag that `seclude run --help` shows.
fn run_flags() -> BTreeSet<String> {
    let help = stdout_of(&seclude(&["run", "--help"]));
    let words = help.lines().filter_map(|line| {
        let line = line.trim_start();
        let long = if line.starts_with("--") { line } else { line.strip_prefix('-')?.split_once(", ")?.1 };
        long.split(|c: char| !c.is_ascii_lowercase() && c != '-').next().map(str::to_owned)
    });
    words.filter(|word| word.starts_with("--")).collect()
}

#[test]
fn the_help_has_every_flag_of_the_design() {
    let flags = run_flags();
    for flag in
        "unshare share join uid-map gid-map map-subids user root overlay upper work read-only writable bind ro-bind \
        tmpfs overlay-mount mount file dir symlink mask ro-path env clear-env workdir hostname cap-add cap-drop rlimit \
        umask init tty detach timeout no-die-with-parent no-new-privs clone report verbose monotonic boottime \
        oom-score-adj"
            .split_whitespace()
    {
        assert!(flags.contains(&format!("--{flag}")), "--{flag}: {flags:?}");
    }
}

#[test]
fn completions_for_three_shells_know_every_flag() {
    for shell in ["bash", "zsh", "fish"] {
        let text = stdout_of(&seclude(&["completions", shell]));
        for flag in run_flags() {
            let word = if shell == "fish" { flag.trim_start_matches("--") } else { &flag };
            assert!(text.contains(word), "{shell}: {flag}");
        }
    }
    assert!(!try_outside(&format!("'{}' completions no-such-shell", seclude_bin().display())).status.success());
    let script =
        format!("'{}' completions bash > /dev/null && bash -n <('{0}' completions bash)", seclude_bin().display());
    let checked = std::process::Command::new("bash").args(["-c", &script]).output().unwrap();
    assert!(checked.status.success() && checked.stderr.is_empty(), "bash reads them: {checked:?}");
}

#[test]
fn the_manual_page_has_every_flag_and_command() {
    let page = stdout_of(&seclude(&["man"])).replace("\\-", "-");
    assert!(page.contains(".TH seclude"), "{page:.200}");
    for flag in run_flags() {
        assert!(page.contains(&flag), "{flag}");
    }
    for task in ["run", "explain", "doctor", "completions"] {
        assert!(page.contains(&format!("seclude-{task}")) || page.contains(&format!("seclude {task}")), "{task}");
    }
}

#[test]
fn the_flags_of_a_run_are_those_of_its_plan_too() {
    let _alone = DOCTORS.lock().unwrap_or_else(PoisonError::into_inner);
    let also = ["--report", "/nonexistent/report", "-v", "--denials", "--", "true"];
    let plan = |flags: &[&str]| stdout_of(&seclude(&[&["explain"], flags].concat()));
    assert_eq!(plan(&also), plan(&["--", "true"]));
    assert_ne!(plan(&["--detach", "true"]), plan(&["true"]), "it outlives its caller");
    assert!(seclude(&[&["doctor", "--for"], &also[..]].concat()).status.success());
    let asked = ["why", "--stats", "--report", "/nonexistent/report", "read", "/usr"];
    assert!(seclude(&asked).status.success());
    for (flags, flag) in [
        (&["--stdio", "pass"][..], "--stdio"),
        (&["--detach"], "--detach"),
        (&["--preserve-fds", "0"], "--preserve-fds"),
    ] {
        let line = seclude_tests::refused(125, &[&["explain", "--spec"], flags, &["true"]].concat());
        assert!(line.contains(&format!("{flag}: streams and descriptors")), "{line}");
    }
}

#[test]
fn a_preset_that_is_printed_whole_is_the_same_plan() {
    let own = Scratch::new("printed");
    for preset in ["host", "sandbox"] {
        let flags = ["explain", "--preset", preset, "true"];
        let spec = own.file("spec.toml", &stdout_of(&seclude(&["explain", "--spec", "--preset", preset, "true"])));
        let by_file = seclude(&["explain", &format!("--spec={}", spec.display())]);
        assert_eq!(stdout_of(&by_file), stdout_of(&seclude(&flags)), "{preset}");
    }
}
