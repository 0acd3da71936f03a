//! What the process sees as `/`, and leaving the host's tree behind.

use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, Mode, OFlags, StatxFlags, open, statx};

use seclude_child::op::Place;
use seclude_child::{Op, Slot};
use seclude_request::{Field, Remedy};
use seclude_sys::Fd;
use seclude_sys::mount::{MOUNT_ATTR_NODEV, MOUNT_ATTR_NOSUID, MOUNT_ATTR_RDONLY};

use super::layered_host::LayeredHost;
use super::mount::{
    self,
    overlay::{OverlayMount, Way},
};
use super::mount::{own_namespaces, tmpfs};
use super::show::{self, Show};
use super::user::{self, Ids};
use super::{Preparation, Step, names};
use crate::action::Describe;
use crate::advice::Hint;
use crate::config::Config;
use crate::config::attributes::Propagation;
use crate::config::mount::{Mount, MountKind, Source};
use crate::config::namespace::Namespace;
use crate::config::preset::Preset;
use crate::config::root::{Root, RootKind, Upper};
use crate::error::{Error, Result};
use crate::host::Host;
use crate::places::MOST_IN_MEMORY;
use crate::program::Program;
use crate::report::RootMade;

pub(super) const NAME: &str = "root";

/// The tree in which the mounts are made.
pub(super) struct Tree {
    root: Kind,
    read_only: bool,
    /// Not before all mounts are made.
    closed: bool,
    propagation: Option<Propagation>,
    left: Left,
    scratch: bool,
    /// The most bytes of what is kept in memory besides the root.
    bound: Option<u64>,
    devices: bool,
    /// What is written of the host is where others do not come.
    is_apart: bool,
    about: String,
    /// On the mount points of the host's own tree.
    lock: Option<Arc<OwnedFd>>,
}

/// How the host's tree is left behind.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Left {
    /// pivot_root(2).
    Pivoted,
    /// chroot(2), in a mount namespace of its own; `moved`: the root has to come back over the host's.
    Below { moved: bool },
    /// chroot(2), in the caller's own.
    InPlace,
}

enum Kind {
    /// The namespace's own copy of the caller's tree; `mounted`: with mounts made in it.
    Kept {
        mounted: bool,
    },
    /// A tree of the host, of which the mount namespace is made.
    Entered(Show),
    /// A tree of the host, `/` among them: another copy, so that sources are looked up in the tree as it was, not below
    /// what was mounted meanwhile.
    Directory(Show),
    Overlay(Box<OverlayMount>),
    /// A tmpfs of at most so many bytes.
    Memory(u64),
    /// An ephemeral overlay over the host's whole tree, which takes more than one.
    LayeredHost(LayeredHost),
}

