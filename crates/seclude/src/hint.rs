//! What to do about a refusal: one place where the kernel's short answers get their meaning.

mod exec;

use std::ffi::{CStr, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::io::Errno as ParentErrno;
use seclude_child::op::Want;
use seclude_child::wire::Call;
use seclude_child::{Op, Slot};
use seclude_request::{Field, Remedy};
use seclude_sys::{Errno, clone as flag};
use serde_json::json;

use crate::advice::Hint;
use crate::config::capability::Capability;
use crate::host::Host;
use crate::places::Places;
use crate::{confinement, exhaustion, proc_pid};

fn host(what: &str) -> Remedy {
    Remedy::Host(what.to_owned())
}

/// The kinds of which sysctl limits the number, by their flag and the name in /proc/sys/user.
const NAMESPACES: [(u32, &str); 8] = [
    (flag::CLONE_NEWUSER, "user"),
    (flag::CLONE_NEWPID, "pid"),
    (flag::CLONE_NEWNS, "mnt"),
    (flag::CLONE_NEWNET, "net"),
    (flag::CLONE_NEWUTS, "uts"),
    (flag::CLONE_NEWIPC, "ipc"),
    (flag::CLONE_NEWCGROUP, "cgroup"),
    (flag::CLONE_NEWTIME, "time"),
];

/// Why a filter has no listener, seccomp(2).
pub(crate) fn no_listener(errno: Errno) -> String {
    match errno {
        Errno::EBUSY => "a filter that this process is in has the one listener that there can be".to_owned(),
        Errno::EMFILE => "the command's limit of open files leaves no number for its listener".to_owned(),
        Errno::EINVAL => "this needs Linux 5.0 (SECCOMP_FILTER_FLAG_NEW_LISTENER)".to_owned(),
        errno => format!("the kernel gives no listener: {errno}"),
    }
}

/// Why CLONE_INTO_CGROUP failed, clone(2).
pub(crate) fn birth_in_cgroup(errno: Errno) -> Option<Hint> {
    let hint = match errno {
        Errno::EACCES => {
            "a process comes into a cgroup by whoever may write to its cgroup.procs and to that of the ancestor that it has in common \
             with the caller's: start from inside a delegated tree, systemd-run --user --scope -p Delegate=yes COMMAND"
        }
        Errno::EBUSY => "the cgroup hands controllers down, and so may have no process itself, cgroups(7)",
        Errno::EOPNOTSUPP => "the cgroup is threaded, or lies beside threaded ones, cgroups(7)",
        Errno::ENODEV => "the cgroup was removed meanwhile",
        _ => return None,
    };
    Some(hint.into())
}

/// Why the clone itself was refused.
pub(crate) fn clone(errno: Errno, namespaces: u64, caller: &Host) -> Option<Hint> {
    let new_user = namespaces & u64::from(flag::CLONE_NEWUSER) != 0;
    let limit = |file: &str| {
        let value = std::fs::read_to_string(file).ok()?;
        Some(value.trim().to_owned())
    };
    Some(match errno {
        Errno::EPERM if !new_user && !caller.has(Capability::SYS_ADMIN) => {
            Hint::from("namespaces need CAP_SYS_ADMIN; ask for a new user namespace too, or, beside one that is joined, join or share the \
             others too")
            .with([Remedy::set("namespaces.user", "new")])
        }
        Errno::EPERM | Errno::EACCES if new_user => match limit("/proc/sys/kernel/unprivileged_userns_clone") {
            Some(value) if value == "0" => {
                Hint::from("user namespaces are off for ordinary users: sysctl kernel.unprivileged_userns_clone=1")
                    .with([host("sysctl kernel.unprivileged_userns_clone=1")])
            }
            _ if is_in_chroot() => {
                let root = caller.has(Capability::SYS_ADMIN);
                let else_without = if root { ", or share the user namespace" } else { "" };
                Hint::from(format!(
                    "the caller is in a chroot, where the kernel makes no user namespaces: have it use pivot_root \
                     instead{else_without}"
                ))
                .with(root.then(|| Remedy::leave("namespaces.user")))
            }
            _ => match confinement::found() {
                // A sandbox of ours has a filter as well.
                Some(found) => Hint::from(found).with([Remedy::set("nested", true).outside()]),
                None if caller.has(Capability::SYS_ADMIN) => {
                    Hint::from("a security module refuses it, or the caller is in a chroot: there root can share the user namespace")
                        .with([Remedy::leave("namespaces.user")])
                }
                None => "a security module refuses it, or the caller is in a chroot".into(),
            },
        },
        Errno::ENOSPC => {
            let knobs =
                NAMESPACES.iter().filter(|(bit, _)| namespaces & u64::from(*bit) != 0).filter_map(|(_, kind)| {
                    let value: u64 = limit(&format!("/proc/sys/user/max_{kind}_namespaces"))?.parse().ok()?;
                    Some((value, format!("user.max_{kind}_namespaces={value}")))
                });
            match knobs.min() {
                Some((0, knob)) => format!("they are off by sysctl: {knob} (no disk is full)").into(),
                Some((_, knob)) => format!(
                    "as many namespaces as are allowed exist: {knob} of this user namespace or a limit of one above it, or \
                     namespaces are nested 32 deep (no disk is full)"
                )
                .into(),
                None => "a limit of the number of namespaces is reached (no disk is full)".into(),
            }
        }
        Errno::EINVAL => "this kernel was built without one of the namespaces asked for".into(),
        Errno::EAGAIN => exhaustion::processes().into(),
        Errno::ENOMEM => exhaustion::memory().into(),
        _ => return None,
    })
}

/// Whether no mount is seen where the caller's root is: it is a directory of one. A chroot to a mount is not told by this.
fn is_in_chroot() -> bool {
    let mounts = crate::mounts::mountinfo("/proc/self/mountinfo").unwrap_or_default();
    !mounts.is_empty() && mounts.lines().all(|line| line.split(' ').nth(4) != Some("/"))
}

/// Why a map could not be written.
pub(crate) fn user_map(file: &str, errno: ParentErrno) -> Option<Hint> {
    Some(match (file, errno) {
        (_, ParentErrno::ACCESS) => confinement::found()
            .unwrap_or_else(|| "the process belongs to root in /proc: this program is not dumpable".into())
            .into(),
        ("setgroups", ParentErrno::PERM) => "setgroups can no longer be denied once a gid map is there".into(),
        (_, ParentErrno::PERM) => match confinement::found() {
            Some(found) => found.into(),
            None => Hint::from(
                "the map names ids that the caller may not map: compare it with /proc/self/uid_map and gid_map; uid 0 of \
                 the outer namespace needs CAP_SETFCAP (Linux 5.12), which the root of an outer sandbox has only if that was \
                 made for nested containers, or given the capability",
            )
            .with([Remedy::set("nested", true), Remedy::set("rights.capabilities", json!(["SETFCAP"]))].map(Remedy::outside)),
        },
        (_, ParentErrno::ROFS) => {
            "/proc is mounted read-only here, as in a container that may not change it: mount it writable".into()
        }
        (_, ParentErrno::INVAL) => "the kernel takes at most 340 extents that do not overlap, in 4095 bytes".into(),
        _ => return None,
    })
}

/// Why the process's own directory in /proc could not be opened.
pub(crate) fn no_proc(errno: ParentErrno) -> Option<Hint> {
    (errno == ParentErrno::NOENT).then(proc_pid::absent)
}

/// Why a directory of the host that is named cannot be had.
pub(crate) fn directory(errno: ParentErrno) -> Option<Hint> {
    Some(match errno {
        ParentErrno::NOENT => "there is no such directory on the host".into(),
        ParentErrno::NOTDIR => "it, or a part of its path, is not a directory".into(),
        ParentErrno::ACCESS => "the caller may not search a directory above it".into(),
        _ => return None,
    })
}

/// Why a file of a namespace could not be opened.
pub(crate) fn namespace_file(errno: ParentErrno) -> Option<Hint> {
    Some(match errno {
        ParentErrno::NOENT => "there is no such file: the process may have ended, or the kernel lacks the kind".into(),
        ParentErrno::ACCESS | ParentErrno::PERM => {
            "the caller may not look at that process's namespaces, ptrace(2)".into()
        }
        _ => return None,
    })
}

/// What is known of an op that failed in the child.
pub(crate) struct Failed<'a> {
    pub(crate) op: Option<&'a Op<'a>>,
    /// What it is about, as the plan has it.
    pub(crate) about: &'a str,
    /// Of the request, as its step says.
    pub(crate) field: Option<&'a Field>,
    /// The file system that is being made, if one is.
    pub(crate) file_system: Option<&'a CStr>,
    /// What the child left on the board.
    pub(crate) detail: &'a [u8],
    /// Whether the container has a tree of its own.
    pub(crate) rooted: bool,
    /// Whether that has the host's programs alone.
    pub(crate) curated: bool,
    /// Whether landlock has rules of files.
    pub(crate) landlocked: bool,
    /// Whether the working directory is where the caller is, as none was asked for.
    pub(crate) inherits_directory: bool,
}

