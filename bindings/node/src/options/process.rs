//! The command's ids, rights and limits of its own.

use std::str::FromStr;

use seclude::{Capabilities, Capability, Command, Host, Resource, UNLIMITED, UserMap};

use super::container::{Draft, said_twice};
use super::{At, Key, Off, Read, Shape, Wrong};
use crate::value::Value;

/// Who the command runs as.
#[derive(Default)]
pub(crate) struct Identity {
    pub(super) uid: Option<u32>,
    pub(super) gid: Option<u32>,
    /// A user namespace is new, and whether its ids were spoken of.
    pub(super) new_user: bool,
    pub(super) mapped: bool,
}

impl Identity {
    pub(super) fn apply(&self, command: &mut Command, sandbox: bool) {
        if let Some(uid) = self.uid {
            command.uid(uid);
        }
        if let Some(gid) = self.gid {
            command.gid(gid);
        }
        if self.new_user && !self.mapped && (self.uid.is_some() || self.gid.is_some()) {
            // An ordinary user has one id to give away; root's containers have more, of which this is one.
            let (uid, gid) = (self.uid.unwrap_or(0), self.gid.unwrap_or(0));
            match (Host::current().uid, sandbox) {
                (0, true) => {}
                (0, false) => drop(command.user_map(UserMap::Identity)),
                _ => drop(command.user_map(UserMap::CallerAs { uid, gid })),
            }
        }
    }
}

pub(super) fn capabilities(at: &At<'_>) -> Read<Capabilities> {
    match at.value {
        Value::Bool(false) => Ok(Capabilities::NONE),
        Value::Text(text) if text == "all" => Ok(Capabilities::ALL),
        Value::List(_) => {
            let items = at.items("")?;
            items.iter().map(|item| item.parse::<Capability>("the name of a capability")).collect()
        }
        _ => Err(at.wrong_type("an array of names, \"all\" or false")),
    }
}

pub(super) fn host_name<'a>(at: &At<'a>) -> Read<&'a str> {
    let name = at.text()?;
    // sethostname(2)
    if name.is_empty() || name.len() > 64 { Err(at.out_of_range("a name of 1 to 64 bytes")) } else { Ok(name) }
}

const RLIMITS: &str = "a number, \"unlimited\", or { soft, hard }";

pub(super) fn read_rlimits(draft: &mut Draft, at: &At<'_>) -> Read<()> {
    let mut said: Vec<(Resource, String)> = Vec::new();
    for (name, at) in at.entries()? {
        let resource = Resource::from_str(name).map_err(|error| Wrong::Type(format!("{}: {error}", at.path)))?;
        if let Some((_, other)) = said.iter().find(|(one, _)| *one == resource) {
            return Err(said_twice(&at, other));
        }
        said.push((resource, at.path.clone()));
        if at.is_off() {
            continue;
        }
        let (soft, hard) = match at.value {
            Value::Object(_) => {
                let mut pair = (0, 0);
                RLIMIT.read(&mut pair, &at)?;
                pair
            }
            _ => {
                let both = rlimit(&at)?;
                (both, both)
            }
        };
        if soft > hard {
            return Err(Wrong::Range(format!("{}: soft is above hard", at.path)));
        }
        draft.command.rlimit(resource, soft, hard);
    }
    Ok(())
}

fn rlimit(at: &At<'_>) -> Read<u64> {
    match at.value {
        Value::Text(text) if text == "unlimited" => Ok(UNLIMITED),
        _ => at.unsigned(RLIMITS),
    }
}

pub(crate) const RLIMIT: Shape<(u64, u64)> = Shape {
    name: "Rlimit",
    doc: "A resource limit, setrlimit(2).",
    keys: &[
        Key {
            names: &["soft"],
            ts: "number | bigint | \"unlimited\"",
            doc: "What holds.",
            off: Off::Required,
            read: |pair, at| {
                pair.0 = rlimit(at)?;
                Ok(())
            },
        },
        Key {
            names: &["hard"],
            ts: "number | bigint | \"unlimited\"",
            doc: "Up to what the command may raise it.",
            off: Off::Required,
            read: |pair, at| {
                pair.1 = rlimit(at)?;
                Ok(())
            },
        },
    ],
};
