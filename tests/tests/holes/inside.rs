//! 5, 8, 10 to 13, and the small ones: what the command has of the host's once it runs.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::process::Command;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use seclude_tests::{
    Detached, Scratch, busybox_root, comes_back, inside, is_root, python, refused, root_only, seclude_bin,
    seclude_command, try_inside,
};

use super::{opened, text};

#[test]
fn no_user_namespace_is_made_inside_unless_it_is_asked_for() {
    let nested = "unshare -Ur id -u 2>&1";
    for flags in [&[][..], &["--as-pid-1"], &["--cap-add", "ALL"], &["--cap-add", "SYS_RESOURCE"], &["--user", "1000"]]
    {
        let script = format!("{nested}; echo 9 > /proc/sys/user/max_user_namespaces; {nested}");
        let said = |flags: &[&str]| String::from_utf8_lossy(&try_inside(flags, &script).stdout).into_owned();
        // By the kernel's own limit, or by a filter that says it in other words: which of them comes first is no matter.
        for flags in [flags.to_vec(), [flags, &["--seccomp", "none"]].concat()] {
            let with = said(&flags);
            let refusals =
                ["No space left on device", "Operation not permitted"].map(|words| with.matches(words).count());
            assert_eq!(refusals.iter().sum::<usize>(), 2, "{flags:?}: {with}");
        }
    }
    // In the host's, where there is no limit of ours, with no map written: as who makes it has all rights over it before that.
    if is_root() {
        let make = "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\n\
            print(libc.unshare(0x10000000 | 0x20000), ctypes.get_errno())";
        assert_eq!(python(&["--share", "user"], make), "-1 1");
    }
    let cgroup = ["--nested", "--cgroup", "/seclude-test/nested"];
    let flags: &[&str] = if is_root() { &cgroup } else { &cgroup[..1] };
    assert_eq!(inside(flags, nested), "0");
    // Containers in it: of ours, and of others.
    let bin = seclude_bin();
    let directory = bin.parent().unwrap().display().to_string();
    let again = [flags, &["--ro-bind", &directory]].concat();
    assert_eq!(inside(&again, &format!("'{}' run sh -c 'id -u; echo $$'", bin.display())), "0\n2");
    let own = Scratch::new("nested-written");
    let written = [&again, &["--rw", text(opened(&own))][..]].concat();
    if is_root() {
        // Where others do not come to it: own_mounts.rs.
        fs::set_permissions(own.path(), PermissionsExt::from_mode(0o700)).unwrap();
    }
    let output = try_inside(&written, &format!("'{}' run true", bin.display()));
    let line = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        line.contains("openat2") && line.contains("files of the host to write to"),
        "what keeps another from being made in it is told: {line}"
    );
    if Command::new("bwrap").arg("--version").output().is_ok() {
        let bwrap = "bwrap --unshare-all --ro-bind / / --proc /proc --dev /dev id -u";
        assert_eq!(inside(flags, bwrap), "0");
    }
    if is_root() {
        let line = refused(125, &["run", "--nested", "--host-root", "true"]);
        assert!(line.contains("nested"), "{line}");
        let line = refused(125, &["run", "--nested", "--uid-map", "0:0:1", "--gid-map", "0:0:1", "true"]);
        assert!(line.contains("nested"), "{line}");
        // Whose uid is the host's root writes /proc/sys without any capability, once no mask lies over it.
        let line = refused(125, &["run", "--nested", "--share", "user", "true"]);
        assert!(line.contains("nested") && line.contains("the host's root"), "{line}");
    }
}

#[test]
fn a_proc_of_ones_own_has_the_presets_masks_wherever_it_is() {
    let writable = "for f in sys/kernel/core_pattern sys/fs/file-max irq/default_smp_affinity; do \
        ( : >> $1/$f ) 2> /dev/null && echo $f; done; head -c 1 $1/timer_list 2> /dev/null | wc -c";
    let own = |flags: &[&str], place: &str| {
        let arguments = [&["run"], flags, &["--", "sh", "-c", writable, "sh", place]].concat();
        seclude_tests::stdout_of(&seclude_tests::seclude_command(&arguments).output().unwrap())
    };
    let at = |place: &str| format!("type=proc,dst={place}");
    for flags in if is_root() { vec!["--host-root", "--share=user"] } else { vec!["--preset=sandbox"] } {
        for place in ["/proc", "/tmp/p"] {
            assert_eq!(own(&[flags, "--mount", &at(place)], place), "0", "{flags} {place}");
        }
    }
    if is_root() {
        // (They are opened, and nothing is written.)
        let bare = ["--bare", "--unshare", "mount,pid", "--mount", &at("/proc")];
        assert_ne!(own(&bare, "/proc"), "0", "where nothing else is asked for it is as it is asked for");
    }
}

