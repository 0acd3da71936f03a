//! The last op: exec, and if it fails, what the kernel's ENOENT, EACCES or ENOEXEC was about.

use core::ffi::CStr;

use seclude_sys::process::{StringList, execve};
use seclude_sys::{Errno, Fd, file};

use crate::board::BoardPointer;
use crate::run::Failure;
use crate::wire::Call;

/// Tries each candidate as execvp(3) does: a missing one is passed over, a forbidden one remembered.
pub(crate) fn search(board: BoardPointer, candidates: &[&CStr], argv: StringList<'_>, envp: StringList<'_>) -> Failure {
    let mut worst = Failure(Call::Execve, Errno::ENOENT);
    for candidate in candidates {
        match execve(candidate, argv, envp) {
            // The kernel says ENOENT also for an interpreter or loader that is missing: then the file exists.
            Errno::ENOENT if file::status(Fd::CWD, candidate).is_ok() => {
                return Failure(read_beginning(board, candidate), Errno::ENOENT);
            }
            Errno::ENOTDIR if candidates.len() == 1 => worst = Failure(Call::Execve, Errno::ENOTDIR),
            Errno::ENOENT | Errno::ENOTDIR => {}
            Errno::EACCES if is_directory(candidate) => worst = Failure(Call::ExecDirectory, Errno::EACCES),
            Errno::EACCES => match file::status(Fd::CWD, candidate) {
                Ok(_) => worst = Failure(Call::Execve, Errno::EACCES),
                // A directory of PATH that may not be searched hides nothing that could be run.
                Err(_) if candidates.len() > 1 => {}
                Err(_) => worst = Failure(Call::Execve, Errno::EACCES),
            },
            Errno::ENOEXEC => {
                read_beginning(board, candidate);
                return Failure(Call::Execve, Errno::ENOEXEC);
            }
            errno => return Failure(Call::Execve, errno),
        }
    }
    worst
}

/// Looks for what [`search`] would execute, as far as that can be known without executing it.
pub(crate) fn rehearse(candidates: &[&CStr]) -> Failure {
    let mut worst = Failure(Call::Execve, Errno::ENOENT);
    for candidate in candidates {
        match file::may_execute(candidate) {
            Ok(()) if is_directory(candidate) => worst = Failure(Call::ExecDirectory, Errno::EACCES),
            Ok(()) => return Failure(Call::Rehearsed, Errno::ECANCELED),
            Err(Errno::EACCES) if candidates.len() == 1 || file::status(Fd::CWD, candidate).is_ok() => {
                worst = Failure(Call::Execve, Errno::EACCES);
            }
            Err(Errno::ENOENT | Errno::ENOTDIR | Errno::EACCES) => {}
            Err(errno) => return Failure(Call::Execve, errno),
        }
    }
    worst
}

/// Also through symlinks, as exec goes.
fn is_directory(path: &CStr) -> bool {
    match file::open(Fd::CWD, path, file::O_PATH | file::O_DIRECTORY, 0, 0) {
        Ok(directory) => file::close(directory).is_ok(),
        Err(_) => false,
    }
}

/// The file's first bytes go onto the board: its `#!` line or its ELF header names what is missing, or what it is for.
fn read_beginning(board: BoardPointer, path: &CStr) -> Call {
    // It may have become a FIFO by now, which nobody opens for writing.
    if let Ok(fd) = file::open(Fd::CWD, path, file::O_RDONLY | file::O_NONBLOCK, 0, 0) {
        let _ = board.append_from(fd);
        let _ = file::close(fd);
        return Call::ExecInterpreter;
    }
    // A symlink that leads nowhere is there for lstat and missing for exec.
    Call::Execve
}
