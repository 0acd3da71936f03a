//! `container`: what of it a request has in another form.

use seclude::Host;
use seclude::request::{Field, Value, snake};

use super::draft::{Draft, MOST_KEYS, said_twice};
use super::tables::{self, absolute, below, renamed, text, without, wrong_type};
use super::{Read, Wrong, devices};
use crate::descriptor;

const MODES: &str = "\"loopback\", \"host\", \"veth\", \"pasta\" or \"names\"";

impl Draft {
    /// Each key of the container's.
    pub(super) fn container(&mut self, given: Value) -> Read<()> {
        let container = Field::of("container");
        let Value::Object(entries) = given else {
            return Err(wrong_type(&container, &given, "an object, true for the sandbox, or false for none"));
        };
        let mut spoken: Vec<(String, Field)> = Vec::new();
        for (key, value) in entries.into_iter().take(MOST_KEYS) {
            let (name, from) = (snake(&key), container.clone().key(&key));
            let name = renamed(tables::NOUNS, &name);
            if let Some((_, other)) = spoken.iter().find(|(said, _)| said == name) {
                return Err(said_twice(&from, other));
            }
            spoken.push((name.to_owned(), from.clone()));
            let field = Field::of(name);
            match (name, value) {
                ("namespaces", Value::Object(kinds)) => self.namespaces(kinds, &from)?,
                ("root", value) => self.root(&field, value, &from)?,
                ("mounts", Value::List(items)) => self.mounts(items, &from)?,
                ("limits", value) => self.limits(&field, value, &from)?,
                ("network", value) => self.network(&field, value, &from)?,
                ("hosts", Value::Object(lines)) => self.hosts(&field, lines, &from)?,
                ("as_pid1", Value::Bool(on)) => self.as_pid_1 = on.then_some(from),
                ("as_pid1", other) => return Err(wrong_type(&from, &other, "true or false")),
                ("join_cgroup", value) => self.join_cgroup(value, &from)?,
                ("cgroup", Value::Bool(true)) => {
                    self.spread(&field, Value::Object(Vec::new()), &from, &[])?;
                    self.cgroup = Some(from);
                }
                ("user" | "rights" | "cgroup" | "time_offsets", value) => self.spread(&field, value, &from, &[])?,
                (name, value) => {
                    if ["uid", "gid"].contains(&name) && value != Value::Bool(false) {
                        self.somebody.get_or_insert_with(|| from.clone());
                    }
                    self.set(&Field::whole(), name, value, &from, tables::CONTAINER)?;
                }
            }
        }
        Ok(())
    }

    fn namespaces(&mut self, kinds: Vec<(String, Value)>, from: &Field) -> Read<()> {
        self.names.row(Field::of("namespaces"), from.clone());
        for (key, value) in kinds.into_iter().take(MOST_KEYS) {
            let (name, from) = (snake(&key), from.clone().key(&key));
            match (renamed(tables::NAMESPACES, &name), value) {
                ("user", value) => self.user(value, &from)?,
                ("time", value @ Value::Object(_)) => {
                    let (join, offsets) = without(value, "join");
                    self.namespace("time", join.map_or(Value::Bool(true), |join| Value::Object(vec![join])), &from)?;
                    self.spread(&Field::of("time_offsets"), offsets, &from, &[])?;
                }
                ("net", value) if !is_origin(&value) => self.network(&Field::of("network"), value, &from)?,
                (kind, value) => {
                    // Who says so in so many words has the command as PID 1; `init` puts one there.
                    self.pid =
                        self.pid.take().or_else(|| (kind == "pid" && value == Value::Bool(true)).then(|| from.clone()));
                    self.namespace(kind, value, &from)?;
                }
            }
        }
        Ok(())
    }

    /// `true`, `false`, `{ join }`, or what a request has for it.
    fn namespace(&mut self, kind: &str, value: Value, from: &Field) -> Read<()> {
        let value = match value {
            Value::Bool(on) => text(if on { "new" } else { "inherit" }),
            Value::Text(_) => value,
            Value::Object(entries) => match <[_; 1]>::try_from(entries) {
                Ok([(key, path)]) if key == "join" => absolute(path, &below(from, "join"))?,
                Ok([(key, _)]) => {
                    let place = from.clone().key(&key);
                    return Err(Wrong::type_of(&place, format!("{place}: there is no such key; there is join")));
                }
                Err(_) => return Err(Wrong::type_of(&from, format!("{from}.join is missing"))),
            },
            other => return Err(wrong_type(from, &other, "true, false, an object with join, \"new\" or \"inherit\"")),
        };
        self.put(Field::of("namespaces").key(kind), value, from)
    }

