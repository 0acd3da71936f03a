//! The ops that build the container's tree: everything by descriptor, nothing by a path walked twice.

use core::ffi::CStr;
use core::sync::atomic::Ordering;

use seclude_sys::{Errno, Fd, PathBuffer, PathSpace, clone, file, mount, process, socket};

use crate::op::{Device, Links, Op, Slot, Want};
use crate::places::{leash, resolve, tell_of_link};
use crate::remount;
use crate::roots::{alone, change_root, check_root, leave_host, move_root, pivot, uncover};
use crate::run::{Done, FAILED, Failure, Machine, Named, Part, Skipping};
use crate::wire::{Call, Message};

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
                tree => {
                    let tree = tree.named(Call::OpenTree)?;
                    machine.set(into, tree);
                    if machine.in_place {
                        alone(tree)?;
                    }
                }
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
                // Whom nobody lets in, with all the rights there are over the container's ids, is not to be kept out.
                Err(Failure(_, Errno::ENOENT | Errno::EACCES)) => machine.skipping = Skipping::Place,
                Err(failure) => return Err(failure),
            }
            Ok(())
        }
        Op::HoldWay { written, below, mount, strict } => {
            hold_way(machine.get(Slot::ROOT), written.path, below, mount, strict)
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
        Op::RootInPlace { onto } => {
            let root = machine.get(Slot::ROOT);
            machine.in_place = true;
            move_root(root, onto)?;
            // What it lies on may be shared, and then it is so by now.
            alone(root)
        }
        Op::Pivot => {
            pivot(machine.get(Slot::ROOT), machine.get(Slot::SCRATCH), machine.get(Slot::HOST))?;
            leave_host(machine);
            Ok(())
        }
        Op::ChangeRoot { alone } => {
            if alone {
                file::fchdir(machine.get(Slot::HOST)).named(Call::Chdir)?;
                // Whole ones would have the kernel make further ones for whoever is in there, whatever is masked in the container's own.
                for view in [c"proc", c"sys"] {
                    let _ = mount::detach(view);
                }
            }
            change_root(machine.get(Slot::ROOT))?;
            leave_host(machine);
            Ok(())
        }
        Op::EnterRoot { directory } => change_root(directory),
        Op::CheckRoot => check_root(machine.get(Slot::ROOT)),
        Op::MakeDirectory { base, name, mode } => file::mkdir(machine.get(base), name, mode).named(Call::Mkdir),
        Op::MakeSymlink { base, name, target, keep, told } => match file::symlink(target, machine.get(base), name) {
            Err(Errno::EEXIST) if keep => Ok(()),
            Ok(()) => tell_of_link(machine, machine.get(base), name, told),
            made => made.named(Call::Symlink),
        },
        Op::ChangeAttributes { mount, set, clear, propagation, recursive } => {
            let mount = machine.get(mount);
            match mount::change_attributes(mount, set, clear, propagation, recursive) {
                Err(Errno::ENOSYS) if propagation != 0 => {
                    mount::change_propagation(mount, propagation, recursive).named(Call::Remount)
                }
                Err(Errno::ENOSYS) => remount::set_attributes(mount, set, clear, recursive),
                answer => answer.named(Call::MountSetattr),
            }
        }
        Op::MakeDevice { base, name, device } => make_device(machine.get(base), name, &device),
        Op::OpenToRead { tree, offset, into } => {
            let opened = open_to_read(machine.get(tree), offset)?;
            machine.set(into, opened);
            Ok(())
        }
        Op::Reopen { tree, at, flags, offset, close_on_exec } => {
            // Some devices have an open wait for whoever is at the other end.
            let opened = open_root(machine.get(tree), flags | file::O_NOCTTY | file::O_NONBLOCK)?;
            file::set_status_flags(opened, flags).named(Call::Fcntl)?;
            if offset != 0 {
                file::seek(opened, offset).named(Call::Openat2)?;
            }
            file::duplicate_onto(opened, at, close_on_exec).named(Call::Dup)?;
            let _ = file::close(opened);
            Ok(())
        }
        Op::LinkToSlot { base, name, to } => link_to(machine.get(base), name, machine.get(to)),
        Op::WriteFile { base, name, bytes, mode } => write_file(machine.get(base), name, bytes, mode),
        Op::ChangeMode { file, mode } => file::chmod(machine.get(file), mode).named(Call::Chmod),
        Op::GiveAway { directory, uid, gid } => match file::change_owner_at(machine.get(directory), uid, gid) {
            Err(Errno::EINVAL) => Ok(()),
            given => given.named(Call::Chown),
        },
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

/// An image may have one there already: then it has to be the same.
#[cold]
#[inline(never)]
fn make_device(base: Fd, name: &CStr, device: &Device) -> Done {
    let made = match file::make_node(base, name, device.kind | device.mode, device.major, device.minor) {
        Ok(()) => true,
        Err(Errno::EEXIST) => false,
        Err(errno) => return Err(Failure(Call::Mknod, errno)),
    };
    // Nobody else is in this tree, and what is there is no link.
    let node =
        file::open(base, name, file::O_PATH | file::O_NOFOLLOW, 0, leash(Links::Refused)).named(Call::Openat2)?;
    let found = file::status(node, c"").named(Call::Stat);
    let done = found.and_then(|found| match found.is_node(device.kind, device.major, device.minor) {
        true => Ok(()),
        false => Err(Failure(Call::CheckDevice, Errno::EEXIST)),
    });
    // Where it was before it is whose it was: by a mount that may be the host's.
    let done = match made {
        true => done.and_then(|()| file::change_owner_at(node, device.uid, device.gid).named(Call::Chown)),
        false => done,
    };
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
        let first = machine.get(Slot::MASK);
        if first != Fd::NONE {
            let another = mount::clone_tree(first, c"", false).named(Call::OpenTree)?;
            machine.set(Slot::TREE, another);
            return mount::attach(another, place).named(Call::MoveMount);
        }
        let fs = mount::fsopen(c"tmpfs").named(Call::Fsopen)?;
        machine.set(Slot::TREE, fs);
        mount::fsconfig_create(fs).named(Call::FsCreate)?;
        let attributes = mount::MOUNT_ATTR_RDONLY | mount::MOUNT_ATTR_NOSUID | mount::MOUNT_ATTR_NODEV;
        let empty = mount::fsmount(fs, attributes).named(Call::Fsmount)?;
        machine.set(Slot::TREE, empty);
        mount::attach(empty, place).named(Call::MoveMount)?;
        machine.set(Slot::MASK, file::duplicate_above(empty, 3).named(Call::Dup)?);
        Ok(())
    } else {
        let null = mount::clone_tree(machine.get(Slot::HOST_DEV), c"null", false).named(Call::OpenTree)?;
        machine.set(Slot::TREE, null);
        check_device(null, 1, 3)?;
        mount::attach(null, place).named(Call::MoveMount)?;
        // The inode is the host's, and chmod(2) through the mask would change it.
        set_attributes(null, mount::MOUNT_ATTR_RDONLY, false)
    }
}

