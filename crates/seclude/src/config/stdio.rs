//! The command's first three descriptors.

use std::os::fd::OwnedFd;
use std::sync::Arc;

/// Where one of stdin, stdout and stderr comes from or goes to.
#[derive(Clone, Debug)]
pub struct Stdio(pub(crate) StdioKind);

#[derive(Clone, Debug)]
pub(crate) enum StdioKind {
    Inherit,
    /// The caller's own, as it is, whatever it is.
    Pass,
    /// The caller's own, behind a pipe.
    Relay,
    Null,
    Piped,
    Fd(Arc<OwnedFd>),
}

impl Stdio {
    /// The caller's own.
    ///
    /// In the sandbox a regular file as stdin is opened anew, on a read-only mount of its own, from the caller's offset on: by
    /// the caller's own descriptor the command could reach the host's mount of it (/proc/self/fd), and change its mode or its
    /// content. The offset that the caller has stays where it is. A file that lies nowhere (a memfd, one that was removed) is
    /// relayed, and so is a regular file as stdout or stderr: the command finds a pipe there, as by the descriptor it could empty the file,
    /// however that was opened. (Where nobody stays to relay, the file is handed on, but for one that its mode opens to others in a
    /// directory where they do not come: that is an error.) A connection, one of a pair of sockets among them, is relayed beside a network of the
    /// container's own, and a socket of datagrams or records, or one that is connected to nobody, is an error there: it would lead to the caller's. (Where nobody stays
    /// to relay, a pair is handed on.) A disk that the command's user owns is an error in the sandbox. A directory is an error in every container with a tree of its own: it would show the host's. An anonymous pipe
    /// is given to the container's user, if that is another, so that /dev/stdout can be opened; files and terminals keep their
    /// owners.
    pub fn inherit() -> Stdio {
        Stdio(StdioKind::Inherit)
    }

    /// The caller's own descriptor as it is, also where [`Stdio::inherit`] would open a file anew or relay it. (A directory is
    /// refused all the same.)
    pub fn pass() -> Stdio {
        Stdio(StdioKind::Pass)
    }

    /// The caller's own behind a pipe, with a thread that copies: the command has nothing of it but bytes. A terminal is none
    /// for the command then.
    pub fn relay() -> Stdio {
        Stdio(StdioKind::Relay)
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
