//! The system calls that the init makes, and the strings that it got: all there is to be careful about in memory.

use core::ffi::{CStr, c_char};
use core::mem::MaybeUninit;

use crate::arch::{STAT, number, syscall};
use crate::order::Strings;

const AT_FDCWD: i32 = -100;
const AT_SYMLINK_NOFOLLOW: usize = 0x100;
const AT_EACCESS: usize = 0x200;
const CLONE_PARENT: usize = 0x8000;
const F_SETFD: usize = 2;
const FD_CLOEXEC: usize = 1;
const MSG_DONTWAIT: usize = 0x40;
const MSG_NOSIGNAL: usize = 0x4000;
const O_CLOEXEC: usize = 0o2_000_000;
const O_NONBLOCK: usize = 0o4_000;
const O_WRONLY: usize = 1;
const PR_SET_DUMPABLE: usize = 4;
const PR_SET_NAME: usize = 15;
const PR_SET_PDEATHSIG: usize = 1;
const SIG_SETMASK: usize = 2;
const S_IFMT: u32 = 0o170_000;
const S_IFDIR: u32 = 0o040_000;
const TIOCSPGRP: usize = 0x5410;
const WNOHANG: usize = 1;
const WUNTRACED: usize = 2;
const X_OK: usize = 1;
/// Bytes of the kernel's sigset.
const SIGSET: usize = 8;

pub(crate) const ALL_SIGNALS: u64 = u64::MAX;
pub(crate) const SIGCHLD: u32 = 17;
pub(crate) const POLLIN: i16 = 1;
pub(crate) const SIGKILL: u32 = 9;
pub(crate) const SIGSTOP: u32 = 19;
pub(crate) const SIGTTOU: u32 = 22;
/// Those of job control, which are for all of a job: SIGCONT, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU. Signal N is bit N-1.
pub(crate) const OF_JOBS: u64 = 1 << 17 | 1 << 18 | 1 << 19 | 1 << 20 | 1 << 21;

/// What the kernel said, positive.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Errno(pub(crate) i32);

impl Errno {
    pub(crate) const EPERM: Errno = Errno(1);
    pub(crate) const ENOENT: Errno = Errno(2);
    pub(crate) const EINTR: Errno = Errno(4);
    pub(crate) const ENXIO: Errno = Errno(6);
    pub(crate) const ENOEXEC: Errno = Errno(8);
    pub(crate) const EBADF: Errno = Errno(9);
    pub(crate) const EACCES: Errno = Errno(13);
    pub(crate) const ENOTDIR: Errno = Errno(20);
    pub(crate) const EINVAL: Errno = Errno(22);
    pub(crate) const EMFILE: Errno = Errno(24);
    pub(crate) const ENOSYS: Errno = Errno(38);
    pub(crate) const ENOTTY: Errno = Errno(25);
    pub(crate) const ETOOMANYREFS: Errno = Errno(109);
    pub(crate) const ECANCELED: Errno = Errno(125);
}

pub(crate) type Result<T> = core::result::Result<T, Errno>;

#[derive(Clone, Copy)]
#[repr(transparent)]
pub(crate) struct Fd(pub(crate) i32);

impl Fd {
    pub(crate) const NONE: Fd = Fd(-1);
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pid(pub(crate) i32);

/// A C string that stays as long as the process.
#[derive(Clone, Copy)]
pub(crate) struct Text(*const c_char);

impl From<&'static CStr> for Text {
    fn from(text: &'static CStr) -> Text {
        Text(text.as_ptr())
    }
}

impl Text {
    /// # Safety
    /// `start` must be a C string that stays as long as the process.
    pub(crate) unsafe fn new(start: *const c_char) -> Text {
        Text(start)
    }

    pub(crate) fn bytes(self) -> Bytes {
        Bytes(self.0)
    }
}

/// The bytes of a [`Text`], without the zero.
pub(crate) struct Bytes(*const c_char);

