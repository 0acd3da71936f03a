//! What a command may reach, by landlock: paths, ports, sockets, processes.

use std::path::{Path, PathBuf};

/// A ruleset of landlock(7): what no rule of it allows is refused to the command and to all that it starts, besides whatever else
/// confines it. Linux 5.13; each part says what it needs.
///
/// A rule is of the file or directory that is there at the start, not of its name. With a rule of a path all files are closed but for
/// those that rules name, and mounts are refused.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Landlock {
    pub(crate) ro: Vec<PathBuf>,
    pub(crate) rw: Vec<PathBuf>,
    pub(crate) exec: Vec<PathBuf>,
    /// `None`: all of them.
    pub(crate) connect: Option<Vec<u16>>,
    pub(crate) bind: Option<Vec<u16>>,
    pub(crate) sockets: bool,
    pub(crate) signals: bool,
}

impl Landlock {
    /// No rule, so no ruleset.
    pub fn new() -> Landlock {
        Landlock::default()
    }

    /// Allows to read this file, or the directory with all that is below: a path inside. Linux 6.10, as the other rules of paths.
    #[must_use]
    pub fn ro(mut self, path: impl AsRef<Path>) -> Landlock {
        self.ro.push(path.as_ref().to_owned());
        self
    }

    /// Allows to read and to write it: also to make, cut, move and remove what is below, but for device nodes. A device that is named
    /// itself has its ioctls; a unix socket can be connected to where that is held back elsewhere (Linux 7.1).
    #[must_use]
    pub fn rw(mut self, path: impl AsRef<Path>) -> Landlock {
        self.rw.push(path.as_ref().to_owned());
        self
    }

    /// Allows to read and to execute it. The command itself, its interpreter and its ELF loader need such a rule as soon as there is one
    /// of a path.
    #[must_use]
    pub fn exec(mut self, path: impl AsRef<Path>) -> Landlock {
        self.exec.push(path.as_ref().to_owned());
        self
    }

    /// The only ports that it may connect to by TCP. Linux 6.7; from 7.2 on it holds for UDP as well.
    #[must_use]
    pub fn connect(mut self, ports: impl IntoIterator<Item = u16>) -> Landlock {
        self.connect.get_or_insert_default().extend(ports);
        self
    }

    /// The only ports that it may bind to by TCP; 0 is one that the kernel chooses. Linux 6.7; from 7.2 on it holds for UDP as well.
    #[must_use]
    pub fn bind(mut self, ports: impl IntoIterator<Item = u16>) -> Landlock {
        self.bind.get_or_insert_default().extend(ports);
        self
    }

    /// Of unix sockets with abstract names it reaches those of its own processes alone. Linux 6.12.
    #[must_use]
    pub fn scope_abstract_unix_sockets(mut self) -> Landlock {
        self.sockets = true;
        self
    }

    /// It can signal its own processes alone. Linux 6.12.
    #[must_use]
    pub fn scope_signals(mut self) -> Landlock {
        self.signals = true;
        self
    }

    /// Whether there is a rule of a path.
    pub(crate) fn has_paths(&self) -> bool {
        !self.ro.is_empty() || !self.rw.is_empty() || !self.exec.is_empty()
    }

    /// Whether TCP ports have rules, which other protocols over IP are not bound by.
    pub(crate) fn has_ports(&self) -> bool {
        self.connect.is_some() || self.bind.is_some()
    }
}
