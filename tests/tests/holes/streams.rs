//! 9: what stdin, stdout and stderr lead to.

use std::fs;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output, Stdio};

use seclude_tests::{Scratch, is_root, refusal, seclude_bin, seclude_command, stdout_of};

use super::opened;

fn run(flags: &[&str], script: &str, stdin: impl Into<Stdio>) -> Output {
    let arguments = [&["run"], flags, &["--", "/bin/sh", "-c", script]].concat();
    seclude_command(&arguments).stdin(stdin).output().unwrap()
}

#[test]
fn a_file_as_stdin_is_read_from_where_the_caller_is_and_never_written() {
    let own = Scratch::new("stdin");
    opened(&own);
    let path = own.file("file", "first\nsecond\n");
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    let mut file = fs::File::options().read(true).write(true).open(&path).unwrap();
    file.seek(SeekFrom::Start(6)).unwrap();
    let script = "cat; chmod 777 /proc/self/fd/0 || echo no mode; { echo x > /proc/self/fd/0; } || echo no write; cat /dev/stdin";
    let said = run(&[], script, file.try_clone().unwrap());
    assert_eq!(stdout_of(&said), "second\nno mode\nno write\nfirst\nsecond");
    assert_eq!(file.stream_position().unwrap(), 6, "the caller is where it was");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode(), mode);
    // As it is, whoever owns the file can do all of that.
    let flags: &[&str] = if is_root() { &["--stdio", "pass", "--host-root"] } else { &["--stdio", "pass"] };
    let said = run(flags, script, file.try_clone().unwrap());
    assert!(!stdout_of(&said).contains("no mode"), "{said:?}");
    fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
}

#[test]
fn a_file_that_lies_nowhere_is_relayed() {
    let own = Scratch::new("removed");
    let path = own.file("file", "of nobody\n");
    let file = fs::File::open(&path).unwrap();
    fs::remove_file(&path).unwrap();
    let memory = rustix::fs::memfd_create("test", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
    let mut memory = fs::File::from(memory);
    memory.write_all(b"of memory\n").unwrap();
    memory.rewind().unwrap();
    let truncate = "cat; ( : > /proc/self/fd/0 ) 2> /dev/null || echo no write";
    for (file, text) in [(file, "of nobody\n"), (memory, "of memory\n")] {
        let kept = file.try_clone().unwrap();
        let said = run(&[], truncate, file);
        assert!(stdout_of(&said).starts_with(text.trim_end()), "{said:?}");
        // What the command opened anew was not the caller's file.
        assert_eq!(kept.metadata().unwrap().len(), text.len() as u64, "{said:?}");
        // Without a relay it is, if one may open it for writing.
        let mut again = kept.try_clone().unwrap();
        again.rewind().unwrap();
        let said = Command::new("/bin/sh").args(["-c", truncate]).stdin(again).output().unwrap();
        assert_eq!((stdout_of(&said).as_str(), kept.metadata().unwrap().len()), (text.trim_end(), 0));
    }
    let large = own.file("large", &"0123456789abcdef".repeat(1 << 16));
    let file = fs::File::open(&large).unwrap();
    fs::remove_file(&large).unwrap();
    assert_eq!(stdout_of(&run(&[], "sleep 0.1; cat | wc -c", file)), "1048576");
}

#[test]
fn a_directory_is_no_stream() {
    for (flags, number) in [(&[][..], 0), (&["--stdio", "pass"], 0), (&["--bare", "--unshare", "user,mount"], 0)] {
        let line = refusal(125, &run(flags, "ls /proc/self/fd/0/", fs::File::open("/").unwrap()));
        assert!(line.contains("stdin is a directory"), "{flags:?} {number}: {line}");
    }
    // Where the tree is the caller's there is nothing to see by it.
    let said = run(&["--bare", "--unshare", "user"], "ls -d /proc/self/fd/0/etc", fs::File::open("/").unwrap());
    assert_eq!(stdout_of(&said), "/proc/self/fd/0/etc");
}

#[test]
fn a_disk_that_the_commands_user_owns_is_not_handed_on_to_be_read() {
    seclude_tests::root_only!();
    let own = Scratch::new("disk");
    let node = own.join("disk");
    // Of a loop device that nothing is behind.
    let made =
        std::process::Command::new("mknod").args(["-m600", node.to_str().unwrap(), "b", "7", "5"]).status().unwrap();
    assert!(made.success());
    let device = || rustix::fs::open(&node, rustix::fs::OFlags::RDONLY, rustix::fs::Mode::empty());
    let Ok(given) = device() else { return };
    let line = refusal(125, &run(&["--host-root"], "true", given));
    assert!(line.contains("stdin is a device that the command's user owns"), "{line}");
    // Whose it is not opens it for nothing.
    let change = "chmod 644 /proc/self/fd/0 2> /dev/null || ( : >> /proc/self/fd/0 ) 2> /dev/null || echo kept";
    assert_eq!(stdout_of(&run(&[], change, device().unwrap())), "kept");
}

#[test]
fn the_streams_can_be_opened_by_their_names_whoever_the_command_is() {
    let script = "echo out > /dev/stdout; echo err > /dev/stderr; cat < /dev/stdin";
    let mut ways = vec![vec![], vec!["--user", "1000"], vec!["--stdio", "pipe"]];
    if is_root() {
        ways.extend([vec!["--map-subids"], vec!["--host-root"]]);
    }
    for flags in ways {
        let mut child = seclude_command(&[&["run"], &flags[..], &["--", "/bin/sh", "-c", script]].concat())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(b"in\n").unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "out\nin\n", "{flags:?} {output:?}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "err\n", "{flags:?}");
        // The same of the library's own pipes.
        let mut command = seclude::Command::new("/bin/sh");
        command.args(["-c", script]).sandbox();
        if flags.contains(&"--user") {
            command.uid(if is_root() { 1000 } else { 0 });
        }
        let output = command.output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "out\n", "{output:?}");
    }
}

