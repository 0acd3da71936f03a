//! Capabilities by name, capabilities(7).

use std::fmt;
use std::str::FromStr;

/// In the order of their numbers.
const NAMES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// One capability, by its number.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Capability(u8);

impl Capability {
    /// Go beyond the permissions of files.
    pub const DAC_OVERRIDE: Capability = Capability(1);
    /// Reading every file and searching every directory.
    pub const DAC_READ_SEARCH: Capability = Capability(2);
    /// Write to set-id files without taking their bits away.
    pub const FSETID: Capability = Capability(4);
    /// Change ids of one's own.
    pub const SETUID: Capability = Capability(7);
    /// Change groups of one's own.
    pub const SETGID: Capability = Capability(6);
    /// Give capabilities of the bounding set up.
    pub const SETPCAP: Capability = Capability(8);
    /// Configure the network.
    pub const NET_ADMIN: Capability = Capability(12);
    /// Raw and packet sockets: frames that no rule of the namespace sees.
    pub const NET_RAW: Capability = Capability(13);
    /// chroot(2), and entering a mount namespace.
    pub const SYS_CHROOT: Capability = Capability(18);
    /// Look into other processes, and change them.
    pub const SYS_PTRACE: Capability = Capability(19);
    /// The new root.
    pub const SYS_ADMIN: Capability = Capability(21);
    /// Go beyond resource limits.
    pub const SYS_RESOURCE: Capability = Capability(24);

    /// Give files capabilities, and a user namespace the root of the one above.
    pub const SETFCAP: Capability = Capability(31);

    /// Every capability that this version knows by name.
    pub fn all() -> impl Iterator<Item = Capability> {
        (0..NAMES.len() as u8).map(Capability)
    }

    /// Its bit in a set.
    pub fn bit(self) -> u64 {
        1 << self.0
    }

    /// The name without `CAP_`.
    pub fn name(self) -> &'static str {
        NAMES[usize::from(self.0)]
    }
}

impl fmt::Debug for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CAP_{}", self.name())
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CAP_{}", self.name())
    }
}

/// A word that names no capability.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("unknown capability {0:?}: a name of capabilities(7), such as NET_ADMIN or CAP_NET_ADMIN")]
pub struct UnknownCapability(pub String);

impl FromStr for Capability {
    type Err = UnknownCapability;

    /// Takes the name in any case, with or without `CAP_`.
    fn from_str(word: &str) -> Result<Self, UnknownCapability> {
        let upper = word.to_ascii_uppercase();
        let bare = upper.strip_prefix("CAP_").unwrap_or(&upper);
        let number = NAMES.iter().position(|name| *name == bare);
        number.map(|number| Capability(number as u8)).ok_or_else(|| UnknownCapability(word.to_owned()))
    }
}

/// The five sets of a process, capabilities(7).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct CapabilitySets {
    /// What an exec can give at most.
    pub bounding: Capabilities,
    /// What is checked.
    pub effective: Capabilities,
    /// What can be made effective.
    pub permitted: Capabilities,
    /// What files can hand on over an exec.
    pub inheritable: Capabilities,
    /// What stays over an exec without that; among the permitted and the inheritable ones.
    pub ambient: Capabilities,
}

/// A set of capabilities.
#[derive(Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Capabilities(u64);

impl Capabilities {
    /// None at all.
    pub const NONE: Capabilities = Capabilities(0);

    /// All that the kernel has.
    pub const ALL: Capabilities = Capabilities(!0);

    /// The set with `capability`.
    #[must_use]
    pub fn with(self, capability: Capability) -> Capabilities {
        Capabilities(self.0 | capability.bit())
    }

    /// The set without `capability`.
    #[must_use]
    pub fn without(self, capability: Capability) -> Capabilities {
        Capabilities(self.0 & !capability.bit())
    }

    /// Whether it is one of them.
    pub fn has(self, capability: Capability) -> bool {
        self.0 & capability.bit() != 0
    }

    /// Whether nothing is in it.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(crate) fn bits(self) -> u64 {
        self.0
    }
}

impl FromIterator<Capability> for Capabilities {
    fn from_iter<I: IntoIterator<Item = Capability>>(capabilities: I) -> Self {
        capabilities.into_iter().fold(Capabilities::NONE, Capabilities::with)
    }
}

impl fmt::Debug for Capabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Capabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("none");
        }
        if *self == Capabilities::ALL {
            return f.write_str("all");
        }
        let names: Vec<_> = Capability::all().filter(|c| self.0 & c.bit() != 0).map(Capability::name).collect();
        f.write_str(&names.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_in_any_case_with_or_without_their_prefix() {
        assert_eq!("cap_net_admin".parse(), Ok(Capability::NET_ADMIN));
        assert_eq!("SYS_CHROOT".parse(), Ok(Capability::SYS_CHROOT));
        assert_eq!("SYS_ADMIN".parse(), Ok(Capability::SYS_ADMIN));
        assert!("SYS_EVERYTHING".parse::<Capability>().is_err());
        assert_eq!("CHECKPOINT_RESTORE".parse::<Capability>().unwrap().bit(), 1 << 40);
    }
}