impl Iterator for Bytes {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        // SAFETY: the pointer is inside a C string, as it does not go past the zero.
        unsafe {
            let byte = *self.0 as u8;
            (byte != 0).then(|| {
                self.0 = self.0.add(1);
                byte
            })
        }
    }
}

impl Bytes {
    /// The digits up to a colon or the end, as a number; the colon is taken too.
    pub(crate) fn number<T: TryFrom<u64>>(&mut self, radix: u32) -> Option<T> {
        let mut number = None;
        for byte in self.take_while(|byte| *byte != b':') {
            let digit = (byte as char).to_digit(radix)?;
            number = Some(number.unwrap_or(0u64).checked_mul(radix as u64)?.checked_add(digit as u64)?);
        }
        T::try_from(number?).ok()
    }
}

pub(crate) fn check(answer: isize) -> Result<usize> {
    if answer < 0 { Err(Errno(-answer as i32)) } else { Ok(answer as usize) }
}

/// `exit_group(2)`
pub(crate) fn exit(code: i32) -> ! {
    loop {
        // SAFETY: ends the process; nothing is passed.
        unsafe { syscall(number::EXIT_GROUP, [code as usize, 0, 0, 0, 0, 0]) };
    }
}

/// `read(2)`
pub(crate) fn read(fd: Fd, buffer: &mut [u8]) -> Result<usize> {
    // SAFETY: pointer and length are one slice.
    check(unsafe { syscall(number::READ, [fd.0 as usize, buffer.as_mut_ptr() as usize, buffer.len(), 0, 0, 0]) })
}

/// All of a small file: how many whole words it has.
pub(crate) fn read_words(file: Fd, words: &mut [u64]) -> Result<usize> {
    let arguments = [file.0 as usize, words.as_mut_ptr() as usize, size_of_val(words), 0, 0, 0];
    // SAFETY: pointer and length are one slice, and any bytes make a word.
    check(unsafe { syscall(number::PREAD64, arguments) }).map(|bytes| bytes / size_of::<u64>())
}

/// `write(2)`
pub(crate) fn write(fd: Fd, bytes: &[u8]) -> Result<usize> {
    // SAFETY: pointer and length are one slice.
    check(unsafe { syscall(number::WRITE, [fd.0 as usize, bytes.as_ptr() as usize, bytes.len(), 0, 0, 0]) })
}

/// `send(2)`: one record. If nobody is left to tell, the watch finds that out; whoever does not listen is not waited for.
pub(crate) fn send(socket: Fd, record: &[u8]) {
    let arguments = [socket.0 as usize, record.as_ptr() as usize, record.len(), MSG_NOSIGNAL | MSG_DONTWAIT, 0, 0];
    // SAFETY: pointer and length are one slice; no address is given.
    unsafe { syscall(number::SENDTO, arguments) };
}

/// `struct msghdr`
#[repr(C)]
struct MessageHeader {
    name: usize,
    name_length: u32,
    parts: *const [usize; 2],
    part_count: usize,
    control: *const Control,
    control_length: usize,
    flags: i32,
}

/// `struct cmsghdr` and one descriptor, cmsg(3); padded to whole words.
#[repr(C)]
struct Control {
    length: usize,
    level: i32,
    kind: i32,
    descriptor: i32,
    padding: i32,
}

