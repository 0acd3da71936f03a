//! `container.namespace`: which namespaces are new, and whose ids a user namespace has.

use std::path::PathBuf;

use seclude::{Extent, Host, IdMap, Namespace, UserMap};

use super::container::Draft;
use super::{At, Key, Off, Read, Shape, Wrong, network};
use crate::value::Value;

const TS: &str = "boolean | NamespaceOptions";
const EXPECTED: &str = "true, false or an object";

pub(crate) const NAMESPACES: Shape<Draft> = Shape {
    name: "Namespaces",
    doc: "For each kind: `true` a new namespace, `false` this process's own, `{ join }` an existing one.",
    keys: &[
        Key {
            names: &["pid"],
            ts: TS,
            doc: "Process ids: the command is PID 1 and sees its own /proc (a new mount namespace comes with it); all of it
                  ends with the command.",
            off: Off::Told,
            read: |draft, at| {
                // Who says so in so many words has the command as PID 1; `init` puts one there.
                draft.pid = Some(at.is_on());
                if at.is_on() {
                    draft.init.get_or_insert(false);
                    draft.imply(Namespace::Mount);
                }
                plain(draft, at, Namespace::Pid)
            },
        },
        Key {
            names: &["user"],
            ts: "boolean | \"root\" | \"identity\" | \"subids\" | UserNamespaceOptions",
            doc: "User and group ids. `true`: those of the preset (in `bare` as `\"root\"`); `\"root\"`: this process's uid and gid are 0 inside; `\"identity\"`: ids
                  are the same inside; `\"subids\"`: those of /etc/subuid and /etc/subgid follow from 1.",
            off: Off::Told,
            read: read_user,
        },
        Key {
            names: &["network", "net"],
            ts: "boolean | \"loopback\" | \"none\" | \"host\" | \"veth\" | \"pasta\" | NetworkOptions",
            doc: "Network devices, addresses and ports. `true`: loopback alone.",
            off: Off::Told,
            read: network::read,
        },
        Key {
            names: &["mount", "mnt"],
            ts: TS,
            doc: "The mount table. It comes with `root`, `fs` and `pid`.",
            off: Off::Told,
            read: |draft, at| plain(draft, at, Namespace::Mount),
        },
        Key {
            names: &["uts"],
            ts: TS,
            doc: "Host name and domain name.",
            off: Off::Told,
            read: |draft, at| plain(draft, at, Namespace::Uts),
        },
        Key {
            names: &["ipc"],
            ts: TS,
            doc: "System V IPC and POSIX message queues.",
            off: Off::Told,
            read: |draft, at| plain(draft, at, Namespace::Ipc),
        },
        Key {
            names: &["cgroup"],
            ts: TS,
            doc: "The root of /proc/self/cgroup.",
            off: Off::Told,
            read: |draft, at| plain(draft, at, Namespace::Cgroup),
        },
        Key {
            names: &["time"],
            ts: "boolean | TimeNamespaceOptions",
            doc: "Offsets of the monotonic and the boot-time clock.",
            off: Off::Told,
            read: |draft, at| match at.value {
                Value::Bool(_) => plain(draft, at, Namespace::Time),
                Value::Object(_) => {
                    say(draft, Namespace::Time);
                    draft.command.unshare(Namespace::Time);
                    TIME.read(draft, at)
                }
                _ => Err(at.wrong_type(EXPECTED)),
            },
        },
    ],
};

fn say(draft: &mut Draft, kind: Namespace) {
    draft.said.push(kind);
}

fn plain(draft: &mut Draft, at: &At<'_>, kind: Namespace) -> Read<()> {
    say(draft, kind);
    match at.value {
        Value::Bool(true) => drop(draft.command.unshare(kind)),
        Value::Bool(false) => drop(draft.command.share(kind)),
        Value::Object(_) => {
            let mut joined = Joined::default();
            NAMESPACE.read(&mut joined, at)?;
            draft.command.join(kind, joined.path);
        }
        _ => return Err(at.wrong_type(EXPECTED)),
    }
    Ok(())
}

