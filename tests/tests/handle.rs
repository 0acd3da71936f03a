//! The handle of a running process: waiting, killing, pipes, deadlines, and that nothing is left of it.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use seclude::{Cause, Command, Namespace, Stdio};
use seclude_tests::{OwnProcess, said, shell};

/// Longer than set-up takes, also on an emulated processor.
const DEADLINE: Duration = Duration::from_secs(1);

/// Waits until the process says that it is there.
fn wait_for_ready(child: &mut seclude::Child) {
    let mut byte = [0];
    child.stdout.as_mut().expect("a pipe").read_exact(&mut byte).expect("it says something");
}

fn sleeper() -> seclude::Child {
    let mut command = shell("echo; exec sleep 1000");
    let mut child = command.sandbox().stdout(Stdio::piped()).spawn().expect("it runs");
    wait_for_ready(&mut child);
    child
}

#[test]
fn a_running_process_is_not_waited_for_by_a_look() {
    let mut child = sleeper();
    assert_eq!(child.try_wait().expect("a look"), None);
    assert_eq!(child.wait_timeout(Duration::from_millis(30)).expect("a short wait"), None);
    child.kill().expect("it is ours");
    let exit = child.wait().expect("it ends");
    assert_eq!((exit.signal(), exit.cause(), exit.shell_code()), (Some(9), Cause::Killed, 137));
    assert_eq!(child.try_wait().expect("a look"), Some(exit), "the end is remembered");
    child.kill().expect("killing what has ended is no error");
    assert!(child.signal(15).is_err(), "but there is nobody to signal");
}

#[test]
fn a_wait_that_no_clock_ends_is_one_without_a_limit() {
    let mut child = shell("sleep 0.1; exit 3").spawn().expect("it runs");
    assert_eq!(child.wait_timeout(Duration::MAX).expect("it ends").expect("its end").code(), Some(3));
    let mut child = shell("sleep 1000").sandbox().deadline(Duration::from_millis(100)).spawn().expect("it runs");
    let exit = child.wait_timeout(Duration::MAX).expect("it ends").expect("its end");
    assert_eq!(exit.cause(), Cause::Deadline, "its deadline is kept all the same");
}

#[test]
fn an_exit_code_and_a_signal_are_told_apart() {
    assert_eq!(shell("exit 42").sandbox().status().expect("it ends").code(), Some(42));
    let exit = shell("kill -TERM $$; sleep 5").status().expect("it ends");
    assert_eq!((exit.code(), exit.signal(), exit.cause()), (None, Some(15), Cause::Signaled));
    let exit = shell("kill -SEGV $$").sandbox().init(true).status().expect("it ends");
    assert_eq!(exit.signal(), Some(11), "also below an init");
}

#[test]
fn a_signal_from_another_thread_reaches_it() {
    let mut command = shell("trap 'exit 7' TERM; echo; while :; do sleep 0.01; done");
    let mut child = command.sandbox().stdout(Stdio::piped()).spawn().expect("it runs");
    wait_for_ready(&mut child);
    let signaller = child.signaller();
    std::thread::spawn(move || signaller.send(15).expect("it runs")).join().expect("it was sent");
    assert_eq!(child.wait().expect("it ends").code(), Some(7));
}

#[test]
fn what_is_written_to_it_comes_back() {
    let mut command = Command::new("/bin/cat");
    let mut child = command.sandbox().stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it runs");
    child.stdin.take().expect("a pipe").write_all(b"to and fro").expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(said(&output), "to and fro");
}

#[test]
fn megabytes_on_both_pipes_do_not_block_each_other() {
    let script = "i=0; while [ $i -lt 64 ]; do head -c 32768 /dev/zero; head -c 32768 /dev/zero >&2; i=$((i+1)); done";
    let output = shell(script).sandbox().output().expect("it runs");
    assert_eq!((output.stdout.len(), output.stderr.len()), (2 << 20, 2 << 20));
}

#[test]
fn a_deadline_ends_it_and_says_so() {
    let mut command = shell("sleep 1000");
    let exit = command.sandbox().deadline(DEADLINE).status().expect("it is ended");
    assert_eq!(exit.cause(), Cause::Deadline);
    // The whole tree: the shell's child holds the pipe, too.
    let mut command = shell("echo before; sleep 1000 & wait");
    let output = command.sandbox().deadline(DEADLINE).output().expect("it is ended");
    assert_eq!((output.exit.cause(), output.stdout.as_slice()), (Cause::Deadline, &b"before\n"[..]));
    // Contrast: one that is in time has its own end.
    let exit = shell("exit 3").sandbox().deadline(Duration::from_secs(60)).status().expect("it ends");
    assert_eq!((exit.cause(), exit.code()), (Cause::Exited, Some(3)));
}