    /// Whose ids a user namespace has.
    fn user(&mut self, value: Value, from: &Field) -> Read<()> {
        let user = Field::of("user");
        let value = match value {
            Value::Text(word) if !is_origin(&Value::Text(word.clone())) => {
                self.put(below(&user, "map"), text(renamed(tables::MAPS, &word)), from)?;
                Value::Bool(true)
            }
            Value::Object(_) => {
                let (join, rest) = without(value, "join");
                let (caller, rest) = without(rest, "caller_as");
                let ids = matches!(&rest, Value::Object(entries) if !entries.is_empty());
                if [join.is_some(), caller.is_some(), ids].into_iter().filter(|way| *way).count() != 1 {
                    let message = "it can have uidMap and gidMap, or callerAs, or join: one of these";
                    return Err(Wrong::type_of(&from, format!("{from}: {message}")));
                }
                if let Some((key, caller)) = caller {
                    let place = from.clone().key(&key);
                    if !matches!(caller, Value::Object(_)) {
                        return Err(wrong_type(&place, &caller, "an object with uid and gid"));
                    }
                    self.moved(&user, caller, &place, tables::CALLER_AS)?;
                    self.put(below(&user, "map"), text("caller-as"), from)?;
                }
                if ids {
                    self.maps(&user, rest, from)?;
                }
                join.map_or(Value::Bool(true), |join| Value::Object(vec![join]))
            }
            other => other,
        };
        // Where a remedy would be.
        for (key, place) in [("map", ""), ("caller_uid", "callerAs.uid"), ("caller_gid", "callerAs.gid")] {
            self.expect(below(&user, key), below(from, place));
        }
        self.namespace("user", value, from)
    }

    /// Extents of ids. Where one kind is given, the caller is root of the other.
    fn maps(&mut self, user: &Field, value: Value, from: &Field) -> Read<()> {
        self.moved(user, value, from, &[])?;
        let host = Host::current();
        for (key, own) in [("uid_map", host.uid), ("gid_map", host.gid)] {
            let map = below(user, key);
            if !self.has(&map) {
                let extent =
                    [("inside", 0), ("outside", own)].map(|(key, id)| (key.to_owned(), Value::Integer(id.into())));
                self.put(map.clone(), Value::List(vec![Value::Object(extent.into())]), from)?;
            }
            self.each(&map, |draft, item, field, place| {
                let count = matches!(item, Value::Object(_)).then(|| below(field, "count"));
                draft.spread(field, item, place, tables::EXTENT)?;
                for (key, own) in [("inside", "insideId"), ("outside", "outsideId")] {
                    draft.expect(below(field, key), below(place, own));
                }
                match count.filter(|count| !draft.has(count)) {
                    Some(count) => draft.put(count, Value::Integer(1), place),
                    None => Ok(()),
                }
            })?;
        }
        Ok(())
    }

    fn network(&mut self, network: &Field, value: Value, from: &Field) -> Read<()> {
        if let Some(other) = self.connected.replace(from.clone()) {
            return Err(said_twice(from, &other));
        }
        let (mode, at, join, rest) = match value {
            Value::Bool(on) => (Some(text(if on { "loopback" } else { "host" })), from.clone(), None, Vec::new()),
            Value::Text(_) => (Some(value), from.clone(), None, Vec::new()),
            Value::Object(_) => {
                let (join, rest) = without(value, "join");
                let (mode, rest) = match without(rest, "mode") {
                    (None, rest) => without(rest, "type"),
                    found => found,
                };
                match (&mode, &join) {
                    (Some(_), Some(_)) => {
                        return Err(Wrong::type_of(&from, format!("{from}: it can have a mode or join, not both")));
                    }
                    (None, None) => return Err(Wrong::type_of(&from, format!("{from}: it needs a mode: {MODES}"))),
                    _ => {}
                }
                let at = mode.as_ref().map_or(from.clone(), |(key, _)| from.clone().key(key));
                (mode.map(|(_, mode)| mode), at, join, entries(rest))
            }
            other => return Err(wrong_type(from, &other, &format!("true, false, {MODES}, or an object"))),
        };
        let origin = match &mode {
            Some(mode) => tables::ORIGINS.iter().find(|(word, _)| *mode == text(word)).map(|(_, origin)| text(origin)),
            None => join.map(|join| Value::Object(vec![join])),
        };
        match (origin, mode, rest.iter().find(|(_, value)| *value != Value::Bool(false))) {
            (None, mode, _) => {
                self.spread(network, Value::Object(rest), from, tables::NETWORK)?;
                mode.map_or(Ok(()), |mode| self.put(below(network, "type"), mode, &at))
            }
            (_, _, Some((key, _))) => {
                let modes = if key == "allow" { "\"names\"" } else { "\"veth\" or \"pasta\"" };
                let place = from.clone().key(key);
                Err(Wrong::type_of(&place, format!("{place}: it needs mode {modes}")))
            }
            (Some(origin), ..) => self.namespace("net", origin, from),
        }
    }

