//! What a caller has done while the new process waits.

use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

type Work = dyn Fn(u32) -> io::Result<()> + Send + Sync;

/// Work of the caller's, with the pid.
#[derive(Clone)]
pub(crate) struct WhenBorn(Arc<Work>);

impl WhenBorn {
    pub(crate) fn new(work: impl Fn(u32) -> io::Result<()> + Send + Sync + 'static) -> WhenBorn {
        WhenBorn(Arc::new(work))
    }

    pub(crate) fn run(&self, pid: u32) -> io::Result<()> {
        (self.0)(pid)
    }
}

type Serve = dyn Fn(u32, OwnedFd) -> io::Result<()> + Send + Sync;

/// Work of the caller's, with the pid and the listener of a filter.
#[derive(Clone)]
pub(crate) struct WhenListening(Arc<Serve>);

impl WhenListening {
    pub(crate) fn new(work: impl Fn(u32, OwnedFd) -> io::Result<()> + Send + Sync + 'static) -> WhenListening {
        WhenListening(Arc::new(work))
    }

    pub(crate) fn run(&self, pid: u32, listener: OwnedFd) -> io::Result<()> {
        (self.0)(pid, listener)
    }
}

impl fmt::Debug for WhenListening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WhenListening")
    }
}

type Filling = dyn Fn(OwnedFd) -> io::Result<()> + Send + Sync;

/// Work of the caller's, with a file system that nothing leads to yet.
#[derive(Clone)]
pub(crate) struct Fill(Arc<Filling>);

impl Fill {
    pub(crate) fn new(work: impl Fn(OwnedFd) -> io::Result<()> + Send + Sync + 'static) -> Fill {
        Fill(Arc::new(work))
    }

    pub(crate) fn run(&self, mount: OwnedFd) -> io::Result<()> {
        (self.0)(mount)
    }
}

impl PartialEq for Fill {
    fn eq(&self, other: &Fill) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Fill {}

impl fmt::Debug for Fill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fill")
    }
}

impl fmt::Debug for WhenBorn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WhenBorn")
    }
}
