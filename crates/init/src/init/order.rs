//! The init's own argv: what it is to do.

use core::cell::Cell;
use core::ffi::c_char;

use crate::kernel::{Errno, Fd, Text};
use crate::report::Report;

/// Where the number of acts stands.
const ACTS: usize = 6;

/// The strings that the kernel put on the stack: argv, a null pointer, envp, a null pointer.
#[derive(Clone, Copy)]
pub(crate) struct Arguments {
    count: usize,
    list: *const *const c_char,
}

impl Arguments {
    /// # Safety
    /// `list` must hold `count` C strings, a null pointer, and the environment in the same way; all of it must stay
    /// as long as the process.
    pub(crate) unsafe fn new(count: usize, list: *const *const c_char) -> Arguments {
        Arguments { count, list }
    }

    fn get(self, index: usize) -> Option<Text> {
        // SAFETY: below `count` there is a C string, by the contract of `new`.
        (index < self.count).then(|| unsafe { Text::new(*self.list.add(index)) })
    }

    /// The list from `index` on, as execve(2) takes it; up to `count` that is argv, one further it is envp.
    fn from(self, index: usize) -> Option<Strings> {
        // SAFETY: `count` itself is the null pointer, and behind it the environment begins.
        (index <= self.count + 1).then(|| Strings(unsafe { self.list.add(index) }))
    }
}

/// C strings that end with a null pointer.
#[derive(Clone, Copy)]
pub(crate) struct Strings(pub(crate) *const *const c_char);

/// The numbers that name a call in a failure.
pub(crate) struct Calls {
    pub(crate) execve: u8,
    pub(crate) interpreter: u8,
    pub(crate) directory: u8,
    /// Any call of the init's own.
    pub(crate) init: u8,
    /// No failure, but the end of a rehearsal.
    pub(crate) rehearsed: u8,
}

pub(crate) struct Order {
    /// Where it tells what becomes of the start: the spawner's, later that of whoever has let it go.
    pub(crate) socket: Cell<Fd>,
    /// The command is to lead the terminal's foreground.
    pub(crate) terminal: bool,
    /// The command stays in this process's group, which is its caller's.
    pub(crate) in_job: bool,
    /// This process becomes the command: no init, only the exec from a file that the command may well find.
    pub(crate) becomes: bool,
    /// It does so in a sibling of its own, in a pid namespace that was joined.
    pub(crate) sibling: bool,
    /// Which leads a session of its own.
    pub(crate) leads: bool,
    /// Which is controlled by the terminal that it has as one of 0, 1, 2.
    pub(crate) controlled: bool,
    /// Processes of a container that it has joined may see it.
    pub(crate) among_others: bool,
    /// Becomes nothing: says that it runs, and waits for the end of the spawner.
    pub(crate) holds: bool,
    /// Looks for the command instead of executing it.
    pub(crate) rehearsal: bool,
    /// It waits once more before its exec, for somebody else than the spawner.
    pub(crate) waits: bool,
    /// The command goes on without the spawner.
    pub(crate) detached: bool,
    pub(crate) mask: u64,
    step: u8,
    op: u16,
    pub(crate) calls: Calls,
    arguments: Arguments,
    acts: usize,
    candidates: usize,
    pub(crate) argv: Strings,
    pub(crate) envp: Strings,
}

impl Order {
    /// `None` if it is not as the docs of `seclude_init` say.
    pub(crate) fn read(arguments: Arguments) -> Option<Order> {
        let socket: u32 = arguments.get(1)?.bytes().number(10)?;
        let flags = Flags::read(arguments.get(2)?)?;
        let mask = arguments.get(3)?.bytes().number(16)?;

        let mut place = arguments.get(4)?.bytes();
        let step = place.number(10)?;
        let op = place.number(10)?;

        let mut calls = arguments.get(5)?.bytes();
        let execve = calls.number(10)?;
        let interpreter = calls.number(10)?;
        let directory = calls.number(10)?;
        let init = calls.number(10).unwrap_or(execve);
        let rehearsed = calls.number(10).unwrap_or(execve);

        let count = |index| arguments.get(index)?.bytes().number::<u16>(10).map(usize::from);
        let acts = count(ACTS)?;
        let candidates = count(ACTS + 1 + acts)?;
        let command = ACTS + 2 + acts + candidates;
        arguments.get(command)?;
        Some(Order {
            socket: Cell::new(Fd(socket as i32)),
            terminal: flags.terminal,
            in_job: flags.in_job,
            detached: flags.detached,
            becomes: flags.becomes,
            sibling: flags.sibling,
            leads: flags.leads,
            controlled: flags.controlled,
            among_others: flags.among_others,
            holds: flags.holds,
            rehearsal: flags.rehearsal,
            waits: flags.waits,
            mask,
            step,
            op,
            calls: Calls { execve, interpreter, directory, init, rehearsed },
            arguments,
            acts,
            candidates,
            argv: arguments.from(command)?,
            envp: arguments.from(arguments.count + 1)?,
        })
    }

    pub(crate) fn acts(&self) -> impl Iterator<Item = Text> {
        self.words(ACTS + 1, self.acts)
    }

    pub(crate) fn candidates(&self) -> impl Iterator<Item = Text> {
        self.words(ACTS + 2 + self.acts, self.candidates)
    }

    fn words(&self, first: usize, count: usize) -> impl Iterator<Item = Text> {
        (first..first + count).filter_map(|index| self.arguments.get(index))
    }

    pub(crate) fn failure(&self, call: u8, errno: Errno) -> Report {
        Report::failed(self.step, self.op, call, errno)
    }
}

#[derive(Default)]
struct Flags {
    terminal: bool,
    in_job: bool,
    detached: bool,
    becomes: bool,
    sibling: bool,
    leads: bool,
    controlled: bool,
    among_others: bool,
    holds: bool,
    rehearsal: bool,
    waits: bool,
}

impl Flags {
    fn read(text: Text) -> Option<Flags> {
        let mut flags = Flags::default();
        for letter in text.bytes() {
            match letter {
                b't' => flags.terminal = true,
                b'j' => flags.in_job = true,
                b'd' => flags.detached = true,
                b'x' => flags.becomes = true,
                b'p' => flags.sibling = true,
                b's' => flags.leads = true,
                b'c' => flags.controlled = true,
                b'o' => flags.among_others = true,
                b'h' => flags.holds = true,
                b'r' => flags.rehearsal = true,
                b'w' => flags.waits = true,
                b'-' => {}
                // A wish that this init does not know is none that it can pass over.
                _ => return None,
            }
        }
        Some(flags)
    }
}
