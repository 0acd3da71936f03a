//! The child's half: it becomes the command, or says why it cannot.

use crate::acts;
use crate::kernel::{self, Action, Errno, Fd, Fork, Result, Text};
use crate::order::Order;
use crate::report::{Buffer, RECORD, Report};
use crate::watch;

pub(crate) fn run(order: &Order, on_child: &Action, pipe: Fd, buffer: &mut Buffer) -> ! {
    let settled = settle(order, on_child).map_err(|errno| order.failure(order.calls.init, errno));
    let length = execute(order, settled.and_then(|()| ready(order)), buffer);
    // All of it fits into the pipe, so it goes at once.
    let _ = kernel::write(pipe, buffer.get(..length).unwrap_or(&[]));
    kernel::exit(crate::FAILED)
}

/// This process becomes the command; answers how much of `buffer` says why it did not.
pub(crate) fn replace(order: &Order, buffer: &mut Buffer) -> usize {
    let init = |errno| order.failure(order.calls.init, errno);
    let done = kernel::set_close_on_exec(order.socket.get()).map_err(init);
    let done = done.and_then(|()| hide(order).map_err(init));
    let done = done.and_then(|()| acts::all(order));
    // An act may have undone it.
    let done = done.and_then(|()| hide(order).map_err(init));
    // One that waits has gone on before, so that its pid stays.
    let done = done.and_then(|()| if order.waits { Ok(()) } else { go_on_as_sibling(order).map_err(init) });
    let done = done.and_then(|()| tie(order).map_err(init));
    if done.is_ok() {
        acts::until_served(order);
    }
    if order.holds && done.is_ok() {
        kernel::send(order.socket.get(), &Report::running().record());
        watch::until_outlived(order);
        kernel::exit(0);
    }
    let done = done.and_then(|()| kernel::set_signal_mask(order.mask).map_err(init));
    execute(order, done, buffer)
}

/// Processes of the same uid could write to our memory, and by that to the socket, from when our rights are gone until the exec, which
/// makes the command's memory its user's again.
pub(crate) fn hide(order: &Order) -> Result<()> {
    if order.among_others || order.waits { kernel::set_dumpable(false) } else { Ok(()) }
}

/// Into the pid namespace that was joined, which holds only for children.
pub(crate) fn go_on_as_sibling(order: &Order) -> Result<()> {
    if !order.sibling {
        return Ok(());
    }
    match kernel::fork_sibling()? {
        Fork::Child => lead(order),
        Fork::Parent(pid) => {
            kernel::send(order.socket.get(), &Report::moved(pid).record());
            kernel::exit(0)
        }
    }
}

/// The one before may not have led it: with a session's leader its terminal goes.
fn lead(order: &Order) -> Result<()> {
    if order.leads {
        kernel::new_session()?;
    }
    if !order.controlled {
        return Ok(());
    }
    // Those that are not the terminal were given by the caller.
    let mut answer = Err(Errno::ENOTTY);
    for fd in 0..3 {
        answer = kernel::be_controlled_by(Fd(fd));
        if answer.is_ok() {
            break;
        }
    }
    answer
}

/// A change of ids, a fork and an exec have cleared the death signal.
fn tie(order: &Order) -> Result<()> {
    if order.detached {
        return kernel::set_parent_death_signal(0);
    }
    kernel::set_parent_death_signal(kernel::SIGKILL)?;
    // The spawner may have died before: then nobody will send the signal.
    if kernel::hung_up(order.socket.get()) {
        kernel::exit(crate::FAILED);
    }
    Ok(())
}

fn execute(order: &Order, settled: core::result::Result<(), Report>, buffer: &mut Buffer) -> usize {
    let (report, missing_for) = match settled {
        Ok(()) => {
            let (call, errno, missing_for) = if order.rehearsal { rehearse(order) } else { search(order) };
            (order.failure(call, errno), missing_for)
        }
        Err(report) => (report, None),
    };
    let mut length = 0;
    if let Some((record, beginning)) = buffer.split_first_chunk_mut::<RECORD>() {
        *record = report.record();
        length = RECORD + missing_for.map_or(0, |file| kernel::read(file, beginning).unwrap_or(0));
    }
    length
}

