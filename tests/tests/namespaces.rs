//! The eight namespaces: new, the caller's own, or another container's.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use seclude::{Child, CloneWay, Code, Command, Mount, Namespace, Root, Side, Stdio};
use seclude_tests::{
    PATIENCE, Scratch, busybox_root, ends_within, has_time_with, helper_inside, pidfd, role, root_only, said, shell,
    tell, told_inside,
};

/// What this binary does inside a container.
#[test]
fn helper_process() {
    match role().as_deref() {
        Some("monotonic") => tell(seclude_sys::process::monotonic_ns()),
        Some("loopback") => {
            let listener = TcpListener::bind("127.0.0.1:0").expect("an address of the loopback interface");
            let address = listener.local_addr().unwrap();
            // Before accept: it is the backlog that answers, or nobody.
            let mut client = TcpStream::connect(address).expect("the interface is up");
            client.write_all(b"x").unwrap();
            let mut byte = [0];
            std::io::Read::read_exact(&mut listener.accept().unwrap().0, &mut byte).unwrap();
            assert_eq!(&byte, b"x");
            let devices = fs::read_to_string("/proc/self/net/dev").unwrap();
            for line in devices.lines().skip(2) {
                tell(line.split(':').next().unwrap().trim());
            }
        }
        Some(connect) => {
            let answer = TcpStream::connect(("127.0.0.1", connect.parse().unwrap()));
            tell(answer.map_or_else(|error| format!("{:?}", error.kind()), |_| "connected".to_owned()));
        }
        None => {}
    }
}

fn own_link(kind: Namespace) -> PathBuf {
    fs::read_link(format!("/proc/self/ns/{}", kind.proc_name())).unwrap()
}

/// What the command's namespace of this kind is.
fn link_inside(command: &mut Command, kind: Namespace) -> PathBuf {
    let mut probe = command.clone();
    probe.args([format!("/proc/self/ns/{}", kind.proc_name())]);
    PathBuf::from(said(&probe.output().unwrap()))
}

/// A command that answers where a link leads, with what any other namespace needs.
fn readlink(also: &[Namespace]) -> Command {
    let mut command = Command::new("/bin/readlink");
    command.unshare(Namespace::User);
    for kind in also {
        command.unshare(*kind);
    }
    command
}

/// A container that waits to be joined.
struct Running {
    child: Child,
    root: Scratch,
}

impl Running {
    fn start() -> Running {
        let root = busybox_root("joined");
        let mut command = Command::new("/bin/cat");
        command
            .sandbox()
            .current_dir("/")
            .unshare(Namespace::Time)
            .hostname("to-be-joined")
            .root(Root::directory(root.path()).read_only());
        let child = command.stdin(Stdio::piped()).spawn().unwrap();
        Running { child, root }
    }

    fn link(&self, kind: Namespace) -> PathBuf {
        PathBuf::from(format!("/proc/{}/ns/{}", self.child.id(), kind.proc_name()))
    }
}

#[test]
fn every_namespace_is_new_when_asked_for_and_the_callers_own_when_not() {
    for kind in Namespace::ALL {
        // A pid namespace takes a mount namespace with it: for its /proc.
        let also: &[_] = if kind == Namespace::Pid { &[Namespace::Mount] } else { &[] };
        let mut without = readlink(also);
        let mut with = readlink(also);
        if kind == Namespace::User {
            without.share(Namespace::User);
        }
        with.unshare(kind);
        assert_eq!(link_inside(&mut without, kind), own_link(kind), "{kind} is inherited");
        assert_ne!(link_inside(&mut with, kind), own_link(kind), "{kind} is new");
    }
}

#[test]
fn a_new_namespace_changes_no_other() {
    let mut command = readlink(&[Namespace::Uts]);
    for kind in Namespace::ALL {
        let new = kind == Namespace::Uts || kind == Namespace::User;
        assert_eq!(link_inside(&mut command, kind) != own_link(kind), new, "{kind}");
    }
}

#[test]
fn what_is_shared_after_the_preset_stays_the_callers_own() {
    for kind in [Namespace::Net, Namespace::Uts, Namespace::Ipc, Namespace::Cgroup] {
        let mut all = Command::new("/bin/readlink");
        all.sandbox().current_dir("/");
        assert_ne!(link_inside(&mut all, kind), own_link(kind), "{kind} of the preset");
        assert_eq!(link_inside(all.share(kind), kind), own_link(kind), "{kind} is shared again");
    }
}

