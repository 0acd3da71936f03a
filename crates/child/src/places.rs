//! Where a mount goes: a path inside a root is walked, and made, by descriptors, and never leads out of it.

use core::ffi::CStr;

use seclude_sys::{Errno, Fd, PathBuffer, PathSpace, file, mount, socket};

use crate::op::{Create, Links, Place, Want};
use crate::run::{Done, Failure, Machine, Named};
use crate::wire::{Call, made};

/// How a path inside a root is walked.
pub(crate) fn leash(links: Links) -> u32 {
    match links {
        Links::Refused => file::RESOLVE_BENEATH | file::RESOLVE_NO_SYMLINKS,
        Links::Followed | Links::MadeGood => file::RESOLVE_IN_ROOT | file::RESOLVE_NO_MAGICLINKS,
    }
}

/// Opens a place inside the base, never outside of it.
pub(crate) fn resolve(
    machine: &Machine<'_>,
    base: Fd,
    place: &Place<'_>,
    want: Want,
    create: Option<Create>,
    links: Links,
) -> Done<Fd> {
    let directory = match want {
        Want::Directory => true,
        Want::File | Want::Existing => false,
        Want::Like(slot) => file::status(machine.get(slot), c"").named(Call::Stat)?.is_directory(),
    };
    let flags = file::O_PATH | if directory { file::O_DIRECTORY } else { 0 };
    let found = match file::open(base, place.path, flags, 0, leash(links) | file::RESOLVE_NO_SYMLINKS) {
        Err(Errno::ELOOP) if links != Links::Refused => by_symlink(base, place, flags, links)?,
        found => found,
    };
    match (found, create) {
        (Err(Errno::ENOENT), Some(create)) => {
            let told = if create.told { Some(machine.setup.socket) } else { None };
            make(base, place.path, &Making { directory, mode: create.mode, links, told })
        }
        (found, _) => found.named(Call::Openat2),
    }
}

/// By way of symlinks. Not into a procfs: /proc/self, thread-self, net and mounts lead each process to files of its own, and the
/// command is another one than this.
#[cold]
fn by_symlink(base: Fd, place: &Place<'_>, flags: u32, links: Links) -> Done<seclude_sys::Result<Fd>> {
    let found = file::open(base, place.path, flags, 0, leash(links));
    if let Ok(opened) = found
        && mount::filesystem_magic(opened).named(Call::Statfs)? == PROC_SUPER_MAGIC
    {
        let _ = file::close(opened);
        return Err(Failure(Call::LinkToProc, Errno::EXDEV));
    }
    Ok(found)
}

/// include/uapi/linux/magic.h
const PROC_SUPER_MAGIC: u64 = 0x9fa0;

/// As many symlinks to what is missing are followed: as path_resolution(7) has for those to what is there.
const HOPS: usize = 40;

/// What is made, and how.
struct Making {
    directory: bool,
    mode: u32,
    links: Links,
    /// The socket over which the parent is told.
    told: Option<Fd>,
}

/// Makes what is missing of a path, each component in the directory that the walk so far has led to.
#[cold]
#[inline(never)]
fn make(base: Fd, path: &CStr, making: &Making) -> Done<Fd> {
    let (mut space, mut other) = (PathSpace::uninit(), PathSpace::uninit());
    let (mut path_buffer, mut rewritten) = (PathBuffer::new(&mut space), PathBuffer::new(&mut other));
    path_buffer.push_all(path.to_bytes()).named(Call::Openat2)?;
    for _ in 0..HOPS {
        match make_once(base, &mut path_buffer, making, &mut rewritten)? {
            Some(made) => return Ok(made),
            None => core::mem::swap(&mut path_buffer, &mut rewritten),
        }
    }
    Err(Failure(Call::Openat2, Errno::ELOOP))
}

