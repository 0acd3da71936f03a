//! The ops that build the container's tree: everything by descriptor, nothing by a path walked twice.

use core::ffi::CStr;
use core::sync::atomic::Ordering;

use seclude_sys::{Errno, Fd, PathBuffer, PathSpace, clone, file, mount, process, socket};

use crate::op::{Create, Device, Links, Op, Place, Slot, Want};
use crate::remount;
use crate::run::{Done, FAILED, Failure, Machine, Named, Part, Skipping};
use crate::wire::{Call, Message, made};

pub(crate) fn perform(machine: &mut Machine<'_>, op: &Op<'_>) -> Done {
    match *op {
        Op::EnterTree { source } => {
            let before = mount::mount_id(Fd::CWD, c"/").named(Call::Stat)?;
            let namespace = mount::tree_namespace(source).named(Call::OpenTree)?;
            clone::setns(namespace, clone::CLONE_NEWNS).named(Call::Setns)?;
            let _ = file::close(namespace);
            // Whatever follows would be done to the caller's own tree.
            match mount::mount_id(Fd::CWD, c"/").named(Call::Stat)? == before {
                true => Err(Failure(Call::CheckRoot, Errno::EXDEV)),
                false => Ok(()),
            }
        }
        Op::MakePrivate => mount::make_all_private().named(Call::Mount),
        Op::OpenHost { directory, into } => {
            let opened = file::open(Fd::CWD, directory, file::O_PATH | file::O_DIRECTORY, 0, 0).named(Call::Openat2)?;
            machine.set(into, opened);
            Ok(())
        }
        Op::CloneTree { source, recursive, into } => {
            match mount::clone_tree(Fd::CWD, source, recursive) {
                Err(Errno::ENOENT | Errno::ENOTDIR) if has_gone(machine) => {}
                tree => machine.set(into, tree.named(Call::OpenTree)?),
            }
            Ok(())
        }
        Op::TakeTree { into, peer } => {
            let tree = take_tree(machine)?;
            machine.set(into, tree);
            machine.taken = if peer { Fd::NONE } else { tree };
            Ok(())
        }
        Op::TakeCovers { root } => take_covers(machine, machine.get(root), true),
        Op::SameAs { found, looked_at } => {
            let place = |fd| file::status(fd, c"").named(Call::Stat).map(|status| status.place());
            match place(machine.get(found))? == place(looked_at)? {
                true => Ok(()),
                false if has_gone(machine) => Ok(()),
                false => Err(Failure(Call::SameAs, Errno::ESTALE)),
            }
        }
        Op::CloneFrom { from, name, recursive, into } => {
            let tree = mount::clone_tree(machine.get(from), name, recursive).named(Call::OpenTree)?;
            machine.set(into, tree);
            Ok(())
        }
        Op::FsOpen { kind, into } => {
            let fs = mount::fsopen(kind).named(Call::Fsopen)?;
            machine.set(into, fs);
            Ok(())
        }
        Op::FsString { fs, key, value } => {
            let set = mount::fsconfig_string(machine.get(fs), key, value).named(Call::Fsconfig);
            layered(machine, fs, set).map(drop)
        }
        Op::FsFlag { fs, key } => {
            let set = mount::fsconfig_flag(machine.get(fs), key).named(Call::Fsconfig);
            explained(machine, fs, set)
        }
        Op::FsFd { fs, key, value } => {
            let set = mount::fsconfig_fd(machine.get(fs), key, machine.get(value)).named(Call::Fsconfig);
            layered(machine, fs, set).map(drop)
        }
        Op::FsMount { fs, attributes } => {
            let created = mount::fsconfig_create(machine.get(fs)).named(Call::FsCreate);
            if !layered(machine, fs, created)? {
                return Ok(());
            }
            let mounted = mount::fsmount(machine.get(fs), attributes).named(Call::Fsmount);
            let mounted = explained(machine, fs, mounted)?;
            machine.set(fs, mounted);
            machine.has_layers |= machine.part != Part::No;
            Ok(())
        }
        Op::SetAttributes { mount, set, recursive } => set_attributes(machine.get(mount), set, recursive),
        Op::CheckReadOnly { mount } => match mount::is_read_only(machine.get(mount)).named(Call::Statfs)? {
            true => Ok(()),
            false => Err(Failure(Call::CheckReadOnly, Errno::EROFS)),
        },
        Op::CheckDevice { node, major, minor } => check_device(machine.get(node), major, minor),
        Op::Resolve { base, place, want, create, links, into } => {
            let found = resolve(machine, machine.get(base), &place, want, create, links)?;
            machine.set(into, found);
            Ok(())
        }
        Op::ResolveIfPresent { base, place, into } => {
            match resolve(machine, machine.get(base), &place, Want::Existing, None, Links::Followed) {
                Ok(found) => machine.set(into, found),
                Err(Failure(_, Errno::ENOENT)) => machine.skipping = Skipping::Place,
                Err(failure) => return Err(failure),
            }
            Ok(())
        }
        Op::Attach { mount, onto } => {
            let tree = machine.get(mount);
            match mount::attach(tree, machine.get(onto)) {
                // What the parent has copied was removed since.
                Err(Errno::ENOENT) if has_gone(machine) => return Ok(()),
                attached => attached.named(Call::MoveMount)?,
            }
            // A copy that the parent made is a peer of what it is a copy of, where that is shared: what is mounted in it would be
            // mounted on the host, mount_namespaces(7).
            match tree == machine.taken {
                true => mount::make_private(tree).named(Call::Mount),
                false => Ok(()),
            }
        }
        Op::Uncover { mount, place } => uncover(machine.get(mount), machine.get(Slot::ROOT), &place),
        Op::Mask { place } => mask(machine, machine.get(place)),
        Op::Note { mount, id } => {
            id.store(mount::mount_id(machine.get(mount), c"").named(Call::Stat)?, Ordering::Relaxed);
            Ok(())
        }
        Op::LookAgain { place, id } => {
            let found = file::open(machine.get(Slot::ROOT), place.path, file::O_PATH, 0, leash(Links::Followed));
            let found = match found {
                // The way there is gone, or leads elsewhere.
                Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP) => {
                    return Err(Failure(Call::CheckMount, Errno::EXDEV));
                }
                found => found.named(Call::Openat2)?,
            };
            let is = mount::mount_id(found, c"").named(Call::Stat)?;
            let _ = file::close(found);
            match is == id.load(Ordering::Relaxed) {
                true => Ok(()),
                false => Err(Failure(Call::CheckMount, Errno::EXDEV)),
            }
        }
        Op::MoveRoot { onto } => move_root(machine.get(Slot::ROOT), onto),
        Op::Pivot => {
            pivot(machine.get(Slot::ROOT), machine.get(Slot::SCRATCH), machine.get(Slot::HOST))?;
            // Whoever walks a path from here on must not be led back by what is open.
            machine.set(Slot::SCRATCH, Fd::NONE);
            machine.set(Slot::HOST, Fd::NONE);
            machine.set(Slot::HOST_DEV, Fd::NONE);
            Ok(())
        }
        Op::CheckRoot => check_root(machine.get(Slot::ROOT)),
        Op::MakeDirectory { base, name, mode } => file::mkdir(machine.get(base), name, mode).named(Call::Mkdir),
        Op::MakeSymlink { base, name, target, keep } => match file::symlink(target, machine.get(base), name) {
            Err(Errno::EEXIST) if keep => Ok(()),
            made => made.named(Call::Symlink),
        },
        Op::ChangeAttributes { mount, set, clear, propagation, recursive } => {
            mount::change_attributes(machine.get(mount), set, clear, propagation, recursive).named(Call::MountSetattr)
        }
        Op::MakeDevice { base, name, device } => make_device(machine.get(base), name, &device),
        Op::OpenToRead { tree, offset, into } => {
            let opened = open_to_read(machine.get(tree), offset)?;
            machine.set(into, opened);
            Ok(())
        }
        Op::ReopenDevice { tree, at, flags, close_on_exec } => {
            // Some devices have an open wait for whoever is at the other end.
            let opened = open_root(machine.get(tree), flags | file::O_NOCTTY | file::O_NONBLOCK)?;
            file::set_status_flags(opened, flags).named(Call::Fcntl)?;
            file::duplicate_onto(opened, at, close_on_exec).named(Call::Dup)?;
            let _ = file::close(opened);
            Ok(())
        }
        Op::LinkToSlot { base, name, to } => link_to(machine.get(base), name, machine.get(to)),
        Op::WriteFile { base, name, bytes, mode } => write_file(machine.get(base), name, bytes, mode),
        Op::ChangeMode { file, mode } => file::chmod(machine.get(file), mode).named(Call::Chmod),
        Op::GoTo { directory } => file::fchdir(machine.get(directory)).named(Call::Chdir),
        // Every other op is performed by `run`, which sends only these here.
        _ => Ok(()),
    }
}

