//! Eight bytes: what the child tells its parent.

use seclude_sys::{Errno, Fd};

/// Bytes of one message; the socket is SOCK_SEQPACKET, so one message is one record.
pub const LENGTH: usize = 8;

/// A message of the child. Its end of file means: exec succeeded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Message {
    /// Op number `op`, of step `step`, failed: `call` answered `errno`.
    Failed {
        /// The step that the op belongs to.
        step: u8,
        /// The op's place in the program.
        op: u16,
        /// Which call of the op it was.
        call: Call,
        /// What the kernel said.
        errno: Errno,
    },
    /// The process went on as another one with this pid, in a pid namespace that it joined.
    Moved(i32),
    /// The message carries the master of the new terminal.
    Terminal,
    /// The message carries a directory in which the child has made something for a mount: [`made`].
    Made,
    /// The message carries the listener of the filter, or why there is none: an error number.
    Listener(i32),
    /// The message carries a socket of the child's network namespace.
    Served,
    /// The message carries the directory with the layers in memory.
    Layers,
    /// The message carries a file system that nothing leads to yet: it waits for GO, until that is filled.
    Offered,
    /// Part number so many of the host's tree can have no overlay over it, and is read-only.
    Unlayered(u16),
    /// Part number so many of the host's tree has gone, or is another one by now.
    LeftOut(u16),
    /// All mounts are made, and the host's tree is still there: it waits for GO.
    Mounted,
    /// A test wants the parent to be killed here.
    #[cfg(feature = "fault")]
    KillParent,
    /// The init runs and has started the command.
    Running,
    /// A signal has stopped the init's command.
    Stopped(i32),
    /// The init's command ended with this wait status.
    Ended(i32),
}

#[cfg(feature = "fault")]
const KILL_PARENT: u8 = 249;
const LEFT_OUT: u8 = 241;
const UNLAYERED: u8 = 242;
const OFFERED: u8 = 243;
const MOUNTED: u8 = 244;
const LAYERS: u8 = 245;
const SERVED: u8 = 246;
const LISTENER: u8 = 247;
const MADE: u8 = 248;
const MOVED: u8 = 250;
const STOPPED: u8 = 251;
const TERMINAL: u8 = 252;
/// The tag of [`Message::Running`], which the init sends too.
pub const RUNNING: u8 = 253;
/// The tag of [`Message::Ended`], which the init sends too.
pub const ENDED: u8 = 254;

impl Message {
    /// As it goes over the socket: tag, step, op (two bytes), value (four bytes), native order.
    #[inline(always)]
    pub fn encode(self) -> [u8; LENGTH] {
        let (tag, step, op, value) = match self {
            Message::Failed { step, op, call, errno } => (call as u8, step, op, errno.0 as i32),
            Message::Made => (MADE, 0, 0, 0),
            Message::Listener(errno) => (LISTENER, 0, 0, errno),
            Message::Moved(pid) => (MOVED, 0, 0, pid),
            Message::Terminal => (TERMINAL, 0, 0, 0),
            Message::Served => (SERVED, 0, 0, 0),
            Message::Layers => (LAYERS, 0, 0, 0),
            Message::Mounted => (MOUNTED, 0, 0, 0),
            Message::Offered => (OFFERED, 0, 0, 0),
            Message::Unlayered(part) => (UNLAYERED, 0, part, 0),
            Message::LeftOut(part) => (LEFT_OUT, 0, part, 0),
            #[cfg(feature = "fault")]
            Message::KillParent => (KILL_PARENT, 0, 0, 0),
            Message::Running => (RUNNING, 0, 0, 0),
            Message::Stopped(signal) => (STOPPED, 0, 0, signal),
            Message::Ended(status) => (ENDED, 0, 0, status),
        };
        let packed = tag as u64 | (step as u64) << 8 | (op as u64) << 16 | (value as u32 as u64) << 32;
        packed.to_le_bytes()
    }

    /// Reads what [`Self::encode`] wrote; `None` for anything else.
    pub fn decode(bytes: [u8; LENGTH]) -> Option<Message> {
        let [tag, step, op0, op1, value @ ..] = bytes;
        let value = i32::from_le_bytes(value);
        Some(match tag {
            #[cfg(feature = "fault")]
            KILL_PARENT => Message::KillParent,
            LISTENER => Message::Listener(value),
            MADE => Message::Made,
            MOVED => Message::Moved(value),
            TERMINAL => Message::Terminal,
            SERVED => Message::Served,
            LAYERS => Message::Layers,
            MOUNTED => Message::Mounted,
            OFFERED => Message::Offered,
            UNLAYERED => Message::Unlayered(u16::from_le_bytes([op0, op1])),
            LEFT_OUT => Message::LeftOut(u16::from_le_bytes([op0, op1])),
            RUNNING => Message::Running,
            STOPPED => Message::Stopped(value),
            ENDED => Message::Ended(value),
            tag => Message::Failed {
                step,
                op: u16::from_le_bytes([op0, op1]),
                call: Call::from_number(tag)?,
                errno: Errno(value as u16),
            },
        })
    }