#[test]
fn a_pipe_that_others_read_from_too_is_not_written_to_by_its_reader() {
    if !is_root() {
        eprintln!("skipped: an ordinary user's pipes are its container's root's, who can open both ends");
        return;
    }
    let script = "read first; echo got $first; (echo forged > /dev/stdin) 2> /dev/null || echo refused; \
                  (timeout 1 cat < /dev/stdout) 2> /dev/null || echo closed; echo named > /dev/stdout";
    let bin = seclude_bin();
    for flags in ["", "--user 1000", "--cap-add ALL", "--stdio pass", "--map-subids"] {
        let run = format!("'{}' run {flags} -- sh -c '{script}'", bin.display());
        let all = format!("(echo one; sleep 0.5; echo two) | {{ {run}; read -r next; echo then $next; }} | cat");
        let output = Command::new("sh").args(["-c", &all]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(said, "got one\nrefused\nclosed\nnamed\nthen two\n", "{flags}: {output:?}");
    }
    // With the ids of the host's root it has all that root has.
    let script = "read first; echo forged > /dev/stdin";
    let all = format!(
        "echo one | {{ '{}' run --host-root -- sh -c '{script}'; read -r next; echo then $next; }}",
        bin.display()
    );
    let output = Command::new("sh").args(["-c", &all]).output().unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).ends_with("then forged\n"), "{output:?}");
}

#[test]
fn a_log_of_another_user_is_not_opened_wider_than_it_was_given() {
    if !is_root() {
        eprintln!("skipped: needs root");
        return;
    }
    let own = Scratch::new("log");
    opened(&own);
    let path = own.file("log", "before\n");
    let log = || fs::File::options().append(true).open(&path).unwrap();
    let script = "echo one; chmod 777 /proc/self/fd/1; : > /proc/self/fd/1; timeout 0.3 cat /proc/self/fd/1";
    let arguments = ["run", "--", "/bin/sh", "-c", script];
    seclude_command(&arguments).stdout(log()).stderr(Stdio::null()).status().unwrap();
    let mut said = String::new();
    fs::File::open(&path).unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(said, "before\none\n");
    // Relayed, it is the same for every caller.
    let script = "echo one; chmod 777 /proc/self/fd/1; : > /proc/self/fd/1";
    let arguments = ["run", "--stdio", "pipe", "--host-root", "--", "/bin/sh", "-c", script];
    seclude_command(&arguments).stdout(log()).stderr(Stdio::null()).status().unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "before\none\none\n");
}

