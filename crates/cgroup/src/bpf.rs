//! Device rules on v2, `BPF_PROG_TYPE_CGROUP_DEVICE` (Linux 4.15): a program that the kernel asks before a device is
//! opened or made. It goes with the cgroup that it is attached to.

use std::os::fd::AsRawFd;

use rustix::io::Errno;
use seclude_sys::Fd;

use crate::dir::Dir;
use crate::{Access, DeviceKind, DeviceRule, Error, Limit};

/// Lets what is in the cgroup use these devices and no others.
pub(crate) fn allow_devices(dir: &Dir, allowed: &[DeviceRule]) -> Result<(), Error> {
    attach(dir, &program(allowed), allowed.len())
}

/// Lets it use all others.
pub(crate) fn deny_devices(dir: &Dir, denied: &[DeviceRule]) -> Result<(), Error> {
    attach(dir, &refusing(denied), denied.len())
}

fn attach(dir: &Dir, program: &[u64], rules: usize) -> Result<(), Error> {
    seclude_sys::bpf::attach_device_program(Fd(dir.fd().as_raw_fd()), program).map_err(|errno| Error::Refused {
        limit: Limit::Devices,
        value: format!("{rules} rules as an eBPF program"),
        path: dir.path().to_path_buf(),
        source: Errno::from_raw_os_error(i32::from(errno.0)).into(),
    })
}

/// Registers: r1 is the `struct bpf_cgroup_dev_ctx` {access << 16 | type, major, minor}; r0 is the answer.
const ANSWER: u8 = 0;
const CONTEXT: u8 = 1;
const KIND: u8 = 2;
const ASKED: u8 = 3;
const MAJOR: u8 = 4;
const MINOR: u8 = 5;

/// One instruction: opcode, destination, source, offset, immediate; `struct bpf_insn`.
const fn instruction(code: u8, to: u8, from: u8, offset: i16, value: i32) -> u64 {
    code as u64 | ((from as u64) << 4 | to as u64) << 8 | (offset as u16 as u64) << 16 | (value as u32 as u64) << 32
}

const fn load(to: u8, offset: i16) -> u64 {
    instruction(0x61, to, CONTEXT, offset, 0)
}

const fn and(to: u8, mask: i32) -> u64 {
    instruction(0x54, to, 0, 0, mask)
}

const fn shift_right(to: u8, bits: i32) -> u64 {
    instruction(0x74, to, 0, 0, bits)
}

const fn set(to: u8, value: i32) -> u64 {
    instruction(0xb4, to, 0, 0, value)
}

const fn copy(to: u8, from: u8) -> u64 {
    instruction(0xbc, to, from, 0, 0)
}

const EXIT: u64 = instruction(0x95, 0, 0, 0, 0);

/// Skips `over` instructions if the register has this value.
const fn if_it_is(register: u8, value: i32, over: usize) -> u64 {
    instruction(0x15, register, 0, over as i16, value)
}

/// Skips `over` instructions unless the register has this value.
const fn unless(register: u8, value: i32, over: usize) -> u64 {
    instruction(0x55, register, 0, over as i16, value)
}

/// The same for two registers.
const fn unless_equal(register: u8, other: u8, over: usize) -> u64 {
    instruction(0x5d, register, other, over as i16, 0)
}

/// The rules, one after the other: the first that fits allows, and at the end is a refusal.
fn program(allowed: &[DeviceRule]) -> Vec<u64> {
    listed(&merged(allowed), true)
}

/// The same the other way round.
fn refusing(denied: &[DeviceRule]) -> Vec<u64> {
    listed(denied, false)
}

fn listed(rules: &[DeviceRule], allows: bool) -> Vec<u64> {
    let mut program = vec![
        load(KIND, 0),
        copy(ASKED, KIND),
        and(KIND, 0xffff),
        shift_right(ASKED, 16),
        load(MAJOR, 4),
        load(MINOR, 8),
    ];
    for rule in rules {
        program.extend(checks(rule, allows));
        program.extend([set(ANSWER, i32::from(allows)), EXIT]);
    }
    program.extend([set(ANSWER, i32::from(!allows)), EXIT]);
    program
}

/// Whether a rule fits: one that allows has all that is asked for, one that refuses a part of it.
fn checks(rule: &DeviceRule, allows: bool) -> Vec<u64> {
    let kind = match rule.kind {
        DeviceKind::Block => 1,
        DeviceKind::Char => 2,
    };
    let numbers: Vec<(u8, u32)> =
        [(MAJOR, rule.major), (MINOR, rule.minor)].into_iter().filter_map(|(r, n)| Some((r, n?))).collect();
    // Past the checks that follow, and the answer.
    let mut left = 4 + numbers.len() + 2;
    let mut over = || {
        left -= 1;
        left
    };
    let mut checks = vec![unless(KIND, kind, over())];
    over();
    checks.push(copy(ANSWER, ASKED));
    over();
    checks.push(and(ANSWER, bits(rule.access)));
    checks.push(match allows {
        true => unless_equal(ANSWER, ASKED, over()),
        false => if_it_is(ANSWER, 0, over()),
    });
    for (register, number) in numbers {
        checks.push(unless(register, number as i32, over()));
    }
    checks
}

