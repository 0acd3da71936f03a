//! An empty home and temporary directory for a command without a mount namespace: a directory of the host that goes at its end.
//!
//! It lies where the caller's temporary files do. Whoever made it has a lock on it, flock(2), which the kernel takes from the dead: so
//! that of a killed spawner is found and removed by a later start, and by `gc`. A command that may outlive its spawner has none.

use std::collections::hash_map::RandomState;
use std::ffi::OsStr;
use std::hash::{BuildHasher, Hasher};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use rustix::fs::{
    AtFlags, CWD, Dir, FileType, FlockOperation, Gid, Mode, OFlags, Uid, fchmod, fchown, flock, fstat, mkdirat, openat,
    statat, unlinkat,
};
use rustix::io::Errno;
use rustix::process::geteuid;
use seclude_request::Field;

use super::{Preparation, Step};
use crate::action::Describe;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::host::Host;
use crate::remove::{self, Known};

const NAME: &str = "directory";
/// What its name begins with; sixteen digits follow, which nobody can guess.
const PREFIX: &str = "seclude-";
/// The mode of one whose command runs as another user, who may go through it and no more.
const FOR_ANOTHER: Mode = Mode::RWXU.union(Mode::XGRP).union(Mode::XOTH);
/// Until it is that old, it may be that its maker has no lock on it yet.
const YOUNG: Duration = Duration::from_secs(5);

/// Where the next one is to be.
pub(crate) fn next() -> PathBuf {
    let number = RandomState::new().build_hasher().finish();
    above().join(format!("{PREFIX}{number:016x}"))
}

/// Where they all are: where TMPDIR says, if nobody else moves there what is the caller's.
fn above() -> PathBuf {
    let named = std::env::temp_dir();
    let is_kept = openat(CWD, &named, AS_DIRECTORY, Mode::empty()).is_ok_and(|opened| keeps(&opened, &named).is_ok());
    if is_kept { named } else { PathBuf::from("/tmp") }
}

/// Whether nobody but the caller and root can rename in it what is theirs: a name and an owner would be no sign of who has made it. Else who
/// can.
fn keeps(directory: &OwnedFd, path: &Path) -> Result<(), &'static str> {
    let found = fstat(directory).map_err(|_| "nobody can tell who")?;
    let mode = Mode::from_raw_mode(found.st_mode);
    // In a user namespace without the host's root that is who is in none of its maps, as is everybody else: of /tmp it is root.
    let is_root =
        found.st_uid == 0 || (path == Path::new("/tmp") && found.st_uid == overflow() && !Host::has_all_ids());
    if !is_root && found.st_uid != geteuid().as_raw() {
        return Err("its owner, who is neither root nor the caller,");
    }
    let others_write = mode.intersects(Mode::WGRP | Mode::WOTH);
    if others_write && !mode.contains(Mode::SVTX) { Err("others, as it is not sticky (chmod +t),") } else { Ok(()) }
}

/// Whom files belong to that a user namespace has no id for, user_namespaces(7).
fn overflow() -> u32 {
    let number = std::fs::read_to_string("/proc/sys/fs/overflowuid").ok().and_then(|number| number.trim().parse().ok());
    number.unwrap_or(65534)
}

const AS_DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// The home in it.
pub(crate) fn home(own: &Path) -> PathBuf {
    own.join("home")
}

/// Where temporary files go.
pub(crate) fn temporary(own: &Path) -> PathBuf {
    own.join("tmp")
}

/// It, once it is made.
pub(super) type Made = Arc<OnceLock<Arc<OwnedFd>>>;

struct OwnDirectory {
    path: PathBuf,
    /// Whose the places in it are, if they are not the caller's.
    user: Option<(u32, u32)>,
    made: Made,
}

pub(super) fn compile(command: &Config, made: &Made) -> Option<Box<dyn Step>> {
    let path = command.own_directory.clone()?;
    let identity = &command.identity;
    let user = identity.uid.or(identity.gid).map(|id| (identity.uid.unwrap_or(id), identity.gid.unwrap_or(id)));
    Some(Box::new(OwnDirectory { path, user, made: made.clone() }))
}

