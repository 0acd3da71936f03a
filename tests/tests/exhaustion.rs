//! Where something has run out the error says which limit it was, and nothing is left: neither a panic nor a process, nor a
//! descriptor.

use std::fs::File;
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use rustix::process::{Resource, Rlimit, setrlimit};
use seclude::{Command, Limits, Mount, Namespace, Overlay, Root, Stdio};
use seclude_tests::{
    Cgroups, Host, OwnProcess, call, filtered, has_overlays, helper, helper_inside, inside, is_root, refusal, role,
    said, seclude_bin, shell, stdout_of, tell, told, told_inside,
};

/// Who makes cgroups, and who looks whether any were left; who has few descriptors, and who has many on their way.
static CGROUPS: Mutex<()> = Mutex::new(());

/// More than any spawn has open at a time.
const ENOUGH: u64 = 64;

#[test]
fn helper_process() {
    match role().as_deref() {
        Some("descriptors") => short_of_descriptors(),
        Some("processes") => short_of_processes(),
        Some("bounded") => short_of_processes_in_a_cgroup(),
        Some("files") => short_of_file_size(),
        Some("poor") => short_of_memory_in_a_cgroup(),
        _ => {}
    }
}

/// Everything that opens something, as far as the caller may.
fn everything(overlays: bool) -> Command {
    let mut command = shell("exit 0");
    command.sandbox().init(true).hostname("short").terminal(24, 80);
    command.root(Root::host().read_only()).mount(Mount::file("/tmp/file", "text"));
    if overlays {
        command.mount(Mount::overlay(Overlay::new(["/usr"]).ephemeral(), "/usr"));
    }
    if is_root() {
        command.limits(Limits::new().pids_max(64));
    }
    command
}

/// Tries with every number of descriptors; says each kind of answer once.
fn short_of_descriptors() {
    let overlays = has_overlays();
    let mut worked = 0;
    let everything = || everything(overlays);
    let before = OwnProcess::look();
    for (number, limit) in (3..ENOUGH).enumerate() {
        let soft =
            |current| setrlimit(Resource::Nofile, Rlimit { current, maximum: Some(1024) }).expect("it is lowered");
        soft(Some(limit));
        // From the main thread of a program and from any other: those have a keeper.
        let done = if number % 2 == 0 {
            everything().spawn().and_then(|mut child| child.wait())
        } else {
            std::thread::scope(|scope| scope.spawn(|| everything().spawn()?.wait()).join().expect("no panic"))
        };
        soft(Some(1024));
        match done {
            Ok(exit) => {
                assert!(exit.success(), "{limit}: {exit}");
                worked += 1;
            }
            Err(error) => {
                let line = error.to_string();
                assert_eq!(error.errno_name(), Some("EMFILE"), "{limit}: {line}");
                assert!(line.contains("RLIMIT_NOFILE") && line.contains(&limit.to_string()), "{limit}: {line}");
                assert!(error.left_behind().is_empty(), "{limit}: {line}");
                assert_eq!(worked, 0, "more descriptors are enough as well: {line}");
            }
        }
        let mut after = OwnProcess::look();
        after.threads.clone_from(&before.threads);
        assert_eq!(after, before, "with {limit} descriptors");
    }
    tell(worked);
}

#[test]
fn with_too_few_descriptors_the_limit_is_named_and_nothing_stays_open() {
    let _alone = CGROUPS.lock().unwrap_or_else(PoisonError::into_inner);
    let host = Host::look();
    let plain = helper("descriptors");
    // As before Linux 5.12, where set-up opens more.
    let mut old = filtered(&[(call::MOUNT_SETATTR, ENOSYS)], plain.get_program());
    old.args(plain.get_args()).envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    for mut command in [plain, old] {
        let worked: Vec<u64> = told(&command.output().expect("it starts")).iter().map(|n| n.parse().unwrap()).collect();
        assert!(
            worked.len() == 1 && worked[0] > 0 && worked[0] < ENOUGH,
            "some are enough, and some are not: {worked:?}"
        );
    }
    host.assert_back("what has failed");
}

/// Its image is a file, which every container is started by.
const ROOM_FOR_THE_LAUNCHER: u64 = 128 << 10;