#[test]
fn a_file_that_others_may_read_or_write_is_theirs_no_more_by_a_descriptor_of_it() {
    if !is_root() {
        eprintln!("skipped: needs root");
        return;
    }
    let own = Scratch::new("others");
    opened(&own);
    let private = own.directory("private");
    fs::set_permissions(&private, PermissionsExt::from_mode(0o700)).unwrap();
    let path = private.join("log");
    let fresh = || {
        fs::write(&path, "secret\n").unwrap();
        fs::set_permissions(&path, PermissionsExt::from_mode(0o666)).unwrap();
    };
    let log = || fs::File::options().append(true).open(&path).unwrap();
    // Each tries to read what was written before, and to empty it: as it is handed on, and as it would be without the mend.
    let script = "timeout 0.3 cat < /proc/self/fd/N >&N; : > /proc/self/fd/N; echo said >&N";
    let tried = |flags: &[&str], number: &str, output: Stdio| {
        let script = script.replace('N', number);
        let arguments = [&["run"], flags, &["--", "/bin/sh", "-c", &script]].concat();
        seclude_command(&arguments).stdout(output).stderr(Stdio::null()).status().unwrap();
        fs::read_to_string(&path).unwrap()
    };
    fresh();
    assert_eq!(tried(&["--stdio", "pass"], "1", log().into()), "said\n", "as it is, it is emptied");
    fresh();
    assert_eq!(tried(&[], "1", log().into()), "secret\nsaid\n");
    fresh();
    let tried = |flags: &str, redirection: &str| {
        let (seclude, path) = (seclude_tests::seclude_bin(), path.display());
        let line = format!("{} run {flags} {redirection}{path}", seclude.display());
        Command::new("/bin/sh").args(["-c", &line]).stdin(Stdio::null()).output().unwrap()
    };
    tried("--fd 5 -- sh -c 'timeout 0.3 cat < /proc/self/fd/5 >&2; : > /proc/self/fd/5; echo said >&5'", "5>>");
    assert_eq!(fs::read_to_string(&path).unwrap(), "secret\nsaid\n");
    // What goes to one file by two numbers keeps its order.
    fresh();
    let lines = "for i in $(seq 200); do echo $i; echo e$i >&2; done";
    tried(&format!("-- sh -c '{lines}'"), "2>&1 >>");
    let swapped = fs::read_to_string(&path).unwrap();
    assert_eq!(swapped.lines().count(), 201, "stdout alone");
    fresh();
    let output = Command::new("/bin/sh")
        .args([
            "-c",
            &format!(
                "exec >> {} 2>&1; {} run -- sh -c '{lines}'",
                path.display(),
                seclude_tests::seclude_bin().display()
            ),
        ])
        .stdin(Stdio::null())
        .status();
    assert!(output.unwrap().success());
    let wanted: Vec<String> = (1..=200).flat_map(|i| [i.to_string(), format!("e{i}")]).collect();
    assert_eq!(fs::read_to_string(&path).unwrap().lines().skip(1).collect::<Vec<_>>(), wanted);
    // Also where the ids are others without a user namespace.
    fresh();
    tried(
        "--share user --user 1000 -- sh -c 'timeout 0.3 cat < /proc/self/fd/1 >&2; : > /proc/self/fd/1; echo said'",
        ">>",
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), "secret\nsaid\n");
    // What cannot be relayed is refused, unless others come to it anyway.
    let line = refusal(125, &tried("--fd 5 -- true", "5<"));
    assert!(line.contains("descriptor 5 is a file that its mode opens to others"), "{line}");
    let mut nobody_stays = seclude::Command::new("/bin/true");
    let error = nobody_stays.sandbox().die_with_parent(false).stdout(log()).spawn().unwrap_err();
    assert!(error.to_string().contains("stdout is a file that its mode opens to others"), "{error}");
    // What nobody can write any more is handed on, whatever its mode.
    let flags = rustix::fs::MemfdFlags::CLOEXEC | rustix::fs::MemfdFlags::ALLOW_SEALING;
    let sealed = rustix::fs::memfd_create("sealed", flags).unwrap();
    let opened = fs::File::open(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&sealed))).unwrap();
    let mut handed = seclude::Command::new("/bin/true");
    let unsealed = handed.sandbox().fd(opened.try_clone().unwrap(), 5).spawn();
    assert!(unsealed.is_err(), "{unsealed:?}");
    rustix::fs::fcntl_add_seals(&sealed, rustix::fs::SealFlags::WRITE).unwrap();
    assert!(handed.spawn().unwrap().wait().unwrap().success());
    fs::set_permissions(&private, PermissionsExt::from_mode(0o755)).unwrap();
    assert!(tried("--fd 5 -- sh -c 'grep -q secret <&5'", "5<").status.success());
}

