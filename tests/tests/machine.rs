//! What goes wrong with a whole machine, made for real: its sysctls, its modules, its security module. These tests change
//! what all processes have in common, so they run in the virtual machines of `cargo xtask vm` alone, one at a time, and
//! put back what they changed.

use std::fs;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Mutex, MutexGuard, PoisonError};

use seclude::CloneWay;
use seclude_tests::{
    Scratch, call, filtered, helper, host, refusal, role, root_only, seclude_bin, seclude_command, stdout_of, tell,
    told,
};

const EPERM: i32 = 1;
/// As programs are whose files are seen from another mount namespace.
const ATTACHED: &str = "attach_disconnected";
/// Nobody's: it has no subordinate ids and no cgroup.
const USER: u32 = 12_345;

/// Where the machine has its modules, if it is one of ours; no other test changes it meanwhile.
fn machine() -> Option<(MutexGuard<'static, ()>, PathBuf)> {
    static ONE: Mutex<()> = Mutex::new(());
    let Some(modules) = std::env::var_os("SECLUDE_TEST_MACHINE") else {
        println!("skipped: it would change the whole machine: cargo xtask vm --test machine");
        return None;
    };
    Some((ONE.lock().unwrap_or_else(PoisonError::into_inner), modules.into()))
}

/// A sysctl with another value, until it is dropped.
struct Sysctl {
    file: PathBuf,
    before: String,
}

impl Sysctl {
    /// `None` where the kernel has none of this name.
    fn set(name: &str, value: impl ToString) -> Option<Sysctl> {
        let file = Path::new("/proc/sys").join(name);
        let Ok(before) = fs::read_to_string(&file) else {
            println!("skipped: this kernel has no {}", file.display());
            return None;
        };
        fs::write(&file, value.to_string()).expect("root may write it");
        Some(Sysctl { file, before })
    }
}

impl Drop for Sysctl {
    fn drop(&mut self) {
        fs::write(&self.file, &self.before).expect("root may write it");
    }
}

/// A module that is not there, or has other parameters, until it is dropped.
struct Module {
    name: &'static str,
    file: PathBuf,
}

impl Module {
    fn without(name: &'static str, modules: &Path) -> Module {
        stdout_of(&busybox(&["rmmod", name]));
        Module { name, file: modules.join(name).with_extension("ko") }
    }

    fn load(&self, parameters: &[&str]) {
        let file = self.file.to_str().expect("UTF-8");
        stdout_of(&busybox(&[&["insmod", file], parameters].concat()));
    }
}

impl Drop for Module {
    fn drop(&mut self) {
        // It may be there, if the test has put it back with parameters.
        let _ = busybox(&["rmmod", self.name]);
        self.load(&[]);
    }
}

fn busybox(arguments: &[&str]) -> Output {
    Command::new("busybox").args(arguments).output().expect("the machine has busybox")
}

/// `seclude` as a user who is nobody in particular.
/// A `run` without the bound of processes, for which a user to whom no cgroup is delegated has nothing before Linux 5.14.
fn unbounded<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    match arguments {
        ["run", rest @ ..] if !rest.iter().any(|flag| flag.starts_with("--pids") || *flag == "--bare") => {
            [&["run", "--prefer=pids"], rest].concat()
        }
        other => other.to_vec(),
    }
}

fn as_user(arguments: &[&str]) -> Output {
    seclude_command(&unbounded(arguments)).uid(USER).gid(USER).current_dir("/").output().expect("it starts")
}

fn as_root(arguments: &[&str]) -> Output {
    seclude_command(arguments).output().expect("it starts")
}

/// The one line of a `seclude run` that could not start its command.
fn complaint(output: &Output) -> String {
    refusal(125, output)
}

fn has(line: &str, words: &[&str]) {
    for word in words {
        assert!(line.contains(word), "no {word:?} in {line}");
    }
}

/// The rest of a row of `seclude doctor`, with its remedy.
fn row(doctor: &Output, name: &str) -> String {
    let said = String::from_utf8_lossy(&doctor.stdout);
    let mut lines = said.lines().skip_while(|line| !line.starts_with(&format!("{name} ")));
    let first = lines.next().unwrap_or_else(|| panic!("no {name} in {said}"));
    let remedy = lines.take_while(|line| line.starts_with(' '));
    [first].into_iter().chain(remedy).collect::<Vec<_>>().join(" ")
}