/// `sendmsg(2)`: one record with a descriptor, as long as it takes. While too many of the user's are on their way (unix(7)) it waits, two
/// seconds at most.
pub(crate) fn send_descriptor(socket: Fd, record: &[u8], descriptor: Fd) -> Result<()> {
    const SOL_SOCKET: i32 = 1;
    const SCM_RIGHTS: i32 = 1;
    /// CMSG_LEN(4): without the padding.
    const LENGTH: usize = 20;
    let part = [record.as_ptr() as usize, record.len()];
    let control = Control { length: LENGTH, level: SOL_SOCKET, kind: SCM_RIGHTS, descriptor: descriptor.0, padding: 0 };
    let header = MessageHeader {
        name: 0,
        name_length: 0,
        parts: &raw const part,
        part_count: 1,
        control: &raw const control,
        control_length: size_of::<Control>(),
        flags: 0,
    };
    let mut left = 2000;
    loop {
        let arguments = [socket.0 as usize, &raw const header as usize, MSG_NOSIGNAL, 0, 0, 0];
        // SAFETY: the header names one part, which is a slice, and one control message; all of it lives through the call.
        match check(unsafe { syscall(number::SENDMSG, arguments) }) {
            Err(Errno::EINTR) => {}
            Err(Errno::ETOOMANYREFS) if left > 0 && !hangs_up_within(socket, 1) => left -= 1,
            sent => return sent.map(drop),
        }
    }
}

/// `close(2)`
pub(crate) fn close(fd: Fd) {
    // SAFETY: the init's descriptors are plain numbers, nothing relies on this one from here on.
    unsafe { syscall(number::CLOSE, [fd.0 as usize, 0, 0, 0, 0, 0]) };
}

/// `close_range(2)`, both ends included
pub(crate) fn close_range(first: u32, last: u32) -> Result<()> {
    // SAFETY: as in `close`.
    check(unsafe { syscall(number::CLOSE_RANGE, [first as usize, last as usize, 0, 0, 0, 0]) }).map(drop)
}

/// `fcntl(2)` F_SETFD
pub(crate) fn set_close_on_exec(fd: Fd) -> Result<()> {
    // SAFETY: no pointers are passed.
    check(unsafe { syscall(number::FCNTL, [fd.0 as usize, F_SETFD, FD_CLOEXEC, 0, 0, 0]) }).map(drop)
}

/// `accept4(2)`, as long as it takes; close-on-exec.
pub(crate) fn accept(listener: Fd) -> Result<Fd> {
    loop {
        // SAFETY: the address of whoever connects is not asked for.
        match check(unsafe { syscall(number::ACCEPT4, [listener.0 as usize, 0, 0, O_CLOEXEC, 0, 0]) }) {
            Err(Errno::EINTR) => {}
            accepted => return accepted.map(|fd| Fd(fd as i32)),
        }
    }
}

/// `pipe2(2)`: the end to read from and the end to write to, close-on-exec.
pub(crate) fn pipe() -> Result<[Fd; 2]> {
    let mut ends = [Fd::NONE; 2];
    // SAFETY: the kernel writes two ints, and Fd is one.
    check(unsafe { syscall(number::PIPE2, [&raw mut ends as usize, O_CLOEXEC, 0, 0, 0, 0]) })?;
    Ok(ends)
}

/// `open(2)` to read; does not wait for the other end of what turns out to be a fifo.
pub(crate) fn open(path: Text) -> Result<Fd> {
    let arguments = [AT_FDCWD as usize, path.0 as usize, O_CLOEXEC | O_NONBLOCK, 0, 0, 0];
    // SAFETY: the path is a C string.
    check(unsafe { syscall(number::OPENAT, arguments) }).map(|fd| Fd(fd as i32))
}

/// `openat(2)` to write
pub(crate) fn open_to_write(base: Fd, path: Text) -> Result<Fd> {
    let arguments = [base.0 as usize, path.0 as usize, O_CLOEXEC | O_WRONLY, 0, 0, 0];
    // SAFETY: the path is a C string.
    check(unsafe { syscall(number::OPENAT, arguments) }).map(|fd| Fd(fd as i32))
}

/// `fchdir(2)`
pub(crate) fn change_directory(directory: Fd) -> Result<()> {
    // SAFETY: no pointers are passed.
    check(unsafe { syscall(number::FCHDIR, [directory.0 as usize, 0, 0, 0, 0, 0]) }).map(drop)
}