#[test]
fn a_terminal_or_device_of_its_own_user_keeps_its_mode_and_works() {
    use rustix::fs::{Mode, OFlags, open};
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap();
    let slave = open(name.as_c_str(), OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty()).unwrap();
    let mode = || rustix::fs::fstat(&slave).unwrap().st_mode & 0o777;
    let before = mode();
    let change = "import os, termios\n\
        for number in range(3):\n    try: os.fchmod(number, 0o646)\n    except OSError: pass\n\
        termios.tcgetattr(0); termios.tcgetattr(2); os.write(1, b'works\\n'); print(os.isatty(0), os.isatty(1))";
    let tried = |flags: &[&str]| {
        let stream = || Stdio::from(slave.try_clone().unwrap());
        let arguments = [&["run"], flags, &["--", "python3", "-c", change]].concat();
        let mut command = seclude_command(&arguments);
        assert!(command.stdin(stream()).stdout(stream()).stderr(stream()).status().unwrap().success());
        let mut said = [0; 256];
        let length = rustix::io::read(&master, &mut said).unwrap();
        assert!(String::from_utf8_lossy(&said[..length]).starts_with("works"), "{said:?}");
        let changed = mode();
        rustix::fs::fchmod(&slave, Mode::from_raw_mode(before)).unwrap();
        changed
    };
    let own: &[&str] = if is_root() { &["--host-root"] } else { &[] };
    assert_eq!(tried(own), before);
    if is_root() {
        rustix::fs::fchown(&slave, Some(rustix::fs::Uid::from_raw(1000)), None).unwrap();
        assert_eq!(tried(&["--share", "user", "--user", "1000"]), before, "of whoever the command is");
        rustix::fs::fchown(&slave, Some(rustix::fs::Uid::from_raw(0)), None).unwrap();
    }
    assert_eq!(tried(&[own, &["--stdio", "pass"]].concat()), 0o646, "as it is, its owner changes it");
    if is_root() {
        assert_eq!(tried(&[]), before, "whoever does not own it cannot");
        // The host's /dev/null, with other words.
        let null = fs::metadata("/dev/null").unwrap().permissions().mode();
        let said = run(&["--host-root"], "chmod 600 /proc/self/fd/0 2>&1 | grep -c Read-only", Stdio::null());
        assert_eq!(stdout_of(&said), "1");
        let mut command = seclude::Command::new("/bin/chmod");
        command.args(["600", "/proc/self/fd/0"]).sandbox().host_root().stdin(seclude::Stdio::null());
        assert!(!command.output().unwrap().exit.success());
        assert_eq!(fs::metadata("/dev/null").unwrap().permissions().mode(), null);
    }
}