impl Failed<'_> {
    /// A key of the mount or root that it is about, such as `mounts[3].read_only`.
    fn key(&self, key: &str) -> Option<Field> {
        let field = self.field.filter(|field| matches!(field.first(), Some("mounts" | "root")))?;
        let whole = if matches!(field.last(), Some("target" | "source")) { field.above() } else { field.clone() };
        Some(whole.key(key))
    }

    fn is_at(&self, key: &str) -> bool {
        self.field.is_some_and(|field| field.first() == Some(key))
    }
}

/// Why an op failed in the child.
pub(crate) fn child(failed: &Failed<'_>, call: Call, errno: Errno) -> Option<Hint> {
    let &Failed { op, detail, .. } = failed;
    let confined = || {
        // Whatever the call needs, it needs it in a namespace that the child has just made.
        let refused = matches!(errno, Errno::EPERM | Errno::EACCES);
        refused.then(confinement::found).flatten()
    };
    match call {
        // Of whatever call: `exhaustion` tells which limit it was.
        _ if matches!(errno, Errno::EMFILE | Errno::ENFILE) => None,
        Call::Execve if errno == Errno::ENOENT && failed.curated && exec::hidden(op).is_some() => exec::hidden(op),
        Call::Execve if errno == Errno::EACCES && failed.landlocked => Some(exec::not_allowed(op)),
        Call::Openat2 if errno == Errno::ENOSYS => Some(
            "a filter around this process refuses openat2(2), or this is Linux before 5.6: a sandbox that has files of the host to write to \
             refuses it, as by it they could be given set-id bits, so no sandbox can be made in that one"
                .into(),
        ),
        Call::Openat2 if matches!(op, Some(Op::AllowPath { .. })) => rule_of_path(errno),
        Call::Execve | Call::ExecDirectory | Call::ExecInterpreter | Call::Launch => {
            exec::why(failed, call, errno)
        }
        Call::Netlink
            if matches!(op, Some(Op::Packets { .. }))
                && matches!(errno, Errno::ENOENT | Errno::EOPNOTSUPP | Errno::EPROTONOSUPPORT) =>
        {
            let text = "without the kernel's nf_tables, nft_ct and nft_reject_inet nothing keeps it from the host's own services: load \
                        them, or open those";
            Some(Hint::from(text).with([Remedy::set("network.host_access", true)]))
        }
        Call::Fsopen
        | Call::Mount
        | Call::OpenTree
        | Call::MountSetattr
        | Call::PivotRoot
        | Call::Netlink
        | Call::Unshare
            if let Some(confined) = confined() =>
        {
            Some(confined.into())
        }
        Call::Fsopen | Call::Fsconfig | Call::FsCreate | Call::Fsmount => {
            filesystem(failed, call, errno, &messages(detail))
        }
        Call::Openat2 | Call::Mkdir if errno == Errno::EROFS && failed.is_at("dns") => Some(
            Hint::from(
                "the root is read-only and has no such file: create it there (empty will do), put an overlay over the root, or \
                 do without name servers",
            )
            .with([Remedy::set("root.ephemeral", true), Remedy::set("dns", "none")]),
        ),
        Call::Openat2 if errno == Errno::ENOENT && failed.is_at("workdir") && failed.inherits_directory => Some(
            Hint::from(
                "it is where the caller is, which is the default, and is not in the container's tree: name a working directory",
            )
            .with([Remedy::give("workdir")]),
        ),
        Call::Openat2 | Call::Mkdir | Call::Symlink | Call::MoveMount => place(failed, errno),
        _ => other(op, call, errno),
    }
}