#[test]
fn roots_containers_that_could_see_a_hierarchy_are_in_a_cgroup_of_their_own_in_each() {
    root_only!();
    let of = |path: &str| fs::read_to_string(path).unwrap();
    let own = of("/proc/self/cgroup");
    for flags in [&["--nested"][..], &["--host-root"], &["--cap-add", "SYS_ADMIN"]] {
        let mut run = seclude_tests::Background::start(
            &[&["run", "--cgroup", "/seclude-test/own"], flags, &["sh", "-c", "echo runs; read x"]].concat(),
        );
        assert_eq!(run.line(), "runs");
        let children = of(&format!("/proc/{0}/task/{0}/children", run.pid()));
        let child = children.split_whitespace().next().map(str::to_owned).unwrap_or_else(|| {
            // Made by a thread.
            let tasks = fs::read_dir(format!("/proc/{}/task", run.pid())).unwrap().flatten();
            let all: Vec<_> = tasks.map(|task| fs::read_to_string(task.path().join("children")).unwrap()).collect();
            all.concat().split_whitespace().next().expect("a child").to_owned()
        });
        for (line, callers) in of(&format!("/proc/{child}/cgroup")).lines().zip(own.lines()) {
            assert!(line.contains("/seclude-test/own/") && line != callers, "{flags:?}: {line}");
        }
        drop(run.child().stdin.take());
        run.wait();
    }
}

#[test]
fn root_inside_is_not_root_to_the_hosts_sockets() {
    let own = Scratch::new("socket");
    opened(&own);
    let path = own.join("docker.sock");
    let listener = UnixListener::bind(&path).unwrap();
    fs::set_permissions(&path, PermissionsExt::from_mode(0o777)).unwrap();
    let bind = format!("{}:/mnt", own.path().display());
    let ask =
        "import socket\ns = socket.socket(socket.AF_UNIX)\ns.connect('/mnt/docker.sock')\nprint(s.recv(99).decode())";
    let asked = |flags: &[&str]| {
        std::thread::scope(|scope| {
            let serve = scope.spawn(|| {
                // Nobody comes if the container does not start.
                let come = PollFd::new(&listener, PollFlags::IN);
                assert_eq!(poll(&mut [come], Some(&Timespec { tv_sec: 60, tv_nsec: 0 })), Ok(1));
                let (mut peer, _) = listener.accept().unwrap();
                let credentials = rustix::net::sockopt::socket_peercred(&peer).unwrap();
                peer.write_all(format!("uid {}", credentials.uid.as_raw()).as_bytes()).unwrap();
            });
            let said = python(&[&["--ro-bind", &bind], flags].concat(), ask);
            serve.join().unwrap();
            said
        })
    };
    let caller = rustix::process::geteuid().as_raw();
    if is_root() {
        assert_ne!(asked(&[]), "uid 0");
        assert_ne!(asked(&["--nested", "--cgroup", "/seclude-test/sock"]), "uid 0");
        assert_eq!(asked(&["--host-root"]), "uid 0", "what that flag says");
    } else {
        assert_eq!(asked(&[]), format!("uid {caller}"), "a user is itself");
        let line = refused(125, &["run", "--host-root", "true"]);
        assert!(line.contains("not root"), "{line}");
    }
}

#[test]
fn files_have_the_owners_they_had_and_two_containers_never_the_same_ids() {
    root_only!();
    assert_eq!(inside(&[], "stat -c %u:%g /usr/bin/env /usr/bin"), "0:0\n0:0");
    for root in [&[][..], &["--root", "/"]] {
        let said = inside(root, "stat -c %u:%g /usr/bin/env /etc/passwd");
        assert_eq!(said, "0:0\n65534:65534", "{root:?}: of what can have secrets beside it");
    }
    assert_eq!(
        inside(
            &["--bare", "--unshare", "user", "--uid-map", "0:100000:9", "--gid-map", "0:100000:9"],
            "stat -c %u:%g /etc/passwd"
        ),
        "65534:65534",
        "plain, they are nobody's"
    );
    let own = Scratch::new("owners");
    opened(&own);
    let bind = format!("{}:/mnt", own.path().display());
    inside(&["--bind", &bind], "echo x > /mnt/made; chown 1000:1000 /mnt/made 2>/dev/null; stat -c %u /mnt/made");
    let made = fs::metadata(own.join("made")).unwrap();
    assert_eq!((made.uid(), made.gid()), (0, 0));
    let map = "import time\nprint(open('/proc/self/uid_map').read().split()[1], flush=True)\ninput()";
    let mut all: Vec<_> = (0..6).map(|_| seclude_tests::Background::start(&["run", "python3", "-c", map])).collect();
    let mut ranges: Vec<u32> = all.iter_mut().map(|run| run.line().parse().unwrap()).collect();
    ranges.sort_unstable();
    assert!(ranges.windows(2).all(|pair| pair[0] + 65536 <= pair[1]), "{ranges:?}");
}

#[test]
fn the_lock_on_its_ids_and_all_that_set_up_has_open_get_out_of_the_way_of_what_the_command_is_given() {
    let script = "echo $(stat -Lc %i /proc/self/fd/$0) $(cut -b 11-22 /proc/self/uid_map); read end";
    let own = Scratch::new("numbers");
    let file = fs::File::options().read(true).write(true).create(true).truncate(true).open(own.join("file")).unwrap();
    file.set_permissions(PermissionsExt::from_mode(0o600)).unwrap();
    let ino = file.metadata().unwrap().ino().to_string();
    // Every number that anything of ours could have by chance.
    for (number, init) in (3..=40).flat_map(|number| [(number, true), (number, false)]) {
        let mut command = seclude::Command::new("/bin/sh");
        command.args(["-c", script, &number.to_string()]).sandbox().init(init);
        command.stdin(seclude::Stdio::piped()).stdout(seclude::Stdio::piped());
        let mut child = command.fd(file.try_clone().unwrap(), number).spawn().unwrap();
        let mut said = String::new();
        let mut reader = std::io::BufReader::new(child.stdout.take().unwrap());
        std::io::BufRead::read_line(&mut reader, &mut said).unwrap();
        let (found, start) = said.trim().split_once(' ').unwrap_or_else(|| panic!("{number}: {said:?}"));
        assert_eq!(found, ino, "{number}");
        if is_root() {
            let locks = fs::File::options().read(true).write(true).open("/run/seclude/ids.lock").unwrap();
            let fd = seclude_sys::Fd(std::os::fd::AsRawFd::as_raw_fd(&locks));
            let slot = start.parse::<u64>().unwrap() / 65536;
            let taken = seclude_sys::file::lock_byte(fd, seclude_sys::file::ByteLock::Write, slot);
            assert!(taken.is_err(), "{number}: the range is held as long as it runs");
        }
        drop(child.stdin.take());
        child.wait().unwrap();
    }
}