#[test]
fn a_file_of_the_callers_own_is_not_opened_wider_either() {
    let own = Scratch::new("own");
    opened(&own);
    // As an ordinary user, and as root that keeps its id: the command owns the file.
    let ids: &[&str] = if is_root() { &["--host-root"] } else { &[] };
    let path = own.file("log", "");
    let tried = |flags: &[&str], number: u8, redirection: &str| {
        fs::write(&path, "before\n").unwrap();
        fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
        let script = format!(
            "chmod 777 /proc/self/fd/{number}; timeout 0.3 cat < /proc/self/fd/{number} >&2; : > /proc/self/fd/{number}; echo said >&{number}"
        );
        let line = [&["run"], ids, flags, &["--", "sh", "-c", &format!("'{script}'")]].concat().join(" ");
        let line = format!("{} {line} {redirection}{}", seclude_tests::seclude_bin().display(), path.display());
        let said = Command::new("/bin/sh").args(["-c", &line]).stdin(Stdio::null()).output().unwrap();
        let read = String::from_utf8_lossy(&said.stderr).contains("before");
        (fs::read_to_string(&path).unwrap(), fs::metadata(&path).unwrap().permissions().mode() & 0o777, read)
    };
    for (flags, number, redirection) in
        [(&[][..], 1, ">>"), (&["--fd", "5"][..], 5, "5>>"), (&["--stdio", "pipe"][..], 1, ">>")]
    {
        let got = tried(flags, number, redirection);
        assert_eq!(got, ("before\nsaid\n".into(), 0o600, false), "{flags:?} {redirection}");
    }
    // To be written and read by whoever opened it, as temporary files are, and to be read alone.
    assert_eq!(tried(&[], 1, "1<>"), ("said\ne\n".into(), 0o600, false));
    assert_eq!(tried(&["--fd", "5"], 5, "5<"), ("before\n".into(), 0o600, true));
    // By mistake, where something is to be written.
    for (number, redirection) in [(1, "1<"), (2, "2<")] {
        let (text, mode, _) = tried(&[], number, redirection);
        assert_eq!((text.as_str(), mode), ("before\n", 0o600), "{redirection}");
        let passed = tried(&["--stdio", "pass"], number, redirection);
        assert_eq!(passed.1, 0o777, "{redirection} as it is handed on");
    }
    // As they are handed on, all of it is done to them.
    assert_eq!(tried(&["--stdio", "pass"], 1, ">>"), ("said\n".into(), 0o777, true));
    assert_eq!(tried(&["--fd", "5"], 5, "5<>").1, 0o777, "what was given to be changed");
}

#[test]
fn who_may_write_to_a_file_does_not_write_it_from_its_beginning() {
    let own = Scratch::new("appended");
    opened(&own);
    let path = own.file("log", "");
    // ftruncate(2) does not ask for O_APPEND, and F_SETFL takes it away: nobody has to open anything.
    let script = "import fcntl, os\nfor attack in (lambda: os.ftruncate(1, 0), lambda: os.pwrite(1, b'X', 0), lambda: \
        (fcntl.fcntl(1, fcntl.F_SETFL, 0), os.lseek(1, 0, 0), os.write(1, b'Y'))):\n    try: attack()\n    except OSError: pass";
    let tried = |flags: &[&str]| {
        std::fs::write(&path, "before").unwrap();
        fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
        let log = fs::File::options().append(true).open(&path).unwrap();
        let arguments = [&["run"], flags, &["--", "python3", "-c", script]].concat();
        seclude_command(&arguments).current_dir("/usr").stdout(log).status().unwrap();
        fs::read_to_string(&path).unwrap()
    };
    let mut ways = vec![vec![], vec!["--preset", "host"], vec!["--no-namespaces"]];
    if is_root() {
        ways.push(vec!["--host-root"]);
    }
    for flags in ways {
        assert_eq!(tried(&flags), "before", "{flags:?}");
    }
    assert_eq!(tried(&["--stdio", "pass"]), "Y", "as it is");
}

/// Whom a socket that is undone and connected again reaches, of a server on the caller's loopback.
const RECONNECT: &str = "import ctypes, os, socket, sys\nctypes.CDLL(None).connect(0, bytes(16), 16)\n\
    try: s = socket.socket(fileno=0); s.setblocking(True); s.connect(('127.0.0.1', int(sys.argv[1]))); sys.stdout.write('reached')\n\
    except OSError as error: sys.stdout.write('not reached')";

