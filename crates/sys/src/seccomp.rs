//! The listener of a filter of system calls, seccomp_unotify(2).

use crate::{Fd, Result, call};

/// `struct seccomp_notif`: a call that waits for its answer.
#[repr(C)]
#[derive(Clone, Copy, Default, Debug)]
pub struct Notification {
    /// To answer it by.
    pub id: u64,
    /// The thread, in the pid namespace of whoever reads this; 0 if it is not in that.
    pub tid: u32,
    flags: u32,
    /// The number, in the table of the architecture.
    pub number: u32,
    /// `AUDIT_ARCH_…`
    pub architecture: u32,
    instruction_pointer: u64,
    /// As the registers had them: what they point to may change at any time.
    pub arguments: [u64; 6],
}

/// `struct seccomp_notif_resp`
#[repr(C)]
struct Answer {
    id: u64,
    value: i64,
    error: i32,
    flags: u32,
}

const _: () = assert!(size_of::<Notification>() == 80 && size_of::<Answer>() == 24);

/// `_IOWR('!', 0, struct seccomp_notif)` and so on.
const RECEIVE: u32 = 0xc050_2100;
const SEND: u32 = 0xc018_2101;
const SET_FLAGS: u32 = 0x4008_2104;
const SYNC_WAKE_UP: u64 = 1;

/// The next one. Waits unless poll(2) has found one; ENOENT if that has been interrupted meanwhile. Linux 5.0.
pub fn receive(listener: Fd) -> Result<Notification> {
    let mut notification = Notification::default();
    // SAFETY: the request fills a structure of this size, which has to be zeros before.
    unsafe { call!(__NR_ioctl, listener.arg(), RECEIVE, &raw mut notification) }.map(|_| notification)
}

/// Has the call of this id answer `-errno`; 0 is a success that did nothing. ENOENT if nobody waits any more.
pub fn answer(listener: Fd, id: u64, errno: u16) -> Result<()> {
    let answer = Answer { id, value: 0, error: -i32::from(errno), flags: 0 };
    // SAFETY: the request reads a structure of this size.
    unsafe { call!(__NR_ioctl, listener.arg(), SEND, &raw const answer) }.map(drop)
}

/// Has whoever asks and whoever answers run on one CPU, in turns: half the time. Linux 6.6.
pub fn wake_in_turns(listener: Fd) -> Result<()> {
    // SAFETY: the request takes a number.
    unsafe { call!(__NR_ioctl, listener.arg(), SET_FLAGS, SYNC_WAKE_UP) }.map(drop)
}
