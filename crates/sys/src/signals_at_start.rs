//! What a Rust program cannot ask any more once it is in its `main`.

use core::sync::atomic::{AtomicBool, Ordering};

use crate::signal;

static IGNORED: AtomicBool = AtomicBool::new(false);

extern "C" fn look() {
    IGNORED.store(signal::is_ignored(signal::SIGPIPE), Ordering::Relaxed);
}

// SAFETY: the loader calls what is listed there, on one thread, before `main` and its runtime; one system call and a store need neither.
#[unsafe(link_section = ".init_array")]
#[used]
static LOOK: extern "C" fn() = look;

/// Whether this program was started with SIGPIPE ignored. The runtime of a Rust program ignores it before `main`, whatever was there.
pub fn sigpipe_ignored_at_start() -> bool {
    IGNORED.load(Ordering::Relaxed)
}