/// `faccessat2(2)`: whether it may be executed, with the effective ids; where a filter is older than that call `faccessat(2)`, with the real ones.
pub(crate) fn may_execute(path: Text) -> Result<()> {
    // SAFETY: the path is a C string.
    let ask = |call, flags| check(unsafe { syscall(call, [AT_FDCWD as usize, path.0 as usize, X_OK, flags, 0, 0]) });
    match ask(number::FACCESSAT2, AT_EACCESS) {
        Err(Errno::ENOSYS | Errno::EPERM) => ask(number::FACCESSAT, 0),
        answer => answer,
    }
    .map(drop)
}

/// `lstat(2)`: whether there is something.
pub(crate) fn is_there(path: Text) -> bool {
    is_directory(path, AT_SYMLINK_NOFOLLOW).is_ok()
}

/// `stat(2)`: whether it is, or leads to, a directory.
pub(crate) fn leads_to_directory(path: Text) -> bool {
    is_directory(path, 0) == Ok(true)
}

fn is_directory(path: Text, flags: usize) -> Result<bool> {
    const WORDS: usize = STAT.0 / size_of::<u64>();
    let mut stat = MaybeUninit::<[u64; WORDS]>::uninit();
    let arguments = [AT_FDCWD as usize, path.0 as usize, stat.as_mut_ptr() as usize, flags, 0, 0];
    // SAFETY: the path is a C string, and the kernel fills a structure of this size and alignment.
    check(unsafe { syscall(number::NEWFSTATAT, arguments) })?;
    // SAFETY: the call succeeded, so the kernel has filled it; the mode is in it, and aligned.
    let mode = unsafe { stat.as_ptr().byte_add(STAT.1).cast::<u32>().read() };
    Ok(mode & S_IFMT == S_IFDIR)
}

/// `execve(2)`: returns only if it failed.
pub(crate) fn execve(path: Text, argv: Strings, envp: Strings) -> Errno {
    // SAFETY: the path is a C string, the lists end with a null pointer; all of it stays.
    let answer = unsafe { syscall(number::EXECVE, [path.0 as usize, argv.0 as usize, envp.0 as usize, 0, 0, 0]) };
    Errno(-answer as i32)
}

/// Which side of the fork this is.
pub(crate) enum Fork {
    Child,
    Parent(Pid),
}

/// `fork(2)`
pub(crate) fn fork() -> Result<Fork> {
    // SAFETY: without CLONE_VM the child has a copy of everything, the stack included, and goes on from here.
    let answer = check(unsafe { syscall(number::CLONE, [SIGCHLD as usize, 0, 0, 0, 0, 0]) })?;
    Ok(if answer == 0 { Fork::Child } else { Fork::Parent(Pid(answer as i32)) })
}

/// `fork(2)` whose child is the *parent's* child (CLONE_PARENT), so that it can be waited for there.
pub(crate) fn fork_sibling() -> Result<Fork> {
    // SAFETY: as in `fork`.
    let answer = check(unsafe { syscall(number::CLONE, [CLONE_PARENT, 0, 0, 0, 0, 0]) })?;
    Ok(if answer == 0 { Fork::Child } else { Fork::Parent(Pid(answer as i32)) })
}

/// `setsid(2)`
pub(crate) fn new_session() -> Result<()> {
    // SAFETY: no pointers are passed.
    check(unsafe { syscall(number::SETSID, [0; 6]) }).map(drop)
}

/// `ioctl(2)` TIOCSCTTY
pub(crate) fn be_controlled_by(terminal: Fd) -> Result<()> {
    const TIOCSCTTY: usize = 0x540e;
    // SAFETY: no pointers are passed.
    check(unsafe { syscall(number::IOCTL, [terminal.0 as usize, TIOCSCTTY, 0, 0, 0, 0]) }).map(drop)
}

/// `setpgid(2)`: this process leads a group of its own.
pub(crate) fn lead_group() -> Result<()> {
    // SAFETY: no pointers are passed.
    check(unsafe { syscall(number::SETPGID, [0; 6]) }).map(drop)
}