/// What the command finds as its own: group, terminal, what SIGCHLD does.
fn settle(order: &Order, on_child: &Action) -> Result<()> {
    if !order.in_job {
        kernel::lead_group()?;
    }
    if order.terminal {
        // A background process would be stopped for this, but SIGTTOU is still blocked.
        take_foreground()?;
    }
    kernel::set_action(kernel::SIGCHLD, on_child).map(drop)
}

/// Its rights and limits; then nothing of ours is open but the pipe.
fn ready(order: &Order) -> core::result::Result<(), Report> {
    acts::all(order)?;
    acts::until_served(order);
    kernel::close(order.socket.get());
    let init = |errno| order.failure(order.calls.init, errno);
    // Without the socket there is nothing left to hide. Where the filter refuses it, the exec does it.
    let _ = kernel::set_dumpable(true);
    kernel::set_signal_mask(order.mask).map_err(init)
}

fn take_foreground() -> Result<()> {
    for fd in 0..3 {
        match kernel::take_foreground(Fd(fd)) {
            // Closed, or not the session's terminal: the next may be.
            Err(Errno::EBADF | Errno::ENOTTY) => {}
            answer => return answer,
        }
    }
    // None of them: the command may still come to it by this name. If that is not there, it is nobody's here.
    match kernel::open(Text::from(c"/dev/tty")) {
        Ok(terminal) => {
            let taken = kernel::take_foreground(terminal);
            kernel::close(terminal);
            taken
        }
        Err(Errno::ENXIO) => Err(Errno::ENOTTY),
        Err(_) => Ok(()),
    }
}

/// The failed call, what the kernel said, and the open file that lacks its interpreter, or is no program here.
pub(crate) type Failure = (u8, Errno, Option<Fd>);

/// Tries each candidate as execvp(3) does: a missing one is passed over, a forbidden one remembered.
///
/// The same rules as in crates/child/src/exec.rs.
fn search(order: &Order) -> Failure {
    let calls = &order.calls;
    let mut worst = (calls.execve, Errno::ENOENT, None);
    let alone = order.candidates().count() == 1;
    for candidate in order.candidates() {
        match kernel::execve(candidate, order.argv, order.envp) {
            // The kernel says ENOENT also for an interpreter or loader that is missing: then the file exists.
            Errno::ENOENT if kernel::is_there(candidate) => return without_interpreter(order, candidate),
            Errno::ENOTDIR if alone => worst = (calls.execve, Errno::ENOTDIR, None),
            Errno::ENOENT | Errno::ENOTDIR => {}
            Errno::EACCES if kernel::leads_to_directory(candidate) => worst = (calls.directory, Errno::EACCES, None),
            Errno::EACCES if alone || kernel::is_there(candidate) => worst = (calls.execve, Errno::EACCES, None),
            // A directory of PATH that may not be searched hides nothing that could be run.
            Errno::EACCES => {}
            // Whose program it is stands in its header.
            Errno::ENOEXEC => return (calls.execve, Errno::ENOEXEC, kernel::open(candidate).ok()),
            errno => return (calls.execve, errno, None),
        }
    }
    worst
}

/// Looks for what [`search`] would execute, as far as that can be known without executing it.
pub(crate) fn rehearse(order: &Order) -> Failure {
    let calls = &order.calls;
    let mut worst = (calls.execve, Errno::ENOENT, None);
    let alone = order.candidates().count() == 1;
    for candidate in order.candidates() {
        match kernel::may_execute(candidate) {
            Ok(()) if kernel::leads_to_directory(candidate) => worst = (calls.directory, Errno::EACCES, None),
            Ok(()) => return (calls.rehearsed, Errno::ECANCELED, None),
            Err(Errno::EACCES) if alone || kernel::is_there(candidate) => worst = (calls.execve, Errno::EACCES, None),
            Err(Errno::ENOENT | Errno::ENOTDIR | Errno::EACCES) => {}
            Err(errno) => return (calls.execve, errno, None),
        }
    }
    worst
}

fn without_interpreter(order: &Order, path: Text) -> Failure {
    match kernel::open(path) {
        Ok(file) => (order.calls.interpreter, Errno::ENOENT, Some(file)),
        // A symlink that leads nowhere is there for lstat and missing for exec.
        Err(_) => (order.calls.execve, Errno::ENOENT, None),
    }
}
