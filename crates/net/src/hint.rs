//! What can be done about an error.

use rustix::io::Errno;

use crate::Error;
use crate::probe;

impl Error {
    /// What the user can do, where the message does not say it already.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Error::NoBridge { .. } => "give the name of a bridge that exists, or let seclude make one",
            Error::Foreign { name } => {
                return Some(format!("remove it (ip link delete {name}), or ask for another subnet"));
            }
            Error::NotOurs { .. } => "only root is to have it: look at what it is, and remove it",
            Error::Held { file, .. } => {
                return Some(format!(
                    "lslocks(8) and fuser {file} say who: one of root's, or a container of root's to which the host's /run \
                     is shown"
                ));
            }
            Error::Collides { .. } => "ask for a subnet that no route of this host leads to (ip route show table all)",
            Error::NoSubnet { .. } => "ask for a subnet that no route of this host leads to",
            Error::Exhausted { .. } => "ask for a larger subnet, or end containers that are in it",
            Error::Outside { .. } => "ask for an address of the subnet, or for a subnet that has the address",
            Error::Reserved { .. } => "ask for another address of the subnet, or for none",
            Error::AddressInUse { .. } => "ask for another address, or for none",
            Error::PortTaken { .. } => "something listens there (ss -lntup), or another container has it published",
            Error::NoForwarding { file } => {
                return Some(format!(
                    "let it be switched on, which ends with the last container that needs it, or switch it on for good: \
                     echo 1 > {file}"
                ));
            }
            Error::NoModule { module, .. } => return Some(format!("load it (modprobe {module}), or ask for less")),
            // Without the capability it is EPERM.
            Error::NotPermitted { call: "RTM_NEWADDR", source, .. }
                if Errno::from_io_error(source) == Some(Errno::ACCESS) =>
            {
                "IPv6 is disabled: net.ipv6.conf.all.disable_ipv6"
            }
            Error::NotPermitted { call, .. } if call.starts_with("RTM_") || call.starts_with("N") => {
                "links and rules need CAP_NET_ADMIN over the host's network; without it, a user-mode network such as \
                 pasta can give the container one"
            }
            Error::NotPermitted { call: "bind", .. } => {
                "a port below net.ipv4.ip_unprivileged_port_start needs CAP_NET_BIND_SERVICE"
            }
            Error::NotPermitted { about, .. } if about.starts_with("/run") => {
                "run as root; without rights over the host a user-mode network such as pasta can give the container one"
            }
            Error::NotPermitted { about, .. } if about == probe::TUN => {
                "whoever owns the host can open it to all, as udev does: chmod 666 /dev/net/tun"
            }
            Error::NotPermitted { .. } => "run as root",
            Error::Call { about, .. } if about == probe::TUN => {
                "the module is not loaded (modprobe tun), or an outer container was not given the device"
            }
            Error::Call { call: "bind", source, .. } if Errno::from_io_error(source) == Some(Errno::ADDRNOTAVAIL) => {
                "publish on an address that this host has (ip address), or on all"
            }
            Error::Call { about, source, .. }
                if about.starts_with("/proc/sys/") && Errno::from_io_error(source) == Some(Errno::ROFS) =>
            {
                "in a container /proc/sys is read-only: switch it on from outside, or ask for no NAT and no ports"
            }
            Error::Call { about, source, .. }
                if about.starts_with("/run/seclude") && Errno::from_io_error(source) == Some(Errno::ROFS) =>
            {
                "/run has to be writable, a tmpfs will do"
            }
            Error::Call { call: "RTM_NEWADDR", source, .. }
                if Errno::from_io_error(source) == Some(Errno::OPNOTSUPP) =>
            {
                "the kernel has no IPv6, or it is disabled"
            }
            _ => return None,
        };
        Some(hint.to_owned())
    }
}
