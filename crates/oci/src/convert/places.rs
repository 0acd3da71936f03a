//! Where mounts come from and go to, in an image and among the mounts of one configuration.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, openat, readlinkat};
use rustix::io::Errno;

/// As many as the kernel follows, path_resolution(7).
const MOST_LINKS: u32 = 40;

/// Where in the image a target is that links lead to, where the last of them lead to what is not there: others make it there. `None` where
/// no link is met, or all lead to what is there. Whoever mounts there follows it again, and does not leave the root.
pub(super) fn behind_links(rootfs: &Path, target: &str) -> Option<PathBuf> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let root = openat(CWD, rootfs, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let mut left: VecDeque<OsString> = names(Path::new(target));
    let mut opened = Vec::new();
    let mut at = PathBuf::from("/");
    let mut links = 0;
    while let Some(name) = left.pop_front() {
        if name == ".." {
            opened.pop();
            at.pop();
            continue;
        }
        let above = opened.last().unwrap_or(&root);
        let found = match openat(above, &name, flags, Mode::empty()) {
            Ok(found) => found,
            // From here on nothing is there.
            Err(Errno::NOENT) if links > 0 => return Some(lexically(at.join(name), &left)),
            Err(_) => return None,
        };
        if FileType::from_raw_mode(fstat(&found).ok()?.st_mode) != FileType::Symlink {
            at.push(name);
            opened.push(found);
            continue;
        }
        links += 1;
        if links > MOST_LINKS {
            return None;
        }
        let to = PathBuf::from(OsString::from_vec(readlinkat(&found, "", Vec::new()).ok()?.into_bytes()));
        if to.is_absolute() {
            opened.clear();
            at = PathBuf::from("/");
        }
        names(&to).into_iter().rev().for_each(|name| left.push_front(name));
    }
    None
}

fn names(path: &Path) -> VecDeque<OsString> {
    let of = |part: Component<'_>| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    };
    path.components().filter_map(of).collect()
}

fn lexically(mut at: PathBuf, left: &VecDeque<OsString>) -> PathBuf {
    for name in left {
        match name == ".." {
            true => {
                at.pop();
            }
            false => at.push(name),
        }
    }
    at
}

/// Binds of the same configuration, by their targets in the root: whoever binds what lies below one of them in the image means what that has
/// brought there.
#[derive(Default)]
pub(super) struct Brought(Vec<(PathBuf, Option<PathBuf>)>);

impl Brought {
    /// `source`: of a bind.
    pub(super) fn add(&mut self, target: &str, source: Option<PathBuf>) {
        self.0.push((target.into(), source));
    }

    /// Where the source of a bind really is: a path below the image that an earlier bind lies over is one below that bind's own source.
    /// `Err`: what lies over it is no bind, and is nowhere on the host.
    pub(super) fn find(&self, rootfs: &Path, source: PathBuf) -> Result<PathBuf, PathBuf> {
        let Ok(inside) = source.strip_prefix(rootfs).map(|inside| Path::new("/").join(inside)) else {
            return Ok(source);
        };
        let over = self.0.iter().rev().find(|(target, _)| target != Path::new("/") && inside.starts_with(target));
        match over {
            None => Ok(source),
            Some((target, Some(from))) => match inside.strip_prefix(target) {
                Ok(rest) if rest.as_os_str().is_empty() => Ok(from.clone()),
                Ok(rest) => Ok(from.join(rest)),
                Err(_) => Ok(source),
            },
            Some((target, None)) => Err(target.clone()),
        }
    }
}
