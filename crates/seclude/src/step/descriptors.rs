//! The command's open files: stdin, stdout, stderr, the ones it was given, and no other.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::{Gid, Mode, OFlags, fchmod, fchown, fcntl_getfl, fstat, open};
use rustix::io::{Errno, fcntl_dupfd_cloexec};
use rustix::pipe::{PipeFlags, pipe_with};
use seclude_child::{Op, Slot};
use seclude_request::Field;
use seclude_sys::Fd;

use super::reopen::{Anew, How};
use super::streams::{self, Confinement, Handed, Looked, View};
use super::{Preparation, Step, join};
use crate::action::Describe;
use crate::config::Config;
use crate::config::stdio::{Stdio, StdioKind};
use crate::error::{Error, Result};
use crate::program::Program;
use crate::relay::Relay;

const NAME: &str = "descriptors";
/// Those that are handed on beside the streams.
const FIELD: &str = "descriptors";

/// Closes what the child has no use for, before it waits for anything.
///
/// Its table is a copy of the caller's, with the sockets of spawns that other threads are making at this moment: while
/// it held theirs, they could not see their own child's exec. All that set-up opens later is close-on-exec.
struct CloseOthers;

pub(super) fn close_others() -> Option<Box<dyn Step>> {
    Some(Box::new(CloseOthers))
}

impl Step for CloseOthers {
    fn name(&self) -> &'static str {
        NAME
    }

    fn ops<'a>(&'a self, program: &mut Program<'a>) {
        let mut keep: Vec<u32> = program.kept.iter().map(|fd| fd.0 as u32).collect();
        keep.extend([0, 1, 2, program.socket.0 as u32]);
        keep.sort_unstable();
        keep.dedup();
        program.about("close all that the command is not given");
        let mut first = 0;
        for number in keep {
            if number > first {
                program.push(Op::CloseRange { first, last: number - 1 });
            }
            first = number + 1;
        }
        program.push(Op::CloseRange { first, last: u32::MAX });
    }
}

struct Descriptors {
    stdio: [Option<StdioKind>; 3],
    extra: Vec<(Arc<OwnedFd>, i32)>,
    terminal: bool,
    /// The launcher makes the session that it controls.
    late: bool,
    /// The highest number that the command will have.
    highest: i32,
    /// Opened in `prepare`: (our number, its number), all of ours above `highest`.
    places: Vec<(OwnedFd, i32)>,
    confinement: Confinement,
    sandboxed: bool,
    /// The command's ends of pipes, and where what is written there goes, until all are made.
    relayed: Vec<(OwnedFd, OwnedFd)>,
    /// stdin, opened anew by a step of its own.
    anew: Anew,
}

pub(super) fn compile(command: &Config, anew: Anew) -> Result<Option<Box<dyn Step>>> {
    let mut numbers: Vec<i32> = command.fds.iter().map(|(_, number)| *number).collect();
    numbers.sort_unstable();
    if let Some(low) = numbers.iter().find(|number| **number < 3) {
        return Err(Error::invalid(NAME, format!("{low} is not 3 or more: use stdin, stdout, stderr")).at(FIELD));
    }
    if let Some(twice) = numbers.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(Error::invalid(NAME, format!("{} is given twice", twice[0])).at(FIELD));
    }
    let highest = highest(command);
    if highest > 1 << 20 {
        return Err(Error::invalid(NAME, format!("{highest} is more than a process can have open")).at(FIELD));
    }
    Ok(Some(Box::new(Descriptors {
        stdio: kinds(command),
        extra: command.fds.clone(),
        late: join::enters_pid_namespace_late(command),
        terminal: command.terminal.is_some(),
        highest,
        places: Vec::new(),
        confinement: Confinement::of(command),
        sandboxed: command.is_sandboxed(),
        relayed: Vec::new(),
        anew,
    })))
}

pub(crate) fn highest(command: &Config) -> i32 {
    command.fds.iter().map(|(_, number)| *number).max().unwrap_or(2)
}

pub(super) fn kinds(command: &Config) -> [Option<StdioKind>; 3] {
    let kind = |stdio: &Option<Stdio>| match stdio {
        // The terminal takes the places that nobody named.
        None if command.terminal.is_some() => None,
        None => Some(StdioKind::Inherit),
        Some(stdio) => Some(stdio.0.clone()),
    };
    [kind(&command.stdin), kind(&command.stdout), kind(&command.stderr)]
}