/// `tcsetpgrp(3)`: this process's group, which it leads, gets the foreground of the session's terminal.
pub(crate) fn take_foreground(terminal: Fd) -> Result<()> {
    // SAFETY: takes nothing and cannot fail.
    let group = unsafe { syscall(number::GETPID, [0; 6]) } as i32;
    // SAFETY: the request reads one int.
    check(unsafe { syscall(number::IOCTL, [terminal.0 as usize, TIOCSPGRP, &raw const group as usize, 0, 0, 0]) })
        .map(drop)
}

/// `prctl(2)` PR_SET_DUMPABLE
pub(crate) fn set_dumpable(on: bool) -> Result<()> {
    // SAFETY: no pointers are passed.
    check(unsafe { syscall(number::PRCTL, [PR_SET_DUMPABLE, on as usize, 0, 0, 0, 0]) }).map(drop)
}

/// `prctl(2)` PR_SET_NAME: as `ps` shows it, instead of a descriptor's number.
pub(crate) fn set_name(name: Text) {
    // SAFETY: the name is a C string. It cannot fail.
    unsafe { syscall(number::PRCTL, [PR_SET_NAME, name.0 as usize, 0, 0, 0, 0]) };
}

/// `prctl(2)` PR_SET_PDEATHSIG; 0 is none
pub(crate) fn set_parent_death_signal(signal: u32) -> Result<()> {
    // SAFETY: no pointers are passed.
    check(unsafe { syscall(number::PRCTL, [PR_SET_PDEATHSIG, signal as usize, 0, 0, 0, 0]) }).map(drop)
}

/// `getppid(2)`
pub(crate) fn parent() -> Pid {
    // SAFETY: takes nothing and cannot fail.
    Pid(unsafe { syscall(number::GETPPID, [0; 6]) } as i32)
}

/// `sigprocmask(2)`: exactly these signals are blocked from here on.
pub(crate) fn set_signal_mask(mask: u64) -> Result<()> {
    // SAFETY: the kernel reads a sigset of the given size and is not asked for the old one.
    check(unsafe { syscall(number::RT_SIGPROCMASK, [SIG_SETMASK, &raw const mask as usize, 0, SIGSET, 0, 0]) })
        .map(drop)
}

/// The kernel's `struct sigaction`: handler, flags, restorer, mask. All zero is the default action.
#[repr(C)]
pub(crate) struct Action([usize; 4]);

/// `sigaction(2)`; answers what was there. Only for default and ignore, handlers end with an exec anyway.
pub(crate) fn set_action(signal: u32, action: &Action) -> Result<Action> {
    let mut old = Action::DEFAULT;
    let arguments = [signal as usize, &raw const *action as usize, &raw mut old as usize, SIGSET, 0, 0];
    // SAFETY: the kernel reads one structure and fills the other; no handler of ours is named.
    check(unsafe { syscall(number::RT_SIGACTION, arguments) })?;
    Ok(old)
}

impl Action {
    pub(crate) const DEFAULT: Action = Action([0; 4]);
}

/// `signalfd(2)`, close-on-exec, to be read only when poll says so.
pub(crate) fn signalfd(mask: u64) -> Result<Fd> {
    let arguments = [-1isize as usize, &raw const mask as usize, SIGSET, O_CLOEXEC | O_NONBLOCK, 0, 0];
    // SAFETY: the kernel reads a sigset of the given size.
    check(unsafe { syscall(number::SIGNALFD4, arguments) }).map(|fd| Fd(fd as i32))
}

/// `struct signalfd_siginfo`, of which these members count here.
#[repr(C)]
struct SignalInfo {
    signal: u32,
    errno: i32,
    code: i32,
    rest: [u32; 8],
    value: i32,
    more: [u32; 20],
}
const _: () = assert!(size_of::<SignalInfo>() == 128);

/// How a signal that came is meant, where that is not for the command alone.
pub(crate) const FOR_ALL: i32 = 1;
/// With SIGTTOU: SIGSTOP, which no signalfd gets.
pub(crate) const STOP: i32 = 2;
/// The kernel has sent it, such as for the keyboard, to all of the foreground.
pub(crate) const BY_KERNEL: i32 = -1;