/// A message of the parent's: a descriptor and a path, if there are any in it.
fn take(machine: &Machine<'_>, path: &mut PathBuffer<'_>) -> Done<Fd> {
    match socket::receive_with_fd(machine.setup.socket, path).named(Call::Receive)? {
        Some(fd) => Ok(fd),
        // The parent is gone.
        None => process::exit(FAILED),
    }
}

#[cold]
#[inline(never)]
fn take_tree(machine: &Machine<'_>) -> Done<Fd> {
    let mut space = PathSpace::uninit();
    take(machine, &mut PathBuffer::new(&mut space))
}

/// Takes what the parent sends of a part that has gone.
pub(crate) fn let_go(machine: &Machine<'_>, op: &Op<'_>) -> Done {
    match *op {
        Op::TakeTree { .. } => {
            let _ = file::close(take_tree(machine)?);
            Ok(())
        }
        Op::TakeCovers { root } => take_covers(machine, machine.get(root), false),
        _ => Ok(()),
    }
}

/// What is mounted below a tree that was taken, as far as it was copied on its own: each lies over what it is a copy of, or, if
/// that `is_there` no more, nowhere.
#[cold]
#[inline(never)]
fn take_covers(machine: &Machine<'_>, root: Fd, is_there: bool) -> Done {
    let mut space = PathSpace::uninit();
    let mut path = PathBuffer::new(&mut space);
    loop {
        let tree = take(machine, &mut path)?;
        // The last message has none.
        if tree == Fd::NONE {
            return Ok(());
        }
        let leash = file::RESOLVE_BENEATH | file::RESOLVE_NO_SYMLINKS;
        let place = if is_there { file::open(root, path.from(0), file::O_PATH, 0, leash) } else { Err(Errno::ENOENT) };
        match place {
            Ok(place) => {
                let attached = mount::attach(tree, place).named(Call::MoveMount);
                let _ = file::close(place);
                attached?;
                mount::make_private(tree).named(Call::Mount)?;
            }
            // It went meanwhile, or another mount lies over the way to it.
            Err(Errno::ENOENT | Errno::ENOTDIR) => {}
            Err(errno) => return Err(Failure(Call::Openat2, errno)),
        }
        let _ = file::close(tree);
    }
}

