//! Failing at a chosen place of a spawn, for tests: the plan is data, so one hook is enough for all of them.

#[cfg(feature = "fault")]
use rustix::process::{Signal, getpid, kill_process};
use seclude_sys::Errno;

#[cfg(feature = "fault")]
use crate::error::{Error, Result};

/// A place in a spawn, in the order in which they are come to.
#[cfg_attr(not(feature = "fault"), expect(unreachable_pub, reason = "public with the feature"))]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// After the preparation of the step of this number.
    Prepared(usize),
    /// After what the parent does for this step while the child waits.
    Attended(usize),
    /// Instead of the child's op of this number.
    #[cfg(feature = "fault")]
    Op(usize),
}

/// What happens there.
#[cfg_attr(not(feature = "fault"), expect(dead_code, unreachable_pub, reason = "used with the feature"))]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// The call there answers this error number.
    Fail(i32),
    /// The spawning process is killed there.
    Kill,
}

/// The same for an op of the launcher's.
pub(crate) enum Late {
    Fails(Errno),
    KillsParent,
}

impl Fault {
    pub(crate) fn late(self) -> Late {
        match self {
            Fault::Fail(number) => Late::Fails(Errno(number as u16)),
            Fault::Kill => Late::KillsParent,
        }
    }

    #[cfg(feature = "fault")]
    pub(crate) fn errno(self) -> Option<Errno> {
        match self {
            Fault::Fail(number) => Some(Errno(number as u16)),
            Fault::Kill => None,
        }
    }
}

/// In the parent, at `place`.
#[cfg(feature = "fault")]
pub(crate) fn strike(fault: Option<(Place, Fault)>, place: Place, step: &'static str) -> Result<()> {
    match fault {
        Some((at, Fault::Fail(number))) if at == place => {
            let errno = rustix::io::Errno::from_raw_os_error(number);
            Err(Error::parent(step, "", errno).call("a fault of a test"))
        }
        Some((at, Fault::Kill)) if at == place => die(),
        _ => Ok(()),
    }
}

/// Ends this process as nothing it could clean up after does.
#[cfg(feature = "fault")]
pub(crate) fn die() -> ! {
    loop {
        let _ = kill_process(getpid(), Signal::KILL);
    }
}