pub(super) fn compile(command: &Config, host: &Host) -> Result<Option<Tree>> {
    let in_place = command.root.as_ref().filter(|root| root.in_place && has_tree(command));
    if !command.namespaces.is_new(Namespace::Mount) && in_place.is_none() {
        let why = "it needs a new mount namespace: the mounts would be the host's own";
        let remedy = || Hint::from("have one").with([Remedy::set("namespaces.mount", "new")]);
        if command.root.is_some() {
            return Err(Error::invalid(NAME, why).at("root").contradicting().hint(remedy()));
        }
        if let Some(mount) = command.mounts.first() {
            let error = Error::invalid("mount", format!("{}: {why}", mount.target.display())).contradicting();
            let error = error.hint(remedy());
            return Err(match mount.preset {
                true => error.at("namespaces.mount"),
                false => match mount.shown {
                    Some((written, index)) => error.at_field(Field::of(if written { "rw" } else { "ro" }).index(index)),
                    None => error.mount_of(0).at("mounts[0]"),
                },
            });
        }
        return Ok(None);
    }
    let names = names::are_wanted(command);
    let scratch = names
        || command.mounts.iter().any(|mount| matches!(mount.kind, MountKind::File { .. } | MountKind::Overlay { .. }));
    let mounted = !command.mounts.is_empty() || names;
    let stays = !names && stays(command);
    let ids = user::ids_of_files(command, host);
    let written = command.root.as_ref().is_none_or(|root| !root.read_only || root.closed);
    // Only a copy that is not attached can have other ids.
    let stays = stays && ids == Ids::Callers;
    let of_the_host = || match stays {
        true => Kind::Kept { mounted: true },
        false => Kind::Directory(Show::new(Path::new("/"), true, written, ids).takes_mounts(mounted)),
    };
    let mounted = mounted || ids == Ids::Containers;
    let root = if mounted { of_the_host() } else { Kind::Kept { mounted } };
    let devices = command.mounts.iter().any(mount::takes_devices);
    let about = "the host's tree, writable".to_owned();
    let mut tree = Tree {
        root,
        read_only: false,
        closed: false,
        propagation: None,
        left: Left::Pivoted,
        scratch,
        bound: None,
        devices,
        is_apart: own_namespaces::may_copy_set_id(command, host),
        about,
        lock: None,
    };
    if command.max_tmp.is_some() && !command.root.as_ref().is_some_and(Root::is_curated) {
        let why = "the sandbox's own root alone has directories in memory that it could bound";
        return Err(Error::invalid(NAME, why).at("max_tmp").contradicting());
    }
    let curated = command.root.as_ref().is_some_and(Root::is_curated);
    if let Some((path, errno)) = host.places.unread.as_ref().filter(|_| curated) {
        let errno = rustix::io::Errno::from_raw_os_error(*errno);
        let action = format!("look at what the host has at {}", path.display());
        return Err(Error::parent(NAME, action, errno).path_of(path));
    }
    if let Some(root) = &command.root {
        tree.read_only = root.read_only;
        (tree.closed, tree.propagation) = (root.closed, root.propagation);
        tree.about = root.describe();
        match &root.kind {
            RootKind::Host => tree.root = of_the_host(),
            RootKind::Sandbox if command.preset != Preset::Sandbox => {
                let why = "the sandbox's root belongs to the sandbox: begin from that preset";
                return Err(Error::invalid(NAME, why).at("root").contradicting());
            }
            RootKind::Sandbox => tree.root = Kind::Memory(command.max_tmp.unwrap_or(MOST_IN_MEMORY)),
            RootKind::Directory(source) if source.is_path(Path::new("/")) => tree.root = of_the_host(),
            RootKind::Directory(source) => {
                if let Source::Path(path) = source {
                    absolute(NAME, path).map_err(|error| error.at("root.path"))?;
                }
                // Below a directory that the container's ids may not search, as a bundle's is.
                let by_parent = mount::reaches_further(command, host);
                let show = Show::of(source.clone(), true, written, ids).takes_mounts(mounted).made_by_parent(by_parent);
                let show = show.only_as_named(command.is_sandboxed());
                let entered = host.tree_namespaces && is_all(command);
                tree.root = if entered { Kind::Entered(show) } else { Kind::Directory(show) };
            }
            RootKind::Overlay(overlay) => {
                if root.shows_the_host() && overlay.upper == Upper::Ephemeral {
                    if root.read_only {
                        return Err(Error::invalid(
                            NAME,
                            "writes over the host's tree that are kept in memory, and read-only",
                        )
                        .at("root.read_only")
                        .hint("ask for one of them"));
                    }
                    tree.scratch = true;
                    tree.bound = overlay.curated.then(|| command.max_tmp.unwrap_or(MOST_IN_MEMORY));
                    let parts = overlay.curated.then_some(&host.places);
                    tree.root = Kind::LayeredHost(LayeredHost::new(Way::of(command, host), parts, tree.bound));
                } else {
                    tree.scratch = true;
                    let overlay = OverlayMount::compile(NAME, overlay, Way::of(command, host), "root")
                        .map_err(|error| error.within(&Field::of("root")))?;
                    tree.root = Kind::Overlay(Box::new(overlay));
                }
            }
        }
        if root.chroot || root.in_place {
            tree.left = left(command, root, &tree)?;
        }
    }
    Ok(Some(tree))
}

