//! Devices, by number.

use std::fmt;

use rustix::fs::Dev;

/// The highest major number (12 bits).
pub(crate) const MAX_MAJOR: u32 = 4095;
/// The highest minor number (20 bits).
pub(crate) const MAX_MINOR: u32 = 1_048_575;

/// A device's number, `major:minor`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceNumber {
    /// The driver, 0 to 4095.
    pub major: u32,
    /// The device, 0 to 1048575.
    pub minor: u32,
}

impl DeviceNumber {
    /// From what `stat(2)` calls `st_rdev`.
    pub fn from_rdev(rdev: u64) -> DeviceNumber {
        let dev = rdev as Dev;
        DeviceNumber { major: rustix::fs::major(dev), minor: rustix::fs::minor(dev) }
    }

    pub(crate) fn is_valid(self) -> bool {
        self.major <= MAX_MAJOR && self.minor <= MAX_MINOR
    }
}

impl fmt::Display for DeviceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.major, self.minor)
    }
}

/// The kind of a device node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeviceKind {
    /// A character device, `c`.
    Char,
    /// A block device, `b`.
    Block,
}

/// What may be done with a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Access {
    /// Open for reading.
    pub read: bool,
    /// Open for writing.
    pub write: bool,
    /// Make a node for it, `mknod(2)`.
    pub mknod: bool,
}

impl Access {
    /// All three.
    pub const ALL: Access = Access { read: true, write: true, mknod: true };
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (allowed, letter) in [(self.read, "r"), (self.write, "w"), (self.mknod, "m")] {
            if allowed {
                f.write_str(letter)?;
            }
        }
        Ok(())
    }
}

/// Devices that may be used, as one line of v1's `devices.allow`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DeviceRule {
    /// Character or block devices.
    pub kind: DeviceKind,
    /// The major number, 0 to 4095; `None` is any.
    pub major: Option<u32>,
    /// The minor number, 0 to 1048575; `None` is any.
    pub minor: Option<u32>,
    /// What may be done.
    pub access: Access,
}

impl fmt::Display for DeviceRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = |n: Option<u32>| n.map_or("*".to_owned(), |n| n.to_string());
        let kind = match self.kind {
            DeviceKind::Char => 'c',
            DeviceKind::Block => 'b',
        };
        write!(f, "{kind} {}:{} {}", number(self.major), number(self.minor), self.access)
    }
}