impl Step for OwnDirectory {
    fn name(&self) -> &'static str {
        NAME
    }

    fn field(&self) -> Option<Field> {
        Some(Field::of("no_namespaces"))
    }

    fn prepare(&mut self, preparation: &mut Preparation<'_>) -> Result<()> {
        // (No `Once`: a thread of the process that this one was forked from may have been in it.)
        static SWEPT: AtomicBool = AtomicBool::new(false);
        if !SWEPT.swap(true, Ordering::Relaxed) {
            drop(sweep());
        }
        let path = &self.path;
        let failed = |call: &'static str| {
            move |errno: Errno| {
                // What was just made is ours to change.
                let filtered = (errno == Errno::PERM)
                    .then_some("a filter that this process is in, as an outer sandbox has one, refuses it");
                Error::parent(NAME, format!("{}", path.display()), errno).call(call).path_of(path).hint_if(filtered)
            }
        };
        let (Some(above), Some(name)) = (self.path.parent(), self.path.file_name().and_then(OsStr::to_str)) else {
            return Err(Error::invalid(NAME, "it has no name"));
        };
        let plain = AS_DIRECTORY;
        let parent = openat(CWD, above, plain, Mode::empty()).map_err(failed("openat"))?;
        if let Err(who) = keeps(&parent, above) {
            let action = format!("{}: {who} can rename what is made there", above.display());
            return Err(Error::invalid(NAME, action).hint("name another directory as TMPDIR"));
        }
        mkdirat(&parent, name, Mode::RWXU).map_err(failed("mkdirat"))?;
        let made = openat(&parent, name, plain | OFlags::NOFOLLOW, Mode::empty()).map_err(failed("openat"));
        let made = match made {
            Ok(made) => Arc::new(made),
            Err(error) => {
                let _ = unlinkat(&parent, name, AtFlags::REMOVEDIR);
                return Err(error);
            }
        };
        let (held, left) = (made.clone(), made.clone());
        let name = name.to_owned();
        let owner = self.user.map_or(geteuid().as_raw(), |(uid, _)| uid);
        preparation.ledger.push_leaving(
            format!("{}", self.path.display()),
            move || {
                // Until it is gone nobody else is to look for it.
                let made = held;
                remove::Directory { parent: &parent, name: &name, known: Known::Made(&made, owner) }.remove()
            },
            // As long as this process lives, so does what uses it.
            move || std::mem::forget(left),
        );
        flock(&made, FlockOperation::NonBlockingLockExclusive).map_err(failed("flock"))?;
        let mode = if self.user.is_some() { FOR_ANOTHER } else { Mode::RWXU };
        fchmod(&made, mode).map_err(failed("fchmod"))?;
        for place in [home(&self.path), temporary(&self.path)] {
            let Some(name) = place.file_name() else { continue };
            mkdirat(&made, name, Mode::RWXU).map_err(failed("mkdirat"))?;
            let opened = openat(&made, name, plain | OFlags::NOFOLLOW, Mode::empty()).map_err(failed("openat"))?;
            fchmod(&opened, Mode::RWXU).map_err(failed("fchmod"))?;
            if let Some((uid, gid)) = self.user {
                fchown(&opened, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid))).map_err(failed("fchown"))?;
            }
        }
        let _ = self.made.set(made);
        Ok(())
    }

    fn describe(&self, to: &mut Describe) {
        let shown = self.path.display();
        to.prepare(
            NAME,
            format!("make {shown}, which goes at the end, with an empty home and temporary directory in it"),
        );
    }
}

/// As whom its command ran: of a directory that the command could change it is whoever made it.
fn owner_in(made: &OwnedFd) -> Option<u32> {
    let is_anothers = Mode::from_raw_mode(fstat(made).ok()?.st_mode) == FOR_ANOTHER;
    let home = statat(made, home(Path::new("")), AtFlags::SYMLINK_NOFOLLOW).ok();
    let home = home.filter(|home| is_anothers && FileType::from_raw_mode(home.st_mode) == FileType::Directory);
    Some(home.map_or(geteuid().as_raw(), |home| home.st_uid))
}

/// Removes those whose makers are dead; answers their paths. What cannot be looked at, or is somebody else's, stays.
pub(crate) fn sweep() -> Vec<String> {
    let (above, flags) = (above(), AS_DIRECTORY);
    let Ok(parent) = openat(CWD, &above, flags, Mode::empty()) else { return Vec::new() };
    if keeps(&parent, &above).is_err() {
        return Vec::new();
    }
    let Ok(entries) = Dir::read_from(&parent) else { return Vec::new() };
    let names = entries.flatten().filter_map(|entry| entry.file_name().to_str().ok().map(str::to_owned));
    let is_one = |name: &String| {
        name.strip_prefix(PREFIX)
            .is_some_and(|number| number.len() == 16 && number.bytes().all(|b| b.is_ascii_hexdigit()))
    };
    let dead = |name: &String| -> Option<OwnedFd> {
        let opened = openat(&parent, name.as_str(), flags | OFlags::NOFOLLOW, Mode::empty()).ok()?;
        let found = fstat(&opened).ok()?;
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let is_old = u64::try_from(found.st_mtime).is_ok_and(|changed| now.as_secs() > changed + YOUNG.as_secs());
        let is_ours =
            found.st_uid == geteuid().as_raw() && FileType::from_raw_mode(found.st_mode) == FileType::Directory;
        // The lock is kept by nobody: what holds it next to us is another sweep, and both may remove it.
        (is_ours && is_old && flock(&opened, FlockOperation::NonBlockingLockExclusive).is_ok()).then_some(opened)
    };
    let remove = |name: &String| {
        let made = dead(name)?;
        remove::Directory { parent: &parent, name, known: Known::Made(&made, owner_in(&made)?) }.remove().ok()
    };
    names
        .filter(is_one)
        .filter(|name| remove(name).is_some())
        .map(|name| above.join(name).display().to_string())
        .collect()
}
