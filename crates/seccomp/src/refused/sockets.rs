//! Of [`Refused`] what is about sockets.

use super::{EACCES, ENOSYS, Refused};
use crate::groups::IO_URING;
use crate::{Action, Comparison, Condition, Profile};

const MSG_FASTOPEN: u64 = 0x2000_0000;
const AF_UNIX: u32 = 1;
const OVER_IP: [u32; 2] = [2, 10];
/// The bits of socket(2)'s second argument that are no flags.
const TYPE: u64 = 0xf;
const SOCK_STREAM: u64 = 1;
const SOCK_DGRAM: u64 = 2;
const SOCK_SEQPACKET: u64 = 5;
const SOCK_RAW: u64 = 3;
/// Whatever is to be chosen by the type, ICMP, TCP, UDP, ICMPv6.
pub(crate) const PLAIN: [u32; 5] = [0, 1, 6, 17, 58];
const EPROTONOSUPPORT: Action = Action::Errno(93);
const EOPNOTSUPP: Action = Action::Errno(95);

/// Calls that send, and which of their arguments are the flags.
const THAT_SEND: [(&str, u8); 3] = [("sendto", 3), ("sendmsg", 2), ("sendmmsg", 3)];

impl Profile {
    /// Of sockets over IP all but those that have one of these protocols, or are raw: for those the kernel asks for CAP_NET_RAW.
    pub(crate) fn refuse_protocols_but(&mut self, kept: &[u32]) {
        let of_type = |comparison: Comparison, value: u64| Condition { argument: 1, mask: TYPE, comparison, value };
        for family in OVER_IP.map(|family| Condition::of_int(0, Comparison::Equal, family)) {
            // Without a protocol the type is one's name as well: SCTP, DCCP, and packets of a link by their old name.
            self.override_with("socket", EPROTONOSUPPORT, &[family, of_type(Comparison::Greater, SOCK_RAW)]);
            let mut others = vec![family, of_type(Comparison::NotEqual, SOCK_RAW)];
            others.extend(kept.iter().map(|protocol| Condition::of_int(2, Comparison::NotEqual, *protocol)));
            self.override_with("socket", EPROTONOSUPPORT, &others);
        }
    }

    pub(super) fn refuse_sockets(&mut self, refused: Refused) {
        let Refused { beside_tcp, datagrams, unix_sockets, listening, .. } = refused;
        if !(beside_tcp || datagrams || unix_sockets || listening) {
            return;
        }
        // All of i386's in one, with arguments in memory: libraries have gone past it since Linux 4.3.
        self.override_with("socketcall", ENOSYS, &[]);
        let of_type = |comparison: Comparison, value: u64| Condition { argument: 1, mask: TYPE, comparison, value };
        let is = |argument: u8, value: u32| Condition::of_int(argument, Comparison::Equal, value);
        if datagrams {
            for family in OVER_IP {
                self.override_with("socket", EACCES, &[is(0, family), of_type(Comparison::Equal, SOCK_DGRAM)]);
            }
        }
        if beside_tcp {
            self.refuse_protocols_but(&PLAIN);
            for (name, flags) in THAT_SEND {
                self.override_with(name, EOPNOTSUPP, &[Condition::any(flags, MSG_FASTOPEN)]);
            }
            IO_URING.iter().for_each(|name| self.override_with(name, ENOSYS, &[]));
        }
        if unix_sockets {
            self.override_with("socket", EACCES, &[is(0, AF_UNIX)]);
            // One of a pair of datagrams sends to any address; SOCK_RAW is another name for that, unix(7).
            let others = [SOCK_STREAM, SOCK_SEQPACKET].map(|connected| of_type(Comparison::NotEqual, connected));
            self.override_with("socketpair", EACCES, &others);
        }
        if listening {
            self.override_with("listen", EACCES, &[]);
        }
    }
}

/// By x86-64's own numbers, and those of its relatives.
#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::super::tests::{ALLOW, MISSING, run};
    use super::*;
    use crate::Architecture::{X86, X86_64};
    use crate::Program;

    #[test]
    fn what_goes_past_rules_of_ports_is_refused_and_tcp_is_not() {
        let refused = Refused { beside_tcp: true, ..Default::default() };
        let program = refused.program();
        let socket = |program: &Program, arguments: [u64; 3]| {
            let [family, kind, protocol] = arguments;
            run(program, X86_64, 41, [family, kind, protocol, 0, 0, 0])
        };
        for plain in [[2, 1, 0], [10, 0x80801, 6], [2, 2, 17], [2, 2, 1], [1, 5, 0], [2, 3, 255], [16, 3, 0]] {
            assert_eq!(socket(&program, plain), ALLOW, "{plain:?}");
        }
        // MPTCP, SMC, SCTP by its name and by its type, DCCP; high bits hide nothing.
        for other in
            [[2, 1, 262], [10, 0x80001, 262], [2, 1, 256], [2, 1, 132], [2, 5, 0], [2, 6, 33], [1 << 32 | 2, 1, 262]]
        {
            assert_eq!(socket(&program, other), 0x5_0000 | 93, "{other:?}");
        }
        for (number, flags) in [(44, 3), (46, 2), (307, 3)] {
            let mut arguments = [0; 6];
            assert_eq!(run(&program, X86_64, number, arguments), ALLOW);
            arguments[flags] = 0x2000_4000;
            assert_eq!(run(&program, X86_64, number, arguments), 0x5_0000 | 95, "{number}");
        }
        let mut profile = Profile::unlimited();
        profile.refuse(refused);
        assert!(profile.always_allows_with("sendmsg", 2, 0x4000));
        assert!(!profile.always_allows_with("sendmsg", 2, 0x2000_0000) && !profile.always_allows_with("sendmsg", 1, 0));
        assert_eq!(run(&program, X86, 102, [0; 6]), MISSING);
        assert_eq!(run(&program, X86, 359, [2, 1, 262, 0, 0, 0]), 0x5_0000 | 93);
        let closed = Refused { datagrams: true, unix_sockets: true, listening: true, ..Default::default() }.program();
        for (number, arguments, answer) in [
            (41, [2, 2, 0], 0x5_000d),
            (41, [10, 0x802, 0], 0x5_000d),
            (41, [1, 1, 0], 0x5_000d),
            (53, [1, 2, 0], 0x5_000d),
            (53, [1, 3, 0], 0x5_000d),
            (53, [1, 0x80803, 0], 0x5_000d),
            (53, [1, 1, 0], ALLOW),
            (53, [1, 0x80805, 0], ALLOW),
            (50, [3, 1, 0], 0x5_000d),
            (41, [2, 1, 0], ALLOW),
        ] {
            let [first, second, third] = arguments;
            assert_eq!(run(&closed, X86_64, number, [first, second, third, 0, 0, 0]), answer, "{number} {arguments:?}");
        }
    }
}