/// Said where the value is below the one that whoever had the right has set last.
pub(crate) const OOM_SCORE: &str = "lowering the value needs CAP_SYS_RESOURCE over the host";

/// Said of a rule whose path is missing.
pub(crate) const NO_SUCH_PATH: &str =
    "there is no such path inside: a rule is of what is there when the command starts";

const LEADS_NOWHERE: &str =
    "symlinks in it lead in a circle, or through /proc/PID/fd, cwd or root, and so out of the container";

fn rule_of_path(errno: Errno) -> Option<Hint> {
    Some(match errno {
        Errno::ENOENT => NO_SUCH_PATH.into(),
        Errno::ENOTDIR => "a part of its path is not a directory inside".into(),
        Errno::ELOOP => LEADS_NOWHERE.into(),
        Errno::EACCES => "the user that set-up runs as may not search a directory above it".into(),
        _ => return None,
    })
}

/// The file system's own words, fsopen(2): one message a line, each begins with its kind and a space.
fn messages(detail: &[u8]) -> String {
    let text = String::from_utf8_lossy(detail);
    let words: Vec<_> = text
        .split('\n')
        .map(|line| line.trim().trim_start_matches("e ").trim_start_matches("w ").trim_start_matches("i "))
        .filter(|line| !line.is_empty())
        .collect();
    words.join("; ")
}

