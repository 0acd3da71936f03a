//! Devices that the command's own user owns, and files that it is given to read, opened anew on a read-only mount: by the descriptor it
//! was given it could change their mode, or open them for writing.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::{FileType, Mode, OFlags, fcntl_getfl, fstat, open};
use rustix::io::{Errno, fcntl_dupfd_cloexec};
use seclude_child::{Op, Slot};
use seclude_request::Field;
use seclude_sys::Fd;
use seclude_sys::mount::MOUNT_ATTR_RDONLY;

use super::reopen::{Anew, How, is_found_again};
use super::show::Show;
use super::streams::{name, own};
use super::user::{self, Ids};
use super::{Preparation, Step, descriptors};
use crate::action::Describe;
use crate::config::Config;
use crate::config::mount::Source;
use crate::config::namespace::Namespace;
use crate::config::stdio::StdioKind;
use crate::error::{Error, Result};
use crate::host::Host;
use crate::program::Program;

const NAME: &str = "descriptors";

/// A file of the command's own user on a read-only mount: a device, such as the terminal, which works as before, or one to be read. Its
/// mode, owner and content stay.
struct Owned {
    show: Show,
    /// The descriptors of it: where each is, its status flags, and its offset.
    places: Vec<(Place, u32, u64)>,
}

enum Place {
    /// The command's own number.
    Own(i32),
    Lifted(OwnedFd),
}

impl Place {
    fn fd(&self) -> Fd {
        match self {
            Place::Own(number) => Fd(*number),
            Place::Lifted(fd) => Fd(fd.as_raw_fd()),
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

struct OwnFiles {
    streams: [Option<StdioKind>; 3],
    /// Those that are handed on beside them.
    extra: Vec<(Arc<OwnedFd>, i32)>,
    highest: i32,
    anew: Anew,
    found: Vec<((u64, u64), Owned)>,
}

/// While the host's tree is there.
pub(super) fn reopen(command: &Config, host: &Host, anew: &Anew) -> Option<Box<dyn Step>> {
    let may_own = user::ids_of_files(command, host) == Ids::Callers;
    if !command.is_sandboxed() || !command.namespaces.is_new(Namespace::Mount) || !may_own {
        return None;
    }
    let (streams, highest) = (descriptors::kinds(command), descriptors::highest(command));
    Some(Box::new(OwnFiles { streams, extra: command.fds.clone(), highest, anew: anew.clone(), found: Vec::new() }))
}

impl OwnFiles {
    fn look_at_stream(
        &mut self,
        number: i32,
        kind: &StdioKind,
        preparation: &mut Preparation<'_>,
    ) -> rustix::io::Result<()> {
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
        // By mistake (`2< file`) one is no more than to be read; from stdin it is read on a mount of its own.
        let is_file = FileType::from_raw_mode(found.st_mode) == FileType::RegularFile;
        if number > 0 && is_file && flags & (OFlags::RWMODE | OFlags::PATH) == OFlags::RDONLY {
            let offset = rustix::fs::tell(fd)?;
            return self.reopen(number, fd, is_own, (&found, flags, offset), preparation);
        }
        // Whoever does not own it can change nothing about it.
        if preparation.owns(&found) && !flags.contains(OFlags::PATH) && is_one_however_often_opened(fd, &found) {
            self.reopen(number, fd, is_own, (&found, flags, 0), preparation)?;
        }
        Ok(())
    }

    /// What is to be read alone is opened for that alone, whoever's it is: what is open for writing is meant to be changed.
    fn look_at_extra(
        &mut self,
        number: i32,
        fd: &OwnedFd,
        preparation: &mut Preparation<'_>,
    ) -> rustix::io::Result<()> {
        let (found, flags) = (fstat(fd)?, fcntl_getfl(fd)?);
        let is_file = FileType::from_raw_mode(found.st_mode) == FileType::RegularFile;
        if is_file && !flags.contains(OFlags::PATH) && flags & OFlags::RWMODE == OFlags::RDONLY {
            let offset = rustix::fs::tell(fd)?;
            return self.reopen(number, fd.as_fd(), false, (&found, flags, offset), preparation);
        }
        if preparation.owns(&found) && !flags.contains(OFlags::PATH) && is_one_however_often_opened(fd.as_fd(), &found)
        {
            return self.reopen(number, fd.as_fd(), false, (&found, flags, 0), preparation);
        }
        Ok(())
    }

    fn reopen(
        &mut self,
        number: i32,
        fd: BorrowedFd<'_>,
        is_own: bool,
        (found, flags, offset): (&rustix::fs::Stat, OFlags, u64),
        preparation: &mut Preparation<'_>,
    ) -> rustix::io::Result<()> {
        // Two of one number may be of two instances of devpts.
        let id = (found.st_dev, found.st_ino);
        let known = self.found.iter().position(|(file, _)| *file == id);
        let index = match known {
            Some(index) => index,
            None => {
                let copied = fcntl_dupfd_cloexec(fd, self.highest + 1)?;
                let mut show = Show::of(Source::Fd(Arc::new(copied)), false, false, Ids::Callers);
                if show.open(preparation).is_err() || !is_found_again(&show, fd, Ids::Callers) {
                    // A file without a name, or of another mount namespace: nobody comes to it by a path.
                    return Ok(());
                }
                self.found.push((id, Owned { show, places: Vec::new() }));
                self.found.len() - 1
            }
        };
        let place = match is_own {
            true => Place::Own(number),
            false => Place::Lifted(fcntl_dupfd_cloexec(fd, self.highest + 1)?),
        };
        self.anew.is(number, How::At(place.fd().0));
        if let Some((_, file)) = self.found.get_mut(index) {
            let kept = OFlags::RWMODE | OFlags::APPEND | OFlags::NONBLOCK;
            file.places.push((place, (flags & kept).bits(), offset));
        }
        Ok(())
    }
}

impl Step for OwnFiles {
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
        let failed = |number, errno| Error::parent(NAME, name(number), errno).call("fcntl");
        for (kind, number) in self.streams.clone().iter().zip(0..) {
            let Some(kind) = kind else { continue };
            match self.look_at_stream(number, kind, preparation) {
                // What is closed stays so.
                Ok(()) | Err(Errno::BADF) => {}
                Err(errno) => return Err(failed(number, errno)),
            }
        }
        for (fd, number) in self.extra.clone() {
            self.look_at_extra(number, &fd, preparation).map_err(|errno| failed(number, errno))?;
        }
        Ok(())
    }

    fn keeps(&self) -> Vec<Fd> {
        let of = |file: &Owned| file.show.keeps().chain(file.places.iter().map(|(place, ..)| place.fd())).collect();
        self.found.iter().flat_map(|(_, file)| -> Vec<Fd> { of(file) }).collect()
    }

    fn ops<'a>(&'a self, program: &mut Program<'a>) {
        for (_, file) in &self.found {
            program.about_owned(format!("{}, on a read-only mount of its own", file.show.path().display()));
            file.show.copy(program, Slot::TREE);
            program.push(Op::SetAttributes { mount: Slot::TREE, set: MOUNT_ATTR_RDONLY, recursive: false });
            for (place, flags, offset) in &file.places {
                let close_on_exec = matches!(place, Place::Lifted(_));
                let (at, flags, offset) = (place.fd(), *flags, *offset);
                program.push(Op::Reopen { tree: Slot::TREE, at, flags, offset, close_on_exec });
            }
        }
    }

    fn describe(&self, to: &mut Describe) {
        to.prepare(
            NAME,
            "look at the descriptors: a device that the user owns, or a file to be read, is opened anew, on a read-only mount".to_owned(),
        );
    }
}