#[test]
fn root_needs_no_user_namespace_for_the_others() {
    root_only!();
    for kind in [Namespace::Mount, Namespace::Net, Namespace::Uts, Namespace::Ipc, Namespace::Cgroup, Namespace::Time] {
        let mut command = Command::new("/bin/readlink");
        command.unshare(kind);
        assert_ne!(link_inside(&mut command, kind), own_link(kind), "{kind}");
        assert_eq!(link_inside(&mut command, Namespace::User), own_link(Namespace::User));
    }
}

#[test]
fn every_namespace_of_a_running_container_is_joined_by_path_and_by_descriptor() {
    let container = Running::start();
    for kind in Namespace::ALL {
        let theirs = fs::read_link(container.link(kind)).unwrap();
        assert_ne!(theirs, own_link(kind), "{kind} of the container");
        let mut by_path = Command::new("/bin/readlink");
        by_path.join(Namespace::User, container.link(Namespace::User)).join(kind, container.link(kind));
        let mut by_fd = Command::new("/bin/readlink");
        by_fd.join_fd(Namespace::User, File::open(container.link(Namespace::User)).unwrap());
        by_fd.join_fd(kind, File::open(container.link(kind)).unwrap());
        if kind == Namespace::Mount {
            // Its /proc shows only processes of its pid namespace.
            by_path.join(Namespace::Pid, container.link(Namespace::Pid));
            by_fd.join_fd(Namespace::Pid, File::open(container.link(Namespace::Pid)).unwrap());
        }
        assert_eq!(link_inside(&mut by_path, kind), theirs, "{kind} by path");
        assert_eq!(link_inside(&mut by_fd, kind), theirs, "{kind} by descriptor");
    }
}

#[test]
fn who_joins_sees_the_containers_host_name_tree_and_processes_and_who_does_not_the_hosts() {
    let container = Running::start();
    let probe = "hostname; stat -c %d:%i /; cat /proc/1/comm; set /proc/[0-9]*; echo $#";
    let host = said(&shell(probe).output().unwrap());
    let mut joining = shell(probe);
    for kind in [Namespace::User, Namespace::Uts, Namespace::Mount, Namespace::Pid] {
        joining.join(kind, container.link(kind));
    }
    let inside = said(&joining.output().unwrap());
    let (host, inside): (Vec<_>, Vec<_>) = (host.lines().collect(), inside.lines().collect());

    let root = fs::metadata(container.root.path()).unwrap();
    assert_eq!(inside[0], "to-be-joined");
    assert_eq!(inside[1], format!("{}:{}", root.dev(), root.ino()), "the root of the container");
    assert_eq!(inside[2], "seclude-init", "process 1 is the container's");
    let count: usize = inside[3].parse().unwrap();
    assert_eq!(count, 3, "the container's init and cat, and this shell");
    assert_ne!(host[0], inside[0]);
    assert_ne!(host[1], inside[1]);
    assert_ne!(host[2], inside[2]);
}

#[test]
fn who_joins_only_the_tree_is_not_among_its_processes() {
    let container = Running::start();
    let mut tree_only = shell("readlink /proc/self || echo not in this proc");
    tree_only.join(Namespace::User, container.link(Namespace::User));
    tree_only.join(Namespace::Mount, container.link(Namespace::Mount));
    let mut both = tree_only.clone();
    both.join(Namespace::Pid, container.link(Namespace::Pid));
    assert_eq!(said(&tree_only.output().unwrap()), "not in this proc");
    assert!(said(&both.output().unwrap()).parse::<u32>().is_ok());
}

#[test]
fn who_joins_is_a_child_of_the_caller_with_its_own_exit_code_and_dies_with_the_container() {
    let mut container = Running::start();
    let mut joining = shell("read line; exit 7");
    joining.stdin(Stdio::piped());
    for kind in [Namespace::User, Namespace::Mount, Namespace::Pid] {
        joining.join(kind, container.link(kind));
    }
    let mut child = joining.spawn().unwrap();
    child.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(7));

    let mut child = joining.spawn().unwrap();
    let stdin = child.stdin.take();
    container.child.kill().unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(9), "the end of its process 1 is the end of all");
    drop(stdin);
}

#[test]
fn joining_is_a_copy_and_never_in_shared_memory() {
    let container = Running::start();
    let mut joining = Command::new("/bin/true");
    joining.join(Namespace::User, container.link(Namespace::User));
    joining.join(Namespace::Uts, container.link(Namespace::Uts));
    let child = joining.spawn().unwrap();
    assert_eq!((child.report().clone, child.report().shared_memory), ("copy", false));
    let error = joining.clone_way(CloneWay::Vm).spawn().unwrap_err();
    assert_eq!((error.code(), error.step(), error.side()), (Code::Invalid, "clone", Side::Plan), "{error}");
}