#[test]
fn a_deadline_holds_for_output_when_a_grandchild_that_escaped_keeps_the_pipe() {
    // Without a pid namespace only the shell is killed; the sleeper keeps stdout open, and tells its pid.
    let mut command = shell("sleep 1000 & echo $!; wait");
    let output = command.deadline(Duration::from_millis(200)).output().expect("it is ended");
    assert_eq!(output.exit.cause(), Cause::Deadline);
    let left: i32 = String::from_utf8_lossy(&output.stdout).trim().parse().expect("a pid");
    let left = rustix::process::Pid::from_raw(left).expect("a pid");
    rustix::process::kill_process(left, rustix::process::Signal::KILL).expect("it is the test's own");
}

#[test]
fn a_dropped_handle_kills_and_reaps_unless_told_otherwise() {
    let child = sleeper();
    let pidfd = child.pidfd().try_clone_to_owned().expect("a copy");
    drop(child);
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    assert_eq!(poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&now)), Ok(1), "it has ended");

    let mut command = shell("echo; exec sleep 1000");
    command.sandbox().stdout(Stdio::piped()).kill_on_drop(false);
    let mut child = command.spawn().expect("it runs");
    wait_for_ready(&mut child);
    let (pid, signaller) = (child.id(), child.signaller());
    drop(child);
    assert!(std::path::Path::new(&format!("/proc/{pid}")).exists(), "it goes on");
    signaller.send(9).expect("it is ours");
}

#[test]
fn an_exit_code_survives_a_caller_that_ignores_sigchld() {
    // The disposition is inherited over exec: a shell sets it, then becomes this test's helper.
    let own = std::env::current_exe().expect("a test knows its own path");
    let output = std::process::Command::new("/bin/sh")
        .args(["-c", "trap '' CHLD; exec \"$0\" helper_process --exact --nocapture"])
        .arg(own)
        .env("SECLUDE_TEST_PART", "ignores SIGCHLD")
        .output()
        .expect("a shell");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("ignored; codes 42 and 43"), "{text} {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn nothing_is_left_in_the_process_after_the_end() {
    let own = std::env::current_exe().expect("a test knows its own path");
    let output = std::process::Command::new(own)
        .args(["helper_process", "--exact", "--nocapture", "--test-threads=1"])
        .env("SECLUDE_TEST_PART", "leaves nothing")
        .output()
        .expect("itself");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(String::from_utf8_lossy(&output.stdout).contains("nothing left"));
}

/// Not a test by itself: what the tests above have another process do.
#[test]
fn helper_process() {
    match std::env::var("SECLUDE_TEST_PART").as_deref() {
        Ok("ignores SIGCHLD") => {
            let status = std::fs::read_to_string("/proc/self/status").expect("/proc is there");
            let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).expect("a field").trim();
            let ignored = u64::from_str_radix(ignored, 16).expect("a mask") & (1 << 16) != 0;
            let plain = shell("exit 42").sandbox().status().expect("its code survives").code();
            let init = shell("exit 43").sandbox().init(true).status().expect("its code survives").code();
            let (plain, init) = (plain.unwrap_or(-1), init.unwrap_or(-1));
            println!("{}; codes {plain} and {init}", if ignored { "ignored" } else { "not ignored" });
        }
        Ok("leaves nothing") => {
            let before = OwnProcess::look();
            for init in [false, true] {
                assert!(shell("echo x").sandbox().init(init).output().expect("it runs").exit.success());
                assert!(Command::new("/nowhere").sandbox().init(init).spawn().is_err());
                drop(shell("sleep 1000").sandbox().init(init).spawn().expect("it runs"));
                let mut command = shell("exit 0");
                let mut child = command.sandbox().init(init).terminal(24, 80).spawn().expect("it runs");
                assert!(child.wait().expect("it ends").success());
                drop(child);
                assert!(shell("exit 0").unshare(Namespace::User).init(true).spawn().is_err());
            }
            assert_eq!(before, OwnProcess::look());
            println!("nothing left");
        }
        _ => {}
    }
}

