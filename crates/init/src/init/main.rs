//! The init: PID 1 of a container. What it does, and how it is called, is told in the docs of `seclude_init`.
//!
//! It has no libc and no allocator, makes system calls and nothing else, and is one thread. Every call that the host
//! could refuse is made before the command is started, so that a refusal comes back as the failure of the spawn.
#![no_std]
#![no_main]
#![deny(unsafe_op_in_unsafe_fn, clippy::undocumented_unsafe_blocks)]

mod acts;
mod command;
mod inner;
mod kernel;
mod order;
mod own_filter;
mod privileges;
mod report;
mod wait;
mod watch;

/// The file of the architecture, from crates/sys; build.rs says where.
#[allow(dead_code, unused_imports, unreachable_pub, reason = "the file has what the library needs too")]
mod arch {
    include!(concat!(env!("OUT_DIR"), "/arch.rs"));
}

use core::cell::UnsafeCell;
use core::ffi::c_char;
use core::panic::PanicInfo;

use kernel::{Action, Errno, Fd, Fork, Result};
use order::Order;
use report::{Buffer, Report};
use watch::Watch;

/// The init failed, or the command could not be started.
const FAILED: i32 = 125;

arch::program!(crate::start);

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    kernel::exit(FAILED)
}

/// Room for one report, in .bss: on the stack it would have to be zeroed.
struct Memory(UnsafeCell<Buffer>);
// SAFETY: the init is one thread, and `start` is the only one to take the buffer, once.
unsafe impl Sync for Memory {}
static MEMORY: Memory = Memory(UnsafeCell::new([0; report::ROOM]));

/// # Safety
/// `stack` must be what the kernel leaves on the stack of a new program.
unsafe extern "C" fn start(stack: *const usize) -> ! {
    // SAFETY: argc is the first word, argv comes behind it; both stay as long as the process.
    let arguments = unsafe { order::Arguments::new(*stack, stack.add(1).cast::<*const c_char>()) };
    // SAFETY: `start` runs once, so this is the only reference.
    let buffer = unsafe { &mut *MEMORY.0.get() };
    match Order::read(arguments) {
        Some(order) => run(&order, buffer),
        // Without an order there is no socket to complain on.
        None => kernel::exit(FAILED),
    }
}

fn run(order: &Order, buffer: &mut Buffer) -> ! {
    if order.becomes {
        let length = command::replace(order, buffer);
        fail(order, buffer.get(..length).unwrap_or(&[]));
    }
    let (prepared, fork) = match prepare(order) {
        Ok(both) => both,
        Err(errno) => fail(order, &order.failure(order.calls.init, errno).record()),
    };
    match fork {
        Fork::Child => command::run(order, &prepared.old_on_child, prepared.pipe_write, buffer),
        Fork::Parent(command) => {
            kernel::close(prepared.pipe_write);
            // An end of the command's standard output held here would keep its reader from seeing the end.
            close_all_but(|| {
                [order.socket.get(), prepared.pipe_read, prepared.signals].into_iter().chain(acts::held(order))
            });
            privileges::keep_right_to_signal();
            own_filter::install();
            let mut watch = Watch::new(order);
            let received = read_to_end(prepared.pipe_read, buffer, &mut watch);
            kernel::close(prepared.pipe_read);
            if received > 0 {
                fail(order, buffer.get(..received).unwrap_or(&[]));
            }
            kernel::send(order.socket.get(), &Report::running().record());
            watch.run(prepared.signals, command)
        }
    }
}

struct Prepared {
    signals: Fd,
    pipe_read: Fd,
    pipe_write: Fd,
    old_on_child: Action,
}

/// Everything up to the fork.
fn prepare(order: &Order) -> Result<(Prepared, Fork)> {
    kernel::set_name(kernel::Text::from(c"seclude-init"));
    // The command must not find the socket, neither as a descriptor of its own nor through /proc/1/fd.
    kernel::set_close_on_exec(order.socket.get())?;
    kernel::set_dumpable(false)?;
    // It would come when the spawner's thread ends; what counts is its process, so the socket is watched instead.
    kernel::set_parent_death_signal(0)?;
    // Blocked signals wait for the signalfd, also those that PID 1 would not get otherwise.
    kernel::set_signal_mask(kernel::ALL_SIGNALS)?;
    // Where SIGCHLD is ignored, there is nothing to wait for. The command gets what was there.
    let old_on_child = kernel::set_action(kernel::SIGCHLD, &Action::DEFAULT)?;
    let signals = kernel::signalfd(kernel::ALL_SIGNALS)?;
    let [pipe_read, pipe_write] = kernel::pipe()?;
    // Closes nothing, as no number is that high: shows that the kernel has the call (5.9) and no filter refuses it.
    kernel::close_range(u32::MAX, u32::MAX)?;
    let fork = kernel::fork()?;
    Ok((Prepared { signals, pipe_read, pipe_write, old_on_child }, fork))
}

/// Passes a failure on, the file's beginning as a record of its own, and ends.
fn fail(order: &Order, received: &[u8]) -> ! {
    if let Some((record, beginning)) = received.split_at_checked(report::RECORD) {
        kernel::send(order.socket.get(), record);
        if !beginning.is_empty() {
            kernel::send(order.socket.get(), beginning);
        }
    }
    kernel::exit(FAILED)
}

/// Answers how many bytes came before the end of file.
fn read_to_end(pipe: Fd, buffer: &mut Buffer, watch: &mut Watch<'_>) -> usize {
    let mut received = 0;
    while let Some(room) = buffer.get_mut(received..).filter(|room| !room.is_empty()) {
        // The command's file may be on a server that does not answer, and the spawner be gone meanwhile.
        watch.wait_for(pipe);
        match kernel::read(pipe, room) {
            Ok(0) => break,
            Ok(more) => received += more,
            Err(Errno::EINTR) => {}
            Err(_) => break,
        }
    }
    received
}

fn close_all_but<Kept: Iterator<Item = Fd>>(kept: impl Fn() -> Kept) {
    // That the call works was seen before the fork.
    let mut first = 0;
    while let Some(next) = kept().filter_map(|fd| u32::try_from(fd.0).ok()).filter(|fd| *fd >= first).min() {
        if next > first {
            let _ = kernel::close_range(first, next - 1);
        }
        first = next + 1;
    }
    let _ = kernel::close_range(first, u32::MAX);
}
