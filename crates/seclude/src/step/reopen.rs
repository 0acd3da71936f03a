//! A file as stdin, opened anew on a read-only mount: by the descriptor it was given the command could change its mode, or open it for writing.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::fstat;
use rustix::io::{Errno, fcntl_dupfd_cloexec};
use rustix::pipe::{PipeFlags, pipe_with};
use seclude_child::{Op, Slot};
use seclude_request::Field;
use seclude_sys::Fd;
use seclude_sys::mount::MOUNT_ATTR_RDONLY;

use super::show::Show;
use super::streams::{Looked, look, own};
use super::user::{self, Ids};
use super::{Preparation, Step, descriptors};
use crate::action::Describe;
use crate::config::Config;
use crate::config::mount::Source;
use crate::config::namespace::Namespace;
use crate::config::stdio::StdioKind;
use crate::error::{Error, Result};
use crate::host::Host;
use crate::program::{Program, Wanted};
use crate::relay::Relay;

const NAME: &str = "descriptors";

/// Which descriptors are opened anew, which is known once they were looked at.
#[derive(Clone, Default)]
pub(super) struct Anew(Arc<Mutex<Vec<(i32, How)>>>);

/// How one is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum How {
    /// As it was given.
    Not,
    /// What set-up has as stdin.
    Stdin,
    /// By a descriptor with this number, in the place of one that led to the same.
    At(i32),
}

impl Anew {
    pub(super) fn how(&self, number: i32) -> How {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.iter().find(|(of, _)| *of == number).map_or(How::Not, |(_, how)| *how)
    }

    pub(super) fn is(&self, number: i32, how: How) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((number, how));
    }
}

struct Reopened {
    kind: StdioKind,
    ids: Ids,
    highest: i32,
    anew: Anew,
    show: Option<(Show, u64)>,
    relayed: Option<OwnedFd>,
}

/// While the host's tree is there.
pub(super) fn stdin(command: &Config, host: &Host, anew: &Anew) -> Option<Box<dyn Step>> {
    let [stdin, ..] = descriptors::kinds(command);
    let kind = stdin.filter(|kind| matches!(kind, StdioKind::Inherit | StdioKind::Fd(_)))?;
    if !command.is_sandboxed() || !command.namespaces.is_new(Namespace::Mount) {
        return None;
    }
    let (ids, highest) = (user::ids_of_files(command, host), descriptors::highest(command));
    Some(Box::new(Reopened { kind, ids, highest, anew: anew.clone(), show: None, relayed: None }))
}

/// Whether what lies at the file's path, where it is looked for again, is the file.
pub(super) fn is_found_again(show: &Show, fd: BorrowedFd<'_>, ids: Ids) -> bool {
    let tree = match ids {
        Ids::Containers => {
            let flags = rustix::mount::OpenTreeFlags::OPEN_TREE_CLONE
                | rustix::mount::OpenTreeFlags::OPEN_TREE_CLOEXEC
                | rustix::mount::OpenTreeFlags::AT_EMPTY_PATH;
            return show.opened().is_some_and(|open| rustix::mount::open_tree(&**open, c"", flags).is_ok());
        }
        Ids::Callers => rustix::fs::stat(show.path()),
    };
    let readable = || rustix::fs::access(show.path(), rustix::fs::Access::READ_OK).is_ok();
    match (tree, fstat(fd)) {
        (Ok(named), Ok(open)) => (named.st_dev, named.st_ino) == (open.st_dev, open.st_ino) && readable(),
        _ => false,
    }
}

impl Reopened {
    fn relay(&mut self, fd: BorrowedFd<'_>, offset: u64, preparation: &mut Preparation<'_>) -> Result<()> {
        let failed = |call| move |errno: Errno| Error::parent(NAME, "pipe for stdin", errno).call(call);
        let (read, write) = pipe_with(PipeFlags::CLOEXEC).map_err(failed("pipe2"))?;
        // Whoever may not give it away leaves it.
        let _ = descriptors::give(read.as_fd(), *preparation.container_user);
        let source = fcntl_dupfd_cloexec(fd, 3).map_err(failed("fcntl"))?;
        let relay = Relay::input(source, write, Some(offset));
        let relay = relay.map_err(|error| Error::parent(NAME, "thread for stdin", error).call("clone"))?;
        preparation.ends.relays.push(relay);
        self.relayed = Some(fcntl_dupfd_cloexec(&read, self.highest + 1).map_err(failed("fcntl"))?);
        Ok(())
    }
}

impl Step for Reopened {
    fn name(&self) -> &'static str {
        NAME
    }

    fn field(&self) -> Option<Field> {
        Some(Field::of("stdio"))
    }

    fn prepare(&mut self, preparation: &mut Preparation<'_>) -> Result<()> {
        let kind = self.kind.clone();
        let fd = match &kind {
            StdioKind::Fd(fd) => fd.as_fd(),
            _ => own(0),
        };
        if look(fd) != Ok(Looked::File) {
            return Ok(());
        }
        let failed = |call| move |errno: Errno| Error::parent(NAME, "stdin", errno).call(call);
        let offset = rustix::fs::tell(fd).map_err(failed("lseek"))?;
        let copied = fcntl_dupfd_cloexec(fd, self.highest + 1).map_err(failed("fcntl"))?;
        let mut show = Show::of(Source::Fd(Arc::new(copied)), false, false, self.ids);
        self.anew.is(0, How::Stdin);
        // Before Linux 5.12 only what is attached somewhere can be made read-only.
        let can = seclude_sys::mount::set_attributes(Fd::NONE, 0, false) != Err(seclude_sys::Errno::ENOSYS);
        match show.open(preparation) {
            Ok(_) if can && is_found_again(&show, fd, self.ids) => {
                self.show = Some((show, offset));
                Ok(())
            }
            _ => self.relay(fd, offset, preparation),
        }
    }

    fn keeps(&self) -> Vec<Fd> {
        let show = self.show.iter().flat_map(|(show, _)| show.keeps());
        show.chain(self.relayed.as_ref().map(|relayed| Fd(relayed.as_raw_fd()))).collect()
    }

    fn ops<'a>(&'a self, program: &mut Program<'a>) {
        if let Some((show, offset)) = &self.show {
            program.about("stdin, on a read-only mount of its own");
            if show.is_childs() {
                show.copy(program, Slot::TREE);
                program.push(Op::SetAttributes { mount: Slot::TREE, set: MOUNT_ATTR_RDONLY, recursive: false });
                program.push(Op::OpenToRead { tree: Slot::TREE, offset: *offset, into: Slot::STDIN });
            } else {
                // With the rights of the parent, whose file it is.
                program.take_tree(
                    Slot::STDIN,
                    Wanted {
                        peer: false,
                        plain: false,
                        source: show.opened().cloned(),
                        recursive: false,
                        strict: false,
                        mapped: None,
                        namespace: None,
                        open_at: Some(*offset),
                        path: show.path().to_owned(),
                        step: 0,
                    },
                );
            }
        } else if let Some(relayed) = &self.relayed {
            program.about("stdin, relayed");
            program.push(Op::TakeOver { fd: Fd(relayed.as_raw_fd()), into: Slot::STDIN });
        }
    }

    fn describe(&self, to: &mut Describe) {
        to.prepare(NAME, "look at stdin: a file is opened anew, read-only".to_owned());
    }
}
