//! What a sandbox without namespaces does not isolate.

use std::fmt;

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

/// Something that the command shares with the host.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Gap {
    /// Files: the kernel has no landlock, or too little of it.
    Files,
    /// Which files there are.
    Names,
    /// Modes, times and attributes of the user's files.
    Metadata,
    /// What happens to files.
    Watches,
    /// The process ids, states and command lines of the host's processes.
    Processes,
    /// Signals to the user's other processes.
    Signals,
    /// Whatever it leaves running goes on.
    Leftovers,
    /// How many processes it has.
    ProcessCount,
    /// The network's interfaces, addresses and routes.
    Network,
    /// TCP ports of the whole network.
    Tcp,
    /// Listening on TCP ports that the kernel chooses.
    Listening,
    /// UDP.
    Udp,
    /// Unix sockets by their paths.
    UnixSockets,
    /// Unix sockets with abstract names.
    AbstractSockets,
    /// System V IPC and POSIX message queues.
    Ipc,
    /// The host's root user.
    Root,
}

impl Gap {
    /// The stable name, such as `"unix-sockets"`.
    pub fn name(self) -> &'static str {
        match self {
            Gap::Files => "files",
            Gap::Names => "names",
            Gap::Metadata => "metadata",
            Gap::Watches => "watches",
            Gap::Processes => "processes",
            Gap::Signals => "signals",
            Gap::Leftovers => "leftovers",
            Gap::ProcessCount => "process-count",
            Gap::Network => "network",
            Gap::Tcp => "tcp",
            Gap::Listening => "listening",
            Gap::Udp => "udp",
            Gap::UnixSockets => "unix-sockets",
            Gap::AbstractSockets => "abstract-sockets",
            Gap::Ipc => "ipc",
            Gap::Root => "root",
        }
    }

    /// What that means, in a sentence.
    pub fn explained(self) -> &'static str {
        match self {
            Gap::Files => {
                "it reaches every file that its user does: the kernel's landlock cannot close them, or not wholly"
            }
            Gap::Names => {
                "it can find out by name which files there are, how large and whose, where a symlink leads, and what extended \
                 attributes say: landlock has no rule for stat(2), readlink(2) and getxattr(2)"
            }
            Gap::Metadata => {
                "it can change modes, times and attributes of the user's own files wherever they are, but for set-id bits: landlock has no \
                 rule for that"
            }
            Gap::Watches => {
                "it can be told what is done to files that it may not read, and names in directories that it may not list, \
                 as inotify_add_watch is allowed"
            }
            Gap::Processes => {
                "it can tell which processes the host has, and change priorities, schedulers and CPUs of the user's; not their memory, environment or descriptors, which landlock's \
                 rule about tracing and the filter close"
            }
            Gap::Signals => "it can signal the user's other processes (before Linux 6.12)",
            Gap::Leftovers => {
                "what it leaves running goes on after its end, and it can outlive a killed spawner; with a cgroup everything ends \
                 with it. System V IPC that it made stays"
            }
            Gap::ProcessCount => "it can have as many processes as its user; a limit of its own takes a cgroup",
            Gap::Network => "it sees the host's interfaces, and its loopback is the host's",
            Gap::Tcp => "it can connect to every TCP port, and bind to all that are free (before Linux 6.7)",
            Gap::Listening => "a socket that listens without being bound has a port that the kernel chooses",
            Gap::Udp => "it can send UDP to everybody, and receive it (held back by landlock from Linux 7.2 on)",
            Gap::UnixSockets => {
                "it can connect to every unix socket that its user can, by its path, and have whoever listens there do what it may \
                 not (held back by landlock from Linux 7.1 on)"
            }
            Gap::AbstractSockets => "it can connect to unix sockets with abstract names (before Linux 6.12)",
            Gap::Ipc => "System V IPC and POSIX message queues are the host's",
            Gap::Root => {
                "it is the host's root as far as files go that it may open: in the caller's directory, /opt and /usr/local it reads \
                 what their modes close to everybody else, and it may fill the disk where it may write"
            }
        }
    }
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name(), self.explained())
    }
}

impl Serialize for Gap {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut gap = serializer.serialize_struct("Gap", 2)?;
        gap.serialize_field("what", self.name())?;
        gap.serialize_field("why", self.explained())?;
        gap.end()
    }
}
