//! What stdin, stdout and stderr are, and what of it a container may have.
//!
//! A descriptor leads to its file's mount: by /proc/self/fd/N whoever has the file's owner opens it again, for writing on the
//! host's mount, or changes its mode. So a file to be read is opened anew, on a mount of its own.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use rustix::fs::{FileType, Mode, OFlags, SealFlags, fcntl_get_seals, fcntl_getfl, fstat, fstatfs, open};
use rustix::io::{Errno, fcntl_dupfd_cloexec};
use rustix::pipe::{PipeFlags, pipe_with};
use seclude_child::{Op, Slot};
use seclude_request::Field;
use seclude_sys::Fd;
use seclude_sys::mount::MOUNT_ATTR_RDONLY;

use super::show::Show;
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
/// Of pipes that have no name, include/uapi/linux/magic.h.
const PIPEFS_MAGIC: u64 = 0x5049_5045;

/// What a descriptor is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Looked {
    Directory,
    /// To be read, at an offset.
    File,
    /// One without a name.
    Pipe,
    /// Open as a path alone: it can do nothing but lead there.
    Path,
    Other,
}

pub(super) fn look(fd: BorrowedFd<'_>) -> rustix::io::Result<Looked> {
    let kind = FileType::from_raw_mode(fstat(fd)?.st_mode);
    let flags = fcntl_getfl(fd)?;
    Ok(match kind {
        FileType::Directory => Looked::Directory,
        _ if flags.contains(OFlags::PATH) => Looked::Path,
        // Opened anew for reading, one that is open for writing alone would be open wider than it was.
        FileType::RegularFile if flags & OFlags::RWMODE != OFlags::WRONLY => Looked::File,
        FileType::Fifo if fstatfs(fd)?.f_type as u64 == PIPEFS_MAGIC => Looked::Pipe,
        _ => Looked::Other,
    })
}

/// What the command has of the host that it can write to, and that stays.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum View {
    Nothing,
    /// Open files: it can change their modes.
    Files,
    /// Directories: it can make files in them.
    Places,
}

/// Which of these it is, or leads to; what cannot be looked at counts as the most, what is closed as nothing.
pub(super) fn view(fd: BorrowedFd<'_>) -> View {
    match fstat(fd).map(|found| FileType::from_raw_mode(found.st_mode)) {
        Ok(FileType::RegularFile) => View::Files,
        Ok(FileType::Directory) => View::Places,
        Ok(_) | Err(Errno::BADF) => View::Nothing,
        Err(_) => View::Places,
    }
}

/// Whether somebody who does not own this file, and is of this group, could open it for more than it is open for here, by
/// /proc/self/fd/N: a log to be read, or to be written from its beginning.
fn opens_wider(fd: BorrowedFd<'_>, gid: u32) -> bool {
    let (Ok(found), Ok(flags)) = (fstat(fd), fcntl_getfl(fd)) else { return false };
    let mode = Mode::from_raw_mode(found.st_mode);
    let of_group = found.st_gid == gid;
    let reads = mode.contains(Mode::ROTH) || of_group && mode.contains(Mode::RGRP);
    let writes = mode.contains(Mode::WOTH) || of_group && mode.contains(Mode::WGRP);
    let wider = match flags & OFlags::RWMODE {
        OFlags::WRONLY => reads || writes && flags.contains(OFlags::APPEND),
        // What is sealed nobody writes.
        OFlags::RDONLY => writes && !fcntl_get_seals(fd).is_ok_and(|seals| seals.contains(SealFlags::WRITE)),
        _ => writes && flags.contains(OFlags::APPEND),
    };
    let lies_somewhere = match FileType::from_raw_mode(found.st_mode) {
        FileType::RegularFile => true,
        FileType::Fifo => fstatfs(fd).is_ok_and(|found| found.f_type as u64 != PIPEFS_MAGIC),
        _ => false,
    };
    wider && lies_somewhere && !flags.contains(OFlags::PATH)
}

