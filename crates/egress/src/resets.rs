//! What a namespace's own kernel refuses: where nobody listens it answers a connection with a reset, and tells nobody else. A raw
//! socket sees the segments of TCP that come there (raw(7)), those resets among them: their sender is the place that was refused.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{RecvFlags, SocketType, recvfrom, sockopt};
use seclude_sys::Fd;
use seclude_sys::socket::{Instruction, attach_filter};

/// Of `struct tcphdr`: where the sender's port, the number and the flags stand.
const NUMBER: u32 = 4;
const FLAGS: u32 = 13;
/// All flags but those of congestion, and of them a reset that acknowledges.
const ALL: u32 = 0x3f;
const RESET: u32 = 0x14;
/// The longest head of IPv4, and what is wanted of that of TCP.
const MOST: usize = 60 + FLAGS as usize + 1;

// Operations of classic BPF.
const LOAD: u16 = 0x20;
const LOAD_BYTE: u16 = 0x30;
const LOAD_BEHIND_HEAD: u16 = 0x40;
const LOAD_BYTE_BEHIND_HEAD: u16 = 0x50;
const HEAD: u16 = 0xb1;
const AND: u16 = 0x54;
const IS: u16 = 0x15;
const ANSWER: u16 = 0x06;

/// What such a socket is told of IPv4, where the head of IP comes first. A reset that answers no acknowledgement has the number 0 (RFC 9293,
/// 3.10.7.1): no other has, but by chance. What was refused on the loopback is the namespace's own business.
const PROGRAM4: [Instruction; 11] = [
    Instruction(HEAD, 0, 0, 0),
    Instruction(LOAD_BYTE_BEHIND_HEAD, 0, 0, FLAGS),
    Instruction(AND, 0, 0, ALL),
    Instruction(IS, 0, 6, RESET),
    Instruction(LOAD_BEHIND_HEAD, 0, 0, NUMBER),
    Instruction(IS, 0, 4, 0),
    Instruction(LOAD_BYTE, 0, 0, SENDER4 as u32),
    Instruction(IS, 2, 0, 127),
    Instruction(ANSWER, 0, 0, MOST as u32),
    Instruction(ANSWER, 0, 0, 0),
    Instruction(ANSWER, 0, 0, 0),
];
/// The same of IPv6, where the segment comes alone.
const PROGRAM6: [Instruction; 7] = [
    Instruction(LOAD_BYTE, 0, 0, FLAGS),
    Instruction(AND, 0, 0, ALL),
    Instruction(IS, 0, 3, RESET),
    Instruction(LOAD, 0, 0, NUMBER),
    Instruction(IS, 0, 1, 0),
    Instruction(ANSWER, 0, 0, MOST as u32),
    Instruction(ANSWER, 0, 0, 0),
];
/// Of `struct iphdr`.
const SENDER4: usize = 12;

/// Has the kernel hand out resets alone. `false`: it is no such socket, as none was to be had.
pub(crate) fn watch(socket: &OwnedFd, ipv6: bool) -> bool {
    let program: &[Instruction] = if ipv6 { &PROGRAM6 } else { &PROGRAM4 };
    sockopt::socket_type(socket) == Ok(SocketType::RAW) && attach_filter(Fd(socket.as_raw_fd()), program).is_ok()
}

/// The place that was refused, of one segment; `None` within it: of none that is told.
pub(crate) fn next(socket: impl AsFd) -> rustix::io::Result<Option<SocketAddr>> {
    let mut bytes = [0; MOST];
    let (_, length, from) = recvfrom(socket, &mut bytes, RecvFlags::DONTWAIT)?;
    let from = from.and_then(|from| SocketAddr::try_from(from).ok()).ok_or(Errno::PROTO)?;
    Ok(refused(bytes.get(..length).unwrap_or_default(), from.ip()))
}