#[test]
fn joining_what_is_no_namespace_or_of_another_kind_names_the_step() {
    let missing = Command::new("/bin/true").join(Namespace::Net, "/proc/1/ns/banana").spawn().unwrap_err();
    assert_eq!((missing.step(), missing.side(), missing.errno_name()), ("join", Side::Parent, Some("ENOENT")));

    let container = Running::start();
    let mut wrong_kind = Command::new("/bin/true");
    wrong_kind.join(Namespace::User, container.link(Namespace::User));
    wrong_kind.join(Namespace::Net, container.link(Namespace::Uts));
    let error = wrong_kind.spawn().unwrap_err();
    assert_eq!((error.step(), error.side(), error.errno_name()), ("join", Side::Child, Some("EINVAL")), "{error}");

    let mut file = Command::new("/bin/true");
    file.join(Namespace::Net, container.root.file("plain", ""));
    let error = file.spawn().unwrap_err();
    assert_eq!((error.step(), error.side(), error.errno_name()), ("join", Side::Child, Some("EINVAL")), "{error}");
}

#[test]
fn a_command_in_a_new_pid_namespace_is_process_1_and_its_proc_shows_no_other() {
    let probe = "echo $$; for process in /proc/[0-9]*; do echo $process; done";
    let ours = format!("/proc/{}", std::process::id());
    let outside = said(&shell(probe).output().unwrap());
    assert_ne!(outside.lines().next(), Some("1"));
    assert!(outside.lines().any(|line| line == ours), "the host's /proc shows us");

    let mut command = shell(probe);
    command.unshare(Namespace::User).unshare(Namespace::Pid).unshare(Namespace::Mount);
    let inside = said(&command.output().unwrap());
    let lines: Vec<_> = inside.lines().collect();
    assert_eq!(lines[0], "1");
    assert_eq!(lines[1..], ["/proc/1"]);
}

#[test]
fn killing_the_first_process_ends_the_whole_pid_namespace_and_nothing_without_one() {
    for new in [false, true] {
        let mut command = shell("sleep 1000 & echo started; wait");
        command.unshare(Namespace::User).unshare(Namespace::Mount).stdout(Stdio::piped());
        if new {
            command.unshare(Namespace::Pid);
        }
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "started\n");
        let list = fs::read_to_string(format!("/proc/{0}/task/{0}/children", child.id())).unwrap();
        let grandchild: u32 = list.trim().parse().unwrap();
        let end_of_grandchild = pidfd(grandchild);
        child.kill().unwrap();
        child.wait().unwrap();
        // The kernel ends them all before process 1 can be reaped.
        let ended = ends_within(&end_of_grandchild, Duration::ZERO);
        if !ended {
            rustix::process::pidfd_send_signal(&end_of_grandchild, rustix::process::Signal::KILL).unwrap();
            assert!(ends_within(&end_of_grandchild, PATIENCE));
        }
        assert_eq!(ended, new);
    }
}

#[test]
fn a_new_network_has_a_loopback_interface_that_carries_and_no_other() {
    let inside =
        told_inside(&helper_inside("loopback").unshare(Namespace::User).unshare(Namespace::Net).output().unwrap());
    assert_eq!(inside, ["lo"]);
    let own = fs::read_to_string("/proc/self/net/dev").unwrap();
    let own: Vec<_> = own.lines().skip(2).map(|line| line.split(':').next().unwrap().trim()).collect();
    let shared = told_inside(&helper_inside("loopback").unshare(Namespace::User).output().unwrap());
    assert_eq!(shared, own, "without a new one the interfaces are the caller's");
}

#[test]
fn a_server_of_the_host_is_reached_from_the_hosts_network_and_refused_from_a_new_one() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port().to_string();
    let mut command = helper_inside(&port);
    command.unshare(Namespace::User);
    assert_eq!(told_inside(&command.output().unwrap()), ["connected"]);
    assert_eq!(told_inside(&command.unshare(Namespace::Net).output().unwrap()), ["ConnectionRefused"]);
}

#[test]
fn a_shared_memory_segment_is_seen_from_the_same_ipc_namespace_only() {
    let made = std::process::Command::new("ipcmk").args(["-M", "4096"]).output().unwrap();
    let id = String::from_utf8(made.stdout).unwrap().trim().rsplit(' ').next().unwrap().to_owned();
    let seen = |command: &mut Command| {
        let table = said(&command.output().unwrap());
        table.lines().any(|line| line.split_whitespace().nth(1) == Some(&id))
    };
    let mut list = Command::new("/bin/cat");
    list.arg("/proc/sysvipc/shm").unshare(Namespace::User);
    let shared = seen(&mut list);
    let new = seen(list.unshare(Namespace::Ipc));
    let removed = std::process::Command::new("ipcrm").args(["-m", &id]).status().unwrap();
    assert!(removed.success());
    assert!(shared, "the caller's own segments are there without a new namespace");
    assert!(!new, "and not in a new one");
}