    fn limits(&mut self, limits: &Field, value: Value, from: &Field) -> Read<()> {
        self.spread(limits, value, from, tables::LIMITS)?;
        self.each(&below(limits, "io_max"), |draft, item, field, place| {
            let (device, rest) = without(item, "device");
            draft.spread(field, rest, place, &[])?;
            let from = below(place, "device");
            let Some((_, device)) = device else {
                draft.expect(below(field, "major"), from);
                return Ok(());
            };
            let number = devices::number(&device, &from)?;
            for (key, number) in [("major", number.major), ("minor", number.minor)] {
                draft.put(below(field, key), Value::Integer(number.into()), &from)?;
            }
            Ok(())
        })?;
        self.each(&below(limits, "devices"), |draft, item, field, place| {
            let item = if let Value::Text(text) = &item { devices::rule(text, place)? } else { item };
            draft.put(field.clone(), item, place)
        })
    }

    /// Names and their addresses.
    fn hosts(&mut self, hosts: &Field, lines: Vec<(String, Value)>, from: &Field) -> Read<()> {
        self.put(hosts.clone(), Value::List(Vec::new()), from)?;
        for (index, (name, address)) in lines.into_iter().enumerate() {
            let (line, from) = (hosts.clone().index(index), from.clone().key(&name));
            self.put(below(&line, "name"), Value::Text(name), &from)?;
            self.put(below(&line, "address"), address, &from)?;
        }
        Ok(())
    }

    fn root(&mut self, root: &Field, value: Value, from: &Field) -> Read<()> {
        match value {
            // Without the sandbox that is what there is anyway.
            Value::Bool(false) if !self.sandbox => Ok(()),
            Value::Bool(false) => self.put(below(root, "read_only"), value, from),
            Value::Text(_) => {
                self.names.row(root.clone(), from.clone());
                self.put(below(root, "path"), value, from)?;
                // Of a request it is read-only in the sandbox: that is said by an object.
                self.put(below(root, "read_only"), Value::Bool(false), from)
            }
            Value::Object(_) => {
                let (overlay, rest) = match without(value, "overlay") {
                    (None, rest) => without(rest, "overlayfs"),
                    found => found,
                };
                self.spread(root, rest, from, tables::LAYERS)?;
                match overlay {
                    None => Ok(()),
                    Some((key, on @ Value::Bool(_))) => self.put(below(root, "ephemeral"), on, &from.clone().key(&key)),
                    Some((key, layers)) => self.layers(root, layers, &from.clone().key(&key)),
                }
            }
            other => Err(wrong_type(from, &other, "a path, an object or false")),
        }
    }

    /// The path of a root is the topmost of its lower directories; without any it is the host's own tree.
    fn layers(&mut self, root: &Field, layers: Value, from: &Field) -> Read<()> {
        if !matches!(layers, Value::Object(_)) {
            return Err(wrong_type(from, &layers, "true, false or an object"));
        }
        self.moved(root, layers, from, tables::LAYERS)?;
        let path = self.take(&below(root, "path"));
        let lowers = match self.take(&below(root, "lowers")) {
            Some(Value::List(lowers)) => Value::List(path.into_iter().chain(lowers).collect()),
            None => Value::List(vec![path.unwrap_or_else(|| text("/"))]),
            Some(other) => other,
        };
        let place = self.names.place(&below(root, "lowers"));
        self.put(below(root, "lowers"), lowers, &place)
    }

    /// By its path, or a descriptor.
    fn join_cgroup(&mut self, value: Value, from: &Field) -> Read<()> {
        let join = Field::of("cgroup").key("join");
        match value {
            Value::Text(_) | Value::Bool(false) => self.put(join, value, from),
            Value::Integer(number) => {
                let copied = i32::try_from(number).map_err(std::io::Error::other).and_then(descriptor::copy_of);
                let wrong =
                    |_| Wrong::range_of(&from, format!("{from} is {number}; it can be a descriptor that is open"));
                self.joined = Some(copied.map_err(wrong)?);
                self.names.row(join, from.clone());
                Ok(())
            }
            other => Err(wrong_type(from, &other, "a path in the hierarchy, such as /ci/job, or a descriptor")),
        }
    }
}

fn entries(value: Value) -> Vec<(String, Value)> {
    if let Value::Object(entries) = value { entries } else { Vec::new() }
}

/// Whether it is what a request has for a namespace.
fn is_origin(value: &Value) -> bool {
    matches!(value, Value::Text(word) if word == "new" || word == "inherit" || word.starts_with('/'))
}