fn filesystem(failed: &Failed<'_>, call: Call, errno: Errno, said: &str) -> Option<Hint> {
    let is = |kind: &CStr| failed.file_system == Some(kind);
    let overlay = is(c"overlay");
    if let (Call::FsCreate | Call::Fsmount, Errno::EPERM, true) = (call, errno, is(c"proc")) {
        return Some(masked_proc());
    }
    let ephemeral = || failed.key("ephemeral").map(|field| Remedy::Set(field, Some(true.into())));
    let mut remedy = None;
    let advice = match (call, errno) {
        // The kernel has no other word for it than its own, fsopen(2): the errno is EINVAL for all of them.
        _ if said.contains("not supported as upperdir") => {
            remedy = ephemeral();
            Some(
                "the upper directory is itself on overlayfs, or on NFS; use a tmpfs as upper, or a directory of a disk",
            )
        }
        _ if said.contains("workdir and upperdir must reside under the same mount") => {
            Some("upper and work directory have to be on the same file system")
        }
        (Call::FsCreate | Call::Fsmount, Errno::EPERM) if overlay => {
            Some("users may mount overlays from Linux 5.11 on")
        }
        (Call::Fsopen, Errno::EPERM) => {
            remedy = Some(Remedy::set("namespaces.user", "new"));
            Some("mounts need CAP_SYS_ADMIN; ask for a new user namespace too")
        }
        (Call::Fsopen, Errno::ENODEV) => Some("this kernel has no such file system"),
        (Call::FsCreate, Errno::ELOOP) if overlay => {
            Some("a layer lies in another one, or is used by another overlay that writes to it")
        }
        (Call::FsCreate, Errno::EINVAL) if overlay => {
            remedy = ephemeral();
            Some(
                "a lower directory with mounts below it, or an upper directory that is on an overlay itself, cannot \
             be used; take another directory, or a tmpfs as upper",
            )
        }
        (_, Errno::ENOSPC) => Some("a limit of /proc/sys/user or the memory of the tmpfs is used up"),
        _ => None,
    };
    let hint = match (said.is_empty(), advice) {
        (true, advice) => Hint::from(advice?),
        (false, None) => format!("the kernel says: {said}").into(),
        (false, Some(advice)) => format!("{advice} (the kernel says: {said})").into(),
    };
    Some(hint.with(remedy))
}