#[test]
fn a_range_that_no_init_holds_is_nobody_elses_as_long_as_a_process_has_it() {
    root_only!();
    let file = "/run/seclude/ids.lock";
    let start = |flags: &[&str], command: &[&str]| {
        let flags = [&["run", "--detach"], flags, &["--"], command].concat();
        let container = Detached::of(seclude_command(&flags).stderr(std::process::Stdio::null()));
        let map = fs::read_to_string(format!("/proc/{}/uid_map", container.pid())).unwrap();
        let slot = map.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() / 65536;
        (container, slot)
    };
    let is_noted = |slot: usize| fs::read(file).is_ok_and(|bytes| bytes.get(slot) == Some(&b'1'));
    let sleep: &[&str] = &["sleep", "60"];
    let (held, slot) = start(&[], sleep);
    assert!(!is_noted(slot), "its init has a lock");
    drop(held);
    let python =
        |then: &str| format!("import ctypes, threading, time\nlibc = ctypes.CDLL(None)\n{then}\ntime.sleep(60)");
    // Its first thread ends, exit(2); a user namespace that has no map.
    let without_first = python(&format!(
        "threading.Thread(target=time.sleep, args=[60]).start()\nlibc.syscall({}, 0)",
        seclude_sys::raw::general::__NR_exit
    ));
    let without_map = python("assert libc.unshare(0x10000000) == 0");
    for (flags, command) in [
        (&["--as-pid-1"][..], sleep),
        (&["--as-pid-1", "--share", "pid"], sleep),
        (&["--as-pid-1"], &["python3", "-c", &without_first]),
        (&["--as-pid-1", "--nested"], &["python3", "-c", &without_map]),
    ] {
        let (container, slot) = start(flags, command);
        if command != sleep {
            let pid = container.pid();
            comes_back(&true, "it has come so far", || {
                let state = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
                let map = fs::read_to_string(format!("/proc/{pid}/uid_map")).unwrap();
                state.rsplit_once(") ").unwrap().1.starts_with('Z') || map.is_empty()
            });
        }
        assert!(is_noted(slot), "{flags:?}");
        // What ends meanwhile would take the file along.
        inside(&[], "true");
        assert!(is_noted(slot), "{flags:?}");
        drop(container);
        comes_back(&false, "it is nobody's", || {
            inside(&[], "true");
            is_noted(slot)
        });
    }
}

/// Calls that chmod(1) and its like do not make.
const SET_ID: &str = "import ctypes, os\nlibc = ctypes.CDLL(None, use_errno=True)\n\
    def call(*arguments):\n    return ctypes.get_errno() if libc.syscall(*arguments) < 0 else 0\n\
    open('/mnt/f', 'w').close()\nfd = os.open('/mnt/f', os.O_RDWR)\nd = os.open('/mnt', os.O_RDONLY)\n\
    print(call(90, b'/mnt/f', 0o4755), call(91, fd, 0o2755), call(268, d, b'f', 0o6755), call(452, d, b'f', 0o4755, 0), \
    call(2, b'/mnt/a', 0o101, 0o4755), call(257, d, b'b', 0o101, 0o4755), call(85, b'/mnt/c', 0o4755), \
    call(133, b'/mnt/d', 0o104755, 0), call(259, d, b'e', 0o104755, 0), call(437, d, b'g', 0, 0), call(425, 1, 0))\n\
    print(oct(os.stat('/mnt/f').st_mode), sorted(os.listdir('/mnt')))";

#[test]
fn set_id_files_cannot_be_made_where_they_would_work_outside() {
    let own = Scratch::new("set-id");
    // Others do not come to it, as whoever could mount overlays is given nothing else: own_mounts.rs.
    fs::set_permissions(own.path(), PermissionsExt::from_mode(0o700)).unwrap();
    let bind = format!("{}:/mnt", own.path().display());
    let mut ways = vec![vec!["--bind", &bind]];
    if is_root() {
        ways.push(vec!["--bind", &bind, "--host-root"]);
        ways.push(vec!["--bind", &bind, "--cap-add", "ALL"]);
        ways.push(vec!["--bind", &bind, "--no-new-privs=false"]);
    }
    for flags in ways {
        let said = python(&flags, SET_ID);
        assert_eq!(said, "1 1 1 1 1 1 1 1 1 38 38\n0o100644 ['f']", "{flags:?}");
    }
    // On a layer of its own they can, which packages need; and whoever has built its own container decides.
    let said = python(&["--tmpfs", "/mnt"], SET_ID);
    assert!(said.starts_with("0 0 0"), "{said}");
    if is_root() {
        let said =
            inside(&["--bind", &bind, "--cap-add", "SETFCAP"], "setcap cap_net_admin+ep /mnt/f 2>&1; getcap /mnt/f");
        assert!(!said.contains("cap_net_admin"), "{said}");
    }
}