    #[inline(always)]
    pub(crate) fn send(self, socket: Fd) {
        // If nobody is left to tell, the child is about to end in any case.
        let _ = seclude_sys::socket::send(socket, &self.encode());
    }
}

/// What comes with [`Message::Made`].
pub mod made {
    use super::{LENGTH, Message};

    /// Bytes before the path: the message, the device and the number of the inode.
    pub const HEAD: usize = LENGTH + 16;
    /// As long as a record can be; PATH_MAX is the longest that the child walks.
    pub const LONGEST: usize = HEAD + 4096;

    /// The record's first bytes; the path from the root on comes behind them.
    #[inline(always)]
    pub(crate) fn head((device, inode): (u64, u64)) -> [u8; HEAD] {
        let mut head = [0; HEAD];
        let (message, place) = head.split_at_mut(LENGTH);
        message.copy_from_slice(&Message::Made.encode());
        let (first, second) = place.split_at_mut(8);
        first.copy_from_slice(&device.to_ne_bytes());
        second.copy_from_slice(&inode.to_ne_bytes());
        head
    }

    /// Device, inode and path.
    pub fn read(record: &[u8]) -> Option<((u64, u64), &[u8])> {
        let (_, rest) = record.split_at_checked(LENGTH)?;
        let (device, rest) = rest.split_first_chunk()?;
        let (inode, path) = rest.split_first_chunk()?;
        Some(((u64::from_ne_bytes(*device), u64::from_ne_bytes(*inode)), path))
    }
}

macro_rules! calls {
    ($($variant:ident $name:literal),* $(,)?) => {
        /// The call that failed, as an error names it.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[repr(u8)]
        pub enum Call {
            $(#[doc = concat!("`", $name, "`")] $variant),*
        }

        impl Call {
            /// Every call, in the order of their numbers.
            pub const ALL: &[Call] = &[$(Call::$variant),*];

            /// The name of the system call or of the check.
            pub fn name(self) -> &'static str {
                match self { $(Call::$variant => $name),* }
            }

            fn from_number(number: u8) -> Option<Call> {
                Self::ALL.get(usize::from(number)).copied()
            }
        }
    };
}

calls! {
    Setns "setns", Fork "clone", Unshare "unshare", Prctl "prctl", Poll "poll", Receive "recv", Send "sendmsg",
    Mount "mount", OpenTree "open_tree", Fsopen "fsopen", Fsconfig "fsconfig", FsCreate "fsconfig(CMD_CREATE)",
    Fsmount "fsmount", MountSetattr "mount_setattr", Remount "mount(MS_REMOUNT)", MountInfo "read mountinfo", MoveMount "move_mount", PivotRoot "pivot_root", Chroot "chroot",
    Umount "umount2", Statfs "fstatfs", LinkToProc "look where a symlink leads", Openat2 "openat2", Mkdir "mkdirat", Symlink "symlinkat", Write "write",
    Chmod "fchmod", Chown "fchown", Chdir "fchdir", Stat "newfstatat", CheckDevice "device number check",
    CheckReadOnly "read-only check", CheckRoot "new root check", CheckMount "look at the mount", Netlink "rtnetlink", Sethostname "sethostname",
    Setdomainname "setdomainname", Setrlimit "prlimit64", Setsid "setsid", OpenTerminal "open ptmx",
    Ioctl "ioctl", Fcntl "fcntl", Dup "dup3", CloseRange "close_range", Setgroups "setgroups", Setresgid "setresgid",
    Setresuid "setresuid", Capset "capset", Sigaction "rt_sigaction", Sigprocmask "rt_sigprocmask",
    Execve "execve", ExecInterpreter "execve (interpreter)", ExecDirectory "execve (directory)",
    Launch "execveat", Init "the init", Fault "a fault of a test", Rehearsed "rehearsal", Keyctl "keyctl",
    Personality "personality", Setpriority "setpriority", SameAs "check that it is what was opened",
    Seccomp "seccomp", InnerNamespaces "unshare (second user namespace)",
    CreateRuleset "landlock_create_ruleset", AddRule "landlock_add_rule", RestrictSelf "landlock_restrict_self",
    ConfineOnExec "write attr/exec", Mknod "mknodat", SchedSetattr "sched_setattr", SchedSetaffinity "sched_setaffinity", IoprioSet "ioprio_set", SetMempolicy "set_mempolicy", Socket "socket", Setsockopt "setsockopt", Bind "bind", Listen "listen",
}