/// The kernel's rule of `mount_too_revealing`: a new proc must not show what an existing one hides.
fn masked_proc() -> Hint {
    let mounts = crate::mounts::mountinfo("/proc/self/mountinfo").unwrap_or_default();
    let below: Vec<&str> =
        mounts.lines().filter_map(|line| line.split(' ').nth(4)).filter(|point| point.starts_with("/proc/")).collect();
    let which = match below.split_at_checked(3) {
        Some((some, rest)) if !rest.is_empty() => format!(" ({} and {} more)", some.join(", "), rest.len()),
        _ if below.is_empty() => String::new(),
        _ => format!(" ({})", below.join(", ")),
    };
    Hint::from(format!(
        "mounts lie over parts of /proc here{which}, and so the kernel refuses a fresh one: unmount them if they are the host's \
         own; where they are an outer container's, have it unmasked (Docker: --security-opt systempaths=unconfined; Kubernetes: procMount: Unmasked with hostUsers: false), or \
         keep the outer pid namespace, and bind its /proc"
    ))
    .with([Remedy::leave("namespaces.pid"), Remedy::set("mounts", json!([{ "type": "bind", "source": "/proc", "target": "/proc" }]))])
}

/// Said of a working directory that is not there.
fn missing_directory(failed: &Failed<'_>) -> Hint {
    let hint = Hint::from("there is no such directory inside the container");
    let Some(Op::WorkingDirectory { path }) = failed.op else { return hint };
    let directory = Path::new(OsStr::from_bytes(path.to_bytes()));
    let is_home = || Places::look(rustix::process::geteuid().as_raw()).show_a_home_at(directory);
    if !failed.curated || !directory.is_dir() || is_home() {
        return hint;
    }
    Hint::from("the host has it, and the container does not show it")
        .with([Remedy::Set(Field::of("ro").index(0), Some(directory.to_string_lossy().into()))])
}

