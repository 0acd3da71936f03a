//! `container`: what the process is born in.

use seclude::{Command, Feature, Limits, Mount, Namespace, Preset, Root};

use super::{At, Key, Off, Read, Shape, Wrong, fs, limit, namespace, network, process, root};
use crate::value::Value;

/// A container as far as it is read.
pub(crate) struct Draft {
    pub(crate) command: Command,
    pub(super) facts: Facts,
    pub(crate) sandbox: bool,
    /// Which namespaces were spoken of.
    pub(crate) said: Vec<Namespace>,
    /// Which are wanted by something else.
    pub(crate) implied: Vec<Namespace>,
    /// Whether the first process is an init, where that was said.
    pub(super) init: Option<bool>,
    /// The key that says that it is the command.
    pub(super) as_pid_1: Option<String>,
    /// Whether there is a new pid namespace, where that was said.
    pub(super) pid: Option<bool>,
    /// Which key has said what it is connected by.
    pub(crate) network: Option<String>,
    pub(crate) limits: limit::Draft,
    pub(crate) cgroup: Option<seclude::Cgroup>,
    pub(crate) identity: process::Identity,
}

impl Draft {
    fn preset(&mut self) {
        self.sandbox = true;
        self.command.sandbox();
    }

    pub(crate) fn imply(&mut self, kind: Namespace) {
        self.implied.push(kind);
    }
}

/// What the handle has to know of a container.
#[derive(Clone, Copy, Default)]
pub(crate) struct Facts {
    /// It runs on when this process, or its worker thread, ends.
    pub(crate) outlives: bool,
    /// The command is PID 1: the kernel drops signals that it has no handler for, but SIGKILL and SIGSTOP.
    pub(crate) first: bool,
    /// An init is.
    pub(crate) init: bool,
}

/// Reads `container` into the command.
pub(crate) fn read(command: Command, at: &At<'_>) -> Read<(Command, Facts)> {
    let mut draft = Draft {
        command,
        facts: Facts::default(),
        sandbox: false,
        said: Vec::new(),
        implied: Vec::new(),
        init: None,
        as_pid_1: None,
        pid: None,
        network: None,
        limits: limit::Draft::default(),
        cgroup: None,
        identity: process::Identity::default(),
    };
    match at.value {
        Value::Bool(false) => return Ok((draft.command, Facts::default())),
        Value::Bool(true) => draft.preset(),
        Value::Object(_) => {
            if begins_from(at)? == Preset::Sandbox {
                draft.preset();
            }
            CONTAINER.read(&mut draft, at)?;
        }
        _ => return Err(at.wrong_type("an object, true for the sandbox, or false for none")),
    }
    finish(draft)
}

/// What the other keys change, wherever among them it is said.
fn begins_from(at: &At<'_>) -> Read<Preset> {
    let Some(preset) = CONTAINER.find(at, "preset") else { return Ok(Preset::Sandbox) };
    match preset.value {
        Value::Text(_) => preset.parse("\"sandbox\" or \"bare\""),
        _ => Err(preset.wrong_type("\"sandbox\" or \"bare\"")),
    }
}

fn finish(mut draft: Draft) -> Read<(Command, Facts)> {
    draft.identity.new_user |= draft.sandbox && !draft.said.contains(&Namespace::User);
    draft.identity.apply(&mut draft.command, draft.sandbox);
    let new_pid = draft.pid.unwrap_or(draft.sandbox || draft.implied.contains(&Namespace::Pid));
    for kind in draft.implied {
        if !draft.said.contains(&kind) {
            draft.command.unshare(kind);
        }
    }
    if let Some(on) = draft.init {
        draft.command.init(on);
    }
    if let (Some(key), false) = (&draft.as_pid_1, new_pid) {
        return Err(Wrong::Type(format!("{key}: it needs a new pid namespace")));
    }
    draft.facts.first = new_pid && !draft.init.unwrap_or(draft.sandbox);
    draft.facts.init = new_pid && !draft.facts.first;
    let limits: Limits = draft.limits.checked()?;
    let limited = limits.limits().next().is_some();
    if limited || draft.cgroup.is_some() {
        draft.command.cgroup(draft.cgroup.unwrap_or_default().limits(limits));
    }
    Ok((draft.command, draft.facts))
}

