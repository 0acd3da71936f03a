//! Every place of a spawn with a network fails once, and its spawner is killed at every place once: no link, rule, lease
//! or file is left, and forwarding is as it was.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt;
use std::process::Command as Program;
use std::time::Duration;

use seclude::doctor::{self, Verdict};
use seclude::fault::{Fault, Place};
use seclude::{Capabilities, Command, Names, Namespace, Pasta, Publish, Veth};
use seclude_tests::{
    PASSED_BY, Scratch, comes_back, helper, host, kill_whenever, one_in, place, role, root_only, tell, told_line,
};

const VARIANTS: [&str; 5] = ["bridge", "point-to-point", "legacy", NAMES, PASTA];
const NAMES: &str = "names";
const PASTA: &str = "pasta";

/// Those that this host can have.
fn variants() -> impl Iterator<Item = &'static str> {
    let examination = doctor::examine();
    let works = |feature: &str| {
        examination.findings.iter().any(|finding| finding.feature == feature && finding.verdict == Verdict::Works)
    };
    let pasta = works("pasta") && works("tun");
    if !pasta {
        println!("skipped: pasta, which does not work here");
    }
    VARIANTS.into_iter().filter(move |variant| pasta || *variant != PASTA)
}

fn command(variant: &str) -> Command {
    with(variant, Command::new("/bin/true"))
}

fn with(variant: &str, mut command: Command) -> Command {
    for kind in [Namespace::User, Namespace::Pid, Namespace::Mount, Namespace::Uts] {
        command.unshare(kind);
    }
    command.hostname("faulty").add_host("db", [10, 0, 0, 5].into());
    // Beside names it would be an error; without it there is the same file, with their own server.
    if variant != NAMES {
        command.dns(seclude::Dns::Servers(vec![[192, 0, 2, 1].into()]));
    }
    if variant == PASTA {
        let pasta = Pasta::new().publish(Publish::parse("8080:80").unwrap().remove(0));
        command.unshare(Namespace::Net).pasta(pasta).capabilities(Capabilities::NONE);
        return command;
    }
    if variant == NAMES {
        command.names(Names::new().allow("faulty.example:80,443".parse().unwrap()));
        return command;
    }
    let mut veth = Veth::new().ip_forward(true).rate(1_000_000_000);
    for port in Publish::parse("8080-8089:80-89").unwrap() {
        veth = veth.publish(port);
    }
    let veth = if variant == "point-to-point" { veth.point_to_point() } else { veth.peers(true) };
    if variant == "legacy" {
        command.clone_way(seclude::CloneWay::Legacy);
    }
    command.veth(veth);
    command
}

/// All that a network leaves on a host.
type Left = (BTreeSet<String>, String, bool, String, usize);

fn look() -> Left {
    let read = |program: &str, arguments: &[&str]| {
        let output = Program::new(program).args(arguments).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    (
        read("ip", &["-o", "link"]).lines().map(|line| line.split(':').nth(1).unwrap_or_default().to_owned()).collect(),
        read("nft", &["list", "ruleset"]),
        std::path::Path::new("/run/seclude").exists(),
        std::fs::read_to_string("/proc/sys/net/ipv4/ip_forward").unwrap(),
        programs(),
    )
}

/// How many of pasta's run, and of those that a container would run for ever, in the pid namespace of this host.
fn programs() -> usize {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let names = processes.filter_map(|process| std::fs::read_to_string(process.path().join("comm")).ok());
    names.filter(|name| ["pasta", "passt", "sleep"].iter().any(|known| name.starts_with(known))).count()
}

/// Whether this process has a thread that relays.
fn relays() -> bool {
    let threads = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    let mut names = threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("comm")).ok());
    names.any(|name| name.starts_with("seclude-egress"))
}

/// Runs the helper in a host of its own; answers what it tells.
fn in_a_host(role: &str) -> Vec<String> {
    let helper = helper(role);
    let arguments: Vec<String> = helper.get_args().map(|argument| argument.to_string_lossy().into_owned()).collect();
    let environment: Vec<String> = helper
        .get_envs()
        .filter_map(|(key, value)| Some(format!("{}='{}'", key.to_str()?, value?.to_str()?)))
        .collect();
    let program = helper.get_program().to_string_lossy().into_owned();
    let said = host(&format!("{} '{program}' {}", environment.join(" "), arguments.join(" ")));
    said.lines().filter_map(told_line).map(str::to_owned).collect()
}

