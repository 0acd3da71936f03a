//! Starts the init as the library does: from a sealed memfd, with one end of a socket pair.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{MemfdFlags, SealFlags};
use rustix::io::{Errno, FdFlags, retry_on_intr};
use rustix::net::sockopt::Timeout;
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType};
use rustix::process::{Pid, PidfdFlags, Signal};

/// Step and op of every failure here.
pub(crate) const PLACE: (u8, u16) = (21, 0x1234);
pub(crate) const EXECVE: u8 = 45;
pub(crate) const INTERPRETER: u8 = 46;
pub(crate) const DIRECTORY: u8 = 47;
pub(crate) const INIT: u8 = 48;

/// Makes the init PID 1, as any user.
pub(crate) const PID_NAMESPACE: &[&str] = &["unshare", "--pid", "--fork", "--user", "--map-root-user", "--kill-child"];

/// Longer than anything takes: a test that is wrong fails instead of hanging.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the init says.
#[derive(PartialEq, Eq, Debug)]
pub(crate) enum Said {
    Running,
    Ended(i32),
    Failed {
        call: u8,
        place: (u8, u16),
        errno: i32,
    },
    /// Anything that is not a record of 8 bytes.
    Bytes(Vec<u8>),
    /// Nothing any more: its end is closed.
    End,
}

pub(crate) fn failed(call: u8, errno: Errno) -> Said {
    Said::Failed { call, place: PLACE, errno: errno.raw_os_error() }
}

/// Held while a descriptor is inheritable, or a file open to be written that is run later: a process that another
/// test starts at that moment would get it as well.
fn alone() -> MutexGuard<'static, ()> {
    static LOCK: Mutex<()> = Mutex::new(());
    LOCK.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The image's path, for every process that is started here: the descriptor is inheritable for good.
fn image() -> String {
    static IMAGE: LazyLock<OwnedFd> = LazyLock::new(|| {
        let flags = MemfdFlags::ALLOW_SEALING;
        let memfd = match rustix::fs::memfd_create("seclude-init", flags | MemfdFlags::EXEC) {
            // Linux before 6.3, where every memfd can be run.
            Err(Errno::INVAL) => rustix::fs::memfd_create("seclude-init", flags),
            answer => answer,
        }
        .unwrap();
        let mut file = File::from(memfd);
        file.write_all(seclude_init::IMAGE).unwrap();
        let seals = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
        rustix::fs::fcntl_add_seals(&file, seals).unwrap();
        file.into()
    });
    format!("/proc/self/fd/{}", IMAGE.as_raw_fd())
}

/// Whoever starts the init resets all signals first; a test that runs in the background may have inherited that SIGINT
/// is ignored.
const AS_THE_CHILD: [&str; 2] = ["env", "--default-signal"];

/// An init to be started.
pub(crate) struct Order<'a> {
    flags: &'a str,
    mask: &'a str,
    calls: String,
    acts: &'a [&'a str],
    candidates: Vec<&'a str>,
    argv: &'a [&'a str],
    through: &'a [&'a str],
    stdin: Stdio,
    environment: Option<(&'a str, &'a str)>,
}

