//! A thread that lives as long as the child it cloned.
//!
//! PR_SET_PDEATHSIG fires when the cloning *thread* ends: a pool's worker that retires would kill the container.
//! The main thread does not end before the process; a spawn from any other one is made by a keeper, which then
//! sleeps until the child has ended.
//!
//! A start that somebody may want to end is made by one as well: a process can be in a call that nothing interrupts (of a
//! FUSE file system whose daemon does not answer), and until it has left our memory its maker cannot go on.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Instant;

use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use rustix::process::getpid;
use rustix::thread::gettid;

use crate::child::Child;
use crate::error::{Error, Result};
use crate::patience::{LAST_MOMENTS, Patience};
use crate::plan::Plan;

/// Deep enough for a plan's compilation in a debug build.
const STACK: usize = 512 * 1024;

pub(super) fn on_main_thread() -> bool {
    gettid() == getpid()
}

/// `stays`: the thread is to live as long as the child.
pub(super) fn spawn(plan: Plan, stays: bool) -> Result<Child> {
    let patience = plan.command.patience();
    let (sender, receiver) = mpsc::sync_channel(1);
    let done = Arc::new(eventfd(0, EventfdFlags::CLOEXEC).map_err(|errno| failed(errno.into()))?);
    let tells = done.clone();
    let plan = Arc::new(Mutex::new(Some(plan)));
    let take = |plan: &Mutex<Option<Plan>>| plan.lock().unwrap_or_else(PoisonError::into_inner).take();
    let theirs = plan.clone();
    let keeper = thread::Builder::new().name("seclude-keeper".into()).stack_size(STACK).spawn(move || {
        // The caller's signal handlers expect the caller's threads.
        let _ = seclude_sys::signal::set_mask(!0);
        let Some(plan) = take(&theirs) else { return };
        let spawned = super::spawn_here(plan).and_then(|child| if stays { with_end(child) } else { Ok((child, None)) });
        let (spawned, pidfd) = match spawned {
            Ok((child, pidfd)) => (Ok(child), pidfd),
            Err(error) => (Err(error), None),
        };
        if let Err(mpsc::SendError(unwanted)) = sender.send(spawned) {
            // Nobody waits for it any more.
            if let Ok(mut child) = unwanted {
                let _ = child.kill();
                let _ = child.wait();
            }
            return;
        }
        let _ = rustix::io::write(&tells, &1u64.to_ne_bytes());
        if let Some(pidfd) = pidfd {
            while poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], None) == Err(rustix::io::Errno::INTR) {}
        }
    });
    // A filter that refuses clone3 with EPERM refuses glibc its threads; it takes clone(2) for ENOSYS alone. Nothing but the
    // start that nobody can end is lost without one.
    let refused = keeper.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied);
    if let Some(plan) = refused.then(|| if stays { None } else { take(&plan) }).flatten() {
        return super::spawn_here(plan);
    }
    let keeper = keeper.map_err(|error| {
        let exhausted = error.raw_os_error().and_then(|errno| crate::exhaustion::of(errno, None));
        failed(error).hint_if(exhausted)
    })?;
    if let Err(mut given_up) = patience.wait_for(&done, PollFlags::IN) {
        // It has seen the same, and has killed what it had made: which takes a moment, if it is not in a call that nothing
        // interrupts.
        let moment = Patience { until: Some(Instant::now() + LAST_MOMENTS), canceller: None };
        if moment.wait_for(&done, PollFlags::IN).is_err() {
            given_up.attach_undo("all of it, until an uninterruptible system call in it returns".to_owned());
            return Err(given_up);
        }
    }
    match receiver.recv() {
        Ok(Ok(mut child)) => {
            if stays {
                child.kept_by(keeper);
            } else {
                let _ = keeper.join();
            }
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
fn with_end(mut child: Child) -> Result<(Child, Option<OwnedFd>)> {
    match child.pidfd().try_clone_to_owned() {
        Ok(pidfd) => Ok((child, Some(pidfd))),
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