/// Whether others can walk to this file, so that being handed it opens nothing to them.
fn is_everybodys(fd: BorrowedFd<'_>) -> bool {
    let Ok(path) = std::fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd())) else { return false };
    let is_it = || {
        let (named, open) = (rustix::fs::stat(&path).ok()?, fstat(fd).ok()?);
        Some((named.st_dev, named.st_ino) == (open.st_dev, open.st_ino))
    };
    let passes = |directory: &Path| {
        rustix::fs::stat(directory).is_ok_and(|found| Mode::from_raw_mode(found.st_mode).contains(Mode::XOTH))
    };
    is_it() == Some(true) && path.ancestors().skip(1).all(passes)
}

/// What a file that would be opened wider becomes for the command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Wider {
    /// Nothing: it is not, or not by this.
    No,
    /// A pipe.
    Relayed,
    /// There is no other way to hand it on.
    Refused,
}

pub(super) fn wider(fd: BorrowedFd<'_>, gid: u32, may_relay: bool) -> Wider {
    let is_output = fcntl_getfl(fd).is_ok_and(|flags| flags & OFlags::RWMODE == OFlags::WRONLY);
    match opens_wider(fd, gid) {
        false => Wider::No,
        true if may_relay && is_output => Wider::Relayed,
        true if is_everybodys(fd) => Wider::No,
        true => Wider::Refused,
    }
}

/// Whether what is written to the one comes behind what is written to the other.
pub(super) fn share_an_end(one: BorrowedFd<'_>, other: BorrowedFd<'_>) -> bool {
    let look = |fd| {
        let (found, flags) = (fstat(fd).ok()?, fcntl_getfl(fd).ok()?);
        // What cannot be sought in has one end.
        let place = if flags.contains(OFlags::APPEND) { None } else { rustix::fs::tell(fd).ok() };
        Some((found.st_dev, found.st_ino, flags, place))
    };
    look(one).is_some_and(|found| Some(found) == look(other))
}

/// The caller's own.
pub(super) fn own(number: i32) -> BorrowedFd<'static> {
    match number {
        0 => rustix::stdio::stdin(),
        1 => rustix::stdio::stdout(),
        _ => rustix::stdio::stderr(),
    }
}

/// What would be a hole here.
#[derive(Clone, Copy, Debug)]
pub(super) struct Confinement {
    /// A tree of its own, which a directory of the host's would not be part of.
    tree: bool,
    /// Files are opened no wider than they were.
    narrow: bool,
    /// Somebody is there as long as the command, to relay.
    relays: bool,
}

impl Confinement {
    pub(super) fn of(command: &Config) -> Confinement {
        Confinement {
            tree: command.namespaces.is_new(Namespace::Mount),
            narrow: command.is_sandboxed(),
            relays: command.die_with_parent,
        }
    }

    /// Whether a file that is handed to somebody with other ids than its owner's has to be relayed.
    pub(super) fn relays(self, fd: BorrowedFd<'_>, gid: u32, number: i32) -> Result<bool> {
        if !self.narrow {
            return Ok(false);
        }
        match wider(fd, gid, self.relays) {
            Wider::No => Ok(false),
            Wider::Relayed => Ok(true),
            Wider::Refused => {
                let action = format!(
                    "{} is a file that its mode opens to others, in a directory where they do not come: by its descriptor the \
                     command could open it for more than it was opened for",
                    name(number),
                );
                let error = Error::invalid(NAME, action).at(if number < 3 { "stdio" } else { "descriptors" });
                Err(error.hint("take the rights of others from it (chmod o-rw), or hand a pipe on"))
            }
        }
    }

    pub(super) fn allows(self, looked: &Looked, number: i32) -> Result<()> {
        let what = match looked {
            Looked::Directory => "a directory",
            Looked::Path => "a path that is open and nothing more",
            _ => return Ok(()),
        };
        if !self.tree {
            return Ok(());
        }
        Err(Error::invalid(
            NAME,
            format!("{} is {what}: through it the command would see the host's tree", name(number)),
        )
        .at("stdio")
        .hint("redirect it, such as from /dev/null"))
    }
}

