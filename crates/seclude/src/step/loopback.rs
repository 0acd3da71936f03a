//! The loopback interface of a new network namespace, up.

use seclude_child::Op;
use seclude_request::Field;

use super::Step;
use crate::config::Config;
use crate::config::namespace::Namespace;
use crate::program::Program;

struct Loopback {
    request: [u8; 32],
}

pub(super) fn compile(command: &Config) -> Option<Box<dyn Step>> {
    if !command.namespaces.is_new(Namespace::Net) {
        return None;
    }
    Some(Box::new(Loopback { request: set_up(1) }))
}

/// RTM_NEWLINK with IFF_UP for the interface `index`, rtnetlink(7). `lo` is always the first.
fn set_up(index: i32) -> [u8; 32] {
    const RTM_NEWLINK: u16 = 16;
    const NLM_F_REQUEST_ACK: u16 = 1 | 4;
    const IFF_UP: u32 = 1;
    let mut bytes = [0; 32];
    // struct nlmsghdr: length, type, flags, sequence, port
    bytes[0..4].copy_from_slice(&32u32.to_ne_bytes());
    bytes[4..6].copy_from_slice(&RTM_NEWLINK.to_ne_bytes());
    bytes[6..8].copy_from_slice(&NLM_F_REQUEST_ACK.to_ne_bytes());
    // struct ifinfomsg: family, pad, type (2), index, flags, change
    bytes[20..24].copy_from_slice(&index.to_ne_bytes());
    bytes[24..28].copy_from_slice(&IFF_UP.to_ne_bytes());
    bytes[28..32].copy_from_slice(&IFF_UP.to_ne_bytes());
    bytes
}

impl Step for Loopback {
    fn name(&self) -> &'static str {
        "loopback"
    }

    fn field(&self) -> Option<Field> {
        Some(Field::of("namespaces").key("net"))
    }

    fn ops<'a>(&'a self, program: &mut Program<'a>) {
        program.about("lo up");
        program.push(Op::Route { request: &self.request });
    }
}
