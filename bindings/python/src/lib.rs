//! seclude for Python: what the Python code of `python/seclude/` calls, over the library's public interface.
//!
//! Nothing here waits for a process: Python polls its pidfd, so that handlers of signals run meanwhile. What takes time (a
//! start, a kill, the clean-up at the end) is done without the interpreter's lock.

mod compose;
mod descriptor;
mod examine;
mod failure;
mod object;
mod process;
mod spec;

use pyo3::prelude::*;

/// Not tried on an interpreter without a global lock: there it is switched on.
#[pymodule(gil_used = true)]
mod _native {
    #[pymodule_export]
    use crate::examine::{doctor, explain};
    #[pymodule_export]
    use crate::process::{Process, spawn};
    #[pymodule_export]
    use crate::spec::load;
}
