//! The flags: parser, help, man page and completions are made from these definitions.

use std::ffi::OsString;
use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};
use seclude::{CloneWay, Extent, Preset, request};

use crate::Failure;
use crate::files::FileFlags;
use crate::landlock::LandlockFlags;
use crate::limits::LimitFlags;
use crate::network::NetworkFlags;
use crate::rights::RightsFlags;
use crate::values::{self, Dimension, EnvSpec, FdSpec, JoinSpec, NamespaceList, RlimitSpec, UserSpec};

/// What was given, understood: the task, and its flags.
///
/// Defining all flags was the largest part of what `run` adds to a short command. So it is first tried with the flags of
/// those headings alone that one is given of; whatever that cannot make sense of, all of them decide.
pub(crate) fn parse(words: &[OsString]) -> Result<(String, ArgMatches), clap::Error> {
    // Not taken apart again, both of them: the end of the process does that at once.
    if let Some(("run", given)) = words.get(1).and_then(|task| task.to_str()).zip(words.get(2..)) {
        let mut brief = ManuallyDrop::new(brief_run(&Words::of(given)));
        if let Ok(matches) = brief.try_get_matches_from_mut(given) {
            return Ok(("run".into(), matches));
        }
    }
    let mut whole = ManuallyDrop::new(command());
    let found = whole.try_get_matches_from_mut(words)?.remove_subcommand();
    found.ok_or_else(|| whole.error(ErrorKind::MissingSubcommand, "no task was given"))
}

fn brief_run(words: &Words) -> Command {
    let run = Command::new("run").no_binary_name(true).disable_help_flag(true);
    ContainerFlags::define(RunFlags::augment_args(run), |flags| words.have_one_of(flags))
}

/// The words of a command line that may be flags.
struct Words {
    /// Long ones, spelled as their fields, without value.
    long: Vec<String>,
    /// Whether there are short ones, which can stand together.
    short: bool,
}

impl Words {
    fn of(words: &[OsString]) -> Words {
        let words = words.iter().map(|word| word.as_encoded_bytes()).take_while(|word| *word != b"--");
        let mut found = Words { long: Vec::new(), short: false };
        for word in words {
            match word {
                [b'-', b'-', long @ ..] => {
                    let name = long.split(|byte| *byte == b'=').next().unwrap_or_default();
                    found.long.push(String::from_utf8_lossy(name).replace('-', "_"));
                }
                [b'-', _, ..] => found.short = true,
                _ => {}
            }
        }
        found
    }

    fn have_one_of(&self, flags: &[&str]) -> bool {
        self.short || self.long.iter().any(|word| flags.contains(&word.as_str()))
    }
}

/// The program: its tasks, each with its flags, which are defined when it is called.
pub(crate) fn command() -> Command {
    Command::new("seclude")
        .version(env!("CARGO_PKG_VERSION"))
        .propagate_version(true)
        .max_term_width(110)
        .about("Run a command born inside a Linux container: it starts there or not at all")
        .after_help(
            "Exit status: the command's own; 125 seclude failed before the command ran, or could not write its report, 126 \
             it cannot be executed, 127 it was not found, 128+N signal N ended it.\n\nFirst steps:  seclude run id    seclude explain id    seclude \
             doctor",
        )
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(
            task("run", "Run a command in a container", |run| whole(RunFlags::augment_args(run))).long_about(
                "Run a command in a container\n\nWithout flags: all namespaces new (but time), and no user namespaces below; as \
                 root 65,536 ids that nobody has, otherwise the caller mapped to root; of the host's files /usr, /bin, /sbin, /lib*, /opt, \
                 /etc without its secrets, and the directory that you are in, all read-only (--ro and --rw show more); a fresh /proc and \
                 /dev; an empty /tmp, /run and home, in memory; PATH, TERM, LANG, LC_*, TZ and NO_COLOR of your environment (--env NAME \
                 hands on more); only a loopback interface that is up, a tiny init, no capabilities, no new privileges, the system calls \
                 of programs alone, a session and a keyring of its own, and death with the parent.",
            ),
        )
        .subcommand(task(
            "explain",
            "Print what `run` would do with the same flags: who does what, in which order",
            |explain| whole(ExplainFlags::augment_args(RunFlags::augment_args(explain))).mut_arg("spec", printed),
        ))
        .subcommand(
            task("why", "Say whether `run` with the same flags would allow something, and by which part of the plan", |why| {
                whole(WhyFlags::augment_args(RunFlags::augment_args(why))).mut_arg("command", asked).mut_arg("json", |json| json.help("Print the answer as JSON"))
            })
            .after_help(
                "Exit status: 0 it is allowed, 1 it is refused, 2 only the run can tell, 125 there is no answer.\n\nRelative paths begin where \
                 you are. To write to a directory is to make a file in it; what is masked is refused, though it opens, as it is empty. Of a \
                 system call it is said what the filter does: the kernel may refuse it nonetheless. For a name nobody is asked, and nothing is sent: whether \
                 somebody answers there is not known.",
            ),
        )
        .subcommand(task(
            "doctor",
            "Try what this host can do, each thing for real in a throwaway process",
            DoctorFlags::augment_args,
        ))
        .subcommand(task(
            "gc",
            "Remove what seclude has left where it was killed; each run looks for that itself",
            GcFlags::augment_args,
        ))
        .subcommand(task("completions", "Print the completions for a shell", CompletionsFlags::augment_args))
        .subcommand(Command::new("man").about("Print the manual page (for man -l -)"))
}