fn place(failed: &Failed<'_>, errno: Errno) -> Option<Hint> {
    let op = failed.op;
    let working = matches!(op, Some(Op::WorkingDirectory { .. }));
    Some(match errno {
        Errno::ENOENT if matches!(op, Some(Op::OpenHost { .. })) => "the host's tree has no such directory".into(),
        Errno::EXDEV => "the target leaves the root, or the tree is being renamed while it is looked at".into(),
        Errno::ELOOP if matches!(op, Some(Op::HoldWay { .. })) => {
            "a symlink leads there, in what the command may write to, and it could give that another end: name where it leads".into()
        }
        Errno::ELOOP if working => LEADS_NOWHERE.into(),
        Errno::ELOOP => "symlinks in the target lead in a circle, or out of a procfs".into(),
        Errno::ENOENT if working => missing_directory(failed),
        Errno::ENOENT if matches!(op, Some(Op::Resolve { want: Want::Existing, .. })) => {
            Hint::from("there is no such path inside the root; say that it is optional if it may be missing")
                .with(failed.key("if_present").map(|field| Remedy::Set(field, Some(true.into()))))
        }
        Errno::ENOENT => "there is no such path inside the root".into(),
        Errno::EROFS => Hint::from(
            "the target is missing, and what it lies in is read-only: create it there, have that directory be written, or put an overlay \
             over the root, if it is the root's",
        )
        .with([Remedy::set("root.ephemeral", true)]),
        Errno::EACCES | Errno::EPERM => "the user that set-up runs as may not create or enter it".into(),
        Errno::EEXIST if matches!(op, Some(Op::Resolve { .. })) => {
            "a symlink in the target leads to what is not there \
                         inside the root: make that there, or give its own path"
                .into()
        }
        Errno::EEXIST => "something is there already".into(),
        Errno::ENOTDIR => "the target, or a part of its path, is there but is not a directory".into(),
        Errno::EAGAIN => "the tree is being renamed while it is looked at; giving up after 64 tries".into(),
        Errno::EINVAL if !working => "a directory cannot lie over a file, nor a file over a directory".into(),
        Errno::EOVERFLOW => "the owner of the directory has no id in the user namespace".into(),
        _ => return None,
    })
}