fn set_attributes(mount: Fd, set: u32, recursive: bool) -> Done {
    match mount::set_attributes(mount, set, recursive) {
        Err(Errno::ENOSYS) => remount::set_attributes(mount, set, 0, recursive),
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

/// Nothing below what is written is followed that whoever writes there could have lead elsewhere.
fn hold_way(root: Fd, written: &CStr, below: &CStr, is_mounted: bool, strict: bool) -> Done {
    let base = file::open(root, written, file::O_PATH, 0, leash(Links::Followed)).named(Call::Openat2)?;
    let found = match file::open(base, below, file::O_PATH, 0, leash(Links::Refused)) {
        Err(Errno::ENOENT) => Ok(None),
        Err(Errno::ELOOP) if !strict => Ok(None),
        found => found.named(Call::Openat2).map(Some),
    };
    let _ = file::close(base);
    let Some(way) = found? else { return Ok(()) };
    let held = if is_mounted { hold(way) } else { Ok(()) };
    let _ = file::close(way);
    held
}

/// By a mount of it on itself.
fn hold(way: Fd) -> Done {
    let tree = mount::clone_tree(way, c"", true).named(Call::OpenTree)?;
    let attached = mount::attach(tree, way).named(Call::MoveMount);
    let _ = file::close(tree);
    attached
}
