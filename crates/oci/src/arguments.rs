//! The command line: runc's, with options before or behind the id.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::log::Format;
use crate::preserved::MOST;

/// An OCI runtime: runs containers as container engines describe them.
#[derive(Parser)]
#[command(name = "seclude-oci", version = concat!(env!("CARGO_PKG_VERSION"), "\nspec: 1.3.0"), args_override_self = true, disable_version_flag = true)]
pub(crate) struct Arguments {
    /// Show its version, and that of the specification
    #[arg(short = 'v', long, action = clap::ArgAction::Version)]
    version: Option<bool>,
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes.
#[derive(Args)]
#[command(next_help_heading = "Of every command")]
pub(crate) struct Global {
    /// Where containers are written down [default: /run/seclude-oci, or $XDG_RUNTIME_DIR/seclude-oci]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) root: Option<PathBuf>,
    /// Write the log there instead of stderr
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) log: Option<PathBuf>,
    /// How lines of the log are written
    #[arg(long, global = true, value_name = "FORMAT", default_value = "text")]
    pub(crate) log_format: Format,
    /// Have systemd make the cgroups, as scopes: cgroupsPath is slice:prefix:name then
    #[arg(long, global = true)]
    pub(crate) systemd_cgroup: bool,
    /// Who makes the cgroups: cgroupfs (this runtime), systemd, or disabled (nobody: the caller's is the container's)
    #[arg(long, global = true, value_name = "NAME", default_value = "cgroupfs")]
    pub(crate) cgroup_manager: CgroupManager,
    /// Whether it is for an ordinary user, who does without cgroups that cannot be had: true, false, or auto
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", num_args = 0..=1, default_missing_value = "true")]
    pub(crate) rootless: Rootless,
    /// Say on stderr also what is passed over
    #[arg(long, global = true)]
    pub(crate) debug: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum CgroupManager {
    Cgroupfs,
    Systemd,
    Disabled,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Rootless {
    Auto,
    True,
    False,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Make a container, which waits for `start`
    Create {
        #[command(flatten)]
        new: New,
        id: String,
    },
    /// Start what was created
    Start { id: String },
    /// Create and start a container, and wait for its end
    Run {
        #[command(flatten)]
        new: New,
        /// Do not wait for its end
        #[arg(short, long)]
        detach: bool,
        /// Leave it there when it has ended
        #[arg(long)]
        keep: bool,
        id: String,
    },
    /// Show how a container is, as JSON
    State { id: String },
    /// Send a signal to a container's process
    Kill {
        /// To all of its processes
        #[arg(short, long)]
        all: bool,
        id: String,
        /// By name or number
        #[arg(default_value = "TERM")]
        signal: String,
    },
    /// Remove a container that has ended
    Delete {
        /// Kill it first if it runs; one that is not there is no failure
        #[arg(short, long)]
        force: bool,
        id: String,
    },
    /// List containers
    #[command(visible_alias = "ls")]
    List {
        /// Only their ids
        #[arg(short, long)]
        quiet: bool,
        #[arg(short, long, default_value = "table")]
        format: Listed,
    },
    /// Show the processes of a container
    Ps {
        #[arg(short, long, default_value = "table")]
        format: Listed,
        id: String,
        /// What ps(1) is to show
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        options: Vec<String>,
    },
    /// Run another process in a container
    Exec(Box<Exec>),
    /// Hold all processes of a container still
    Pause { id: String },
    /// Let them go on
    Resume { id: String },
    /// Change what a container may use of the machine
    Update(Box<Update>),
    /// Show what a container uses
    Events {
        /// Once, and no stream
        #[arg(long)]
        stats: bool,
        /// How often, in seconds or as 5s
        #[arg(long, default_value = "5s")]
        interval: String,
        id: String,
    },
    /// Show what this runtime can do, as JSON
    Features,
    /// Write a config.json to begin with
    Spec {
        #[arg(short, long, value_name = "DIR")]
        bundle: Option<PathBuf>,
    },
    /// A process that a scope of systemd's is made around
    #[command(hide = true)]
    HoldScope,
    /// Not done by this runtime
    Checkpoint {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        rest: Vec<String>,
    },
    /// Not done by this runtime
    Restore {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        rest: Vec<String>,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Listed {
    Table,
    Json,
}

/// Of a container that is made.
#[derive(Args)]
pub(crate) struct New {
    /// The directory with config.json
    #[arg(short, long, value_name = "DIR", default_value = ".")]
    pub(crate) bundle: PathBuf,
    /// The configuration, from there
    #[arg(short = 'f', long, value_name = "FILE", default_value = "config.json")]
    pub(crate) config: PathBuf,
    /// A unix socket that is sent the master of the terminal
    #[arg(long, value_name = "SOCKET")]
    pub(crate) console_socket: Option<PathBuf>,
    /// Write the pid there
    #[arg(long, value_name = "FILE")]
    pub(crate) pid_file: Option<PathBuf>,
    /// A unix socket that is sent a pidfd of the process
    #[arg(long, value_name = "SOCKET")]
    pub(crate) pidfd_socket: Option<PathBuf>,
    /// Leave it in the session keyring of the caller
    #[arg(long)]
    pub(crate) no_new_keyring: bool,
    /// Leave the host's tree by chroot(2), as from an initramfs, where it cannot be left by pivot_root(2): a container with CAP_SYS_CHROOT gets back to it
    #[arg(long)]
    pub(crate) no_pivot: bool,
    /// Give it so many descriptors from 3 on
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u16).range(..=MOST))]
    pub(crate) preserve_fds: u16,
}

/// Of a process in a container.
#[derive(Args)]
pub(crate) struct Exec {
    /// A unix socket that is sent the master of the terminal
    #[arg(long, value_name = "SOCKET")]
    pub(crate) console_socket: Option<PathBuf>,
    /// Its working directory
    #[arg(long)]
    pub(crate) cwd: Option<String>,
    /// A variable of its environment, NAME=VALUE
    #[arg(short, long)]
    pub(crate) env: Vec<String>,
    /// Give it a terminal
    #[arg(short, long)]
    pub(crate) tty: bool,
    /// UID or UID:GID
    #[arg(short, long)]
    pub(crate) user: Option<String>,
    /// More groups
    #[arg(short = 'g', long)]
    pub(crate) additional_gids: Vec<u32>,
    /// A file of JSON that says all of it
    #[arg(short, long, value_name = "FILE")]
    pub(crate) process: Option<PathBuf>,
    /// Do not wait for its end
    #[arg(short, long)]
    pub(crate) detach: bool,
    /// Write the pid there
    #[arg(long, value_name = "FILE")]
    pub(crate) pid_file: Option<PathBuf>,
    /// A unix socket that is sent a pidfd of the process
    #[arg(long, value_name = "SOCKET")]
    pub(crate) pidfd_socket: Option<PathBuf>,
    /// Its SELinux label
    #[arg(long)]
    pub(crate) process_label: Option<String>,
    /// Its AppArmor profile
    #[arg(long)]
    pub(crate) apparmor: Option<String>,
    /// Whether an exec may not gain privileges
    #[arg(long)]
    pub(crate) no_new_privs: bool,
    /// One more capability
    #[arg(short, long)]
    pub(crate) cap: Vec<String>,
    /// Give it so many descriptors from 3 on
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u16).range(..=MOST))]
    pub(crate) preserve_fds: u16,
    /// A cgroup below the container's that it is to be in, which is there: a path, of one hierarchy of v1 as CONTROLLER:PATH
    #[arg(long, value_name = "PATH")]
    pub(crate) cgroup: Vec<String>,
    /// Also where the container is paused
    #[arg(long)]
    pub(crate) ignore_paused: bool,
    pub(crate) id: String,
    /// The command and its arguments
    #[arg(trailing_var_arg = true)]
    pub(crate) args: Vec<String>,
}

