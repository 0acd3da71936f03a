//! A path inside, walked through what is mounted there, as the kernel would.

use std::ffi::{OsStr, OsString};
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;

use rustix::fs::{FileType, readlinkat};
use rustix::io::Errno;

use super::node::{Found, Node, What};
use super::tree::{Content, Entry, Tree, View};

/// As many symlinks are followed, path_resolution(7).
const MOST_LINKS: usize = 40;

/// Where a walk came to.
pub(super) struct Walked {
    /// From the root on, each below the one before it.
    pub(super) stack: Vec<Rc<Node>>,
    /// What is not there of it.
    pub(super) missing: Vec<OsString>,
    /// Whether what it looked for lies below what is masked.
    pub(super) hidden: bool,
}

impl Walked {
    pub(super) fn last(&self) -> &Rc<Node> {
        // There is a root at least.
        &self.stack[self.stack.len() - 1]
    }
}

/// What is passed on the way.
pub(super) enum Pass<'a> {
    Directory(&'a Node),
    Link { directory: &'a Node, link: &'a Node },
}

/// Why a walk ends early.
#[derive(Clone, Debug)]
pub(super) enum Halt {
    Refused(String),
    Unknown(String),
}

/// What covers a place: the layer that it is seen on, and the one that it is of.
struct Cover {
    seen: usize,
    layer: usize,
    read_only: bool,
    noexec: bool,
    nodev: bool,
}

fn unknown<T>(why: impl Into<String>) -> Result<T, Halt> {
    Err(Halt::Unknown(why.into()))
}

impl Tree {
    /// Walks it; symlinks are followed, the last one too.
    pub(super) fn walk(
        &self,
        path: &Path,
        mut passes: impl FnMut(Pass<'_>) -> Result<(), Halt>,
    ) -> Result<Walked, Halt> {
        let mut stack = vec![Rc::new(self.root()?)];
        let mut rest: Vec<OsString> = parts(path);
        let mut links = 0;
        while let Some(part) = rest.pop() {
            let directory = stack[stack.len() - 1].clone();
            if part == "/" {
                stack.truncate(1);
                continue;
            }
            match &directory.what {
                What::Unknown(why) => return unknown(why.clone()),
                _ if !directory.is_directory() => {
                    return Err(Halt::Refused(format!("{} is no directory", directory.path.display())));
                }
                What::Masked if part == ".." => return unknown("what is masked is left by `..`"),
                // Whatever is below is as hidden.
                What::Masked => return Ok(Walked { stack, missing: Vec::new(), hidden: true }),
                _ => {}
            }
            passes(Pass::Directory(&directory))?;
            if part == ".." {
                if matches!(directory.what, What::Kernel) {
                    return unknown("a view of the kernel's is left by `..`");
                }
                stack.truncate((stack.len() - 1).max(1));
                continue;
            }
            let Some(child) = self.child(&directory, &part)? else {
                rest.push(part);
                rest.reverse();
                return Ok(Walked { stack, missing: rest, hidden: false });
            };
            match &child.what {
                What::Link { to, .. } => {
                    passes(Pass::Link { directory: &directory, link: &child })?;
                    links += 1;
                    if links > MOST_LINKS {
                        return Err(Halt::Refused("it leads through more symlinks than the kernel follows".into()));
                    }
                    rest.extend(parts(to));
                }
                _ => stack.push(Rc::new(child)),
            }
        }
        Ok(Walked { stack, missing: Vec::new(), hidden: false })
    }

    fn root(&self) -> Result<Node, Halt> {
        match self.at(PathBuf::from("/"), None)? {
            Some(root) => Ok(root),
            None => unknown("the root is not there"),
        }
    }

    pub(super) fn child(&self, directory: &Node, name: &OsStr) -> Result<Option<Node>, Halt> {
        self.at(directory.path.join(name), Some((directory, name)))
    }

    /// What covers a place, of the first `upto` layers.
    fn cover(&self, path: &Path, upto: usize) -> Cover {
        let seen = self.layers[..upto].iter().rposition(|layer| path.starts_with(&layer.at)).unwrap_or(0);
        let own = &self.layers[seen];
        match own.content {
            // The same as before, on a mount of its own.
            Content::Again { closes } if seen > 0 => {
                let below = self.cover(path, seen);
                Cover { seen, read_only: closes, ..below }
            }
            _ => Cover { seen, layer: seen, read_only: own.read_only, noexec: own.noexec, nodev: own.nodev },
        }
    }

    fn at(&self, path: PathBuf, from: Option<(&Node, &OsStr)>) -> Result<Option<Node>, Halt> {
        let Cover { seen, layer, read_only, noexec, nodev } = self.cover(&path, self.layers.len());
        let own = &self.layers[layer];
        let is_its_root = own.at == path;
        let made = self.made.iter().rfind(|made| made.layer == layer && made.path == path).map(|made| &made.entry);
        let what = match (&own.content, made, from) {
            (_, Some(entry), _) => Some(of_entry(entry)),
            (Content::Host(view), None, _) if is_its_root => {
                let again = view.root.fd.try_clone().map_err(|error| Halt::Unknown(error.to_string()))?;
                let found = Found::of(again, view.root.path.clone());
                let found = found.map_err(|errno| Halt::Unknown(format!("{}: {errno}", path.display())))?;
                Some(if found.is_plain() { What::Host(found) } else { What::Unknown(strange(&found)) })
            }
            (Content::Host(view), None, Some((directory, name))) => match &directory.what {
                What::Host(above) if directory.layer == layer => self.of_the_host(view, above, name)?,
                // It was made by set-up in what is shown.
                _ => None,
            },
            (Content::Memory { mode }, None, _) if is_its_root => Some(What::Directory { mode: *mode }),
            (Content::File { mode }, None, _) if is_its_root => Some(What::File { mode: *mode }),
            (Content::Kernel { is_proc }, None, _) => {
                let below = path.strip_prefix(&own.at).ok().and_then(|below| below.components().next());
                let leads_on = |part: Component<'_>| {
                    let name = part.as_os_str();
                    ["self", "thread-self", "net", "mounts"].iter().any(|link| name == *link)
                        || name.as_encoded_bytes().iter().all(u8::is_ascii_digit)
                };
                if *is_proc && below.is_some_and(leads_on) {
                    return unknown(format!("what processes show in {} only they have", own.at.display()));
                }
                Some(What::Kernel)
            }
            (Content::Masked, None, _) => Some(What::Masked),
            (Content::Unknown(why), None, _) => Some(What::Unknown(why.clone())),
            _ => None,
        };
        let Some(what) = what else { return Ok(None) };
        let mut node = Node { path, what, seen, layer, read_only, noexec, nodev };
        if let What::Host(found) = &node.what {
            let flags = found.flags().map_err(|errno| Halt::Unknown(format!("{}: {errno}", node.path.display())))?;
            // What an overlay lies over is not written.
            node.read_only |= flags.0 && !matches!(&own.content, Content::Host(view) if view.overlaid);
            node.noexec |= flags.1;
            node.nodev |= flags.2;
        }
        Ok(Some(node))
    }

