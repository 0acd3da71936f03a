//! The command starts with every signal at its default and none blocked.

use seclude::{CloneWay, Command};
use seclude_tests::{helper, said, status_field, tell, told};

use super::{contained, field};

const USR1: u64 = 1 << 9;
const USR2: u64 = 1 << 11;

fn status() -> Command {
    let mut command = Command::new("/bin/cat");
    command.arg("/proc/self/status");
    command
}

fn masks(status: &str) -> String {
    ["SigBlk", "SigIgn", "SigCgt"].map(|name| status_field(status, name).trim_start_matches('0').to_owned()).join("/")
}

/// The role of a spawner that ignores SIGUSR1 (its shell did) and blocks SIGUSR2.
pub(crate) fn spawn_with_signals_ignored_and_blocked() {
    seclude_sys::signal::set_mask(USR2).unwrap();
    let plain = std::process::Command::new("/bin/cat").arg("/proc/self/status").output().unwrap();
    let plain = String::from_utf8(plain.stdout).unwrap();
    let bits = |name| u64::from_str_radix(status_field(&plain, name), 16).unwrap();
    // std resets SIGPIPE and the mask of its children, but not what is ignored.
    tell(format_args!("ignored elsewhere {:x}", bits("SigIgn") & USR1));
    for way in [CloneWay::Vm, CloneWay::Copy, CloneWay::Legacy] {
        for init in [false, true] {
            let mut command = status();
            command.clone_way(way);
            if init {
                let mut with_init = contained("exec cat /proc/self/status");
                command = with_init.clone_way(way).init(true).clone();
            }
            tell(format_args!("{way} {init} {}", masks(&said(&command.output().unwrap()))));
        }
    }
    let own = std::fs::read_to_string("/proc/thread-self/status").unwrap();
    let own = |name| u64::from_str_radix(status_field(&own, name), 16).unwrap();
    tell(format_args!("own {:x} {:x}", own("SigBlk"), own("SigIgn") & USR1));
}

#[test]
fn what_the_caller_ignores_and_blocks_is_at_its_default_in_the_command() {
    let inner = helper("ignored-and-blocked");
    let mut spawner = std::process::Command::new("/bin/sh");
    spawner.args(["-c", r#"trap "" USR1; exec "$0" "$@""#]).arg(inner.get_program()).args(inner.get_args());
    spawner.envs(inner.get_envs().filter_map(|(key, value)| Some((key, value?))));
    let mut expected = vec![format!("ignored elsewhere {USR1:x}")];
    for way in ["vm", "copy", "legacy"] {
        expected.extend([false, true].map(|init| format!("{way} {init} //")));
    }
    expected.push(format!("own {USR2:x} {USR1:x}"));
    assert_eq!(told(&spawner.output().unwrap()), expected);
}

#[test]
fn the_command_starts_with_the_signals_blocked_that_were_asked_for() {
    for mask in [0, USR1, USR1 | USR2 | 1 << 39] {
        let expected = format!("{mask:016x}");
        assert_eq!(field(status().signal_mask(mask), "SigBlk"), expected);
        let mut with_init = contained("exec cat /proc/self/status");
        assert_eq!(field(with_init.init(true).signal_mask(mask), "SigBlk"), expected);
    }
}
