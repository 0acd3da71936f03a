//! What the init may still ask of the kernel once its command is started: what the rest of its life takes, and nothing else. It
//! is what everybody inside can send signals to and what sees all of their ends, so it is to be worth nothing to whoever takes it over.

use crate::arch::{AUDIT_ARCH, number};
use crate::privileges::{install_filter, set_no_new_privileges};

/// The rest of its life, watch.rs; the kernel itself asks for the last after a stop and a continue, restart_syscall(2).
const ALLOWED: [u32; 8] = [
    number::PPOLL,
    number::READ,
    number::KILL,
    number::WAIT4,
    number::SENDTO,
    number::CLOSE,
    number::EXIT_GROUP,
    number::RESTART_SYSCALL,
];

/// Offsets in `struct seccomp_data`.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;

const LOAD: u16 = 0x20;
const JUMP_IF_EQUAL: u16 = 0x15;
const RETURN: u16 = 0x06;
const KILL_PROCESS: u32 = 0x8000_0000;
const ALLOW: u32 = 0x7fff_0000;
/// No mitigation that a program of untrusted parts would want, and that costs the others.
const SPEC_ALLOW: usize = 4;

const LENGTH: usize = ALLOWED.len() + 5;
/// In .rodata, so that it costs nothing to make.
static PROGRAM: [u64; LENGTH] = program();

/// `struct sock_filter` in a word.
const fn instruction(code: u16, equal: u8, other: u8, operand: u32) -> u64 {
    code as u64 | (equal as u64) << 16 | (other as u64) << 24 | (operand as u64) << 32
}

const fn program() -> [u64; LENGTH] {
    let mut program = [0; LENGTH];
    program[0] = instruction(LOAD, 0, 0, ARCHITECTURE);
    // To the end but one, which kills: past the load of the number and all the comparisons.
    program[1] = instruction(JUMP_IF_EQUAL, 0, ALLOWED.len() as u8 + 1, AUDIT_ARCH);
    program[2] = instruction(LOAD, 0, 0, NUMBER);
    let mut at = 0;
    while at < ALLOWED.len() {
        program[3 + at] = instruction(JUMP_IF_EQUAL, (ALLOWED.len() - at) as u8, 0, ALLOWED[at]);
        at += 1;
    }
    program[LENGTH - 2] = instruction(RETURN, 0, 0, KILL_PROCESS);
    program[LENGTH - 1] = instruction(RETURN, 0, 0, ALLOW);
    program
}

/// A second wall, which hosts that have no seccomp(2), or whose own filter refuses it, do without: nothing inside relies on it.
pub(crate) fn install() {
    // The init executes nothing any more, so this costs nobody anything.
    if set_no_new_privileges().is_ok() {
        let _ = install_filter(&PROGRAM, SPEC_ALLOW);
    }
}
