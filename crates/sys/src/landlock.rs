//! Landlock: rules that a process gives itself and whatever it starts, landlock(7). Linux 5.13.

use crate::{Fd, Result, call};

/// `LANDLOCK_ACCESS_FS_…` of linux/landlock.h, which linux-raw-sys does not have.
pub mod access {
    /// Execute a file.
    pub const EXECUTE: u64 = 1;
    /// Open a file to write.
    pub const WRITE_FILE: u64 = 1 << 1;
    /// Open a file to read.
    pub const READ_FILE: u64 = 1 << 2;
    /// List a directory.
    pub const READ_DIR: u64 = 1 << 3;
    /// Remove an empty directory, or rename one.
    pub const REMOVE_DIR: u64 = 1 << 4;
    /// Remove a file, or rename one.
    pub const REMOVE_FILE: u64 = 1 << 5;
    /// Make a character device.
    pub const MAKE_CHAR: u64 = 1 << 6;
    /// Make a directory.
    pub const MAKE_DIR: u64 = 1 << 7;
    /// Make a file.
    pub const MAKE_REG: u64 = 1 << 8;
    /// Make a unix socket.
    pub const MAKE_SOCK: u64 = 1 << 9;
    /// Make a FIFO.
    pub const MAKE_FIFO: u64 = 1 << 10;
    /// Make a block device.
    pub const MAKE_BLOCK: u64 = 1 << 11;
    /// Make a symlink.
    pub const MAKE_SYM: u64 = 1 << 12;
    /// Link or rename between directories; refused by every ruleset before ABI 2.
    pub const REFER: u64 = 1 << 13;
    /// Cut a file. ABI 3.
    pub const TRUNCATE: u64 = 1 << 14;
    /// ioctl(2) on a device. ABI 5.
    pub const IOCTL_DEV: u64 = 1 << 15;
    /// Connect to a unix socket by its path. ABI 9.
    pub const RESOLVE_UNIX: u64 = 1 << 16;

    /// `LANDLOCK_ACCESS_NET_BIND_TCP`. ABI 4.
    pub const BIND_TCP: u64 = 1;
    /// `LANDLOCK_ACCESS_NET_CONNECT_TCP`. ABI 4.
    pub const CONNECT_TCP: u64 = 1 << 1;
    /// `LANDLOCK_ACCESS_NET_BIND_UDP`. ABI 10.
    pub const BIND_UDP: u64 = 1 << 2;
    /// `LANDLOCK_ACCESS_NET_CONNECT_SEND_UDP`. ABI 10.
    pub const CONNECT_SEND_UDP: u64 = 1 << 3;

    /// `LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET`. ABI 6.
    pub const SCOPE_ABSTRACT_UNIX_SOCKET: u64 = 1;
    /// `LANDLOCK_SCOPE_SIGNAL`. ABI 6.
    pub const SCOPE_SIGNAL: u64 = 1 << 1;
}

const CREATE_RULESET_VERSION: usize = 1;
const RULE_PATH_BENEATH: usize = 1;
const RULE_NET_PORT: usize = 2;

/// `struct landlock_ruleset_attr`: an older kernel takes a longer one as long as what it does not know is 0.
#[repr(C)]
struct Ruleset {
    files: u64,
    net: u64,
    scopes: u64,
}

/// `struct landlock_path_beneath_attr`
#[repr(C, packed)]
struct PathBeneath {
    access: u64,
    parent: i32,
}

/// `struct landlock_net_port_attr`
#[repr(C)]
struct NetPort {
    access: u64,
    port: u64,
}

/// The ABI that the kernel has, from 1 up: ENOSYS where it was built without, EOPNOTSUPP where it is off at boot.
pub fn version() -> Result<u32> {
    // SAFETY: without a structure the size is 0, and only the version is answered.
    unsafe { call!(__NR_landlock_create_ruleset, 0, 0, CREATE_RULESET_VERSION) }.map(|version| version as u32)
}

/// `landlock_create_ruleset(2)`: what of these is not allowed by a rule is refused. The descriptor is close-on-exec.
#[inline(always)]
pub fn create_ruleset(files: u64, net: u64, scopes: u64) -> Result<Fd> {
    let ruleset = Ruleset { files, net, scopes };
    // SAFETY: the pointer is to a structure of the given size.
    let made = unsafe { call!(__NR_landlock_create_ruleset, &raw const ruleset, size_of::<Ruleset>(), 0) };
    made.map(|fd| Fd(fd as i32))
}

/// `landlock_add_rule(2)`: allows `access` to the file `beneath`, or to all that is below the directory.
#[inline(always)]
pub fn allow_beneath(ruleset: Fd, beneath: Fd, access: u64) -> Result<()> {
    let rule = PathBeneath { access, parent: beneath.0 };
    // SAFETY: the pointer is to the structure of this kind of rule.
    unsafe { call!(__NR_landlock_add_rule, ruleset.arg(), RULE_PATH_BENEATH, &raw const rule, 0) }.map(drop)
}

/// `landlock_add_rule(2)`: allows `access` to a port. ABI 4.
#[inline(always)]
pub fn allow_port(ruleset: Fd, port: u16, access: u64) -> Result<()> {
    let rule = NetPort { access, port: port.into() };
    // SAFETY: as above.
    unsafe { call!(__NR_landlock_add_rule, ruleset.arg(), RULE_NET_PORT, &raw const rule, 0) }.map(drop)
}