#[test]
fn what_the_host_runs_for_core_dumps_is_run_for_none_of_a_sandbox() {
    root_only!();
    let Some(_machine) = machine() else { return };
    let own = Scratch::new("cores");
    let marks = own.path().join("marks");
    let program = own.executable("program", &format!("#!/bin/busybox sh\necho $1 >> {}\n", marks.display()));
    let Some(_pattern) = Sysctl::set("kernel/core_pattern", format!("|{} %e", program.display())) else { return };
    let crash = "ulimit -c; kill -SEGV $$";
    // With a limit of 0 outside it is run.
    let outside = Command::new("sh").args(["-c", &format!("ulimit -c 0; {crash}")]).output().unwrap();
    assert_eq!(outside.stdout, b"0\n");
    let run_times = || fs::read_to_string(&marks).unwrap_or_default().lines().count();
    for _ in 0..100 {
        if run_times() == 1 {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    assert_eq!(run_times(), 1, "{outside:?}");
    for flags in [&["run"][..], &["run", "--preset", "host"], &["run", "--share", "pid"]] {
        let inside = as_root(&[flags, &["sh", "-c", crash]].concat());
        assert_eq!(inside.status.code(), Some(128 + 11), "{inside:?}");
        // A limit of its own choice would undo that: 0 is not the same.
        let lowered = as_root(&[flags, &["sh", "-c", "ulimit -S -c 0; kill -SEGV $$"]].concat());
        assert_eq!(lowered.status.code(), Some(128 + 11), "it goes on as if it were set: {lowered:?}");
    }
    std::thread::sleep(std::time::Duration::from_secs(2));
    assert_eq!(run_times(), 1, "nor later");
}

#[test]
fn helper_process() {
    if role().as_deref() == Some("large") {
        large();
    }
}

/// A caller with more memory than the machine would promise twice.
fn large() {
    let memory = vec![0_u8; 600 << 20];
    for way in [CloneWay::Copy, CloneWay::Auto] {
        let mut command = seclude::Command::new("/bin/true");
        command.sandbox().clone_way(way);
        tell(match command.spawn().and_then(|mut child| child.wait()) {
            Ok(exit) => exit.to_string(),
            Err(error) => error.to_string(),
        });
    }
    assert_eq!(memory.len(), 600 << 20);
}

#[test]
fn debians_switch_of_user_namespaces_is_told_by_its_name() {
    root_only!();
    let Some(_machine) = machine() else { return };
    stdout_of(&as_user(&["run", "true"]));
    let Some(_off) = Sysctl::set("kernel/unprivileged_userns_clone", 0) else { return };
    has(&complaint(&as_user(&["run", "true"])), &["clone", "EPERM", "kernel.unprivileged_userns_clone=1"]);
    let doctor = as_user(&["doctor"]);
    assert_eq!(doctor.status.code(), Some(1));
    has(&row(&doctor, "user namespace"), &["does not", "EPERM", "kernel.unprivileged_userns_clone=1"]);
    // It is for users only.
    stdout_of(&as_root(&["run", "true"]));
}

#[test]
fn a_kernel_without_veth_says_so_and_a_network_that_is_preferred_is_left_out() {
    root_only!();
    let Some((_one, modules)) = machine() else { return };
    let veth = ["run", "--net=veth", "--ip-forward", "true"];
    stdout_of(&as_root(&veth));
    let gone = Module::without("veth", &modules);
    has(&complaint(&as_root(&veth)), &["veth", "EOPNOTSUPP", "modprobe veth"]);
    has(&row(&as_root(&["doctor"]), "veth"), &["does not", "modprobe veth"]);
    stdout_of(&as_root(&["run", "--net=veth", "--ip-forward", "--prefer=net", "true"]));
    drop(gone);
    stdout_of(&as_root(&veth));
}

#[test]
fn a_kernel_without_masquerading_says_so_where_a_network_needs_it() {
    root_only!();
    let Some((_one, modules)) = machine() else { return };
    let gone = Module::without("nft_masq", &modules);
    has(&complaint(&as_root(&["run", "--net=veth", "--ip-forward", "true"])), &["nft", "ENOENT"]);
    has(&row(&as_root(&["doctor"]), "nf_tables NAT"), &["does not", "ENOENT"]);
    drop(gone);
    has(&row(&as_root(&["doctor"]), "nf_tables NAT"), &["works"]);
}

#[test]
fn a_kernel_without_tun_says_so_where_pasta_needs_it() {
    root_only!();
    let Some((_one, modules)) = machine() else { return };
    let pasta = "$S run --net=pasta --dns=none echo connected 2>&1";
    assert_eq!(host(pasta), "connected");
    let _gone = Module::without("tun", &modules);
    has(&host(&format!("{pasta}; true")), &["pasta", "/dev/net/tun"]);
    has(&row(&as_user(&["doctor"]), "tun"), &["does not", "/dev/net/tun", "ENOENT"]);
}

#[test]
fn a_kernel_whose_overlays_are_not_for_users_says_from_when_on_they_are() {
    root_only!();
    let Some((_one, modules)) = machine() else { return };
    let overlay = ["run", "--overlay-mount=lower=/usr/share,lower=/usr/lib,to=/mnt", "true"];
    let gone = Module::without("overlay", &modules);
    has(&complaint(&as_user(&overlay)), &["overlay", "ENODEV", "no such file system"]);
    // Debian's patch of its 5.10: what Linux 5.11 allows.
    let parameter = Path::new("/sys/module/overlay/parameters/permit_mounts_in_userns");
    gone.load(&[]);
    if !parameter.exists() {
        println!("skipped: this kernel allows users overlays");
        stdout_of(&as_user(&overlay));
        return;
    }
    has(&complaint(&as_user(&overlay)), &["overlay", "EPERM", "5.11"]);
    has(&row(&as_user(&["doctor"]), "overlay, writes in memory"), &["does not", "EPERM", "5.11"]);
    stdout_of(&as_root(&["run", "--bare", "--unshare=mount", overlay[1], "true"]));
}

#[test]
fn where_the_machine_promises_no_more_than_it_has_a_large_caller_can_start_what_it_could_not_copy() {
    root_only!();
    let Some(_machine) = machine() else { return };
    assert_eq!(told(&helper("large").output().expect("it starts")), ["exit status: 0", "exit status: 0"]);
    let meminfo = fs::read_to_string("/proc/meminfo").expect("proc");
    let kib = |name: &str| -> u64 {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.and_then(|line| line.split_whitespace().next()?.parse().ok()).expect("a number")
    };
    // Enough for the caller and half of a second one.
    let percent = (kib("Committed_AS") + 900 * 1024) * 100 / kib("MemTotal");
    let _ratio = Sysctl::set("vm/overcommit_ratio", percent);
    let _strict = Sysctl::set("vm/overcommit_memory", 2);
    let [copied, shared] = told(&helper("large").output().expect("it starts")).try_into().expect("two ways");
    has(&copied, &["clone", "ENOMEM", "vm.overcommit_memory is 2"]);
    assert_eq!(shared, "exit status: 0");
}

/// A cgroup of the user's with a threaded one below, until it is dropped.
struct ThreadedCgroup(PathBuf);

impl ThreadedCgroup {
    fn make() -> ThreadedCgroup {
        let top = Path::new("/sys/fs/cgroup");
        fs::write(top.join("cgroup.subtree_control"), "+memory +pids").expect("root may write it");
        let cgroup = ThreadedCgroup(top.join("threads"));
        let (own, inner) = (cgroup.0.as_path(), cgroup.0.join("inner"));
        fs::create_dir(own).expect("there is none yet");
        fs::write(own.join("cgroup.subtree_control"), "+pids").expect("it can have both");
        fs::create_dir(&inner).expect("there is none yet");
        for file in [own, &own.join("cgroup.procs"), &own.join("cgroup.subtree_control"), &inner.join("cgroup.procs")] {
            chown(file, Some(USER), Some(USER)).expect("root may give it away");
        }
        cgroup
    }

    /// `seclude` as a user who is in the one below.
    fn as_user(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new("/bin/sh");
        command.args([
            "-c",
            "echo 0 > \"$0/inner/cgroup.procs\"; exec setpriv --reuid 12345 --regid 12345 --clear-groups \"$@\"",
        ]);
        command.arg(&self.0).arg(seclude_bin()).args(unbounded(arguments)).env("LC_ALL", "C");
        command.output().expect("it starts")
    }
}

impl Drop for ThreadedCgroup {
    fn drop(&mut self) {
        for cgroup in [&self.0.join("inner"), &self.0] {
            fs::remove_dir(cgroup).expect("nothing is left in it");
        }
    }
}

#[test]
fn in_a_threaded_cgroup_a_limit_is_told_that_it_cannot_hold_and_one_that_is_preferred_is_left_out() {
    root_only!();
    let Some(_machine) = machine() else { return };
    let cgroup = ThreadedCgroup::make();
    let limits = [("--pids=64", "--prefer=pids"), ("--memory=64M", "--prefer=memory")];
    for (limit, _) in limits {
        stdout_of(&cgroup.as_user(&["run", limit, "true"]));
    }
    // What was handed down stays so, and it is no controller of threads.
    fs::write(cgroup.0.join("cgroup.subtree_control"), "-memory").expect("nobody has it");
    fs::write(cgroup.0.join("inner/cgroup.type"), "threaded").expect("nobody is in it");
    for (limit, prefer) in limits {
        for way in ["auto", "legacy"] {
            let line = complaint(&cgroup.as_user(&["run", "--clone", way, limit, "true"]));
            has(&line, &["cgroup /sys/fs/cgroup/threads has threaded cgroups", "cgroup.type"]);
        }
        stdout_of(&cgroup.as_user(&["run", limit, prefer, "true"]));
    }
    has(&row(&cgroup.as_user(&["doctor"]), "pids limit"), &["does not", "threaded"]);
    assert_eq!(fs::read_dir(&cgroup.0).expect("it is there").flatten().filter(|e| e.path().is_dir()).count(), 1);
}

/// An AppArmor profile in the kernel, until it is dropped.
struct Profile(Scratch);

impl Profile {
    const NAME: &'static str = "seclude-test";

    /// In this mode, with these rules, and all of files.
    fn load(mode: &str, rules: &str) -> Option<Profile> {
        if fs::read_to_string("/sys/module/apparmor/parameters/enabled").is_ok_and(|enabled| enabled.trim() == "Y") {
            let scratch = Scratch::new("profile");
            let text = format!(
                "profile {} flags=({mode}) {{\n/** rwlkmix,\n/ rix,\nnetwork,\nsignal,\nptrace,\nunix,\n{rules}\n}}\n",
                Profile::NAME
            );
            fs::write(scratch.join("profile"), text).expect("a scratch file");
            let profile = Profile(scratch);
            stdout_of(&profile.parser("--replace"));
            return Some(profile);
        }
        println!("skipped: this kernel has no AppArmor");
        None
    }

    fn parser(&self, what: &str) -> Output {
        let mut parser = Command::new("apparmor_parser");
        parser.args([what, "--skip-cache"]).arg(self.0.join("profile")).output().expect("package apparmor")
    }

    /// `seclude` as a user who is confined by it, and by a filter.
    fn as_user(&self, refused: &[(u32, i32)], arguments: &[&str]) -> Output {
        let filtered = filtered(refused, seclude_bin());
        let mut command = Command::new("aa-exec");
        command.args(["-p", Profile::NAME, "--"]);
        if refused.is_empty() {
            command.arg(seclude_bin());
        } else {
            command.arg(filtered.get_program()).args(filtered.get_args());
        }
        command.args(unbounded(arguments)).env("LC_ALL", "C").uid(USER).gid(USER).current_dir("/");
        command.output().expect("package apparmor")
    }
}

impl Drop for Profile {
    fn drop(&mut self) {
        stdout_of(&self.parser("--remove"));
    }
}

#[test]
fn a_profile_of_apparmor_that_refuses_is_named_with_the_step_that_it_refused() {
    root_only!();
    let Some(_machine) = machine() else { return };
    let all = "capability,\nmount,\numount,\npivot_root,";
    let bare = ["run", "--bare", "--unshare=user", "true"];
    for (left_out, arguments, words) in [
        ("mount,", &["run", "true"][..], &["mount", "EACCES"][..]),
        // What Ubuntu leaves to those that have no profile: a user namespace, and no capability in it.
        ("capability,", &["run", "true"], &["clone", "EPERM"]),
        ("capability,", &bare, &["user map", "EACCES"]),
        ("", &["run", "true"], &[]),
        ("", &bare, &[]),
    ] {
        let rules: Vec<&str> = all.lines().filter(|rule| *rule != left_out).collect();
        let Some(profile) = Profile::load(ATTACHED, &rules.join("\n")) else { return };
        let run = profile.as_user(&[], arguments);
        if left_out.is_empty() {
            stdout_of(&run);
            continue;
        }
        has(&complaint(&run), &[words, &[Profile::NAME]].concat());
        let doctor = profile.as_user(&[], &["doctor"]);
        assert_eq!(doctor.status.code(), Some(1), "{doctor:?}");
        has(&row(&doctor, "read-only root"), &["does not", Profile::NAME]);
    }
    // Either may be what refused; a profile that refuses nothing did not.
    for (mode, named) in [(ATTACHED, true), ("attach_disconnected, complain", false)] {
        let Some(profile) = Profile::load(mode, all) else { return };
        let line = complaint(&profile.as_user(&[(call::FSOPEN, EPERM)], &["run", "true"]));
        has(&line, &["fsopen", "EPERM", "seccomp filter"]);
        assert_eq!(line.contains(Profile::NAME), named, "{line}");
    }
    // The launcher is a file in memory, which AppArmor calls by the name of the root.
    let Some(profile) = Profile::load(ATTACHED, &format!("{all}\naudit deny / x,")) else { return };
    has(&complaint(&profile.as_user(&[], &["run", "true"])), &["exec", "EACCES", "`/ ix,`", Profile::NAME]);
    drop(profile);
    stdout_of(&as_user(&["run", "true"]));
}
