//! From a request to a handle.

use std::ffi::{c_char, c_int};
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Instant;

use rustix::io::Errno;
use seclude::request::{Format, Request};
use seclude::{Command, Stdio};

use crate::child::Child;
use crate::error::Error;
use crate::guard::{Failure, guarded};
use crate::strings::request_bytes;

/// The step that an error of these is of.
const FDS: &str = "descriptors";

/// SIGPIPE and SIGXFSZ: signal N is bit N-1.
const IGNORED_FOR_ONESELF: u64 = 1 << 12 | 1 << 24;

/// For one of the three: the caller's own, or the terminal that the request asks for.
pub const SECLUDE_INHERIT: c_int = -1;
/// For one of the three: /dev/null.
pub const SECLUDE_NULL: c_int = -2;
/// For one of the three: a pipe, whose other end seclude_take_stdin, _stdout or _stderr give.
pub const SECLUDE_PIPE: c_int = -3;

/// A descriptor for the command besides stdin, stdout and stderr.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Fd {
    /// The caller's own; a copy is given on, and it stays as it is.
    pub fd: c_int,
    /// Its number for the command, 3 or more.
    pub number: c_int,
}

/// Starts what a request describes, and returns when the command runs.
///
/// `request`, `length`: JSON and its bytes, which are not needed any more afterwards.
/// `stdio`: NULL (all SECLUDE_INHERIT), or three numbers, for stdin, stdout and stderr: a descriptor, of which a copy is given on, or
/// SECLUDE_INHERIT, SECLUDE_NULL or SECLUDE_PIPE.
/// `fds`, `fd_count`: further descriptors for the command; NULL if there are none. All others are closed for it.
/// `child`: the handle is put here, to be freed with seclude_child_free; it is NULL if nothing was started.
///
/// A start that takes too long is ended by the request's `deadline`.
///
/// Signals that the caller ignores are ignored by the command as well, as over fork(2) and execve(2), but for SIGPIPE and SIGXFSZ, which
/// programs ignore for themselves alone: these have their default, as those with a handler do. None is blocked.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_spawn(
    request: *const c_char,
    length: usize,
    stdio: *const c_int,
    fds: *const Fd,
    fd_count: usize,
    child: *mut *mut Child,
    error: *mut *mut Error,
) -> c_int {
    let work = || {
        if child.is_null() {
            return Err(Failure::Null("child"));
        }
        // SAFETY: it is not NULL, so a pointer can be written there.
        unsafe { child.write(std::ptr::null_mut()) };
        let began = Instant::now();
        // SAFETY: NULL, or `length` bytes that stay until this returns.
        let request = Request::parse(unsafe { request_bytes(request, length) }?, Format::Json)?;
        let mut command = Command::from_request(&request)?;
        command.keep_ignored_signals(!IGNORED_FOR_ONESELF);
        // SAFETY: NULL, or three numbers that stay until this returns.
        if let Some(numbers) = unsafe { stdio.cast::<[c_int; 3]>().as_ref() } {
            streams(&mut command, *numbers)?;
        }
        if fd_count > 0 {
            if fds.is_null() {
                return Err(Failure::Null("fds"));
            }
            // No process has more descriptors than this.
            if i32::try_from(fd_count).is_err() {
                return Err(Failure::system(FDS, format!("{fd_count} for the command"))(Errno::MFILE.into()));
            }
            // SAFETY: it is not NULL, so that many stand there until this returns.
            for Fd { fd, number } in unsafe { std::slice::from_raw_parts(fds, fd_count) } {
                let failed = Failure::system(FDS, format!("{fd} for the command's {number}"));
                command.inherit_fd(*fd, *number).map_err(failed)?;
            }
        }
        let made = Child::new(command.spawn()?, began);
        // SAFETY: as above.
        unsafe { child.write(Box::into_raw(Box::new(made))) };
        Ok(0)
    };
    // SAFETY: NULL, or where a pointer can be written.
    unsafe { guarded(error, work) }
}

fn streams(command: &mut Command, numbers: [c_int; 3]) -> Result<(), Failure> {
    type Place = fn(&mut Command, Stdio) -> &mut Command;
    let places: [(&str, Place); 3] =
        [("stdin", Command::stdin), ("stdout", Command::stdout), ("stderr", Command::stderr)];
    for ((name, place), number) in places.into_iter().zip(numbers) {
        let stream = match number {
            SECLUDE_INHERIT => continue,
            SECLUDE_NULL => Stdio::null(),
            SECLUDE_PIPE => Stdio::piped(),
            number => copy_of(number).map_err(Failure::system(FDS, format!("{number} for {name}")))?.into(),
        };
        place(command, stream);
    }
    Ok(())
}

/// A copy of descriptor `number`; EBADF if nothing is open there.
fn copy_of(number: c_int) -> io::Result<OwnedFd> {
    if number < 0 {
        return Err(Errno::BADF.into());
    }
    // SAFETY: it is borrowed for the call that copies it, which the caller waits for; if it is not open, that call answers EBADF.
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    borrowed.try_clone_to_owned()
}
