//! Forwarding of packets between the host's links, switched on where that was asked for, and off again.

use rustix::fs::{Mode, OFlags};

use crate::Error;
use crate::host::Host;
use crate::nft;

/// A family's switch, and the note that it was off before.
struct Switch {
    file: &'static str,
    note: &'static str,
}

const IPV4: Switch = Switch { file: "/proc/sys/net/ipv4/ip_forward", note: "ip-forward-was-off" };
const IPV6: Switch = Switch { file: "/proc/sys/net/ipv6/conf/all/forwarding", note: "ipv6-forwarding-was-off" };

/// Sees to it that packets are forwarded. The table's lock is held, and the table is there.
pub(crate) fn ensure(host: &Host, with_ipv6: bool, may_switch: bool) -> Result<(), Error> {
    for switch in if with_ipv6 { &[IPV4, IPV6][..] } else { &[IPV4] } {
        if is_on(switch)? {
            continue;
        }
        if !may_switch {
            return Err(Error::NoForwarding { file: switch.file });
        }
        // The note first: if this process is killed in between, off is what is restored.
        nft::note(&host.filter, switch.note)?;
        set(switch, "1")?;
    }
    Ok(())
}

/// Puts back what was switched on. The table's lock is held alone.
pub(crate) fn restore(host: &Host) -> Result<(), Error> {
    for switch in [IPV4, IPV6] {
        if nft::chain_exists(&host.filter, switch.note)? {
            // The file is about the namespace of whoever opens it.
            host.locks.inside(|| set(&switch, "0"))?;
        }
    }
    Ok(())
}

/// Whether IPv4 packets are forwarded in the namespace of the calling thread.
pub(crate) fn ipv4_is_on() -> Result<bool, Error> {
    is_on(&IPV4)
}

/// The file that says so.
pub(crate) const IPV4_FILE: &str = IPV4.file;

fn is_on(switch: &Switch) -> Result<bool, Error> {
    let fail = |call| move |errno| Error::from_call(switch.file, call, errno);
    let file = rustix::fs::open(switch.file, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).map_err(fail("open"))?;
    let mut byte = [0; 1];
    rustix::io::retry_on_intr(|| rustix::io::read(&file, &mut byte)).map_err(fail("read"))?;
    Ok(byte != *b"0")
}

fn set(switch: &Switch, value: &str) -> Result<(), Error> {
    let fail = |call| move |errno| Error::from_call(switch.file, call, errno);
    let file = rustix::fs::open(switch.file, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty()).map_err(fail("open"))?;
    rustix::io::retry_on_intr(|| rustix::io::write(&file, value.as_bytes())).map_err(fail("write")).map(drop)
}
