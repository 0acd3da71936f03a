//! The tree inside, as the plan makes it: what lies over what.

use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags, openat};
use seclude_links::For;
use seclude_request::Field;

use super::node::{Found, Node, Shown, What};
use super::walk::{Halt, Pass};
use crate::config::Config;
use crate::config::mount::{Flags, Mount, MountKind, Source};
use crate::config::namespace::Namespace;
use crate::config::root::{Overlay, Root, RootKind, Upper};
use crate::host::Host;
use crate::mounts::Mounts;
use crate::step::{self, Held};

/// What is mounted at a place.
pub(super) struct Layer {
    pub(super) at: PathBuf,
    pub(super) content: Content,
    pub(super) read_only: bool,
    pub(super) noexec: bool,
    pub(super) nodev: bool,
    /// What it is, in words.
    pub(super) words: String,
    /// What of the request asks for it.
    pub(super) field: Option<Field>,
    /// Whether that is the preset alone.
    pub(super) preset: bool,
    /// Whether it is shown because the caller is there.
    pub(super) stands: bool,
}

pub(super) enum Content {
    Host(View),
    /// An empty directory, and what set-up makes in it.
    Memory {
        mode: u32,
    },
    File {
        mode: u32,
    },
    Masked,
    Kernel {
        is_proc: bool,
    },
    /// What is there already, on a mount of its own.
    Again {
        /// It, and what is mounted below it, is read-only.
        closes: bool,
    },
    Unknown(String),
}

/// What is shown of the host.
pub(super) struct View {
    pub(super) root: Found,
    pub(super) recursive: bool,
    pub(super) shown: Shown,
    /// Below an overlay, which takes the writes.
    pub(super) overlaid: bool,
}

/// What set-up has made in a layer.
pub(super) struct Made {
    pub(super) layer: usize,
    pub(super) path: PathBuf,
    pub(super) entry: Entry,
}

pub(super) enum Entry {
    Directory(u32),
    File(u32),
    Link(PathBuf),
    Device,
    Unknown(&'static str),
}

pub(super) struct Tree {
    /// Each over those before it; the first is the root.
    pub(super) layers: Vec<Layer>,
    pub(super) made: Vec<Made>,
    pub(super) mounts: Mounts,
}

/// What is to be made where a target is missing.
#[derive(Clone, Copy)]
enum Want {
    Directory(u32),
    File,
    /// Nothing is made.
    Existing,
}

impl Tree {
    /// # Errors
    /// Why it cannot be told.
    pub(super) fn of(config: &Config, host: &Host) -> Result<Tree, Halt> {
        let mounts = Mounts::read("why").map_err(|error| Halt::Unknown(error.to_string()))?;
        let mut tree = Tree { layers: Vec::new(), made: Vec::new(), mounts };
        let spaces = &config.namespaces;
        if spaces.is_joined(Namespace::Mount) {
            return Err(Halt::Unknown("it enters a mount namespace, whatever is in there".into()));
        }
        if !spaces.is_new(Namespace::Mount) {
            let content = tree.view(&Source::Path("/".into()), true, Shown::Plain)?;
            tree.add(Path::new("/"), content, "the host's own tree".into(), None);
            return Ok(tree);
        }
        let closes = tree.make_root(config, host)?;
        let held = step::strictly_held(config);
        tree.hold(held.iter().filter(|held| held.above.is_none()))?;
        let mut callers = 0;
        for (index, mount) in config.mounts.iter().enumerate() {
            let field = match mount.shown {
                Some((written, index)) => Field::of(if written { "rw" } else { "ro" }).index(index),
                None if mount.preset => Field::of("preset"),
                None => {
                    callers += 1;
                    Field::of("mounts").index(callers - 1)
                }
            };
            let before = tree.layers.len();
            tree.mount(mount, config, host)?;
            for layer in &mut tree.layers[before..] {
                (layer.field, layer.preset, layer.stands) = (Some(field.clone()), mount.preset, mount.stands.is_some());
            }
            tree.hold(held.iter().filter(|held| held.above == Some(index)))?;
        }
        if step::gives_names(config) {
            for file in ["/etc/resolv.conf", "/etc/hosts"] {
                let at = tree.place(Path::new(file), Want::File).unwrap_or_else(|_| PathBuf::from(file));
                let why = "what it says of names is made when it starts";
                tree.add(&at, Content::Unknown(why.into()), why.into(), None);
            }
        }
        tree.layers[0].read_only |= closes;
        Ok(tree)
    }

