//! Everything that can go wrong; each message is one line.

use std::borrow::Cow;
use std::io;
use std::net::Ipv4Addr;

use rustix::io::Errno;
use thiserror::Error;

use crate::{MacError, Part, Protocol, PublishError, Subnet, SubnetError};

/// Why something with a container's network did not happen. [`Error::hint`] says what can be done.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// Not a subnet.
    #[error(transparent)]
    Subnet(#[from] SubnetError),
    /// Not a hardware address.
    #[error(transparent)]
    Mac(#[from] MacError),
    /// Not a port to publish.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// Something in the request cannot be meant.
    #[error("{what}: {reason}")]
    Invalid {
        /// The part of the request.
        part: Option<Part>,
        /// What was asked for.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Two parts of the request cannot be meant together.
    #[error("{what}: {reason}")]
    Clash {
        /// The one that is well by itself.
        part: Option<Part>,
        /// What was asked for.
        what: String,
        /// What stands in its way.
        reason: String,
    },
    /// The bridge to attach to is not there, or is no bridge.
    #[error("bridge {name}: {reason}")]
    NoBridge {
        /// Its name.
        name: String,
        /// What is there instead.
        reason: &'static str,
    },
    /// A link has the name of a bridge of ours, but is somebody else's.
    #[error("link {name} was not made by seclude")]
    Foreign {
        /// Its name.
        name: String,
    },
    /// A file or directory of ours in /run is somebody else's.
    #[error("{path}: {reason}")]
    NotOurs {
        /// Its path.
        path: String,
        /// What is there instead.
        reason: String,
    },
    /// Somebody has held a lock for longer than any of ours is held.
    #[error("{file}: another process has had it locked for 10 seconds ({call})")]
    Held {
        /// The file, or the directory.
        file: String,
        /// The call that would have waited.
        call: &'static str,
    },
    /// The subnet that was asked for is in use already.
    #[error("subnet {subnet} collides with {with}")]
    Collides {
        /// The subnet.
        subnet: Subnet,
        /// The route or address that leads into it.
        with: String,
    },
    /// Every subnet that would be taken without one being asked for is in use.
    #[error("none of the subnets {first} to {last} is free")]
    NoSubnet {
        /// The first that was tried.
        first: Subnet,
        /// The last.
        last: Subnet,
    },
    /// Every address of the subnet is taken.
    #[error("no address is free in {subnet}")]
    Exhausted {
        /// The subnet.
        subnet: Subnet,
    },
    /// The address that was asked for is not in the subnet.
    #[error("address {address} is not in {subnet}")]
    Outside {
        /// The address.
        address: Ipv4Addr,
        /// The subnet.
        subnet: Subnet,
    },
    /// The address that was asked for is one that no container can have.
    #[error("address {address} is {what} of {subnet}")]
    Reserved {
        /// The address.
        address: Ipv4Addr,
        /// The subnet.
        subnet: Subnet,
        /// What it is for.
        what: &'static str,
    },
    /// The address that was asked for is another container's, or somebody else's at a given bridge.
    #[error("address {address} is in use by {by}")]
    AddressInUse {
        /// The address.
        address: Ipv4Addr,
        /// Who has it.
        by: &'static str,
    },
    /// A published port is taken on the host (`EADDRINUSE`).
    #[error("port {address}:{port}/{protocol} of the host is taken")]
    PortTaken {
        /// The address of the host; `0.0.0.0` is all.
        address: Ipv4Addr,
        /// The port.
        port: u16,
        /// What carries it.
        protocol: Protocol,
    },
    /// The host does not forward packets between its links, so NAT and published ports would not work.
    #[error("{file} is 0: this host forwards no packets")]
    NoForwarding {
        /// The file that says so.
        file: &'static str,
    },
    /// The kernel lacks a part.
    #[error("{about}: {call}: {source}: the kernel has no {module}")]
    NoModule {
        /// What was to be made.
        about: String,
        /// The request.
        call: &'static str,
        /// The kernel module that would have it.
        module: &'static str,
        /// The answer.
        source: io::Error,
    },
    /// The caller may not (`EPERM`, `EACCES`).
    #[error("{about}: {call}: {source}")]
    NotPermitted {
        /// What was to be done.
        about: String,
        /// The call or netlink request.
        call: &'static str,
        /// The answer.
        source: io::Error,
    },
    /// A call or a netlink request was answered with another error.
    #[error("{about}: {call}: {source}{}", explained(detail))]
    Call {
        /// What was to be done.
        about: String,
        /// The call or netlink request.
        call: &'static str,
        /// The answer.
        source: io::Error,
        /// What the kernel said besides (`NLMSGERR_ATTR_MSG`); often empty.
        detail: String,
    },
}

fn explained(detail: &str) -> String {
    if detail.is_empty() { String::new() } else { format!(" ({detail})") }
}

impl Error {
    pub(crate) fn invalid(part: impl Into<Option<Part>>, what: impl Into<String>, reason: impl Into<String>) -> Error {
        Error::Invalid { part: part.into(), what: what.into(), reason: reason.into() }
    }

    pub(crate) fn clash(part: Part, what: impl Into<String>, reason: impl Into<String>) -> Error {
        Error::Clash { part: Some(part), what: what.into(), reason: reason.into() }
    }

    /// What a call answered.
    pub(crate) fn from_call(about: impl Into<String>, call: &'static str, errno: Errno) -> Error {
        let (about, source) = (about.into(), io::Error::from(errno));
        match errno {
            Errno::PERM | Errno::ACCESS => Error::NotPermitted { about, call, source },
            _ => Error::Call { about, call, source, detail: String::new() },
        }
    }

    /// The same error with what the kernel said besides.
    pub(crate) fn explained(self, said: &str) -> Error {
        match self {
            Error::Call { about, call, source, .. } => Error::Call { about, call, source, detail: said.to_owned() },
            other => other,
        }
    }

    /// The same error, naming the module that is missing if the answer is one of those.
    pub(crate) fn lacking(self, module: &'static str, answers: &[Errno]) -> Error {
        match self {
            Error::Call { about, call, source, .. }
                if answers.iter().any(|errno| source.raw_os_error() == Some(errno.raw_os_error())) =>
            {
                Error::NoModule { about, call, module, source }
            }
            other => other,
        }
    }

    /// The call or netlink request that failed: `openat`, `RTM_NEWLINK`, `NFT_MSG_NEWSETELEM`, …
    pub fn call(&self) -> Option<&'static str> {
        match self {
            Error::NoModule { call, .. } | Error::NotPermitted { call, .. } | Error::Call { call, .. } => Some(call),
            Error::PortTaken { .. } => Some("bind"),
            Error::Held { call, .. } => Some(call),
            _ => None,
        }
    }

    /// What it answered.
    pub fn errno(&self) -> Option<i32> {
        match self {
            Error::NoModule { source, .. } | Error::NotPermitted { source, .. } | Error::Call { source, .. } => {
                source.raw_os_error()
            }
            Error::PortTaken { .. } => Some(Errno::ADDRINUSE.raw_os_error()),
            Error::Held { .. } => Some(Errno::TIMEDOUT.raw_os_error()),
            _ => None,
        }
    }

    pub(crate) fn is(&self, errno: Errno) -> bool {
        self.errno() == Some(errno.raw_os_error())
    }
}

/// What an error is about: most are fixed, some are put together.
pub(crate) type About = Cow<'static, str>;
