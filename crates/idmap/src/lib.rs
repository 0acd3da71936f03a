//! Id maps of user namespaces, and who may use which ids in one.
//!
//! A user namespace (`user_namespaces(7)`, Linux 3.8) shows the processes inside it other user and
//! group ids than they have outside. The id map says which; it is written once to
//! `/proc/PID/uid_map` and `gid_map`. An unprivileged caller may map its own single id, and through
//! `newuidmap(1)` and `newgidmap(1)` the ranges that `subuid(5)` and `subgid(5)` give it.
//!
//! Everything here is text and arithmetic on ids (`u32`, counts in ids); only the `read_*`
//! functions touch the system, and they only read files. Nothing panics, whatever the input.
//!
//! ```
//! use seclude_idmap::{first_uncovered, ranges_for, rootless_map};
//!
//! let subuid = "alice:100000:65536\nbob:165536:65536\n";
//! let ranges = ranges_for(subuid, Some("alice"), 1000);
//! let map = rootless_map(1000, &ranges).ok_or("alice has no range in /etc/subuid")?;
//!
//! assert_eq!(map.to_kernel_text(), "0 1000 1\n1 100000 65536\n");
//! assert_eq!(map.outside_of(33), Some(100_032));
//! assert_eq!(first_uncovered(&ranges, 1000, &map), None);
//! # Ok::<(), &str>(())
//! ```

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod error;
mod extent;
mod files;
mod free;
mod map;
mod passwd;
mod range;
mod rootless;
mod subid;

pub use error::{ExtentError, Field, FileError, MapError, Side};
pub use extent::Extent;
pub use files::{GROUP_FILE, PASSWD_FILE, SUBGID_FILE, SUBUID_FILE, read_ranges_for, read_taken, read_user_name};
pub use free::{free_range, free_range_in};
pub use map::{IdMap, MAX_EXTENTS};
pub use passwd::{ids_in, user_name};
pub use range::Range;
pub use rootless::rootless_map;
pub use subid::{covers, first_uncovered, ranges_for, taken_by};
