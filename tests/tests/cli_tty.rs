//! `seclude run --tty`, and without it, under a real terminal.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags, open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcgetwinsize, tcsetwinsize};
use seclude_tests::{PATIENCE, ends_within, pidfd, seclude_bin, seclude_command};

const SIZE: (u16, u16) = (31, 97);

/// A terminal, and a session in it.
struct Terminal {
    master: File,
    /// What is open here keeps the terminal alive when the session has ended.
    slave: OwnedFd,
    seen: String,
    session: Option<Child>,
}

impl Terminal {
    /// A terminal where `program` leads the session: its streams and its controlling terminal.
    fn running(program: &[&str]) -> Terminal {
        let mut terminal = Terminal::idle();
        let mut command = Command::new("setsid");
        command.arg("--ctty").args(program).env("LC_ALL", "C");
        let stream = || Stdio::from(terminal.slave.try_clone().unwrap());
        command.stdin(stream()).stdout(stream()).stderr(stream());
        terminal.session = Some(command.spawn().expect("setsid is installed"));
        terminal
    }

    fn idle() -> Terminal {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let slave = open(name.as_c_str(), OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty()).unwrap();
        let (ws_row, ws_col) = SIZE;
        tcsetwinsize(&master, Winsize { ws_row, ws_col, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
        Terminal { master: master.into(), slave, seen: String::new(), session: None }
    }

    /// A terminal where seclude runs a shell script with these flags.
    fn seclude(flags: &[&str], script: &str) -> Terminal {
        let bin = seclude_bin();
        let head = [bin.to_str().unwrap(), "run"];
        Terminal::running(&[&head[..], flags, &["--", "/bin/sh", "-c", script]].concat())
    }

    fn type_in(&mut self, keys: &str) {
        self.master.write_all(keys.as_bytes()).unwrap();
    }

    /// Reads until the screen has shown this.
    fn expect(&mut self, text: &str) {
        let until = Instant::now() + PATIENCE;
        while !self.seen.contains(text) {
            assert!(Instant::now() < until && self.read(Duration::from_secs(1)), "{text:?} in {:?}", self.seen);
        }
    }

    /// Reads what there is; false when nobody has the other end open.
    fn read(&mut self, patience: Duration) -> bool {
        if !is_readable(&self.master, patience) {
            return true;
        }
        let mut some = [0; 4096];
        match self.master.read(&mut some) {
            Ok(read) if read > 0 => {
                self.seen.push_str(&String::from_utf8_lossy(&some[..read]));
                true
            }
            _ => false,
        }
    }

    /// Reads on until the session has ended; answers its exit code.
    fn end(&mut self) -> Option<i32> {
        self.ended().code()
    }

    /// The same with the signal that it has ended by.
    fn ended(&mut self) -> ExitStatus {
        let mut session = self.session.take().expect("a session");
        let ended = pidfd(session.id());
        let until = Instant::now() + PATIENCE;
        while !ends_within(&ended, Duration::ZERO) {
            if Instant::now() > until {
                let _ = session.kill();
                let _ = session.wait();
                panic!("it does not end; seen: {:?}", self.seen);
            }
            self.read(Duration::from_millis(50));
        }
        let status = session.wait().unwrap();
        // Unlike FIONREAD, poll(2) waits for what the kernel has not handed over yet.
        while is_readable(&self.master, Duration::ZERO) {
            self.read(Duration::ZERO);
        }
        status
    }
}

fn is_readable(terminal: &File, patience: Duration) -> bool {
    let timeout = Timespec { tv_sec: patience.as_secs() as i64, tv_nsec: patience.subsec_nanos().into() };
    poll(&mut [PollFd::new(terminal, PollFlags::IN)], Some(&timeout)).unwrap() > 0
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if let Some(mut session) = self.session.take() {
            let _ = session.kill();
            let _ = session.wait();
        }
    }
}

#[test]
fn the_command_has_a_terminal_of_its_own() {
    let mut terminal =
        Terminal::seclude(&["--tty"], "tty; ls /dev/pts; ps -o tty= -p $$; ( : > /dev/tty ) && echo controlled");
    assert_eq!(terminal.end(), Some(0), "{}", terminal.seen);
    assert_eq!(terminal.seen, "/dev/pts/0\r\n0  ptmx\r\npts/0\r\ncontrolled\r\n");
    // Without the flag it is the caller's, which has no name inside and does not control the session.
    let mut terminal = Terminal::seclude(&[], "[ -t 0 ] && echo some; tty; ( : > /dev/tty ) || echo uncontrolled");
    terminal.end();
    assert!(terminal.seen.starts_with("some\r\n") && !terminal.seen.contains("/dev/pts/0\r\n"), "{}", terminal.seen);
    assert!(terminal.seen.ends_with("uncontrolled\r\n"), "{}", terminal.seen);
}

#[test]
fn a_terminal_is_made_also_where_there_is_none_outside() {
    let output = seclude_command(&["run", "--tty", "sh", "-c", "tty; stty size"]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "/dev/pts/0\r\n24 80\r\n");
    let output = seclude_command(&["run", "sh", "-c", "tty"]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "not a tty\n");
}

#[test]
fn its_size_is_the_outer_ones_or_the_one_asked_for() {
    let mut terminal = Terminal::seclude(&["--tty"], "stty size");
    assert_eq!((terminal.end(), terminal.seen.as_str()), (Some(0), "31 97\r\n"));
    let mut terminal = Terminal::seclude(&["--tty", "--tty-size", "12x34"], "stty size");
    assert_eq!((terminal.end(), terminal.seen.as_str()), (Some(0), "12 34\r\n"));
}

#[test]
fn its_size_follows_the_outer_one() {
    let script = "trap 'stty size; exit 0' WINCH; echo ready; while :; do read x || :; done";
    let mut terminal = Terminal::seclude(&["--tty"], script);
    terminal.expect("ready");
    tcsetwinsize(&terminal.master, Winsize { ws_row: 40, ws_col: 50, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
    terminal.expect("40 50\r\n");
    assert_eq!(terminal.end(), Some(0));
}

#[test]
fn what_is_typed_is_echoed_once_and_read() {
    let mut terminal = Terminal::seclude(&["--tty"], "echo ready; read line; echo \"read: $line\"; exit 7");
    terminal.expect("ready\r\n");
    terminal.type_in("a word\r");
    assert_eq!(terminal.end(), Some(7), "the exit code comes through");
    assert_eq!(terminal.seen, "ready\r\na word\r\nread: a word\r\n");
}

#[test]
fn the_end_of_input_is_typed_like_any_key() {
    let mut terminal = Terminal::seclude(&["--tty"], "echo ready; cat; echo over");
    terminal.expect("ready\r\n");
    terminal.type_in("line\r\x04");
    assert_eq!(terminal.end(), Some(0));
    assert!(terminal.seen.ends_with("line\r\nover\r\n"), "{}", terminal.seen);
}

#[test]
fn ctrl_c_reaches_the_command_and_not_seclude() {
    for flags in [&["--tty"][..], &["--tty", "--init"]] {
        let script = "trap 'echo caught; exit 9' INT; echo ready; while :; do read x || :; done";
        let mut terminal = Terminal::seclude(flags, script);
        terminal.expect("ready\r\n");
        terminal.type_in("\x03");
        assert_eq!(terminal.end(), Some(9), "{flags:?}: {}", terminal.seen);
        assert!(terminal.seen.contains("caught"), "{}", terminal.seen);
    }
}

#[test]
fn ctrl_c_ends_a_command_without_a_handler_with_and_without_a_terminal_of_its_own() {
    let bin = seclude_bin();
    for flags in [&["--tty", "--init"][..], &["--tty"], &[], &["--init"]] {
        // No shell: it would catch the signal, and as process one not be ended by its own kill.
        let head = [bin.to_str().unwrap(), "run"];
        let mut terminal = Terminal::running(&[&head[..], flags, &["--", "/bin/cat"]].concat());
        terminal.type_in("word\r");
        while terminal.seen.matches("word").count() < 2 {
            assert!(terminal.read(PATIENCE), "{:?}", terminal.seen);
        }
        terminal.type_in("\x03");
        // By the signal itself: a shell that sees another end goes on with its list.
        assert_eq!(terminal.ended().signal(), Some(2), "{flags:?}: {}", terminal.seen);
    }
}

#[test]
fn ctrl_c_ends_the_loop_that_the_command_is_a_part_of() {
    for flags in ["", "-t"] {
        let mut shell = shell();
        shell.type_in(&format!("for i in 1 2 3; do echo lo''op $i; $S run {flags} -- cat; done; echo af''ter\n"));
        shell.expect("loop 1\r\n");
        shell.type_in("word\r");
        while shell.seen.matches("word").count() < 2 {
            assert!(shell.read(PATIENCE), "{:?}", shell.seen);
        }
        let before = std::mem::take(&mut shell.seen);
        shell.type_in("\x03");
        // A prompt, after which the keyboard is the shell's again.
        shell.expect("> ");
        shell.type_in("echo do''ne\n");
        shell.expect("done\r\n");
        shell.seen.insert_str(0, &before);
        assert!(!shell.seen.contains("loop 2") && !shell.seen.contains("after"), "{flags}: {}", shell.seen);
        shell.type_in("exit\n");
        shell.end();
    }
}

#[test]
fn ctrl_c_is_for_all_that_the_command_runs_in_the_foreground() {
    // A shell that waits for a child leaves the keyboard's signal to that, and goes on where it does not end by it.
    for flags in [&[][..], &["-t"], &["--as-pid-1"]] {
        let mut terminal = Terminal::seclude(flags, "trap : INT; (sleep 1; echo up) & sleep 600; echo over; exit 3");
        terminal.expect("up");
        terminal.type_in("\x03");
        terminal.expect("over");
        assert_eq!(terminal.end(), Some(3), "{flags:?}");
    }
}

/// Counts by what the handler in C writes: that of Python folds two, and may not run before what is read.
const COUNT: &str = "import os, signal, sys\nours, theirs = os.pipe()\nos.set_blocking(theirs, False)\n\
    signal.set_wakeup_fd(theirs)\nsignal.signal(2, lambda *_: None)\nprint('u' 'p', flush=True)\n\
    count = len(os.read(ours, 9))\nprint('inter' 'rupted', flush=True)\nword = input()\nos.set_blocking(ours, False)\n\
    try: count += len(os.read(ours, 99))\nexcept BlockingIOError: pass\nprint(word + ':', count)\nsys.exit(3)";

#[test]
fn the_keyboard_is_heard_once() {
    // What takes the second one for "at once" would not clean up.
    for flags in [
        &["--bare"][..],
        &["--bare", "--unshare", "user,pid,mount", "--init"],
        &["--bare", "--unshare", "user,pid,mount"],
        &[],
        &["-t"],
    ] {
        let mut terminal = Terminal::seclude(flags, &format!("exec python3 -c \"{COUNT}\""));
        terminal.expect("up");
        terminal.type_in("\x03");
        terminal.expect("interrupted");
        // Whether process one has a handler, which would otherwise not have heard it, seclude looks at meanwhile.
        std::thread::sleep(Duration::from_millis(500));
        // In the caller's session too it is in the foreground, where it may read.
        terminal.type_in("word\n");
        terminal.expect("word: 1");
        assert_eq!(terminal.end(), Some(3), "{flags:?}: {}", terminal.seen);
    }
}

#[test]
fn a_new_size_of_the_window_is_told_without_a_terminal_of_its_own_too() {
    for flags in [&[][..], &["--as-pid-1"], &["-t"], &["--bare"], &["--stdio", "pass"]] {
        let script = "trap 'stty size' WINCH; echo u''p; while :; do sleep 0.1; done";
        let mut terminal = Terminal::seclude(flags, script);
        terminal.expect("up");
        tcsetwinsize(&terminal.master, Winsize { ws_row: 41, ws_col: 83, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
        terminal.expect("41 83");
        terminal.type_in("\x03");
        terminal.end();
    }
}

#[test]
fn a_command_that_leaves_its_terminal_goes_on_without_it() {
    let mut terminal = Terminal::seclude(
        &["-t"],
        "exec 3> /dev/null; exec > /dev/null 2>&1 < /dev/null; sleep 0.3; echo back > /dev/tty; exec > /dev/null; sleep 0.3; exit 4",
    );
    terminal.expect("back");
    assert_eq!(terminal.end(), Some(4));
}

#[test]
fn the_outer_terminal_is_raw_meanwhile_and_afterwards_as_it_was() {
    for (script, code) in [("echo ready; read x; exit 0", 0), ("echo ready; read x; kill -9 $$", 137)] {
        let mut terminal = Terminal::seclude(&["--tty", "--init"], script);
        let before = tcgetattr(&Terminal::idle().slave).unwrap();
        terminal.expect("ready");
        let raw = LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG;
        assert!(!tcgetattr(&terminal.slave).unwrap().local_modes.intersects(raw), "raw while it runs");
        terminal.type_in("\r");
        assert_eq!(terminal.end(), Some(code));
        let after = tcgetattr(&terminal.slave).unwrap();
        assert!(after.local_modes.contains(raw));
        let modes = |of: &rustix::termios::Termios| (of.input_modes, of.output_modes, of.control_modes, of.local_modes);
        assert_eq!(modes(&after), modes(&before), "{script}");
    }
}

#[test]
fn the_outer_terminal_is_as_it_was_after_a_start_that_failed_a_deadline_or_a_signal() {
    let before = tcgetattr(&Terminal::idle().slave).unwrap().local_modes;
    let mut failed = Terminal::seclude(&["--tty", "--root", "/no/such/root"], "true");
    assert_eq!(failed.end(), Some(125));
    let mut late = Terminal::seclude(&["--tty", "--timeout", "100ms"], "sleep 1000");
    assert_eq!(late.end(), Some(137), "{}", late.seen);
    let mut ended = Terminal::seclude(&["--tty"], "echo ready; exec sleep 1000");
    ended.expect("ready");
    let pid = rustix::process::Pid::from_child(ended.session.as_ref().unwrap());
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(ended.end(), Some(143), "{}", ended.seen);
    for terminal in [failed, late, ended] {
        assert_eq!(tcgetattr(&terminal.slave).unwrap().local_modes, before, "{}", terminal.seen);
        assert_eq!(tcgetwinsize(&terminal.slave).unwrap().ws_row, SIZE.0);
    }
}

#[test]
fn all_that_was_written_is_shown_before_the_end() {
    for flags in [&["--tty"][..], &["--tty", "--init"]] {
        let mut terminal = Terminal::seclude(flags, "seq 1 20000");
        assert_eq!(terminal.end(), Some(0));
        let expected: String = (1..=20_000).map(|number| format!("{number}\r\n")).collect();
        assert!(terminal.seen == expected, "{} of {} bytes", terminal.seen.len(), expected.len());
    }
}

/// Runs seclude with a pipe as stdin; what it wrote if it ended in time.
fn piped(arguments: &[&str], input: Vec<u8>) -> Option<String> {
    let mut command = seclude_command(arguments);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    // Not listened to any more, it fails.
    let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let reader = std::thread::spawn(move || {
        let mut said = String::new();
        stdout.read_to_string(&mut said).map(|_| said)
    });
    let ended = ends_within(pidfd(child.id()), Duration::from_secs(20));
    let _ = child.kill();
    let _ = child.wait();
    writer.join().unwrap();
    let said = reader.join().unwrap().unwrap();
    ended.then_some(said)
}

#[test]
fn input_that_ends_within_a_line_ends_too() {
    let whole = piped(&["run", "--tty", "cat"], b"one\ntwo\n".to_vec()).expect("it ends");
    assert_eq!(whole.matches("two").count(), 2, "echoed and read: {whole:?}");
    let cut = piped(&["run", "--tty", "cat"], b"one\ntwo".to_vec()).expect("it ends");
    assert_eq!(cut.matches("two").count(), 2, "{cut:?}");
}

#[test]
fn input_that_has_ended_has_for_who_edits_lines_too() {
    // They take the terminal's lines over once they have begun, which is after that.
    for shell in [&["bash", "--norc"][..], &["python3", "-q"]] {
        let said = piped(&[&["run", "--tty"], shell].concat(), Vec::new());
        assert!(said.is_some(), "{shell:?} ends");
    }
    // And for who throws away what was typed before, as a password is asked for.
    let asks = "import getpass\nprint('none' if not getpass.getpass() else 'some')";
    let said = piped(&["run", "--tty", "python3", "-c", asks], Vec::new()).expect("it ends");
    assert!(said.contains("EOFError"), "{said}");
    let twice = piped(&["run", "--tty", "bash", "--norc"], b"echo a$((1))b; read line; echo ended $?\n".to_vec());
    let twice = twice.expect("it ends");
    assert!(twice.contains("a1b") && twice.contains("ended 1"), "{twice}");
}

#[test]
fn more_input_than_a_terminal_holds_neither_blocks_seclude_nor_is_lost() {
    let lines: String = (1..=30_000).map(|number| format!("{number}\n")).collect();
    let said = piped(&["run", "--tty", "sh", "-c", "stty -echo; cat"], lines.clone().into_bytes()).expect("it ends");
    assert!(said.ends_with("29999\r\n30000\r\n"), "{:?}", said.get(said.len().saturating_sub(40)..));
    // One that does not read is not waited for.
    piped(&["run", "--tty", "--timeout", "500ms", "sleep", "1000"], lines.into_bytes()).expect("the deadline ends it");
}

/// Pushes a line into the terminal that is its stdin, as if it had been typed.
const INJECT: &str = "import fcntl, sys, termios\n\
    try:\n    for byte in b'evil\\n': fcntl.ioctl(0, termios.TIOCSTI, bytes([byte]))\n    print('injected')\n\
    except OSError as error:\n    print('refused', error.errno)";

#[test]
fn ctrl_z_stops_the_whole_job_and_fg_continues_it() {
    for flags in ["-t", "-t --bare --unshare user,pid,mount"] {
        let mut shell = shell();
        shell.type_in(&format!("$S run {flags} -- sh -c 'echo up; read x; echo got $x'\n"));
        shell.expect("up\r\n");
        shell.type_in("\x1a");
        shell.expect("Stopped");
        // The shell has its terminal back as it was.
        shell.type_in("stty -a | grep -q -e -icanon && echo ra''w || echo coo''ked\n");
        shell.expect("cooked\r\n");
        shell.type_in("fg\n");
        shell.expect("fg\r\n");
        shell.type_in("word\n");
        shell.expect("got word\r\n> ");
        shell.type_in("exit\n");
        shell.end();
    }
}

/// Whose group is that of the script that started it, as of a runner that has job control on and no terminal.
#[test]
fn a_command_that_stops_itself_stops_nobody_where_no_terminal_could_continue_it() {
    let script = "(\"$0\" run -t -- sh -c 'kill -STOP $$') < /dev/null; echo ended with $?";
    let mut command = Command::new("setsid");
    command.args(["--wait", "bash", "-c", "set -m; bash -c \"$1\" \"$0\" || echo stopped"]);
    let mut child = command.arg(seclude_bin()).arg(script).stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let began = std::time::Instant::now();
    while child.try_wait().unwrap().is_none() {
        assert!(began.elapsed() < seclude_tests::PATIENCE, "the script goes on");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(seclude_tests::stdout_of(&child.wait_with_output().unwrap()), "ended with 0", "it goes on at once");
}

/// A shell with job control, and seclude's own program as `$S`.
fn shell() -> Terminal {
    let bin = format!("S={}", seclude_bin().display());
    let have = format!("HAVE={HAVE}");
    Terminal::running(&["env", &bin, &have, "PS1=> ", "TERM=dumb", "bash", "--norc", "-i"])
}

#[test]
fn in_the_background_it_waits_for_the_terminal_as_an_editor_would() {
    let mut shell = shell();
    // Begun there, nothing runs before it has the terminal.
    shell.type_in("$S run -t -- sh -c 'echo u''p; read x; echo got $x' &\n");
    let until_stopped = "until [ -n \"$(jobs -s)\" ]; do sleep 0.1; done; jobs\n";
    shell.type_in(until_stopped);
    shell.expect("Stopped");
    assert!(!shell.seen.contains("up\r\n"), "{}", shell.seen);
    shell.type_in("fg\n");
    shell.expect("up\r\n");
    shell.seen.clear();
    shell.type_in("\x1a");
    shell.expect("Stopped");
    // Continued there, it stops again, and its deadline or a signal finds it.
    shell.seen.clear();
    shell.type_in(&format!("bg; {until_stopped}"));
    shell.expect("Stopped");
    shell.type_in("fg\n");
    shell.type_in("word\n");
    shell.expect("got word\r\n> ");
    shell.seen.clear();
    shell.type_in("$S run -t -- sh -c 'echo goes o\"\"n; exec sleep 600'\n");
    shell.expect("goes on\r\n");
    shell.type_in("\x1a");
    shell.expect("Stopped");
    let until_ended = "while [ -n \"$(jobs -r; jobs -s)\" ]; do sleep 0.1; done; jobs\n";
    shell.type_in(&format!("bg; until [ -n \"$(jobs -s)\" ]; do sleep 0.1; done; kill %1; {until_ended}"));
    shell.expect("Exit 143");
    shell.type_in("exit\n");
    shell.end();
}

#[test]
fn a_background_job_does_not_read_what_is_typed_for_others() {
    let mut shell = shell();
    shell.type_in("$S run cat &\n");
    shell.expect("another job has the terminal that is stdin");
    shell.type_in("wait %1; echo ended with $?; echo ty''ped\n");
    shell.expect("ended with 0\r\n");
    shell.expect("typed\r\n");
    // In the foreground it does, and where its input is another.
    shell.type_in("$S run sh -c 'read x; echo re\"\"ad $x'\n");
    shell.type_in("this\n");
    shell.expect("read this\r\n");
    shell.type_in("echo pi''ped | $S run cat &\n");
    shell.expect("piped\r\n");
    shell.type_in("exit\n");
    shell.end();
}

/// Tells which of its streams it can have something of, by whatever name: read what is typed, or set how it is shown.
const HAVE: &str = "import os, termios\nfor fd in (0, 1, 2):\n\
    \x20   if os.isatty(fd): print('is-a-tty', fd, flush=True)\nprint('lo' + 'oked', flush=True)";

#[test]
fn in_the_background_no_stream_is_the_terminal_that_others_are_typing_in() {
    let mut shell = shell();
    for (stdin, background) in [("", "&"), ("< /dev/null", "&"), ("", "")] {
        shell.type_in(&format!("$S run python3 -c \"$HAVE\" {stdin} {background}\n"));
        shell.expect("looked\r\n");
        let seen = std::mem::take(&mut shell.seen);
        // The contrast: in the foreground they are.
        assert_eq!(seen.contains("is-a-tty "), background.is_empty(), "{stdin} {background}: {seen}");
        shell.type_in("wait; echo wa''ited\n");
        shell.expect("waited\r\n");
    }
    shell.type_in("exit\n");
    shell.end();
}

/// Has the terminal send a signal to whoever is in its foreground, whenever something can be read or written.
const ASYNC: &str = "import fcntl, os, time, sys\nname = sys.argv[1]\n\
    try: fcntl.fcntl(0, 10, 9); fcntl.fcntl(0, fcntl.F_SETFL, os.O_RDWR | 0o20000)\n\
    except OSError as error: print('refu' + 'sed', error.errno, flush=True)\n\
    else: print('se' + 't', flush=True)\n\
    fcntl.ioctl(0, 0x5452, b'\\1\\0\\0\\0'); print('as' + 'ked', flush=True)\n\
    if name == 'wait': time.sleep(0.3)";

#[test]
fn a_command_has_the_terminal_signal_nobody() {
    let python = ["/usr/bin/python3", "-c", ASYNC, "wait"];
    let bin = seclude_bin();
    for flags in [&[][..], &["--seccomp", "none"]] {
        let head = [bin.to_str().unwrap(), "run"];
        let mut terminal = Terminal::running(&[&head[..], flags, &["--"], &python].concat());
        terminal.expect("asked");
        terminal.type_in("key\r");
        assert_eq!(terminal.end(), Some(0), "{flags:?}: {}", terminal.seen);
        assert!(terminal.seen.contains("refused 1"), "{flags:?}: {}", terminal.seen);
    }
    // The contrast: of its own terminal's foreground it is itself.
    let mut terminal = Terminal::running(&python);
    terminal.expect("set");
    terminal.type_in("key\r");
    assert_eq!(terminal.ended().signal(), Some(9), "{}", terminal.seen);
}

#[test]
fn a_command_cannot_type_into_the_callers_terminal() {
    // CVE-2017-5226: TIOCSTI from inside runs commands in the shell outside, once seclude has ended.
    let waiting = |terminal: &Terminal| rustix::io::ioctl_fionread(&terminal.slave).unwrap();
    let python = ["/usr/bin/python3", "-c", INJECT];
    let bin = seclude_bin();
    for flags in [&[][..], &["--init"], &["--tty"], &["--cap-add", "ALL"]] {
        let head = [bin.to_str().unwrap(), "run"];
        let mut terminal = Terminal::running(&[&head[..], flags, &["--"], &python].concat());
        assert_eq!(terminal.end(), Some(0), "{}", terminal.seen);
        assert_eq!(waiting(&terminal), 0, "{flags:?}: {}", terminal.seen);
        if flags != ["--tty"] {
            assert!(terminal.seen.contains("refused"), "{flags:?}: {}", terminal.seen);
        }
    }
    let legacy = std::fs::read_to_string("/proc/sys/dev/tty/legacy_tiocsti").unwrap_or_else(|_| "1".into());
    if legacy.trim() == "1" || seclude_tests::is_root() {
        let mut terminal = Terminal::running(&python);
        assert_eq!(terminal.end(), Some(0), "{}", terminal.seen);
        assert_eq!(waiting(&terminal), 5, "without seclude it works: {}", terminal.seen);
    }
}
