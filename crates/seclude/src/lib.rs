//! `std::process::Command`, but the process is born inside a container, and every promise either holds or comes
//! back as an error that names the step that broke it.
//!
//! ```no_run
//! use seclude::{Command, Mount, Root};
//!
//! let output = Command::new("python3")
//!     .args(["-c", "print(open('/etc/hostname').read())"])
//!     .sandbox()
//!     .root(Root::directory("/srv/debian").read_only())
//!     .mount(Mount::bind("/home/me/src", "/mnt").read_only())
//!     .output()?;
//! # Ok::<(), seclude::Error>(())
//! ```
//!
//! [`Command`] is compiled into a [`Plan`] without a system call; [`Command::spawn`] runs the plan: one `clone3()`
//! makes the namespaces, the parent writes the id maps while the child waits at a barrier, the child mounts,
//! configures, drops rights and execs. A failure on either side is an [`Error`] with its step, call and errno, and
//! whatever was made is undone.
//!
//! Linux 5.10 or later on x86-64; on aarch64 tried in emulation alone. Overlays without privileges need 5.11.
#![forbid(unsafe_code)]

mod action;
mod advice;
#[cfg(feature = "tokio")]
mod asynchronous;
mod channel;
mod child;
mod command;
mod config;
mod confinement;
mod denials;
mod described;
mod discarded;
pub mod doctor;
mod ends;
mod error;
mod exhaustion;
mod exit;
#[cfg(not(feature = "fault"))]
mod fault;
#[cfg(feature = "fault")]
#[doc(hidden)]
pub mod fault;
mod foreign;
pub mod gc;
mod handled;
mod held;
mod helper_programs;
mod hint;
mod host;
mod isolation;
mod kept_secret;
mod late;
mod ledger;
mod listeners;
mod localhost;
mod made_record;
mod meter;
mod mount_point;
mod mount_points;
mod mounted_on;
mod mounts;
mod needed;
mod one_line;
mod ops;
mod patience;
mod places;
mod plan;
mod prefer;
mod presets;
mod proc_pid;
mod program;
mod reach;
mod relay;
mod remove;
mod report;
mod same_files;
mod sandbox;
#[cfg(feature = "systemd")]
mod scope;
mod spawn;
mod stats;
mod step;
mod tree;
mod usage;
mod why;

pub use action::{Action, Moment};
#[cfg(feature = "tokio")]
pub use asynchronous::AsyncChild;
pub use child::{Child, Signaller};
pub use command::Command;
pub use config::attributes::Attributes;
pub use config::capability::{Capabilities, Capability, CapabilitySets, UnknownCapability};
pub use config::cgroup::Cgroup;
pub use config::clone::{CloneWay, UnknownCloneWay};
pub use config::feature::{Feature, UnknownFeature};
pub use config::ids::{Extent, IdMap, UserMap};
pub use config::landlock::Landlock;
pub use config::mount::Mount;
pub use config::namespace::{Namespace, UnknownNamespace};
pub use config::network::{Dns, Names, Pasta, Veth};
pub use config::preset::{Preset, UnknownPreset};
pub use config::rlimit::{Resource, UNLIMITED, UnknownResource};
pub use config::root::{Overlay, Root};
pub use config::scheduling::{MemoryPolicy, Scheduler};
pub use config::seccomp::Seccomp;
pub use config::stdio::Stdio;
pub use denials::{Denial, DenialRule, Denials};
pub use discarded::Discarded;
pub use error::{Code, Error, Result, Side};
pub use exit::{Cause, Exit, Output};
pub use held::{release, release_unless, release_with};
pub use host::Host;
pub use isolation::Gap;
pub use meter::Meter;
/// For the command lines over this library, whose own lines have others' names in them as well.
#[doc(hidden)]
pub use one_line::OneLine;
pub use patience::Canceller;
pub use plan::{First, Plan};
pub use proc_pid::proc_is_of_own_pid_namespace;
pub use reach::{Reach, Reached, Unreached};
pub use report::{Connection, Entered, Placement, Preferred, Report, RootMade, StepTime, StepTimes};
#[cfg(feature = "systemd")]
pub use scope::{Property, Scope};
pub use seclude_sys::sigpipe_ignored_at_start;
pub use stats::stats_to_json;

pub use seclude_cgroup as cgroup;
pub use seclude_cgroup::{
    Access, DeviceKind, DeviceNumber, DeviceRule, HugetlbLimit, IoLimit, Limit, Limits, List, Pressure, Psi, PsiLine,
    Stats,
};
pub use seclude_egress::{Rule, RuleError};
pub use seclude_net::{Ipv6, Mac, MacError, Protocol, Publish, PublishError, Subnet, Subnet6, SubnetError};
pub use seclude_request as request;
pub use seclude_request::{Field, Part, Remedy};
pub use usage::{Tree, Usage};
pub use why::{Answer, Question, Verdict, Why};