#[test]
fn helper_process() {
    let Some(role) = role() else { return };
    match role.split_once(' ') {
        None if role == "fail" => fail_everywhere(),
        None if role == "die" => die_everywhere(),
        None if role == "die-whenever" => die_whenever(),
        None => a_hundred(),
        Some((variant, number)) => {
            // Who survived its spawner would be seen.
            let mut command = Command::new("/bin/sleep");
            command.arg("1000");
            let mut command = with(variant, command);
            let (place, _) = place(&command, number.parse().unwrap());
            match command.fault(place, Fault::Kill).spawn() {
                Ok(mut child) => {
                    child.kill().unwrap();
                    child.wait().unwrap();
                    std::process::exit(PASSED_BY);
                }
                Err(error) => panic!("{error}"),
            }
        }
    }
}

fn fail_everywhere() {
    let before = look();
    let mut injected = 0;
    for variant in variants() {
        for number in 0.. {
            let mut command = command(variant);
            let (place, _) = place(&command, number);
            let error = match command.fault(place, Fault::Fail(5)).spawn() {
                Err(error) => error,
                Ok(mut child) => {
                    assert!(matches!(place, Place::Op(_)), "{variant} {place:?} was passed by");
                    assert!(child.wait().unwrap().success());
                    break;
                }
            };
            assert_eq!(error.raw_os_error(), Some(5), "{variant} {place:?}: {error}");
            assert!(error.left_behind().is_empty(), "{error}");
            assert_eq!(look(), before, "{variant} {place:?}: {error}");
            assert!(!relays(), "{variant} {place:?}: its thread is still there");
            injected += 1;
        }
    }
    assert_eq!(look(), before);
    tell(injected);
}

fn die_everywhere() {
    let scratch = Scratch::new("said");
    let before = look();
    let mut kills = 0;
    for variant in variants() {
        for number in (0..).step_by(one_in(2)) {
            let null = std::process::Stdio::null;
            let role = format!("{variant} {number}");
            // A file: whoever waited for the end of a pipe would wait for what was left.
            let file = scratch.join("said");
            let said = || std::fs::read_to_string(&file).unwrap_or_default();
            let start = || {
                let stderr = std::fs::File::create(&file).unwrap();
                helper(&role).stdout(null()).stderr(stderr).status().unwrap()
            };
            let mut ended = start();
            // Where pasta's handler of SIGCHLD loses the error number that pasta is about to look at: on slow machines.
            for _ in 0..4 {
                if said().contains("pasta: Couldn't drop cap") {
                    ended = start();
                }
            }
            if ended.code() == Some(PASSED_BY) {
                break;
            }
            assert_eq!(ended.signal(), Some(9), "{role}: {ended}: {}", said());
            comes_back(&before, &role, collected);
            kills += 1;
        }
    }
    tell(kills);
}

/// What there is once gc has removed what nobody has any more.
fn collected() -> Left {
    seclude::gc::collect(None).unwrap();
    look()
}

/// Kills spawners at some moment of the start, the run or the end.
fn die_whenever() {
    let before = look();
    let ends = Cell::new(false);
    let spawner = || {
        // Every other one goes on until it is killed.
        ends.set(!ends.get());
        let mut spawner = Program::new(seclude_tests::seclude_bin());
        spawner.args(["run", "--net", "veth", "--ip-forward", "--dns", "none", "--peers", "--hostname", "h"]);
        spawner.args(["-p", "8080:80", "sleep", if ends.get() { "0" } else { "1000" }]);
        spawner
    };
    let kills = kill_whenever(spawner, Duration::from_millis(60));
    comes_back(&before, "killed whenever", collected);
    tell(kills);
}

/// One after the other; bridge and rules come and go each time.
fn a_hundred() {
    let before = look();
    let mut addresses = BTreeSet::new();
    for number in 0..100 {
        let mut child = command("bridge").spawn().unwrap_or_else(|error| panic!("container {number}: {error}"));
        addresses.extend(child.report().network.as_ref().and_then(|network| network.address));
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(look(), before);
    tell(addresses.len());
}

#[test]
fn whatever_fails_gives_the_network_back() {
    let injected: usize = in_a_host("fail").last().expect("a number").parse().unwrap();
    println!("{injected} faults");
    assert!(injected > 150, "{injected}");
}

#[test]
fn whenever_the_spawner_is_killed_gc_finds_what_is_left() {
    let kills: usize = in_a_host("die").last().expect("a number").parse().unwrap();
    println!("{kills} kills");
    assert!(kills > 150 / one_in(2), "{kills}");
}

#[test]
fn spawners_killed_at_any_moment_leave_what_gc_finds() {
    let kills: usize = in_a_host("die-whenever").last().expect("a number").parse().unwrap();
    println!("{kills} kills");
}

#[test]
fn a_hundred_in_sequence_leave_nothing() {
    root_only!();
    let addresses: usize = in_a_host("hundred").last().expect("a number").parse().unwrap();
    assert!(addresses > 50, "{addresses}: the same address is not given at once to the next");
}