/// Of resources.
#[derive(Args)]
pub(crate) struct Update {
    /// A file of JSON, or - for stdin
    #[arg(short, long, value_name = "FILE")]
    pub(crate) resources: Option<PathBuf>,
    /// Of block I/O, 10 to 1000
    #[arg(long)]
    pub(crate) blkio_weight: Option<u16>,
    /// Microseconds
    #[arg(long)]
    pub(crate) cpu_period: Option<u64>,
    /// Microseconds of each period
    #[arg(long, allow_hyphen_values = true)]
    pub(crate) cpu_quota: Option<i64>,
    /// Microseconds
    #[arg(long)]
    pub(crate) cpu_burst: Option<u64>,
    /// Relative to others
    #[arg(long, visible_alias = "cpu-shares")]
    pub(crate) cpu_share: Option<u64>,
    /// Microseconds
    #[arg(long)]
    pub(crate) cpu_rt_period: Option<u64>,
    /// Microseconds
    #[arg(long, allow_hyphen_values = true)]
    pub(crate) cpu_rt_runtime: Option<i64>,
    /// Whether it runs only where nobody else wants to
    #[arg(long, allow_hyphen_values = true)]
    pub(crate) cpu_idle: Option<i64>,
    /// A list, such as 0-3
    #[arg(long)]
    pub(crate) cpuset_cpus: Option<String>,
    /// A list
    #[arg(long)]
    pub(crate) cpuset_mems: Option<String>,
    /// Bytes, or with k, m, g, t as 100M; -1 is no limit
    #[arg(long, allow_hyphen_values = true, value_parser = size)]
    pub(crate) memory: Option<i64>,
    /// The same
    #[arg(long, allow_hyphen_values = true, value_parser = size)]
    pub(crate) memory_reservation: Option<i64>,
    /// The same, of memory and swap
    #[arg(long, allow_hyphen_values = true, value_parser = size)]
    pub(crate) memory_swap: Option<i64>,
    /// Processes
    #[arg(long, allow_hyphen_values = true)]
    pub(crate) pids_limit: Option<i64>,
    pub(crate) id: String,
}

/// As Docker has it: powers of 1024, with or without `b` or `ib` behind the letter.
fn size(text: &str) -> Result<i64, String> {
    let wrong = || format!("{text:?} is no size, such as 67108864, 64M, or -1");
    if let Ok(number) = text.parse::<i64>() {
        return Ok(number);
    }
    let lower = text.trim().to_ascii_lowercase();
    let digits = lower.find(|c: char| !c.is_ascii_digit()).unwrap_or(lower.len());
    let (number, unit) = lower.split_at_checked(digits).ok_or_else(wrong)?;
    let unit = unit.trim_start();
    let power = match unit.strip_suffix("ib").or_else(|| unit.strip_suffix('b')).unwrap_or(unit) {
        "" => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        "p" => 5,
        _ => return Err(wrong()),
    };
    let number: i64 = number.parse().map_err(|_| wrong())?;
    number.checked_mul(1 << (10 * power)).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::size;

    #[test]
    fn sizes_are_read_as_docker_has_them() {
        for (text, bytes) in [
            ("0", 0),
            ("-1", -1),
            ("67108864", 64 << 20),
            ("64M", 64 << 20),
            ("64mb", 64 << 20),
            ("1GiB", 1 << 30),
            ("2k", 2048),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "M", "1x", "-2M", "1.5G", "9999999999P"] {
            assert!(size(text).is_err(), "{text:?}");
        }
    }
}
