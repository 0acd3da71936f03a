//! The handshake's socket, one descriptor across it, and netlink from prepared bytes.

use core::ffi::c_void;

use crate::raw::{general as k, net, netlink};
use crate::{Errno, Fd, PathBuffer, Result, call};

/// `sendto(2)` on a connected socket; EPIPE instead of SIGPIPE if the other side is gone.
#[inline(always)]
pub fn send(socket: Fd, bytes: &[u8]) -> Result<usize> {
    let flags = net::MSG_NOSIGNAL;
    // SAFETY: pointer and length are one slice; no address is passed.
    unsafe { call!(__NR_sendto, socket.arg(), bytes.as_ptr(), bytes.len(), flags, 0, 0) }
}

/// `recvfrom(2)`: 0 when the other side is gone.
#[inline(always)]
pub fn receive(socket: Fd, buffer: &mut [u8]) -> Result<usize> {
    loop {
        // SAFETY: pointer and length are one slice; no address is asked for.
        let answer = unsafe { call!(__NR_recvfrom, socket.arg(), buffer.as_mut_ptr(), buffer.len(), 0, 0, 0) };
        if answer != Err(Errno::EINTR) {
            return answer;
        }
    }
}

/// Whether the other side of `socket` is gone, without waiting: poll(2) for POLLHUP.
#[inline(always)]
pub fn hung_up(socket: Fd) -> bool {
    hangs_up_within(socket, 0)
}

/// The same, waited for so many milliseconds.
#[inline(always)]
pub fn hangs_up_within(socket: Fd, milliseconds: u32) -> bool {
    #[repr(C)]
    struct PollFd {
        fd: i32,
        events: i16,
        revents: i16,
    }
    let mut poll = PollFd { fd: socket.0, events: 0, revents: 0 };
    // SAFETY: one pollfd, for the length of the call.
    let answer = unsafe { call!(__NR_poll, &raw mut poll, 1, milliseconds) };
    answer.is_ok() && poll.revents & k::POLLHUP as i16 != 0
}

#[repr(C)]
struct IoVec {
    base: *const c_void,
    length: usize,
}

#[repr(C)]
struct MessageHeader {
    name: *const c_void,
    name_length: u32,
    iov: *const IoVec,
    iov_length: usize,
    control: *const c_void,
    control_length: usize,
    flags: u32,
}

/// `struct cmsghdr` with room for one descriptor.
#[repr(C, align(8))]
struct Rights {
    length: usize,
    level: i32,
    kind: i32,
    fd: i32,
    padding: i32,
}

/// Sends `bytes` and with them a copy of `fd`, unix(7) SCM_RIGHTS.
#[inline(always)]
pub fn send_with_fd(socket: Fd, bytes: &[u8], fd: Fd) -> Result<usize> {
    send_all_with_fd(socket, [bytes, &[]], fd)
}

/// How often, a millisecond apart, a descriptor is sent that the kernel takes no more of.
const TRIES: u32 = 2000;

/// The same of two pieces that are one message.
///
/// Descriptors that are on their way count against RLIMIT_NOFILE, all of one user together (ETOOMANYREFS, unix(7)): whoever they
/// are for takes them, so this waits for two seconds, or until nobody reads.
#[inline(always)]
pub fn send_all_with_fd(socket: Fd, pieces: [&[u8]; 2], fd: Fd) -> Result<usize> {
    let mut left = TRIES;
    loop {
        match try_send_with_fd(socket, pieces, fd) {
            Err(Errno::ETOOMANYREFS) if left > 0 && !hangs_up_within(socket, 1) => left -= 1,
            sent => return sent,
        }
    }
}

#[inline(always)]
fn try_send_with_fd(socket: Fd, pieces: [&[u8]; 2], fd: Fd) -> Result<usize> {
    const SCM_RIGHTS: i32 = 1;
    let rights = Rights { length: 20, level: net::SOL_SOCKET as i32, kind: SCM_RIGHTS, fd: fd.0, padding: 0 };
    let [first, second] = pieces;
    let iov = [
        IoVec { base: first.as_ptr().cast(), length: first.len() },
        IoVec { base: second.as_ptr().cast(), length: second.len() },
    ];
    let message = MessageHeader {
        name: core::ptr::null(),
        name_length: 0,
        iov: iov.as_ptr(),
        iov_length: iov.len(),
        control: (&raw const rights).cast(),
        control_length: size_of::<Rights>(),
        flags: 0,
    };
    // SAFETY: the header points at iovecs over the pieces and one well-formed control message, all live here.
    unsafe { call!(__NR_sendmsg, socket.arg(), &raw const message, net::MSG_NOSIGNAL) }
}

/// Receives a message, replacing what is in `bytes`, and the descriptor that came with it, or [`Fd::NONE`]; `None` when the
/// other side is gone.
#[inline(always)]
pub fn receive_with_fd(socket: Fd, bytes: &mut PathBuffer<'_>) -> Result<Option<Fd>> {
    let mut rights = Rights { length: 0, level: 0, kind: 0, fd: -1, padding: 0 };
    bytes.clear();
    loop {
        let room = bytes.room();
        let iov = IoVec { base: room.0.cast(), length: room.1 };
        let message = MessageHeader {
            name: core::ptr::null(),
            name_length: 0,
            iov: &raw const iov,
            iov_length: 1,
            control: (&raw mut rights).cast_const().cast(),
            control_length: size_of::<Rights>(),
            flags: 0,
        };
        // SAFETY: the header points at one iovec over the buffer's room and at room for one control message.
        let answer = unsafe { call!(__NR_recvmsg, socket.arg(), &raw const message, net::MSG_CMSG_CLOEXEC) };
        match answer {
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
            Ok(0) => return Ok(None),
            Ok(length) => {
                // SAFETY: the kernel has written so many bytes of the room.
                unsafe { bytes.grow(length) };
                return Ok(Some(if rights.length == 20 { Fd(rights.fd) } else { Fd::NONE }));
            }
        }
    }
}

/// Sends one prepared rtnetlink request (it must ask for NLM_F_ACK) and answers what the kernel acknowledged.
#[inline(always)]
pub fn route_request(request: &[u8]) -> Result<()> {
    const NLMSG_ERROR: u16 = 2;
    let (family, kind, protocol) = (net::AF_NETLINK, k::O_CLOEXEC | net::SOCK_RAW, netlink::NETLINK_ROUTE);
    // SAFETY: no pointers are passed.
    let socket = Fd(unsafe { call!(__NR_socket, family, kind, protocol) }? as i32);
    let answer = (|| {
        send(socket, request)?;
        let mut reply = [0u8; 64];
        let length = receive(socket, &mut reply)?;
        // struct nlmsghdr (length, type, flags, seq, pid) and struct nlmsgerr, which starts with -errno.
        if length < 20 || u16::from_ne_bytes([reply[4], reply[5]]) != NLMSG_ERROR {
            return Err(Errno::EPROTO);
        }
        match i32::from_ne_bytes([reply[16], reply[17], reply[18], reply[19]]) {
            0 => Ok(()),
            negative => Err(Errno(negative.unsigned_abs() as u16)),
        }
    })();
    let _ = crate::file::close(socket);
    answer
}

/// `setsockopt(2)` of an option that is a number.
#[inline(always)]
pub fn set_option(socket: Fd, level: u32, option: u32, value: u32) -> Result<()> {
    // SAFETY: pointer and size are those of the one number, which lives through the call.
    unsafe { call!(__NR_setsockopt, socket.arg(), level, option, &raw const value, size_of::<u32>()) }.map(drop)
}