fn other(op: Option<&Op<'_>>, call: Call, errno: Errno) -> Option<Hint> {
    Some(match (call, errno) {
        (Call::OpenTree, Errno::ENOSPC) if matches!(op, Some(Op::EnterTree { .. })) => {
            "as many mount namespaces as are allowed exist: /proc/sys/user/max_mnt_namespaces (no disk is full)".into()
        }
        (Call::OpenTree, Errno::EINVAL) if matches!(op, Some(Op::EnterTree { .. })) => {
            "the directory is on an unbindable mount".into()
        }
        (Call::Setns, Errno::EPERM) if matches!(op, Some(Op::EnterTree { .. })) => {
            "entering a mount namespace needs CAP_SYS_ADMIN and CAP_SYS_CHROOT".into()
        }
        (Call::Unshare | Call::Setns, Errno::ENOSPC) => {
            "as many namespaces of this kind as are allowed exist: /proc/sys/user/max_*_namespaces (no disk is full)".into()
        }
        (Call::Mount | Call::OpenTree | Call::PivotRoot, Errno::ENOSPC) => {
            "the mount namespace has as many mounts as are allowed: sysctl fs.mount-max (no disk is full)".into()
        }
        (Call::Send, Errno::ETOOMANYREFS) => {
            "more descriptors of this user are on their way over sockets than one process may have open: RLIMIT_NOFILE, \
             unix(7)"
                .into()
        }
        (Call::Remount, Errno::EACCES | Errno::EBUSY) => {
            "without mount_setattr (Linux 5.12) a mount below it could not be made read-only: it is where set-up cannot \
             get, or under another one; bind a directory without it"
                .into()
        }
        (Call::Remount | Call::MountInfo, _) => {
            "without mount_setattr (Linux 5.12) each mount is changed by its path in /proc, which set-up has to see".into()
        }
        (Call::MountSetattr, Errno::EINVAL) => "it is not the root of a mount (the caller is in a chroot?)".into(),
        (Call::CheckReadOnly, _) => "the kernel took the flag, but the mount can be written".into(),
        (Call::CheckDevice, _) => "a device node of the host's /dev is not what its name says".into(),
        (Call::CheckMount, _) => {
            "another mount lies there: a symlink in the tree leads its target, or that of a later one, elsewhere".into()
        }
        (Call::CheckRoot, _) => {
            "/ is not the new root, or a mount lies over it: a symlink in a mount's target may lead there".into()
        }
        (Call::PivotRoot, Errno::EINVAL) => {
            "the caller's root is a ramfs or initramfs, which cannot be pivoted: switch_root first".into()
        }
        (Call::OpenTree, Errno::ENOENT) if matches!(op, Some(Op::Mask { .. })) => {
            "the host's /dev has no null, which is laid over a file that is masked".into()
        }
        (Call::OpenTree, Errno::ENOENT) => "it does not exist".into(),
        (Call::OpenTree, Errno::EINVAL) => {
            "in a user namespace it cannot be bound without the mounts below it, or it is unbindable".into()
        }
        (Call::OpenTree | Call::Mount, Errno::EPERM) => {
            "mounts need CAP_SYS_ADMIN in the user namespace that owns the mount namespace: ask for a new one, or share the \
             mount namespace when joining"
                .into()
        }
        (Call::Setresuid | Call::Setresgid | Call::Setgroups, Errno::EINVAL) => {
            "the id is not mapped in the user namespace".into()
        }
        (Call::Setgroups, Errno::EPERM) => {
            "it takes CAP_SETGID, and in a user namespace a gid map that no ordinary user wrote: map subordinate ids".into()
        }
        (Call::Setresuid | Call::Setresgid, Errno::EPERM) => "the caller may not change to that id".into(),
        (Call::Setrlimit, Errno::EPERM) => "a hard limit can only be raised with CAP_SYS_RESOURCE".into(),
        (Call::Capset, Errno::EPERM) => "the caller does not have all of these capabilities itself".into(),
        (Call::Prctl, Errno::EPERM) if matches!(op, Some(Op::BoundingSet { .. })) => {
            Hint::from("dropping capabilities needs CAP_SETPCAP; ask for a new user namespace too")
                .with([Remedy::set("namespaces.user", "new")])
        }
        (Call::Chdir, Errno::EACCES) => {
            Hint::from("the command's user may not enter it, by its mode: name a working directory that it may enter")
                .with([Remedy::give("workdir")])
        }
        (Call::CreateRuleset, Errno::ENOSYS | Errno::EOPNOTSUPP) => {
            "the kernel has no landlock, or a filter of system calls around the caller refuses it".into()
        }
        (Call::AddRule, Errno::EBADFD) => "it is no file with a path, which a rule could be of".into(),
        (Call::RestrictSelf, Errno::E2BIG) => "the caller is below sixteen rulesets already, and the kernel takes no more".into(),
        (Call::RestrictSelf, Errno::EPERM) => "without no_new_privs it takes CAP_SYS_ADMIN".into(),
        (Call::Setns, Errno::EPERM) => "entering needs CAP_SYS_ADMIN in the namespace's owner; join its user \
                                        namespace too"
            .into(),
        (Call::Setns, Errno::EINVAL) => "it is a namespace of another kind, or the caller's own user namespace".into(),
        (Call::OpenTerminal, _) => "no pseudoterminal could be opened: /dev/pts of the host, or kernel.pty.max".into(),
        (Call::LinkToProc, _) => "a symlink in the target leads into a procfs, where each process finds other files by it, as /proc/self and /proc/mounts do: \
                                  no mount would lie where the command sees it".into(),
        (Call::CloseRange, Errno::ENOSYS) => "this needs Linux 5.9 (close_range)".into(),
        (Call::Write, Errno::EACCES | Errno::EPERM) if matches!(op, Some(Op::WriteProc { path, .. }) if *path == crate::ops::OOM_SCORE_ADJ) => {
            OOM_SCORE.into()
        }
        (Call::Write, Errno::EPERM) if matches!(op, Some(Op::TimeOffsets { .. })) => {
            "clock offsets need CAP_SYS_TIME in the user namespace".into()
        }
        (Call::Write, Errno::ERANGE) => "the clock would be below zero or beyond its range".into(),
        (Call::Write, Errno::ENOSPC) if matches!(op, Some(Op::WriteFile { base: Slot::SCRATCH, .. })) => {
            "the file does not fit into half of the machine's memory".into()
        }
        _ => return None,
    })
}
