//! A request as it comes from the options, and where each part of it was found there.

use std::os::fd::OwnedFd;

use seclude::Host;
use seclude::request::{Field, Value, snake};

use super::tables::{Row, below, text, wrong_type};
use super::{Names, Read, Wrong, tree};

/// What new namespace a part of a request brings. A test, which has every noun, fails for one that nobody thought of.
pub(super) const BRINGS: [(&str, &str); 9] = [
    ("init", "pid"),
    ("init", "mount"),
    ("root", "mount"),
    ("mounts", "mount"),
    ("network", "mount"),
    ("dns", "mount"),
    ("hosts", "mount"),
    ("hostname", "uts"),
    ("domainname", "uts"),
];

/// More than any object of a request has, in whatever spellings: one of so many is an unknown one.
pub(super) const MOST_KEYS: usize = 256;

pub(super) struct Draft {
    pub(super) request: Value,
    pub(super) names: Names,
    /// Nothing says that it begins from less.
    pub(super) sandbox: bool,
    /// Which key has said that there is a new pid namespace, with the command as its first process; which the latter alone.
    pub(super) pid: Option<Field>,
    pub(super) as_pid_1: Option<Field>,
    /// Which key has asked for a cgroup of its own and no more, what it is connected by, and that the command is somebody.
    pub(super) cgroup: Option<Field>,
    pub(super) connected: Option<Field>,
    pub(super) somebody: Option<Field>,
    pub(super) joined: Option<OwnedFd>,
}

/// A key that contradicts another.
pub(super) fn said_twice(from: &Field, other: &Field) -> Wrong {
    Wrong::type_of(&from, format!("{from}: {other} says it already"))
}

impl Draft {
    pub(super) fn at(&self, path: &str) -> Option<&Value> {
        tree::at(&self.request, &below(&Field::whole(), path))
    }

    pub(super) fn has(&self, field: &Field) -> bool {
        !matches!(tree::at(&self.request, field), None | Some(Value::Null | Value::Bool(false)))
    }

    /// Each part of a request is said once; beside that, `false` for what is neither true nor false says nothing.
    pub(super) fn put(&mut self, field: Field, value: Value, from: &Field) -> Read<()> {
        match (tree::at(&self.request, &field), &value) {
            (None | Some(Value::Null), _) => {}
            (Some(Value::Bool(_)), Value::Bool(_)) => return Err(said_twice(from, &self.names.place(&field))),
            (Some(Value::Bool(false)), _) => {}
            (Some(_), Value::Bool(false)) => return Ok(()),
            _ => return Err(said_twice(from, &self.names.place(&field))),
        }
        if let Some(slot) = tree::slot(&mut self.request, field.parts()) {
            *slot = value;
        }
        self.names.row(field, from.clone());
        Ok(())
    }

    /// Takes a part out again.
    pub(super) fn take(&mut self, field: &Field) -> Option<Value> {
        let taken = tree::slot(&mut self.request, field.parts()).map(|slot| std::mem::replace(slot, Value::Null));
        taken.filter(|value| !matches!(value, Value::Null | Value::Bool(false)))
    }

    /// Where a field would be that is not there.
    pub(super) fn expect(&mut self, field: Field, place: Field) {
        if !self.has(&field) {
            self.names.row(field, place);
        }
    }

    /// What is in an object, each where a request has it; what is none is refused as what it is.
    pub(super) fn spread(&mut self, to: &Field, value: Value, from: &Field, rows: &[Row]) -> Read<()> {
        match value {
            Value::Object(_) => {}
            Value::Bool(false) => return Ok(()),
            other if self.has(to) => return Err(wrong_type(from, &other, "an object")),
            other => return self.put(to.clone(), other, from),
        }
        self.names.row(to.clone(), from.clone());
        if let Some(slot) = tree::slot(&mut self.request, to.parts())
            && matches!(slot, Value::Null | Value::Bool(false))
        {
            *slot = Value::Object(Vec::new());
        }
        self.moved(to, value, from, rows)
    }