/// Through what is open already, of which no mount is asked; says whether all were refused.
const SET_ID_OF_OPEN: &str = "import ctypes, os\nlibc = ctypes.CDLL(None, use_errno=True)\n\
    fd, said = int(os.environ['NUMBER']), 1 if os.environ['NUMBER'] != '1' else 2\n\
    def call(*arguments):\n    return ctypes.get_errno() if libc.syscall(*arguments) < 0 else 0\n\
    path = b'/proc/self/fd/%d' % fd\n\
    os.write(said, repr(all([call(91, fd, 0o4755), call(90, path, 0o2755), call(268, -100, path, 0o6755), \
    call(452, -100, path, 0o4755, 0)])).encode())";

#[test]
fn an_open_file_gets_no_set_id_bits_however_it_is_handed_on() {
    let own = Scratch::new("set-id-of-open");
    opened(&own);
    let file = own.join("file");
    let anew = || {
        fs::write(&file, "").unwrap();
        fs::set_permissions(&file, PermissionsExt::from_mode(0o640)).unwrap();
    };
    let has_bits = || fs::metadata(&file).unwrap().permissions().mode() & 0o6000 != 0;
    let through = |flags: &[&str], redirect: &str| {
        anew();
        let script =
            format!("exec \"$SECLUDE\" run --env NUMBER \"$@\" -- python3 -c \"$PROGRAM\" {redirect} \"$FILE\"");
        let number = redirect.trim_end_matches(['<', '>']);
        let mut command = Command::new("sh");
        command.args(["-c", &script, "sh"]).args(flags).env("NUMBER", number).env("FILE", &file);
        command.env("SECLUDE", seclude_bin()).env("PROGRAM", SET_ID_OF_OPEN).stdin(std::process::Stdio::null());
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned();
        // Relayed, they are a pipe's.
        if redirect.ends_with('<') || flags.contains(&"pass") {
            assert_eq!(said, if has_bits() { "False" } else { "True" }, "{flags:?} {redirect}");
        }
        has_bits()
    };
    let mut ways = vec![&[][..]];
    if is_root() {
        ways.extend([&["--host-root"][..], &["--host-root", "--cap-add", "ALL"], &["--share", "user"]]);
    }
    for flags in ways {
        for redirect in ["0>", "0<", "1>", "2>"] {
            assert!(!through(flags, redirect), "{flags:?} {redirect}");
        }
        for redirect in ["0<", "1>", "2>"] {
            assert!(!through(&[flags, &["--stdio", "pass"]].concat(), redirect), "{flags:?} {redirect}");
        }
    }
    assert!(through(&["--bare", "--unshare", "user"], "1>"), "whoever has built its own container decides");
    // What else it is given by the library, a path that is open and no more among them.
    for path_only in [false, true] {
        anew();
        let mut open = fs::OpenOptions::new();
        open.read(true);
        if path_only {
            std::os::unix::fs::OpenOptionsExt::custom_flags(&mut open, rustix::fs::OFlags::PATH.bits() as i32);
        }
        let mut command = seclude::Command::new("python3");
        command.args(["-c", SET_ID_OF_OPEN]).env("NUMBER", "7").sandbox().fd(open.open(&file).unwrap(), 7);
        if is_root() {
            command.host_root();
        }
        let output = command.output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "True", "{path_only}: {output:?}");
        assert!(!has_bits(), "{path_only}");
    }
}

const KEYS: &str = "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\n\
    def request(): return libc.syscall(249, b'user', b'seclude-test', None, 0)\n";

#[test]
fn the_callers_keys_are_not_the_commands() {
    let bin = seclude_bin();
    let program = format!(
        "{KEYS}import subprocess\nlibc.syscall(250, 1, None)\nlibc.syscall(248, b'user', b'seclude-test', b'secret', 6, -3)\n\
         def ask(*flags): return subprocess.run([{bin:?}, 'run', *flags, 'python3', '-c', {KEYS:?} + \
         'print(request() > 0)'], capture_output=True, text=True).stdout.strip()\n\
         print(request() > 0, ask(), ask('--bare'))"
    );
    let output = Command::new("python3").args(["-c", &program]).output().unwrap();
    let said = seclude_tests::stdout_of(&output);
    assert_eq!(said, "True False True", "a container that asks for nothing has the caller's");
}

#[test]
fn a_device_is_written_and_its_inode_is_not_changed() {
    root_only!();
    let root = busybox_root("devices");
    opened(&root);
    let before = fs::metadata("/dev/null").unwrap().mode();
    let look = "echo x > /dev/null && echo written; chmod 600 /dev/null 2>&1; chown 5 /dev/null 2>&1; \
        touch -d @0 /dev/null 2>&1; chmod 600 /proc/timer_list 2>&1";
    for flags in
        [&["--host-root"][..], &["--host-root", "--cap-add", "ALL"], &["--host-root", "--bind", "/dev/null:/dev/null"]]
    {
        let said = inside(&[&["--root", text(root.path())], flags].concat(), &format!("{look}; true"));
        assert!(said.starts_with("written\n"), "{said}");
        assert_eq!(said.matches("Read-only file system").count(), 4, "{flags:?}: {said}");
    }
    assert_eq!(fs::metadata("/dev/null").unwrap().mode(), before);
}

