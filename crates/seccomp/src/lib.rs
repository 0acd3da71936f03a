//! Filters of system calls, seccomp(2), as BPF programs: what a container's command may not ask for.
//!
//! ```
//! use seclude_seccomp::Refused;
//!
//! let program = Refused { set_id: true, creation: true, ..Refused::default() }.program();
//! assert!(program.len() < 4096);
//! ```
//!
//! A filter sees the numbers of a call's arguments and nothing that they point to. So a call whose meaning is in memory
//! (openat2, clone3) cannot be let through in part: it is answered ENOSYS, as by an older kernel, and programs take the call
//! that came before it.
#![forbid(unsafe_code)]

mod assemble;
mod calls;

use assemble::Assembler;
use calls::{Calls, NATIVE};

/// What a filter refuses. Everything else is allowed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Refused {
    /// Giving a file that is there set-user-ID or set-group-ID bits (EPERM).
    pub set_id: bool,
    /// Making a file that has some (EPERM); openat2 and io_uring, which can do that too, are not there (ENOSYS).
    pub creation: bool,
    /// Setting extended attributes (EPERM): a file's capabilities are one, and its name is in memory.
    pub attributes: bool,
    /// Making or entering user namespaces (EPERM).
    pub user_namespaces: bool,
}

/// One instruction, `struct sock_filter` as the kernel reads it.
pub type Instruction = u64;

const S_ISUID_S_ISGID: u32 = 0o6000;
const O_CREAT: u32 = 0o100;
const O_TMPFILE: u32 = 0o20_000_000;
const CLONE_NEWUSER: u32 = 0x1000_0000;

impl Refused {
    /// Whether it refuses nothing.
    pub fn is_empty(self) -> bool {
        self == Refused::default()
    }

    /// The program: for every kind of system call that this machine has.
    pub fn program(self) -> Vec<Instruction> {
        let mut assembler = Assembler::new();
        for calls in NATIVE {
            assembler.of_architecture(calls.architecture, |assembler| self.of(calls, assembler));
        }
        // A kind that is not known here has calls that are not known either.
        assembler.no_such_call();
        assembler.finish()
    }

    fn of(self, calls: &Calls, assembler: &mut Assembler) {
        if let Some(bit) = calls.foreign_bit {
            assembler.no_such_call_with(bit);
        }
        if self.creation || self.attributes {
            // Its operations are none of the calls below, and do the same.
            calls.io_uring.iter().for_each(|call| assembler.call(*call, Assembler::no_such_call));
        }
        let of_a_mode = [(self.set_id, calls.that_change_a_mode), (self.creation, calls.that_create)];
        for (call, argument) in of_a_mode.into_iter().filter(|(on, _)| *on).flat_map(|(_, calls)| calls) {
            assembler.call(*call, |a| a.refuse_if(*argument, S_ISUID_S_ISGID));
        }
        if self.creation {
            for (call, flags, mode) in calls.that_may_create {
                assembler.call(*call, |a| a.refuse_if_both((*flags, O_CREAT | O_TMPFILE), (*mode, S_ISUID_S_ISGID)));
            }
            assembler.call(calls.openat2, Assembler::no_such_call);
        }
        if self.attributes {
            calls.of_attributes.iter().for_each(|call| assembler.call(*call, Assembler::refuse));
        }
        if self.user_namespaces {
            for call in [calls.clone, calls.unshare] {
                assembler.call(call, |a| a.refuse_if(0, CLONE_NEWUSER));
            }
            assembler.call(calls.clone3, Assembler::no_such_call);
            assembler.call(calls.setns, Assembler::refuse);
        }
        assembler.allow();
    }
}
