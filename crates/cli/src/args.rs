//! The flags: parser, help, man page and completions are made from these definitions.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, Command};
use seclude::{CloneWay, Extent};

use crate::limits::LimitFlags;
use crate::mounts::{BindSpec, FileSpec, MountSpec, OverlaySpec, SymlinkSpec, TmpfsSpec};
use crate::network::NetworkFlags;
use crate::values::{self, CapabilityName, Dimension, EnvSpec, JoinSpec, NamespaceList, RlimitSpec, UserSpec};

/// The program: its tasks, each with its flags.
///
/// The flags of a task are defined when it is called. To define those of every task each time was a noticeable part of a
/// short command's time.
pub(crate) fn command() -> Command {
    Command::new("seclude")
        .version(env!("CARGO_PKG_VERSION"))
        .propagate_version(true)
        .max_term_width(110)
        .about("Run a command born inside a Linux container: it starts there or not at all")
        .after_help(
            "Exit status: the command's own; 125 seclude failed before the command ran, 126 it cannot be executed, 127 it \
             was not found, 128+N signal N ended it.\n\nFirst steps:  seclude run id    seclude explain id    seclude \
             doctor",
        )
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(
            task::<RunFlags>("run", "Run a command in a container").long_about(
                "Run a command in a container\n\nWithout flags: all namespaces new (but time), the caller mapped to root, \
                 the host's tree read-only with a fresh /proc, /dev and /tmp, only a loopback interface that is up, no \
                 capabilities, no new privileges, a session of its own, and death with the parent.",
            ),
        )
        .subcommand(task::<ExplainFlags>(
            "explain",
            "Print what `run` would do with the same flags: who does what, in which order",
        ))
        .subcommand(task::<DoctorFlags>(
            "doctor",
            "Try what this host can do, each thing for real in a throwaway process",
        ))
        .subcommand(task::<GcFlags>(
            "gc",
            "Remove what seclude has left where it was killed; each run looks for that itself",
        ))
        .subcommand(task::<CompletionsFlags>("completions", "Print the completions for a shell"))
        .subcommand(Command::new("man").about("Print the manual page (for man -l -)"))
}

fn task<Flags: Args>(name: &'static str, about: &'static str) -> Command {
    Command::new(name).about(about).defer(Flags::augment_args)
}

#[derive(Args)]
pub(crate) struct CompletionsFlags {
    /// The shell
    pub(crate) shell: clap_complete::Shell,
}

#[derive(Args)]
pub(crate) struct RunFlags {
    /// Print its pid, leave it running, and exit 0; stdin is /dev/null
    #[arg(long, conflicts_with_all = ["tty", "timeout", "report"])]
    pub(crate) detach: bool,
    /// Write how it ended, how it was made and the time of each step to this file, as JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
    /// Say on stderr, once a second, what the container uses; makes a cgroup
    #[arg(long, conflicts_with = "detach")]
    pub(crate) stats: bool,
    /// Say on stderr how it was made and how it ended
    #[arg(short, long)]
    pub(crate) verbose: bool,
    #[command(flatten)]
    pub(crate) container: ContainerFlags,
}

#[derive(Args)]
pub(crate) struct ExplainFlags {
    /// Print it as JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) container: ContainerFlags,
}

#[derive(Args)]
pub(crate) struct DoctorFlags {
    /// Print it as JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// Rehearse `run` with these flags (and this command), all but its exec, and name the first step that would fail
    #[arg(long = "for", value_name = "FLAGS", num_args = 1.., allow_hyphen_values = true)]
    pub(crate) plan: Vec<OsString>,
}

#[derive(Args)]
pub(crate) struct GcFlags {
    /// Look in this cgroup, as `run --cgroup` has it, instead of where seclude makes its own
    #[arg(long, value_name = "PATH")]
    pub(crate) cgroup: Option<PathBuf>,
}

// What the container is: the same for `run` and `explain`. (A doc comment would become the task's.)
//
// A group for each heading of the help, also because each is a stack frame of its own: the one of all flags together
// touched so many pages that a short command's time showed it.
#[derive(Args)]
pub(crate) struct ContainerFlags {
    /// The command and its arguments; nothing from its name on is read as a flag
    #[arg(value_name = "COMMAND", required = true, trailing_var_arg = true)]
    pub(crate) command: Vec<OsString>,
    /// Start from nothing: only the namespaces, mounts and limits that other flags ask for, no preset
    #[arg(long, help_heading = "Namespaces")]
    pub(crate) bare: bool,