/// An existing namespace.
#[derive(Default)]
pub(crate) struct Joined {
    path: PathBuf,
}

const JOIN: &str = "The existing namespace to enter, such as /proc/PID/ns/net.";

pub(crate) const NAMESPACE: Shape<Joined> = Shape {
    name: "NamespaceOptions",
    doc: "An existing namespace.",
    keys: &[Key {
        names: &["join"],
        ts: "string",
        doc: JOIN,
        off: Off::Required,
        read: |joined, at| {
            joined.path = at.host_path()?;
            Ok(())
        },
    }],
};

#[derive(Default)]
pub(crate) struct User {
    uids: Option<IdMap>,
    gids: Option<IdMap>,
    caller_as: Option<(u32, u32)>,
    joined: Option<PathBuf>,
}

fn read_user(draft: &mut Draft, at: &At<'_>) -> Read<()> {
    say(draft, Namespace::User);
    let map = match at.value {
        Value::Bool(false) => {
            draft.command.share(Namespace::User);
            return Ok(());
        }
        Value::Bool(true) => None,
        Value::Text(text) => Some(match text.as_str() {
            "root" => UserMap::CallerAsRoot,
            "identity" => UserMap::Identity,
            "subids" => UserMap::SubIds,
            _ => return Err(at.out_of_range("\"root\", \"identity\" or \"subids\"")),
        }),
        Value::Object(_) => {
            let mut user = User::default();
            USER.read(&mut user, at)?;
            let mapped = user.uids.is_some() || user.gids.is_some();
            let ways = [mapped, user.caller_as.is_some(), user.joined.is_some()];
            if ways.into_iter().filter(|way| *way).count() != 1 {
                let message = "it can have uid_map and gid_map, or callerAs, or join: one of these";
                return Err(Wrong::Type(format!("{}: {message}", at.path)));
            }
            if let Some(path) = user.joined {
                draft.command.join(Namespace::User, path);
                return Ok(());
            }
            Some(match user.caller_as {
                Some((uid, gid)) => UserMap::CallerAs { uid, gid },
                None => {
                    // Where one kind is given, the caller is root of the other.
                    let host = Host::current();
                    let own = |map: Option<IdMap>, own| match map {
                        Some(map) => Ok(map),
                        None => IdMap::single(0, own).map_err(|error| Wrong::Range(format!("{}: {error}", at.path))),
                    };
                    UserMap::Extents { uids: own(user.uids, host.uid)?, gids: own(user.gids, host.gid)? }
                }
            })
        }
        _ => return Err(at.wrong_type("true, false, \"root\", \"identity\", \"subids\" or an object")),
    };
    draft.command.unshare(Namespace::User);
    draft.identity.mapped = map.is_some();
    draft.identity.new_user = true;
    if let Some(map) = map {
        draft.command.user_map(map);
    }
    Ok(())
}

pub(crate) const USER: Shape<User> = Shape {
    name: "UserNamespaceOptions",
    doc: "The ids of a new user namespace, user_namespaces(7), or an existing one.",
    keys: &[
        Key {
            names: &["uidMap"],
            ts: "IdExtent[]",
            doc: "Extents of user ids. An ordinary user needs newuidmap(1) and ranges in /etc/subuid for more than its own
                  id. Without it: your own uid is 0.",
            off: Off::Absent,
            read: |user, at| {
                user.uids = Some(read_map(at)?);
                Ok(())
            },
        },
        Key {
            names: &["gidMap"],
            ts: "IdExtent[]",
            doc: "Extents of group ids. Without it: your own gid is 0.",
            off: Off::Absent,
            read: |user, at| {
                user.gids = Some(read_map(at)?);
                Ok(())
            },
        },
        Key {
            names: &["callerAs"],
            ts: "CallerAs",
            doc: "This process's uid and gid are these inside, and no others exist there.",
            off: Off::Absent,
            read: |user, at| {
                let mut ids = (0, 0);
                CALLER_AS.read(&mut ids, at)?;
                user.caller_as = Some(ids);
                Ok(())
            },
        },
        Key {
            names: &["join"],
            ts: "string",
            doc: JOIN,
            off: Off::Absent,
            read: |user, at| {
                user.joined = Some(at.host_path()?);
                Ok(())
            },
        },
    ],
};

