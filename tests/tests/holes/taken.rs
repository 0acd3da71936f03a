//! What code inside takes from its caller by way of what it may only look at, or is only lent.

use std::io::{BufRead, BufReader};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use seclude_tests::{Scratch, is_root, outside, root_only, seclude_bin, seclude_command, stdout_of};

use super::opened;

fn run(directory: &Path, flags: &[&str], script: &str) -> Output {
    let arguments = [&["run"], flags, &["/usr/bin/python3", "-c", script]].concat();
    seclude_command(&arguments).current_dir(directory).output().expect("the seclude command starts")
}

fn python(directory: &Path, script: &str) -> String {
    stdout_of(&Command::new("/usr/bin/python3").args(["-c", script]).current_dir(directory).output().expect("python3"))
}

#[test]
fn nobody_inside_has_a_lease_of_a_file_that_others_would_wait_for() {
    // F_SETLEASE, F_WRLCK: whoever opens it waits 45 s, and again.
    let script = "import fcntl, os\nf = os.open('file', 0)\ntry:\n    fcntl.fcntl(f, 1024, 1); print('leased')\nexcept OSError as error: print(error.errno)";
    let scratch = Scratch::new("lease");
    scratch.file("file", "text");
    opened(&scratch);
    assert_eq!(python(scratch.path(), script), "leased", "its owner may");
    let mut ways = vec![vec![], vec!["--nested"], vec!["--seccomp", "none"], vec!["--no-namespaces"]];
    ways.push(vec!["--preset", "host"]);
    for flags in ways {
        assert_eq!(stdout_of(&run(scratch.path(), &flags, script)), "13", "{flags:?}");
    }
    let bare = ["--bare"];
    assert_eq!(stdout_of(&run(scratch.path(), &bare, script)), "leased", "where nothing is held back");
    // The same of directories, F_SETDELEG, which kernels before 6.19 do not know; nor is anything known that comes after it.
    let later = "import fcntl, os, struct\nf = os.open('.', os.O_DIRECTORY)\nfor request in (1040, 1041):\n    try:\n        fcntl.fcntl(f, request, struct.pack('IHH', 0, 0, 0)); print('had')\n    except OSError as error: print(error.errno)";
    for flags in [&[][..], &["--nested"], &["--seccomp", "none"], &["--no-namespaces"]] {
        assert_eq!(stdout_of(&run(scratch.path(), flags, later)), "13\n22", "{flags:?}");
    }
    assert!(!stdout_of(&run(scratch.path(), &bare, later)).starts_with("13"));
}

#[test]
fn half_of_what_the_kernel_counts_by_the_user_stays_the_callers() {
    let script = "import ctypes, resource\nlibc = ctypes.CDLL(None)\nmade = 0\nwhile made < 5000 and libc.inotify_init1(0) >= 0: made += 1\n\
        print(made, *[resource.getrlimit(it)[0] for it in (8, 11, 12)])";
    let numbers = |said: String| said.split(' ').map(|word| word.parse::<i64>().unwrap()).collect::<Vec<_>>();
    let usr = Path::new("/usr");
    let inside = numbers(stdout_of(&run(usr, &[], script)));
    let most: i64 = outside("cat /proc/sys/user/max_inotify_instances").parse().unwrap();
    let limits = numbers(python(usr, "import resource\nprint(*[resource.getrlimit(it)[0] for it in (8, 11, 12)])"));
    assert!(inside[0] <= most / 2, "{inside:?} of {most} inotify instances");
    for (own, callers) in inside[1..].iter().zip(&limits) {
        assert!(
            *callers == -1 || *own <= callers / 2,
            "locked memory, pending signals, message queues: {inside:?}, {limits:?}"
        );
    }
    let spaces =
        "cat /proc/sys/user/max_user_namespaces /proc/sys/user/max_net_namespaces /proc/sys/user/max_pid_namespaces";
    let read = |said: String| said.lines().map(|line| line.parse::<i64>().unwrap()).collect::<Vec<_>>();
    let (nested, all) = (read(seclude_tests::inside(&["--nested"], spaces)), read(outside(spaces)));
    assert!(nested.iter().zip(&all).all(|(own, all)| *own > 0 && *own <= all / 2), "{nested:?} of {all:?} namespaces");
    if !is_root() {
        // The caller's own are counted along.
        let most = |limit: &str| {
            let bin = seclude_bin();
            outside(&format!(
                "prlimit --nproc={limit} '{}' run prlimit --nproc --output=HARD --noheadings",
                bin.display()
            ))
        };
        assert_eq!((most("1000").trim(), most("2000").trim()), ("500", "1000"));
    }
    let said = stdout_of(&run(usr, &["--rlimit", "MSGQUEUE=8192"], script));
    assert!(said.ends_with(" 8192"), "what is asked for counts: {said}");
}