/// With this argv, and its first as the only candidate.
pub(crate) fn command<'a>(argv: &'a [&'a str]) -> Order<'a> {
    Order {
        flags: "-",
        mask: "0",
        calls: format!("{EXECVE}:{INTERPRETER}:{DIRECTORY}:{INIT}"),
        acts: &[],
        candidates: vec![argv[0]],
        argv,
        through: &[],
        stdin: Stdio::piped(),
        environment: None,
    }
}

impl<'a> Order<'a> {
    pub(crate) fn flags(mut self, flags: &'a str) -> Self {
        self.flags = flags;
        self
    }

    pub(crate) fn mask(mut self, mask: &'a str) -> Self {
        self.mask = mask;
        self
    }

    pub(crate) fn calls(mut self, calls: &str) -> Self {
        self.calls = calls.to_owned();
        self
    }

    pub(crate) fn candidates(mut self, candidates: &[&'a str]) -> Self {
        self.candidates = candidates.to_vec();
        self
    }

    /// A program that makes something of the process before it starts the init.
    pub(crate) fn through(mut self, program: &'a [&'a str]) -> Self {
        self.through = program;
        self
    }

    pub(crate) fn stdin(mut self, stdin: impl Into<Stdio>) -> Self {
        self.stdin = stdin.into();
        self
    }

    pub(crate) fn environment(mut self, name: &'a str, value: &'a str) -> Self {
        self.environment = Some((name, value));
        self
    }

    pub(crate) fn start(self) -> Init {
        let _alone = alone();
        let (ours, theirs) =
            rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
        rustix::net::sockopt::set_socket_timeout(&ours, Timeout::Recv, Some(PATIENCE)).unwrap();
        rustix::io::fcntl_setfd(&theirs, FdFlags::empty()).unwrap();
        let inode = rustix::fs::fstat(&theirs).unwrap().st_ino;

        let mut words: Vec<String> = AS_THE_CHILD.iter().chain(self.through).map(|&word| word.into()).collect();
        words.push(image());
        words.extend([theirs.as_raw_fd().to_string(), self.flags.into(), self.mask.into()]);
        words.extend([format!("{}:{}", PLACE.0, PLACE.1), self.calls, self.acts.len().to_string()]);
        words.extend(self.acts.iter().map(|&act| act.into()));
        words.push(self.candidates.len().to_string());
        words.extend(self.candidates.iter().chain(self.argv).map(|&word| word.into()));
        let mut start = Command::new(&words[0]);
        start.args(&words[1..]).stdin(self.stdin).stdout(Stdio::piped()).stderr(Stdio::null()).envs(self.environment);
        let process = start.spawn().unwrap();
        Init { process, socket: Some(ours), inode }
    }
}

/// A started init, ended when it is dropped.
pub(crate) struct Init {
    process: Child,
    socket: Option<OwnedFd>,
    inode: u64,
}

impl Init {
    /// The process that the test started: the init, or the program that it was started through.
    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.process)
    }

    /// The number of the socket's other end, as `/proc` shows it.
    pub(crate) fn socket_inode(&self) -> u64 {
        self.inode
    }

    pub(crate) fn says(&self) -> Said {
        let mut buffer = vec![0; 4096];
        // The kernel does not restart a receive that has a timeout.
        let (length, _) =
            retry_on_intr(|| rustix::net::recv(self.socket(), buffer.as_mut_slice(), RecvFlags::empty())).unwrap();
        buffer.truncate(length);
        match buffer[..] {
            [] => Said::End,
            [253, 0, 0, 0, 0, 0, 0, 0] => Said::Running,
            [tag, step, op0, op1, v0, v1, v2, v3] => {
                let (op, value) = (u16::from_le_bytes([op0, op1]), i32::from_le_bytes([v0, v1, v2, v3]));
                match (tag, step, op) {
                    (254, 0, 0) => Said::Ended(value),
                    _ => Said::Failed { call: tag, place: (step, op), errno: value },
                }
            }
            _ => Said::Bytes(buffer),
        }
    }

    /// Whether it has said nothing that was not received yet.
    pub(crate) fn is_silent(&self) -> bool {
        let answer = rustix::net::recv(self.socket(), &mut [0; 8], RecvFlags::DONTWAIT | RecvFlags::PEEK);
        answer.map(|_| ()) == Err(Errno::AGAIN)
    }

    fn socket(&self) -> &OwnedFd {
        self.socket.as_ref().expect("the test has hung up")
    }

    pub(crate) fn hang_up(&mut self) {
        self.socket = None;
    }

    pub(crate) fn send(&self, signal: Signal) {
        rustix::process::kill_process(self.pid(), signal).unwrap();
    }

    pub(crate) fn write(&mut self, text: &str) {
        self.process.stdin.as_mut().unwrap().write_all(text.as_bytes()).unwrap();
    }

    pub(crate) fn close_stdin(&mut self) {
        self.process.stdin = None;
    }

    /// The command's next line.
    pub(crate) fn line(&mut self) -> String {
        let mut line = Vec::new();
        let mut byte = [0];
        while self.read_into(&mut byte) == 1 && byte != *b"\n" {
            line.push(byte[0]);
        }
        String::from_utf8(line).unwrap()
    }

    /// All that is left of the command's output.
    pub(crate) fn output(&mut self) -> String {
        let mut output = Vec::new();
        let mut buffer = [0; 1024];
        loop {
            match self.read_into(&mut buffer) {
                0 => return String::from_utf8(output).unwrap(),
                length => output.extend(&buffer[..length]),
            }
        }
    }

    fn read_into(&mut self, buffer: &mut [u8]) -> usize {
        let stdout = self.process.stdout.as_mut().unwrap();
        wait_for(stdout);
        stdout.read(buffer).unwrap()
    }

    /// Waits for the end, and answers the exit code.
    pub(crate) fn exit_code(&mut self) -> i32 {
        // `Child::wait` closes the standard input, which would end a command that waits for it.
        wait_for(&rustix::process::pidfd_open(self.pid(), PidfdFlags::empty()).unwrap());
        self.process.wait().unwrap().code().expect("it was not killed")
    }

    /// Expects that the command ran and ended with this code.
    pub(crate) fn ends_with(&mut self, code: i32) {
        assert_eq!(self.says(), Said::Running);
        assert_eq!(self.says(), Said::Ended(code << 8));
        assert_eq!(self.says(), Said::End);
        assert_eq!(self.exit_code(), code);
    }

    /// Expects that no command was started.
    pub(crate) fn has_failed(&mut self) {
        assert_eq!(self.says(), Said::End);
        assert_eq!(self.exit_code(), 125);
    }
}

