//! Capabilities and no_new_privs.

use std::os::unix::fs::PermissionsExt;

use seclude::{Capabilities, Capability, Code, Command, Namespace, Side, UserMap};
use seclude_tests::{Scratch, helper, ordinary_user_only, root_only, said, shell, status_field, tell, told};

use super::{field, status};

const SETS: [&str; 5] = ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"];

/// The five sets, as numbers.
fn sets(command: &mut Command) -> [u64; 5] {
    let status = said(&command.output().unwrap());
    SETS.map(|name| u64::from_str_radix(status_field(&status, name), 16).unwrap())
}

fn only(capability: Capability) -> Capabilities {
    Capabilities::NONE.with(capability)
}

#[test]
fn root_inside_has_every_capability_unless_they_are_taken_away() {
    let [inheritable, permitted, effective, bounding, ambient] = sets(&mut status());
    assert_eq!((inheritable, ambient), (0, 0));
    assert_eq!((permitted, effective), (bounding, bounding));
    assert!(bounding.count_ones() >= 38, "all that the kernel has: {bounding:x}");
    assert_eq!(sets(status().capabilities(Capabilities::NONE)), [0; 5]);
    assert_eq!(sets(Command::new("/bin/cat").arg("/proc/self/status").sandbox().current_dir("/")), [0; 5]);
}

#[test]
fn the_capabilities_that_are_left_are_permitted_effective_and_bounding_and_not_inheritable() {
    let bit = Capability::NET_ADMIN.bit();
    assert_eq!(sets(status().capabilities(only(Capability::NET_ADMIN))), [0, bit, bit, bit, 0]);
    let all_but_one = sets(status().capabilities(Capabilities::ALL.without(Capability::SYS_ADMIN)));
    let [.., bounding, _] = sets(&mut status());
    let left = bounding & !Capability::SYS_ADMIN.bit();
    assert_eq!(all_but_one, [0, left, left, left, 0]);
}

#[test]
fn who_is_not_uid_0_keeps_capabilities_over_exec_only_as_ambient_ones() {
    let bit = Capability::NET_ADMIN.bit();
    let mut command = status();
    command.user_map(UserMap::SubIds).uid(5).gid(5).capabilities(only(Capability::NET_ADMIN));
    assert_eq!(sets(&mut command), [0, 0, 0, bit, 0]);
    assert_eq!(sets(command.ambient(only(Capability::NET_ADMIN))), [bit; 5]);
    assert_eq!(field(&mut command, "Uid"), "5 5 5 5".replace(' ', "\t"));

    let mut single = status();
    single.user_map(UserMap::CallerAs { uid: 5, gid: 5 }).capabilities(only(Capability::NET_ADMIN));
    assert_eq!(sets(&mut single), [0, 0, 0, bit, 0]);
    assert_eq!(sets(single.ambient(only(Capability::NET_ADMIN))), [bit; 5]);
}

#[test]
fn a_capability_is_what_lets_the_command_do_a_thing() {
    let mut command = shell("hostname changed 2>&1; hostname");
    command.unshare(Namespace::User).unshare(Namespace::Uts).hostname("before");
    command.capabilities(only(Capability::SYS_ADMIN));
    assert_eq!(said(&command.output().unwrap()), "changed");
    command.capabilities(Capabilities::ALL.without(Capability::SYS_ADMIN));
    assert!(said(&command.output().unwrap()).ends_with("\nbefore"));
}

#[test]
fn an_ambient_capability_has_to_be_among_the_capabilities() {
    let mut command = status();
    command.capabilities(only(Capability::NET_ADMIN)).ambient(only(Capability::SYS_ADMIN));
    let error = command.spawn().unwrap_err();
    assert_eq!((error.code(), error.step(), error.side()), (Code::Invalid, "rights", Side::Plan), "{error}");
}

/// The role of a spawner that has an inheritable capability itself.
pub(crate) fn spawn_with_inheritable_capabilities() {
    let mut plain = Command::new("/bin/cat");
    plain.arg("/proc/self/status");
    tell(format_args!("{:x}", sets(&mut plain)[0]));
    plain.capabilities(only(Capability::NET_ADMIN));
    tell(format_args!("{:x}", sets(&mut plain)[0]));
    tell(format_args!("{:x}", sets(plain.sandbox().current_dir("/"))[0]));
}

#[test]
fn the_callers_inheritable_capabilities_are_not_passed_on() {
    root_only!();
    let inner = helper("inheritable");
    let mut spawner = std::process::Command::new("setpriv");
    spawner.args(["--inh-caps", "+net_admin"]).arg(inner.get_program()).args(inner.get_args());
    spawner.envs(inner.get_envs().filter_map(|(key, value)| Some((key, value?))));
    let bit = format!("{:x}", Capability::NET_ADMIN.bit());
    assert_eq!(told(&spawner.output().unwrap()), [&*bit, "0", "0"], "CVE-2022-29162");
}

#[test]
fn a_user_without_a_namespace_of_its_own_cannot_limit_its_bounding_set_and_is_told_so() {
    ordinary_user_only!();
    let error = Command::new("/bin/true").capabilities(Capabilities::NONE).spawn().unwrap_err();
    assert_eq!((error.step(), error.side(), error.errno_name()), ("rights", Side::Child, Some("EPERM")), "{error}");
}

#[test]
fn no_new_privileges_is_on_unless_it_is_switched_off() {
    assert_eq!(field(&mut status(), "NoNewPrivs"), "1");
    assert_eq!(field(&mut Command::new("/bin/cat").arg("/proc/self/status").clone(), "NoNewPrivs"), "1");
    assert_eq!(field(status().no_new_privileges(false), "NoNewPrivs"), "0");
}

#[test]
fn a_setuid_program_gives_no_privileges_unless_it_may() {
    root_only!();
    let scratch = Scratch::new("setuid");
    let program = scratch.join("id");
    let copied = std::process::Command::new("/bin/cp").arg("/usr/bin/id").arg(&program).status().unwrap();
    assert!(copied.success());
    std::fs::set_permissions(&program, PermissionsExt::from_mode(0o4755)).unwrap();
    let mut command = Command::new(&program);
    command.arg("-u").uid(1234).gid(1234);
    assert_eq!(said(&command.output().unwrap()), "1234");
    assert_eq!(said(&command.no_new_privileges(false).output().unwrap()), "0", "it is setuid");
}
