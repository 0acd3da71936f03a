//! What a caller has done while the new process waits.

use std::fmt;
use std::io;
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

impl fmt::Debug for WhenBorn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WhenBorn")
    }
}
