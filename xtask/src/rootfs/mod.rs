//! `cargo xtask rootfs`: the roots that tests run in. Each is made once, in a directory beside its place, and moved
//! there when it is whole; it is made anew when its recipe changes.

mod busybox;
mod debian;

use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use rustix::fs::{FlockOperation, flock};

use crate::architecture::Architecture;
use crate::progress::Progress;
use crate::workspace;

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Which {
    /// A Debian with the programs that the tests run; needs root and debootstrap, about two minutes, 600 MB
    Debian,
    /// One static busybox and a link for each of its commands
    Busybox,
    /// A Debian with containerd, Docker, Slurm, etcd and Go, which nodes of clusters are made of; needs root and debootstrap, about three minutes, 1.3 GB
    Node,
    /// Those that the tests need: debian and busybox
    All,
}

pub(crate) fn make(which: Which) -> Result<()> {
    if matches!(which, Which::Busybox | Which::All) {
        println!("{}", busybox::make()?.display());
    }
    if matches!(which, Which::Debian | Which::All) {
        println!("{}", debian::make()?.display());
    }
    if which == Which::Node {
        println!("{}", node()?.display());
    }
    Ok(())
}

/// The Debian, made if it is not there.
pub(crate) fn debian() -> Result<PathBuf> {
    debian::make()
}

/// What the nodes of clusters are made of.
pub(crate) fn node() -> Result<PathBuf> {
    debian::make_node()
}

/// The host that tests have in a virtual machine, and what changes when it is made anew.
/// Of another architecture only debootstrap's first stage is done, and the second has to be in a machine of it.
pub(crate) fn make_host(architecture: Architecture) -> Result<(PathBuf, PathBuf)> {
    let root = debian::make_host(architecture)?;
    Ok((root, Place::of(debian::host_name(architecture)).stamp))
}

/// A root's place, and the files beside it.
struct Place {
    root: PathBuf,
    /// Where it is being made.
    new: PathBuf,
    /// What it replaces, until that is removed.
    old: PathBuf,
    /// The recipe it was made by; written last.
    stamp: PathBuf,
    /// What its making said.
    log: PathBuf,
    /// Held while it is made: two of us must not.
    lock: PathBuf,
}

impl Place {
    fn of(name: &str) -> Place {
        let directory = workspace::target().join("rootfs");
        let beside = |what: &str| directory.join(format!(".{name}.{what}"));
        Place {
            root: directory.join(name),
            new: beside("new"),
            old: beside("old"),
            stamp: beside("stamp"),
            log: beside("log"),
            lock: beside("lock"),
        }
    }

    fn is_made_by(&self, recipe: &str) -> bool {
        self.root.is_dir() && fs::read_to_string(&self.stamp).is_ok_and(|stamp| stamp == recipe)
    }
}

/// The root of this name made by this recipe: the one that is there, or a new one.
fn ensure(name: &str, recipe: &str, build: impl FnOnce(&Place, &mut Progress) -> Result<()>) -> Result<PathBuf> {
    let place = Place::of(name);
    // Also for users who could not make it, nor lock it.
    if place.is_made_by(recipe) {
        return Ok(place.root);
    }
    let mut progress = Progress::new();
    if let Some(directory) = place.root.parent() {
        make_directory(directory)?;
    }
    let lock = File::create(&place.lock).with_context(|| format!("create {}", place.lock.display()))?;
    if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
        progress.show(&format!("{name}: somebody else is making it"));
        flock(&lock, FlockOperation::LockExclusive).context("flock")?;
    }
    if place.is_made_by(recipe) {
        return Ok(place.root);
    }
    for left in [&place.new, &place.old] {
        remove(left)?;
    }
    make_directory(&place.new)?;
    build(&place, &mut progress).with_context(|| format!("the root {name} was not made"))?;

    progress.show(&format!("{name}: moving it to its place"));
    // Without its stamp the old one is not believed, whatever happens on the way.
    match fs::remove_file(&place.stamp) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error).context("remove the stamp"),
        _ => {}
    }
    if place.root.exists() {
        fs::rename(&place.root, &place.old).context("move the old root away")?;
    }
    fs::rename(&place.new, &place.root).context("move the new root to its place")?;
    fs::write(&place.stamp, recipe).context("write the stamp")?;
    remove(&place.old)?;
    Ok(place.root)
}

/// A directory that everybody can read, whatever our umask.
fn make_directory(path: &Path) -> Result<()> {
    let made = DirBuilder::new().recursive(true).mode(0o755).create(path);
    made.and_then(|()| fs::set_permissions(path, Permissions::from_mode(0o755)))
        .with_context(|| format!("make {}", path.display()))
}

/// Removes a tree, unless something is mounted in it: that would be removed too.
fn remove(tree: &Path) -> Result<()> {
    if !tree.exists() {
        return Ok(());
    }
    let own = tree.canonicalize()?;
    let mounts = fs::read_to_string("/proc/self/mountinfo").context("read the mounts")?;
    // The fifth field is where it is, proc_pid_mountinfo(5), with blanks written as \040.
    let places = mounts.lines().filter_map(|line| line.split(' ').nth(4)).map(|place| place.replace("\\040", " "));
    if let Some(place) = places.into_iter().find(|place| Path::new(place).starts_with(&own)) {
        bail!("{place} is a mount: unmount it, then {} can be made anew", own.display());
    }
    fs::remove_dir_all(tree).with_context(|| format!("remove {}", tree.display()))
}

/// Lets everybody read what is below: tests use the root as ordinary users too, to whom its owner is a stranger.
fn open_to_all(directory: &Path) -> Result<()> {
    for entry in fs::read_dir(directory).with_context(|| format!("read {}", directory.display()))? {
        let path = entry?.path();
        let kind = fs::symlink_metadata(&path)?;
        let mode = kind.permissions().mode();
        let more = match (kind.is_dir(), kind.is_file()) {
            (true, _) => 0o755,
            (_, true) => 0o444,
            _ => continue,
        };
        if mode & more != more {
            fs::set_permissions(&path, Permissions::from_mode(mode | more))
                .with_context(|| format!("chmod {}", path.display()))?;
        }
        if kind.is_dir() {
            open_to_all(&path)?;
        }
    }
    Ok(())
}