#[test]
fn the_kernels_view_of_the_machine_is_read_only_unless_it_is_asked_for() {
    let look = "awk '$5 == \"/mnt\" { print substr($6, 1, 2) }' /proc/self/mountinfo";
    assert_eq!(inside(&["--mount", "type=sysfs,dst=/mnt"], look), "ro");
    assert_eq!(inside(&["--mount", "type=sysfs,dst=/mnt,rw"], look), "rw");
}

#[test]
fn no_capability_undoes_what_was_mounted() {
    let undo = "for m in / /usr /proc/sys /proc/irq; do mount -o remount,bind,rw $m 2>/dev/null && echo remounted $m; done; \
        for m in /proc/sys /proc/timer_list /proc/keys /tmp /dev /; do umount $m 2>/dev/null && echo unmounted $m; \
        umount -l $m 2>/dev/null && echo detached $m; mount --move $m /mnt 2>/dev/null && echo moved $m; done; \
        mount --bind / /mnt 2>/dev/null && touch /mnt/x 2>/dev/null && echo written; \
        touch /usr/x 2>/dev/null && echo written /usr; true";
    for flags in [&["--cap-add", "SYS_ADMIN"][..], &["--cap-add", "ALL"], &["--cap-add", "ALL", "--as-pid-1"]] {
        assert_eq!(inside(flags, undo), "", "{flags:?}");
        // It has the capability, for what is its own.
        assert_eq!(inside(flags, "mount -t tmpfs none /mnt && echo mounted; hostname own && hostname"), "mounted\nown");
    }
    let tree = "import ctypes, os\nlibc = ctypes.CDLL(None, use_errno=True)\n\
        fd = libc.syscall(428, -100, b'/proc/sys', 1)\n\
        moved = fd >= 0 and libc.syscall(429, fd, b'', -100, b'/mnt', 4) == 0\n\
        print(moved and os.access('/mnt/kernel/hostname', os.W_OK))";
    assert_eq!(python(&["--cap-add", "ALL"], tree), "False", "a copy is as read-only as what it is of");
    // In a container built from nothing it works.
    let bare = ["--bare", "--unshare", "user,mount,pid", "--tmpfs", "/mnt"];
    assert_eq!(inside(&bare, "umount /mnt && echo unmounted"), "unmounted");
}

#[test]
fn no_capability_takes_from_the_init_what_it_holds() {
    // By pidfd_getfd(2): of the init, and by contrast of a child of its own.
    let take = "import ctypes, os, time\nlibc = ctypes.CDLL(None, use_errno=True)\n\
        def taken(pid):\n    fd = os.pidfd_open(pid)\n\
        \x20   return sum(libc.syscall(438, fd, number, 0) >= 0 for number in range(100))\n\
        child = os.fork()\n\
        if child == 0: time.sleep(1000)\n\
        print(taken(1), taken(child) > 0)\nos.kill(child, 9)";
    for flags in [&["--cap-add", "SYS_PTRACE"][..], &["--cap-add", "ALL"], &["--allow-syscall", "@debug"]] {
        assert_eq!(python(flags, take), "0 True", "{flags:?}");
    }
    // Nor the time that it needs to end the container.
    let slow = "import os, resource\n\
        def tried(what):\n    try: what(); return 'done'\n    except OSError as error: return error.errno\n\
        for pid in (1, 0): print(tried(lambda: os.sched_setaffinity(pid, os.sched_getaffinity(0))), \
        tried(lambda: os.sched_setscheduler(pid, os.SCHED_IDLE, os.sched_param(0))), \
        tried(lambda: os.setpriority(os.PRIO_PROCESS, pid, 19)), \
        tried(lambda: resource.prlimit(pid, resource.RLIMIT_CPU, (1, 1))), end=' ')";
    for flags in [&[][..], &["--cap-add", "KILL"], &["--cap-add", "ALL"]] {
        assert_eq!(python(flags, slow), "1 1 1 1 done done done done", "{flags:?}");
    }
    assert_eq!(python(&["--nested"], slow), "1 1 1 done done done done done", "its limits take no time from it");
    // Nor by what its session has of the processors, autogroup of sched(7), where the kernel has that.
    let session = "import os\ntry: os.open('/proc/1/autogroup', os.O_WRONLY); print('opened')\nexcept OSError as error: print(error.strerror)";
    if std::path::Path::new("/proc/self/autogroup").exists() {
        for flags in [&[][..], &["--cap-add", "ALL"], &["--preset", "host"]] {
            assert_eq!(python(flags, session), "Read-only file system", "{flags:?}");
        }
        assert_eq!(
            python(&["--bare", "--unshare", "user,pid,mount", "--mount", "type=proc,dst=/proc"], session),
            "opened"
        );
    }
    // Its group's, which may be joined, and is "one's own" then; and all of a user's, which the init is one of.
    let group = "import os\nos.setpgid(0, os.getpgid(1))\ntry: os.setpriority(os.PRIO_PGRP, 0, 19); print('done')\nexcept OSError as error: print(error.errno)\n\
        import ctypes\nprint(ctypes.CDLL(None).syscall(IOPRIO, 2, 0, 3 << 13))"
        .replace("IOPRIO", if cfg!(target_arch = "x86_64") { "251" } else { "30" });
    assert_eq!((python(&[], &group), python(&["--nested"], &group)), ("1\n-1".to_owned(), "1\n-1".to_owned()));
    let own = group.replace("os.setpgid(0, os.getpgid(1))", "");
    assert_eq!(python(&["--as-pid-1"], &own), "done\n0");
    let users = "import os\ntry: os.setpriority(os.PRIO_USER, 0, 19); print('done')\nexcept OSError as error: print(error.errno)";
    assert_eq!((python(&[], users), python(&["--nested"], users)), ("1".to_owned(), "1".to_owned()));
    assert_eq!(python(&["--as-pid-1"], users), "done");
    assert_eq!(python(&["--as-pid-1"], slow), "done done done done done done done done", "its own");
}