/// There is no other name for what a descriptor that is a path alone leads to.
#[cold]
#[inline(never)]
fn open_to_read(tree: Fd, offset: u64) -> Done<Fd> {
    let opened = open_root(tree, file::O_RDONLY | file::O_NOCTTY | file::O_NONBLOCK)?;
    file::seek(opened, offset).named(Call::Openat2)?;
    Ok(opened)
}

#[cold]
#[inline(never)]
fn open_root(tree: Fd, flags: u32) -> Done<Fd> {
    let mut space = PathSpace::uninit();
    let mut path = PathBuffer::new(&mut space);
    path.push_all(b"/proc/self/fd/").and_then(|()| path.push_number(tree.0 as u32)).named(Call::Openat2)?;
    file::open(Fd::CWD, path.from(0), flags, 0, 0).named(Call::Openat2)
}

#[cold]
#[inline(never)]
fn link_to(base: Fd, name: &CStr, to: Fd) -> Done {
    let mut space = PathSpace::uninit();
    let mut path = PathBuffer::new(&mut space);
    path.push_all(b"/proc/self/fd/").and_then(|()| path.push_number(to.0 as u32)).named(Call::Symlink)?;
    file::symlink(path.from(0), base, name).named(Call::Symlink)
}

/// Copies what the file system has to say about its refusal (fsopen(2), "message retrieval") onto the board.
fn explained<T>(machine: &Machine<'_>, fs: Slot, done: Done<T>) -> Done<T> {
    if done.is_err() {
        // One message a read; ENODATA after the last.
        while matches!(machine.setup.board.append_from(machine.get(fs)), Ok(1..)) {}
    }
    done
}