fn left(command: &Config, root: &Root, tree: &Tree) -> Result<Left> {
    let by_path = matches!(&tree.root, Kind::Directory(show) | Kind::Entered(show) if show.is_by_path());
    if !by_path || tree.scratch {
        let why = "only a directory, with mounts that need none of ours, can be a root in a mount namespace that is not new, or by chroot";
        return Err(Error::invalid(NAME, why).at("root").contradicting());
    }
    Ok(match &tree.root {
        // There is nothing of the host's in there.
        Kind::Entered(_) => Left::Pivoted,
        _ if !root.chroot => Left::Pivoted,
        _ if is_callers(command) => Left::InPlace,
        _ => Left::Below { moved: super::attends_mounts(command) },
    })
}

fn is_callers(command: &Config) -> bool {
    !command.namespaces.is_new(Namespace::Mount) && !command.namespaces.is_joined(Namespace::Mount)
}

/// Whether mounts are made: in a namespace of its own, or where the caller has said that others are to see them.
pub(crate) fn has_tree(command: &Config) -> bool {
    let spaces = &command.namespaces;
    let in_place = command.root.as_ref().filter(|root| root.in_place);
    spaces.is_new(Namespace::Mount) || in_place.is_some_and(|root| spaces.is_joined(Namespace::Mount) || root.chroot)
}

/// Whether the host's tree can be the container's without a second copy, and without a pivot from one to the other: no mount
/// has a source in it. Only below a user namespace, which the kernel gives to nobody in a chroot(2): a container would not
/// be held by its caller's.
fn stays(command: &Config) -> bool {
    command.namespaces.is_new(Namespace::User) && command.mounts.iter().all(mount::leaves_the_host_as_it_was)
}

/// Whether a directory is all that the container needs of the host's tree, so that its mount namespace can be made of that
/// alone, where the kernel can: no other mount of the host is copied then.
pub(crate) fn is_all(command: &Config) -> bool {
    let spaces = &command.namespaces;
    let directory = |root: &Root| matches!(&root.kind, RootKind::Directory(source) if !source.is_path(Path::new("/")));
    command.root.as_ref().is_some_and(directory)
        && spaces.is_new(Namespace::Mount)
        && spaces.joined().next().is_none()
        && command.terminal.is_none()
        // Whoever enters it then wants the rest of the host's tree.
        && !super::attends_mounts(command)
        && !names::are_wanted(command)
        && !command.mounts.iter().any(mount::takes_from_the_host)
        // The kernel gives a user namespace a /proc or /sys only where there is a whole one already: EPERM, Linux 7.3.
        && !spaces.is_new(Namespace::User)
}

pub(super) fn absolute(step: &'static str, path: &std::path::Path) -> Result<()> {
    if path.as_os_str().as_encoded_bytes().contains(&0) {
        return Err(Error::invalid(step, format!("{path:?} has a NUL byte in it")));
    }
    if path.is_absolute() {
        return Ok(());
    }
    Err(Error::invalid(step, format!("{} is not an absolute path", path.display())))
}

impl Tree {
    fn is_replaced(&self) -> bool {
        !matches!(self.root, Kind::Kept { .. } | Kind::Entered(_))
    }

    /// Whether there is a root in which mounts were made.
    fn is_built(&self) -> bool {
        !matches!(self.root, Kind::Kept { mounted: false })
    }

    /// Where in the host's tree it can lie while others look at it, if it lies over that one's root.
    pub(super) fn moves_to(&self) -> Option<&Path> {
        match &self.root {
            Kind::Directory(show) if !self.scratch && show.is_by_path() && self.left != Left::InPlace => {
                Some(show.path())
            }
            _ => None,
        }
    }

