//! The handle on tokio's reactor: what is special of it beside the blocking one.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use seclude::{Cause, Code, Command, Namespace, Stdio};
use seclude_tests::{OwnProcess, PATIENCE, ends_within, helper, pidfd, role, said, shell, tell, told};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[test]
fn helper_process() {
    if role().is_none() {
        return;
    }
    let before = OwnProcess::look();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        for init in [false, true] {
            assert!(shell("echo x").sandbox().current_dir("/").init(init).output_async().await.unwrap().exit.success());
            assert!(Command::new("/nowhere").sandbox().current_dir("/").init(init).spawn_async().await.is_err());
            drop(shell("sleep 1000").sandbox().current_dir("/").init(init).spawn_async().await.unwrap());
            let late = shell("sleep 1000")
                .sandbox()
                .current_dir("/")
                .init(init)
                .deadline(Duration::from_secs(1))
                .output_async()
                .await;
            assert_eq!(late.unwrap().exit.cause(), Cause::Deadline);
        }
    });
    drop(runtime);
    assert_eq!(OwnProcess::look(), before);
    tell("nothing left");
}

/// A command that tells that it runs, and runs until it is killed.
fn endless() -> Command {
    let mut command = shell("echo running; exec sleep 1000");
    command.unshare(Namespace::User).stdout(Stdio::piped());
    command
}

async fn running(child: &mut seclude::AsyncChild) {
    let mut said = [0; 8];
    child.stdout.as_mut().unwrap().read_exact(&mut said).await.unwrap();
    assert_eq!(&said, b"running\n");
}

/// Polls a future once.
async fn once<F: Future>(future: F) -> Poll<F::Output> {
    let mut future = pin!(future);
    std::future::poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await
}

#[tokio::test]
async fn a_wait_that_was_dropped_can_be_taken_up_again() {
    let mut child = shell("read line; exit 9").stdin(Stdio::piped()).spawn_async().await.unwrap();
    let stdin = child.stdin.take();
    for _ in 0..3 {
        assert!(once(child.wait()).await.is_pending());
    }
    drop(stdin);
    let exit = child.wait().await.unwrap();
    assert_eq!(exit.code(), Some(9));
    assert_eq!(child.wait().await.unwrap(), exit, "and is remembered");
}

#[tokio::test]
async fn a_spawn_that_was_dropped_leaves_no_process() {
    let (mut read, write) = std::io::pipe().unwrap();
    let mut command = shell("exec sleep 1000");
    command.sandbox().current_dir("/").stdout(std::os::fd::OwnedFd::from(write));
    assert!(once(command.spawn_async()).await.is_pending());
    drop(command);
    // Whoever had the writing end is gone when this ends.
    let end = tokio::task::spawn_blocking(move || read.read_to_end(&mut Vec::new())).await.unwrap();
    assert_eq!(end.unwrap(), 0);
}

#[tokio::test]
async fn dropping_the_handle_kills_and_reaps() {
    let mut child = endless().spawn_async().await.unwrap();
    running(&mut child).await;
    let (pid, end) = (child.id(), pidfd(child.id()));
    drop(child);
    assert!(ends_within(&end, Duration::ZERO));
    assert!(!Path::new(&format!("/proc/{pid}")).exists(), "nor is there a zombie");
}

#[tokio::test]
async fn a_kill_and_a_signal_from_another_task_end_it() {
    let mut child = endless().spawn_async().await.unwrap();
    running(&mut child).await;
    let signaller = child.signaller();
    tokio::spawn(async move { signaller.send(15).unwrap() }).await.unwrap();
    let exit = child.wait().await.unwrap();
    assert_eq!((exit.signal(), exit.cause()), (Some(15), Cause::Signaled));
    assert_eq!(child.signaller().send(15).unwrap_err().raw_os_error(), Some(3), "ESRCH, never another process");

    let mut child = endless().spawn_async().await.unwrap();
    child.kill().unwrap();
    assert_eq!(child.wait().await.unwrap().cause(), Cause::Killed);
}

#[tokio::test]
async fn a_deadline_ends_an_output_though_a_grandchild_keeps_the_pipe() {
    let mut command = shell("sleep 1000 & echo $!; wait");
    let output = command.deadline(Duration::from_millis(200)).output_async().await.unwrap();
    let left = pidfd(String::from_utf8(output.stdout).unwrap().trim().parse().unwrap());
    let lives = !ends_within(&left, Duration::ZERO);
    let _ = rustix::process::pidfd_send_signal(&left, rustix::process::Signal::KILL);
    assert!(lives, "without a pid namespace the grandchild is not the handle's to end");
    assert_eq!(output.exit.cause(), Cause::Deadline);
}

#[tokio::test]
async fn megabytes_go_in_and_come_out_of_both_pipes() {
    let mut command = shell("tee /dev/fd/2");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn_async().await.unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let all: Vec<u8> = (0..=255).cycle().take(3 << 20).collect();
    let sent = all.clone();
    let writer = tokio::spawn(async move { stdin.write_all(&sent).await });
    let output = child.wait_with_output().await.unwrap();
    writer.await.unwrap().unwrap();
    assert!(output.stdout == all && output.stderr == all, "{} {}", output.stdout.len(), output.stderr.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_at_once_each_have_their_own_answer() {
    let tasks: Vec<_> = (0..40)
        .map(|number| {
            tokio::spawn(async move {
                let mut command = shell(&format!("echo {number}; exit {number}"));
                command.unshare(Namespace::User).unshare(Namespace::Mount).unshare(Namespace::Pid);
                (number, command.output_async().await.unwrap())
            })
        })
        .collect();
    for task in tasks {
        let (number, output) = task.await.unwrap();
        assert_eq!(output.exit.code(), Some(number));
        assert_eq!(output.stdout, format!("{number}\n").as_bytes());
    }
}

#[tokio::test]
async fn a_failed_start_is_the_same_error() {
    let error = Command::new("/no/such/command").sandbox().current_dir("/").spawn_async().await.unwrap_err();
    assert_eq!((error.code(), error.step()), (Code::NotFound, "exec"));
    let error = shell("true").init(true).output_async().await.unwrap_err();
    assert_eq!((error.code(), error.step()), (Code::Invalid, "exec"));
}

#[tokio::test]
async fn a_container_outlives_the_pool_thread_that_made_it() {
    let runtime = std::thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut child = runtime.block_on(async {
            let mut child = endless().spawn_async().await.unwrap();
            running(&mut child).await;
            child
        });
        let end = pidfd(child.id());
        // Ends the pool's threads, and with them the one that spawned.
        runtime.shutdown_timeout(PATIENCE);
        let lives = !ends_within(&end, Duration::ZERO);
        child.kill().unwrap();
        assert!(ends_within(&end, PATIENCE));
        lives
    });
    assert!(runtime.join().unwrap());
}

#[tokio::test]
async fn stdin_of_a_file_needs_no_task() {
    let mut command = Command::new("/bin/cat");
    command.stdin(File::open("/proc/self/status").unwrap());
    assert!(said(&command.output_async().await.unwrap()).starts_with("Name:"));
}

#[test]
fn nothing_is_left_in_the_process_when_the_runtime_has_ended() {
    assert_eq!(told(&helper("leaves nothing").output().unwrap()), ["nothing left"]);
}
