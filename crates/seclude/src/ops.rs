//! How an op reads when a plan is printed.

use std::ffi::{CStr, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use seclude_child::op::{Listens, Want};
use seclude_child::{Op, Slot};
use seclude_sys::mount as sys;
use seclude_sys::signal::SIGPIPE;

/// Where the kernel takes it, proc(5).
pub(crate) const OOM_SCORE_ADJ: &std::ffi::CStr = c"/proc/self/oom_score_adj";

fn text(c: &CStr) -> String {
    c.to_string_lossy().into_owned()
}

fn slot(slot: Slot) -> &'static str {
    match slot {
        Slot::HOST => "host",
        Slot::ROOT => "root",
        Slot::SCRATCH => "scratch",
        Slot::TREE => "tree",
        Slot::PLACE => "place",
        Slot::DEV => "dev",
        Slot::DEVPTS => "devpts",
        Slot::TERMINAL => "terminal",
        Slot::HOST_DEV => "the host's /dev",
        Slot::PROC => "proc",
        Slot::UPPER => "upper",
        Slot::WORK => "work",
        Slot::STDIN => "stdin",
        Slot::RULESET => "ruleset",
        Slot::TREE_ABOVE => "what both lie in",
        _ => "?",
    }
}

fn attributes(set: u32) -> String {
    let words: Vec<_> = [
        (sys::MOUNT_ATTR_RDONLY, "ro"),
        (sys::MOUNT_ATTR_NOSUID, "nosuid"),
        (sys::MOUNT_ATTR_NODEV, "nodev"),
        (sys::MOUNT_ATTR_NOEXEC, "noexec"),
    ]
    .into_iter()
    .filter(|(bit, _)| set & bit != 0)
    .map(|(_, word)| word)
    .collect();
    words.join(",")
}

fn recursively(recursive: bool) -> &'static str {
    if recursive { ", recursive" } else { "" }
}

/// The path that an op was given by the caller, for its error; the command is what an exec is `about`.
pub(crate) fn path(op: &Op<'_>, about: &str) -> Option<PathBuf> {
    let bytes = |text: &CStr| PathBuf::from(OsStr::from_bytes(text.to_bytes()));
    match op {
        Op::Exec { .. } | Op::Rehearse { .. } => Some(about.into()),
        Op::LinkToSlot { .. } | Op::SameAs { .. } | Op::TakeTree { .. } | Op::EnterTree { .. }
            if about.starts_with('/') =>
        {
            Some(about.into())
        }
        Op::CloneTree { source: text, .. }
        | Op::OpenHost { directory: text, .. }
        | Op::WorkingDirectory { path: text }
        | Op::AllowPath { path: text, .. }
        | Op::MoveRoot { onto: text }
        | Op::RootInPlace { onto: text }
        | Op::WriteProc { path: text, .. } => Some(bytes(text)),
        Op::CloneFrom { from: Slot::HOST_DEV, name, .. } => Some(Path::new("/dev").join(bytes(name))),
        // Of an overlay it is the directory that its options are relative to.
        Op::GoTo { .. } | Op::EnterHeld { .. } if about.starts_with('/') => Some(about.into()),
        Op::Resolve { place, .. } | Op::ResolveIfPresent { place, .. } | Op::LookAgain { place, .. } => {
            Some(Path::new("/").join(bytes(place.path)))
        }
        Op::HoldWay { written, below, .. } => Some(Path::new("/").join(bytes(written.path)).join(bytes(below))),
        _ => None,
    }
}