#[test]
fn whoever_can_become_others_has_no_more_processes_for_it() {
    root_only!();
    let script = "
import os, threading, time
total = 0
for uid in (1, 2):
    r, w = os.pipe()
    if os.fork() == 0:
        os.setresuid(uid, uid, uid)
        threading.stack_size(65536)
        made = 0
        try:
            for i in range(700): threading.Thread(target=time.sleep, args=(60,), daemon=True).start(); made += 1
        except RuntimeError: pass
        os.write(w, str(made).encode()); os.close(w)
        time.sleep(60)
    os.close(w); total += int(os.read(r, 100)); os.close(r)
print(total, flush=True)
os._exit(0)";
    let most: u32 = stdout_of(&run(Path::new("/usr"), &["--cap-add", "SETUID"], script)).parse().unwrap();
    assert!((700..1024).contains(&most), "{most}");
    let more = stdout_of(&run(Path::new("/usr"), &["--cap-add", "SETUID", "--pids", "4096"], script));
    assert_eq!(more, "1400", "so many are no problem where they are asked for");
}

#[test]
fn without_namespaces_root_changes_no_files_attributes_through_an_open_file() {
    root_only!();
    let scratch = Scratch::new("attributes");
    scratch.file("file", "text");
    // FS_IOC_GETFLAGS, FS_IOC_SETFLAGS with the no-atime flag.
    let script = "import fcntl, os, struct\nf = os.open('file', 0)\nflags = struct.unpack('l', fcntl.ioctl(f, 0x80086601, bytes(8)))[0]\n\
        try:\n    fcntl.ioctl(f, 0x40086602, struct.pack('l', flags | 0x80)); print('changed')\nexcept OSError as error: print(error.errno)";
    assert_eq!(stdout_of(&run(scratch.path(), &["--no-namespaces"], script)), "1");
    assert_eq!(python(scratch.path(), script), "changed", "of root");
}

#[test]
fn memory_of_the_kernels_is_bounded_by_max_tmp_like_any_other() {
    let inodes = |flags: &[&str], place: &str| -> u64 {
        let said =
            stdout_of(&run(Path::new("/usr"), flags, &format!("import os\nprint(os.statvfs('{place}').f_files)")));
        said.parse().unwrap()
    };
    for place in ["/tmp", "/dev/shm"] {
        let (few, many) = (inodes(&["--max-tmp", "1M"], place), inodes(&["--max-tmp", "512M"], place));
        assert!(few <= 16384 && many > few && many <= 131_072, "{place}: {few}, {many}");
    }
}