/// The next signal that came to a signalfd, and how it is meant: who sends it says so by its value, sigqueue(3).
pub(crate) fn next_signal(signals: Fd) -> Result<(u32, i32)> {
    const SI_QUEUE: i32 = -1;
    const SI_KERNEL: i32 = 0x80;
    let mut info = MaybeUninit::<SignalInfo>::uninit();
    let arguments = [signals.0 as usize, info.as_mut_ptr() as usize, size_of::<SignalInfo>(), 0, 0, 0];
    // SAFETY: the kernel fills at most one structure.
    check(unsafe { syscall(number::READ, arguments) })?;
    // SAFETY: a signalfd answers whole structures, and an error has returned above.
    let info = unsafe { info.assume_init() };
    let how = match info.code {
        SI_QUEUE => info.value,
        SI_KERNEL => BY_KERNEL,
        _ => 0,
    };
    Ok((info.signal, how))
}

/// `kill(2)`; of a process group, if the number is negative.
pub(crate) fn kill(process: Pid, signal: u32) {
    // SAFETY: no pointers are passed.
    unsafe { syscall(number::KILL, [process.0 as usize, signal as usize, 0, 0, 0, 0]) };
}

/// `wait4(2)`: some child that has ended, or `stopped` as well, with its wait status; `None` if all of them run.
pub(crate) fn reap(stopped: bool) -> Result<Option<(Pid, i32)>> {
    let mut status = 0i32;
    let options = WNOHANG | if stopped { WUNTRACED } else { 0 };
    let arguments = [-1isize as usize, &raw mut status as usize, options, 0, 0, 0];
    // SAFETY: the kernel writes one int and is not asked for the resources used.
    let pid = check(unsafe { syscall(number::WAIT4, arguments) })? as i32;
    Ok((pid != 0).then_some((Pid(pid), status)))
}

/// `wait4(2)` of one child, as long as it takes: its wait status.
pub(crate) fn wait_for(child: Pid) -> Result<i32> {
    let mut status = 0i32;
    loop {
        // SAFETY: the kernel writes one int and is not asked for the resources used.
        let answer = check(unsafe { syscall(number::WAIT4, [child.0 as usize, &raw mut status as usize, 0, 0, 0, 0]) });
        match answer {
            Ok(_) => return Ok(status),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

/// `struct pollfd`
#[repr(C)]
pub(crate) struct Watched {
    fd: Fd,
    events: i16,
    revents: i16,
}

impl Watched {
    /// Events that are not asked for come too: hang-up and error.
    pub(crate) fn new(fd: Fd, events: i16) -> Watched {
        Watched { fd, events, revents: 0 }
    }

    pub(crate) fn has_news(&self) -> bool {
        self.revents != 0
    }
}

/// Whether the other end of `socket` is closed, without waiting.
pub(crate) fn hung_up(socket: Fd) -> bool {
    hangs_up_within(socket, 0)
}

/// The same, waited for so many milliseconds: ppoll(2).
pub(crate) fn hangs_up_within(socket: Fd, milliseconds: usize) -> bool {
    let mut watched = Watched::new(socket, 0);
    let time = [0, milliseconds * 1_000_000];
    let arguments = [&raw mut watched as usize, 1, &raw const time as usize, 0, 0, 0];
    // SAFETY: one pollfd and one timespec, for the length of the call.
    unsafe { syscall(number::PPOLL, arguments) };
    watched.has_news()
}

/// `ppoll(2)`, as long as it takes
pub(crate) fn poll(watched: &mut [Watched]) -> Result<()> {
    // SAFETY: the kernel writes into the given number of structures; there is neither a timeout nor a mask.
    check(unsafe { syscall(number::PPOLL, [watched.as_mut_ptr() as usize, watched.len(), 0, 0, 0, 0]) }).map(drop)
}
