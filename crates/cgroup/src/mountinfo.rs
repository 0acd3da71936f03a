//! `/proc/PID/mountinfo`, see `proc_pid_mountinfo(5)`.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// One line, with blanks still escaped.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mount<'a> {
    id: u64,
    parent: u64,
    /// What of the filesystem is mounted; `/` unless it is a bind mount or seen from a cgroup
    /// namespace.
    pub(crate) root: &'a str,
    pub(crate) point: &'a str,
    mount_options: &'a str,
    pub(crate) fs_type: &'a str,
    fs_options: &'a str,
}

impl<'a> Mount<'a> {
    /// The filesystem's own options; for cgroup v1 they name its controllers.
    pub(crate) fn options(&self) -> impl Iterator<Item = &'a str> {
        self.fs_options.split(',')
    }

    pub(crate) fn is_read_only(&self) -> bool {
        self.mount_options.split(',').chain(self.options()).any(|option| option == "ro")
    }
}

/// Every line that is one; the others are passed over.
pub(crate) fn parse(text: &str) -> Vec<Mount<'_>> {
    text.lines().filter_map(parse_line).collect()
}

fn parse_line(line: &str) -> Option<Mount<'_>> {
    // 36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
    let (first, second) = line.split_once(" - ")?;
    let mut first = first.split(' ');
    let id = first.next()?.parse().ok()?;
    let parent = first.next()?.parse().ok()?;
    let _device = first.next()?;
    let (root, point, mount_options) = (first.next()?, first.next()?, first.next()?);
    let mut second = second.split(' ');
    let fs_type = second.next()?;
    let _source = second.next()?;
    let fs_options = second.next().unwrap_or_default();
    Some(Mount { id, parent, root, point, mount_options, fs_type, fs_options })
}

/// Undoes `\040` for a blank, `\011`, `\012` and `\134`.
pub(crate) fn unescape(text: &str) -> PathBuf {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match bytes.get(at + 1..at + 4).and_then(octal) {
            Some(escaped) if byte == b'\\' => {
                out.push(escaped);
                at += 4;
            }
            _ => {
                out.push(byte);
                at += 1;
            }
        }
    }
    PathBuf::from(OsString::from_vec(out))
}

fn octal(digits: &[u8]) -> Option<u8> {
    let value = digits.iter().try_fold(0u32, |value, &digit| match digit {
        b'0'..=b'7' => Some(value * 8 + u32::from(digit - b'0')),
        _ => None,
    })?;
    u8::try_from(value).ok()
}

/// Whether a path lookup reaches this mount: no other one lies over it or over a directory that
/// leads to it.
pub(crate) fn is_visible(mount: &Mount<'_>, all: &[Mount<'_>]) -> bool {
    let chain = chain_of(mount, all);
    // In each mount on the way the lookup goes as far as where the next one is, in the last to its root.
    let ends = std::iter::once(mount.point).chain(chain.iter().map(|mount| mount.point));
    !chain.iter().zip(ends).any(|(on, end)| {
        all.iter().any(|other| {
            other.parent == on.id
                && !chain.iter().any(|passed| passed.id == other.id)
                && Path::new(end).starts_with(Path::new(other.point))
        })
    })
}

/// The mount and what it is mounted on, up to the root.
fn chain_of<'m, 'a>(mount: &'m Mount<'a>, all: &'m [Mount<'a>]) -> Vec<&'m Mount<'a>> {
    let mut chain = vec![mount];
    let mut next = mount.parent;
    while let Some(mount) = all.iter().find(|m| m.id == next) {
        if chain.iter().any(|passed| passed.id == mount.id) {
            break;
        }
        chain.push(mount);
        next = mount.parent;
    }
    chain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_undone_and_other_backslashes_kept() {
        assert_eq!(unescape(r"/a\040b\134c\011"), PathBuf::from("/a b\\c\t"));
        assert_eq!(unescape(r"/a\09\777\1"), PathBuf::from(r"/a\09\777\1"));
    }

    #[test]
    fn a_mount_under_another_is_not_visible() {
        let mounts = parse(
            "1 0 8:1 / / rw - ext4 /dev/sda rw\n\
             2 1 0:5 / /sys rw - sysfs sysfs rw\n\
             3 2 0:6 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n\
             5 3 0:8 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n\
             6 5 0:6 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
        );
        let visible: Vec<u64> = mounts.iter().filter(|m| is_visible(m, &mounts)).map(|m| m.id).collect();
        assert_eq!(visible, [1, 2, 5, 6]);
    }

    #[test]
    fn what_a_cover_covers_hides_nothing_of_the_cover() {
        let mounts = parse(
            "1 0 8:1 / / rw - ext4 /dev/sda rw\n\
             2 1 0:5 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n\
             3 2 0:6 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n\
             4 2 0:5 / /sys/fs/cgroup rw,idmapped - tmpfs tmpfs rw\n\
             5 4 0:6 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n",
        );
        let visible: Vec<u64> = mounts.iter().filter(|m| is_visible(m, &mounts)).map(|m| m.id).collect();
        assert_eq!(visible, [1, 4, 5]);
    }

    #[test]
    fn a_mount_below_a_covered_directory_is_not_visible() {
        let mounts = parse(
            "1 0 8:1 / / rw - ext4 /dev/sda rw\n\
             2 1 0:6 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
             3 1 0:7 / /sys/fs rw - tmpfs tmpfs rw\n",
        );
        assert!(!is_visible(&mounts[1], &mounts));
    }
}
