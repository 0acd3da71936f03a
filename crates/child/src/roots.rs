//! From the host's tree to the container's, with no way back.

use core::ffi::CStr;

use seclude_sys::{Errno, Fd, file, mount};

use crate::op::{Links, Place, Slot};
use crate::places::leash;
use crate::run::{Done, Failure, Machine, Named};
use crate::wire::Call;

pub(crate) fn uncover(mount: Fd, root: Fd, place: &Place<'_>) -> Done {
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
pub(crate) fn move_root(root: Fd, onto: &CStr) -> Done {
    let place = file::open(Fd::CWD, onto, file::O_PATH | file::O_DIRECTORY, 0, 0).named(Call::Openat2)?;
    let is = |fd| file::status(fd, c"").named(Call::Stat).map(|status| status.place());
    let moved = is(place).and_then(|found| match found == is(root)? {
        true => mount::attach(root, place).named(Call::MoveMount),
        false => Err(Failure(Call::SameAs, Errno::ESTALE)),
    });
    let _ = file::close(place);
    moved
}

/// Whoever walks a path from here on must not be led back by what is open.
pub(crate) fn leave_host(machine: &mut Machine<'_>) {
    machine.set(Slot::SCRATCH, Fd::NONE);
    machine.set(Slot::HOST, Fd::NONE);
    machine.set(Slot::HOST_DEV, Fd::NONE);
}

/// Nothing that is mounted in it from here on is seen elsewhere.
#[cold]
#[inline(never)]
pub(crate) fn alone(tree: Fd) -> Done {
    match mount::change_attributes(tree, 0, 0, mount::MS_PRIVATE, true) {
        Err(Errno::ENOSYS) => mount::make_private(tree).named(Call::Remount),
        answer => answer.named(Call::MountSetattr),
    }
}

#[cold]
#[inline(never)]
pub(crate) fn change_root(root: Fd) -> Done {
    file::fchdir(root).named(Call::Chdir)?;
    mount::chroot_here().named(Call::Chroot)
}

/// Swaps the roots and lets go of the old one.
pub(crate) fn pivot(root: Fd, scratch: Fd, host: Fd) -> Done {
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
pub(crate) fn check_root(root: Fd) -> Done {
    // A mount left over the root would be found through "/..", which goes to the topmost one.
    let wanted = mount::mount_id(root, c"").named(Call::Stat)?;
    for path in [c"/", c"/.."] {
        if mount::mount_id(Fd::CWD, path).named(Call::Stat)? != wanted {
            return Err(Failure(Call::CheckRoot, Errno::EXDEV));
        }
    }
    Ok(())
}
