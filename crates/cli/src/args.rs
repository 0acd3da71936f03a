//! The flags: parser, help, man page and completions are made from these definitions.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{ArgAction, ArgMatches, Args, Command, FromArgMatches};
use seclude::{CloneWay, Extent, Preset, request};

use crate::Failure;
use crate::files::FileFlags;
use crate::landlock::LandlockFlags;
use crate::limits::LimitFlags;
use crate::network::NetworkFlags;
use crate::rights::RightsFlags;
use crate::values::{self, Dimension, EnvSpec, FdSpec, JoinSpec, NamespaceList, RlimitSpec, UserSpec};

#[derive(Args)]
pub(crate) struct CompletionsFlags {
    /// The shell
    pub(crate) shell: clap_complete::Shell,
}

#[derive(Args)]
pub(crate) struct RunFlags {
    /// Print its pid, leave it running, and exit 0; its streams are /dev/null (stdout and stderr are seclude's with --stdio pass)
    #[arg(long, conflicts_with = "report")]
    pub(crate) detach: bool,
    /// Write how it ended, how it was made and the time of each step to this file, as JSON; - is stdout
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
    /// Say on stderr, once a second, what the container uses, and with --allow the bytes to and from each name; makes a cgroup
    #[arg(long, conflicts_with = "detach")]
    pub(crate) stats: bool,
    /// Say on stderr each system call that is refused, as it comes: which, to whom, and what would allow it (but for one that --deny-syscall
    /// answers ENOSYS, as a kernel without it would). Without this that is said once the command has failed
    #[arg(long, conflicts_with = "detach")]
    pub(crate) denials: bool,
    /// Say on stderr how it was made and how it ended
    #[arg(short, long, conflicts_with = "detach")]
    pub(crate) verbose: bool,
}

#[derive(Args)]
pub(crate) struct ExplainFlags {
    /// Print it as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct WhyFlags {
    /// Print it as JSON
    #[arg(long)]
    pub(crate) json: bool,
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

/// What the container is: the same for `run`, `explain`, `why` and `doctor --for`.
pub(crate) struct ContainerFlags {
    pub(crate) base: BaseFlags,
    pub(crate) namespaces: NamespaceFlags,
    pub(crate) users: UserFlags,
    pub(crate) files: FileFlags,
    pub(crate) network: NetworkFlags,
    pub(crate) limits: LimitFlags,
    pub(crate) rights: RightsFlags,
    pub(crate) landlock: LandlockFlags,
    pub(crate) process: ProcessFlags,
}

/// The flags below one heading of the help. None is required and none has a value that was not given: where they are not
/// defined, they are as by default.
pub(crate) trait Heading: Args + Default {
    /// The names of their fields, which are their ids as well.
    const FLAGS: &[&str];
}

impl ContainerFlags {
    /// Defines them; of those below a heading only if `wanted` is one of these.
    pub(crate) fn define(mut task: Command, wanted: impl Fn(&[&str]) -> bool) -> Command {
        task = BaseFlags::augment_args(task);
        task = if wanted(NamespaceFlags::FLAGS) { NamespaceFlags::augment_args(task) } else { task };
        task = if wanted(UserFlags::FLAGS) { UserFlags::augment_args(task) } else { task };
        task = if wanted(FileFlags::FLAGS) { FileFlags::augment_args(task) } else { task };
        task = if wanted(NetworkFlags::FLAGS) { NetworkFlags::augment_args(task) } else { task };
        task = if wanted(LimitFlags::FLAGS) { LimitFlags::augment_args(task) } else { task };
        task = if wanted(RightsFlags::FLAGS) { RightsFlags::augment_args(task) } else { task };
        task = if wanted(LandlockFlags::FLAGS) { LandlockFlags::augment_args(task) } else { task };
        task = if wanted(ProcessFlags::FLAGS) { ProcessFlags::augment_args(task) } else { task };
        // What is wrong with a negative number its own flag knows best.
        task.mut_args(|arg| {
            let has_value = matches!(arg.get_action(), ArgAction::Set | ArgAction::Append);
            if has_value && !arg.is_positional() { arg.allow_negative_numbers(true) } else { arg }
        })
    }

