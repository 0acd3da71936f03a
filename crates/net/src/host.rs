//! The host's side as this crate sees it: two sockets and the locks, all for one network namespace.

use crate::Error;
use crate::lock::Locks;
use crate::socket::Socket;

pub(crate) struct Host {
    pub(crate) route: Socket,
    pub(crate) filter: Socket,
    pub(crate) locks: Locks,
}

impl Host {
    /// That of the calling thread.
    pub(crate) fn open() -> Result<Host, Error> {
        Ok(Host { route: Socket::route()?, filter: Socket::netfilter()?, locks: Locks::open()? })
    }
}
