//! The thread on which everything waits that happens after a start, for all processes and pipes.

use std::future::Future;
use std::io;
use std::sync::{Mutex, OnceLock, PoisonError};

use tokio::runtime::{Builder, Handle};

/// What is blocking (the clean-up after an end, a look into a cgroup) has threads of its own, up to so many.
const BLOCKING: usize = 4;

static HANDLE: OnceLock<Handle> = OnceLock::new();

/// Makes the thread, if it is not there: before anything is asked of it.
pub(crate) fn start() -> io::Result<()> {
    static STARTING: Mutex<()> = Mutex::new(());
    let _alone = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
    if HANDLE.get().is_some() {
        return Ok(());
    }
    let (sender, receiver) = std::sync::mpsc::sync_channel(1);
    let run = move || {
        let runtime = Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .max_blocking_threads(BLOCKING)
            .thread_name("seclude-blocking")
            .build();
        match runtime {
            Ok(runtime) => {
                let _ = sender.send(Ok(runtime.handle().clone()));
                runtime.block_on(std::future::pending::<()>());
            }
            Err(error) => drop(sender.send(Err(error))),
        }
    };
    std::thread::Builder::new().name("seclude-reactor".into()).spawn(run)?;
    let handle = receiver.recv().map_err(io::Error::other)??;
    let _ = HANDLE.set(handle);
    Ok(())
}

/// The runtime, which [`start`] has made for the first [`crate::hub::Hub`].
pub(crate) fn handle() -> &'static Handle {
    HANDLE.wait()
}

/// Lets `task` run to its end.
pub(crate) fn spawn(task: impl Future<Output = ()> + Send + 'static) {
    handle().spawn(task);
}

/// Runs what blocks.
pub(crate) fn block(task: impl FnOnce() + Send + 'static) {
    handle().spawn_blocking(task);
}