fn name(number: i32) -> String {
    match number {
        0 => "stdin".to_owned(),
        1 => "stdout".to_owned(),
        2 => "stderr".to_owned(),
        _ => format!("descriptor {number}"),
    }
}

/// Which streams are opened anew, which is known once they were looked at.
#[derive(Clone, Default)]
pub(super) struct Anew(Arc<[AtomicI32; 3]>);

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
    const STDIN: i32 = -1;
    const NOT: i32 = 0;

    pub(super) fn how(&self, number: i32) -> How {
        let place = usize::try_from(number).ok().and_then(|number| self.0.get(number));
        match place.map_or(Self::NOT, |place| place.load(Ordering::Relaxed)) {
            Self::NOT => How::Not,
            Self::STDIN => How::Stdin,
            // One more, so that it is not 0.
            at => How::At(at - 1),
        }
    }

    fn is(&self, number: usize, how: How) {
        let value = match how {
            How::Not => Self::NOT,
            How::Stdin => Self::STDIN,
            How::At(at) => at + 1,
        };
        if let Some(place) = self.0.get(number) {
            place.store(value, Ordering::Relaxed);
        }
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
pub(super) fn reopen(command: &Config, host: &Host, anew: &Anew) -> Option<Box<dyn Step>> {
    let [stdin, ..] = descriptors::kinds(command);
    let kind = stdin.filter(|kind| matches!(kind, StdioKind::Inherit | StdioKind::Fd(_)))?;
    if !command.is_sandboxed() || !command.namespaces.is_new(Namespace::Mount) {
        return None;
    }
    let (ids, highest) = (user::ids_of_files(command, host), descriptors::highest(command));
    Some(Box::new(Reopened { kind, ids, highest, anew: anew.clone(), show: None, relayed: None }))
}

/// Whether what lies at the file's path, where it is looked for again, is the file.
fn is_found_again(show: &Show, fd: BorrowedFd<'_>, ids: Ids) -> bool {
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

/// A device of the command's own user, such as the terminal, on a read-only mount: it works as before, and its mode and owner stay.
struct Device {
    show: Show,
    /// The descriptors of it: number, status flags, and whether that is the command's own number.
    places: Vec<(Number, u32)>,
}

enum Number {
    Own(i32),
    Lifted(OwnedFd),
}

impl Number {
    fn fd(&self) -> Fd {
        match self {
            Number::Own(number) => Fd(*number),
            Number::Lifted(fd) => Fd(fd.as_raw_fd()),
        }
    }
}

/// A terminal, or a device of memory such as /dev/null. Others have a state of their own for whoever opens them (a terminal's master, tun),
/// or stand for another one (/dev/tty).
fn is_one_however_often_opened(fd: BorrowedFd<'_>, found: &rustix::fs::Stat) -> bool {
    const MEMORY: u32 = 1;
    const TTY: (u32, u32) = (5, 0);
    let number = (rustix::fs::major(found.st_rdev), rustix::fs::minor(found.st_rdev));
    let is_terminal = || rustix::termios::isatty(fd) && number != TTY && !is_master(number);
    let is_device = FileType::from_raw_mode(found.st_mode) == FileType::CharacterDevice;
    is_device && (number.0 == MEMORY || is_terminal())
}

/// devices.txt: 5:2 is /dev/ptmx, 128 to 135 are masters.
fn is_master((major, minor): (u32, u32)) -> bool {
    (major, minor) == (5, 2) || (128..136).contains(&major)
}

struct Devices {
    kinds: [Option<StdioKind>; 3],
    highest: i32,
    anew: Anew,
    found: Vec<((u64, u64), Device)>,
}

/// While the host's tree is there.
pub(super) fn reopen_devices(command: &Config, host: &Host, anew: &Anew) -> Option<Box<dyn Step>> {
    let may_own = user::ids_of_files(command, host) == Ids::Callers;
    if !command.is_sandboxed() || !command.namespaces.is_new(Namespace::Mount) || !may_own {
        return None;
    }
    let (kinds, highest) = (descriptors::kinds(command), descriptors::highest(command));
    Some(Box::new(Devices { kinds, highest, anew: anew.clone(), found: Vec::new() }))
}

impl Devices {
    fn look_at(&mut self, number: i32, kind: &StdioKind, preparation: &mut Preparation<'_>) -> rustix::io::Result<()> {
        let null;
        let (fd, is_own) = match kind {
            StdioKind::Inherit => (own(number), true),
            StdioKind::Fd(fd) => (fd.as_fd(), false),
            StdioKind::Null => {
                null = open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
                (null.as_fd(), false)
            }
            _ => return Ok(()),
        };
        let (found, flags) = (fstat(fd)?, fcntl_getfl(fd)?);
        // Whoever does not own it can change nothing about it.
        let is_owned = [preparation.container_user.0, preparation.container_root.0].contains(&found.st_uid);
        if !is_owned || flags.contains(OFlags::PATH) || !is_one_however_often_opened(fd, &found) {
            return Ok(());
        }
        // Two of one number may be of two instances of devpts.
        let id = (found.st_dev, found.st_ino);
        let known = self.found.iter().position(|(device, _)| *device == id);
        let index = match known {
            Some(index) => index,
            None => {
                let copied = fcntl_dupfd_cloexec(fd, self.highest + 1)?;
                let mut show = Show::of(Source::Fd(Arc::new(copied)), false, false, Ids::Callers);
                if show.open(preparation).is_err() || !is_found_again(&show, fd, Ids::Callers) {
                    // Of another mount namespace's devpts, and nobody comes to it by a path.
                    return Ok(());
                }
                self.found.push((id, Device { show, places: Vec::new() }));
                self.found.len() - 1
            }
        };
        let place = match is_own {
            true => Number::Own(number),
            false => Number::Lifted(fcntl_dupfd_cloexec(fd, self.highest + 1)?),
        };
        self.anew.is(number as usize, How::At(place.fd().0));
        if let Some((_, device)) = self.found.get_mut(index) {
            let kept = OFlags::RWMODE | OFlags::APPEND | OFlags::NONBLOCK;
            device.places.push((place, (flags & kept).bits()));
        }
        Ok(())
    }
}

impl Step for Devices {
    fn name(&self) -> &'static str {
        NAME
    }

    fn field(&self) -> Option<Field> {
        Some(Field::of("stdio"))
    }

    fn prepare(&mut self, preparation: &mut Preparation<'_>) -> Result<()> {
        // Before Linux 5.12 only what is attached somewhere can be made read-only.
        if seclude_sys::mount::set_attributes(Fd::NONE, 0, false) == Err(seclude_sys::Errno::ENOSYS) {
            return Ok(());
        }
        for (kind, number) in self.kinds.clone().iter().zip(0..) {
            let Some(kind) = kind else { continue };
            match self.look_at(number, kind, preparation) {
                // What is closed stays so.
                Ok(()) | Err(Errno::BADF) => {}
                Err(errno) => return Err(Error::parent(NAME, name(number), errno).call("fcntl")),
            }
        }
        Ok(())
    }

    fn keeps(&self) -> Vec<Fd> {
        let of =
            |device: &Device| device.show.keeps().chain(device.places.iter().map(|(place, _)| place.fd())).collect();
        self.found.iter().flat_map(|(_, device)| -> Vec<Fd> { of(device) }).collect()
    }

    fn ops<'a>(&'a self, program: &mut Program<'a>) {
        for (_, device) in &self.found {
            program.about_owned(format!("{}, on a read-only mount of its own", device.show.path().display()));
            device.show.copy(program, Slot::TREE);
            program.push(Op::SetAttributes { mount: Slot::TREE, set: MOUNT_ATTR_RDONLY, recursive: false });
            for (place, flags) in &device.places {
                let close_on_exec = matches!(place, Number::Lifted(_));
                program.push(Op::ReopenDevice { tree: Slot::TREE, at: place.fd(), flags: *flags, close_on_exec });
            }
        }
    }

    fn describe(&self, to: &mut Describe) {
        to.prepare(
            NAME,
            "look at the streams: a device that the user owns is opened anew, on a read-only mount".to_owned(),
        );
    }
}
