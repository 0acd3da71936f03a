//! Control groups (`cgroups(7)`): one for a tree of processes, with its limits, counters and end.
//!
//! Works with the unified hierarchy (v2), with the v1 hierarchies, and with both side by side
//! (hybrid). Where they are mounted is looked up in `/proc/self/mountinfo`, never assumed.
//!
//! * [`Hierarchies`] finds what there is; [`Controller`] names what can be limited.
//! * [`Limits`] is plain data: what to limit. A limit holds or is an error: each one is written
//!   before a process is inside, and read back.
//! * [`Cgroup`] is one directory in each hierarchy that is needed. [`Cgroup::fd`] is for
//!   `CLONE_INTO_CGROUP`, [`Cgroup::join`] moves a process in.
//! * [`Cgroup::remove`] removes it. **Dropping a [`Cgroup`] only closes its descriptors**: the
//!   caller keeps the account of what it has made.
//!
//! Nothing here sleeps where the kernel offers an event, needs `unsafe`, or panics.
//!
//! ```no_run
//! use std::path::Path;
//! use seclude_cgroup::{Cgroup, Hierarchies, Limits};
//!
//! let hierarchies = Hierarchies::discover()?;
//! let limits = Limits::new().memory_max(64 << 20).cpu_max(0.5).pids_max(100);
//! let cgroup = Cgroup::create(&hierarchies, Path::new("/seclude"), &limits, &[])?;
//!
//! let mut child = std::process::Command::new("/bin/true").spawn().unwrap();
//! cgroup.join(child.id())?;
//! child.wait().unwrap();
//!
//! println!("{:?}", cgroup.stats()?);
//! cgroup.kill()?;
//! cgroup.wait_empty(None)?;
//! cgroup.remove()?;
//! # Ok::<(), seclude_cgroup::Error>(())
//! ```

#![forbid(unsafe_code)]

mod below;
mod bpf;
mod cgroup;
mod controller;
mod create;
mod delegation;
mod device;
mod dir;
mod error;
mod events;
mod existing;
mod freeze;
mod hierarchies;
mod hint;
mod inside;
mod kill;
mod known;
mod limit;
mod limits;
mod list;
mod machine;
mod mark;
mod mountinfo;
mod name;
mod named;
mod parent;
mod probe;
mod processes;
mod read;
mod remove;
mod setting;
mod stats;
mod sweep;
#[cfg(test)]
mod testing;
mod text;
mod v1;
mod v2;
mod validate;
mod wait;

pub use cgroup::Cgroup;
pub use controller::Controller;
pub use create::Reach;
pub use delegation::v2_path_of;
pub use device::{Access, DeviceKind, DeviceNumber, DeviceRule};
pub use error::Error;
pub use events::Events;
pub use existing::Existing;
pub use hierarchies::{Hierarchies, Hierarchy, Mode, Version};
pub use limit::{Limit, LimitError};
pub use limits::{HugetlbLimit, IoLimit, Limits};
pub use list::{List, ListError};
pub use named::{Devices, FileValue, HierarchyOf, Named};
pub use stats::{Pressure, Psi, PsiLine, Source, Stats};