fn short_of_file_size() {
    let before = OwnProcess::look();
    let mut init = Command::new("/bin/true");
    init.sandbox();
    let mut file = Command::new("/bin/true");
    file.sandbox().mount(Mount::file("/tmp/file", vec![b'x'; 2 * ROOM_FOR_THE_LAUNCHER as usize]));
    for (command, limit) in [(&mut init, 0), (&mut file, ROOM_FOR_THE_LAUNCHER)] {
        // With the soft limit alone: what is told of it goes to a pipe.
        setrlimit(Resource::Fsize, Rlimit { current: Some(limit), maximum: None }).expect("it is lowered");
        if is_root() {
            command.limits(Limits::new().pids_max(64));
        }
        // This would end whoever does not hold the signal back.
        tell(command.spawn().map(|_| ()).expect_err("nothing may be written"));
    }
    let mut plain = shell("grep -E '^Sig(Blk|Ign|Pnd)' /proc/self/status");
    tell(format!("{:?}", plain.sandbox().stdout(Stdio::piped()).output().map(|output| output.stdout)));
    assert_eq!(OwnProcess::look(), before);
}

#[test]
fn a_caller_that_may_write_no_files_is_told_and_not_killed() {
    let _alone = CGROUPS.lock().unwrap_or_else(PoisonError::into_inner);
    let host = Host::look();
    let [init, file, plain] = told(&helper("files").output().expect("it starts")).try_into().expect("three lines");
    for (line, step) in [(init, "filter of system calls"), (file, "mount file /tmp/file")] {
        assert!(line.starts_with(step) && line.contains("EFBIG") && line.contains("RLIMIT_FSIZE"), "{line}");
    }
    // Nor does the command inherit that the signal was held back.
    let ordinary = said(&shell("grep -E '^Sig(Blk|Ign|Pnd)' /proc/self/status").output().expect("it runs"));
    assert_eq!(plain, format!("{:?}", Ok::<_, ()>(format!("{ordinary}\n").into_bytes())));
    host.assert_back("what has failed");
}

fn short_of_processes() {
    setrlimit(Resource::Nproc, Rlimit { current: Some(0), maximum: Some(0) }).expect("it is lowered");
    let before = OwnProcess::look();
    let mut command = Command::new("/bin/true");
    command.init(true).unshare(Namespace::User).unshare(Namespace::Pid).unshare(Namespace::Mount);
    tell(command.spawn().map(|_| ()).expect_err("no process may be made"));
    // A thread is one as well: this test is not on the main one.
    tell(Command::new("/bin/true").spawn().map(|_| ()).expect_err("no thread may be made"));
    assert_eq!(OwnProcess::look().children, before.children);
}

#[test]
fn a_user_with_too_many_processes_is_told_of_its_limit() {
    // Uid 0 is not bound by it; so as somebody else, who need not be able to reach this program by its path.
    let mut command = helper_inside("processes");
    if is_root() {
        command = Command::new("/proc/self/fd/9");
        command.fd(std::fs::File::open(std::env::current_exe().unwrap()).unwrap(), 9);
        let arguments: Vec<_> = helper("processes").get_args().map(ToOwned::to_owned).collect();
        command.args(arguments).env("SECLUDE_TEST_ROLE", "processes").uid(54_321).gid(54_321).current_dir("/");
    }
    for line in told_inside(&command.output().expect("it runs")) {
        assert!(line.contains("EAGAIN") && line.contains("RLIMIT_NPROC is 0"), "{line}");
    }
}

fn short_of_processes_in_a_cgroup() {
    let mut waiting = Vec::new();
    for _ in 0..8 {
        let mut command = Command::new("/bin/sleep");
        command.arg("1000").init(true).unshare(Namespace::User).unshare(Namespace::Pid).unshare(Namespace::Mount);
        match command.spawn() {
            Ok(child) => waiting.push(child),
            Err(error) => {
                tell(&error);
                break;
            }
        }
    }
}