#[test]
fn no_file_of_proc_but_those_of_processes_is_open_to_be_written_by_the_hosts_root() {
    root_only!();
    let walk = "import os\n\
        for place, below, files in os.walk('/proc'):\n\
        \x20   if place == '/proc': below[:] = [name for name in below if not name.isdigit()]\n\
        \x20   for name in files:\n\
        \x20       path = os.path.join(place, name)\n\
        \x20       if os.path.islink(path): continue\n\
        \x20       try:\n\
        \x20           f = os.open(path, os.O_WRONLY | os.O_NONBLOCK)\n\
        \x20           # What is masked shows the null device.\n\
        \x20           if os.fstat(f).st_rdev != os.makedev(1, 3): print(path)\n\
        \x20           os.close(f)\n\
        \x20       except OSError: pass";
    // Triggers of one's own, psi.rst; and ranges of memory, for which the kernel asks for CAP_SYS_ADMIN.
    let known = |path: &str| path.starts_with("/proc/pressure/") || path == "/proc/mtrr";
    for flags in
        [&["--host-root"][..], &["--share", "user"], &["--host-root", "--share", "net"], &["--host-root", "--overlay"]]
    {
        let said = python(flags, walk);
        let open: Vec<&str> = said.lines().filter(|path| !known(path)).collect();
        assert!(open.is_empty(), "{flags:?}: {open:?}");
    }
    let contrast = python(&["--bare", "--unshare", "mount,pid", "--mount", "type=proc,dst=/proc"], walk);
    assert!(contrast.lines().any(|path| path == "/proc/sys/kernel/core_pattern"), "{contrast}");
}

#[test]
fn what_a_login_has_is_what_the_command_has() {
    let look =
        "nice; cat /proc/self/personality 2>/dev/null | tr -d 0 | wc -c; ls -l /proc/kpageflags 2>/dev/null | cut -c1";
    assert_eq!(inside(&[], look).lines().next(), Some("0"));
    let nice = |arguments: &[&str]| {
        let mut command = Command::new("nice");
        command.args(["-n", "7"]).arg(seclude_bin()).args(arguments);
        seclude_tests::stdout_of(&command.output().unwrap())
    };
    assert_eq!(nice(&["run", "nice"]), "7", "who is nice stays so");
    if seclude_tests::is_root() {
        let look = "import os; print(os.sched_getscheduler(0), open('/proc/self/oom_score_adj').read().strip())";
        let urgent = |arguments: &[&str]| {
            let mut command = Command::new("/bin/sh");
            let before = "echo -5 > /proc/self/oom_score_adj 2> /dev/null; exec ionice -c 1 -n 0 chrt -f 3 \"$@\"";
            command.args(["-c", before, "sh"]).arg(seclude_bin()).args(arguments).arg("--").current_dir("/usr");
            let said = |command: &mut Command| seclude_tests::stdout_of(&command.output().unwrap());
            let io = said(command.args(["/bin/sh", "-c", &format!("ionice; python3 -c \"{look}\"")]));
            io.replace('\n', " ")
        };
        let can = "(echo -5 > /proc/self/oom_score_adj) 2> /dev/null && chrt -f 3 true";
        if Command::new("/bin/sh").args(["-c", can]).output().unwrap().status.success() {
            assert_eq!(urgent(&["run"]), "none: prio 0 0 0");
            assert_eq!(urgent(&["run", "--bare"]), "realtime: prio 0 1 -5", "as its caller");
        } else {
            eprintln!("skipped: priorities in real time and a lower OOM score cannot be had here");
        }
    }
    let persona = |arguments: &[&str]| {
        let mut command = Command::new("setarch");
        command.arg("-R").arg(seclude_bin()).args(arguments);
        seclude_tests::stdout_of(&command.output().unwrap())
    };
    let read = "cat /proc/self/personality";
    assert_eq!(persona(&["run", "sh", "-c", read]), "00000000");
    assert_eq!(persona(&["run", "--bare", "sh", "-c", read]), "00040000");
    for file in ["kpagecount", "kpageflags", "kpagecgroup"] {
        if std::path::Path::new("/proc").join(file).exists() {
            assert_eq!(inside(&[], &format!("stat -c %t:%T /proc/{file}")), "1:3", "{file}");
        }
    }
}