    /// Below our root, which is attached on top of it: no path in there passes it, whatever symlinks it has.
    fn attach_scratch(&self, program: &mut Program<'_>) {
        if !self.scratch {
            return;
        }
        program.about("scratch tmpfs");
        program.push(Op::FsOpen { kind: c"tmpfs", into: Slot::SCRATCH });
        program.push(Op::FsString { fs: Slot::SCRATCH, key: c"mode", value: c"755" });
        if let Some(bytes) = self.bound {
            tmpfs::bound(program, Slot::SCRATCH, bytes);
        }
        program.push(Op::FsMount { fs: Slot::SCRATCH, attributes: MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV });
        program.push(Op::Attach { mount: Slot::SCRATCH, onto: Slot::HOST });
    }

    /// An overlay with an upper takes the targets of mounts as well as the command's writes, so it is closed after
    /// them; any other read-only root is never written, not even for a target.
    fn is_read_only_at_the_end(&self) -> bool {
        let takes_writes = match &self.root {
            Kind::Overlay(overlay) => !matches!(overlay.upper(), Upper::None),
            Kind::Memory(_) => true,
            Kind::Kept { .. } | Kind::Entered(_) | Kind::Directory(_) | Kind::LayeredHost(_) => false,
        };
        self.read_only && (takes_writes || self.closed)
    }
}

