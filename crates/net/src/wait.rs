//! Waiting for what somebody else has locked, and never without end: whoever sees the files in /run/seclude can lock them,
//! and need not be one of ours (root's containers that see the host's /run, before its directory was root's alone).

use std::time::{Duration, Instant};

use rustix::io::Errno;

use crate::Error;

/// Ours hold a lock for as long as the kernel takes to make or remove a bridge or a table.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// A time until which is waited.
pub(crate) struct Wait {
    end: Instant,
    step: Duration,
}

impl Wait {
    pub(crate) fn new(patience: Duration) -> Wait {
        Wait { end: Instant::now() + patience, step: Duration::from_micros(50) }
    }

    /// Tries until it is had.
    pub(crate) fn until(
        &mut self,
        file: &str,
        call: &'static str,
        mut attempt: impl FnMut() -> Result<bool, Error>,
    ) -> Result<(), Error> {
        while !attempt()? {
            if Instant::now() >= self.end {
                return Err(Error::Held { file: file.to_owned(), call });
            }
            std::thread::sleep(self.step);
            self.step = (self.step * 2).min(Duration::from_millis(5));
        }
        Ok(())
    }

    /// The same for a call that says that it would have to wait.
    pub(crate) fn until_free<T>(
        &mut self,
        file: &str,
        call: &'static str,
        mut attempt: impl FnMut() -> Result<T, Errno>,
    ) -> Result<T, Error> {
        let mut had = None;
        self.until(file, call, || match attempt() {
            Ok(value) => {
                had = Some(value);
                Ok(true)
            }
            Err(Errno::AGAIN | Errno::INTR) => Ok(false),
            Err(errno) => Err(Error::from_call(file, call, errno)),
        })?;
        had.ok_or_else(|| Error::from_call(file, call, Errno::AGAIN))
    }
}