fn refused(bytes: &[u8], from: IpAddr) -> Option<SocketAddr> {
    let (from, segment): (IpAddr, &[u8]) = match from {
        IpAddr::V4(_) => {
            let head = usize::from(bytes.first()? & 15) * 4;
            let sender: &[u8; 4] = bytes.get(SENDER4..)?.first_chunk()?;
            (Ipv4Addr::from(*sender).into(), bytes.get(head..)?)
        }
        IpAddr::V6(_) => (from, bytes),
    };
    let is_reset = u32::from(*segment.get(FLAGS as usize)?) & ALL == RESET;
    let answers_the_first = segment.get(NUMBER as usize..)?.first_chunk() == Some(&[0; 4]);
    let port = u16::from_be_bytes(*segment.first_chunk()?);
    (is_reset && answers_the_first && !from.is_loopback()).then_some(SocketAddr::new(from, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a program answers, as the kernel would run it.
    fn run(program: &[Instruction], bytes: &[u8]) -> u32 {
        let byte = |at: u32| u32::from(bytes[at as usize]);
        let word = |at: u32| u32::from_be_bytes(*bytes[at as usize..].first_chunk().unwrap());
        let (mut at, mut value, mut head) = (0, 0, 0);
        loop {
            let Instruction(what, then, otherwise, operand) = program[at];
            at += 1;
            match what {
                HEAD => head = (byte(operand) & 15) * 4,
                LOAD => value = word(operand),
                LOAD_BYTE => value = byte(operand),
                LOAD_BEHIND_HEAD => value = word(head + operand),
                LOAD_BYTE_BEHIND_HEAD => value = byte(head + operand),
                AND => value &= operand,
                IS => at += usize::from(if value == operand { then } else { otherwise }),
                _ => return operand,
            }
        }
    }

    fn segment(port: u16, number: u32, flags: u8) -> Vec<u8> {
        let head = [&port.to_be_bytes()[..], &[0x9c, 0x40], &number.to_be_bytes(), &[1, 2, 3, 4, 0x50, flags]];
        [&head.concat()[..], &[0; 6]].concat()
    }

    fn packet(from: [u8; 4], options: usize, segment: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; 20 + options];
        bytes[0] = 0x45 + (options / 4) as u8;
        bytes[SENDER4..SENDER4 + 4].copy_from_slice(&from);
        bytes.extend(segment);
        bytes
    }

    #[test]
    fn a_reset_that_answers_the_first_segment_is_a_place_that_was_refused_and_nothing_else_is() {
        let (v6, slot): (IpAddr, [u8; 4]) = ("2606:2800::34".parse().unwrap(), [198, 19, 1, 2]);
        for (number, flags, is_told) in [
            (0, 0x14, true),
            (0, 0x54, true),
            (7, 0x14, false),
            (0, 0x04, false),
            (0, 0x02, false),
            (0, 0x12, false),
            (0, 0x10, false),
        ] {
            let six = segment(80, number, flags);
            let place = SocketAddr::new(v6, 80);
            assert_eq!((run(&PROGRAM6, &six) != 0, refused(&six, v6)), (is_told, is_told.then_some(place)), "{flags}");
            for options in [0, 4, 40] {
                let four = packet(slot, options, &six);
                let place = SocketAddr::new(slot.into(), 80);
                let seen = refused(&four, slot.into());
                assert_eq!(
                    (run(&PROGRAM4, &four) != 0, seen),
                    (is_told, is_told.then_some(place)),
                    "{flags} {options}"
                );
            }
        }
        let own = packet([127, 0, 0, 1], 0, &segment(80, 0, 0x14));
        assert_eq!((run(&PROGRAM4, &own), refused(&own, [127, 0, 0, 1].into())), (0, None));
        assert_eq!(refused(&segment(80, 0, 0x14), "::1".parse().unwrap()), None);
    }

    #[test]
    fn what_is_too_short_is_none() {
        let whole = packet([198, 19, 1, 2], 0, &segment(80, 0, 0x14));
        for length in 0..20 + FLAGS as usize + 1 {
            assert_eq!(refused(&whole[..length], [198, 19, 1, 2].into()), None, "{length}");
        }
    }
}
