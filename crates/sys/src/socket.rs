//! The handshake's socket, one descriptor across it, and netlink from prepared bytes.

use core::ffi::c_void;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

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

/// Whether the other side of `socket` is gone, without waiting: ppoll(2) for POLLHUP.
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
    // Not poll(2), which newer architectures do not have.
    let timeout = [i64::from(milliseconds / 1000), i64::from(milliseconds % 1000) * 1_000_000];
    // SAFETY: one pollfd and one struct timespec, for the length of the call; no mask is given.
    let answer = unsafe { call!(__NR_ppoll, &raw mut poll, 1, timeout.as_ptr(), 0, 0) };
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

/// How many descriptors [`send_with_fds`] takes.
pub const MOST_FDS: usize = 16;

/// Sends `bytes` and copies of some descriptors, of which the other side has to have room for all. Waits as [`send_all_with_fd`] does.
#[inline(always)]
pub fn send_with_fds(socket: Fd, bytes: &[u8], fds: &[Fd]) -> Result<usize> {
    #[repr(C, align(8))]
    struct Rights {
        length: usize,
        level: i32,
        kind: i32,
        fds: [i32; MOST_FDS],
    }
    const SCM_RIGHTS: i32 = 1;
    let count = if fds.len() > MOST_FDS { MOST_FDS } else { fds.len() };
    let length = 16 + 4 * count;
    let mut rights = Rights { length, level: net::SOL_SOCKET as i32, kind: SCM_RIGHTS, fds: [-1; MOST_FDS] };
    for (place, fd) in rights.fds.iter_mut().zip(fds) {
        *place = fd.0;
    }
    let iov = IoVec { base: bytes.as_ptr().cast(), length: bytes.len() };
    let message = MessageHeader {
        name: core::ptr::null(),
        name_length: 0,
        iov: &raw const iov,
        iov_length: 1,
        control: (&raw const rights).cast(),
        control_length: (length + 7) & !7,
        flags: 0,
    };
    let mut left = TRIES;
    loop {
        // SAFETY: the header points at one iovec over the bytes and one control message, whose length is within it; all live here.
        let sent = unsafe { call!(__NR_sendmsg, socket.arg(), &raw const message, net::MSG_NOSIGNAL) };
        match sent {
            Err(Errno::ETOOMANYREFS) if left > 0 && !hangs_up_within(socket, 1) => left -= 1,
            sent => return sent,
        }
    }
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
    netlink_request(netlink::NETLINK_ROUTE, request)
}

/// The same to nf_tables: a batch of which the last request wants to be acknowledged.
#[inline(always)]
pub fn filter_request(batch: &[u8]) -> Result<()> {
    netlink_request(netlink::NETLINK_NETFILTER, batch)
}