/// What of the caller's the command has as it is.
pub(super) struct AsItIs {
    stdio: [Option<StdioKind>; 3],
    extra: Vec<(Arc<OwnedFd>, i32)>,
    anew: Anew,
}

impl AsItIs {
    pub(super) fn of(command: &Config, anew: &Anew) -> AsItIs {
        let extra = command.fds.clone();
        AsItIs { stdio: kinds(command), extra, anew: anew.clone() }
    }

    /// Whether a file or a directory is among them; to be asked once stdin was looked at.
    pub(super) fn view(&self) -> View {
        let look = |number, fd: BorrowedFd<'_>| match self.anew.how(number) {
            How::Not => streams::view(fd),
            _ => View::Nothing,
        };
        self.all(look).into_iter().max().unwrap_or(View::Nothing)
    }

    /// Whether a terminal is, opened anew or not.
    pub(super) fn has_terminal(&self) -> bool {
        self.all(|_, fd| rustix::termios::isatty(fd)).contains(&true)
    }

    /// What is found of each that is the caller's.
    fn all<T>(&self, look: impl Fn(i32, BorrowedFd<'_>) -> T) -> Vec<T> {
        let stdio = self.stdio.iter().zip(0..).filter_map(|(kind, number)| match kind {
            Some(StdioKind::Inherit | StdioKind::Pass) => Some(look(number, streams::own(number))),
            Some(StdioKind::Fd(fd)) => Some(look(number, fd.as_fd())),
            Some(StdioKind::Null | StdioKind::Piped | StdioKind::Relay) | None => None,
        });
        stdio.chain(self.extra.iter().map(|(fd, number)| look(*number, fd.as_fd()))).collect()
    }
}

impl Descriptors {
    /// A copy above every number that the command will have, so that placing one never overwrites another.
    fn lift(&self, fd: impl AsFd, number: i32) -> Result<OwnedFd> {
        fcntl_dupfd_cloexec(fd, self.highest + 1)
            .map_err(|errno| Error::parent(NAME, format!("copy of descriptor {number}"), errno).call("fcntl"))
    }
}