    #[command(flatten)]
    pub(crate) namespaces: NamespaceFlags,
    #[command(flatten)]
    pub(crate) users: UserFlags,
    #[command(flatten)]
    pub(crate) files: FileFlags,
    #[command(flatten)]
    pub(crate) network: NetworkFlags,
    #[command(flatten)]
    pub(crate) limits: LimitFlags,
    #[command(flatten)]
    pub(crate) process: ProcessFlags,
}

#[derive(Args)]
#[command(next_help_heading = "Namespaces")]
pub(crate) struct NamespaceFlags {
    /// Make these namespaces too: user, pid, mount, net, uts, ipc, cgroup, time (all but time are made unless --bare)
    #[arg(long, value_name = "LIST")]
    pub(crate) unshare: Vec<NamespaceList>,
    /// Keep the caller's namespaces of these kinds
    #[arg(long, value_name = "LIST")]
    pub(crate) share: Vec<NamespaceList>,
    /// Enter an existing namespace, such as net=/proc/1234/ns/net
    #[arg(long, value_name = "NS=PATH")]
    pub(crate) join: Vec<JoinSpec>,
    /// Set CLOCK_MONOTONIC ahead (or behind: -1h) of the host's; makes a time namespace
    #[arg(long, value_name = "DURATION", value_parser = values::offset, allow_hyphen_values = true)]
    pub(crate) monotonic: Option<i128>,
    /// Set CLOCK_BOOTTIME ahead (or behind) of the host's; makes a time namespace
    #[arg(long, value_name = "DURATION", value_parser = values::offset, allow_hyphen_values = true)]
    pub(crate) boottime: Option<i128>,
}

#[derive(Args)]
#[command(next_help_heading = "Users")]
pub(crate) struct UserFlags {
    /// Map LEN user ids from IN inside to OUT outside; may be repeated
    #[arg(long, value_name = "IN:OUT:LEN")]
    pub(crate) uid_map: Vec<Extent>,
    /// Map LEN group ids from IN inside to OUT outside; may be repeated
    #[arg(long, value_name = "IN:OUT:LEN")]
    pub(crate) gid_map: Vec<Extent>,
    /// Map subordinate ids: as a user yourself to 0 and your ranges of /etc/subuid and /etc/subgid from 1 up, as root
    /// 65536 ids of the host that nobody has
    #[arg(long, conflicts_with_all = ["uid_map", "gid_map"])]
    pub(crate) map_subids: bool,
    /// Run as this uid and gid inside. Without a map: as a user you are mapped to them, as root each id is itself
    #[arg(long, value_name = "UID[:GID]")]
    pub(crate) user: Option<UserSpec>,
}

#[derive(Args)]
#[command(next_help_heading = "Files")]
pub(crate) struct FileFlags {
    /// The directory that becomes / (absolute); read-only unless --writable or --overlay
    #[arg(long, value_name = "DIR")]
    pub(crate) root: Option<PathBuf>,
    /// Put a writable layer in memory over the root; it is gone at the end
    #[arg(long, conflicts_with_all = ["upper", "writable"])]
    pub(crate) overlay: bool,
    /// Put a writable layer in this directory over the root; it stays
    #[arg(long, value_name = "DIR", requires = "work", conflicts_with = "writable")]
    pub(crate) upper: Option<PathBuf>,
    /// An empty directory on the file system of --upper, for the kernel's use
    #[arg(long, value_name = "DIR", requires = "upper")]
    pub(crate) work: Option<PathBuf>,
    /// Make the root read-only, also with --overlay and --upper
    #[arg(long, conflicts_with = "writable")]
    pub(crate) read_only: bool,
    /// Let the command write to the root itself
    #[arg(long)]
    pub(crate) writable: bool,
    /// Show a file or directory of the host inside (with what is mounted below it); `\:` is a colon in a path
    #[arg(long, value_name = "SRC[:DST]")]
    pub(crate) bind: Vec<BindSpec>,
    /// The same, read-only
    #[arg(long, value_name = "SRC[:DST]")]
    pub(crate) ro_bind: Vec<BindSpec>,
    /// An empty directory in memory
    #[arg(long, value_name = "DST[:size=64M,mode=1777]")]
    pub(crate) tmpfs: Vec<TmpfsSpec>,
    /// Several directories as one; the first lower wins. Without upper and work it is read-only; with the word
    /// `ephemeral` writes go to memory. `\,` is a comma in a path
    #[arg(long, value_name = "lower=A,lower=B[,upper=C,work=D],to=E")]
    pub(crate) overlay_mount: Vec<OverlaySpec>,
    /// Any mount. Types: bind, tmpfs, overlay, proc, sysfs, mqueue, devpts, dev, file, dir, symlink, mask, ro. Keys: src,
    /// dst, size, mode, lower, upper, work, content; words: ro, nosuid, nodev, noexec, norecursive, ephemeral, optional
    #[arg(long, value_name = "type=…,src=…,dst=…")]
    pub(crate) mount: Vec<MountSpec>,
    /// A file with this text, or with the content of a file of the host
    #[arg(long, value_name = "DST=@HOSTFILE|TEXT")]
    pub(crate) file: Vec<FileSpec>,
    /// A directory
    #[arg(long, value_name = "DST")]
    pub(crate) dir: Vec<PathBuf>,
    /// A symlink
    #[arg(long, value_name = "TARGET:LINK")]
    pub(crate) symlink: Vec<SymlinkSpec>,
    /// Hide a file or directory
    #[arg(long, value_name = "PATH")]
    pub(crate) mask: Vec<PathBuf>,
    /// Make a file or directory read-only
    #[arg(long, value_name = "PATH")]
    pub(crate) ro_path: Vec<PathBuf>,
}