impl Step for Tree {
    fn name(&self) -> &'static str {
        NAME
    }

    fn field(&self) -> Option<Field> {
        Some(Field::of("root"))
    }

    fn prepare(&mut self, preparation: &mut Preparation<'_>) -> Result<()> {
        preparation.report.root = Some(match self.root {
            Kind::Kept { .. } => RootMade::Kept,
            Kind::Entered(_) => RootMade::Entered,
            Kind::Directory(_) if self.left != Left::Pivoted => RootMade::Changed,
            Kind::Directory(_) | Kind::Overlay(_) | Kind::Memory(_) | Kind::LayeredHost(_) => RootMade::Pivoted,
        });
        match &mut self.root {
            Kind::Kept { mounted: true } if !self.read_only => {
                let failed = |errno| Error::parent(NAME, &self.about, errno).call("openat").path_of("/");
                let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
                let root = open("/", flags, Mode::empty()).map_err(failed)?;
                let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
                let found = statx(&root, c"", flags, StatxFlags::TYPE).map_err(failed)?;
                let root = Arc::new(root);
                self.lock = preparation.share_mount_points(&root, &found).map_err(failed)?;
                match self.is_apart {
                    true => own_namespaces::is_apart(NAME, Path::new("/"), Some(&root), &found),
                    false => Ok(()),
                }
            }
            Kind::Kept { .. } | Kind::Memory(_) => Ok(()),
            Kind::Directory(show) | Kind::Entered(show) => {
                let found = show::directory(show, NAME, |path| path.display().to_string(), preparation)?;
                if self.is_apart && !self.read_only {
                    own_namespaces::is_apart(NAME, show.path(), show.opened(), &found)
                        .map_err(|error| error.at("root.path"))?;
                }
                show.look_where(NAME).map_err(|error| error.at("root.path"))
            }
            Kind::Overlay(overlay) => {
                overlay.prepare(NAME, preparation).map_err(|error| error.within(&Field::of("root")))
            }
            Kind::LayeredHost(layers) => layers.prepare(preparation),
        }
    }

    fn part(&self, number: u16) -> Option<&Path> {
        if let Kind::LayeredHost(layers) = &self.root { layers.part(number) } else { None }
    }

    fn keeps(&self) -> Vec<Fd> {
        match &self.root {
            Kind::Kept { .. } => self.lock.iter().map(|lock| Fd(lock.as_raw_fd())).collect(),
            Kind::Directory(show) | Kind::Entered(show) => show.keeps().collect(),
            Kind::Overlay(overlay) => overlay.keeps(),
            Kind::Memory(_) => Vec::new(),
            Kind::LayeredHost(layers) => layers.keeps(),
        }
    }

    fn ops<'a>(&'a self, program: &mut Program<'a>) {
        // Creation modes below are meant as they are written.
        program.about("umask of set-up");
        program.push(Op::Umask { mask: Some(0) });
        if let Kind::Entered(show) = &self.root {
            program.about(&self.about);
            // It is in its caller's namespace still, so what the parent has open is what it wants.
            program.push(Op::EnterTree { source: show.source().unwrap_or(Fd::NONE) });
        }
        if let Some(lock) = &self.lock {
            program.hold_in_init(Fd(lock.as_raw_fd()));
        }
        if self.left != Left::InPlace {
            program.about("make every mount private");
            program.push(Op::MakePrivate);
        }
        program.about(&self.about);
        match &self.root {
            Kind::Kept { mounted: false } => return,
            Kind::Kept { mounted: true } | Kind::Entered(_) => {
                program.push(Op::OpenHost { directory: c"/", into: Slot::ROOT });
            }
            _ => program.push(Op::OpenHost { directory: c"/", into: Slot::HOST }),
        }
        match &self.root {
            Kind::Kept { .. } | Kind::Entered(_) => {}
            Kind::Directory(show) => {
                // A copy of the caller's `/` would have the scratch tmpfs in it.
                show.copy(program, Slot::ROOT);
                self.attach_scratch(program);
            }
            Kind::Overlay(overlay) => {
                self.attach_scratch(program);
                overlay.make(program, Slot::ROOT, 0);
            }
            Kind::Memory(size) => {
                self.attach_scratch(program);
                program.push(Op::FsOpen { kind: c"tmpfs", into: Slot::ROOT });
                tmpfs::bound(program, Slot::ROOT, *size);
                program.push(Op::FsString { fs: Slot::ROOT, key: c"mode", value: c"755" });
                program.push(Op::FsMount { fs: Slot::ROOT, attributes: MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV });
            }
            Kind::LayeredHost(layers) => {
                self.attach_scratch(program);
                layers.make_root(program);
            }
        }
        program.about(&self.about);
        match &self.root {
            Kind::Directory(show) if self.left == Left::InPlace => {
                let onto = program.text(show.path());
                program.push(Op::RootInPlace { onto });
            }
            _ if self.is_replaced() => program.push(Op::Attach { mount: Slot::ROOT, onto: Slot::HOST }),
            _ => {}
        }
        if let Kind::Directory(show) = &self.root {
            show.covers(program, Slot::ROOT);
        }
        if self.read_only && !self.is_read_only_at_the_end() {
            read_only(program, true);
        }
        if let Kind::LayeredHost(layers) = &self.root {
            layers.make_parts(program);
        }
        // Before any mount that could lie over it.
        if self.devices {
            program.about("the host's devices");
            program.push(Op::OpenHost { directory: c"/dev", into: Slot::HOST_DEV });
        }
    }

    fn describe(&self, to: &mut Describe) {
        match &self.root {
            Kind::Kept { .. } | Kind::Memory(_) => {}
            Kind::Directory(show) | Kind::Entered(show) => to.prepare(NAME, show.describe()),
            Kind::LayeredHost(_) => to.prepare(
                NAME,
                "list /: each directory without mounts below it gets an overlay, whose ops are not shown here"
                    .to_owned(),
            ),
            Kind::Overlay(_) => to.prepare(NAME, format!("open the directories of {}", self.about)),
        }
    }
}

fn read_only(program: &mut Program<'_>, recursive: bool) {
    program.push(Op::SetAttributes { mount: Slot::ROOT, set: MOUNT_ATTR_RDONLY, recursive });
    program.push(Op::CheckReadOnly { mount: Slot::ROOT });
}

