//! The rest of the init's life: signals go to the command, the dead are reaped, the spawner is watched.

use crate::acts;
use crate::kernel::{self, Errno, Fd, Pid, Watched};
use crate::order::Order;
use crate::report::Report;

/// As if killed, which is what becomes of the command.
const SPAWNER_GONE: i32 = 128 + 9;

/// An eye on the spawner while the init waits for something else.
pub(crate) struct Watch<'a> {
    order: &'a Order,
    socket: Fd,
    spawner: Fd,
}

impl<'a> Watch<'a> {
    pub(crate) fn new(order: &'a Order) -> Watch<'a> {
        // Its socket hangs up with it, unless a process that was forked from it meanwhile has a copy of its end.
        Watch { order, socket: order.socket.get(), spawner: acts::spawner(order).unwrap_or(Fd::NONE) }
    }

    /// Waits until there is something to be read; ends the init if the spawner is gone first.
    pub(crate) fn wait_for(&mut self, fd: Fd) {
        loop {
            let mut watched = [
                Watched::new(fd, kernel::POLLIN),
                Watched::new(self.socket, 0),
                Watched::new(self.spawner, kernel::POLLIN),
            ];
            match kernel::poll(&mut watched) {
                // A stop and continue of the init can do that.
                Err(Errno::EINTR) => continue,
                // Whoever cannot watch may not go on: a container without its init ends.
                Err(_) => kernel::exit(crate::FAILED),
                Ok(()) => {}
            }
            let [readable, socket, spawner] = watched;
            if spawner.has_news() {
                kernel::exit(SPAWNER_GONE);
            }
            if socket.has_news() {
                if !self.order.detached {
                    kernel::exit(SPAWNER_GONE);
                }
                // poll(2) passes over it from here on.
                self.socket = Fd::NONE;
            }
            if readable.has_news() {
                return;
            }
        }
    }

    pub(crate) fn run(mut self, signals: Fd, command: Pid) -> ! {
        loop {
            self.wait_for(signals);
            // One signal a turn, so that a flood of them keeps nobody waiting.
            forward(self.order, signals, command);
            reap(self.order, command);
        }
    }
}

/// Waits until the spawner is gone, or has closed its end.
pub(crate) fn until_outlived(order: &Order) {
    while !kernel::hangs_up_within(order.socket.get(), 999) {}
}

/// Waits until the spawner is gone, or a tenth of a second: it may not have closed its copy of our end yet.
pub(crate) fn outlived(order: &Order) {
    kernel::hangs_up_within(order.socket.get(), 100);
}

fn forward(order: &Order, signals: Fd, command: Pid) {
    let Ok((signal, how)) = kernel::next_signal(signals) else { return };
    // That one was for the init; SIGKILL never comes this way. And in the caller's job the command has had the kernel's as well.
    if signal == kernel::SIGCHLD || (order.in_job && how == kernel::BY_KERNEL) {
        return;
    }
    let signal = if how == kernel::STOP && signal == kernel::SIGTTOU { kernel::SIGSTOP } else { signal };
    // It leads a group, which has the same number. Nobody else reaps the command, so the pid is still its own.
    let for_all = !order.in_job && (how == kernel::FOR_ALL || kernel::OF_JOBS >> (signal - 1) & 1 != 0);
    kernel::kill(if for_all { Pid(-command.0) } else { command }, signal);
}

/// Some at a time: processes inside can have the init be the parent of ever new ones, CLONE_PARENT, faster than it reaps them.
fn reap(order: &Order, command: Pid) {
    for _ in 0..64 {
        // Without a terminal nobody asks, and what is told would pile up.
        match kernel::reap(order.terminal) {
            Ok(Some((pid, status))) if status & 0xff == 0x7f => {
                if pid == command {
                    kernel::send(order.socket.get(), &Report::stopped((status >> 8 & 0xff) as u32).record());
                }
            }
            Ok(Some((pid, status))) if pid == command => end(order, status),
            Ok(Some(_)) | Err(Errno::EINTR) => {}
            Ok(None) => return,
            // The command is a child that was not waited for, so there is always something to wait for.
            Err(_) => kernel::exit(crate::FAILED),
        }
    }
    // Of the others no signal tells any more.
    kernel::kill(Pid(1), kernel::SIGCHLD);
}

fn end(order: &Order, status: i32) -> ! {
    kernel::send(order.socket.get(), &Report::ended(status).record());
    let signal = status & 0x7f;
    kernel::exit(if signal == 0 { status >> 8 & 0xff } else { 128 + signal })
}