#[test]
fn a_connection_as_a_stream_leads_nobody_out_of_the_network() {
    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port().to_string();
    let connection = || {
        let front = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let client = std::net::TcpStream::connect(front.local_addr().unwrap()).unwrap();
        (client, front.accept().unwrap().0)
    };
    let tried = |flags: &[&str]| {
        let (_client, given) = connection();
        let given = Stdio::from(std::os::fd::OwnedFd::from(given));
        stdout_of(&run_python(flags, RECONNECT, &port, given))
    };
    for flags in [&[][..], &["--preset", "host"], &["--allow", "example.org"]] {
        assert_eq!(tried(flags), "not reached", "{flags:?}");
    }
    assert_eq!(tried(&["--stdio", "pass"]), "reached", "as it is");
    assert_eq!(tried(&["--share", "net"]), "reached", "where it could go there anyway");
    // What goes over it goes over it: as xinetd has it, both ways.
    let (mut client, given) = connection();
    let given = std::os::fd::OwnedFd::from(given);
    let mut command = seclude_command(&["run", "--", "/bin/sh", "-c", "read line; echo \"said $line\""]);
    let child = command.stdin(given.try_clone().unwrap()).stdout(given).spawn();
    drop(command);
    client.write_all(b"hello\n").unwrap();
    assert!(child.unwrap().wait().unwrap().success());
    let mut said = String::new();
    client.read_to_string(&mut said).unwrap();
    assert_eq!(said, "said hello\n");
    // A pair of sockets leads nowhere else, and tells of the network that it is of all the same: its links, and more with CAP_NET_ADMIN.
    let kind = |flags: &[&str]| {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let theirs = Stdio::from(std::os::fd::OwnedFd::from(theirs));
        let said = stdout_of(&run(flags, "readlink /proc/self/fd/0 | cut -d: -f 1", theirs));
        drop(ours);
        said
    };
    assert_eq!((kind(&[]).as_str(), kind(&["--stdio", "pass"]).as_str()), ("pipe", "socket"));
    let datagrams = std::os::unix::net::UnixDatagram::unbound().unwrap();
    let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let unconnected: [std::os::fd::OwnedFd; 3] = [server.into(), udp.into(), datagrams.into()];
    for given in unconnected {
        let line = refusal(125, &run(&[], "true", Stdio::from(given)));
        assert!(line.contains("stdin is a socket") && line.contains("the caller's network"), "{line}");
    }
    let mut nobody_stays = seclude::Command::new("/bin/true");
    let (_client, given) = connection();
    let error = nobody_stays.sandbox().die_with_parent(false).stdin(std::os::fd::OwnedFd::from(given)).spawn();
    assert!(error.unwrap_err().to_string().contains("nobody stays to relay it"));
    // A pair of sockets is handed on then: Node.js has its children's streams such pairs.
    let (_ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    let mut outliving = seclude::Command::new("/bin/true");
    outliving.sandbox().die_with_parent(false).stdin(std::os::fd::OwnedFd::from(theirs));
    assert!(outliving.spawn().unwrap().wait().unwrap().success());
}

fn run_python(flags: &[&str], script: &str, argument: &str, stdin: Stdio) -> Output {
    let arguments = [&["run"], flags, &["--", "/usr/bin/python3", "-c", script, argument]].concat();
    seclude_command(&arguments).current_dir("/usr").stdin(stdin).output().unwrap()
}

#[test]
fn a_file_to_be_read_by_a_number_of_its_own_is_read_from_where_the_caller_is() {
    let own = Scratch::new("read");
    opened(&own);
    let mut file = fs::File::open(own.file("file", "first\nsecond\n")).unwrap();
    file.seek(SeekFrom::Start(6)).unwrap();
    let gone = own.file("gone", "of nobody\n");
    let removed = fs::File::open(&gone).unwrap();
    fs::remove_file(&gone).unwrap();
    let mut command = seclude::Command::new("/bin/sh");
    let script = "cat <&7; cat <&8; cat /proc/self/fd/7; echo x >&7 || echo not written";
    command.args(["-c", script]).sandbox().stdout(seclude::Stdio::piped());
    command.fd(file, 7).fd(removed, 8);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(said, "second\nof nobody\nfirst\nsecond\nnot written\n");
}

#[test]
fn what_a_relay_could_not_write_on_is_an_error_and_no_success() {
    let full = || fs::File::options().write(true).open("/dev/full").unwrap();
    let output = |flags: &[&str]| {
        let arguments = [&["run", "--stdio", "pipe"], flags, &["--", "echo", "lost"]].concat();
        seclude_command(&arguments).stdout(full()).output().unwrap()
    };
    let line = refusal(125, &output(&[]));
    assert!(line.contains("ENOSPC") && line.contains("not all that it wrote was written on"), "{line}");
    // Whoever reads no further is no error.
    let said = Command::new("/bin/sh")
        .args(["-c", &format!("{} run --stdio pipe -- seq 100000 | head -1", seclude_tests::seclude_bin().display())])
        .output()
        .unwrap();
    assert_eq!((stdout_of(&said).as_str(), said.stderr.is_empty()), ("1", true), "{said:?}");
}
