//! The thread on which everything waits that happens after a start, for all processes and pipes.

use std::future::Future;
use std::sync::OnceLock;

use tokio::runtime::{Builder, Handle};

/// What is blocking (the clean-up after an end, a look into a cgroup) has threads of its own, up to so many.
const BLOCKING: usize = 4;

/// The runtime. One that cannot be made is as fatal as no memory: every runtime of JavaScript has threads of its own.
pub(crate) fn handle() -> &'static Handle {
    static HANDLE: OnceLock<Handle> = OnceLock::new();
    HANDLE.get_or_init(|| {
        let (sender, receiver) = std::sync::mpsc::sync_channel(1);
        let run = move || {
            let runtime = Builder::new_current_thread()
                .enable_io()
                .enable_time()
                .max_blocking_threads(BLOCKING)
                .thread_name("seclude-blocking")
                .build()
                .expect("an epoll descriptor");
            let _ = sender.send(runtime.handle().clone());
            runtime.block_on(std::future::pending::<()>());
        };
        std::thread::Builder::new().name("seclude-reactor".into()).spawn(run).expect("a thread");
        receiver.recv().expect("the reactor has begun")
    })
}

/// Lets `task` run to its end.
pub(crate) fn spawn(task: impl Future<Output = ()> + Send + 'static) {
    handle().spawn(task);
}

/// Runs what blocks.
pub(crate) fn block(task: impl FnOnce() + Send + 'static) {
    handle().spawn_blocking(task);
}
