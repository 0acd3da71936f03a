//! What the library could have done before it started this program, but that is safer or only possible here, in memory
//! that is nobody's: limits, ids, capabilities, the working directory, a filter, namespaces for the command alone.
//!
//! Each is a word of argv: a letter, then numbers with colons between them, of which the first three say what a failure
//! is to name. The docs of `seclude_init` list them.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, Ordering};

use crate::kernel::{self, Bytes, Errno, Fd, Text};
use crate::order::Order;
use crate::privileges::{self, MOST_INSTRUCTIONS};
use crate::report::Report;
use crate::{inner, wait, watch};

/// As many groups as one act can name.
const MOST_GROUPS: usize = 8192;

/// Room for what is too large for the stack. In .bss, so that it costs nothing where it is not used.
struct Room(UnsafeCell<([u32; MOST_GROUPS], [u64; MOST_INSTRUCTIONS])>);
// SAFETY: the init is one thread, and only `all` takes the room, once at a time.
unsafe impl Sync for Room {}
static ROOM: Room = Room(UnsafeCell::new(([0; MOST_GROUPS], [0; MOST_INSTRUCTIONS])));

/// What of an act is to be put into its failure.
struct Place {
    step: u8,
    op: u16,
    call: u8,
}

/// The descriptors that this program is to hold as long as it lives, and nobody else.
pub(crate) fn held(order: &Order) -> impl Iterator<Item = Fd> {
    numbers(order, |letter| matches!(letter, b'h' | b'p'))
}

/// The spawner's pidfd, where the container ends with it.
pub(crate) fn spawner(order: &Order) -> Option<Fd> {
    numbers(order, |letter| letter == b'p').next()
}

fn numbers(order: &Order, wanted: impl Fn(u8) -> bool) -> impl Iterator<Item = Fd> {
    order.acts().filter_map(move |act| {
        let mut bytes = act.bytes();
        bytes.next().is_some_and(&wanted).then(|| bytes.number::<i32>(10)).flatten().map(Fd)
    })
}

/// Does all of them, up to the first that fails.
pub(crate) fn all(order: &Order) -> Result<(), Report> {
    // SAFETY: one thread, and nobody else takes it: see `Room`.
    let (groups, instructions) = unsafe { &mut *ROOM.0.get() };
    for act in order.acts() {
        perform(order, act, groups, instructions)?;
    }
    Ok(())
}

fn perform(order: &Order, act: Text, groups: &mut [u32], instructions: &mut [u64]) -> Result<(), Report> {
    let mut words = act.bytes();
    let malformed = order.failure(order.calls.init, Errno::EINVAL);
    let Some(letter) = words.next() else { return Err(malformed) };
    if letter == b'h' || letter == b'p' {
        // Not the command's.
        words.number(10).map(|fd| kernel::close(Fd(fd)));
        return Ok(());
    }
    if letter == b'W' {
        return match words.number(10) {
            Some(listener) => wait::for_another(order, Fd(listener)),
            None => Err(malformed),
        };
    }
    let (Some(step), Some(op), Some(call)) = (words.number(10), words.number(10), words.number(10)) else {
        return Err(malformed);
    };
    let place = Place { step, op, call };
    let done = one(order, letter, &mut words, groups, instructions).unwrap_or(Err(Errno::EINVAL));
    done.map_err(|errno| Report::failed(place.step, place.op, place.call, errno))
}

