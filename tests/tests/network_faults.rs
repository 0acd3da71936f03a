//! Every place of a spawn with a network fails once, and its spawner is killed at every place once: no link, rule, lease
//! or file is left, and forwarding is as it was.

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt;
use std::process::Command as Program;
use std::time::{Duration, Instant};

use seclude::fault::{Fault, Place};
use seclude::{Command, Namespace, Publish, Veth};
use seclude_tests::{PATIENCE, helper, host, role, tell, told_line};

const VARIANTS: [&str; 3] = ["bridge", "point-to-point", "legacy"];
/// There is no such place.
const PASSED_BY: i32 = 77;

fn command(variant: &str) -> Command {
    let mut command = Command::new("/bin/true");
    for kind in [Namespace::User, Namespace::Pid, Namespace::Mount, Namespace::Uts] {
        command.unshare(kind);
    }
    let mut veth = Veth::new().ip_forward(true).rate(1_000_000_000);
    for port in Publish::parse("8080-8089:80-89").unwrap() {
        veth = veth.publish(port);
    }
    let veth = if variant == "point-to-point" { veth.point_to_point() } else { veth.peers(true) };
    if variant == "legacy" {
        command.clone_way(seclude::CloneWay::Legacy);
    }
    command.veth(veth).hostname("faulty").add_host("db", [10, 0, 0, 5].into());
    command.dns(seclude::Dns::Servers(vec![[192, 0, 2, 1].into()]));
    command
}

/// All that a network leaves on a host.
fn look() -> (BTreeSet<String>, String, bool, String) {
    let read = |program: &str, arguments: &[&str]| {
        let output = Program::new(program).args(arguments).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    (
        read("ip", &["-o", "link"]).lines().map(|line| line.split(':').nth(1).unwrap_or_default().to_owned()).collect(),
        read("nft", &["list", "ruleset"]),
        std::path::Path::new("/run/seclude").exists(),
        std::fs::read_to_string("/proc/sys/net/ipv4/ip_forward").unwrap(),
    )
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
        None => die_everywhere(),
        Some((variant, number)) => {
            let mut command = command(variant);
            let place = place(&command, number.parse().unwrap());
            match command.fault(place, Fault::Kill).spawn() {
                Ok(mut child) => {
                    child.wait().unwrap();
                    std::process::exit(PASSED_BY);
                }
                Err(error) => panic!("{error}"),
            }
        }
    }
}

/// The place of this number: those of the parent, and then the child's ops, of which there is one more than the last.
fn place(command: &Command, number: usize) -> Place {
    let places = command.plan().unwrap().places();
    let parents = places.iter().filter(|(place, _)| !matches!(place, Place::Op(_))).count();
    match places.get(number) {
        Some((place, _)) if number < parents => *place,
        _ => Place::Op(number - parents),
    }
}

fn fail_everywhere() {
    let before = look();
    let mut injected = 0;
    for variant in VARIANTS {
        for number in 0.. {
            let mut command = command(variant);
            let place = place(&command, number);
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
            injected += 1;
        }
    }
    assert_eq!(look(), before);
    tell(injected);
}

fn die_everywhere() {
    let before = look();
    let mut kills = 0;
    for variant in VARIANTS {
        for number in 0.. {
            let null = std::process::Stdio::null;
            let role = format!("{variant} {number}");
            let ended = helper(&role).stdout(null()).stderr(null()).status().unwrap();
            if ended.code() == Some(PASSED_BY) {
                break;
            }
            assert_eq!(ended.signal(), Some(9), "{role}");
            let started = Instant::now();
            loop {
                // Only what nobody has any more goes: the namespace of a killed child is taken apart in its own time.
                seclude::gc::collect(None).unwrap();
                let now = look();
                if now == before {
                    break;
                }
                assert!(started.elapsed() < PATIENCE, "{role}: {now:?}");
                std::thread::sleep(Duration::from_millis(5));
            }
            kills += 1;
        }
    }
    tell(kills);
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
    assert!(kills > 150, "{kills}");
}
