//! What to start, and in what: the builder.

mod container;
mod process;
mod set_up;

use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use seclude_child::entry::copy_of;
use seclude_sys::terminal::WindowSize;

use crate::child::Child;
use crate::config::Config;
use crate::config::clone::CloneWay;
use crate::config::feature::Feature;
use crate::config::stdio::Stdio;
use crate::error::Result;
use crate::exit::Output;
use crate::host::Host;
use crate::patience::Canceller;
use crate::plan::Plan;
use crate::why::Why;

/// A command and the container that its process is born in; `std::process::Command` with more to say.
///
/// Nothing is isolated unless asked for. [`Command::sandbox`] asks for what the command line has by default.
///
/// ```no_run
/// let output = seclude::Command::new("id").sandbox().output()?;
/// assert!(String::from_utf8_lossy(&output.stdout).starts_with("uid=0(root)"));
/// # Ok::<(), seclude::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Command {
    pub(crate) config: Config,
}

impl Command {
    /// A command by its path, or by its name in a directory of `PATH` — the one inside, in the container's root.
    pub fn new(program: impl AsRef<OsStr>) -> Command {
        Command {
            config: Config::new(program.as_ref().to_owned(), |config| {
                crate::prefer::spawn(config, crate::spawn::spawn)
            }),
        }
    }