fn task(name: &'static str, about: &'static str, flags: fn(Command) -> Command) -> Command {
    Command::new(name).about(about).defer(flags)
}

/// `explain` prints the request with the same flag, if it names no file.
fn printed(spec: Arg) -> Arg {
    spec.num_args(0..=1).require_equals(true).default_missing_value("").value_name("FILE").help(
        "Print the request that the flags make, as a file for `run --spec`, instead of the plan: in TOML, or with --json in JSON; \
         with --preset also what that brings. With =FILE.toml or =FILE.json: begin from that request",
    )
}

/// The command of `why` is its question.
fn asked(command: Arg) -> Arg {
    command.value_name("read|write|exec PATH, call NAME, or connect HOST:PORT").help("What to ask about")
}

/// With all that a container can have.
pub(crate) fn whole(task: Command) -> Command {
    ContainerFlags::define(task, |_| true)
}

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
    /// Say on stderr each system call that is refused, as it comes: which, to whom, and what would allow it. Without this that is said once the
    /// command has failed
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
    /// Let the command make user namespaces, as nested containers do; /proc then has no masks
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
    #[arg(long, value_name = "K=V|NAME")]
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
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) oom_score_adj: Option<i16>,
    /// Run it below a tiny init as PID 1 that reaps orphans and forwards signals: the preset has one
    #[arg(long)]
    pub(crate) init: bool,
    /// Run the command itself as PID 1, without an init: it may then outlive a killed seclude
    #[arg(long, conflicts_with = "init")]
    pub(crate) as_pid_1: bool,
    /// Give it a terminal of its own, connected to this one; in a new pid namespace with an init, so that Ctrl-C works
    #[arg(short, long)]
    pub(crate) tty: bool,
    /// Give it stdin, stdout and stderr as they are (pass: also a file that would be opened anew, read-only, and the streams of
    /// --detach), or nothing of them but bytes (pipe)
    #[arg(long, value_name = "HOW", conflicts_with = "tty")]
    pub(crate) stdio: Option<Streams>,
    /// Give it descriptor N of seclude's own, as M if that is said: `--fd 63` for a shell's `<(…)`, `--fd 3 --fd 4` for make's
    /// job server. All others from 3 up are closed
    #[arg(long, value_name = "N[:M]")]
    pub(crate) fd: Vec<FdSpec>,
    /// Give it the N descriptors from 3 up, as runc has it
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16))]
    pub(crate) preserve_fds: Option<u16>,
    /// The size of its terminal, instead of this one's
    #[arg(long, value_name = "ROWSxCOLUMNS", requires = "tty")]
    pub(crate) tty_size: Option<Dimension>,
    /// Kill it after this long: 500ms, 10s, 5m; a bare number is seconds
    #[arg(long, value_name = "DURATION", value_parser = values::duration)]
    pub(crate) timeout: Option<Duration>,
    /// Let it go on when seclude or its caller ends
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
    use crate::compose::compose;

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

    #[test]
    fn flags_of_a_heading_that_is_not_defined_are_as_if_not_given() {
        let lines = [
            "true",
            "-- true --memory 64M",
            "--bare true",
            "--share net --hostname box true",
            "--root / --writable --mount type=proc,dst=/proc --tmpfs /tmp -- true",
            "--uid-map 0:0:1 --ro-bind /usr true",
            "--net veth --publish 8080:80 -- true",
            "-p 8080:80 --net=veth true",
            "--memory=64M --pids 5 --timeout 5s true",
            "--no-new-privs=false --clone copy true",
            "--allow-syscall ptrace --deny-syscall mkdir=EACCES --seccomp=default true",
            "--landlock-exec / --landlock-rw=/tmp --landlock-connect 443 --landlock-bind none --landlock-scope signal true",
            "--no-namespaces --no-die-with-parent --rw /srv --prefer landlock true",
            "-tv --stats true",
            "--oom-score-adj -5 sh -c true",
            "--verbose --monotonic -1h true",
        ];
        for line in lines {
            let words: Vec<OsString> = ["seclude run", line].join(" ").split(' ').map(OsString::from).collect();
            let plan = |given: ArgMatches| {
                let flags = ContainerFlags::read(&given).unwrap();
                let command =
                    compose(&flags, &given, false).unwrap_or_else(|failure| panic!("{line}: {}", failure.message));
                command.plan().unwrap().to_string()
            };
            let brief = brief_run(&Words::of(&words[2..])).try_get_matches_from(&words[2..]).unwrap();
            let whole = command().try_get_matches_from(&words).unwrap().remove_subcommand().unwrap().1;
            let flags = ContainerFlags::read(&whole).unwrap();
            let asked = compose(&flags, &whole, false).unwrap_or_else(|failure| panic!("{line}: {}", failure.message));
            // As a file it is the same.
            let mut described = seclude::Command::from_request(&asked.request().unwrap()).unwrap();
            let by_file =
                described.keep_ignored_signals(crate::compose::ignored_by_the_caller()).plan().unwrap().to_string();
            let by_flags = plan(whole);
            assert_eq!(plan(brief), by_flags, "{line}");
            assert_eq!(by_file, by_flags, "{line}");
        }
    }
}