    fn of_the_host(&self, view: &View, above: &Found, name: &OsStr) -> Result<Option<What>, Halt> {
        let path = above.path.join(name);
        // A server may never answer.
        if self.mounts.is_behind_a_server(&path) {
            return unknown(format!("{} is behind a server", path.display()));
        }
        if self.mounts.is_remote(&path) {
            return unknown(format!("{} is a file system of a server", path.display()));
        }
        let found = match Found::open(&above.fd, Path::new(name), path) {
            Ok(found) => found,
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::NAMETOOLONG) => return Err(Halt::Refused("a name in it is too long".into())),
            Err(errno) => return unknown(format!("{}: {errno}", above.path.join(name).display())),
        };
        if found.mount != above.mount && !view.recursive {
            return unknown(format!("{} is mounted on the host, and that is not shown", found.path.display()));
        }
        if !found.is_plain() {
            return Ok(Some(What::Unknown(strange(&found))));
        }
        if found.kind != FileType::Symlink {
            return Ok(Some(What::Host(found)));
        }
        match readlinkat(&found.fd, c"", Vec::new()) {
            Ok(to) => {
                use std::os::unix::ffi::OsStringExt;
                Ok(Some(What::Link {
                    to: PathBuf::from(OsString::from_vec(to.into_bytes())),
                    owner: Some(found.modes.uid),
                }))
            }
            Err(errno) => unknown(format!("{}: {errno}", found.path.display())),
        }
    }
}

fn strange(found: &Found) -> String {
    format!("{} lies in a file system that decides by more than modes", found.path.display())
}

fn of_entry(entry: &Entry) -> What {
    match entry {
        Entry::Directory(mode) => What::Directory { mode: *mode },
        Entry::File(mode) => What::File { mode: *mode },
        Entry::Link(to) => What::Link { to: to.clone(), owner: None },
        Entry::Device => What::Device,
        Entry::Unknown(why) => What::Unknown((*why).to_owned()),
    }
}

/// Its parts, the first one last.
fn parts(path: &Path) -> Vec<OsString> {
    let mut parts: Vec<OsString> = path
        .components()
        .filter(|part| !matches!(part, Component::CurDir))
        .map(|part| part.as_os_str().to_owned())
        .collect();
    parts.reverse();
    parts
}