pub(crate) const CONTAINER: Shape<Draft> = Shape {
    name: "Container",
    doc: "What the process is born in: the sandbox, as changed by what is said here; `preset: \"bare\"` begins from nothing. An unknown key, a value of the wrong type
          or out of range, or one that cannot be meant beside another throws a TypeError or RangeError with the key's path;
          `false` means off.",
    keys: &[
        Key {
            names: &["preset"],
            ts: "\"sandbox\" | \"bare\"",
            doc: "What the other keys change. `\"sandbox\"` (the default, also of `container: true`): all namespaces new but
                  time; as root 65,536 ids that nobody on the host has, else yourself as root; the host's tree read-only with
                  a fresh /proc, /dev and /tmp; a loopback interface and no other; a tiny init as PID 1; no capabilities, no
                  user namespaces below it; a session and a session keyring of its own. `\"bare\"`: nothing but what the other
                  keys ask for.",
            off: Off::Told,
            // Read before all others.
            read: |_, _| Ok(()),
        },
        Key {
            names: &["hostRoot"],
            ts: "boolean",
            doc: "As root: be root of the host inside as well, uid 0 to every unix socket and file of root's that is to be seen.
                  No boundary for what nobody trusts.",
            off: Off::Absent,
            read: |draft, at| {
                at.flag()?;
                draft.command.host_root();
                Ok(())
            },
        },
        Key {
            names: &["nested"],
            ts: "boolean",
            doc: "Lets the command make user namespaces, as nested containers do; /proc then has no masks. In `bare` it may in
                  any case.",
            off: Off::Absent,
            read: |draft, at| {
                draft.command.nested(at.flag()?);
                Ok(())
            },
        },
        Key {
            names: &["asPid1"],
            ts: "boolean",
            doc: "The command itself is PID 1, without an init: it reaps what is orphaned, signals that it has no handler for do
                  nothing to it, and it dies with this process only as long as it does not take that back. So is
                  `namespace: { pid: true }`.",
            off: Off::Absent,
            read: |draft, at| {
                at.flag()?;
                draft.init = Some(false);
                draft.as_pid_1 = Some(at.path.clone());
                draft.imply(Namespace::Pid);
                draft.imply(Namespace::Mount);
                Ok(())
            },
        },
        Key {
            names: &["namespace", "namespaces"],
            ts: "Namespaces",
            doc: "New, shared or existing namespaces.",
            off: Off::Absent,
            read: |draft, at| namespace::NAMESPACES.read(draft, at),
        },
        Key {
            names: &["root"],
            ts: "string | RootOptions | false",
            doc: "What the process sees as `/`: a directory of the host, or an overlay. A new
                  mount namespace comes with it. `false`: the host's tree, writable, also in the sandbox.",
            off: Off::Told,
            read: |draft, at| {
                if !at.is_off() {
                    draft.imply(Namespace::Mount);
                    draft.command.root(root::read(at)?);
                } else if draft.sandbox {
                    // Without the sandbox that is what there is anyway.
                    draft.command.root(Root::host());
                }
                Ok(())
            },
        },
        Key {
            names: &["fs", "mounts"],
            ts: "FsEntry[]",
            doc: "Mounts, files, directories, symlinks and masks, made in this order; a later one may lie in an earlier
                  one. A new mount namespace comes with them.",
            off: Off::Absent,
            read: |draft, at| {
                let mounts: Vec<Mount> = fs::read(at)?;
                if !mounts.is_empty() {
                    draft.imply(Namespace::Mount);
                }
                for mount in mounts {
                    draft.command.mount(mount);
                }
                Ok(())
            },
        },
        Key {
            names: &["limit", "limits"],
            ts: "Limit",
            doc: "What the container may use of the machine, in a cgroup of its own. A limit that cannot be set is an
                  error, unless `prefer` names it.",
            off: Off::Absent,
            read: |draft, at| draft.limits.read(at),
        },
        Key {
            names: &["cgroup"],
            ts: "boolean | CgroupOptions",
            doc: "A cgroup of its own, also without limits: for `stats()`, `pause()`, `resume()`, the memory peak in the
                  report, and `killTree()` without a pid namespace.",
            off: Off::Absent,
            read: |draft, at| {
                draft.cgroup = Some(limit::read_cgroup(at)?);
                Ok(())
            },
        },
        Key {
            names: &["joinCgroup"],
            ts: "string | number",
            doc: "A cgroup that exists, to start in: absolute in the hierarchy, such as /ci/job, in each hierarchy that has it, or a
                  descriptor of its directory, which stays yours. Nothing is set, counted, killed or removed there. Not together with
                  `limit` and `cgroup`.",
            off: Off::Absent,
            read: |draft, at| limit::join_cgroup(&mut draft.command, at),
        },
        Key {
            names: &["prefer"],
            ts: "Feature[]",
            doc: "What the start may go on without where the host does not have it; the report says whether it was
                  achieved.",
            off: Off::Absent,
            read: |draft, at| {
                for item in at.items("an array of names of limits")? {
                    draft.command.prefer(item.parse::<Feature>("the name of a feature")?);
                }
                Ok(())
            },
        },
        Key {
            names: &["network", "net"],
            ts: "boolean | \"loopback\" | \"none\" | \"host\" | \"veth\" | \"pasta\" | NetworkOptions",
            doc: "What it is connected by. `true`, `\"loopback\"` or `\"none\"`: its own loopback interface, up, and nothing
                  else;
                  `false` or `\"host\"`: the host's network. The same as `namespace.network`.",
            off: Off::Told,
            read: network::read,
        },
        Key {
            names: &["dns"],
            ts: "string[] | \"host\" | false",
            doc: "Its name servers, in a /etc/resolv.conf of its own; `\"host\"`: the host's (the default with veth and
                  pasta); `false`: the root's file is left as it is.",
            off: Off::Told,
            read: network::read_dns,
        },
        Key {
            names: &["hosts"],
            ts: "Record<string, string>",
            doc: "Lines of a /etc/hosts of its own: names and their addresses.",
            off: Off::Absent,
            read: network::read_hosts,
        },
        Key {
            names: &["uid"],
            ts: "number | bigint",
            doc: "The command's user id inside. With a new user namespace and no map of your own: as root the ids inside are
                  those outside, as an ordinary user your own id is this one.",
            off: Off::Absent,
            read: |draft, at| {
                draft.identity.uid = Some(at.id()?);
                Ok(())
            },
        },
        Key {
            names: &["gid"],
            ts: "number | bigint",
            doc: "The command's group id inside.",
            off: Off::Absent,
            read: |draft, at| {
                draft.identity.gid = Some(at.id()?);
                Ok(())
            },
        },
        Key {
            names: &["groups"],
            ts: "(number | bigint)[]",
            doc: "The command's supplementary groups inside.",
            off: Off::Absent,
            read: |draft, at| {
                let items = at.items("an array of group ids")?;
                let groups: Vec<u32> = items.iter().map(At::id).collect::<Read<_>>()?;
                draft.command.groups(groups);
                Ok(())
            },
        },
        Key {
            names: &["capabilities"],
            ts: "string[] | \"all\" | false",
            doc: "The capabilities that the command may have, by name, such as `NET_ADMIN` or `CAP_NET_ADMIN`; `false` or
                  `[]`: none.",
            off: Off::Told,
            read: |draft, at| {
                draft.command.capabilities(process::capabilities(at)?);
                Ok(())
            },
        },
        Key {
            names: &["ambientCapabilities"],
            ts: "string[] | \"all\" | false",
            doc: "Capabilities that stay over exec for a command that is not uid 0.",
            off: Off::Told,
            read: |draft, at| {
                draft.command.ambient(process::capabilities(at)?);
                Ok(())
            },
        },
        Key {
            names: &["noNewPrivileges", "noNewPrivs"],
            ts: "boolean",
            doc: "Whether an exec may not gain privileges (setuid bits, file capabilities). Default: true.",
            off: Off::Told,
            read: |draft, at| {
                draft.command.no_new_privileges(at.flag()?);
                Ok(())
            },
        },
        Key {
            names: &["rlimits", "rlimit"],
            ts: "Record<string, number | bigint | \"unlimited\" | Rlimit | false>",
            doc: "Resource limits by name, setrlimit(2), such as `{ NOFILE: 256 }`, in the resource's own unit.",
            off: Off::Absent,
            read: process::read_rlimits,
        },
        Key {
            names: &["hostname"],
            ts: "string",
            doc: "The host name inside, up to 64 bytes. A new UTS namespace comes with it.",
            off: Off::Absent,
            read: |draft, at| {
                draft.imply(Namespace::Uts);
                draft.command.hostname(process::host_name(at)?);
                Ok(())
            },
        },
        Key {
            names: &["domainname"],
            ts: "string",
            doc: "The NIS domain name inside, up to 64 bytes. A new UTS namespace comes with it.",
            off: Off::Absent,
            read: |draft, at| {
                draft.imply(Namespace::Uts);
                draft.command.domainname(process::host_name(at)?);
                Ok(())
            },
        },
        Key {
            names: &["init"],
            ts: "boolean",
            doc: "Runs the command below a tiny init as PID 1, which reaps orphans and forwards signals. A new pid
                  namespace comes with it. In the sandbox there is one; `false`: as `asPid1`.",
            off: Off::Told,
            read: |draft, at| {
                let on = at.flag()?;
                if on {
                    if let Some(other) = &draft.as_pid_1 {
                        return Err(said_twice(at, other));
                    }
                    draft.imply(Namespace::Pid);
                    draft.imply(Namespace::Mount);
                }
                draft.init = Some(on);
                Ok(())
            },
        },
        Key {
            names: &["deadline"],
            ts: "number",
            doc: "Milliseconds from its start after which it is killed, as by `killTree()`; the report's cause is then
                  \"deadline\", and `killed` and `exitedDueToTimeout` are true. Default: none.",
            off: Off::Absent,
            read: |draft, at| {
                draft.command.deadline(at.milliseconds()?);
                Ok(())
            },
        },
        Key {
            names: &["dieWithParent"],
            ts: "boolean",
            doc: "Whether it is killed when this process ends, however that ends. Default: true. `false` also leaves it
                  running when its worker thread ends.",
            off: Off::Told,
            read: |draft, at| {
                let on = at.flag()?;
                draft.facts.outlives = !on;
                draft.command.die_with_parent(on);
                Ok(())
            },
        },
        Key {
            names: &["newSession"],
            ts: "boolean",
            doc: "A session of its own without a terminal: no keyboard signals. Default: in the sandbox alone.",
            off: Off::Told,
            read: |draft, at| {
                draft.command.new_session(at.flag()?);
                Ok(())
            },
        },
        Key {
            names: &["umask"],
            ts: "number | bigint",
            doc: "The file mode creation mask, such as `0o022`.",
            off: Off::Absent,
            read: |draft, at| {
                let mask = at.integer(0, 0o777, "a mask, 0 to 0o777")?;
                draft.command.umask(mask as u32);
                Ok(())
            },
        },
        Key {
            names: &["oomScoreAdj"],
            ts: "number | bigint",
            doc: "How eager the kernel is to kill it when memory runs out, -1000 to 1000.",
            off: Off::Absent,
            read: |draft, at| {
                let value = at.integer(-1000, 1000, "a whole number, -1000 to 1000")?;
                draft.command.oom_score_adj(value as i16);
                Ok(())
            },
        },
        Key {
            names: &["clone"],
            ts: "\"auto\" | \"vm\" | \"copy\" | \"legacy\"",
            doc: "How the process is made: clone3(2) in the caller's memory (`vm`), with a copy of it (`copy`), or clone(2).
                  Default: `auto`; the report says which way was taken and why.",
            off: Off::Absent,
            read: |draft, at| {
                draft.command.clone_way(at.parse("\"auto\", \"vm\", \"copy\" or \"legacy\"")?);
                Ok(())
            },
        },
        Key {
            names: &["timed"],
            ts: "boolean",
            doc: "Measures the child's time in each step of its set-up for the report.",
            off: Off::Told,
            read: |draft, at| {
                draft.command.timed(at.flag()?);
                Ok(())
            },
        },
    ],
};

/// A key that contradicts another.
pub(super) fn said_twice(at: &At<'_>, other: &str) -> Wrong {
    Wrong::Type(format!("{}: {other} says it already", at.path))
}
