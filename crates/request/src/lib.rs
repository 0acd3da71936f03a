//! What a process and its container are to be, as data: no system call, no file, no descriptor.
//!
//! Every door reads the same [`Request`]: the command from TOML and JSON, JavaScript and Python from their own objects, C from JSON.
//! Unknown keys are errors that name the nearest which exists; sizes and lengths of time are numbers or strings with units;
//! whatever is wrong is told with its place ([`Field`]).
//!
//! ```
//! use seclude_request::{Format, Request};
//!
//! let text = "command = [\"make\"]\n[limits]\nmemory_max = \"256M\"\n";
//! let request = Request::parse(text.as_bytes(), Format::Toml)?;
//! assert_eq!(request.limits.memory_max.map(|size| size.0), Some(256 << 20));
//! let wrong = Request::parse(b"[limits]\nmemroy_max = 1\n", Format::Toml).unwrap_err();
//! assert_eq!(wrong.to_string(), "limits.memroy_max: there is no such key; the nearest is memory_max");
//! # Ok::<(), seclude_request::Wrong>(())
//! ```

#![forbid(unsafe_code)]

mod bytes;
mod field;
mod landlock;
mod layers;
mod limits;
mod mount;
mod namespaces;
mod network;
mod process;
mod read;
mod reader;
mod remedy;
mod request;
mod root;
#[cfg(feature = "schema")]
mod schema;
mod seccomp;
mod text;
mod units;
mod user;
mod value;
mod wrong;

pub use bytes::{Content, Mode, mode};
pub use field::{Field, NoField, Part, camel, snake};
pub use landlock::{Landlock, LandlockScope};
pub use limits::{Cgroup, Device, DeviceKind, Hugetlb, IoMax, Limits};
pub use mount::{Mount, MountKind};
pub use namespaces::{Namespace, Namespaces};
pub use network::{Dns, HostEntry, Network, NetworkKind, Sni};
pub use process::{Clone, Rights, Rlimit, Terminal, TimeOffsets, UNLIMITED};
pub use read::{Format, MOST_BYTES, value};
pub use reader::Spelling;
pub use remedy::Remedy;
pub use request::{Preset, Request, VERSION};
pub use root::Root;
#[cfg(feature = "schema")]
pub use schema::{schema, schema_text};
pub use seccomp::{Profile, Seccomp};
pub use text::Text;
pub use units::{Duration, Size, nanoseconds, size};
pub use user::{Extent, Map, User};
pub use value::{MOST_DEPTH, Value};
pub use wrong::{Why, Wrong};

/// Whether a field is as it is when it is left out.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