fn bits(access: Access) -> i32 {
    i32::from(access.mknod) | i32::from(access.read) << 1 | i32::from(access.write) << 2
}

/// As v1 does it: two rules for the same devices are one with what both allow, so that `r` and `w` make `rw`.
fn merged(allowed: &[DeviceRule]) -> Vec<DeviceRule> {
    let mut merged: Vec<DeviceRule> = Vec::new();
    for rule in allowed {
        let same =
            |known: &&mut DeviceRule| (known.kind, known.major, known.minor) == (rule.kind, rule.major, rule.minor);
        match merged.iter_mut().find(same) {
            Some(known) => {
                known.access.read |= rule.access.read;
                known.access.write |= rule.access.write;
                known.access.mknod |= rule.access.mknod;
            }
            None => merged.push(*rule),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs the few instructions that a program has, as the kernel would.
    fn run(program: &[u64], asked: i32, kind: u32, major: u32, minor: u32) -> u32 {
        let context = [(asked as u32) << 16 | kind, major, minor];
        let mut registers = [0u32; 10];
        let mut at = 0;
        loop {
            let insn = program[at];
            let (code, to, from) = (insn as u8, (insn >> 8) as usize & 15, (insn >> 12) as usize & 15);
            let (offset, value) = ((insn >> 16) as u16 as usize, (insn >> 32) as u32);
            at += 1;
            match code {
                0x61 => registers[to] = context[offset / 4],
                0x54 => registers[to] &= value,
                0x74 => registers[to] >>= value,
                0xb4 => registers[to] = value,
                0xbc => registers[to] = registers[from],
                0x55 if registers[to] != value => at += offset,
                0x5d if registers[to] != registers[from] => at += offset,
                0x15 if registers[to] == value => at += offset,
                0x15 | 0x55 | 0x5d => {}
                0x95 => return registers[0],
                other => panic!("{other:#x}"),
            }
        }
    }

    const READ: Access = Access { read: true, write: false, mknod: false };
    const WRITE: Access = Access { read: false, write: true, mknod: false };

    #[test]
    fn a_program_allows_what_a_rule_names_and_nothing_else() {
        let null = DeviceRule { kind: DeviceKind::Char, major: Some(1), minor: Some(3), access: READ };
        let ptys = DeviceRule { major: Some(136), minor: None, access: Access::ALL, ..null };
        let disks = DeviceRule { kind: DeviceKind::Block, major: None, minor: None, access: READ };
        let program = program(&[null, ptys, disks]);
        let asks = |access, kind, major, minor| run(&program, bits(access), kind, major, minor);
        assert_eq!(asks(READ, 2, 1, 3), 1);
        assert_eq!(asks(WRITE, 2, 1, 3), 0);
        assert_eq!(asks(READ, 2, 1, 5), 0);
        assert_eq!(asks(READ, 1, 1, 3), 1, "a block device, any of which may be read");
        assert_eq!(asks(WRITE, 1, 8, 0), 0);
        assert_eq!(asks(Access::ALL, 2, 136, 77), 1);
        assert_eq!(asks(READ, 2, 5, 2), 0);
    }

    #[test]
    fn read_and_write_in_two_rules_are_both() {
        let null = DeviceRule { kind: DeviceKind::Char, major: Some(1), minor: Some(3), access: READ };
        let program = program(&[null, DeviceRule { access: WRITE, ..null }]);
        assert_eq!(run(&program, bits(Access { mknod: false, ..Access::ALL }), 2, 1, 3), 1);
        assert_eq!(run(&program, bits(Access::ALL), 2, 1, 3), 0);
    }

    #[test]
    fn what_is_refused_is_refused_in_part_as_well_and_all_else_is_allowed() {
        let null = DeviceRule { kind: DeviceKind::Char, major: Some(1), minor: Some(3), access: WRITE };
        let program =
            refusing(&[null, DeviceRule { kind: DeviceKind::Block, minor: None, access: Access::ALL, ..null }]);
        let asks = |access, kind, major, minor| run(&program, bits(access), kind, major, minor);
        assert_eq!((asks(READ, 2, 1, 3), asks(WRITE, 2, 1, 3), asks(Access::ALL, 2, 1, 3)), (1, 0, 0));
        assert_eq!((asks(READ, 1, 1, 77), asks(READ, 1, 2, 77), asks(Access::ALL, 2, 1, 5)), (0, 1, 1));
        assert_eq!(run(&refusing(&[]), bits(Access::ALL), 2, 1, 3), 1);
    }

    #[test]
    fn without_rules_nothing_is_allowed() {
        assert_eq!(run(&program(&[]), bits(READ), 2, 1, 3), 0);
    }
}
