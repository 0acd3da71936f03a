//! Resource limits by name, setrlimit(2).

use std::fmt;
use std::str::FromStr;

/// In the order of the kernel's numbers.
const NAMES: [&str; 16] = [
    "CPU",
    "FSIZE",
    "DATA",
    "STACK",
    "CORE",
    "RSS",
    "NPROC",
    "NOFILE",
    "MEMLOCK",
    "AS",
    "LOCKS",
    "SIGPENDING",
    "MSGQUEUE",
    "NICE",
    "RTPRIO",
    "RTTIME",
];

/// A resource that the kernel limits for each process.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Resource(u8);

impl Resource {
    /// Open files.
    pub const NOFILE: Resource = Resource(7);
    /// Seconds of CPU time.
    pub const CPU: Resource = Resource(0);
    /// Bytes of a core file.
    pub const CORE: Resource = Resource(4);
    /// Processes and threads of the user.
    pub const NPROC: Resource = Resource(6);
    /// Bytes of memory that is locked, and of the user's locked shared memory.
    pub const MEMLOCK: Resource = Resource(8);
    /// Signals that wait for the user's processes.
    pub const SIGPENDING: Resource = Resource(11);
    /// Bytes of the user's POSIX message queues.
    pub const MSGQUEUE: Resource = Resource(12);
    /// The lowest nice value that can be taken, as 20 minus it.
    pub const NICE: Resource = Resource(13);
    /// The highest priority in real time that can be taken.
    pub const RTPRIO: Resource = Resource(14);
    /// Bytes of a file that is written.
    pub const FSIZE: Resource = Resource(1);

    /// The name without `RLIMIT_`.
    pub fn name(self) -> &'static str {
        NAMES[usize::from(self.0)]
    }

    pub(crate) fn number(self) -> u32 {
        u32::from(self.0)
    }
}

impl fmt::Debug for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RLIMIT_{}", self.name())
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RLIMIT_{}", self.name())
    }
}

/// A word that names no resource.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("unknown resource {0:?}: a name of setrlimit(2), such as NOFILE or RLIMIT_NOFILE")]
pub struct UnknownResource(pub String);

impl FromStr for Resource {
    type Err = UnknownResource;

    /// Takes the name in any case, with or without `RLIMIT_`.
    fn from_str(word: &str) -> Result<Self, UnknownResource> {
        let upper = word.to_ascii_uppercase();
        let bare = upper.strip_prefix("RLIMIT_").unwrap_or(&upper);
        let number = NAMES.iter().position(|name| *name == bare);
        number.map(|number| Resource(number as u8)).ok_or_else(|| UnknownResource(word.to_owned()))
    }
}

/// No limit: `RLIM_INFINITY`.
pub const UNLIMITED: u64 = u64::MAX;
