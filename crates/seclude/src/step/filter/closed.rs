//! What no namespace, mount or capability can hold back, and the filter refuses.
//!
//! Of the second the preset has some in any case. A file with a set-user-ID bit that the command makes through a writable view of the host works on the host as well; so with
//! such a view, and only then, the bits cannot be given. An open file is such a view, however it was opened: fchmod(2) asks for no
//! right to write.

use seclude_seccomp::Refused;

use crate::config::Config;
use crate::config::capability::Capability;
use crate::config::mount::MountKind;
use crate::config::namespace::Namespace;
use crate::config::rlimit::Resource;
use crate::config::root::{RootKind, Upper};
use crate::host::Host;
use crate::step::nesting;
use crate::step::streams::View;

/// Whether a part of its tree is such a view.
pub(super) fn writes_to_the_host(command: &Config) -> bool {
    let root = match &command.root {
        None => true,
        Some(root) => match &root.kind {
            RootKind::Host | RootKind::Directory(_) => !root.read_only,
            // Memory of its own.
            RootKind::Sandbox => false,
            RootKind::Overlay(overlay) => matches!(overlay.upper, Upper::Directory { .. }),
        },
    };
    let mounted = command.mounts.iter().any(|mount| match &mount.kind {
        MountKind::Bind { flags, .. } => !flags.read_only,
        MountKind::Overlay { overlay, read_only } => matches!(overlay.upper, Upper::Directory { .. }) && !read_only,
        _ => false,
    });
    root || mounted
}

/// What landlock cannot hold back on this kernel.
#[derive(Clone, Copy)]
pub(in crate::step) struct Closed {
    beside_tcp: bool,
    pub(in crate::step) metadata: bool,
    pub(in crate::step) watches: bool,
    pub(in crate::step) datagrams: bool,
    pub(in crate::step) unix: bool,
    pub(in crate::step) listening: bool,
}

/// Which of it the filter refuses: without a net namespace all sockets that no rule is for, unless socket(2) is allowed by its name.
pub(in crate::step) fn closed(command: &Config, host: &Host) -> Closed {
    let asked = command.seccomp.allow.iter().any(|name| name == "socket");
    let none = |ports: &Option<Vec<u16>>| ports.as_ref().is_none_or(Vec::is_empty);
    let alone = command.no_namespaces && !asked;
    let unix = alone && host.landlock < 9;
    Closed {
        // Who is root of the host owns what everybody runs.
        metadata: command.no_namespaces && command.identity.uid.unwrap_or(host.uid) == 0,
        watches: command.no_namespaces && !command.seccomp.allow.iter().any(|name| name.starts_with("inotify_")),
        beside_tcp: command.landlock.has_ports() || command.no_namespaces,
        // Whoever may connect somewhere asks for its name first.
        datagrams: alone && host.landlock < 10 && none(&command.landlock.connect) && none(&command.landlock.bind),
        unix,
        // With unix sockets it is needed for those.
        listening: unix && none(&command.landlock.bind),
    }
}

/// What it refuses: with a view of the host that it could leave such files in.
pub(super) fn refused(command: &Config, host: &Host, view: View) -> Refused {
    let set_id = command.is_sandboxed() && view != View::Nothing;
    let creation = command.is_sandboxed() && view == View::Places;
    let may = |capability: Capability| command.capabilities.is_none_or(|set| set.bits() & capability.bit() != 0);
    // A container's root gives a file capabilities that are root's where ids are mapped; the kernel wants CAP_SETFCAP for it.
    let attributes = set_id && (may(Capability::SETFCAP) || command.nested);
    // In a user namespace that is not the container's own, the kernel's limit is not for us to set.
    let user_namespaces = command.is_sandboxed() && !command.nested && !command.namespaces.is_new(Namespace::User);
    let Closed { beside_tcp, datagrams, unix: unix_sockets, listening, metadata, watches } = closed(command, host);
    Refused {
        set_id,
        creation,
        attributes,
        user_namespaces,
        nested: nesting::is_last(command),
        beside_tcp,
        datagrams,
        unix_sockets,
        listening,
        metadata,
        limits_of_others: command.no_namespaces,
        leases: command.is_sandboxed(),
        beyond_files: command.is_sandboxed(),
        core_limit: command.is_sandboxed() && command.rlimits.contains(&(Resource::CORE, 1, 1)),
        watches,
        // Known when the streams are looked at.
        signals_of_terminals: false,
    }
}
