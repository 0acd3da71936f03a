//! Where the child starts, and the guard that keeps its memory alive: the only `unsafe` of this crate.
#![allow(unsafe_code, reason = "the clone itself; every block says why it is sound")]

use core::ffi::c_void;

use seclude_sys::{Fd, clone, process};

use crate::run::{Done, Named, Setup, run};
use crate::wire::{Call, Message};

#[cfg_attr(not(feature = "std"), allow(dead_code))]
/// The entry of the clone: runs the [`Setup`] behind `data`.
pub(crate) extern "C" fn child_main(data: *mut c_void) -> ! {
    // SAFETY: `data` is the Setup that `birth` passed, alive in shared or copied memory until exec or exit.
    run(unsafe { &*data.cast::<Setup<'_>>() })
}

/// Leaves the pid namespace that joining does not change for ourselves: a sibling goes on, and we end.
pub(crate) fn go_on_as_sibling(socket: Fd) -> Done {
    // SAFETY: a plan that joins a pid namespace is never run with shared memory (the parent's `birth` refuses).
    match unsafe { clone::fork_sibling() }.named(Call::Fork)? {
        0 => Ok(()),
        pid => {
            Message::Moved(pid).send(socket);
            process::exit(0)
        }
    }
}

#[cfg(feature = "std")]
pub use parent::{Memory, Newborn, Request, birth, copy_of, ruleset};

#[cfg(feature = "std")]
mod parent {
    use core::ffi::c_void;
    use core::sync::atomic::{AtomicU32, Ordering};
    use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

    use seclude_sys::clone::{
        CLONE_CHILD_CLEARTID, CLONE_CLEAR_SIGHAND, CLONE_INTO_CGROUP, CLONE_PIDFD, CLONE_VM, CloneArgs, clone_legacy,
        clone3, wait_cleared, wait_cleared_within,
    };
    use seclude_sys::memory::Mapping;
    use seclude_sys::{Errno, Fd, Result, file, landlock, signal};

    use super::child_main;
    use crate::op::Op;
    use crate::run::Setup;

    /// A copy of descriptor `number` of the caller's, whoever opened it: fcntl(2) F_DUPFD_CLOEXEC. EBADF if it is not open.
    pub fn copy_of(number: i32) -> Result<OwnedFd> {
        let copy = file::duplicate_above(Fd(number), 3)?;
        // SAFETY: the kernel has made a new descriptor of that number; nobody else owns it.
        Ok(unsafe { OwnedFd::from_raw_fd(copy.0) })
    }

    /// A ruleset of landlock: landlock_create_ruleset(2).
    pub fn ruleset(files: u64, net: u64, scopes: u64) -> Result<OwnedFd> {
        let made = landlock::create_ruleset(files, net, scopes)?;
        // SAFETY: as above.
        Ok(unsafe { OwnedFd::from_raw_fd(made.0) })
    }

    /// Enough for the interpreter, whose frames are small; a guard page lies below.
    const STACK: usize = 32 * 1024;

    /// Whose memory the child runs in until its exec.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub enum Memory {
        /// The caller's own (`CLONE_VM`): costs the same whatever the caller has mapped.
        Shared,
        /// A copy, as fork(2): costs with the caller's memory, and changes nothing of the caller's.
        Copied,
    }

    /// How to clone.
    #[derive(Clone, Copy, Debug)]
    pub struct Request {
        /// The `CLONE_NEW…` flags.
        pub namespaces: u64,
        /// Shared or copied.
        pub memory: Memory,
        /// Use `clone(2)`, where `clone3(2)` is refused.
        pub legacy: bool,
        /// Be born in this cgroup (`CLONE_INTO_CGROUP`, Linux 5.7); not with `legacy`.
        pub cgroup: Option<Fd>,
        /// Called instead of returning if the child was killed and does not end: it is in a call that nothing interrupts.
        pub stuck: Option<fn() -> !>,
    }

    /// How long a killed process may take to end.
    const LAST_MOMENTS: u32 = 2;

    /// The new process, waiting at its first barrier.
    #[derive(Debug)]
    pub struct Newborn {
        /// Its pid in the caller's pid namespace.
        pub pid: i32,
        /// Its pidfd, pidfd_open(2).
        pub pidfd: OwnedFd,
    }

    /// Makes the process, and has `attend` do the parent's half while the child waits for it.
    ///
    /// When this returns the child runs in none of the caller's memory: it has exec'd (`attend` answered `Ok`,
    /// which it must not do before the child's end of file) or was killed and reaped (`Err`, or a panic). `attend`
    /// may put another process in the newborn's place: the one it went on as in a pid namespace it joined.
    pub fn birth<T, E>(
        request: &Request,
        setup: &Setup<'_>,
        attend: impl FnOnce(&mut Newborn) -> core::result::Result<T, E>,
    ) -> Result<core::result::Result<(T, Newborn), E>> {
        let shared = request.memory == Memory::Shared;
        if shared && setup.program.iter().any(|instruction| matches!(instruction.op, Op::EnterPidNamespace)) {
            return Err(Errno::EINVAL);
        }
        let stack = if shared { Some(Mapping::stack(STACK)?) } else { None };
        let busy = AtomicU32::new(u32::from(shared));
        let mut pidfd: i32 = -1;
        let mut arguments = CloneArgs {
            flags: request.namespaces | u64::from(CLONE_PIDFD),
            pidfd: (&raw mut pidfd) as u64,
            ..CloneArgs::default()
        };
        if let Some(stack) = &stack {
            arguments.flags |= u64::from(CLONE_VM | CLONE_CHILD_CLEARTID);
            arguments.child_tid = busy.as_ptr() as u64;
            arguments.stack = stack.start().as_ptr() as u64;
            arguments.stack_size = stack.length() as u64;
        }
        if !request.legacy {
            arguments.flags |= CLONE_CLEAR_SIGHAND;
        }
        if let Some(cgroup) = request.cgroup {
            arguments.flags |= CLONE_INTO_CGROUP;
            arguments.cgroup = cgroup.0 as u64;
        }

        // A handler of the caller's must not run in the child: it would believe to be in the caller.
        let mask = signal::set_mask(!0)?;
        let data = (&raw const *setup).cast_mut().cast::<c_void>();
        // SAFETY: setup, stack and `busy` outlive the child's use of them, because `Guard` below does not let
        // this function return or unwind before the child has exec'd or is reaped.
        let cloned = unsafe {
            if request.legacy {
                clone_legacy(&arguments, child_main, data)
            } else {
                clone3(&arguments, child_main, data)
            }
        };
        let _ = signal::set_mask(mask);
        let pid = cloned?;
        // SAFETY: the kernel stored a new descriptor there, as CLONE_PIDFD asked; nobody else owns it.
        let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };

        let mut guard = Guard { newborn: Some(Newborn { pid, pidfd }), busy: &busy, stuck: request.stuck };
        let Some(newborn) = guard.newborn.as_mut() else { return Err(Errno::ESRCH) };
        let attended = attend(newborn);
        Ok(match attended {
            Ok(value) => {
                wait_cleared(&busy);
                match guard.newborn.take() {
                    Some(newborn) => Ok((value, newborn)),
                    None => return Err(Errno::ESRCH),
                }
            }
            Err(error) => Err(error),
        })
    }

    /// Kills and reaps the child unless it was taken out; returns only when its memory use has ended.
    struct Guard<'a> {
        newborn: Option<Newborn>,
        busy: &'a AtomicU32,
        stuck: Option<fn() -> !>,
    }

    impl Drop for Guard<'_> {
        fn drop(&mut self) {
            if let Some(newborn) = self.newborn.take() {
                let pidfd = Fd(newborn.pidfd.as_raw_fd());
                let _ = signal::send_to(pidfd, signal::SIGKILL);
                if let Some(stuck) = self.stuck
                    && !wait_cleared_within(self.busy, LAST_MOMENTS)
                {
                    stuck();
                }
                wait_cleared(self.busy);
                signal::reap(pidfd);
            }
            debug_assert_eq!(self.busy.load(Ordering::Acquire), 0);
        }
    }
}