/// `None`: it came to a symlink that leads to nothing, and the path by way of that is in `rewritten`.
fn make_once(base: Fd, path: &mut PathBuffer<'_>, making: &Making, rewritten: &mut PathBuffer<'_>) -> Done<Option<Fd>> {
    let Making { directory, mode, links, told } = *making;
    let mut space = PathSpace::uninit();
    let mut so_far = PathBuffer::new(&mut space);
    let (mut parent, mut index) = (base, 0);
    loop {
        let start = so_far.length();
        while let Some(byte) = path.at(index)
            && byte != b'/'
        {
            so_far.push(byte).named(Call::Openat2)?;
            index += 1;
        }
        let end = index;
        while path.at(index) == Some(b'/') {
            index += 1;
        }
        let last = path.at(index).is_none();
        let is_directory = directory || !last;
        let flags = file::O_PATH | if is_directory { file::O_DIRECTORY } else { 0 };
        let next = match file::open(base, so_far.from(0), flags, 0, leash(links)) {
            Err(Errno::ENOENT) => {
                let name = so_far.from(start);
                let made = match is_directory {
                    true => file::mkdir(parent, name, if last { mode } else { 0o755 }).named(Call::Mkdir),
                    false => make_file(parent, name, mode),
                };
                match made {
                    Ok(()) => open_made(parent, &mut so_far, start, flags, told)?,
                    // Either somebody else has made it meanwhile, or it is a symlink to what is missing.
                    Err(Failure(_, Errno::EEXIST)) => match file::open(base, so_far.from(0), flags, 0, leash(links)) {
                        Err(Errno::ENOENT) if links == Links::MadeGood => {
                            return lead_on(parent, &mut so_far, start, path, end, rewritten).map(|()| {
                                close_unless(parent, base);
                                None
                            });
                        }
                        Err(Errno::ENOENT) => return Err(Failure(Call::Openat2, Errno::EEXIST)),
                        opened => opened.named(Call::Openat2)?,
                    },
                    Err(failure) => return Err(failure),
                }
            }
            opened => opened.named(Call::Openat2)?,
        };
        close_unless(parent, base);
        if last {
            return Ok(Some(next));
        }
        parent = next;
        so_far.push(b'/').named(Call::Openat2)?;
    }
}

/// Opens what was made, whose name begins at `start` of its path. What the parent cannot be told of does not stay: nobody else would
/// remove it.
fn open_made(parent: Fd, path: &mut PathBuffer<'_>, start: usize, flags: u32, told: Option<Fd>) -> Done<Fd> {
    let tell = |socket, opened, path: &CStr| {
        let head = made::head(file::status(opened, c"").named(Call::Stat)?.place());
        socket::send_all_with_fd(socket, [&head, path.to_bytes()], parent).named(Call::Send)
    };
    let opened = file::open(parent, path.from(start), flags, 0, leash(Links::Refused)).named(Call::Openat2);
    let opened = match (opened, told) {
        (Ok(opened), Some(socket)) => tell(socket, opened, path.from(0)).map(|_| opened),
        (opened, _) => opened,
    };
    if opened.is_err() {
        let _ = file::remove(parent, path.from(start), flags & file::O_DIRECTORY != 0);
    }
    opened
}

#[cold]
#[inline(never)]
pub(crate) fn tell_of_link(machine: &Machine<'_>, parent: Fd, name: &CStr, path: Option<&CStr>) -> Done {
    let Some(path) = path else { return Ok(()) };
    let tell = || {
        let head = made::head(file::status(parent, name).named(Call::Stat)?.place());
        socket::send_all_with_fd(machine.setup.socket, [&head, path.to_bytes()], parent).named(Call::Send)
    };
    let told = tell();
    if told.is_err() {
        let _ = file::remove(parent, name, false);
    }
    told.map(drop)
}

fn make_file(parent: Fd, name: &CStr, mode: u32) -> Done {
    let flags = file::O_WRONLY | file::O_CREAT | file::O_EXCL | file::O_NOFOLLOW;
    let made = file::open(parent, name, flags, mode, leash(Links::Refused)).named(Call::Openat2)?;
    let _ = file::close(made);
    Ok(())
}

/// Puts into `rewritten` where the symlink at the end of `so_far` leads, and what of the path comes behind it.
fn lead_on(
    parent: Fd,
    so_far: &mut PathBuffer<'_>,
    start: usize,
    path: &mut PathBuffer<'_>,
    end: usize,
    rewritten: &mut PathBuffer<'_>,
) -> Done {
    let (mut space, name) = (PathSpace::uninit(), so_far.from(start));
    let mut target = PathBuffer::new(&mut space);
    file::read_link(parent, name, &mut target)
        .map_err(|errno| match errno {
            // What is there is no symlink.
            Errno::EINVAL => Errno::EEXIST,
            errno => errno,
        })
        .named(Call::Mkdir)?;
    rewritten.clear();
    let mut add = |from: &PathBuffer<'_>, mut index: usize, end: usize| -> Done {
        while index < end
            && let Some(byte) = from.at(index)
        {
            rewritten.push(byte).named(Call::Openat2)?;
            index += 1;
        }
        Ok(())
    };
    if target.at(0) != Some(b'/') {
        add(so_far, 0, start)?;
    }
    let from = (0..target.length()).take_while(|index| target.at(*index) == Some(b'/')).count();
    add(&target, from, target.length())?;
    add(path, end, path.length())
}

fn close_unless(fd: Fd, base: Fd) {
    if fd != base {
        let _ = file::close(fd);
    }
}