#[test]
fn a_caller_whose_cgroup_is_full_is_told_which_it_is() {
    let _alone = CGROUPS.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(cgroups) = Cgroups::with("exhaustion", &["--pids", "8"]) else { return };
    let mut command = helper_inside("bounded");
    command.cgroup(cgroups.cgroup().limits(Limits::new().pids_max(8)));
    let lines = told_inside(&command.output().expect("it runs"));
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("pids.max is 8") && lines[0].contains("caller's cgroup /"), "{lines:?}");
    if !is_root() {
        return;
    }
    // Where it is not seen, a limit of users that does not bind root is not blamed either.
    command.unshare(Namespace::Mount).mount(Mount::tmpfs("/sys/fs/cgroup")).rlimit(
        "NPROC".parse().expect("a name"),
        999,
        999,
    );
    let lines = told_inside(&command.output().expect("it runs"));
    assert!(lines[0].contains("cgroup that is not seen here") && !lines[0].contains("RLIMIT_NPROC"), "{lines:?}");
}

const POOR: u64 = 64 << 20;
const ENOMEM: i32 = 12;
const ENOSYS: i32 = 38;

fn short_of_memory_in_a_cgroup() {
    let before = OwnProcess::look();
    for megabytes in [1, 256] {
        let mut command = Command::new("/usr/bin/python3");
        command.sandbox().args(["-c", &format!("bytearray({megabytes} << 20)")]);
        let exit = command.spawn().expect("there is memory for that").wait().expect("it ends");
        tell(format!("{megabytes} MiB: {exit}"));
    }
    // The kernel's killer comes before it ever answers this.
    let refused = filtered(&[(call::CLONE3, ENOSYS), (call::CLONE, ENOMEM)], seclude_bin())
        .args(["run", "true"])
        .output()
        .expect("python3");
    tell(String::from_utf8_lossy(&refused.stderr).trim());
    assert_eq!(OwnProcess::look(), before);
}

#[test]
fn a_container_that_takes_the_last_memory_of_its_callers_cgroup_is_killed_and_not_the_caller() {
    let _alone = CGROUPS.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(cgroups) = Cgroups::with("poor", &["--memory", "64M", "--memory-swap", "0"]) else { return };
    let host = Host::look();
    let mut command = helper_inside("poor");
    command.cgroup(cgroups.cgroup()).limits(Limits::new().memory_max(POOR).memory_swap_max(0));
    let lines = told_inside(&command.output().expect("it runs"));
    let [small, large, refused] = lines.as_slice() else { panic!("{lines:?}") };
    assert!(small.ends_with("exit status: 0"), "{small}");
    assert!(large.contains("SIGKILL"), "{large}");
    assert!(refused.contains("ENOMEM") && refused.contains(&format!(" is {POOR}")), "{refused}");
    host.assert_back("what has failed");
}

/// What seclude says in a user namespace whose root has written to a file of /proc/sys/user.
fn with_at_most(knob: &str, value: u32, flags: &str) -> String {
    let bin = format!("--ro-bind={}:/tmp/seclude", seclude_bin().display());
    let outer = ["--nested", "--cap-add=ALL", "--mount=type=proc,dst=/mnt", &bin, "--workdir=/"];
    inside(&outer, &format!("echo {value} > /mnt/sys/user/{knob}; /tmp/seclude run --bare {flags} true 2>&1; true"))
}

#[test]
fn where_namespaces_may_not_be_made_the_sysctl_is_named_and_no_disk_is_called_full() {
    for (knob, kind) in
        [("max_user_namespaces", "user"), ("max_net_namespaces", "user,net"), ("max_mnt_namespaces", "user,mount")]
    {
        let flags = format!("--unshare {kind}");
        let said = with_at_most(knob, 0, &flags);
        assert!(said.contains(&format!("user.{knob}=0")) && said.contains("no disk is full"), "{said}");
        assert_eq!(with_at_most(knob, 8, &flags), "", "enough");
    }
    // That of a copied child is not made by its clone.
    let clocks = "--clone copy --unshare user,time --boottime 1h";
    let said = with_at_most("max_time_namespaces", 0, clocks);
    assert!(said.contains("unshare") && said.contains("ENOSPC") && said.contains("no disk is full"), "{said}");
    assert_eq!(with_at_most("max_time_namespaces", 8, clocks), "", "enough");
    for kind in ["user", "net"] {
        let nested = format!("--unshare user,{kind} --cap-add ALL -- /tmp/seclude run --bare --unshare user,{kind}");
        let said = with_at_most(&format!("max_{kind}_namespaces"), 1, &nested);
        assert!(said.contains("ENOSPC") && said.contains("as many namespaces as are allowed exist"), "{said}");
    }
}

