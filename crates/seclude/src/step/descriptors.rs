//! The command's open files: stdin, stdout, stderr, the ones it was given, and no other.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::{Arc, OnceLock};

use rustix::fs::{Mode, OFlags, open};
use rustix::io::fcntl_dupfd_cloexec;
use rustix::pipe::{PipeFlags, pipe_with};
use seclude_cgroup::Cgroup;
use seclude_child::Op;
use seclude_sys::Fd;

use super::{Preparation, Step};
use crate::command::Command;
use crate::config::stdio::StdioKind;
use crate::error::{Error, Result};
use crate::plan::Describe;
use crate::program::Program;

const NAME: &str = "descriptors";

/// What stays with the parent of the pipes that were made.
#[derive(Debug, Default)]
pub(crate) struct ParentEnds {
    pub(crate) stdin: Option<OwnedFd>,
    pub(crate) stdout: Option<OwnedFd>,
    pub(crate) stderr: Option<OwnedFd>,
    /// The container's cgroup, once it is made: a directory a hierarchy.
    pub(crate) cgroup: Arc<OnceLock<Arc<Cgroup>>>,
    /// Where the handshake's socket must lie above: a number that the command gets would overwrite it.
    pub(crate) socket_above: i32,
}

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
    /// The highest number that the command will have.
    highest: i32,
    /// Opened in `prepare`: (our number, its number), all of ours above `highest`.
    places: Vec<(OwnedFd, i32)>,
}

pub(super) fn compile(command: &Command) -> Result<Option<Box<dyn Step>>> {
    let mut numbers: Vec<i32> = command.fds.iter().map(|(_, number)| *number).collect();
    numbers.sort_unstable();
    if let Some(low) = numbers.iter().find(|number| **number < 3) {
        return Err(Error::invalid(NAME, format!("{low} is not 3 or more: use stdin, stdout, stderr")));
    }
    if let Some(twice) = numbers.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(Error::invalid(NAME, format!("{} is given twice", twice[0])));
    }
    let highest = numbers.last().copied().unwrap_or(2);
    if highest > 1 << 20 {
        return Err(Error::invalid(NAME, format!("{highest} is more than a process can have open")));
    }
    let kind = |stdio: &Option<crate::config::stdio::Stdio>| match stdio {
        // The terminal takes the places that nobody named.
        None if command.terminal.is_some() => None,
        None => Some(StdioKind::Inherit),
        Some(stdio) => Some(stdio.0.clone()),
    };
    Ok(Some(Box::new(Descriptors {
        stdio: [kind(&command.stdin), kind(&command.stdout), kind(&command.stderr)],
        extra: command.fds.clone(),
        terminal: command.terminal.is_some(),
        highest,
        places: Vec::new(),
    })))
}

impl Descriptors {
    /// A copy above every number that the command will have, so that placing one never overwrites another.
    fn lift(&self, fd: impl AsFd, number: i32) -> Result<OwnedFd> {
        fcntl_dupfd_cloexec(fd, self.highest + 1)
            .map_err(|errno| Error::parent(NAME, format!("copy of descriptor {number}"), errno).call("fcntl"))
    }
}

impl Step for Descriptors {
    fn name(&self) -> &'static str {
        NAME
    }

    fn prepare(&mut self, preparation: &mut Preparation<'_>) -> Result<()> {
        preparation.ends.socket_above = self.highest;
        for number in 0..3 {
            let failed = |what: &str, errno: rustix::io::Errno| {
                Error::parent(NAME, format!("{what} for descriptor {number}"), errno)
            };
            let ours = match &self.stdio[number as usize] {
                None | Some(StdioKind::Inherit) => continue,
                Some(StdioKind::Fd(fd)) => self.lift(fd, number)?,
                Some(StdioKind::Null) => {
                    let null = open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty());
                    self.lift(null.map_err(|errno| failed("/dev/null", errno).call("open"))?, number)?
                }
                Some(StdioKind::Piped) => {
                    let (read, write) = pipe_with(PipeFlags::CLOEXEC).map_err(|errno| failed("pipe", errno))?;
                    let ends = &mut *preparation.ends;
                    let theirs = match number {
                        0 => {
                            ends.stdin = Some(write);
                            read
                        }
                        1 => {
                            ends.stdout = Some(read);
                            write
                        }
                        _ => {
                            ends.stderr = Some(read);
                            write
                        }
                    };
                    self.lift(theirs, number)?
                }
            };
            self.places.push((ours, number));
        }
        for (fd, number) in &self.extra {
            let ours = self.lift(fd, *number)?;
            self.places.push((ours, *number));
        }
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
            program.push(Op::UseTerminal { stdio: free });
        }
        for (ours, number) in &self.places {
            program.about_owned(format!("number {number}"));
            program.push(Op::PlaceFd { from: Fd(ours.as_raw_fd()), to: Fd(*number) });
        }
    }

    fn describe(&self, to: &mut Describe) {
        for (number, kind) in self.stdio.iter().enumerate() {
            match kind {
                Some(StdioKind::Piped) => to.prepare(NAME, format!("make a pipe for descriptor {number}")),
                Some(StdioKind::Null) => to.prepare(NAME, format!("open /dev/null for descriptor {number}")),
                _ => {}
            }
        }
        for (fd, number) in &self.extra {
            to.prepare(NAME, format!("copy descriptor {} for descriptor {number}", fd.as_raw_fd()));
        }
    }
}