    /// Where a symlink is on the way to what is held back of what is written, the start fails.
    fn hold<'a>(&self, held: impl Iterator<Item = &'a Held<'a>>) -> Result<(), Halt> {
        for Held { written, below, .. } in held {
            let Ok(walked) = self.walk(written, |_| Ok(())) else { continue };
            let top = walked.last();
            let walked = self.walk(&written.join(below), |pass| match pass {
                Pass::Link { directory, .. } if directory.path.starts_with(&top.path) => {
                    Err(fails(format!("a symlink is on the way to {} in {}", below.display(), written.display())))
                }
                _ => Ok(()),
            });
            // What is not there, or cannot be looked at, is told of the mount itself.
            if let Err(halt @ Halt::Unknown(_)) = walked {
                return Err(halt);
            }
        }
        Ok(())
    }

    fn add(&mut self, at: &Path, content: Content, words: String, field: Option<Field>) -> &mut Layer {
        let layer = Layer {
            at: at.to_owned(),
            content,
            read_only: false,
            noexec: false,
            nodev: false,
            words,
            field,
            preset: false,
            stands: false,
        };
        let index = self.layers.len();
        self.layers.push(layer);
        &mut self.layers[index]
    }

    /// Something of the host, opened as the start will open it.
    fn view(&self, source: &Source, recursive: bool, shown: Shown) -> Result<Content, Halt> {
        let opened = match source {
            Source::Path(path) if self.mounts.is_behind_a_server(path) || self.mounts.is_remote(path) => {
                return Ok(Content::Unknown(format!("{} is a server's", path.display())));
            }
            Source::Path(path) => openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
                .map_err(|errno| fails(format!("{}: {errno}", path.display())))?,
            Source::Fd(fd) => fd.try_clone().map_err(|error| fails(format!("{}: {error}", source.describe())))?,
        };
        let path = path_of(&opened).map_err(|error| fails(format!("{}: {error}", source.describe())))?;
        let root = Found::of(opened, path).map_err(|errno| fails(format!("{}: {errno}", source.describe())))?;
        if let Some(is_proc) = root.is_of_processes() {
            return Ok(Content::Kernel { is_proc });
        }
        Ok(Content::Host(View { root, recursive, shown, overlaid: false }))
    }

    /// The root; answers whether it is read-only once all is mounted.
    fn make_root(&mut self, config: &Config, host: &Host) -> Result<bool, Halt> {
        let ids = step::ids_of_files(config, host);
        let root = config.root.clone().unwrap_or_else(Root::host);
        let field = config.root.as_ref().map(|_| Field::of("root"));
        let whole = Source::Path("/".into());
        let (content, words, closes) = match &root.kind {
            RootKind::Host => (self.view(&whole, true, Shown::of(ids, false))?, "the host's tree".to_owned(), false),
            RootKind::Directory(source) => {
                let words = format!("{}, which is the root", source.describe());
                (self.view(source, true, Shown::of(ids, false))?, words, false)
            }
            RootKind::Sandbox => {
                (Content::Memory { mode: 0o755 }, "the sandbox's own root, in memory".to_owned(), true)
            }
            RootKind::Overlay(overlay) if overlay.curated => {
                (Content::Memory { mode: 0o755 }, "the sandbox's own root, in memory".to_owned(), true)
            }
            RootKind::Overlay(overlay) => (self.overlay(overlay)?, "a layer of writes over the root".to_owned(), true),
        };
        let layer = self.add(Path::new("/"), content, words, field);
        layer.read_only = root.read_only && !closes;
        layer.preset = root.preset;
        if let RootKind::Overlay(overlay) = &root.kind
            && overlay.curated
        {
            for part in &host.places.parts {
                match &part.link {
                    Some(to) => self.link(&part.path, to)?,
                    None => {
                        let overlay = Overlay::new([&part.path]).ephemeral();
                        let content = self.overlay(&overlay)?;
                        let at = self.place(&part.path, Want::Directory(0o755))?;
                        let words = format!("{} of the host, and a layer of writes over it", part.path.display());
                        self.add(&at, content, words, Some(Field::of("root"))).preset = true;
                    }
                }
            }
        }
        Ok(root.read_only && closes)
    }

    fn overlay(&self, overlay: &Overlay) -> Result<Content, Halt> {
        match (&overlay.lowers[..], &overlay.upper) {
            ([lower], Upper::Ephemeral) => {
                let mut content = self.view(&Source::Path(lower.clone()), true, Shown::Mixed)?;
                if let Content::Host(view) = &mut content {
                    view.overlaid = true;
                }
                Ok(content)
            }
            _ => Ok(Content::Unknown("it lies in an overlay of several directories".into())),
        }
    }

