//! A finished program: checked as the kernel checks it, and run on a call without it.

use crate::backwards::{
    AND, ARCHITECTURE, ARGUMENTS, JUMP, JUMP_IF_ANY, JUMP_IF_AT_LEAST, JUMP_IF_EQUAL, JUMP_IF_GREATER, LOAD, NUMBER,
    RETURN,
};
use crate::{Action, Architecture, Error};

/// One instruction, `struct sock_filter` as the kernel reads it.
pub type Instruction = u64;

/// BPF_MAXINSNS
pub const MOST_INSTRUCTIONS: usize = 4096;

/// A program of classic BPF.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Program {
    code: Vec<Instruction>,
    flags: u32,
}

/// `BPF_RET | BPF_A`
const RETURN_LOADED: u16 = 0x16;
/// `BPF_LD | BPF_W | BPF_LEN`, `BPF_LDX | BPF_W | BPF_LEN`
const LENGTHS: [u16; 2] = [0x80, 0x81];
/// `BPF_ST`, `BPF_STX`, `BPF_LD | BPF_MEM`, `BPF_LDX | BPF_MEM`
const MEMORY: [u16; 4] = [0x02, 0x03, 0x60, 0x61];
/// SECCOMP_RET_ACTION_FULL
const ACTION: u32 = 0xffff_0000;
/// BPF_MEMWORDS
const WORDS: usize = 16;

impl Program {
    pub(crate) fn new(code: Vec<Instruction>, flags: u32) -> Program {
        Program { code, flags }
    }

    /// A program that others have finished.
    ///
    /// # Errors
    /// What the kernel would refuse, by its own rules: a length that is no number of instructions, none or too many of them, one that a
    /// filter may not have, a jump behind the end, an end that is no answer.
    pub fn from_bytes(bytes: &[u8]) -> Result<Program, Error> {
        if bytes.is_empty() || !bytes.len().is_multiple_of(8) {
            return Err(Error::Length(bytes.len()));
        }
        let instruction = |bytes: &[u8]| bytes.try_into().map(Instruction::from_ne_bytes).unwrap_or_default();
        let program = Program::new(bytes.chunks_exact(8).map(instruction).collect(), 0);
        program.check()?;
        Ok(program)
    }

    /// As the kernel takes it.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.code.iter().flat_map(|instruction| instruction.to_ne_bytes()).collect()
    }

    /// The instructions.
    pub fn instructions(&self) -> &[Instruction] {
        &self.code
    }

    /// The error number that a call is answered, if it is refused with one.
    pub fn errno_for(&self, architecture: Architecture, number: u32, arguments: &[u64; 6]) -> Option<u16> {
        let (answer, _) = self.run(architecture, number, arguments)?;
        (answer & ACTION == Action::Errno(0).number()).then_some(answer as u16)
    }

    /// `SECCOMP_FILTER_FLAG_…` to install it with.
    pub fn flags(&self) -> u32 {
        self.flags
    }

    /// The same, installed with this flag besides, such as `SECCOMP_FILTER_FLAG_LOG`.
    ///
    /// # Errors
    /// [`Error::Profile`]: there is no such flag.
    pub fn with_flag(mut self, name: &str) -> Result<Program, Error> {
        // The kernel takes the one of a listener with that alone.
        self.flags |= crate::oci::flag(name)? & !crate::oci::KILLABLE;
        Ok(self)
    }

    /// Whether the kernel takes it.
    ///
    /// # Errors
    /// As [`Program::from_bytes`].
    pub fn check(&self) -> Result<(), Error> {
        if self.code.len() > MOST_INSTRUCTIONS {
            return Err(Error::TooLong(self.code.len()));
        }
        for (at, instruction) in self.code.iter().enumerate() {
            let (code, if_so, if_not, value) = parts(*instruction);
            let left = self.code.len() - at - 1;
            let leads = match code {
                JUMP => value as usize,
                JUMP_IF_EQUAL | JUMP_IF_GREATER | JUMP_IF_AT_LEAST | JUMP_IF_ANY | 0x1d | 0x2d | 0x3d | 0x4d => {
                    if_so.max(if_not)
                }
                _ => 0,
            };
            if leads >= left && leads > 0 || (code == JUMP && left == 0) {
                return Err(Error::Jump { instruction: at });
            }
            let allowed = match code {
                LOAD => value < 64 && value.is_multiple_of(4),
                RETURN | RETURN_LOADED | JUMP => true,
                0x00 | 0x01 | 0x07 | 0x87 => true, // loads of a constant, and between the two registers
                code if LENGTHS.contains(&code) => true,
                code if MEMORY.contains(&code) => (value as usize) < WORDS,
                0x34 => value != 0,        // a division by 0
                0x64 | 0x74 => value < 32, // shifts
                0x04 | 0x14 | 0x24 | 0x44 | 0x54 | 0xa4 | 0x84 => true,
                0x0c | 0x1c | 0x2c | 0x3c | 0x4c | 0x5c | 0x6c | 0x7c | 0xac => true,
                JUMP_IF_EQUAL | JUMP_IF_GREATER | JUMP_IF_AT_LEAST | JUMP_IF_ANY | 0x1d | 0x2d | 0x3d | 0x4d => true,
                _ => false,
            };
            if !allowed {
                return Err(Error::Instruction { instruction: at, code });
            }
        }
        match self.code.last().map(|last| parts(*last).0) {
            Some(RETURN | RETURN_LOADED) => Ok(()),
            _ => Err(Error::NoAnswer),
        }
    }

    /// What it answers, and how many instructions that took. `None`: it has an instruction that only finished programs of others
    /// have.
    pub fn run(&self, architecture: Architecture, number: u32, arguments: &[u64; 6]) -> Option<(u32, usize)> {
        let word = |offset: u32| match offset {
            NUMBER => number,
            ARCHITECTURE => architecture.audit(),
            offset if offset < ARGUMENTS => 0,
            offset => {
                let argument = arguments.get((offset - ARGUMENTS) as usize / 8).copied().unwrap_or_default();
                if (offset - ARGUMENTS).is_multiple_of(8) { argument as u32 } else { (argument >> 32) as u32 }
            }
        };
        let (mut at, mut loaded, mut count) = (0usize, 0u32, 0usize);
        loop {
            let (code, if_so, if_not, value) = parts(*self.code.get(at)?);
            at += 1;
            count += 1;
            let mut branch = |holds: bool| at += if holds { if_so } else { if_not };
            match code {
                LOAD => loaded = word(value),
                AND => loaded &= value,
                JUMP => at += value as usize,
                JUMP_IF_EQUAL => branch(loaded == value),
                JUMP_IF_GREATER => branch(loaded > value),
                JUMP_IF_AT_LEAST => branch(loaded >= value),
                JUMP_IF_ANY => branch(loaded & value != 0),
                RETURN => return Some((value, count)),
                RETURN_LOADED => return Some((loaded, count)),
                _ => return None,
            }
        }
    }
}

