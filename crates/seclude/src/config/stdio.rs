//! The command's first three descriptors.

use std::os::fd::OwnedFd;
use std::sync::Arc;

/// Where one of stdin, stdout and stderr comes from or goes to.
#[derive(Clone, Debug)]
pub struct Stdio(pub(crate) StdioKind);

#[derive(Clone, Debug)]
pub(crate) enum StdioKind {
    Inherit,
    Null,
    Piped,
    Fd(Arc<OwnedFd>),
}

impl Stdio {
    /// The caller's own.
    pub fn inherit() -> Stdio {
        Stdio(StdioKind::Inherit)
    }

    /// /dev/null of the host.
    pub fn null() -> Stdio {
        Stdio(StdioKind::Null)
    }

    /// A pipe, whose other end the handle has.
    pub fn piped() -> Stdio {
        Stdio(StdioKind::Piped)
    }
}

impl<T: Into<OwnedFd>> From<T> for Stdio {
    fn from(file: T) -> Stdio {
        Stdio(StdioKind::Fd(Arc::new(file.into())))
    }
}