#[test]
fn what_is_copied_up_with_its_bits_is_where_nobody_starts_it() {
    root_only!();
    let own = Scratch::new("copied-up");
    let [lower, upper, work] = ["lower", "upper", "work"].map(|name| own.directory(name));
    std::fs::copy("/bin/true", lower.join("su")).unwrap();
    std::fs::set_permissions(lower.join("su"), PermissionsExt::from_mode(0o4755)).unwrap();
    // The kernel takes the bits away at a write(2), and not at a store.
    let store =
        "import mmap, os\nfile = os.open('/mnt/su', os.O_RDWR)\nmapped = mmap.mmap(file, 4)\nmapped[:4] = b'evil'";
    let overlay = format!("lower={},upper={},work={},to=/mnt", lower.display(), upper.display(), work.display());
    let tried = |flags: &[&str]| {
        let arguments = [&["run", "--overlay-mount", &overlay][..], flags, &["python3", "-c", store]].concat();
        seclude_tests::seclude_command(&arguments).current_dir("/usr").output().unwrap()
    };
    opened(&own);
    for flags in [&[][..], &["--host-root"], &["--preset", "host"]] {
        let line = seclude_tests::refusal(125, &tried(flags));
        assert!(
            line.contains("others come to") && line.contains("lower/su, a program with set-id bits, would be copied"),
            "{flags:?}: {line}"
        );
        assert!(!upper.join("su").exists());
    }
    let refused = |what: &str| {
        let line = seclude_tests::refusal(125, &tried(&[]));
        assert!(line.contains("others come to") && line.contains(what), "{what}: {line}");
    };
    // Also where those are a group that is not root's.
    std::os::unix::fs::chown(own.path(), None, Some(54321)).unwrap();
    std::fs::set_permissions(own.path(), PermissionsExt::from_mode(0o750)).unwrap();
    refused("set-id bits");
    opened(&own);
    // Where there is none, nothing is to be closed.
    fs::rename(lower.join("su"), own.join("su")).unwrap();
    let shell = |script: &str| {
        let done = Command::new("sh").args(["-c", script, "sh"]).arg(&lower).status().unwrap();
        assert!(done.success(), "{script}");
    };
    shell("cp /bin/true $1/tool; setcap cap_setuid=ep $1/tool");
    refused("tool, a program with capabilities");
    shell("rm $1/tool");
    // Further down than a path can be long.
    shell(
        "cd $1; d=$(printf %0250d 0); for i in $(seq 17); do mkdir $d; cd -P $d; done; cp -p $OLDPWD/../../su . 2> /dev/null || cp /bin/true su; chmod 4755 su",
    );
    refused("su, a program with set-id bits");
    let deep = std::fs::read_dir(&lower).unwrap().next().unwrap().unwrap().path();
    std::fs::remove_dir_all(deep).unwrap();
    shell("mknod -m 600 $1/null c 1 3");
    let line = seclude_tests::refusal(125, &tried(&["--share", "user"]));
    assert!(line.contains("null, a device"), "{line}");
    shell("rm $1/null");
    let output = tried(&[]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("FileNotFoundError"), "{output:?}");
    fs::rename(own.join("su"), lower.join("su")).unwrap();
    // Where others do not come it works, and this is what they would find.
    std::fs::set_permissions(own.path(), PermissionsExt::from_mode(0o700)).unwrap();
    let output = tried(&[]);
    assert!(output.status.success(), "{output:?}");
    let mode = std::fs::metadata(upper.join("su")).unwrap().permissions().mode();
    assert_eq!((mode & 0o7777, &std::fs::read(upper.join("su")).unwrap()[..4]), (0o4755, &b"evil"[..]));
}

#[test]
fn an_overlay_keeps_what_the_mounts_below_it_forbid() {
    root_only!();
    let own = Scratch::new("strict");
    opened(&own);
    let lower = own.directory("lower");
    let make = format!(
        "mount -t tmpfs -o nosuid,noexec none \"{0}\" && mkdir '{0}/d' && cp /bin/true '{0}/d/t'",
        lower.display()
    );
    let script = format!(
        "{make} && '{}' run --overlay-mount lower={}/d,ephemeral,to=/mnt sh -c \
         'awk \"\\$5 == \\\"/mnt\\\" {{ print \\$6 }}\" /proc/self/mountinfo; /mnt/t || echo not executed'",
        seclude_bin().display(),
        lower.display()
    );
    let output = Command::new("unshare").args(["-m", "sh", "-c", &script]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("nosuid") && said.contains("noexec") && said.contains("not executed"), "{output:?}");
}

/// What a script says on a host whose mounts are shared, as systemd has them; its mounts before and after are compared.
fn on_a_host_of_shared_mounts(script: &str) -> String {
    // Mounted below it: what the container has as its root then has mounts of its own.
    let host = format!(
        "mount --make-rshared / && mount -t tmpfs -o nosuid none \"{0}\" && mkdir \"{0}/in\" \"{0}/out\" && chmod 755 \"{0}\" && cd /
        list() {{ cut -d' ' -f3- /proc/self/mountinfo | sort; }}; list > \"{0}/before\"
        {script}
        list | diff \"{0}/before\" - > /dev/null && echo as it was; true",
        "$P"
    )
    ;
    let own = Scratch::new("shared");
    opened(&own);
    let mut command = Command::new("unshare");
    if !is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    command.args(["--mount", "sh", "-c", &host]);
    let command = command.env("S", seclude_bin()).env("P", own.path());
    seclude_tests::stdout_of(&command.output().unwrap())
}