/// Leaves out the part of the host's tree that the ops are about, if they are and it was to be there still.
fn has_gone(machine: &mut Machine<'_>) -> bool {
    let Part::Asked(number) = machine.part else { return false };
    Message::LeftOut(number).send(machine.setup.socket);
    machine.skipping = Skipping::Part;
    true
}

/// [`explained`], and `false` if the file system is an overlay that cannot be had: its layer lies there in its place. That is what
/// becomes of an overlay over two, of a file system that ignores case, of automounts, in ovl_mount_dir_check and ovl_get_layers.
fn layered(machine: &mut Machine<'_>, fs: Slot, done: Done) -> Done<bool> {
    let (Part::Layer { lower, into, part }, Err(Failure(call, Errno::EINVAL))) = (machine.part, done) else {
        return explained(machine, fs, done).map(|()| true);
    };
    Message::Unlayered(part).send(machine.setup.socket);
    let copied = mount::clone_tree(machine.get(lower), c"", false).named(Call::OpenTree)?;
    machine.set(into, copied);
    // Of the making of an overlay that is the last op.
    machine.skipping = if call == Call::FsCreate { Skipping::Nothing } else { Skipping::Overlay };
    Ok(false)
}

/// How a path inside a root is walked.
fn leash(links: Links) -> u32 {
    match links {
        Links::Refused => file::RESOLVE_BENEATH | file::RESOLVE_NO_SYMLINKS,
        Links::Followed | Links::MadeGood => file::RESOLVE_IN_ROOT | file::RESOLVE_NO_MAGICLINKS,
    }
}