impl Drop for Init {
    fn drop(&mut self) {
        if !matches!(self.process.try_wait(), Ok(None)) {
            return;
        }
        // Behind unshare the init ends because the socket does; a broken one is killed.
        for (child, _) in children(self.pid()) {
            let Ok(pidfd) = rustix::process::pidfd_open(child, PidfdFlags::empty()) else { continue };
            // If it is a child still, then the descriptor is not that of a stranger with its number.
            if children(self.pid()).iter().any(|(pid, _)| *pid == child) {
                let _ = rustix::process::pidfd_send_signal(pidfd, Signal::KILL);
            }
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn wait_for(readable: &impl AsFd) {
    let patience = Timespec { tv_sec: PATIENCE.as_secs() as i64, tv_nsec: 0 };
    let ready = retry_on_intr(|| poll(&mut [PollFd::new(readable, PollFlags::IN)], Some(&patience))).unwrap();
    assert_eq!(ready, 1, "nothing has happened in {PATIENCE:?}");
}

/// For what the kernel tells nobody, such as that a stranger's child was reaped.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "it never came true that {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// What `/proc/PID/stat` says behind the name: state, parent, group, session, terminal, its foreground group.
pub(crate) fn stat(line: &str) -> Vec<&str> {
    line.rsplit_once(") ").map_or(Vec::new(), |(_, rest)| rest.split(' ').collect())
}

/// Pid and state of every child of a process.
pub(crate) fn children(parent: Pid) -> Vec<(Pid, char)> {
    let parent = parent.as_raw_nonzero().to_string();
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap() {
        let Some(pid) = entry.unwrap().file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // It may have ended meanwhile.
        let Ok(line) = fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
        let fields = stat(&line);
        if fields[1] == parent {
            found.push((Pid::from_raw(pid).unwrap(), fields[0].chars().next().unwrap()));
        }
    }
    found
}

/// A file of a test, removed with it.
pub(crate) struct Temporary(PathBuf);

impl Temporary {
    fn path(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("seclude-test-{name}-{}", std::process::id()))
    }

    pub(crate) fn executable(name: &str, content: &str) -> Temporary {
        let _alone = alone();
        let path = Self::path(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        Temporary(path)
    }

    pub(crate) fn symlink(name: &str, target: &str) -> Temporary {
        let path = Self::path(name);
        std::os::unix::fs::symlink(target, &path).unwrap();
        Temporary(path)
    }

    pub(crate) fn name(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