/// One line for one op.
pub(crate) fn describe(op: &Op<'_>) -> String {
    match op {
        Op::DieWithParent => "prctl(PR_SET_PDEATHSIG, SIGKILL)".into(),
        Op::OutliveParent => "prctl(PR_SET_PDEATHSIG, 0)".into(),
        Op::Barrier => "wait for GO".into(),
        Op::Join { .. } => "setns".into(),
        Op::Unshare { flags } => format!("unshare({flags:#x})"),
        Op::EnterPidNamespace => "clone(CLONE_PARENT), go on in the new process".into(),
        Op::TimeOffsets { separate: false, .. } => "write timens_offsets".into(),
        Op::TimeOffsets { separate: true, .. } => "unshare(CLONE_NEWTIME), write timens_offsets, setns".into(),
        Op::JoinCgroup { .. } => "write 0, which is the writer itself".into(),
        Op::CgroupNamespace => "unshare(CLONE_NEWCGROUP)".into(),
        Op::EnterTree { .. } => "open_tree(it, as a mount namespace), setns, check /".into(),
        Op::MakePrivate => "mount(/, MS_REC | MS_PRIVATE)".into(),
        Op::OpenHost { directory, into } => format!("open {} as {}", text(directory), slot(*into)),
        Op::CloneTree { source, recursive, into } => {
            format!("open_tree({}{}) as {}", text(source), recursively(*recursive), slot(*into))
        }
        Op::TakeTree { into, .. } => format!("take a copy that the parent made as {}", slot(*into)),
        Op::TakeCovers { root } => format!("take what is mounted below {}, and move_mount it there", slot(*root)),
        Op::SameAs { found, .. } => format!("check that {} is what the parent looked at", slot(*found)),
        Op::LinkToSlot { base, name, to } => {
            format!("symlinkat(/proc/self/fd of {}, {}/{})", slot(*to), slot(*base), text(name))
        }
        Op::CloneFrom { from, name, recursive, into } => {
            format!("open_tree({}/{}{}) as {}", slot(*from), text(name), recursively(*recursive), slot(*into))
        }
        Op::Part { .. } => "from here on, unless it has gone by now".into(),
        Op::Layer { lower, into, .. } => {
            format!("from here on, unless {} can be no layer: then that as {}", slot(*lower), slot(*into))
        }
        Op::EndPart => "up to here".into(),
        Op::CheckParts => "check that there was a layer".into(),
        Op::FsOpen { kind, into } => format!("fsopen({}) as {}", text(kind), slot(*into)),
        Op::FsString { fs, key, value } => format!("fsconfig({}, {}={})", slot(*fs), text(key), text(value)),
        Op::FsFlag { fs, key } => format!("fsconfig({}, {})", slot(*fs), text(key)),
        Op::FsFd { fs, key, value } => format!("fsconfig({}, {}={})", slot(*fs), text(key), slot(*value)),
        Op::FsMount { fs, attributes: set } => format!("fsmount({}, {})", slot(*fs), attributes(*set)),
        Op::SetAttributes { mount, set, recursive, .. } => {
            format!("mount_setattr({}, {}{})", slot(*mount), attributes(*set), recursively(*recursive))
        }
        Op::CheckReadOnly { mount } => format!("check that {} is read-only", slot(*mount)),
        Op::CheckDevice { node, major, minor } => format!("check that {} is device {major}:{minor}", slot(*node)),
        Op::Resolve { base, place, want, create, into, .. } => {
            let want = match want {
                Want::Directory => " (directory",
                Want::File => " (file",
                Want::Like(_) => " (same type",
                Want::Existing => " (any",
            };
            let create = if create.is_some() { ", created if missing)" } else { ")" };
            format!("openat2({}/{}){want}{create} as {}", slot(*base), text(place.path), slot(*into))
        }
        Op::HoldWay { written, below, mount, .. } => {
            let how = if *mount { "hold" } else { "look for no symlink at" };
            format!("{how} root/{}/{}, if it is there", text(written.path), text(below))
        }
        Op::ResolveIfPresent { base, place, into } => {
            format!("openat2({}/{}), or skip, as {}", slot(*base), text(place.path), slot(*into))
        }
        Op::Attach { mount, onto } => format!("move_mount({}, {})", slot(*mount), slot(*onto)),
        Op::Mask { place } => format!("cover {} with an empty tmpfs or /dev/null", slot(*place)),
        Op::Uncover { mount, place } => {
            format!("umount2(what lies over {}, MNT_DETACH) at root/{}", slot(*mount), text(place.path))
        }
        Op::Note { mount, .. } => format!("statx({}): which mount it is", slot(*mount)),
        Op::LookAgain { place, .. } => format!("check that root/{} is that mount", text(place.path)),
        Op::Offer { mount } => format!("sendmsg({}) to the parent, wait for GO", slot(*mount)),
        Op::MoveRoot { onto } => format!("move_mount(root) onto {}, which is looked at", text(onto)),
        Op::Mounted => "tell that all is mounted, wait for GO".into(),
        Op::RootInPlace { onto } => format!("move_mount(root) onto {}, which is looked at; private", text(onto)),
        Op::ChangeRoot { alone: true } => {
            "umount2(the host's proc and sys, MNT_DETACH) if it can be, chroot(root)".into()
        }
        Op::ChangeRoot { alone: false } => "chroot(root)".into(),
        Op::EnterRoot { .. } => "fchdir, chroot".into(),
        Op::Pivot => "pivot_root(root), umount2(scratch and host, MNT_DETACH)".into(),
        Op::CheckRoot => "check that / is root, and nothing lies over it".into(),
        Op::MakeDirectory { base, name, .. } => format!("mkdirat({}, {})", slot(*base), text(name)),
        Op::ChangeAttributes { mount, set, recursive, .. } => {
            format!("mount_setattr({}, {}{})", slot(*mount), attributes(*set), recursively(*recursive))
        }
        Op::MakeDevice { base, name, device } => {
            format!("mknodat({}, {}, {}:{})", slot(*base), text(name), device.major, device.minor)
        }
        Op::MakeSymlink { base, name, target, .. } => {
            format!("symlinkat({}, {}/{})", text(target), slot(*base), text(name))
        }
        Op::WriteFile { base, name, bytes, .. } => {
            format!("write {} bytes to {}/{}", bytes.len(), slot(*base), text(name))
        }
        Op::GiveAway { directory, uid, gid } => format!("fchownat({}, {uid}, {})", slot(*directory), *gid as i32),
        Op::ChangeMode { file, mode } => format!("fchmod({}, {mode:o})", slot(*file)),
        Op::GoTo { directory } => format!("fchdir({})", slot(*directory)),
        Op::Ruleset { .. } => "landlock_create_ruleset as ruleset".into(),
        Op::AllowPath { path, .. } => format!("landlock_add_rule(ruleset, {})", text(path)),
        Op::AllowPort { port, .. } => format!("landlock_add_rule(ruleset, port {port})"),
        Op::Route { .. } => "rtnetlink request".into(),
        Op::Packets { .. } => "transaction of nf_tables".into(),
        Op::Serve { address, stream: true } => format!("socket, bind({address}), listen"),
        Op::Spare { ipv6, count } => {
            format!("{count} times socket of {}", if *ipv6 { "IPv6" } else { "IPv4" })
        }
        Op::Serve { address, stream: false } => format!("socket, bind({address})"),
        Op::Watch { ipv6 } => {
            format!("socket of the segments of {}", if *ipv6 { "IPv6" } else { "IPv4" })
        }
        Op::HandOver => "sendmsg of those sockets to the parent".into(),
        Op::Hostname { .. } => "sethostname".into(),
        Op::Domainname { .. } => "setdomainname".into(),
        Op::Rlimit { .. } => "prlimit64".into(),
        Op::Umask { mask: Some(mask) } => format!("umask({mask:03o})"),
        Op::Umask { mask: None } => "umask(the caller's)".into(),
        Op::WriteProc { path, .. } => format!("write {}", path.to_string_lossy()),
        Op::WorkingDirectory { path } => format!("openat2({}) as place", text(path)),
        Op::NewSession => "setsid".into(),
        Op::OpenTerminal { .. } => "open ptmx, send the master to the parent".into(),
        Op::UseTerminal { controls: true, .. } => "ioctl(TIOCSCTTY), as stdin, stdout, stderr".into(),
        Op::UseTerminal { controls: false, .. } => "as stdin, stdout, stderr".into(),
        Op::NewKeyring => "keyctl(KEYCTL_JOIN_SESSION_KEYRING)".into(),
        Op::Personality { persona } => format!("personality({persona:#x})"),
        Op::Scheduler { .. } => "sched_setattr".into(),
        Op::IoPriority { value } => format!("ioprio_set({value:#x})"),
        Op::MemoryPolicy { mode, .. } => format!("set_mempolicy({mode:#x})"),
        Op::Affinity { .. } => "sched_setaffinity".into(),
        Op::LowerPriority => {
            "setpriority(0), if it is less; sched_setscheduler, ioprio_set, if it is in real time".into()
        }
        Op::WriteOwnProc { path, text } => {
            format!("write {} to {} of a proc of our own", String::from_utf8_lossy(text), path.to_string_lossy())
        }
        Op::PlaceFd { to, .. } => format!("dup3 to {}", to.0),
        Op::Hold { slot: held, at } => format!("hold {} as {} for the launcher", slot(*held), at.0),
        Op::TakeOver { fd, into } => format!("take {} as {}", fd.0, slot(*into)),
        Op::OpenToRead { tree, offset, into } => {
            format!("open({}, O_RDONLY), lseek({offset}), as {}", slot(*tree), slot(*into))
        }
        Op::SendLayers { directory } => format!("sendmsg({}) to the parent, wait for GO", slot(*directory)),
        Op::Reopen { tree, at, .. } => format!("open({}), dup3 to {}", slot(*tree), at.0),
        Op::Keep { fd } => format!("keep {} for the launcher", fd.0),
        Op::CloseSlots => "close all that set-up has open".into(),
        Op::CloseRange { first, last } if *last == u32::MAX => format!("close_range({first}, all)"),
        Op::CloseRange { first, last } => format!("close_range({first}, {last})"),
        Op::CarryCapabilities => "capset, prctl(PR_CAP_AMBIENT_RAISE) of all, over the launcher's exec".into(),
        Op::CarryNoMore { .. } => "prctl(PR_CAP_AMBIENT), capset: as before".into(),
        Op::KeepCapabilities => "prctl(PR_SET_KEEPCAPS)".into(),
        Op::BoundingSet { .. } => "prctl(PR_CAPBSET_DROP) for all others".into(),
        Op::Groups { .. } => "setgroups".into(),
        Op::Gid { .. } => "setresgid".into(),
        Op::Uid { .. } => "setresuid".into(),
        Op::Capabilities { .. } => "capset".into(),
        Op::Ambient { .. } => "prctl(PR_CAP_AMBIENT)".into(),
        Op::NoNewPrivileges => "prctl(PR_SET_NO_NEW_PRIVS)".into(),
        Op::DefaultSignals { kept: 0 } => "rt_sigaction(SIG_DFL) for every signal".into(),
        Op::DefaultSignals { kept } if kept >> (SIGPIPE - 1) & 1 == 0 => {
            "rt_sigaction(SIG_DFL) for every signal that is not ignored, and SIGPIPE".into()
        }
        Op::DefaultSignals { .. } => "rt_sigaction(SIG_DFL) for every signal that is not ignored".into(),
        Op::SignalMask { mask } => format!("rt_sigprocmask({mask:#x})"),
        Op::Exec { candidates, .. } => {
            let names: Vec<_> = candidates.iter().map(|candidate| text(candidate)).collect();
            format!("execve({})", names.join(" or "))
        }
        Op::Launch { .. } => "execveat(the launcher, a sealed memfd)".into(),
        Op::EnterHeld { .. } => "fchdir, close".into(),
        Op::Filter { listens: Listens::No, .. } => "seccomp(SECCOMP_SET_MODE_FILTER)".into(),
        Op::Filter { listens: Listens::Refused | Listens::Asks, .. } => {
            "seccomp(SECCOMP_SET_MODE_FILTER, NEW_LISTENER), and sendmsg of the listener to the parent".into()
        }
        Op::Restrict { .. } => "landlock_restrict_self, close".into(),
        Op::ConfineOnExec { label, .. } => format!("write {} to attr/exec", text(label)),
        Op::Wait { .. } => "look for the command; accept4, read: wait for whoever lets it go".into(),
        Op::EndWith { .. } => "end with the spawner, which the init watches".into(),
        Op::NotForCommand { .. } => "close what the init alone holds".into(),
        Op::InnerNamespaces { inner } => {
            let nested = if inner.last { ", no further ones" } else { "" };
            format!("unshare(a second user and mount namespace){nested}; a process of the first one writes its maps")
        }
        Op::Rehearse { .. } => "faccessat(the command) instead of its exec".into(),
    }
}
