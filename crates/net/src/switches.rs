//! What the host's own IP does on links that lead to containers: it learns nothing from them.
//!
//! Everything that could teach it is dropped by rule already (`nft/guard.rs`), but rules can be flushed by somebody else,
//! as a firewall does that is loaded again. Switches stay.

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::Error;
use crate::host::Host;
use crate::message::Batch;
use crate::route::{ACCEPT_REDIRECTS, set_ipv4_switch};

/// A link of ours: no redirects, and IPv6 only where it is asked for, and then nothing of it by itself: no router's
/// advertisements, hence no routes, addresses, name servers.
pub(crate) fn quiet(host: &Host, link: &str, with_ipv6: bool) -> Result<(), Error> {
    let mut batch = Batch::new();
    set_ipv4_switch(&mut batch, link, ACCEPT_REDIRECTS, false);
    host.route.send(&batch)?;
    host.locks.inside(|| {
        if !with_ipv6 {
            return set(link, "disable_ipv6", "1");
        }
        for name in ["accept_ra", "autoconf", "accept_redirects"] {
            set(link, name, "0")?;
        }
        // As it would be if it had not been switched off here, for those before that did without.
        match read("/proc/sys/net/ipv6/conf/default/disable_ipv6")? {
            Some(b'0') => set(link, "disable_ipv6", "0"),
            _ => Ok(()),
        }
    })
}

/// A switch of IPv6 on a link; of a kernel without IPv6 there is none. In a container /proc/sys may be read-only: then it is
/// left to the rules.
fn set(link: &str, name: &str, value: &str) -> Result<(), Error> {
    let path = format!("/proc/sys/net/ipv6/conf/{link}/{name}");
    let file = match rustix::fs::open(&path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty()) {
        Err(Errno::NOENT | Errno::ROFS) => return Ok(()),
        other => other.map_err(|errno| Error::from_call(&path, "open", errno))?,
    };
    let written = rustix::io::retry_on_intr(|| rustix::io::write(&file, value.as_bytes()));
    written.map(drop).map_err(|errno| Error::from_call(path, "write", errno))
}

/// The first byte of a switch; `None` if there is no such.
fn read(path: &str) -> Result<Option<u8>, Error> {
    let file = match rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(None),
        other => other.map_err(|errno| Error::from_call(path, "open", errno))?,
    };
    let mut byte = [0; 1];
    let got = rustix::io::retry_on_intr(|| rustix::io::read(&file, &mut byte));
    got.map_err(|errno| Error::from_call(path, "read", errno))?;
    Ok(Some(byte[0]))
}
