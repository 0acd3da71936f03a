//! Putting a program together, Documentation/networking/filter.rst. Every check stands alone behind its call's number, so no
//! jump is further than a few instructions.

use crate::Instruction;

const LOAD: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS
const JUMP_IF_EQUAL: u16 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
const JUMP_IF_SET: u16 = 0x45; // BPF_JMP | BPF_JSET | BPF_K
const JUMP: u16 = 0x05; // BPF_JMP | BPF_JA
const RETURN: u16 = 0x06; // BPF_RET | BPF_K

const ALLOW: u32 = 0x7fff_0000;
const ERRNO: u32 = 0x0005_0000;
const EPERM: u32 = 1;
const ENOSYS: u32 = 38;

/// Where things are in `struct seccomp_data`.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const ARGUMENTS: u32 = 16;

pub(crate) struct Assembler(Vec<Instruction>);

impl Assembler {
    pub(crate) fn new() -> Assembler {
        Assembler(Vec::new())
    }

    pub(crate) fn finish(self) -> Vec<Instruction> {
        self.0
    }

    fn push(&mut self, code: u16, if_so: u8, if_not: u8, value: u32) {
        let fields = [u64::from(code), u64::from(if_so) << 16, u64::from(if_not) << 24, u64::from(value) << 32];
        self.0.push(fields.iter().sum());
    }

    fn answer(&mut self, errno: u32) {
        self.push(RETURN, 0, 0, ERRNO | errno);
    }

    /// The low half of an argument, which has all the bits that are looked at here.
    fn load_argument(&mut self, argument: u32) {
        self.push(LOAD, 0, 0, ARGUMENTS + 8 * argument);
    }

    pub(crate) fn allow(&mut self) {
        self.push(RETURN, 0, 0, ALLOW);
    }

    pub(crate) fn refuse(&mut self) {
        self.answer(EPERM);
    }

    pub(crate) fn no_such_call(&mut self) {
        self.answer(ENOSYS);
    }

    /// Calls whose number has this bit.
    pub(crate) fn no_such_call_with(&mut self, bit: u32) {
        self.push(JUMP_IF_SET, 0, 1, bit);
        self.no_such_call();
    }

    /// What `body` adds is for calls of this kind; the number is loaded there.
    pub(crate) fn of_architecture(&mut self, architecture: u32, body: impl FnOnce(&mut Assembler)) {
        let mut inner = Assembler::new();
        inner.push(LOAD, 0, 0, NUMBER);
        body(&mut inner);
        self.push(LOAD, 0, 0, ARCHITECTURE);
        self.push(JUMP_IF_EQUAL, 1, 0, architecture);
        self.push(JUMP, 0, 0, inner.0.len() as u32);
        self.0.append(&mut inner.0);
    }

    /// What `check` adds is for this call, and answers it.
    pub(crate) fn call(&mut self, number: u32, check: impl FnOnce(&mut Assembler)) {
        let mut inner = Assembler::new();
        check(&mut inner);
        self.push(JUMP_IF_EQUAL, 0, inner.0.len() as u8, number);
        self.0.append(&mut inner.0);
    }

    pub(crate) fn refuse_if(&mut self, argument: u32, bits: u32) {
        self.load_argument(argument);
        self.push(JUMP_IF_SET, 0, 1, bits);
        self.refuse();
        self.allow();
    }