#[test]
fn whoever_goes_on_making_files_holds_up_the_end_for_a_while_only() {
    let scratch = Scratch::new("goes-on");
    // Two that nobody's namespace ends, in the home that is to go.
    let script = "
import os, time
for i in range(2):
    if os.fork() == 0:
        open('pids', 'a').write(f'{os.getpid()}\\n'); os.setsid(); os.closerange(0, 3)
        end, made = time.time() + 40, 0
        while time.time() < end:
            made += 1
            try: os.makedirs(os.path.expanduser(f'~/{os.getpid()}-{made}/b/c/d'), exist_ok=True)
            except OSError: pass
        os._exit(0)
while not (os.path.exists('pids') and len(open('pids').readlines()) == 2): time.sleep(0.01)
";
    let pids = scratch.join("pids");
    let output = run(opened(&scratch), &["--no-namespaces", "--rw", "."], script);
    let daemons: Vec<i32> = std::fs::read_to_string(pids).unwrap().lines().map(|line| line.parse().unwrap()).collect();
    let alive = daemons.iter().filter(|pid| Path::new(&format!("/proc/{pid}")).exists()).count();
    for pid in &daemons {
        let pid = rustix::process::Pid::from_raw(*pid).unwrap();
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    }
    let told = String::from_utf8_lossy(&output.stderr);
    let left = told.split("left behind: ").nth(1).and_then(|left| left.split(' ').next()).unwrap_or_default();
    assert!(left.contains("/seclude-") && told.contains("somebody goes on making more"), "{told}");
    for _ in 0..100 {
        // They end by the signal as soon as they are run again.
        if std::fs::remove_dir_all(left).is_ok() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert!(!Path::new(left).exists(), "the test's own to remove");
    assert_eq!((daemons.len(), alive), (2, 2), "they go on, and are waited for no longer");
}

#[test]
fn a_terminal_and_its_streams_are_as_they_were_when_the_command_has_ended() {
    // In a session of its own, whose leader outlives the command: else the terminal would be hung up.
    let script = r#"
import os, pty, fcntl, select, subprocess, sys, termios
pid, master = pty.fork()
if pid == 0:
    spoil = "import tty, fcntl, os, termios\ntty.setraw(0); fcntl.ioctl(0, termios.TIOCEXCL); fcntl.fcntl(1, fcntl.F_SETFL, os.O_RDWR | os.O_NONBLOCK); termios.tcflow(1, termios.TCOOFF)"
    before = termios.tcgetattr(0), fcntl.fcntl(1, fcntl.F_GETFL)
    subprocess.run([*sys.argv[1:], "/usr/bin/python3", "-c", spoil])
    same = (termios.tcgetattr(0), fcntl.fcntl(1, fcntl.F_GETFL)) == before and select.select([], [1], [], 0)[1] == [1]
    termios.tcflow(1, termios.TCOON)
    fcntl.fcntl(1, fcntl.F_SETFL, before[1])
    os.write(1, b"=same=" if same else b"=spoilt="); os._exit(0)
said = b""
try:
    while part := os.read(master, 1000): said += part
except OSError: pass
print(said.decode().split("=")[1]); os.waitpid(pid, 0)"#;
    let after = |flags: &[&str]| {
        let mut python = Command::new("/usr/bin/python3");
        python.args(["-c", script]).arg(seclude_bin()).arg("run").args(flags).current_dir("/usr");
        stdout_of(&python.stdin(Stdio::null()).output().expect("python3"))
    };
    assert_eq!(after(&[]), "same");
    assert_eq!(after(&["--tty"]), "same");
    assert_eq!(after(&["--bare"]), "spoilt", "by whoever is nobody's business");
}

#[test]
fn a_terminal_keeps_its_line_discipline_and_a_container_leaves_others_some() {
    // TIOCSETD, N_NULL: nothing is read there any more, nor by whoever comes after.
    let other = "import fcntl, struct\n\
        try: fcntl.ioctl(0, 0x5423, struct.pack('i', 27)); print('taken')\nexcept OSError as error: print(error.errno)";
    let usr = Path::new("/usr");
    let said = |flags: &[&str], script: &str| stdout_of(&run(usr, flags, script)).trim().to_owned();
    assert_eq!(said(&["--tty"], other), "1");
    // By whoever allows it: nothing more is said there.
    let taken = "import fcntl, os, struct; fcntl.ioctl(0, 0x5423, struct.pack('i', 27)); os._exit(7)";
    assert_eq!(run(usr, &["--tty", "--allow-syscall", "ioctl"], taken).status.code(), Some(7));
    let all = "import os\nmade = []\n\
        try:\n    while len(made) < 300: made.append(os.open('/dev/ptmx', os.O_RDWR | os.O_NOCTTY))\n\
        except OSError as error: print(error.errno, end=' ')\nprint(len(made))";
    assert_eq!(said(&[], all), "28 256");
    assert_eq!(said(&["--bare", "--unshare", "user"], all), "300", "of the host's");
}

/// The beginning of a script that says what a request of ioctl(2) answers: its error's number, or 0.
const REQUEST: &str = "import ctypes, fcntl, os, pty\nlibc = ctypes.CDLL(None, use_errno=True)\n\
    def ask(fd, request, size=512):\n    ctypes.set_errno(0)\n    \
    libc.ioctl(fd, ctypes.c_ulong(request), ctypes.create_string_buffer(size))\n    return ctypes.get_errno()\n";

#[test]
fn a_serial_terminal_has_no_loop_by_which_what_is_written_is_typed() {
    // TIOCMBIS, TIOCMBIC, TIOCMSET, TIOCSSERIAL, TIOCSRS485. A pseudoterminal has no such lines.
    let script = format!(
        "{REQUEST}slave = pty.openpty()[1]\nprint([ask(slave, it) for it in (0x5416, 0x5417, 0x5418, 0x541f, 0x542f)])"
    );
    let usr = Path::new("/usr");
    assert_eq!(stdout_of(&run(usr, &[], &script)).trim(), "[1, 1, 1, 1, 1]");
    assert!(!python(usr, &script).contains("1,"), "{}", python(usr, &script));
}

#[test]
fn requests_of_a_file_system_reach_no_further_than_the_file() {
    // FS_IOC_REMOVE_ENCRYPTION_KEY, FS_IOC_ADD_ENCRYPTION_KEY, BTRFS_IOC_SNAP_CREATE_V2, BTRFS_IOC_SNAP_DESTROY_V2, BCH_IOCTL_SUBVOLUME_CREATE.
    let beyond = "(0xc0406618, 0xc0506617, 0x50009417, 0x5000943f, 0x4020bc10)";
    let scratch = Scratch::new("requests");
    opened(&scratch);
    let script = format!("{REQUEST}here = os.open('.', os.O_RDONLY)\nprint([ask(here, it, 8192) for it in {beyond}])");
    for flags in [&[][..], &["--rw", "."], &["--seccomp", "none"], &["--preset", "host"]] {
        assert_eq!(stdout_of(&run(scratch.path(), flags, &script)).trim(), "[1, 1, 1, 1, 1]", "{flags:?}");
    }
    assert_ne!(python(scratch.path(), &script).trim(), "[1, 1, 1, 1, 1]");
    // Its own attributes stay: FS_IOC_GETFLAGS, FS_IOC_SETFLAGS with what it has.
    let own = "import fcntl, os, struct\nf = os.open('file', os.O_RDWR | os.O_CREAT)\n\
        try:\n    flags = fcntl.ioctl(f, 0x80086601, bytes(8)); fcntl.ioctl(f, 0x40086602, flags); print('kept')\n\
        except OSError as error: print(error.errno)";
    assert_eq!(stdout_of(&run(scratch.path(), &["--rw", "."], own)), python(scratch.path(), own));
}

#[test]
fn what_all_of_the_machine_has_together_is_not_taken_by_one() {
    if !cfg!(target_arch = "x86_64") {
        return;
    }
    // io_setup(2) counts against fs.aio-max-nr; MAP_HUGETLB, MFD_HUGETLB and SHM_HUGETLB take pages of vm.nr_hugepages.
    let script = "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\n\
        def call(*given):\n    ctypes.set_errno(0)\n    \
        answer = libc.syscall(*[ctypes.c_long(it) if isinstance(it, int) else it for it in given])\n    \
        return ctypes.get_errno() if answer < 0 else 0\n\
        print(call(206, 1, ctypes.byref(ctypes.c_ulong())), call(9, 0, 1 << 21, 3, 0x40022, -1, 0), call(319, b'x', 4), call(29, 0, 1 << 21, 0o4600), end=' ')\n\
        import socket, struct\n\
        label = struct.pack('16sIBBHHHI', bytes(15) + b'\\1', 0, 0, 1, 1, 0, 0, 0)\n\
        def sets(kind, *option):\n    \
        try: socket.socket(kind, socket.SOCK_DGRAM).setsockopt(*option); return 0\n    \
        except OSError as error: return error.errno\n\
        filters = ctypes.create_string_buffer(struct.pack('HBBI', 6, 0, 0, 1))\n\
        attached = struct.pack('HxxxxxxP', 1, ctypes.addressof(filters))\n\
        print(sets(socket.AF_INET6, 41, 32, label), call(447, 0), sets(socket.AF_UNIX, 1, 26, attached), end=' ')\n\
        import os\n\
        filters = ctypes.create_string_buffer(struct.pack('HBBI', 6, 0, 0, 0x7fff0000))\n\
        attached = ctypes.create_string_buffer(struct.pack('HxxxxxxP', 1, ctypes.addressof(filters)))\n\
        libc.prctl(38, 1, 0, 0, 0)\n\
        def listens(): ctypes.set_errno(0); libc.syscall(317, 1, 8, attached); return ctypes.get_errno()\n\
        def open_load():\n    \
        try: os.close(os.open('/proc/pressure/cpu', os.O_RDWR)); return 0\n    \
        except OSError as error: return error.errno\n\
        print(listens(), open_load())";
    let usr = Path::new("/usr");
    let said = |flags: &[&str]| stdout_of(&run(usr, flags, script)).trim().to_owned();
    let load = if Path::new("/proc/pressure").exists() { "30" } else { "2" };
    for flags in [&[][..], &["--no-denials"]] {
        assert_eq!(said(flags), format!("38 12 22 12 92 38 1 16 {load}"), "{flags:?}");
    }
    assert!(said(&["--cap-add", "NET_RAW"]).ends_with(&format!(" 0 16 {load}")), "who makes packets filters them");
    assert!(said(&["--allow-syscall", "io_setup"]).starts_with("0 12"));
    // (The pool may be empty.)
    let outside = python(usr, script);
    // (A machine may have no IPv6, and no secret memory.)
    let [setup, _, memfd, _, label, _, filter, listener, _] = outside.split_whitespace().collect::<Vec<_>>()[..] else {
        panic!("{outside}")
    };
    assert_eq!((setup, memfd, filter, listener), ("0", "0", "0", "0"), "{outside}");
    assert!(label == "0" || !Path::new("/proc/net/if_inet6").exists(), "{outside}");
}

#[test]
fn the_file_that_confines_the_command_is_not_the_commands_to_write() {
    let scratch = Scratch::new("own-spec");
    let project = scratch.directory("project");
    let below = project.join("conf");
    std::fs::create_dir(&below).unwrap();
    opened(&scratch);
    for path in [&project, &below] {
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    }
    let change = "cd project; for file in box.toml conf/box.toml; do echo 'preset = \"bare\"' > $file; rm -f $file; mv $file other; \
        mv conf elsewhere && mkdir conf && echo evil > conf/box.toml; done; echo made > new; echo made > conf/new";
    let content = |way: &str| format!("{way}\ncommand = [\"sh\", \"-c\", '''{change}''']\nworkdir = \"/\"\n");
    let rw = |up: &str| format!("rw = [\"{up}.\"]");
    let bind = |up: &str| format!("[[mounts]]\ntype = \"bind\"\nsource = \"{up}.\"\ntarget = \"/mnt/project\"\n");
    for (spec, up) in [("box.toml", ""), ("conf/box.toml", "../")] {
        for (kind, way) in [("rw", rw(up)), ("bind", bind(up))] {
            let command =
                content("").replace("cd project", if kind == "rw" { "cd 'PROJECT'" } else { "cd /mnt/project" });
            let text = command.replace("PROJECT", project.to_str().unwrap()) + &way;
            let text = text.trim_start().to_owned();
            std::fs::write(project.join(spec), &text).unwrap();
            let output = seclude_command(&["run", "--spec", project.join(spec).to_str().unwrap()]).output().unwrap();
            assert_eq!(std::fs::read_to_string(project.join(spec)).unwrap(), text, "{kind} {spec}: {output:?}");
            assert!(project.join("new").exists(), "{kind} {spec}: the rest can be written: {output:?}");
            assert_eq!(project.join("elsewhere").exists(), spec == "box.toml", "{kind} {spec}: {output:?}");
            for left in ["elsewhere", "other", "new"] {
                let _ = std::fs::remove_file(project.join(left));
                let _ = std::fs::remove_dir_all(project.join(left));
            }
            std::fs::create_dir_all(&below).unwrap();
            let _ = std::fs::remove_file(below.join("new"));
            std::fs::set_permissions(&below, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
        }
    }
    // What is named itself is meant.
    let own = project.join("box.toml");
    std::fs::write(
        &own,
        format!("rw = [\"box.toml\"]\ncommand = [\"sh\", \"-c\", \"echo changed > {}\"]\n", own.display()),
    )
    .unwrap();
    std::fs::set_permissions(&own, std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
    assert!(seclude_command(&["run", "--spec", own.to_str().unwrap()]).status().unwrap().success());
    assert_eq!(std::fs::read_to_string(&own).unwrap(), "changed\n");
}

#[test]
fn what_confines_is_kept_by_whatever_name_it_can_be_written() {
    let scratch = Scratch::new("other-name");
    let project = scratch.directory("project");
    scratch.directory("elsewhere");
    opened(&scratch);
    std::fs::set_permissions(&project, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    let (path, spec) = (scratch.path().display(), project.join("box.toml"));
    let program = seclude_tests::seclude_bin();
    let written = |flags: &str, at: &str| {
        let text = format!("command = [\"sh\", \"-c\", \"echo evil > {at}/box.toml; echo made > {at}/new\"]\n");
        std::fs::write(&spec, &text).unwrap();
        std::fs::set_permissions(&spec, std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
        let script = format!(
            "{} && cd / && '{}' run --spec '{}' {flags} 2>&1",
            if is_root() { format!("mount --bind '{path}/project' '{path}/elsewhere'") } else { "true".into() },
            program.display(),
            spec.display()
        );
        let unshare: &[&str] = if is_root() { &["unshare", "--mount"] } else { &["env"] };
        let output =
            std::process::Command::new(unshare[0]).args(&unshare[1..]).args(["sh", "-c", &script]).output().unwrap();
        let made = std::fs::remove_file(project.join("new")).is_ok();
        (std::fs::read_to_string(&spec).unwrap() != text, made, String::from_utf8_lossy(&output.stdout).into_owned())
    };
    // By another mount of the directory, which only root makes here.
    if is_root() {
        let at = format!("{path}/elsewhere");
        for (flags, at) in [(format!("--rw {at}"), at.as_str()), (format!("--bind {at}:/mnt/x"), "/mnt/x")] {
            let (changed, made, said) = written(&flags, at);
            assert!(!changed && made, "{flags}: {said}");
        }
    }
    // By a second name in the same directory.
    let at = project.to_str().unwrap();
    let (changed, made, said) = written(&format!("--rw {at}"), at);
    assert!(!changed && made, "{said}");
    std::fs::hard_link(&spec, project.join("other")).unwrap();
    let (changed, made, said) = written(&format!("--rw {at}"), at);
    assert!(!changed && !made && said.contains("has other names as well (hard links)"), "{said}");
}

#[test]
fn no_name_of_a_file_speaks_to_the_terminal_or_as_seclude() {
    let scratch = Scratch::new("names");
    let directory = scratch.path().join(std::ffi::OsStr::from_bytes(b"e\x1b]0;x\x07\nseclude: forged\xc2\x9b31m"));
    std::fs::create_dir(&directory).unwrap();
    opened(&scratch);
    let missing = directory.join("nope");
    let missing = missing.to_str().unwrap();
    let refused = [
        vec!["run", "--ro", "./nope", "--", "true"],
        vec!["run", "--bind", missing, "--", "true"],
        vec!["run", "--", missing],
        vec!["run", "--report", missing, "--", "true"],
        vec!["run", "--spec", missing],
        vec!["run", "--workdir", missing, "--", "true"],
        vec!["why", "read", missing],
        vec!["explain", "true"],
    ];
    for arguments in refused {
        let child =
            seclude_command(&arguments).current_dir(&directory).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let output = child.unwrap().wait_with_output().unwrap();
        for said in [output.stdout, output.stderr] {
            for line in BufReader::new(&said[..]).lines().map(|line| line.expect("UTF-8")) {
                assert!(
                    !line.contains(char::is_control) && !line.starts_with("seclude: forged"),
                    "{arguments:?}: {line:?}"
                );
            }
        }
    }
}

#[test]
fn how_it_went_is_not_the_commands_to_say() {
    let scratch = Scratch::new("own-report");
    let project = scratch.directory("project");
    opened(&scratch);
    std::fs::set_permissions(&project, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    let forge = "yes evil | head -c 9000 > report; rm -f report; echo '{\"code\": 0}' > other; mv other report; echo made > new; exit 3";
    let script = format!("cd '{}'; {forge}", project.display());
    let report = project.join("report");
    let flags = ["run", "--report", report.to_str().unwrap(), "--rw", project.to_str().unwrap(), "sh", "-c", &script];
    let output = seclude_command(&flags).output().unwrap();
    let text = std::fs::read_to_string(&report).unwrap();
    let told: serde_json::Value =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text} {output:?}"));
    assert_eq!((output.status.code(), told["code"].as_i64()), (Some(3), Some(3)), "{text}");
    assert!(project.join("new").exists(), "the rest can be written: {output:?}");
}

/// What a container of root's may move, though it may not look into it, goes by nobody's clean-up.
#[test]
fn what_the_command_has_put_where_something_goes_at_the_end_stays() {
    root_only!();
    let place = Scratch::new("put-there");
    let another = |name: &str| {
        place.file(format!("{name}/key"), "precious");
        for path in [place.join(name), place.join(format!("{name}/key"))] {
            std::os::unix::fs::chown(path, Some(1001), Some(1001)).unwrap();
        }
        std::fs::set_permissions(place.join(name), std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    };
    let is_whole = |path: &str| place.join(path).join("key").exists();
    let closed = "import os\ntry: os.listdir(v); print('seen')\nexcept PermissionError: print('closed')\n";
    // Without namespaces: the command's own directory, by one call.
    place.directory("temporary");
    std::fs::set_permissions(place.join("temporary"), std::os::unix::fs::PermissionsExt::from_mode(0o1777)).unwrap();
    another("temporary/victim");
    let victim = place.join("temporary/victim").display().to_string();
    let script = format!(
        "v = '{victim}'\n{closed}import ctypes\nown = os.path.dirname(os.environ['HOME']).encode()\n\
         exchanged = ctypes.CDLL(None).renameat2(-100, own, -100, v.encode(), 2)\nprint(exchanged, own.decode())"
    );
    let temporary = place.join("temporary").display().to_string();
    let arguments = ["run", "--no-namespaces", "--rw", &temporary, "python3", "-c", &script];
    let output = seclude_command(&arguments).current_dir("/usr").env("TMPDIR", &temporary).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let own = said.lines().last().and_then(|line| line.strip_prefix("0 ")).expect("it was exchanged").to_owned();
    assert!(said.starts_with("closed\n"), "{said}");
    assert!(Path::new(&own).join("key").exists(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("another lies there by now"), "{output:?}");
    assert_eq!(output.status.code(), Some(125), "the command's success does not hide it");

    // As another user: what is its own goes, and what of root's it has moved along with that stays.
    place.file("of-users/build/keys/key", "root's");
    place.file("of-users/plain/text", "the user's");
    for path in ["of-users", "of-users/build", "of-users/plain", "of-users/plain/text"] {
        std::os::unix::fs::chown(place.join(path), Some(1000), Some(1000)).unwrap();
    }
    let users = place.join("of-users").display().to_string();
    for (moved, stays) in [("plain", false), ("build", true)] {
        let script = format!("mv {users}/{moved} $HOME/ && echo $HOME");
        let arguments = ["run", "--no-namespaces", "--user", "1000", "--rw", &users, "sh", "-c", &script];
        let output = seclude_command(&arguments).current_dir("/usr").env("TMPDIR", &temporary).output().unwrap();
        let home = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        let own = Path::new(&home).parent().expect("the command's own directory");
        assert_eq!(own.exists(), stays, "{output:?}");
        let keys = outside(&format!("find {} -path '*/keys/key'", own.parent().unwrap().display()));
        assert_eq!(keys.lines().count(), usize::from(stays), "{output:?}");
        assert_eq!(output.status.success(), !stays, "{output:?}");
    }

    // In an overlay's work directory: what the kernel leaves there goes, and nothing else that has its name.
    for name in ["overlay/upper", "overlay/work", "lower"] {
        place.directory(name);
    }
    another("overlay/homes/alice");
    let overlay = place.join("overlay").display().to_string();
    let mount = format!("lower={},upper={overlay}/upper,work={overlay}/work,to=/mnt", place.join("lower").display());
    let run = |script: &str| {
        let arguments = ["run", "--rw", &overlay, "--overlay-mount", &mount, "python3", "-c", script];
        seclude_command(&arguments).current_dir("/usr").output().unwrap()
    };
    let ended = run("open('/mnt/file', 'w').write('text')");
    assert!(ended.status.success(), "{ended:?}");
    assert_eq!(std::fs::read_dir(place.join("overlay/work")).unwrap().count(), 0, "the kernel's own goes");
    let output = run(&format!(
        "v = '{overlay}/homes/alice'\n{closed}os.rename('{overlay}/work/work', '{overlay}/work/aside')\n\
         os.rename('{overlay}/homes', '{overlay}/work/work')"
    ));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "closed\n", "{output:?}");
    assert!(is_whole("overlay/work/work/alice"), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("a directory of user 1001's is in"), "{output:?}");
}