#[test]
fn what_is_mounted_inside_is_not_mounted_on_a_host_whose_mounts_are_shared_nor_the_other_way_round() {
    let contrast = on_a_host_of_shared_mounts("unshare -m --propagation unchanged mount -t tmpfs none $P/in");
    assert_eq!(contrast, "", "a peer's mounts are the host's");
    for flags in [
        "",
        "--overlay",
        "--bind $P:/mnt",
        "--ro-bind $P:/mnt --tmpfs /mnt/in",
        "--writable --file $P/in/made=x",
        "--overlay-mount lower=$P,lower=/usr/share,to=/mnt --tmpfs /mnt/in",
        "--bind /:/mnt --tmpfs /mnt/usr",
        "--nested --bind $P:/mnt",
        "--cap-add ALL --bind $P:/mnt",
        "--bare --unshare mount,user,pid --bind $P:/mnt",
        "--root / --bind $P:/mnt",
    ] {
        let script = format!("$S run {flags} sh -c 'mount -t tmpfs none /mnt/in 2> /dev/null; true' && echo ran");
        assert_eq!(on_a_host_of_shared_mounts(&script), "ran\nas it was", "{flags}");
    }
    let other_way = "$S run --bind $P:/mnt sh -c 'echo up > /mnt/up; until test -e /mnt/go; do sleep 0.05; done; ls /mnt/out' & p=$!
        until test -e $P/up; do sleep 0.05; done; mount -t tmpfs none $P/out; touch $P/out/new $P/go; wait $p; umount $P/out; echo ended";
    assert_eq!(on_a_host_of_shared_mounts(other_way), "ended\nas it was");
}

#[test]
fn the_hosts_network_is_not_told_by_sys_beside_one_of_the_containers_own() {
    let links = |flags: &[&str]| inside(flags, "ls /sys/class/net | tr '\\n' ' '");
    let host = fs::read_dir("/sys/class/net").unwrap().count();
    assert_eq!(links(&[]), "lo");
    assert_eq!(links(&["--overlay"]), "lo");
    // The host's network, the host's links.
    assert_eq!(links(&["--share", "net"]).split_whitespace().count(), host);
    assert_eq!(inside(&["--share", "net"], "cat /sys/class/net/lo/mtu"), inside(&[], "cat /sys/class/net/lo/mtu"));
    let written = "(echo 1 > /sys/class/net/lo/mtu) 2> /dev/null || echo refused";
    assert_eq!(inside(&[], written), "refused");
    // Whoever says what lies there has it.
    assert_eq!(inside(&["--tmpfs", "/sys"], "ls /sys | wc -l"), "0");
}

#[test]
fn a_nested_container_runs_with_its_output_in_a_file_too() {
    let own = Scratch::new("nested-log");
    let bin = format!("--ro-bind={}:/mnt", seclude_bin().parent().unwrap().display());
    let arguments = ["run", "--nested", &bin, "/mnt/seclude", "run", "sh", "-c", "echo nested"];
    let file = fs::File::create(own.join("log")).unwrap();
    let mut command = seclude_tests::seclude_command(&arguments);
    let output = command.stdout(file).stderr(std::process::Stdio::piped()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(fs::read_to_string(own.join("log")).unwrap(), "nested\n");
}

#[test]
fn there_is_an_end_to_processes_and_core_files() {
    // As many as there may be, of which each only waits: a bomb ends at its own wall, and the host has room.
    let bomb = "import os, resource\nprint(resource.getrlimit(resource.RLIMIT_CORE))\nmade = []\ntry:\n\
        \x20   while len(made) < 1200:\n\
        \x20       pid = os.fork()\n\
        \x20       if pid == 0:\n            import signal\n            signal.pause()\n\
        \x20       made.append(pid)\n\
        except BlockingIOError: pass\n\
        print(len(made))\n\
        for pid in made: os.kill(pid, 9)";
    let said = python(&[], bomb);
    let (core, made) = said.split_once('\n').unwrap();
    // Where the host runs a program for them, that is one too small for it.
    let runs_one = std::fs::read("/proc/sys/kernel/core_pattern").is_ok_and(|pattern| pattern.starts_with(b"|"));
    assert_eq!(core, if runs_one { "(1, 1)" } else { "(0, 0)" });
    // The filter keeps that limit, and comes behind it also where it is installed first.
    let kept = "import resource\nresource.setrlimit(resource.RLIMIT_CORE, (0, 0)); print(resource.getrlimit(resource.RLIMIT_CORE))";
    for more in [&[][..], &["--no-new-privs=false"], &["--as-pid-1"], &["--seccomp", "none"]] {
        assert_eq!(python(&[&["--rlimit", "CORE=1:1"], more].concat(), kept), "(1, 1)", "{more:?}");
    }
    assert_eq!(python(&["--rlimit", "CORE=2:2"], kept), "(0, 0)", "any other is the command's to lower");
    let made: usize = made.parse().unwrap();
    assert!((900..1024).contains(&made), "{made}");
    assert_eq!(python(&["--rlimit", "NPROC=50"], bomb).split_once('\n').unwrap().1, "48", "the init is one of them");
    assert_eq!(python(&["--rlimit", "NPROC=5000"], bomb).split_once('\n').unwrap().1, "1200", "the contrast");
    let status = "grep 'Max core' /proc/self/limits | tr -s ' '";
    assert_eq!(inside(&["--rlimit", "CORE=5"], status), "Max core file size 5 5 bytes");
    if is_root() {
        // Whose processes the kernel does not count: by a cgroup, as all of root's own.
        let flags = ["--share", "user", "--cgroup", "/seclude-test/processes"];
        let made: usize = python(&flags, bomb).split_once('\n').unwrap().1.parse().unwrap();
        assert!((900..1024).contains(&made), "{made}");
    }
}