/// After the last mount: what only set-up needed goes, and the host's tree with it.
struct Leave {
    built: bool,
    replaced: bool,
    left: Left,
    read_only: bool,
    propagation: Option<Propagation>,
    umask: Option<u32>,
    mounts: bool,
    /// Whether what is written goes to memory somewhere.
    ephemeral: bool,
    /// Whether the root is one of directories in memory, with layers on them.
    layered: bool,
}

fn has_ephemeral(command: &Config) -> bool {
    let of_the_root = command.root.as_ref().and_then(|root| match &root.kind {
        RootKind::Overlay(overlay) => Some(overlay),
        _ => None,
    });
    let of_mounts = command.mounts.iter().filter_map(|mount| match &mount.kind {
        MountKind::Overlay { overlay, .. } => Some(overlay),
        _ => None,
    });
    of_mounts.chain(of_the_root).any(|overlay| overlay.upper == Upper::Ephemeral)
}

/// Directories of the container's own, if what is written to memory is counted.
pub(crate) fn own_directories(command: &Config) -> Vec<PathBuf> {
    let own = |mount: &&Mount| matches!(mount.kind, MountKind::OwnDirectory { .. });
    let own = command.mounts.iter().filter(own).filter(|_| has_ephemeral(command));
    own.map(|mount| mount.target.clone()).collect()
}

pub(super) fn leave(command: &Config, tree: Option<&Tree>) -> Option<Box<dyn Step>> {
    let is = |what: fn(&Tree) -> bool| tree.is_some_and(what);
    if tree.is_none() && command.umask.is_none() {
        return None;
    }
    Some(Box::new(Leave {
        built: is(Tree::is_built),
        replaced: is(Tree::is_replaced),
        left: tree.map_or(Left::Pivoted, |tree| tree.left),
        read_only: is(Tree::is_read_only_at_the_end),
        propagation: tree.and_then(|tree| tree.propagation),
        umask: command.umask,
        mounts: tree.is_some(),
        ephemeral: tree.is_some() && has_ephemeral(command),
        layered: is(|tree| matches!(tree.root, Kind::LayeredHost(_))),
    }))
}

impl Step for Leave {
    fn name(&self) -> &'static str {
        if self.mounts { NAME } else { "umask" }
    }

    fn field(&self) -> Option<Field> {
        Some(Field::of(if self.mounts { "root" } else { "umask" }))
    }

    fn ops<'a>(&'a self, program: &mut Program<'a>) {
        if self.read_only {
            program.about("read-only from here on");
            read_only(program, false);
        }
        program.look_again(Path::new("/"));
        if self.ephemeral {
            program.about("layers in memory, to be counted at the end");
            program.push(Op::SendLayers { directory: Slot::SCRATCH });
            if self.layered {
                program.push(Op::SendLayers { directory: Slot::ROOT });
            }
        }
        if self.replaced {
            program.about("leave the host's tree");
            match self.left {
                Left::Pivoted => program.push(Op::Pivot),
                Left::Below { moved } => {
                    if moved {
                        // Whoever enters the namespace is to be in there.
                        program.push(Op::Attach { mount: Slot::ROOT, onto: Slot::HOST });
                    }
                    program.push(Op::ChangeRoot { alone: true });
                }
                Left::InPlace => program.push(Op::ChangeRoot { alone: false }),
            }
        }
        if let Some(how) = self.propagation.filter(|_| self.built) {
            program.about("what is mounted from here on");
            let (propagation, recursive) = (how.flag, how.recursive);
            program.push(Op::ChangeAttributes { mount: Slot::ROOT, set: 0, clear: 0, propagation, recursive });
        }
        if self.built {
            program.about("look at /");
            program.push(Op::CheckRoot);
        }
        program.about("umask of the command");
        program.push(Op::Umask { mask: self.umask });
    }
}

/// The place of a directory that is an entry of the scratch tmpfs.
pub(super) fn scratch_entry<'a>(program: &mut Program<'a>, name: &str) -> Place<'a> {
    program.place(std::path::Path::new(name))
}