    pub(crate) fn refuse_if_both(&mut self, first: (u32, u32), second: (u32, u32)) {
        self.load_argument(first.0);
        self.push(JUMP_IF_SET, 0, 3, first.1);
        self.load_argument(second.0);
        self.push(JUMP_IF_SET, 0, 1, second.1);
        self.refuse();
        self.allow();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a program on a call, as the kernel does.
    fn run(program: &[Instruction], architecture: u32, number: u32, arguments: [u64; 6]) -> u32 {
        let word = |offset: u32| match offset {
            NUMBER => number,
            ARCHITECTURE => architecture,
            offset => {
                let argument = arguments[(offset - ARGUMENTS) as usize / 8];
                if (offset - ARGUMENTS).is_multiple_of(8) { argument as u32 } else { (argument >> 32) as u32 }
            }
        };
        let (mut at, mut loaded) = (0, 0);
        loop {
            let instruction = program[at];
            let (code, value) = (instruction as u16, (instruction >> 32) as u32);
            let (if_so, if_not) = (instruction >> 16 & 0xff, instruction >> 24 & 0xff);
            at += 1;
            match code {
                LOAD => loaded = word(value),
                JUMP => at += value as usize,
                JUMP_IF_EQUAL => at += if loaded == value { if_so } else { if_not } as usize,
                JUMP_IF_SET => at += if loaded & value != 0 { if_so } else { if_not } as usize,
                RETURN => return value,
                other => panic!("{other:#x}"),
            }
        }
    }

    const X86_64: u32 = 0xc000_003e;
    const I386: u32 = 0x4000_0003;
    const REFUSED: u32 = ERRNO | EPERM;
    const MISSING: u32 = ERRNO | ENOSYS;

    #[test]
    fn set_id_bits_are_refused_by_every_call_that_can_give_them_and_nothing_else_is() {
        let program = crate::Refused { set_id: true, creation: true, ..Default::default() }.program();
        let (set, plain, create) = (0o4755, 0o755, 0o101);
        // architecture, number, which argument is the mode, flags
        for (architecture, number, mode, flags) in [
            (X86_64, 90, 1, None),
            (X86_64, 91, 1, None),
            (X86_64, 268, 2, None),
            (X86_64, 452, 2, None),
            (X86_64, 85, 1, None),
            (X86_64, 133, 1, None),
            (X86_64, 259, 2, None),
            (X86_64, 83, 1, None),
            (X86_64, 258, 2, None),
            (X86_64, 2, 2, Some(1)),
            (X86_64, 257, 3, Some(2)),
            (I386, 15, 1, None),
            (I386, 94, 1, None),
            (I386, 306, 2, None),
            (I386, 452, 2, None),
            (I386, 8, 1, None),
            (I386, 14, 1, None),
            (I386, 297, 2, None),
            (I386, 39, 1, None),
            (I386, 296, 2, None),
            (I386, 5, 2, Some(1)),
            (I386, 295, 3, Some(2)),
        ] {
            let mut arguments = [0u64; 6];
            arguments[mode] = set;
            if let Some(flags) = flags {
                // Without creation the mode is whatever the register has.
                assert_eq!(run(&program, architecture, number, arguments), ALLOW, "{number}");
                arguments[flags] = create;
            }
            assert_eq!(run(&program, architecture, number, arguments), REFUSED, "{number}");
            arguments[mode] = 0o2755 | 0xffff_ffff_0000_0000;
            assert_eq!(run(&program, architecture, number, arguments), REFUSED, "{number}");
            arguments[mode] = plain;
            assert_eq!(run(&program, architecture, number, arguments), ALLOW, "{number}");
        }
        for number in [437, 425, 426, 427] {
            assert_eq!(run(&program, X86_64, number, [0; 6]), MISSING);
            assert_eq!(run(&program, I386, number, [0; 6]), MISSING);
        }
        // x32, and an architecture that this machine does not have.
        assert_eq!(run(&program, X86_64, 0x4000_0000 + 90, [0, set, 0, 0, 0, 0]), MISSING);
        assert_eq!(run(&program, 0xc000_00b7, 52, [0, set, 0, 0, 0, 0]), MISSING);
        for number in [0, 1, 59, 56, 188, 272, 308, 435] {
            assert_eq!(run(&program, X86_64, number, [u64::MAX; 6]), ALLOW, "{number}");
        }
    }

    #[test]
    fn where_there_is_no_place_to_make_files_in_what_makes_them_is_there() {
        let program = crate::Refused { set_id: true, ..Default::default() }.program();
        for (number, mode) in [(90, 1), (91, 1), (268, 2), (452, 2)] {
            let mut arguments = [0u64; 6];
            arguments[mode] = 0o4755;
            assert_eq!(run(&program, X86_64, number, arguments), REFUSED, "{number}");
        }
        for number in [437, 425, 85, 83, 257] {
            assert_eq!(run(&program, X86_64, number, [0o4755; 6]), ALLOW, "{number}");
        }
    }

    #[test]
    fn user_namespaces_and_attributes_are_refused_only_where_asked() {
        let program = crate::Refused { user_namespaces: true, attributes: true, ..Default::default() }.program();
        let new_user = 0x1000_0000 | 17;
        for (architecture, clone, unshare) in [(X86_64, 56, 272), (I386, 120, 310)] {
            assert_eq!(run(&program, architecture, clone, [new_user, 0, 0, 0, 0, 0]), REFUSED);
            assert_eq!(run(&program, architecture, unshare, [new_user, 0, 0, 0, 0, 0]), REFUSED);
            assert_eq!(run(&program, architecture, clone, [17, 0, 0, 0, 0, 0]), ALLOW);
            assert_eq!(run(&program, architecture, 435, [0; 6]), MISSING);
        }
        for (architecture, number) in
            [(X86_64, 188), (X86_64, 189), (X86_64, 190), (X86_64, 463), (I386, 226), (X86_64, 308), (I386, 346)]
        {
            assert_eq!(run(&program, architecture, number, [0; 6]), REFUSED, "{number}");
        }
        assert_eq!(run(&program, X86_64, 90, [0, 0o4755, 0, 0, 0, 0]), ALLOW);
    }
}