#[inline(always)]
fn netlink_request(protocol: u32, request: &[u8]) -> Result<()> {
    const NLMSG_ERROR: u16 = 2;
    let (family, kind) = (net::AF_NETLINK, k::O_CLOEXEC | net::SOCK_RAW);
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

/// `struct sockaddr_in` and `struct sockaddr_in6`.
#[repr(C)]
#[derive(Clone, Copy)]
struct Address4 {
    family: u16,
    port: [u8; 2],
    address: [u8; 4],
    zero: [u8; 8],
}

#[repr(C)]
#[derive(Clone, Copy)]
struct Address6 {
    family: u16,
    port: [u8; 2],
    flow: u32,
    address: [u8; 16],
    scope: u32,
}

#[inline(always)]
fn address4(address: Ipv4Addr, port: u16) -> Address4 {
    Address4 { family: net::AF_INET as u16, port: port.to_be_bytes(), address: address.octets(), zero: [0; 8] }
}

#[inline(always)]
fn address6(address: Ipv6Addr, port: u16) -> Address6 {
    let (family, port) = (net::AF_INET6 as u16, port.to_be_bytes());
    Address6 { family, port, flow: 0, address: address.octets(), scope: 0 }
}

/// `socket(2)` for TCP, or for UDP, of this family; close-on-exec.
#[inline(always)]
pub fn internet(ipv6: bool, stream: bool) -> Result<Fd> {
    let family = if ipv6 { net::AF_INET6 } else { net::AF_INET };
    let kind = if stream { net::SOCK_STREAM } else { net::SOCK_DGRAM } | k::O_CLOEXEC;
    // SAFETY: no pointers are passed.
    unsafe { call!(__NR_socket, family, kind, 0) }.map(|fd| Fd(fd as i32))
}

/// `socket(2)` that gets a copy of each segment of TCP that comes to its network namespace, raw(7); close-on-exec.
#[inline(always)]
pub fn segments(ipv6: bool) -> Result<Fd> {
    const TCP: u32 = 6;
    let family = if ipv6 { net::AF_INET6 } else { net::AF_INET };
    // SAFETY: no pointers are passed.
    unsafe { call!(__NR_socket, family, net::SOCK_RAW | k::O_CLOEXEC, TCP) }.map(|fd| Fd(fd as i32))
}

/// An instruction of classic BPF, `struct sock_filter`: what it does, jumps if true and if false, its operand.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Instruction(pub u16, pub u8, pub u8, pub u32);

/// SO_ATTACH_FILTER: what the program answers 0 for does not come to the socket.
pub fn attach_filter(socket: Fd, program: &[Instruction]) -> Result<()> {
    #[repr(C)]
    struct Program {
        length: u16,
        filter: *const Instruction,
    }
    let program = Program { length: program.len() as u16, filter: program.as_ptr() };
    let (level, option) = (net::SOL_SOCKET, net::SO_ATTACH_FILTER);
    // SAFETY: the one struct points at so many instructions, and both live through the call, which copies them.
    unsafe { call!(__NR_setsockopt, socket.arg(), level, option, &raw const program, size_of::<Program>()) }.map(drop)
}

/// `bind(2)`
#[inline(always)]
pub fn bind(socket: Fd, to: &SocketAddr) -> Result<()> {
    match to {
        SocketAddr::V4(to) => {
            let name = address4(*to.ip(), to.port());
            // SAFETY: pointer and size are those of the one address, which lives through the call.
            unsafe { call!(__NR_bind, socket.arg(), &raw const name, size_of::<Address4>()) }
        }
        SocketAddr::V6(to) => {
            let name = address6(*to.ip(), to.port());
            // SAFETY: as above.
            unsafe { call!(__NR_bind, socket.arg(), &raw const name, size_of::<Address6>()) }
        }
    }
    .map(drop)
}

/// `listen(2)`
#[inline(always)]
pub fn listen(socket: Fd, backlog: u32) -> Result<()> {
    // SAFETY: no pointers are passed.
    unsafe { call!(__NR_listen, socket.arg(), backlog) }.map(drop)
}

/// Options of socket(7), ip(7), ipv6(7) and tcp(7), their levels with them.
pub mod option {
    /// SO_RCVLOWAT: how many bytes have to be there before it is told that there are some
    pub const LEAST: (u32, u32) = (1, 18);
    /// IP_PKTINFO: a datagram says which address it was sent to.
    pub const PACKET_INFO: (u32, u32) = (0, 8);
    /// IPV6_RECVPKTINFO, the same.
    pub const PACKET_INFO6: (u32, u32) = (41, 49);
    /// IPV6_V6ONLY
    pub const ONLY_V6: (u32, u32) = (41, 26);
    /// TCP_REPAIR: a port is had beside who has it, among other things
    pub const REPAIR: (u32, u32) = (6, 19);
    /// IPV6_FREEBIND: an address is the host's by a route, and not by a link. Linux 4.15.
    pub const FREE_BIND6: (u32, u32) = (41, 78);
}

const IPV6_PKTINFO: i32 = 50;

/// `struct cmsghdr` with room for `struct in_pktinfo` or `struct in6_pktinfo`.
#[repr(C, align(8))]
struct PacketInfo {
    length: usize,
    level: i32,
    kind: i32,
    data: [u8; 24],
}

/// A datagram that came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Datagram {
    /// How much of it is in the buffer.
    pub length: usize,
    /// Who sent it.
    pub from: SocketAddr,
    /// The address that it was sent to: the socket has [`option::PACKET_INFO`] or the same of IPv6.
    pub to: IpAddr,
}

