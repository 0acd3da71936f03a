//! Failing at a chosen place of a spawn, for tests: the plan is data, so one hook is enough for all of them.

use rustix::process::{Signal, getpid, kill_process};
use seclude_sys::Errno;

use crate::error::{Error, Result};

/// A place in a spawn, in the order in which they are come to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// After the preparation of the step of this number.
    Prepared(usize),
    /// After what the parent does for this step while the child waits.
    Attended(usize),
    /// Instead of the child's op of this number.
    Op(usize),
}

/// What happens there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// The call there answers this error number.
    Fail(i32),
    /// The spawning process is killed there.
    Kill,
}

impl Fault {
    pub(crate) fn errno(self) -> Option<Errno> {
        match self {
            Fault::Fail(number) => Some(Errno(number as u16)),
            Fault::Kill => None,
        }
    }
}

/// In the parent, at `place`.
pub(crate) fn strike(planned: Option<(Place, Fault)>, place: Place, step: &'static str) -> Result<()> {
    match planned {
        Some((at, Fault::Fail(number))) if at == place => {
            let errno = rustix::io::Errno::from_raw_os_error(number);
            Err(Error::parent(step, "", errno).call("a fault of a test"))
        }
        Some((at, Fault::Kill)) if at == place => die(),
        _ => Ok(()),
    }
}

/// Ends this process as nothing it could clean up after does.
pub(crate) fn die() -> ! {
    loop {
        let _ = kill_process(getpid(), Signal::KILL);
    }
}