pub(crate) const CALLER_AS: Shape<(u32, u32)> = Shape {
    name: "CallerAs",
    doc: "A uid and a gid inside.",
    keys: &[
        Key {
            names: &["uid"],
            ts: "number | bigint",
            doc: "The uid inside.",
            off: Off::Required,
            read: |ids, at| {
                ids.0 = at.id()?;
                Ok(())
            },
        },
        Key {
            names: &["gid"],
            ts: "number | bigint",
            doc: "The gid inside.",
            off: Off::Required,
            read: |ids, at| {
                ids.1 = at.id()?;
                Ok(())
            },
        },
    ],
};

pub(crate) struct Ids {
    inside: u32,
    outside: u32,
    count: u32,
}

fn read_map(at: &At<'_>) -> Read<IdMap> {
    let mut extents = Vec::new();
    for item in at.items("an array of { inside_id, outside_id, length }")? {
        let mut ids = Ids { inside: 0, outside: 0, count: 1 };
        EXTENT.read(&mut ids, &item)?;
        let extent = Extent::new(ids.inside, ids.outside, ids.count);
        extents.push(extent.map_err(|error| Wrong::Range(format!("{}: {error}", item.path)))?);
    }
    IdMap::new(extents).map_err(|error| Wrong::Range(format!("{}: {error}", at.path)))
}

pub(crate) const EXTENT: Shape<Ids> = Shape {
    name: "IdExtent",
    doc: "Consecutive ids: one line of /proc/PID/uid_map.",
    keys: &[
        Key {
            names: &["insideId"],
            ts: "number | bigint",
            doc: "The first id inside.",
            off: Off::Required,
            read: |ids, at| {
                ids.inside = at.id()?;
                Ok(())
            },
        },
        Key {
            names: &["outsideId"],
            ts: "number | bigint",
            doc: "The first id outside.",
            off: Off::Required,
            read: |ids, at| {
                ids.outside = at.id()?;
                Ok(())
            },
        },
        Key {
            names: &["length", "count"],
            ts: "number | bigint",
            doc: "How many ids. Default: 1.",
            off: Off::Told,
            read: |ids, at| {
                ids.count = at.integer(1, u32::MAX.into(), "a number of ids, 1 or more")? as u32;
                Ok(())
            },
        },
    ],
};

pub(crate) const TIME: Shape<Draft> = Shape {
    name: "TimeNamespaceOptions",
    doc: "What the clocks of a new time namespace are ahead of the host's (negative: behind), or an existing one.",
    keys: &[
        Key {
            names: &["monotonic"],
            ts: "number",
            doc: "CLOCK_MONOTONIC, milliseconds.",
            off: Off::Absent,
            read: |draft, at| {
                draft.command.monotonic_offset(nanoseconds(at)?);
                Ok(())
            },
        },
        Key {
            names: &["boottime"],
            ts: "number",
            doc: "CLOCK_BOOTTIME, milliseconds.",
            off: Off::Absent,
            read: |draft, at| {
                draft.command.boottime_offset(nanoseconds(at)?);
                Ok(())
            },
        },
        Key {
            names: &["join"],
            ts: "string",
            doc: JOIN,
            off: Off::Absent,
            read: |draft, at| {
                draft.command.join(Namespace::Time, at.host_path()?);
                Ok(())
            },
        },
    ],
};

fn nanoseconds(at: &At<'_>) -> Read<i128> {
    /// Beyond what the kernel takes: about 146 years.
    const MOST: f64 = 4.6e12;
    const EXPECTED: &str = "a number of milliseconds";
    let milliseconds = at.number(EXPECTED)?;
    if milliseconds.abs() > MOST {
        return Err(at.out_of_range(EXPECTED));
    }
    Ok((milliseconds * 1e6).round() as i128)
}
