//! A program that is put together from its end, so that every jump knows where it leads, bpf(4) and linux/filter.h.
//!
//! A jump with a condition leads at most 255 instructions ahead: what is further is reached by a copy of it, if it is an answer, or
//! by a jump without one.

use std::collections::HashMap;

use crate::{Action, Instruction};

/// `BPF_LD | BPF_W | BPF_ABS`
pub(crate) const LOAD: u16 = 0x20;
/// `BPF_ALU | BPF_AND | BPF_K`
pub(crate) const AND: u16 = 0x54;
/// `BPF_JMP | BPF_JA`
pub(crate) const JUMP: u16 = 0x05;
/// `BPF_JMP | BPF_JEQ | BPF_K`
pub(crate) const JUMP_IF_EQUAL: u16 = 0x15;
/// `BPF_JMP | BPF_JGT | BPF_K`
pub(crate) const JUMP_IF_GREATER: u16 = 0x25;
/// `BPF_JMP | BPF_JGE | BPF_K`
pub(crate) const JUMP_IF_AT_LEAST: u16 = 0x35;
/// `BPF_JMP | BPF_JSET | BPF_K`
pub(crate) const JUMP_IF_ANY: u16 = 0x45;
/// `BPF_RET | BPF_K`
pub(crate) const RETURN: u16 = 0x06;

/// Where things are in `struct seccomp_data`.
pub(crate) const NUMBER: u32 = 0;
pub(crate) const ARCHITECTURE: u32 = 4;
pub(crate) const ARGUMENTS: u32 = 16;

/// An instruction that is there, counted from the end.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Label(usize);

#[derive(Default)]
pub(crate) struct Backwards {
    /// The last comes first.
    code: Vec<Instruction>,
    /// What is there already, as its code, value and where it leads.
    made: HashMap<(u16, u32, Label, Label), Label>,
    /// The nearest copy of each answer.
    answers: HashMap<u32, Label>,
}

impl Backwards {
    pub(crate) fn finish(mut self) -> Vec<Instruction> {
        self.code.reverse();
        self.code
    }

    fn push(&mut self, code: u16, if_so: u8, if_not: u8, value: u32) -> Label {
        let fields = [u64::from(code), u64::from(if_so) << 16, u64::from(if_not) << 24, u64::from(value) << 32];
        self.code.push(fields.iter().sum());
        Label(self.code.len() - 1)
    }

    pub(crate) fn answer(&mut self, action: Action) -> Label {
        let number = action.number();
        if let Some(label) = self.answers.get(&number) {
            return *label;
        }
        let label = self.push(RETURN, 0, 0, number);
        self.answers.insert(number, label);
        label
    }

    /// A label within reach of a jump that comes `ahead` instructions later, which leads to the same.
    fn near(&mut self, label: Label, ahead: usize) -> Label {
        let far = |from: usize, label: Label| from - label.0 > 255;
        if !far(self.code.len() + ahead, label) {
            return label;
        }
        let instruction = self.code[label.0];
        if instruction as u16 == RETURN {
            let value = (instruction >> 32) as u32;
            let nearest = self.answers.get(&value).copied().filter(|nearest| !far(self.code.len() + ahead, *nearest));
            return nearest.unwrap_or_else(|| {
                let copy = self.push(RETURN, 0, 0, value);
                self.answers.insert(value, copy);
                copy
            });
        }
        let distance = self.code.len() - label.0 - 1;
        self.push(JUMP, 0, 0, distance as u32)
    }

    fn branch(&mut self, code: u16, value: u32, if_so: Label, if_not: Label) -> Label {
        if if_so == if_not {
            return if_so;
        }
        let key = (code, value, if_so, if_not);
        if let Some(label) = self.made.get(&key) {
            return *label;
        }
        // The second may take an instruction, and that the first another place.
        let near = (self.near(if_so, 2), if_not);
        let near = (near.0, self.near(near.1, 1));
        let distance = |label: Label, at: usize| (at - label.0 - 1) as u8;
        let at = self.code.len();
        let label = self.push(code, distance(near.0, at), distance(near.1, at), value);
        self.made.insert(key, label);
        label
    }

    pub(crate) fn jump_if_equal(&mut self, value: u32, if_so: Label, if_not: Label) -> Label {
        self.branch(JUMP_IF_EQUAL, value, if_so, if_not)
    }

    pub(crate) fn jump_if_greater(&mut self, value: u32, if_so: Label, if_not: Label) -> Label {
        self.branch(JUMP_IF_GREATER, value, if_so, if_not)
    }

    pub(crate) fn jump_if_at_least(&mut self, value: u32, if_so: Label, if_not: Label) -> Label {
        self.branch(JUMP_IF_AT_LEAST, value, if_so, if_not)
    }

    pub(crate) fn jump_if_any(&mut self, bits: u32, if_so: Label, if_not: Label) -> Label {
        self.branch(JUMP_IF_ANY, bits, if_so, if_not)
    }

    /// One instruction that goes on with `next`, which has to be the one behind it.
    fn before(&mut self, code: u16, value: u32, next: Label) -> Label {
        let key = (code, value, next, next);
        if let Some(label) = self.made.get(&key) {
            return *label;
        }
        if next.0 + 1 != self.code.len() {
            let distance = self.code.len() - next.0 - 1;
            self.push(JUMP, 0, 0, distance as u32);
        }
        let label = self.push(code, 0, 0, value);
        self.made.insert(key, label);
        label
    }

    pub(crate) fn mask(&mut self, mask: u32, next: Label) -> Label {
        if mask == u32::MAX { next } else { self.before(AND, mask, next) }
    }

    pub(crate) fn load_number(&mut self, next: Label) -> Label {
        self.before(LOAD, NUMBER, next)
    }

    pub(crate) fn load_architecture(&mut self, next: Label) -> Label {
        self.before(LOAD, ARCHITECTURE, next)
    }

    /// On a little-endian machine, as all that are known here, the lower half comes first.
    pub(crate) fn load_low(&mut self, argument: u8, next: Label) -> Label {
        self.before(LOAD, ARGUMENTS + 8 * u32::from(argument), next)
    }

    pub(crate) fn load_high(&mut self, argument: u8, next: Label) -> Label {
        self.before(LOAD, ARGUMENTS + 8 * u32::from(argument) + 4, next)
    }
}
