//! What a killed process leaves, and that it is found.

mod common;

use std::os::unix::fs::MetadataExt;
use std::process::{Command, Stdio};

use common::*;
use seclude_net::{Publish, Request, Veth, sweep};

/// Says so in the environment to the test that is run as a process of its own, to be killed.
const VICTIM: &str = "SECLUDE_NET_VICTIM";

fn request() -> Request {
    let mut request = Request::default();
    request.ip_forward = true;
    request.peers = true;
    request.rate = Some(8_000_000);
    request.publish = Publish::parse("8080:80").unwrap();
    request
}

/// Prepares and connects, and waits to be killed. No test of its own.
#[test]
fn victim() {
    let Some(pid) = std::env::var_os(VICTIM) else { return };
    let pid: u32 = pid.to_str().unwrap().parse().unwrap();
    let veth = Veth::prepare(&request()).unwrap();
    veth.hosts(Some("victim"), &[]).unwrap();
    veth.connect(pid).unwrap();
    println!("connected");
    std::thread::sleep(std::time::Duration::from_secs(600));
}

#[test]
fn nothing_is_left_of_a_process_that_was_killed() {
    root_only!();
    let host = Space::host();
    let container = Space::container();
    let pid = container.pid();
    host.run(move || {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "victim", "--nocapture"])
            .env(VICTIM, pid.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = std::io::BufReader::new(process.stdout.take().unwrap());
        let mut line = String::new();
        while !line.contains("connected") {
            line.clear();
            assert_ne!(std::io::BufRead::read_line(&mut said, &mut line).unwrap(), 0, "it did not connect");
        }
        let link = look("ip", &["-o", "link"]).split(' ').find(|word| word.starts_with("sc0a53")).map(str::to_owned);
        let link = link.unwrap().split('@').next().unwrap().to_owned();
        // It is all there while the process lives,
        assert_eq!(sweep().unwrap(), Vec::<String>::new());
        process.kill().unwrap();
        process.wait().unwrap();
        // and while the container does.
        assert_eq!(sweep().unwrap(), Vec::<String>::new());
        assert!(look("nft", &["list", "ruleset"]).contains("8080") && ip_forward() == "1");
        container.end();
        let name = link.clone();
        assert!(eventually(move || !look("ip", &["-o", "link"]).contains(&name)));

        let removed = sweep().unwrap();
        let count = |start: &str| removed.iter().filter(|what| what.starts_with(start)).count();
        assert_eq!(count(&format!("rules of {link}")), 1, "{removed:?}");
        assert_eq!((count("/run/seclude/net/"), count("bridge seclude0"), count("table inet seclude")), (1, 1, 1));
        assert_eq!(ip_forward(), "0");
        assert_eq!(leftovers(), "");
        assert_eq!(sweep().unwrap(), Vec::<String>::new());
    });
}

/// Makes and removes without end, to be killed anywhere in between. No test of its own.
#[test]
fn restless_victim() {
    let Some(pid) = std::env::var_os(VICTIM) else { return };
    let pid: u32 = pid.to_str().unwrap().parse().unwrap();
    println!("running");
    loop {
        let veth = Veth::prepare(&request()).unwrap();
        veth.hosts(Some("victim"), &[]).unwrap();
        veth.connect(pid).unwrap();
        veth.disconnect().unwrap();
    }
}

#[test]
fn nothing_is_left_wherever_it_was_killed() {
    root_only!();
    Space::host().run(|| {
        for round in 0..25u64 {
            let container = Space::container();
            let mut process = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "restless_victim", "--nocapture"])
                .env(VICTIM, container.pid().to_string())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let mut said = std::io::BufReader::new(process.stdout.take().unwrap());
            let mut line = String::new();
            while !line.contains("running") {
                line.clear();
                assert_ne!(std::io::BufRead::read_line(&mut said, &mut line).unwrap(), 0, "it did not run");
            }
            // Preparing and connecting take two milliseconds, disconnecting a hundred.
            let micros = if round < 15 { round * 250 } else { round * 9_000 };
            std::thread::sleep(std::time::Duration::from_micros(micros));
            process.kill().unwrap();
            assert!(!process.wait().unwrap().success());
            container.end();
            let is_gone = || !look("ip", &["-o", "link"]).contains(": sc0a");
            assert!(eventually(is_gone), "round {round}");
            sweep().unwrap();
            assert_eq!(leftovers(), "", "round {round}");
            assert_eq!(ip_forward(), "0", "round {round}");
        }
    });
}

#[test]
fn directories_are_removed_though_nothing_came_into_them() {
    root_only!();
    Space::host().run(|| {
        let namespace = std::fs::metadata("/proc/thread-self/ns/net").map(|data| data.ino()).unwrap();
        for directory in ["/run/seclude", "/run/seclude/net", &format!("/run/seclude/net/{namespace}-seclude0")] {
            std::fs::create_dir_all(directory).unwrap();
            assert_eq!(sweep().unwrap(), Vec::<String>::new());
            assert_eq!(leftovers(), "", "{directory}");
        }
    });
}

#[test]
fn the_living_are_left_alone() {
    root_only!();
    Space::host().run(|| {
        let (one, two) = (Veth::prepare(&request()).unwrap(), Space::container());
        let mut given = Request::default();
        given.attach = seclude_net::Attach::Bridge("br0".to_owned());
        give_address(make_link("br0", "bridge"), [10, 9, 0, 1], 24);
        let third = Veth::prepare(&given).unwrap();
        let four = Space::container();
        join(&one, &two);
        join(&third, &four);
        let before = look("nft", &["list", "ruleset"]);
        assert_eq!(sweep().unwrap(), Vec::<String>::new());
        assert_eq!(look("nft", &["list", "ruleset"]), before);
    });
}