#[test]
fn a_full_upper_directory_is_an_error_of_the_command_that_writes_there() {
    if !has_overlays() {
        return;
    }
    // A file system of its own with room for the directories alone, in an outer container.
    let bin = format!("--ro-bind={}:/opt/seclude", seclude_bin().display());
    let outer = ["--nested", "--cap-add=ALL", "--tmpfs=/opt:size=1M", &bin, "--tmpfs=/mnt:size=64K"];
    let script = "mkdir /mnt/upper /mnt/work /mnt/lower; cd /; \
        run() { /opt/seclude run --bare --unshare user,mount --overlay-mount lower=/mnt/lower,upper=/mnt/upper,work=/mnt/work,to=/mnt/lower \"$@\" 2>&1; }; \
        run -- /bin/sh -c 'echo x > /mnt/lower/small && echo small; dd if=/dev/zero of=/mnt/lower/big bs=16K count=64'";
    let said = inside(&outer, &format!("{script} | head -3; true"));
    assert!(said.contains("small") && said.contains("No space left on device"), "{said}");
}

#[test]
fn a_full_tmp_is_in_nobodys_way_and_a_full_run_is_named_where_it_is_needed() {
    let full = |directory: &str, arguments: &[&str]| {
        let mut command = std::process::Command::new("unshare");
        if !is_root() {
            command.args(["--user", "--map-root-user"]);
        }
        // The command may be in there.
        let prepare = format!(
            "exec 9< \"$1\"; shift; mount -t tmpfs -o size=4K,nr_inodes=2 none {directory}
            echo full > {directory}/one; ! echo full 2> /dev/null > {directory}/two; cd /; exec /proc/self/fd/9 \"$@\""
        );
        command.args(["--mount", "--net", "sh", "-ec", &prepare, "sh"]).arg(seclude_bin()).args(arguments);
        command.env("LC_ALL", "C").stdin(std::process::Stdio::null()).output().expect("unshare is there")
    };
    let everything = ["run", "--init", "--tmpfs=/mnt", "--file=/mnt/x=text", "--hostname=full", "cat", "/mnt/x"];
    assert_eq!(stdout_of(&full("/tmp", &everything)), "text");
    if is_root() {
        let network = full("/run", &["run", "--net=veth", "--ip-forward", "true"]);
        let line = refusal(125, &network);
        assert!(line.contains("/run/seclude") && line.contains("ENOSPC") && line.contains("is full"), "{line}");
    }
}

#[test]
fn descriptors_of_others_on_their_way_are_waited_for_a_while() {
    if is_root() {
        println!("skipped: the kernel counts nothing of root's");
        return;
    }
    // Nobody else here who has few descriptors is to start something meanwhile.
    let _alone = CGROUPS.lock().unwrap_or_else(PoisonError::into_inner);
    // More of this user's than one process may have open; others of its processes may have open more.
    let (ours, theirs) = UnixStream::pair().unwrap();
    let null = File::open("/dev/null").unwrap();
    let many = [null.as_fd(); 250];
    let mut space = vec![MaybeUninit::uninit(); SendAncillaryMessage::ScmRights(&many).size()];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    assert!(ancillary.push(SendAncillaryMessage::ScmRights(&many)));
    sendmsg(&ours, &[IoSlice::new(b"x")], &mut ancillary, SendFlags::empty()).unwrap();
    let start = || {
        let mut limited = std::process::Command::new("prlimit");
        limited.arg("--nofile=200").arg(seclude_bin()).args(["run", "--", "/bin/echo", "here"]);
        limited.stdin(std::process::Stdio::null()).output().unwrap()
    };
    let refused = start();
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("ETOOMANYREFS") && said.contains("RLIMIT_NOFILE"), "{said}");
    // What waits for nothing is taken.
    let reader = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(300));
        drop(theirs);
    });
    assert_eq!(stdout_of(&start()), "here");
    reader.join().unwrap();
}
