//! A thread that lives as long as the child it cloned.
//!
//! PR_SET_PDEATHSIG fires when the cloning *thread* ends: a pool's worker that retires would kill the container.
//! The main thread does not end before the process; a spawn from any other one is made by a keeper, which then
//! sleeps until the child has ended.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::mpsc;
use std::thread;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::getpid;
use rustix::thread::gettid;

use crate::child::Child;
use crate::error::{Error, Result};
use crate::plan::Plan;

/// Deep enough for a plan's compilation in a debug build.
const STACK: usize = 512 * 1024;

pub(super) fn on_main_thread() -> bool {
    gettid() == getpid()
}

pub(super) fn spawn(plan: Plan) -> Result<Child> {
    let (sender, receiver) = mpsc::sync_channel(1);
    let keeper = thread::Builder::new().name("seclude-keeper".into()).stack_size(STACK).spawn(move || {
        // The caller's signal handlers expect the caller's threads.
        let _ = seclude_sys::signal::set_mask(!0);
        let spawned = super::spawn_here(plan).and_then(with_end);
        let (spawned, pidfd) = match spawned {
            Ok((child, pidfd)) => (Ok(child), Some(pidfd)),
            Err(error) => (Err(error), None),
        };
        if sender.send(spawned).is_err() {
            return;
        }
        if let Some(pidfd) = pidfd {
            while poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], None) == Err(rustix::io::Errno::INTR) {}
        }
    });
    let keeper = keeper.map_err(|error| {
        let exhausted = error.raw_os_error().and_then(|errno| crate::exhaustion::of(errno, None));
        failed(error).hint_if(exhausted)
    })?;
    match receiver.recv() {
        Ok(Ok(mut child)) => {
            child.kept_by(keeper);
            Ok(child)
        }
        Ok(Err(error)) => {
            let _ = keeper.join();
            Err(error)
        }
        Err(_) => Err(failed(io::Error::other("it ended early"))),
    }
}

fn failed(error: io::Error) -> Error {
    Error::parent("clone", "thread that keeps the child", error)
}

/// With what tells its end to this thread. Without that the thread would end at once, and the container with it.
fn with_end(mut child: Child) -> Result<(Child, OwnedFd)> {
    match child.pidfd().try_clone_to_owned() {
        Ok(pidfd) => Ok((child, pidfd)),
        Err(error) => {
            let exhausted = error.raw_os_error().and_then(|errno| crate::exhaustion::of(errno, None));
            let mut error = failed(error).hint_if(exhausted);
            if let Err(left) = child.kill().map_err(failed).and_then(|()| child.wait().map(drop)) {
                error.attach_undo(left.to_string());
            }
            Err(error)
        }
    }
}
