//! The operations of the child, as plain data.

use core::ffi::CStr;
use core::net::SocketAddr;
use core::sync::atomic::AtomicU64;

use seclude_sys::Fd;
use seclude_sys::credentials::CapabilitySets;
use seclude_sys::process::{SchedulerAttributes, StringList};
use seclude_sys::signal::SignalSet;
use seclude_sys::terminal::WindowSize;

/// One op and the number of the step that it belongs to.
#[derive(Clone, Copy)]
pub struct Instruction<'a> {
    /// The step's number: what an error names.
    pub step: u8,
    /// What to do.
    pub op: Op<'a>,
}

/// A register for a descriptor that an op opened; storing a new one closes the old.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Slot(pub(crate) u8);

/// How many [`Slot`]s there are: a power of two, so that a number can be masked instead of checked.
pub(crate) const SLOTS: usize = 32;

impl Slot {
    /// The root of the caller's tree as it was at the clone.
    pub const HOST: Slot = Slot(0);
    /// The root that the container will have.
    pub const ROOT: Slot = Slot(1);
    /// A tmpfs that only set-up sees, as long as it is attached: parts of overlays, files made from bytes.
    pub const SCRATCH: Slot = Slot(2);
    /// The mount that is being made.
    pub const TREE: Slot = Slot(3);
    /// The place that was resolved last.
    pub const PLACE: Slot = Slot(4);
    /// The file system of /dev.
    pub const DEV: Slot = Slot(5);
    /// The container's own devpts.
    pub const DEVPTS: Slot = Slot(6);
    /// The container's end of the terminal.
    pub const TERMINAL: Slot = Slot(7);
    /// The caller's /dev, which the container's may lie over.
    pub const HOST_DEV: Slot = Slot(8);
    /// A proc file system of our own, which no path leads to.
    pub const PROC: Slot = Slot(9);
    /// The directory that an overlay writes to.
    pub const UPPER: Slot = Slot(10);
    /// The one that the kernel needs for that.
    pub const WORK: Slot = Slot(11);
    /// What the command has as stdin.
    pub const STDIN: Slot = Slot(13);
    /// What both lie in.
    pub const TREE_ABOVE: Slot = Slot(12);
    /// The ruleset of landlock that is being made.
    pub const RULESET: Slot = Slot(14);
    /// The empty tmpfs that lies over what is masked: one for all of it.
    pub const MASK: Slot = Slot(15);
    /// Mounts of the container's cgroup, from when they can be made until they are attached.
    pub const CGROUPS: [Slot; 4] = [Slot(16), Slot(17), Slot(18), Slot(19)];
}

/// A path below a base, with what is needed to create it component by component.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The whole path, without a leading slash; "." is the base itself.
    pub path: &'a CStr,
    /// The last component.
    pub name: &'a CStr,
}

/// What becomes of symlinks in a [`Place`]. None leads out of the base.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Links {
    /// They are an error.
    Refused,
    /// They are followed as a process would follow them whose root is the base.
    Followed,
    /// So that what is missing is made where a link leads.
    MadeGood,
}

/// How what is missing of a place is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Create {
    /// Permissions of the last component.
    pub mode: u32,
    /// Whether the parent is told of it, so that it can be removed again.
    pub told: bool,
}

/// What a place has to be, and what is created where it is missing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Want {
    /// A directory.
    Directory,
    /// Anything but a directory; an empty file is created.
    File,
    /// The same as what the slot holds.
    Like(Slot),
    /// Whatever is there; nothing is created.
    Existing,
}