    pub(crate) fn read(given: &ArgMatches) -> Result<ContainerFlags, clap::Error> {
        Ok(ContainerFlags {
            base: BaseFlags::from_arg_matches(given)?,
            namespaces: read(given)?,
            users: read(given)?,
            files: read(given)?,
            network: read(given)?,
            limits: read(given)?,
            rights: read(given)?,
            landlock: read(given)?,
            process: read(given)?,
        })
    }
}

fn read<Flags: Heading>(given: &ArgMatches) -> Result<Flags, clap::Error> {
    if is_defined(given, Flags::FLAGS) { Flags::from_arg_matches(given) } else { Ok(Flags::default()) }
}

/// Whether any of these flags has a value, if only the one of a switch that was not given.
pub(crate) fn is_defined(given: &ArgMatches, flags: &[&str]) -> bool {
    given.ids().any(|id| flags.contains(&id.as_str()))
}

// (A doc comment would become the task's, here and below.)
#[derive(Args)]
pub(crate) struct BaseFlags {
    /// The command and its arguments; nothing from its name on is read as a flag
    #[arg(value_name = "COMMAND", required_unless_present = "spec", trailing_var_arg = true)]
    pub(crate) command: Vec<OsString>,
    /// Begin from the request in this file, or on stdin (-): TOML or JSON, see docs/request.md. Flags are on top: one that has a
    /// single value wins, lists go on with what flags add, in order. Paths of the host in it are relative to where it lies
    #[arg(long, value_name = "FILE.toml|FILE.json|-", help_heading = "Request")]
    pub(crate) spec: Vec<OsString>,
    /// Without the mounts that the spec has
    #[arg(long, requires = "spec", help_heading = "Request")]
    pub(crate) no_mounts: bool,
    /// Without the environment variables that it sets
    #[arg(long, requires = "spec", help_heading = "Request")]
    pub(crate) no_env: bool,
    /// Without its resource limits, setrlimit(2)
    #[arg(long, requires = "spec", help_heading = "Request")]
    pub(crate) no_rlimits: bool,
    /// Without its limits of memory, CPU and the like
    #[arg(long, requires = "spec", help_heading = "Request")]
    pub(crate) no_limits: bool,
    /// Without what it can do without: everything is required
    #[arg(long, requires = "spec", help_heading = "Request")]
    pub(crate) no_prefer: bool,
    /// Without its lines of /etc/hosts
    #[arg(long, requires = "spec", help_heading = "Request")]
    pub(crate) no_hosts: bool,
    /// Without its published ports
    #[arg(long, requires = "spec", help_heading = "Request")]
    pub(crate) no_publish: bool,
    /// Without its capabilities
    #[arg(long, requires = "spec", help_heading = "Request")]
    pub(crate) no_capabilities: bool,
    /// Begin from this: sandbox (the default), for code that nobody trusts; host, which shows all of the host's files, read-only, and is
    /// no boundary; or bare, which is nothing but what other flags ask for
    #[arg(long, value_name = "NAME", help_heading = "Namespaces")]
    preset: Option<Preset>,
    /// The same as --preset bare
    #[arg(long, help_heading = "Namespaces", conflicts_with = "preset")]
    bare: bool,
}

impl BaseFlags {
    /// What the request begins from, if that is said.
    pub(crate) fn preset(&self) -> Option<request::Preset> {
        match (self.preset, self.bare) {
            (Some(Preset::Bare), _) | (None, true) => Some(request::Preset::Bare),
            (Some(Preset::Host), _) => Some(request::Preset::Host),
            (Some(_), _) => Some(request::Preset::Sandbox),
            (None, false) => None,
        }
    }

    /// Whether the request is to be printed.
    pub(crate) fn prints_spec(&self) -> bool {
        self.spec.iter().any(|file| file.is_empty())
    }

    /// Where nothing is printed, there has to be a file.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        match self.prints_spec() {
            true => Err(Failure::new("--spec: which file? `explain` prints what flags make")),
            false => Ok(()),
        }
    }

    /// The file that the request begins from.
    pub(crate) fn spec_file(&self) -> Option<&Path> {
        self.spec.iter().find(|file| !file.is_empty()).map(Path::new)
    }
}

#[derive(Args, Default)]
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
    /// Let the command make user namespaces, as nested containers do; /proc then has no masks, and nothing is held back (--ro, --mask)
    /// inside what it may write
    #[arg(long)]
    pub(crate) nested: bool,
}

impl Heading for NamespaceFlags {
    const FLAGS: &[&str] = &["unshare", "share", "join", "monotonic", "boottime", "nested"];
}

#[derive(Args, Default)]
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
    /// As root: be root of the host inside as well, uid 0 to its unix sockets and files. Without it root's containers have
    /// 65536 ids that nobody has
    #[arg(long, conflicts_with_all = ["uid_map", "gid_map", "map_subids"])]
    pub(crate) host_root: bool,
    /// Run as this uid and gid inside. Without a map: as a user you are mapped to them
    #[arg(long, value_name = "UID[:GID]")]
    pub(crate) user: Option<UserSpec>,
}

impl Heading for UserFlags {
    const FLAGS: &[&str] = &["uid_map", "gid_map", "map_subids", "host_root", "user"];
}