/// Code, where it leads if a condition holds and if not, value.
fn parts(instruction: Instruction) -> (u16, usize, usize, u32) {
    let byte = |shift: u32| (instruction >> shift & 0xff) as usize;
    (instruction as u16, byte(16), byte(24), (instruction >> 32) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(steps: &[(u16, u8, u8, u32)]) -> Vec<u8> {
        let bytes = |(code, so, not, value): &(u16, u8, u8, u32)| {
            [&code.to_ne_bytes()[..], &[*so, *not], &value.to_ne_bytes()].concat()
        };
        steps.iter().flat_map(bytes).collect()
    }

    #[test]
    fn a_program_that_the_kernel_would_refuse_is_refused() {
        let answer = (RETURN, 0, 0, 0x7fff_0000);
        for (steps, words) in [
            (vec![], "0 bytes"),
            (vec![(LOAD, 0, 0, 0)], "without an answer"),
            (vec![(LOAD, 0, 0, 2), answer], "instruction 0 (0x20)"),
            (vec![(LOAD, 0, 0, 64), answer], "instruction 0 (0x20)"),
            (vec![(0x28, 0, 0, 0), answer], "instruction 0 (0x28)"),
            (vec![(JUMP, 0, 0, 1), answer], "instruction 0 is a jump"),
            (vec![(JUMP, 0, 0, u32::MAX), answer], "instruction 0 is a jump"),
            (vec![(JUMP_IF_EQUAL, 0, 1, 5), answer], "instruction 0 is a jump"),
            (vec![(JUMP_IF_EQUAL, 255, 0, 5), answer], "instruction 0 is a jump"),
            (vec![(0x34, 0, 0, 0), answer], "instruction 0 (0x34)"),
            (vec![(0x02, 0, 0, 16), answer], "instruction 0 (0x2)"),
            (vec![(0xffff, 0, 0, 0), answer], "instruction 0 (0xffff)"),
            (vec![answer; 4097], "4097 instructions"),
        ] {
            let said = Program::from_bytes(&bytes(&steps)).unwrap_err().to_string();
            assert!(said.contains(words), "{steps:?}: {said}");
        }
        let whole = bytes(&[(LOAD, 0, 0, 0), (JUMP_IF_EQUAL, 0, 1, 5), (RETURN, 0, 0, 1), answer]);
        assert_eq!(Program::from_bytes(&whole).unwrap().to_bytes(), whole);
        assert!(Program::from_bytes(&whole[1..]).unwrap_err().to_string().contains("31 bytes"));
    }
}
