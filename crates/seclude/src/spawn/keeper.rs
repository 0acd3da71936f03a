//! A thread that lives as long as the child it cloned.
//!
//! PR_SET_PDEATHSIG fires when the cloning *thread* ends: a pool's worker that retires would kill the container.
//! The main thread does not end before the process; a spawn from any other one is made by a keeper, which then
//! sleeps until the child has ended.

use std::io;
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
        let spawned = super::spawn_here(plan);
        let pidfd = spawned.as_ref().ok().and_then(|child| child.pidfd().try_clone_to_owned().ok());
        if sender.send(spawned).is_err() {
            return;
        }
        if let Some(pidfd) = pidfd {
            while poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], None) == Err(rustix::io::Errno::INTR) {}
        }
    });
    let failed = |error: io::Error| Error::parent("clone", "thread that keeps the child", error);
    let keeper = keeper.map_err(failed)?;
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