#[tokio::test]
async fn the_same_without_blocking_a_thread() {
    let mut command = shell("cat; echo err >&2; exit 4");
    command.sandbox().stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn_async().await.expect("it runs");
    use tokio::io::AsyncWriteExt;
    child.stdin.take().expect("a pipe").write_all(b"hello").await.expect("it reads");
    let output = child.wait_with_output().await.expect("it ends");
    assert_eq!(
        (output.exit.code(), output.stdout.as_slice(), output.stderr.as_slice()),
        (Some(4), &b"hello"[..], &b"err\n"[..])
    );

    let output = shell("sleep 1000").sandbox().deadline(DEADLINE).output_async().await.expect("ended");
    assert_eq!(output.exit.cause(), Cause::Deadline);

    // A wait that is dropped changes nothing.
    let mut child = shell("sleep 1000").sandbox().spawn_async().await.expect("it runs");
    assert!(tokio::time::timeout(Duration::from_millis(20), child.wait()).await.is_err());
    child.kill().expect("it is ours");
    assert_eq!(child.wait().await.expect("it ends").cause(), Cause::Killed);
}

/// A connection that takes nothing more, which the sandbox relays; its ends, and how much is in it.
fn full_connection() -> (UnixStream, UnixStream, usize) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    theirs.set_nonblocking(true).unwrap();
    let mut full = 0;
    while let Ok(written) = (&theirs).write(&[b'-'; 4096]) {
        full += written;
    }
    theirs.set_nonblocking(false).unwrap();
    (ours, theirs, full)
}

#[tokio::test]
async fn a_task_waits_for_a_reader_that_comes_later() {
    let (mut ours, theirs, full) = full_connection();
    let mut command = shell("echo said");
    command.sandbox().stdout(Stdio::from(std::os::fd::OwnedFd::from(theirs)));
    let mut child = command.spawn_async().await.unwrap();
    assert!(tokio::time::timeout(Duration::from_secs(1), child.wait()).await.is_err(), "nobody reads");
    let reader = std::thread::spawn(move || {
        let mut all = vec![0; full + 5];
        ours.read_exact(&mut all).map(|()| all.split_off(full))
    });
    let exit = tokio::time::timeout(seclude_tests::PATIENCE, child.wait()).await.expect("it is told").unwrap();
    assert_eq!((exit.code(), reader.join().unwrap().unwrap().as_slice()), (Some(0), &b"said\n"[..]));
}

#[test]
fn what_a_deadline_cuts_off_is_an_error_whenever_it_is_seen() {
    let (_ours, theirs, _) = full_connection();
    let mut command = shell("echo said");
    command.sandbox().deadline(Duration::from_secs(2)).stdout(Stdio::from(std::os::fd::OwnedFd::from(theirs)));
    let mut child = command.spawn().unwrap();
    std::thread::sleep(Duration::from_millis(2500));
    assert!(child.wait().unwrap_err().to_string().contains("not all that it wrote"));
    assert_eq!(child.wait().unwrap().code(), Some(0), "and then how it ended");
}

#[test]
fn a_look_is_no_wait_for_whoever_reads() {
    use std::os::fd::{AsRawFd, OwnedFd};
    let is_readable = |fd: std::os::fd::BorrowedFd<'_>| {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let mut polled = [PollFd::from_borrowed_fd(fd, PollFlags::IN)];
        poll(&mut polled, Some(&Timespec { tv_sec: 20, tv_nsec: 0 })).unwrap() == 1
    };
    let start = || {
        let (ours, theirs, full) = full_connection();
        let mut command = shell("echo said");
        let child = command.sandbox().stdout(Stdio::from(OwnedFd::from(theirs))).spawn().unwrap();
        assert!(is_readable(child.pidfd()), "it ends");
        (ours, full, child)
    };
    let (mut ours, full, mut child) = start();
    assert_eq!(child.try_wait().unwrap(), None, "not all has arrived");
    assert_ne!(child.end_notice().as_raw_fd(), child.pidfd().as_raw_fd());
    let mut read = vec![0; full + 5];
    ours.read_exact(&mut read).unwrap();
    assert_eq!(read.get(full..), Some(&b"said\n"[..]));
    assert!(is_readable(child.end_notice()));
    assert_eq!(child.try_wait().unwrap().and_then(|exit| exit.code()), Some(0));
    // Whoever ends it, or lets go of it, waits for no reader.
    let (_ours, _, mut child) = start();
    assert_eq!(child.try_wait().unwrap(), None);
    child.kill().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0), "what it ended with by itself");
    let (_ours, _, child) = start();
    drop(child);
}