/// `None`: not as the docs say.
fn one(
    order: &Order,
    letter: u8,
    words: &mut Bytes,
    groups: &mut [u32],
    instructions: &mut [u64],
) -> Option<kernel::Result<()>> {
    Some(match letter {
        b'r' => privileges::set_limit(words.number(10)?, words.number(10)?, words.number(10)?),
        b'k' => privileges::keep_capabilities(),
        b'b' => privileges::limit_bounding_set(words.number(10)?),
        b'g' => {
            let mut count = 0;
            while let Some(group) = words.number(10) {
                *groups.get_mut(count)? = group;
                count += 1;
            }
            privileges::set_groups(groups.get(..count)?)
        }
        b'i' => privileges::set_gid(words.number(10)?),
        b'u' => privileges::set_uid(words.number(10)?),
        b'c' => privileges::set_capabilities(words.number(10)?, words.number(10)?, words.number(10)?),
        b'a' => privileges::set_ambient(words.number(10)?),
        b'e' => privileges::carry(words.number(10)?, words.number(10)?),
        b'n' => privileges::set_no_new_privileges(),
        b'w' => {
            let directory = Fd(words.number(10)?);
            let entered = kernel::change_directory(directory);
            // The kernel walks paths for the command soon, which must not lead to it.
            kernel::close(directory);
            entered
        }
        b's' => {
            let (file, flags) = (Fd(words.number(10)?), words.number(10)?);
            filter(order, file, flags, words.number(10)?, instructions)
        }
        b'l' => {
            let ruleset = Fd(words.number(10)?);
            let restricted = privileges::restrict(ruleset);
            kernel::close(ruleset);
            restricted
        }
        b'x' => {
            let (proc, module) = (Fd(words.number(10)?), words.number::<u8>(10)?);
            let confined = inner::confine_on_exec(proc, module, words);
            kernel::close(proc);
            confined
        }
        b'm' => privileges::unshare(words.number(10)?),
        b'U' => inner::enter(words)?,
        // A test's: fail here, or have the spawner killed here.
        b'f' => Err(Errno(words.number(10)?)),
        b'!' => {
            kernel::send(order.socket.get(), &Report::kill_parent().record());
            watch::outlived(order);
            Ok(())
        }
        _ => return None,
    })
}

/// Installs the program in `file`. One that `listens` (1) asks the spawner what to answer, who then knows what was refused; where no
/// listener can be had (there is one already, whoever made it; no number is left for it; Linux before 5.0) it answers by itself, and the spawner is told.
/// One that asks of itself (2) has none that could answer instead.
fn filter(order: &Order, file: Fd, flags: usize, listens: u8, instructions: &mut [u64]) -> kernel::Result<()> {
    let length = kernel::read_words(file, instructions);
    if listens == 0 {
        kernel::close(file);
        return privileges::install_filter(instructions.get(..length?).unwrap_or(&[]), flags).map(drop);
    }
    let program = instructions.get_mut(..length?).unwrap_or(&mut []);
    if listens == 2 {
        kernel::close(file);
        hand_over(order, privileges::install_asking(program, flags)?)?;
        HANDED_OVER.store(true, Ordering::Relaxed);
        return Ok(());
    }
    program.iter_mut().for_each(ask_instead);
    match privileges::install_listener(program, flags) {
        Ok(listener) => {
            kernel::close(file);
            hand_over(order, listener)
        }
        Err(errno) => {
            let again = kernel::read_words(file, program);
            kernel::close(file);
            again?;
            kernel::send(order.socket.get(), &Report::listener(errno.0).record());
            privileges::install_filter(program, flags).map(drop)
        }
    }
}

fn hand_over(order: &Order, listener: Fd) -> kernel::Result<()> {
    let sent = kernel::send_descriptor(order.socket.get(), &Report::listener(0).record(), listener);
    kernel::close(listener);
    sent
}

/// Whether somebody has been sent the listener of a filter that asks of itself, and has not said yet that whoever answers has it.
static HANDED_OVER: AtomicBool = AtomicBool::new(false);

/// Waits for that word: where nobody would answer, nothing is executed. Not right where it is handed over: who goes on as another process
/// has whoever answers look at that one, so the word comes behind it.
pub(crate) fn until_served(order: &Order) {
    // One thread: nobody writes between the two, and some processors have a library for doing both at once.
    if !HANDED_OVER.load(Ordering::Relaxed) {
        return;
    }
    HANDED_OVER.store(false, Ordering::Relaxed);
    if !wait::has_said_go(order.socket.get()) {
        kernel::exit(crate::FAILED);
    }
}

/// An answer by an error number becomes a question. Not by ENOSYS: that is an older kernel's answer, upon which programs take
/// the call that came before, many of them at each start of a thread.
fn ask_instead(instruction: &mut u64) {
    const RETURN: u64 = 0x06;
    const ERRNO: u64 = 0x0005;
    const ENOSYS: u64 = 38;
    const ASK: u64 = 0x7fc0_0000;
    let (code, value) = (*instruction & 0xffff, *instruction >> 32);
    if code == RETURN && value >> 16 == ERRNO && value & 0xffff != ENOSYS {
        *instruction = ASK << 32 | RETURN;
    }
}