#[test]
fn a_host_name_is_set_for_the_container_alone() {
    let before = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let mut command = shell("hostname; cat /proc/sys/kernel/domainname");
    command.unshare(Namespace::User).unshare(Namespace::Uts);
    let unnamed = said(&command.output().unwrap());
    assert_eq!(unnamed.lines().next(), Some(before.trim()), "a new namespace begins with the caller's name");
    command.hostname("inside").domainname("inside.example");
    assert_eq!(said(&command.output().unwrap()), "inside\ninside.example");
    assert_eq!(fs::read_to_string("/proc/sys/kernel/hostname").unwrap(), before);
}

#[test]
fn in_a_new_cgroup_namespace_every_path_begins_at_the_callers_cgroup() {
    let mut command = Command::new("/bin/cat");
    command.arg("/proc/self/cgroup").unshare(Namespace::User);
    assert_eq!(said(&command.output().unwrap()), fs::read_to_string("/proc/self/cgroup").unwrap().trim_end());
    let inside = said(&command.unshare(Namespace::Cgroup).output().unwrap());
    assert!(inside.lines().all(|line| line.ends_with(":/")), "{inside}");
}

const SECOND: i128 = 1_000_000_000;

/// In hundredths of a second, as the kernel tells it.
fn boottime(command: &mut Command) -> i64 {
    let uptime = said(&command.output().unwrap());
    uptime.split(' ').next().unwrap().replace('.', "").parse().unwrap()
}

#[test]
fn the_clocks_of_a_new_time_namespace_are_ahead_by_their_offsets() {
    for way in [CloneWay::Vm, CloneWay::Copy].into_iter().filter(|way| has_time_with(*way)) {
        let mut uptime = Command::new("/bin/cat");
        uptime.arg("/proc/uptime").unshare(Namespace::User).unshare(Namespace::Time).clone_way(way);
        let (host, plain) = (boottime(Command::new("/bin/cat").arg("/proc/uptime")), boottime(&mut uptime));
        let ahead = boottime(uptime.boottime_offset(1_000_000 * SECOND));
        assert!((plain - host).abs() < 10_000_000, "no offset: {host} {plain}");
        assert!((100_000_000..110_000_000).contains(&(ahead - host)), "{way}: {host} {ahead}");

        let mut clock = helper_inside("monotonic");
        clock.unshare(Namespace::User).unshare(Namespace::Time).clone_way(way).monotonic_offset(2_000_000 * SECOND);
        let inside: i128 = told_inside(&clock.output().unwrap())[0].parse().unwrap();
        let host = i128::from(seclude_sys::process::monotonic_ns());
        assert!((1_900_000 * SECOND..=2_000_000 * SECOND).contains(&(inside - host)), "{way}: {host} {inside}");
    }
}

#[test]
fn a_clock_can_be_behind_by_a_fraction_of_a_second_but_not_before_zero() {
    let mut command = Command::new("/bin/cat");
    command.arg("/proc/self/timens_offsets").unshare(Namespace::User).unshare(Namespace::Time);
    let inside = said(&command.monotonic_offset(-SECOND / 2).output().unwrap());
    let words: Vec<_> = inside.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(words, ["monotonic", "-1", "500000000"]);

    let error = command.boottime_offset(-i128::from(u32::MAX) * SECOND).spawn().unwrap_err();
    assert_eq!((error.step(), error.side(), error.errno_name()), ("time offsets", Side::Child, Some("ERANGE")));
}

#[test]
fn proc_of_a_new_pid_namespace_can_be_mounted_where_the_caller_says() {
    let mut command = shell("readlink /mnt/self; test -d /proc/1 || echo no proc");
    let root = busybox_root("proc-elsewhere");
    command.unshare(Namespace::User).unshare(Namespace::Pid).unshare(Namespace::Mount);
    command.root(Root::directory(root.path())).mount(Mount::directory("/proc")).mount(Mount::proc("/mnt"));
    let inside = said(&command.output().unwrap());
    assert!(Path::new("/proc/self").exists());
    assert_eq!(inside.lines().next().map(|pid| pid.parse::<u32>().is_ok()), Some(true), "{inside}");
}