#[derive(Args)]
#[command(next_help_heading = "Process")]
pub(crate) struct ProcessFlags {
    /// Set an environment variable
    #[arg(long, value_name = "K=V")]
    pub(crate) env: Vec<EnvSpec>,
    /// Start from an empty environment
    #[arg(long)]
    pub(crate) clear_env: bool,
    /// The working directory inside (absolute)
    #[arg(long, value_name = "DIR")]
    pub(crate) workdir: Option<PathBuf>,
    /// The host name inside
    #[arg(long, value_name = "NAME")]
    pub(crate) hostname: Option<OsString>,
    /// The NIS domain name inside
    #[arg(long, value_name = "NAME")]
    pub(crate) domainname: Option<OsString>,
    /// Give a capability, such as NET_ADMIN, or ALL
    #[arg(long, value_name = "NAME")]
    pub(crate) cap_add: Vec<CapabilityName>,
    /// Take a capability away from --cap-add ALL
    #[arg(long, value_name = "NAME")]
    pub(crate) cap_drop: Vec<CapabilityName>,
    /// A resource limit of setrlimit(2), such as NOFILE=1024:4096; `unlimited` is a value
    #[arg(long, value_name = "NAME=SOFT[:HARD]")]
    pub(crate) rlimit: Vec<RlimitSpec>,
    /// The file mode creation mask, octal
    #[arg(long, value_name = "MODE", value_parser = values::mode)]
    pub(crate) umask: Option<u32>,
    /// How eager the kernel is to kill it when memory runs out, -1000 to 1000
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) oom_score_adj: Option<i16>,
    /// Run it below a tiny init as PID 1 that reaps orphans and forwards signals
    #[arg(long)]
    pub(crate) init: bool,
    /// Give it a terminal of its own, connected to this one; in a new pid namespace with --init, so that Ctrl-C works
    #[arg(short, long)]
    pub(crate) tty: bool,
    /// The size of its terminal, instead of this one's
    #[arg(long, value_name = "ROWSxCOLUMNS", requires = "tty")]
    pub(crate) tty_size: Option<Dimension>,
    /// Kill it after this long: 500ms, 10s, 5m; a bare number is seconds
    #[arg(long, value_name = "DURATION", value_parser = values::duration)]
    pub(crate) timeout: Option<Duration>,
    /// Let it go on when seclude or its caller ends
    #[arg(long)]
    pub(crate) no_die_with_parent: bool,
    /// Whether an exec inside may not gain privileges
    #[arg(long, value_name = "BOOL", default_value_t = true, action = ArgAction::Set, num_args = 0..=1,
          require_equals = true, default_missing_value = "true")]
    pub(crate) no_new_privs: bool,
    /// How to clone: vm, copy, legacy, or auto
    #[arg(long, value_name = "WAY", default_value_t = CloneWay::Auto)]
    pub(crate) clone: CloneWay,
}