impl Descriptors {
    /// What the command gets as `number`, above all that it will have; `None` for what it has there already.
    fn stream(&mut self, number: i32, kind: &StdioKind, preparation: &mut Preparation<'_>) -> Result<Option<OwnedFd>> {
        let failed = |what: &str, errno: Errno| Error::parent(NAME, format!("{what} for descriptor {number}"), errno);
        let to = Handed::by(preparation);
        let (user, differs) = (to.user, to.differs);
        // Whether it has to be relayed.
        let given = |fd: BorrowedFd<'_>| -> Result<bool> {
            // One that is closed stays so.
            let Ok(looked) = streams::look(fd) else { return Ok(false) };
            self.confinement.allows(&looked, number)?;
            // `Stdio::pass` says that it is to be as it is.
            if matches!(kind, StdioKind::Pass) {
                return Ok(false);
            }
            self.confinement.allows_disk(&looked, fd, to, number)?;
            Ok(self.confinement.relays_connection(&looked, number)? || self.confinement.relays(fd, to, number)?)
        };
        if self.anew.how(number) != How::Not {
            return Ok(None);
        }
        Ok(match kind {
            StdioKind::Inherit | StdioKind::Pass => match given(streams::own(number))? {
                true => Some(self.relay(number, streams::own(number), preparation)?),
                false => None,
            },
            StdioKind::Fd(fd) => match given(fd.as_fd())? {
                true => Some(self.relay(number, fd.as_fd(), preparation)?),
                false => Some(self.lift(fd, number)?),
            },
            StdioKind::Null => {
                let null = open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty());
                Some(self.lift(null.map_err(|errno| failed("/dev/null", errno).call("open"))?, number)?)
            }
            // What is closed is closed for the command, too: its pipe has no other end.
            StdioKind::Relay if number > 0 && streams::look(streams::own(number)) != Err(Errno::BADF) => {
                Some(self.relay_output(number, streams::own(number), preparation)?)
            }
            StdioKind::Piped | StdioKind::Relay => {
                let (read, write) = pipe_with(PipeFlags::CLOEXEC).map_err(|errno| failed("pipe", errno))?;
                if differs {
                    let _ = give(read.as_fd(), user);
                }
                let (ours, theirs) = if number == 0 { (write, read) } else { (read, write) };
                self.keep_end(number, kind, ours, preparation)?;
                Some(self.lift(theirs, number)?)
            }
        })
    }

    /// The parent's end of a pipe.
    fn keep_end(&self, number: i32, kind: &StdioKind, ours: OwnedFd, preparation: &mut Preparation<'_>) -> Result<()> {
        let ends = &mut *preparation.ends;
        if !matches!(kind, StdioKind::Relay) {
            match number {
                0 => ends.stdin = Some(ours),
                1 => ends.stdout = Some(ours),
                _ => ends.stderr = Some(ours),
            }
            return Ok(());
        }
        let own = match fcntl_dupfd_cloexec(streams::own(number), 3) {
            Err(Errno::BADF) => return Ok(()),
            own => own.map_err(|errno| copying(number, errno))?,
        };
        ends.relays.push(Relay::input(own, ours, None).map_err(|error| no_thread(number, error))?);
        Ok(())
    }

    fn relay(&mut self, number: i32, own: BorrowedFd<'_>, preparation: &mut Preparation<'_>) -> Result<OwnedFd> {
        if number != 0 {
            return self.relay_output(number, own, preparation);
        }
        let (read, write) = pipe_with(PipeFlags::CLOEXEC)
            .map_err(|errno| Error::parent(NAME, "pipe for descriptor 0", errno).call("pipe2"))?;
        let _ = give(read.as_fd(), *preparation.container_user);
        let own = fcntl_dupfd_cloexec(own, 3).map_err(|errno| copying(0, errno))?;
        preparation.ends.relays.push(Relay::input(own, write, None).map_err(|error| no_thread(0, error))?);
        self.lift(read, 0)
    }

    /// A pipe, and somebody who brings what comes out of it on.
    fn relay_output(&mut self, number: i32, own: BorrowedFd<'_>, preparation: &mut Preparation<'_>) -> Result<OwnedFd> {
        // Two that lead to one file (2>&1) are one pipe, so that what is written keeps its order.
        for (theirs, to) in &self.relayed {
            if streams::share_an_end(to.as_fd(), own) {
                return self.lift(theirs, number);
            }
        }
        let (read, write) = pipe_with(PipeFlags::CLOEXEC)
            .map_err(|errno| Error::parent(NAME, format!("pipe for descriptor {number}"), errno).call("pipe2"))?;
        let user = *preparation.container_user;
        if user != (preparation.host.uid, preparation.host.gid) {
            let _ = give(read.as_fd(), user);
        }
        let copy = || fcntl_dupfd_cloexec(own, 3).map_err(|errno| copying(number, errno));
        let relay = Relay::output(read, copy()?).map_err(|error| no_thread(number, error))?;
        preparation.ends.relays.push(relay);
        let theirs = self.lift(write, number)?;
        let kept = self.lift(&theirs, number)?;
        self.relayed.push((kept, copy()?));
        Ok(theirs)
    }
}

fn copying(number: i32, errno: Errno) -> Error {
    Error::parent(NAME, format!("copy of descriptor {number}"), errno).call("fcntl")
}

fn no_thread(number: i32, error: std::io::Error) -> Error {
    Error::parent(NAME, format!("thread for descriptor {number}"), error).call("clone")
}

/// To whoever the command is, where that is known.
pub(super) fn give(fd: BorrowedFd<'_>, (uid, gid): (u32, u32)) -> rustix::io::Result<()> {
    if uid == u32::MAX || gid == u32::MAX {
        return Ok(());
    }
    rustix::fs::fchown(fd, Some(rustix::fs::Uid::from_raw(uid)), Some(rustix::fs::Gid::from_raw(gid)))
}

/// What a descriptor is open for, as the rights of a group.
fn rights_of(fd: BorrowedFd<'_>) -> rustix::io::Result<Mode> {
    Ok(match fcntl_getfl(fd)? & OFlags::RWMODE {
        OFlags::RDONLY => Mode::RGRP,
        OFlags::WRONLY => Mode::WGRP,
        _ => Mode::RGRP | Mode::WGRP,
    })
}

/// So that whoever the command is can open it by its name, /dev/stdin, for what it was given it for and no more: whose it is could
/// open its other end, by which others of the caller's hear, or say, something.
fn lend(fd: BorrowedFd<'_>, gid: u32, rights: Mode) -> rustix::io::Result<()> {
    let own = Mode::RUSR | Mode::WUSR;
    fchmod(fd, own)?;
    fchown(fd, None, Some(Gid::from_raw(gid)))?;
    fchmod(fd, own | rights)?;
    // Both ends of a pipeline begin at once: these rights are none of another's.
    if fstat(fd)?.st_gid == gid { Ok(()) } else { fchmod(fd, own) }
}

