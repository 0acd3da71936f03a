//! Attributes of mounts where there is no mount_setattr(2), before Linux 5.12: mount(2) takes one mount at a time, so
//! those below it are found in /proc/self/mountinfo, which no allocation may read.

use seclude_sys::{ByteReader, Errno, Fd, PathBuffer, PathSpace, ReadSpace, file, mount};

use crate::run::{Done, Failure, Named};
use crate::wire::Call;

/// Apart from the interpreter, whose frame would have the room for the paths always.
#[cold]
#[inline(never)]
pub(crate) fn set_attributes(tree: Fd, set: u32, clear: u32, recursive: bool) -> Done {
    mount::remount_with(tree, set, clear).named(Call::Remount)?;
    if !recursive {
        return Ok(());
    }
    let (mut path_space, mut read_space) = (PathSpace::uninit(), ReadSpace::uninit());
    let mut path = PathBuffer::new(&mut path_space);
    let root = mount::mount_id(tree, c"").named(Call::Stat)?;
    let below = {
        let mut mounts = MountInfo::open(&mut read_space)?;
        loop {
            match mounts.next(&mut path)? {
                Some((id, _)) if id == root => break if path.length() == 1 { 1 } else { path.length() + 1 },
                Some(_) => {}
                // It is attached where no path leads from this process's root.
                None => return Err(Failure(Call::MountInfo, Errno::ENOENT)),
            }
        }
    };
    let mut mounts = MountInfo::open(&mut read_space)?;
    while let Some((id, parent)) = mounts.next(&mut path)? {
        // Over the tree's own root: what the command sees is this one, and no path from the tree leads to it.
        if parent == root && path.length() <= below && (below == 1 || path.length() + 1 == below) {
            return Err(Failure(Call::Remount, Errno::EBUSY));
        }
        if id == root || path.length() <= below || (below > 1 && path.at(below - 1) != Some(b'/')) {
            continue;
        }
        // The list tells paths, which other mounts share, such as the host's own where this tree lies over it: so the
        // path is walked from the tree, and what it leads to decides.
        let leash = file::RESOLVE_BENEATH | file::RESOLVE_NO_SYMLINKS;
        let found = match file::open(tree, path.from(below), file::O_PATH, 0, leash) {
            // Under another mount, or of another tree. EACCES is none of these: with other ids the command may get there.
            Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP) => continue,
            found => found.named(Call::Remount)?,
        };
        if mount::mount_id(found, c"").named(Call::Stat)? == id {
            match mount::remount_with(found, set, clear) {
                // A file system of fuse whose daemon is gone, before or after it had begun, and cannot come back: nobody
                // writes to it.
                Err(Errno::ENOTCONN | Errno::ECONNREFUSED) => {}
                answer => answer.named(Call::Remount)?,
            }
        }
        let _ = file::close(found);
    }
    Ok(())
}

/// The lines of /proc/self/mountinfo, proc_pid_mountinfo(5).
struct MountInfo<'a>(ByteReader<'a>);

impl MountInfo<'_> {
    fn open(space: &mut ReadSpace) -> Done<MountInfo<'_>> {
        let file = file::open(Fd::CWD, c"/proc/self/mountinfo", file::O_RDONLY, 0, 0).named(Call::MountInfo)?;
        Ok(MountInfo(ByteReader::new(file, space)))
    }

    /// The next mount's id and its parent's, with its mount point in `path`.
    fn next(&mut self, path: &mut PathBuffer<'_>) -> Done<Option<(u64, u64)>> {
        path.clear();
        let (mut field, mut id, mut parent, mut begun) = (0, 0u64, 0u64, false);
        while let Some(byte) = self.0.next_byte().named(Call::MountInfo)? {
            begun = true;
            match (field, byte) {
                (_, b'\n') => return Ok(Some((id, parent))),
                (_, b' ') => field += 1,
                (0, digit @ b'0'..=b'9') => id = id.wrapping_mul(10).wrapping_add(u64::from(digit - b'0')),
                (1, digit @ b'0'..=b'9') => parent = parent.wrapping_mul(10).wrapping_add(u64::from(digit - b'0')),
                // Space, tab, newline and backslash are octal there.
                (4, b'\\') => {
                    let mut value = 0u8;
                    for _ in 0..3 {
                        let digit = self.0.next_byte().named(Call::MountInfo)?.unwrap_or(b'0');
                        value = value.wrapping_mul(8).wrapping_add(digit.wrapping_sub(b'0'));
                    }
                    path.push(value).named(Call::MountInfo)?;
                }
                (4, byte) => path.push(byte).named(Call::MountInfo)?,
                _ => {}
            }
        }
        if begun { Err(Failure(Call::MountInfo, Errno::EIO)) } else { Ok(None) }
    }
}