/// Opens a place inside the base, never outside of it.
fn resolve(
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

/// As many symlinks to what is missing are followed; path_resolution(7) has 40 for those to what is there.
const HOPS: usize = 8;

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

fn uncover(mount: Fd, root: Fd, place: &Place<'_>) -> Done {
    // The new root and the scratch tmpfs; more would be somebody else's.
    for _ in 0..=2 {
        let top = file::open(root, place.path, file::O_PATH, 0, leash(Links::Followed)).named(Call::Openat2)?;
        let found = mount::mount_id(top, c"").named(Call::Stat)?;
        let _ = file::close(top);
        if found == mount::mount_id(mount, c"").named(Call::Stat)? {
            return Ok(());
        }
        file::fchdir(mount).named(Call::Chdir)?;
        mount::detach_here().named(Call::Umount)?;
    }
    Err(Failure(Call::Umount, Errno::EBUSY))
}

/// From over the host's root to where it comes from, as whoever enters the namespace now has the host's tree for its root, and looks for
/// this one by that path.
#[cold]
#[inline(never)]
fn move_root(root: Fd, onto: &CStr) -> Done {
    let place = file::open(Fd::CWD, onto, file::O_PATH | file::O_DIRECTORY, 0, 0).named(Call::Openat2)?;
    let is = |fd| file::status(fd, c"").named(Call::Stat).map(|status| status.place());
    let moved = is(place).and_then(|found| match found == is(root)? {
        true => mount::attach(root, place).named(Call::MoveMount),
        false => Err(Failure(Call::SameAs, Errno::ESTALE)),
    });
    let _ = file::close(place);
    moved
}

/// Swaps the roots and lets go of the old one.
fn pivot(root: Fd, scratch: Fd, host: Fd) -> Done {
    file::fchdir(root).named(Call::Chdir)?;
    mount::pivot_here().named(Call::PivotRoot)?;
    // The old root now lies over the new one, and only its descriptor leads to it for certain. umount2(2) takes what lies on
    // top there: first the scratch tmpfs that the new root lay on.
    for old in [scratch, host] {
        if old != Fd::NONE {
            file::fchdir(old).named(Call::Chdir)?;
            mount::detach_here().named(Call::Umount)?;
        }
    }
    file::fchdir(root).named(Call::Chdir)
}

/// Looked at, not hoped for: a symlink in a mount's target can lead back to the root.
fn check_root(root: Fd) -> Done {
    // A mount left over the root would be found through "/..", which goes to the topmost one.
    let wanted = mount::mount_id(root, c"").named(Call::Stat)?;
    for path in [c"/", c"/.."] {
        if mount::mount_id(Fd::CWD, path).named(Call::Stat)? != wanted {
            return Err(Failure(Call::CheckRoot, Errno::EXDEV));
        }
    }
    Ok(())
}

/// An image may have one there already: then it has to be the same.
#[cold]
#[inline(never)]
fn make_device(base: Fd, name: &CStr, device: &Device) -> Done {
    match file::make_node(base, name, device.kind | device.mode, device.major, device.minor) {
        Ok(()) | Err(Errno::EEXIST) => {}
        Err(errno) => return Err(Failure(Call::Mknod, errno)),
    }
    // Nobody else is in this tree, and what is there is no link.
    let node =
        file::open(base, name, file::O_PATH | file::O_NOFOLLOW, 0, leash(Links::Refused)).named(Call::Openat2)?;
    let found = file::status(node, c"").named(Call::Stat);
    let done = found.and_then(|found| match found.is_node(device.kind, device.major, device.minor) {
        true => Ok(()),
        false => Err(Failure(Call::CheckDevice, Errno::EEXIST)),
    });
    let done = done.and_then(|()| file::change_owner_at(node, device.uid, device.gid).named(Call::Chown));
    let _ = file::close(node);
    done
}

/// A fake /dev/null used for masking gave images the host's files (CVE-2025-31133): the number decides.
fn check_device(node: Fd, major: u32, minor: u32) -> Done {
    let status = file::status(node, c"").named(Call::Stat)?;
    match status.is_character_device(major, minor) {
        true => Ok(()),
        false => Err(Failure(Call::CheckDevice, Errno::ENODEV)),
    }
}

fn mask(machine: &mut Machine<'_>, place: Fd) -> Done {
    if file::status(place, c"").named(Call::Stat)?.is_directory() {
        let fs = mount::fsopen(c"tmpfs").named(Call::Fsopen)?;
        machine.set(Slot::TREE, fs);
        mount::fsconfig_create(fs).named(Call::FsCreate)?;
        let attributes = mount::MOUNT_ATTR_RDONLY | mount::MOUNT_ATTR_NOSUID | mount::MOUNT_ATTR_NODEV;
        let empty = mount::fsmount(fs, attributes).named(Call::Fsmount)?;
        machine.set(Slot::TREE, empty);
    } else {
        let null = mount::clone_tree(machine.get(Slot::HOST_DEV), c"null", false).named(Call::OpenTree)?;
        machine.set(Slot::TREE, null);
        check_device(null, 1, 3)?;
        mount::attach(null, place).named(Call::MoveMount)?;
        // The inode is the host's, and chmod(2) through the mask would change it.
        return set_attributes(null, mount::MOUNT_ATTR_RDONLY, false);
    }
    mount::attach(machine.get(Slot::TREE), place).named(Call::MoveMount)
}

fn set_attributes(mount: Fd, set: u32, recursive: bool) -> Done {
    match mount::set_attributes(mount, set, recursive) {
        Err(Errno::ENOSYS) => remount::set_attributes(mount, set, recursive),
        answer => answer.named(Call::MountSetattr),
    }
}

fn write_file(base: Fd, name: &CStr, mut bytes: &[u8], mode: u32) -> Done {
    let flags = file::O_WRONLY | file::O_CREAT | file::O_EXCL | file::O_NOFOLLOW;
    let made = file::open(base, name, flags, mode, file::RESOLVE_BENEATH).named(Call::Openat2)?;
    while !bytes.is_empty() {
        let written = file::write(made, bytes).named(Call::Write)?;
        match bytes.get(written..) {
            Some(rest) if written > 0 => bytes = rest,
            _ => return Err(Failure(Call::Write, Errno::EIO)),
        }
    }
    file::chmod(made, mode).named(Call::Chmod)?;
    let _ = file::close(made);
    Ok(())
}

/// Opens the working directory; a path through /proc/self/fd would be a way out (CVE-2024-21626).
pub(crate) fn open_working_directory(machine: &mut Machine<'_>, path: &CStr) -> Done {
    let flags = file::O_PATH | file::O_DIRECTORY;
    let directory = file::open(Fd::CWD, path, flags, 0, file::RESOLVE_NO_MAGICLINKS).named(Call::Openat2)?;
    machine.set(Slot::PLACE, directory);
    Ok(())
}