/// What the child does, in the order given. Every variant is a system call or two; see [`crate::run`].
#[derive(Clone, Copy)]
#[allow(missing_docs, reason = "the fields are the arguments of the call in the variant's first line")]
pub enum Op<'a> {
    // --- the handshake and the process's ties
    /// prctl(PR_SET_PDEATHSIG, SIGKILL), then: is the parent still there?
    DieWithParent,
    /// prctl(PR_SET_PDEATHSIG, 0): go on without the parent.
    OutliveParent,
    /// Wait for the parent's GO; end if it is gone.
    Barrier,
    /// setns(2)
    Join { namespace: Fd, kind: u32 },
    /// unshare(2)
    Unshare { flags: u32 },
    /// Go on as a new process inside the pid namespace that was joined (it holds only for children).
    EnterPidNamespace,
    /// write(2) of 0 to a file `tasks`, by which a process joins a cgroup of v1 itself
    JoinCgroup { tasks: Fd },
    /// unshare(CLONE_NEWCGROUP): the cgroup that the process is in by now becomes its root
    CgroupNamespace,
    /// Write /proc/self/timens_offsets; `separate`: unshare before and enter after, as exec would not.
    TimeOffsets { text: &'a [u8], separate: bool },

    // --- mounts
    /// open_tree(OPEN_TREE_NAMESPACE), setns(2), and a look that / is another mount: what `source` has open is all that there is
    EnterTree { source: Fd },
    /// mount(MS_REC | MS_PRIVATE) on /
    MakePrivate,
    /// open(O_PATH | O_DIRECTORY) of a directory in the caller's tree
    OpenHost { directory: &'a CStr, into: Slot },
    /// open_tree(OPEN_TREE_CLONE)
    CloneTree { source: &'a CStr, recursive: bool, into: Slot },
    /// recvmsg(2): a tree that the parent has copied, with the ids of the container where that can be had
    /// `peer`: what is mounted in it from now on is seen where it is a copy of, and the other way round
    TakeTree { into: Slot, peer: bool },
    /// recvmsg(2) and move_mount(2), until there are no more: what is mounted below that tree, likewise
    TakeCovers { root: Slot },
    /// fstat(2): fail unless it is what the parent has open
    SameAs { found: Slot, looked_at: Fd },
    /// open_tree(OPEN_TREE_CLONE) of `name` in the directory `from`, or of `from` itself if the name is empty
    CloneFrom { from: Slot, name: &'a CStr, recursive: bool, into: Slot },
    /// fsopen(2)
    FsOpen { kind: &'a CStr, into: Slot },
    /// fsconfig(FSCONFIG_SET_STRING)
    FsString { fs: Slot, key: &'a CStr, value: &'a CStr },
    /// fsconfig(FSCONFIG_SET_FLAG)
    FsFlag { fs: Slot, key: &'a CStr },
    /// fsconfig(FSCONFIG_SET_FD)
    FsFd { fs: Slot, key: &'a CStr, value: Slot },
    /// fsconfig(FSCONFIG_CMD_CREATE), fsmount(2); the slot holds the mount afterwards
    FsMount { fs: Slot, attributes: u32 },
    /// mount_setattr(2) of what is attached; before Linux 5.12 mount(2) for each mount, which only takes attached ones
    SetAttributes { mount: Slot, set: u32, recursive: bool },
    /// fstatfs(2): fail unless ST_RDONLY
    CheckReadOnly { mount: Slot },
    /// fstat(2): fail unless it is the character device
    CheckDevice { node: Slot, major: u32, minor: u32 },
    /// openat2(RESOLVE_IN_ROOT), making what is missing if `create` says how
    Resolve { base: Slot, place: Place<'a>, want: Want, create: Option<Create>, links: Links, into: Slot },
    /// The same, but if the place is missing the ops up to the next [`Op::CheckReadOnly`] or [`Op::Mask`] are skipped.
    ResolveIfPresent { base: Slot, place: Place<'a>, into: Slot },
    /// openat2(RESOLVE_NO_SYMLINKS) of what is `below` the place `written` in [`Slot::ROOT`], if anything is there; `mount`:
    /// open_tree(OPEN_TREE_CLONE) of it and move_mount(2) onto itself; `strict`: a symlink is an error
    HoldWay { written: Place<'a>, below: &'a CStr, mount: bool, strict: bool },
    /// What follows is part number so many of the host's tree: if what [`Op::CloneTree`] opens or [`Op::Attach`] attaches is not
    /// there any more, or [`Op::SameAs`] finds another in its place, the ops up to the next [`Op::EndPart`] are skipped, and the
    /// parent is told.
    Part { number: u16 },
    /// If the kernel takes `lower` as no layer of an overlay (EINVAL), open_tree(OPEN_TREE_CLONE) of that into `into` instead, what
    /// comes up to the next [`Op::FsMount`] is skipped, and the parent is told.
    Layer { lower: Slot, into: Slot, part: u16 },
    /// The end of an [`Op::Part`].
    EndPart,
    /// EINVAL if no part had a layer that the kernel takes.
    CheckParts,
    /// move_mount(2); of what was taken from the parent mount(MS_REC | MS_PRIVATE), too
    Attach { mount: Slot, onto: Slot },
    /// A copy of the caller's `/` has the new root lying over it, as that is attached there: umount2(MNT_DETACH) until
    /// `mount` itself is what the place in [`Slot::ROOT`] leads to
    Uncover { mount: Slot, place: Place<'a> },
    /// An empty read-only tmpfs over a directory, /dev/null (looked at) over anything else
    Mask { place: Slot },
    /// statx(2): which mount it is
    Note { mount: Slot, id: &'a AtomicU64 },
    /// openat2(RESOLVE_IN_ROOT) and statx(2) of the place in [`Slot::ROOT`]: fail unless it is that mount
    LookAgain { place: Place<'a>, id: &'a AtomicU64 },
    /// Send the parent what the slot has, and wait for its GO; end if it is gone.
    Offer { mount: Slot },
    /// openat2(2), fstat(2): fail unless it is the directory that [`Slot::ROOT`] is a copy of; move_mount(2) of that onto it
    MoveRoot { onto: &'a CStr },
    /// The same in the caller's own mount namespace, where it stays; mount_setattr(MS_PRIVATE) of it, and of all that is copied from here on
    RootInPlace { onto: &'a CStr },
    /// Tell the parent that all is mounted, and wait for its GO; end if it is gone.
    Mounted,
    /// fchdir, pivot_root(".", "."), umount2(MNT_DETACH) of the scratch tmpfs and of the host's tree
    Pivot,
    /// fchdir(2), chroot(".") of [`Slot::ROOT`]; before that, where the mount namespace is not others' (`alone`), umount2(MNT_DETACH) of the
    /// /proc and the /sys of the host's tree, as far as they can be
    ChangeRoot { alone: bool },
    /// fchdir(2), chroot(".") of what is open as this
    EnterRoot { directory: Fd },
    /// statx(2): fail unless / and /.. are what is in [`Slot::ROOT`], and so nothing lies over it
    CheckRoot,
    /// mount_setattr(2) of what is attached; `propagation` is one of MS_SHARED and its relatives, or 0
    ChangeAttributes { mount: Slot, set: u32, clear: u32, propagation: u64, recursive: bool },
    /// mknodat(2), fchownat(2) of a device; one that is there has to be the same, and keeps its permissions
    MakeDevice { base: Slot, name: &'a CStr, device: Device },
    /// mkdirat(2) in a directory of our own
    MakeDirectory { base: Slot, name: &'a CStr, mode: u32 },
    /// symlinkat(2); `keep`: what is there stays; `told`: the parent is told that it was made, with this path from the root on
    MakeSymlink { base: Slot, name: &'a CStr, target: &'a CStr, keep: bool, told: Option<&'a CStr> },
    /// symlinkat(2) to /proc/self/fd/N of what the slot holds: for a call that only takes paths
    LinkToSlot { base: Slot, name: &'a CStr, to: Slot },
    /// openat2(O_CREAT | O_EXCL), write(2), fchmod(2)
    WriteFile { base: Slot, name: &'a CStr, bytes: &'a [u8], mode: u32 },
    /// fchmod(2)
    ChangeMode { file: Slot, mode: u32 },
    /// fchownat(2) of a directory that set-up has made; an id that the user namespace does not have is told by who becomes it
    GiveAway { directory: Slot, uid: u32, gid: u32 },
    /// fchdir(2)
    GoTo { directory: Slot },

    // --- what the container sees of itself
    /// One rtnetlink request with its acknowledgement
    Route { request: &'a [u8] },
    /// A transaction of nf_tables, nfnetlink
    Packets { batch: &'a [u8] },
    /// socket(2), bind(2), of a `stream` listen(2): a socket of its network namespace, for the parent
    Serve { address: SocketAddr, stream: bool },
    /// As many times socket(2) of TCP: sockets of its network namespace that are bound nowhere, for the parent
    Spare { ipv6: bool, count: u32 },
    /// socket(2) that sees the segments of its network namespace, for the parent; where there is none to be had, one of UDP in its place, of
    /// which nothing is heard
    Watch { ipv6: bool },
    /// sendmsg(2) of what the parent was not given yet of those: some at a time, as each message wakes it
    HandOver,
    /// sethostname(2)
    Hostname { name: &'a [u8] },
    /// setdomainname(2)
    Domainname { name: &'a [u8] },

    // --- what the container's files, ports and processes are to the command
    /// landlock_create_ruleset(2)
    Ruleset { files: u64, net: u64, scopes: u64 },
    /// openat2(RESOLVE_NO_MAGICLINKS), landlock_add_rule(2): `below` a directory, or to the `file` itself
    AllowPath { path: &'a CStr, below: u64, file: u64 },
    /// landlock_add_rule(2)
    AllowPort { port: u16, access: u64 },

    // --- the process
    /// prlimit64(2)
    Rlimit { resource: u32, soft: u64, hard: u64 },
    /// umask(2); `None`: the one that the process was born with
    Umask { mask: Option<u32> },
    /// write(2) to a file below the host's /proc, which is looked at
    WriteProc { path: &'a CStr, text: &'a [u8] },
    /// openat2(RESOLVE_NO_MAGICLINKS) into [`Slot::PLACE`]
    WorkingDirectory { path: &'a CStr },
    /// setsid(2)
    NewSession,
    /// keyctl(KEYCTL_JOIN_SESSION_KEYRING)
    NewKeyring,
    /// personality(2)
    Personality { persona: u32 },
    /// sched_setattr(2)
    Scheduler { attributes: SchedulerAttributes },
    /// ioprio_set(2)
    IoPriority { value: u32 },
    /// set_mempolicy(2)
    MemoryPolicy { mode: u32, nodes: &'a [u64] },
    /// sched_setaffinity(2)
    Affinity { processors: &'a [u64] },
    /// getpriority(2), setpriority(2): no higher than anybody's
    LowerPriority,
    /// open(2) below [`Slot::PROC`], and write(2)
    WriteOwnProc { path: &'a CStr, text: &'a [u8] },
    /// A new pty, its master sent to the parent; `own`: of the container's devpts; `joined`: of what is on /dev/pts, which is looked at; else of the host's
    /// fchown(2) of its slave, if the command is another user
    OpenTerminal { own: bool, joined: bool, size: WindowSize, owner: Option<u32> },
    /// TIOCSCTTY on the terminal, if it `controls` this session, and it as descriptors 0, 1 and 2 where the bit is set
    UseTerminal { stdio: u8, controls: bool },
    /// dup3(2); clears close-on-exec
    PlaceFd { from: Fd, to: Fd },
    /// close_range(2)
    CloseRange { first: u32, last: u32 },
    /// dup3(2) of a slot, for the program that is launched; clears close-on-exec, and empties the slot
    Hold { slot: Slot, at: Fd },
    /// A descriptor of the parent's as a slot.
    TakeOver { fd: Fd, into: Slot },
    /// open(2) of the file that is the root of a tree, and lseek(2)
    OpenToRead { tree: Slot, offset: u64, into: Slot },
    /// Sends the parent what a slot has, and waits for its GO: it counts the files that are there before the command is.
    SendLayers { directory: Slot },
    /// open(2) of the file that is the root of a tree, in the place of a descriptor of it, with its status flags; lseek(2), if it is not 0
    Reopen { tree: Slot, at: Fd, flags: u32, offset: u64, close_on_exec: bool },
    /// fcntl(2) F_SETFD: the program that is launched gets it
    Keep { fd: Fd },
    /// close(2) of every slot: when the kernel walks a path of the container's, it must not lead to what set-up has open
    CloseSlots,

    // --- rights, last: nothing that needs them follows
    /// capset(2), prctl(PR_CAP_AMBIENT): all that are permitted are also after the launcher's exec
    CarryCapabilities,
    /// prctl(PR_CAP_AMBIENT), capset(2): these are over the command's exec, and no others
    CarryNoMore { inheritable: u64, ambient: u64 },
    /// prctl(PR_SET_KEEPCAPS)
    KeepCapabilities,
    /// prctl(PR_CAPBSET_DROP) for each that is not in the mask
    BoundingSet { keep: u64 },
    /// setgroups(2)
    Groups { groups: &'a [u32] },
    /// setresgid(2)
    Gid { gid: u32 },
    /// setresuid(2)
    Uid { uid: u32 },
    /// capset(2)
    Capabilities { sets: CapabilitySets },
    /// prctl(PR_CAP_AMBIENT)
    Ambient { raise: u64 },
    /// prctl(PR_SET_NO_NEW_PRIVS)
    NoNewPrivileges,
    /// rt_sigaction(2) to SIG_DFL for every signal, but for those of `kept` that are ignored
    DefaultSignals { kept: SignalSet },
    /// rt_sigprocmask(2)
    SignalMask { mask: SignalSet },
    /// execve(2) of the first candidate that exists
    Exec { candidates: &'a [&'a CStr], argv: StringList<'a>, envp: StringList<'a> },
    /// execveat(2) of the launcher, which keeps the socket and does what follows
    Launch { image: Fd, argv: StringList<'a>, envp: StringList<'a> },
    /// Instead of an exec: the first candidate that could be executed ends the rehearsal
    Rehearse { candidates: &'a [&'a CStr] },

    // --- by the launcher alone
    /// fchdir(2) and close(2) of a directory that is held for it
    EnterHeld { directory: Fd },
    /// seccomp(2) with the program in this file, and SECCOMP_FILTER_FLAG_…
    Filter { file: Fd, flags: u32, listens: Listens },
    /// landlock_restrict_self(2) and close(2) of a ruleset that is held for it
    Restrict { ruleset: Fd },
    /// openat(2) below a proc file system that is held for it, and write(2): the security module confines the command from its exec on
    ConfineOnExec { proc: Fd, module: Module, label: &'a CStr },
    /// accept4(2) on a socket that is held for it, and read(2): the exec is for whoever connects to say
    Wait { listener: Fd },
    /// close(2): the launcher as init keeps it, the command must not have it
    NotForCommand { fd: Fd },
    /// The same of the spawner's pidfd: the init ends with it
    EndWith { spawner: Fd },
    /// unshare(2) of a second user and mount namespace, whose map a process of the first one writes
    InnerNamespaces { inner: Inner<'a> },
}

/// Whether a filter has a listener, which the parent is sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Listens {
    /// It answers itself.
    No = 0,
    /// What it refuses it asks about. Where it can have none, it answers itself.
    Refused = 1,
    /// It is written to ask, and without a listener it is an error.
    Asks = 2,
}

/// A security module that takes labels for an exec.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Module {
    /// By attr/apparmor/exec, or attr/exec before Linux 5.8.
    AppArmor = 0,
    /// By attr/exec.
    SeLinux = 1,
}

/// A device node, mknod(2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Device {
    /// S_IFCHR, S_IFBLK or S_IFIFO.
    pub kind: u32,
    /// The driver.
    pub major: u32,
    /// The device.
    pub minor: u32,
    /// Permissions.
    pub mode: u32,
    /// Its owner.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
}

/// A user namespace below the container's own, in which what is mounted is locked.
#[derive(Clone, Copy, Debug)]
pub struct Inner<'a> {
    /// The namespaces, `CLONE_NEW…`.
    pub flags: u64,
    /// A proc file system of our own, held for the launcher.
    pub proc: Fd,
    /// Whether none may be made below.
    pub last: bool,
    /// Whether a new net namespace is among them, whose loopback is to be up.
    pub loopback: bool,
    /// First id and count of each extent, which is the same in both.
    pub uids: &'a [(u32, u32)],
    /// The same of groups.
    pub gids: &'a [(u32, u32)],
}