#[derive(Args, Default)]
#[command(next_help_heading = "Process")]
pub(crate) struct ProcessFlags {
    /// Set an environment variable, or hand on the one of that name: the sandbox has PATH, TERM, LANG, LC_*, TZ and NO_COLOR of yours
    #[arg(long, value_name = "K=V|NAME", value_parser = OsStringValueParser::new().try_map(EnvSpec::parse))]
    pub(crate) env: Vec<EnvSpec>,
    /// Hand on your whole environment but HOME, which is a new one: with it what is in there of keys and sockets
    #[arg(long, conflicts_with = "clear_env")]
    pub(crate) env_all: bool,
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
    /// A resource limit of setrlimit(2), such as NOFILE=1024:4096; `unlimited` is a value
    #[arg(long, value_name = "NAME=SOFT[:HARD]")]
    pub(crate) rlimit: Vec<RlimitSpec>,
    /// The file mode creation mask, octal
    #[arg(long, value_name = "MODE", value_parser = values::mode)]
    pub(crate) umask: Option<u32>,
    /// How eager the kernel is to kill it when memory runs out, -1000 to 1000
    #[arg(long, value_name = "N", value_parser = values::oom_score, allow_negative_numbers = true)]
    pub(crate) oom_score_adj: Option<i16>,
    /// Run it below a tiny init as PID 1 that reaps orphans and forwards signals: the preset has one
    #[arg(long)]
    pub(crate) init: bool,
    /// Run the command itself as PID 1, without an init: it may then outlive a killed seclude
    #[arg(long, conflicts_with = "init")]
    pub(crate) as_pid_1: bool,
    /// Give it a terminal of its own, connected to this one; in a new pid namespace with an init, so that Ctrl-C works. A background
    /// job waits for the terminal, as an editor would
    #[arg(short, long)]
    pub(crate) tty: bool,
    /// Give it stdin, stdout and stderr as they are (pass: also a file that would be opened anew, read-only, or be a pipe, and the streams of
    /// --detach), or nothing of them but bytes (pipe)
    #[arg(long, value_name = "HOW", conflicts_with = "tty")]
    pub(crate) stdio: Option<Streams>,
    /// Give it descriptor N of seclude's own, as M if that is said: `--fd 63` for a shell's `<(…)`, `--fd 3 --fd 4` for make's
    /// job server. All others from 3 up are closed. A file is opened anew if it is to be read, and a pipe if
    /// it is to be written alone (5<>FILE for one to seek in)
    #[arg(long, value_name = "N[:M]")]
    pub(crate) fd: Vec<FdSpec>,
    /// Give it the N descriptors from 3 up, as runc has it
    #[arg(long, value_name = "N", value_parser = values::within::<u16>(0..=65_535))]
    pub(crate) preserve_fds: Option<u16>,
    /// The size of its terminal, instead of this one's
    #[arg(long, value_name = "ROWSxCOLUMNS", requires = "tty")]
    pub(crate) tty_size: Option<Dimension>,
    /// Kill it after this long: 500ms, 10s, 5m; a bare number is seconds
    #[arg(long, value_name = "DURATION", value_parser = values::duration)]
    pub(crate) timeout: Option<Duration>,
    /// Let it go on when seclude ends
    #[arg(long)]
    pub(crate) no_die_with_parent: bool,
    /// How to clone: vm, copy, legacy, or auto (the default)
    #[arg(long, value_name = "WAY")]
    pub(crate) clone: Option<CloneWay>,
}

/// How the command gets the caller's streams.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Streams {
    /// As they are
    Pass,
    /// Behind pipes
    Pipe,
}

impl Heading for ProcessFlags {
    const FLAGS: &[&str] = &[
        "env",
        "env_all",
        "clear_env",
        "workdir",
        "hostname",
        "domainname",
        "rlimit",
        "umask",
        "oom_score_adj",
        "init",
        "as_pid_1",
        "tty",
        "stdio",
        "fd",
        "preserve_fds",
        "tty_size",
        "timeout",
        "no_die_with_parent",
        "clone",
    ];
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heading<Flags: Heading>() {
        let defined = Flags::augment_args(Command::new("task"));
        let mut ids: Vec<&str> = defined.get_arguments().map(|argument| argument.get_id().as_str()).collect();
        // Not in every build.
        ids.extend((!cfg!(feature = "systemd") && Flags::FLAGS.contains(&"cgroup_scope")).then_some("cgroup_scope"));
        let (mut named, mut ids) = (Flags::FLAGS.to_vec(), ids);
        named.sort_unstable();
        ids.sort_unstable();
        assert_eq!(named, ids);
        assert!(defined.get_arguments().all(|argument| !argument.is_required_set()));
    }

    #[test]
    fn every_heading_names_its_flags() {
        heading::<NamespaceFlags>();
        heading::<UserFlags>();
        heading::<FileFlags>();
        heading::<NetworkFlags>();
        heading::<LimitFlags>();
        heading::<RightsFlags>();
        heading::<LandlockFlags>();
        heading::<ProcessFlags>();
    }
}