    fn mount(&mut self, mount: &Mount, config: &Config, host: &Host) -> Result<(), Halt> {
        let target = mount.target.as_path();
        let shown = target.display();
        let mut flags = Flags::default();
        let (content, want, words) = match &mount.kind {
            MountKind::Bind { source, recursive, flags: own } => {
                let ids = step::ids_of_files(config, host);
                flags = *own;
                let content = self.view(source, *recursive, Shown::of(ids, own.for_strangers))?;
                if let (Content::Host(view), Source::Path(path)) = (&content, source)
                    && (mount.shown.is_some() || mount.stands.is_some())
                {
                    let closed = (!config.whole_home).then_some(&host.places);
                    let purpose = if own.read_only { For::Reading } else { For::Writing };
                    view.root.may_be_shown(path, purpose, closed).map_err(|error| fails(error.to_string()))?;
                }
                let directory = match &content {
                    Content::Host(view) => view.root.kind == FileType::Directory,
                    // A file of such a view makes no other one of its target.
                    _ => true,
                };
                if let Content::Host(view) = &content
                    && matches!(view.root.kind, FileType::CharacterDevice | FileType::BlockDevice)
                {
                    // As `step/mount/bind.rs` has it.
                    flags.nodev &= mount.shown.is_none() && mount.stands.is_none();
                }
                let words = match (mount.shown, mount.stands, mount.preset) {
                    (Some(_), ..) => format!("{shown} is shown"),
                    (_, Some(_), _) => format!("{shown} is shown, as the caller is there"),
                    (.., true) => format!("the sandbox shows {shown} of the host"),
                    _ => format!("{} is bound on {shown}", source.describe()),
                };
                (content, if directory { Want::Directory(0o755) } else { Want::File }, words)
            }
            MountKind::Tmpfs { mode, flags: own, .. } => {
                flags = *own;
                (Content::Memory { mode: *mode }, Want::Directory(0o755), format!("{shown} is memory of its own"))
            }
            MountKind::Overlay { overlay, read_only } => {
                flags.read_only = *read_only;
                let content = self.overlay(overlay)?;
                (content, Want::Directory(0o755), format!("a layer of writes is on {shown}"))
            }
            MountKind::Proc { read_only } => return self.kernel(target, "proc", *read_only),
            MountKind::Sysfs { read_only } => return self.kernel(target, "sysfs", *read_only),
            MountKind::Cgroup { read_only } => return self.kernel(target, "cgroup2", *read_only),
            MountKind::Mqueue => return self.kernel(target, "mqueue", false),
            MountKind::Devpts => return self.kernel(target, "devpts", false),
            MountKind::Dev => return self.devices(target),
            MountKind::OwnDirectory { mode, owner } => {
                let again = Content::Again { closes: false };
                // The command is who owns it.
                (
                    again,
                    Want::Directory(if owner.is_some() { 0o777 } else { *mode }),
                    format!("{shown} is memory of its own"),
                )
            }
            MountKind::File { mode, read_only, .. } => {
                flags = Flags { read_only: *read_only, nodev: true, ..flags };
                (Content::File { mode: *mode }, Want::File, format!("{shown} is a file of its own"))
            }
            MountKind::Directory { mode } => return self.place(target, Want::Directory(*mode)).map(drop),
            MountKind::FileSystem { name, .. } => return self.kernel(target, name, mount.attributes.is_read_only()),
            MountKind::Device { .. } => return self.kernel(target, "a device", false),
            MountKind::Symlink { to, .. } => return self.link(target, to),
            MountKind::ReadOnlyPath { recursive: false, .. } => {
                return self.kernel(target, "read-only without what is mounted below it", true);
            }
            MountKind::Mask { if_present } | MountKind::ReadOnlyPath { if_present, .. } => {
                let is_mask = matches!(mount.kind, MountKind::Mask { .. });
                let content = if is_mask { Content::Masked } else { Content::Again { closes: true } };
                let words = if is_mask { format!("{shown} is hidden") } else { format!("{shown} is made read-only") };
                match self.place(target, Want::Existing) {
                    Ok(at) => drop(self.add(&at, content, words, None)),
                    Err(Halt::Refused(_)) if *if_present => {}
                    // What is there of a process nobody can tell, with it or without.
                    Err(Halt::Unknown(_)) if *if_present && is_of_a_process(target) => {}
                    Err(halt) => return Err(halt),
                }
                return Ok(());
            }
        };
        let at = self.place(target, want)?;
        let layer = self.add(&at, content, words, None);
        (layer.read_only, layer.noexec, layer.nodev) = (flags.read_only, flags.noexec, flags.nodev);
        Ok(())
    }

    fn kernel(&mut self, target: &Path, kind: &str, read_only: bool) -> Result<(), Halt> {
        let at = self.place_itself(target)?;
        let words = format!("{} is a view of the kernel's, {kind}", target.display());
        let layer = self.add(&at, Content::Kernel { is_proc: kind == "proc" }, words, None);
        (layer.read_only, layer.noexec) = (read_only, true);
        Ok(())
    }