impl Descriptors {
    /// Hands the caller's own pipes to whoever the command is, unless it is the caller. Whoever may not leaves them.
    fn lend_pipes(&self, to: Handed) {
        let (uid, gid) = to.user;
        if !to.differs || gid == u32::MAX {
            return;
        }
        let streams = self.stdio.iter().zip(0..).filter_map(|(kind, number)| match kind {
            Some(StdioKind::Inherit | StdioKind::Pass) => Some((streams::own(number), number)),
            Some(StdioKind::Fd(fd)) => Some((fd.as_fd(), number)),
            _ => None,
        });
        let extra = self.extra.iter().map(|(fd, number)| (fd.as_fd(), *number));
        // It may be given both ends of one.
        let mut pipes: Vec<((u64, u64), BorrowedFd<'_>, Mode)> = Vec::new();
        for (fd, number) in streams.chain(extra) {
            let is_pipe = self.anew.how(number) == How::Not && streams::look(fd) == Ok(Looked::Pipe);
            let (true, Ok(found), Ok(rights)) = (is_pipe, fstat(fd), rights_of(fd)) else { continue };
            let place = (found.st_dev, found.st_ino);
            match pipes.iter_mut().find(|(known, ..)| *known == place) {
                Some((.., all)) => *all |= rights,
                None => pipes.push((place, fd, rights)),
            }
        }
        for (_, fd, rights) in pipes {
            // An engine's are the container's alone, and its root may hand them on to whoever it starts.
            let _ = if self.sandboxed { lend(fd, gid, rights) } else { give(fd, (uid, gid)) };
        }
    }
}

impl Step for Descriptors {
    fn name(&self) -> &'static str {
        NAME
    }

    fn field(&self) -> Option<Field> {
        Some(Field::of("stdio"))
    }

    fn prepare(&mut self, preparation: &mut Preparation<'_>) -> Result<()> {
        self.lend_pipes(Handed::by(preparation));
        for number in 0..3 {
            let Some(kind) = self.stdio[number as usize].clone() else { continue };
            let theirs = self.stream(number, &kind, preparation)?;
            if let Some(theirs) = theirs {
                self.places.push((theirs, number));
            }
        }
        let to = Handed::by(preparation);
        for (fd, number) in self.extra.clone() {
            if self.anew.how(number) != How::Not {
                continue;
            }
            let ours = match self.confinement.relays(fd.as_fd(), to, number)? {
                true => self.relay_output(number, fd.as_fd(), preparation)?,
                false => self.lift(fd, number)?,
            };
            self.places.push((ours, number));
        }
        // Their pipes end with the command.
        self.relayed.clear();
        Ok(())
    }

    fn keeps(&self) -> Vec<Fd> {
        self.places.iter().map(|(ours, _)| Fd(ours.as_raw_fd())).collect()
    }

    fn ops<'a>(&'a self, program: &mut Program<'a>) {
        if self.terminal {
            let mut free = 0;
            for (number, kind) in self.stdio.iter().enumerate() {
                free |= u8::from(kind.is_none()) << number;
            }
            program.about("the terminal");
            program.push(Op::UseTerminal { stdio: free, controls: !self.late });
        }
        for number in (0..3).chain(self.extra.iter().map(|(_, number)| *number)) {
            if let How::At(ours) = self.anew.how(number)
                && ours != number
            {
                program.about_owned(format!("number {number}"));
                program.push(Op::PlaceFd { from: Fd(ours), to: Fd(number) });
            }
        }
        for (ours, number) in &self.places {
            program.about_owned(format!("number {number}"));
            program.push(Op::PlaceFd { from: Fd(ours.as_raw_fd()), to: Fd(*number) });
        }
        if self.anew.how(0) == How::Stdin {
            program.about("number 0");
            program.push(Op::Hold { slot: Slot::STDIN, at: Fd(0) });
        }
    }

    fn describe(&self, to: &mut Describe) {
        for (number, kind) in self.stdio.iter().enumerate() {
            match kind {
                Some(StdioKind::Piped) => to.prepare(NAME, format!("make a pipe for descriptor {number}")),
                Some(StdioKind::Relay) => {
                    to.prepare(NAME, format!("make a pipe for descriptor {number}, to be relayed"))
                }
                Some(StdioKind::Null) => to.prepare(NAME, format!("open /dev/null for descriptor {number}")),
                _ => {}
            }
        }
        for (fd, number) in &self.extra {
            to.prepare(NAME, format!("copy descriptor {} for descriptor {number}", fd.as_raw_fd()));
        }
    }
}