    /// Each key of an object's.
    pub(super) fn moved(&mut self, to: &Field, value: Value, from: &Field, rows: &[Row]) -> Read<()> {
        let Value::Object(entries) = value else { return Ok(()) };
        entries.into_iter().take(MOST_KEYS).try_for_each(|(key, value)| {
            let from = from.clone().key(&key);
            self.set(to, &snake(&key), value, &from, rows)
        })
    }

    /// Puts what a key has where a request has it.
    pub(super) fn set(&mut self, to: &Field, name: &str, value: Value, from: &Field, rows: &[Row]) -> Read<()> {
        match rows.iter().find(|(own, ..)| *own == name) {
            Some((_, path, make)) => self.put(below(to, path), make(value, from)?, from),
            None => self.put(to.clone().key(name), value, from),
        }
    }

    /// Changes the items of a list, if it is one.
    pub(super) fn each(
        &mut self,
        field: &Field,
        mut change: impl FnMut(&mut Draft, Value, &Field, &Field) -> Read<()>,
    ) -> Read<()> {
        let place = self.names.place(field);
        let Some(slot) = tree::slot(&mut self.request, field.parts()) else { return Ok(()) };
        let Value::List(items) = slot else { return Ok(()) };
        for (index, item) in std::mem::take(items).into_iter().enumerate() {
            change(self, item, &field.clone().index(index), &place.clone().index(index))?;
        }
        Ok(())
    }

    /// What the keys mean together.
    pub(super) fn finish(&mut self) -> Read<()> {
        if let Some(first) = self.as_pid_1.clone().or_else(|| self.pid.clone()) {
            match (self.at("init"), self.as_pid_1.as_ref()) {
                (Some(Value::Bool(true)), Some(from)) => {
                    return Err(said_twice(&self.names.place(&Field::of("init")), from));
                }
                (None, _) => self.put(Field::of("init"), Value::Bool(false), &first)?,
                _ => {}
            }
        }
        for from in [self.pid.clone(), self.as_pid_1.clone()].into_iter().flatten() {
            self.imply("pid", &from)?;
            self.imply("mount", &from)?;
        }
        if let Some(from) = self.as_pid_1.as_ref().filter(|_| self.at("namespaces.pid") != Some(&text("new"))) {
            return Err(Wrong::type_of(&from, format!("{from}: it needs a new pid namespace")));
        }
        let join = Field::of("cgroup").key("join");
        if let Some(own) = self.cgroup.as_ref().filter(|_| self.has(&join)) {
            return Err(said_twice(&self.names.place(&join), own));
        }
        for (key, kind) in BRINGS {
            let field = Field::of(key);
            let nothing = [Value::List(Vec::new()), text("unchanged")];
            if self.has(&field) && !self.at(key).is_some_and(|value| nothing.contains(value)) {
                self.imply(kind, &self.names.place(&field))?;
            }
        }
        self.identify()
    }

    /// A new namespace, unless something was said of it.
    fn imply(&mut self, kind: &str, from: &Field) -> Read<()> {
        let field = Field::of("namespaces").key(kind);
        if self.has(&field) { Ok(()) } else { self.put(field, text("new"), from) }
    }

    /// An ordinary user has one id to give away; root's containers have more, of which this is one.
    fn identify(&mut self) -> Read<()> {
        let user = Field::of("user");
        let Some(from) = self.somebody.clone() else { return Ok(()) };
        let new = self.at("namespaces.user").map_or(self.sandbox, |origin| *origin == text("new"));
        let mapped = ["map", "uid_map", "gid_map"].iter().any(|key| self.has(&below(&user, key)));
        match (Host::current().uid, self.sandbox) {
            _ if !new || mapped => Ok(()),
            (0, true) => Ok(()),
            (0, false) => self.put(below(&user, "map"), text("identity"), &from),
            _ => {
                for (id, caller) in [("user.uid", "caller_uid"), ("user.gid", "caller_gid")] {
                    let id = self.at(id).filter(|id| **id != Value::Bool(false));
                    let id = id.cloned().unwrap_or(Value::Integer(0));
                    self.put(below(&user, caller), id, &from)?;
                }
                self.put(below(&user, "map"), text("caller-as"), &from)
            }
        }
    }
}