    fn devices(&mut self, target: &Path) -> Result<(), Halt> {
        let at = self.place_itself(target)?;
        let words = format!("{} has devices of its own", target.display());
        self.add(&at, Content::Memory { mode: 0o755 }, words.clone(), None).noexec = true;
        let layer = self.layers.len() - 1;
        for name in ["null", "zero", "full", "random", "urandom"] {
            self.made.push(Made { layer, path: at.join(name), entry: Entry::Device });
        }
        let tty = Entry::Unknown("which terminal it has, if any, is known when it runs");
        self.made.push(Made { layer, path: at.join("tty"), entry: tty });
        for (name, to) in [
            ("ptmx", "pts/ptmx"),
            ("fd", "/proc/self/fd"),
            ("stdin", "/proc/self/fd/0"),
            ("stdout", "/proc/self/fd/1"),
            ("stderr", "/proc/self/fd/2"),
        ] {
            self.made.push(Made { layer, path: at.join(name), entry: Entry::Link(to.into()) });
        }
        for (name, mode) in [("pts", 0o755), ("shm", 0o1777)] {
            self.made.push(Made { layer, path: at.join(name), entry: Entry::Directory(mode) });
        }
        self.add(&at.join("pts"), Content::Kernel { is_proc: false }, words, None).noexec = true;
        let words = format!("{} is memory of its own", target.join("shm").display());
        self.add(&at.join("shm"), Content::Memory { mode: 0o1777 }, words, None).nodev = true;
        Ok(())
    }

    fn link(&mut self, link: &Path, to: &Path) -> Result<(), Halt> {
        let (Some(parent), Some(name)) = (link.parent(), link.file_name()) else {
            return Err(fails(format!("{} has no name", link.display())));
        };
        let parent = self.place(parent, Want::Directory(0o755))?;
        let walked = self.walk(&parent, |_| Ok(()))?;
        let directory = walked.last();
        if directory.read_only || !holds_what_is_made(directory) || self.child(directory, name)?.is_some() {
            return Err(fails(format!("{} cannot be made", link.display())));
        }
        let (layer, path) = (directory.layer, parent.join(name));
        self.made.push(Made { layer, path, entry: Entry::Link(to.to_owned()) });
        Ok(())
    }

    /// The same of what may not be reached by a symlink.
    fn place_itself(&mut self, target: &Path) -> Result<PathBuf, Halt> {
        let at = self.place(target, Want::Directory(0o755))?;
        if at == target { Ok(at) } else { Err(fails(format!("a symlink leads to {}", target.display()))) }
    }

    /// Where a target lies, once what is missing of it is made.
    fn place(&mut self, target: &Path, want: Want) -> Result<PathBuf, Halt> {
        let walked = self.walk(target, |_| Ok(()))?;
        let last = walked.last().clone();
        if walked.missing.is_empty() {
            let is_of_its_kind = match want {
                _ if matches!(last.what, What::Unknown(_) | What::Kernel | What::Masked) => true,
                Want::Directory(_) => last.is_directory(),
                Want::File => !last.is_directory(),
                Want::Existing => true,
            };
            return match walked.hidden {
                true => Err(Halt::Refused(format!("{} is hidden", target.display()))),
                false if !is_of_its_kind => Err(fails(format!("{} is of another kind", target.display()))),
                false => Ok(last.path.clone()),
            };
        }
        if matches!(want, Want::Existing) {
            return Err(Halt::Refused(format!("{} is not there", target.display())));
        }
        if last.read_only || !holds_what_is_made(&last) {
            return Err(fails(format!("{} cannot be made", target.display())));
        }
        let mut path = last.path.clone();
        for (index, name) in walked.missing.iter().enumerate() {
            if name == ".." {
                return Err(fails(format!("{} cannot be made", target.display())));
            }
            path.push(name);
            let is_last = index + 1 == walked.missing.len();
            let entry = match want {
                Want::Directory(mode) if is_last => Entry::Directory(mode),
                Want::File if is_last => Entry::File(0o644),
                _ => Entry::Directory(0o755),
            };
            self.made.push(Made { layer: last.layer, path: path.clone(), entry });
        }
        Ok(path)
    }
}

fn holds_what_is_made(node: &Node) -> bool {
    match &node.what {
        What::Host(found) => found.kind == FileType::Directory,
        What::Directory { .. } => true,
        _ => false,
    }
}

fn fails(why: String) -> Halt {
    Halt::Unknown(format!("it would not start: {why}"))
}

fn path_of(fd: &OwnedFd) -> std::io::Result<PathBuf> {
    std::fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd()))
}

/// A file of a process in /proc, by its number.
fn is_of_a_process(path: &Path) -> bool {
    let above = path.parent().and_then(Path::file_name);
    above.and_then(|name| name.to_str()).is_some_and(|name| name.parse::<u32>().is_ok())
}