    /// Adds an argument.
    pub fn arg(&mut self, arg: impl AsRef<OsStr>) -> &mut Self {
        self.config.args.push(arg.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    pub fn args<S: AsRef<OsStr>>(&mut self, args: impl IntoIterator<Item = S>) -> &mut Self {
        self.config.add_args(args);
        self
    }

    /// What the command sees as its own name, instead of the program.
    pub fn arg0(&mut self, arg0: impl AsRef<OsStr>) -> &mut Self {
        self.config.arg0 = Some(arg0.as_ref().to_owned());
        self
    }

    /// Sets an environment variable; the others are the caller's, in the sandbox as far as [`Command::inherit_env`] says.
    pub fn env(&mut self, key: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> &mut Self {
        self.config.env.push((key.as_ref().to_owned(), Some(value.as_ref().to_owned())));
        self
    }

    /// Removes an environment variable.
    pub fn env_remove(&mut self, key: impl AsRef<OsStr>) -> &mut Self {
        self.config.env.push((key.as_ref().to_owned(), None));
        self
    }

    /// Starts from an empty environment; forgets what [`Command::env`] set so far.
    pub fn env_clear(&mut self) -> &mut Self {
        self.config.clear_env = true;
        self.config.env.clear();
        self.config.kept_env.clear();
        self
    }

    /// Has these variables in the stead of what is handed on of the caller's environment by itself. What is asked for, by name
    /// ([`Command::inherit_env`]) or as a whole ([`Command::env_all`]), is handed on besides; all that is set or removed one by one wins.
    pub fn environment(&mut self, variables: impl IntoIterator<Item = (OsString, OsString)>) -> &mut Self {
        self.config.clear_env |= self.config.whole_env != Some(true);
        let variables = variables.into_iter().map(|(name, value)| (name, Some(value)));
        self.config.env.splice(0..0, variables);
        self
    }

    /// Hands on this variable of the caller's environment. The sandbox hands on PATH, TERM, LANG, LC_*, TZ and NO_COLOR, and else
    /// none but what is named here.
    pub fn inherit_env(&mut self, key: impl AsRef<OsStr>) -> &mut Self {
        self.config.kept_env.push(key.as_ref().to_owned());
        self
    }

    /// Whether the whole environment of the caller is handed on, which is so unless the sandbox was begun from; HOME is the sandbox's
    /// own there all the same, unless it is named with [`Command::inherit_env`].
    pub fn env_all(&mut self, on: bool) -> &mut Self {
        self.config.whole_env = Some(on);
        self
    }

    /// What is the caller's environment, where it was looked at before the start: in a language whose own threads change it.
    pub fn caller_env(&mut self, variables: impl IntoIterator<Item = (OsString, OsString)>) -> &mut Self {
        self.config.caller_env = Some(variables.into_iter().collect());
        self
    }

    /// The working directory inside. Without it: the caller's, if the container has the host's tree, else `/`. The sandbox shows it
    /// read-only where it is; if it is a home, above one, or below something hidden in one, the command begins in its new, empty
    /// home instead ([`crate::Report::moved_from`]).
    pub fn current_dir(&mut self, directory: impl AsRef<Path>) -> &mut Self {
        self.config.workdir = Some(directory.as_ref().to_owned());
        self
    }

    /// The directory of the host that the command is to begin in, as if the caller stood there: the sandbox shows it, read-only, by the
    /// same path. In any other tree it is [`Command::current_dir`], which wins.
    pub fn caller_dir(&mut self, directory: impl AsRef<Path>) -> &mut Self {
        let directory = directory.as_ref();
        // By its real name, as the caller would be there; what is missing is an error of the start.
        self.config.caller_dir = Some((directory.to_owned(), directory.canonicalize().ok()));
        self
    }

    /// Where stdin comes from; inherited unless said ([`Command::output`]: /dev/null).
    pub fn stdin(&mut self, stdin: impl Into<Stdio>) -> &mut Self {
        self.config.stdin = Some(stdin.into());
        self
    }

    /// Where stdout goes; inherited unless said ([`Command::output`]: a pipe).
    pub fn stdout(&mut self, stdout: impl Into<Stdio>) -> &mut Self {
        self.config.stdout = Some(stdout.into());
        self
    }

    /// Where stderr goes; inherited unless said ([`Command::output`]: a pipe).
    pub fn stderr(&mut self, stderr: impl Into<Stdio>) -> &mut Self {
        self.config.stderr = Some(stderr.into());
        self
    }

    /// Gives the command the caller's own descriptor `from`, as it is now, as descriptor `number` (3 or more): for numbers that a
    /// caller was told, such as a job server's. fcntl(2).
    ///
    /// # Errors
    /// EBADF if it is not open, EMFILE.
    pub fn inherit_fd(&mut self, from: i32, number: i32) -> std::io::Result<&mut Self> {
        let copied = copy_of(from).map_err(|errno| std::io::Error::from_raw_os_error(errno.0.into()))?;
        Ok(self.fd(copied, number))
    }

    /// Gives the command `fd` as descriptor `number` (3 or more). All others are closed. In the sandbox a regular file that is open for
    /// reading alone is opened anew, read-only, from its offset on, and one that is open for writing alone is a pipe for the command (see
    /// [`Stdio::inherit`](crate::Stdio::inherit)); one that is open for both is handed on as it is, and so is a socket, in whatever network it was made, and a directory,
    /// from which the command comes to all of the tree that it is in.
    pub fn fd(&mut self, fd: impl Into<OwnedFd>, number: i32) -> &mut Self {
        self.config.fds.push((Arc::new(fd.into()), number));
        self
    }

    /// Whether the command is killed when the spawning process ends: on, unless switched off.
    pub fn die_with_parent(&mut self, on: bool) -> &mut Self {
        self.config.die_with_parent = on;
        self
    }

    /// A pseudoterminal of this size as stdin, stdout and stderr where they are not given otherwise, and a session
    /// that it controls. [`Child::take_terminal`] has the other end.
    pub fn terminal(&mut self, rows: u16, columns: u16) -> &mut Self {
        self.config.terminal = Some(WindowSize { rows, columns, width: 0, height: 0 });
        self
    }

    /// Goes on without this feature where the host does not have it; [`crate::Report::preferred`] says whether it is
    /// so. Everything that was asked for is required unless this names it. A value out of range is an error also then.
    ///
    /// Limits are left out one by one; for any other feature the start is made again without it, once for each.
    pub fn prefer(&mut self, feature: Feature) -> &mut Self {
        self.config.preferred.push(feature);
        self
    }

    /// Runs the command below a tiny init as PID 1, which reaps orphans, forwards signals, and ends with the
    /// command; needs a new pid namespace.
    pub fn init(&mut self, on: bool) -> &mut Self {
        self.config.init = on;
        self.config.init_is_asked_for = on;
        self
    }

    /// Kills the process this long after [`Command::spawn`] was called. Set-up and the exec are held to it too: a start that
    /// is not done by then fails. From then on it is enforced by whoever waits: [`Child::wait`] and its relatives.
    pub fn deadline(&mut self, after: Duration) -> &mut Self {
        self.config.deadline = Some(after);
        self
    }

    /// Lets `canceller` end the start: one that waits for a file system that does not answer, say.
    pub fn cancelled_by(&mut self, canceller: &Canceller) -> &mut Self {
        self.config.canceller = Some(canceller.clone());
        self
    }

    /// For a program that is there for one container and nothing else: `end` ends the *program* where a start that is late or
    /// was cancelled cannot be ended itself, as its process is in a call that nothing interrupts (of a FUSE file system whose
    /// daemon does not answer) and still has the program's memory.
    ///
    /// Without it a start that has a deadline or a [`Canceller`] is made by a thread of its own, which stays behind then; the
    /// thread costs some 50 microseconds.
    pub fn when_stuck(&mut self, end: fn() -> !) -> &mut Self {
        self.config.stuck = Some(end);
        self
    }

    /// Whether dropping the handle of a running process kills and reaps it: on, unless switched off. Off, what the host
    /// has for the container (the kernel's leftovers in the work directory of an overlay) stays after its end.
    pub fn kill_on_drop(&mut self, on: bool) -> &mut Self {
        self.config.kill_on_drop = on;
        self
    }

    /// How to clone; [`CloneWay::Auto`] unless said.
    pub fn clone_way(&mut self, way: CloneWay) -> &mut Self {
        self.config.clone = way;
        self
    }

    /// Measures the time of each step for the report: about a tenth of a microsecond an op.
    pub fn timed(&mut self, on: bool) -> &mut Self {
        self.config.timed = on;
        self
    }

    /// For tests: what goes wrong, and where.
    #[cfg(feature = "fault")]
    #[doc(hidden)]
    pub fn fault(&mut self, place: crate::fault::Place, fault: crate::fault::Fault) -> &mut Self {
        self.config.fault = Some((place, fault));
        self
    }

    /// Compiles the request for this host, to look at or to spawn. Makes no process, opens nothing.
    ///
    /// # Errors
    /// What contradicts itself or is out of range.
    pub fn plan(&self) -> Result<Plan> {
        Plan::of(&self.config)
    }

    /// Compiles the request for this host, to ask what the command may do: which paths it may read, write and execute, and which system calls
    /// its filter lets through. It starts nothing and makes nothing; of the host's files it looks at those that questions lead to.
    ///
    /// ```no_run
    /// use seclude::{Command, Question, Verdict};
    ///
    /// let why = Command::new("make").sandbox().why()?;
    /// let answer = why.answer(&Question::Write("/usr/bin/x".into()))?;
    /// assert_eq!(answer.verdict, Verdict::Refused);
    /// # Ok::<(), seclude::Error>(())
    /// ```
    ///
    /// # Errors
    /// What contradicts itself or is out of range.
    pub fn why(&self) -> Result<Why> {
        Why::of(&self.config)
    }

    /// Starts the process; when this returns, the command runs (its exec has succeeded).
    ///
    /// # Errors
    /// The step that failed; nothing is left of it.
    pub fn spawn(&mut self) -> Result<Child> {
        crate::prefer::spawn(&self.config, crate::spawn::spawn)
    }

    /// Goes through all of a start but the exec, in a throwaway process, and undoes it: limits, maps, mounts, links and all.
    /// Last it looks whether the command is there and may be executed; whether its interpreter or loader is there only
    /// the exec itself can tell.
    ///
    /// # Errors
    /// The first step that fails, as [`Command::spawn`]; nothing is left of it.
    pub fn rehearse(&self) -> Result<()> {
        let mut command = self.clone();
        command.config.rehearsal = true;
        match command.spawn() {
            Err(error) if error.ends_rehearsal() && !error.has_resisted() => Ok(()),
            Err(error) => Err(error),
            Ok(_) => Err(crate::error::Error::invalid("exec", "a rehearsal has run the command")),
        }
    }

    /// [`Command::spawn`] on a thread that lives as long as the program. Death with the parent follows the thread that made
    /// the process; elsewhere than on the main thread `spawn` gives each process a thread of its own for that, which this
    /// saves. If the calling thread does end, the container dies with it.
    ///
    /// # Errors
    /// As [`Command::spawn`].
    pub fn spawn_on_this_thread(&mut self) -> Result<Child> {
        crate::prefer::spawn(&self.config, crate::spawn::spawn_here)
    }

    /// Runs the command to its end; stdin is /dev/null, stdout and stderr are collected, unless said otherwise.
    ///
    /// # Errors
    /// As [`Command::spawn`] and [`Child::wait`].
    pub fn output(&mut self) -> Result<Output> {
        self.config.output()
    }

    /// Runs the command to its end.
    ///
    /// # Errors
    /// As [`Command::spawn`] and [`Child::wait`].
    pub fn status(&mut self) -> Result<crate::exit::Exit> {
        self.spawn()?.wait()
    }
}

impl Plan {
    /// Compiles `command` for `host`, without a system call.
    ///
    /// # Errors
    /// What contradicts itself or is out of range.
    pub fn compile(command: &Command, host: &Host) -> Result<Plan> {
        Plan::compiled(&command.config, host)
    }
}
