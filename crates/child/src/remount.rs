//! Attributes of mounts where there is no mount_setattr(2), before Linux 5.12: mount(2) takes one mount at a time, so
//! those below it are found in /proc/self/mountinfo, which no allocation may read.

use seclude_sys::{Errno, Fd, PathBuffer, file, mount};

use crate::run::{Done, Failure, Named};
use crate::wire::Call;

pub(crate) fn set_attributes(tree: Fd, set: u32, recursive: bool) -> Done {
    mount::remount_with(tree, set).named(Call::Remount)?;
    if !recursive {
        return Ok(());
    }
    let root = mount::mount_id(tree, c"").named(Call::Stat)?;
    let mut path = PathBuffer::new();
    let below = {
        let mut mounts = MountInfo::open()?;
        loop {
            match mounts.next(&mut path)? {
                Some(id) if id == root => break if path.length() == 1 { 1 } else { path.length() + 1 },
                Some(_) => {}
                // It is attached where no path leads from this process's root.
                None => return Err(Failure(Call::MountInfo, Errno::ENOENT)),
            }
        }
    };
    let mut mounts = MountInfo::open()?;
    while let Some(id) = mounts.next(&mut path)? {
        if id == root || path.length() <= below || (below > 1 && path.at(below - 1) != Some(b'/')) {
            continue;
        }
        // The list tells paths, which other mounts share, such as the host's own where this tree lies over it: so the
        // path is walked from the tree, and what it leads to decides.
        let leash = file::RESOLVE_BENEATH | file::RESOLVE_NO_SYMLINKS;
        let found = match file::open(tree, path.from(below), file::O_PATH, 0, leash) {
            // Under another mount, or of another tree; where set-up cannot get, the command with less rights cannot either.
            Err(Errno::ENOENT | Errno::ENOTDIR | Errno::EACCES | Errno::ELOOP) => continue,
            found => found.named(Call::Openat2)?,
        };
        if mount::mount_id(found, c"").named(Call::Stat)? == id {
            mount::remount_with(found, set).named(Call::Remount)?;
        }
        let _ = file::close(found);
    }
    Ok(())
}

/// The lines of /proc/self/mountinfo, proc_pid_mountinfo(5).
struct MountInfo {
    file: Fd,
    buffer: [u8; 64],
    length: usize,
    next: usize,
}

impl MountInfo {
    fn open() -> Done<MountInfo> {
        let file = file::open(Fd::CWD, c"/proc/self/mountinfo", file::O_RDONLY, 0, 0).named(Call::MountInfo)?;
        Ok(MountInfo { file, buffer: [0; 64], length: 0, next: 0 })
    }

    /// The next mount's id, with its mount point in `path`.
    fn next(&mut self, path: &mut PathBuffer) -> Done<Option<u64>> {
        path.clear();
        let (mut field, mut id, mut read) = (0, 0u64, 0);
        while let Some(byte) = self.byte()? {
            read += 1;
            match (field, byte) {
                (_, b'\n') => return Ok(Some(id)),
                (_, b' ') => field += 1,
                (0, digit @ b'0'..=b'9') => id = id.wrapping_mul(10).wrapping_add(u64::from(digit - b'0')),
                // Space, tab, newline and backslash are octal there.
                (4, b'\\') => {
                    let mut value = 0u8;
                    for _ in 0..3 {
                        value = value.wrapping_mul(8).wrapping_add(self.byte()?.unwrap_or(b'0').wrapping_sub(b'0'));
                    }
                    path.push(value).named(Call::MountInfo)?;
                }
                (4, byte) => path.push(byte).named(Call::MountInfo)?,
                _ => {}
            }
        }
        match read {
            0 => Ok(None),
            _ => Err(Failure(Call::MountInfo, Errno::EIO)),
        }
    }

    fn byte(&mut self) -> Done<Option<u8>> {
        if self.next >= self.length {
            self.length = file::read(self.file, &mut self.buffer).named(Call::MountInfo)?;
            self.next = 0;
        }
        let byte = if self.length == 0 { None } else { self.buffer.get(self.next).copied() };
        self.next += 1;
        Ok(byte)
    }
}

impl Drop for MountInfo {
    fn drop(&mut self) {
        let _ = file::close(self.file);
    }
}
