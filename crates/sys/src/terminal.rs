//! Pseudoterminals, pty(7), and the controlling terminal.

use crate::raw::ioctl;
use crate::{Fd, Result, call, file};

/// `struct winsize`: rows and columns in characters, the rest in pixels.
#[repr(C)]
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct WindowSize {
    /// Lines.
    pub rows: u16,
    /// Characters a line.
    pub columns: u16,
    /// Width in pixels, 0 if unknown.
    pub width: u16,
    /// Height in pixels, 0 if unknown.
    pub height: u16,
}

/// Lets the slave of `master` be opened.
#[inline(always)]
pub fn unlock(master: Fd) -> Result<()> {
    let locked = 0i32;
    // SAFETY: TIOCSPTLCK reads one int.
    unsafe { call!(__NR_ioctl, master.arg(), ioctl::TIOCSPTLCK, &raw const locked) }.map(drop)
}

/// Opens the slave of `master` by descriptor, never by its path in /dev/pts. Linux 4.13.
#[inline(always)]
pub fn open_slave(master: Fd) -> Result<Fd> {
    let flags = file::O_RDWR | file::O_NOCTTY | file::O_CLOEXEC;
    // SAFETY: TIOCGPTPEER takes open flags by value.
    unsafe { call!(__NR_ioctl, master.arg(), ioctl::TIOCGPTPEER, flags) }.map(|fd| Fd(fd as i32))
}

/// Sets the size that programs on the terminal see.
#[inline(always)]
pub fn set_size(terminal: Fd, size: WindowSize) -> Result<()> {
    // SAFETY: TIOCSWINSZ reads a struct winsize.
    unsafe { call!(__NR_ioctl, terminal.arg(), ioctl::TIOCSWINSZ, &raw const size) }.map(drop)
}

/// Makes `terminal` the session's own; the caller must be its leader and have none.
#[inline(always)]
pub fn make_controlling(terminal: Fd) -> Result<()> {
    // SAFETY: TIOCSCTTY takes a number.
    unsafe { call!(__NR_ioctl, terminal.arg(), ioctl::TIOCSCTTY, 0) }.map(drop)
}