/// `recvmsg(2)` of a datagram, without waiting; `None` if what came is none that can be answered.
pub fn receive_datagram(socket: Fd, buffer: &mut [u8]) -> Result<Option<Datagram>> {
    let mut name = address6(Ipv6Addr::UNSPECIFIED, 0);
    let mut info = PacketInfo { length: 0, level: -1, kind: 0, data: [0; 24] };
    let iov = IoVec { base: buffer.as_mut_ptr().cast_const().cast(), length: buffer.len() };
    let message = MessageHeader {
        name: (&raw mut name).cast_const().cast(),
        name_length: size_of::<Address6>() as u32,
        iov: &raw const iov,
        iov_length: 1,
        control: (&raw mut info).cast_const().cast(),
        control_length: size_of::<PacketInfo>(),
        flags: 0,
    };
    let flags = net::MSG_DONTWAIT;
    // SAFETY: the header points at one iovec over the buffer, an address and a control message, all live and writable here.
    let length = unsafe { call!(__NR_recvmsg, socket.arg(), &raw const message, flags) }?;
    let port = u16::from_be_bytes(name.port);
    let from = match u32::from(name.family) {
        net::AF_INET6 => SocketAddr::new(Ipv6Addr::from(name.address).into(), port),
        net::AF_INET => {
            // Its address is where the other's flow label is.
            SocketAddr::new(Ipv4Addr::from(name.flow.to_ne_bytes()).into(), port)
        }
        _ => return Ok(None),
    };
    let [first @ .., _, _, _, _, _, _, _, _] = info.data;
    let to: IpAddr = match (info.level, info.kind) {
        (0, 8) => {
            // ipi_ifindex, ipi_spec_dst, ipi_addr
            let [_, _, _, _, a, b, c, d, ..] = info.data;
            Ipv4Addr::new(a, b, c, d).into()
        }
        (41, IPV6_PKTINFO) => Ipv6Addr::from(first).into(),
        _ => return Ok(None),
    };
    Ok(Some(Datagram { length, from, to }))
}

/// `sendmsg(2)` of a datagram to `to`, as from the address `from`, without waiting.
pub fn send_datagram(socket: Fd, bytes: &[u8], to: SocketAddr, from: IpAddr) -> Result<usize> {
    let mut info = PacketInfo { length: 0, level: 0, kind: 8, data: [0; 24] };
    match from {
        IpAddr::V4(from) => {
            info.length = 16 + 12;
            let [a, b, c, d] = from.octets();
            let [_, _, _, _, e, f, g, h, ..] = &mut info.data;
            (*e, *f, *g, *h) = (a, b, c, d);
        }
        IpAddr::V6(from) => {
            (info.length, info.level, info.kind) = (16 + 20, 41, IPV6_PKTINFO);
            for (place, byte) in info.data.iter_mut().zip(from.octets()) {
                *place = byte;
            }
        }
    }
    let (name4, name6);
    let (name, name_length): (*const c_void, usize) = match to {
        SocketAddr::V4(to) => {
            name4 = address4(*to.ip(), to.port());
            ((&raw const name4).cast(), size_of::<Address4>())
        }
        SocketAddr::V6(to) => {
            name6 = address6(*to.ip(), to.port());
            ((&raw const name6).cast(), size_of::<Address6>())
        }
    };
    let iov = IoVec { base: bytes.as_ptr().cast(), length: bytes.len() };
    let message = MessageHeader {
        name,
        name_length: name_length as u32,
        iov: &raw const iov,
        iov_length: 1,
        control: (&raw const info).cast(),
        control_length: (info.length + 7) & !7,
        flags: 0,
    };
    let flags = net::MSG_DONTWAIT | net::MSG_NOSIGNAL;
    // SAFETY: the header points at one iovec over the bytes, an address and a well-formed control message, all live here.
    unsafe { call!(__NR_sendmsg, socket.arg(), &raw const message, flags) }
}
