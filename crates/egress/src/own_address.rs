//! Whether an address is this host's own, as the kernel's routes have it: also the second one of a link, one of a prefix that is
//! local as a whole (AnyIP), an anycast address that it answers at. Of none of these the source that the kernel would take tells.

use std::cell::RefCell;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, connect, getsockname, recv, sendto, socket_with,
};

const KERNEL: SocketAddrNetlink = SocketAddrNetlink::new(0, 0);
const HEAD: usize = 16;
const ERROR: u16 = 2;
const NEWROUTE: u16 = 24;
const GETROUTE: u16 = 26;
const REQUEST: u16 = 1;
const RTA_DST: u16 = 1;
/// In `struct rtmsg`, rtnetlink(7).
const TYPE: usize = 7;
/// RTN_LOCAL, RTN_BROADCAST, RTN_ANYCAST and RTN_MULTICAST.
const OWN: std::ops::RangeInclusive<u8> = 2..=5;

/// Whether the kernel would deliver to this host itself what is sent there.
pub(crate) fn is_own(address: IpAddr) -> bool {
    by_route(address).unwrap_or_else(|errno| match errno {
        // What leads nowhere is not this host.
        Errno::NETUNREACH | Errno::HOSTUNREACH => false,
        _ => by_sockets(address),
    })
}

thread_local! {
    /// Each connection asks, and a socket for each question is more than the question. As its thread, it stays in one network namespace.
    static ROUTES: RefCell<Option<Routes>> = const { RefCell::new(None) };
}

struct Routes {
    socket: OwnedFd,
    /// Of the last question.
    number: u32,
}

fn by_route(address: IpAddr) -> rustix::io::Result<bool> {
    ROUTES.with_borrow_mut(|kept| {
        let mut routes = kept.take().map_or_else(Routes::open, Ok)?;
        let told = routes.ask(address)?;
        // What has gone wrong in any way is asked by another one, which has no answer of an earlier question in it.
        *kept = Some(routes);
        told
    })
}

impl Routes {
    fn open() -> rustix::io::Result<Routes> {
        let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
        Ok(Routes { socket, number: 0 })
    }

    /// Inside: what the kernel answers.
    fn ask(&mut self, address: IpAddr) -> rustix::io::Result<rustix::io::Result<bool>> {
        self.number = self.number.wrapping_add(1);
        sendto(&self.socket, &question(address, self.number), SendFlags::empty(), &KERNEL)?;
        // It was answered before the call returned.
        let mut bytes = [0; 4096];
        let (_, length) = recv(&self.socket, &mut bytes, RecvFlags::DONTWAIT)?;
        let message = bytes.get(..length).unwrap_or_default();
        let number = message.get(8..12).and_then(|number| number.try_into().ok()).map(u32::from_ne_bytes);
        if number == Some(self.number) { Ok(answer(message)) } else { Err(Errno::PROTO) }
    }
}

fn question(address: IpAddr, number: u32) -> Vec<u8> {
    let (family, bytes) = match address {
        IpAddr::V4(address) => (AddressFamily::INET, address.octets().to_vec()),
        IpAddr::V6(address) => (AddressFamily::INET6, address.octets().to_vec()),
    };
    let mut body = vec![0; 12];
    body[0] = family.as_raw() as u8;
    body[1] = bytes.len() as u8 * 8;
    body.extend((4 + bytes.len() as u16).to_ne_bytes());
    body.extend(RTA_DST.to_ne_bytes());
    body.extend(bytes);
    let mut message = ((HEAD + body.len()) as u32).to_ne_bytes().to_vec();
    message.extend(GETROUTE.to_ne_bytes());
    message.extend(REQUEST.to_ne_bytes());
    message.extend(number.to_ne_bytes());
    message.extend([0; 4]);
    message.extend(body);
    message
}

fn answer(message: &[u8]) -> rustix::io::Result<bool> {
    let kind = message.get(4..6).and_then(|kind| kind.try_into().ok()).map(u16::from_ne_bytes);
    let body = message.get(HEAD..).unwrap_or_default();
    match kind {
        Some(NEWROUTE) => body.get(TYPE).map(|kind| OWN.contains(kind)).ok_or(Errno::PROTO),
        Some(ERROR) => {
            let number = body.first_chunk().map(|bytes| i32::from_ne_bytes(*bytes)).unwrap_or_default();
            Err(Errno::from_raw_os_error(number.saturating_neg()))
        }
        _ => Err(Errno::PROTO),
    }
}

/// Where routes cannot be asked for: its own addresses can be bound to, and are the source of what is sent to them. What cannot be asked may
/// be this host.
fn by_sockets(address: IpAddr) -> bool {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let probe = || socket_with(family, SocketType::DGRAM, SocketFlags::CLOEXEC, None);
    let is_source = || -> rustix::io::Result<bool> {
        let probe = probe()?;
        // No packet is sent.
        connect(&probe, &SocketAddr::new(address, 9))?;
        let source = SocketAddr::try_from(getsockname(&probe)?).map_err(|_| Errno::INVAL)?;
        Ok(source.ip() == address)
    };
    let can_be_bound = || probe().is_ok_and(|probe| bind(&probe, &SocketAddr::new(address, 0)).is_ok());
    is_source().unwrap_or_else(|errno| !matches!(errno, Errno::NETUNREACH | Errno::HOSTUNREACH)) || can_be_bound()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_hosts_addresses_are_its_own_and_what_leads_nowhere_is_not() {
        for own in ["127.0.0.1", "127.9.9.9", "::1"] {
            assert!(is_own(own.parse().unwrap()), "{own}");
            assert!(by_sockets(own.parse().unwrap()), "{own}");
        }
        // Documentation, RFC 5737 and RFC 3849: nobody's, whatever route there is.
        for others in ["192.0.2.77", "2001:db8::77"] {
            assert!(!is_own(others.parse().unwrap()), "{others}");
        }
    }

    #[test]
    fn each_question_has_its_own_answer() {
        let all = [("127.0.0.1", true), ("192.0.2.77", false), ("::1", true), ("2001:db8::77", false)];
        for _ in 0..100 {
            for (address, own) in all {
                assert_eq!(is_own(address.parse().unwrap()), own, "{address}");
            }
        }
        assert!(std::thread::spawn(|| is_own("127.0.0.1".parse().unwrap())).join().unwrap());
    }

    #[test]
    fn an_answer_that_is_none_is_an_error() {
        assert_eq!(answer(&[]), Err(Errno::PROTO));
        assert_eq!(answer(&[0; 17]), Err(Errno::PROTO));
        let error = [&[36, 0, 0, 0][..], &ERROR.to_ne_bytes(), &[0; 10], &(-101i32).to_ne_bytes()].concat();
        assert_eq!(answer(&error), Err(Errno::NETUNREACH));
    }
}
