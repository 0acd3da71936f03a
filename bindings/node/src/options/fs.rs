//! `container.fs`: entries with their options under the name of their type.

use seclude::request::{Field, Value, snake};

use super::draft::{Draft, MOST_KEYS, said_twice};
use super::tables::{self, below, renamed, text, without, wrong_type};
use super::{Read, Wrong, tree};

impl Draft {
    /// Entries of `fs`, or mounts as a request has them.
    pub(super) fn mounts(&mut self, items: Vec<Value>, from: &Field) -> Read<()> {
        let mounts = Field::of("mounts");
        self.put(mounts.clone(), Value::List(Vec::new()), from)?;
        let own = from.last() == Some("fs");
        items.into_iter().enumerate().try_for_each(|(index, item)| {
            self.entry(item, &mounts.clone().index(index), &from.clone().index(index), own)
        })
    }

    fn entry(&mut self, item: Value, field: &Field, place: &Field, own: bool) -> Read<()> {
        let given =
            |name: &str| tree::at(&item, &Field::of(name)).filter(|value| **value != Value::Bool(false)).cloned();
        let word = if let Some(Value::Text(word)) = given("type") { word } else { String::new() };
        let kind = renamed(tables::ENTRIES, &word);
        let source = if kind == "symlink" { "to" } else { "source" };
        // A link of a request's is at its target, and leads to `to`.
        let plain =
            kind == "symlink" && ["target", "to"].iter().all(|key| given(key).is_some()) && given("from").is_none();
        let own = own || given("options").is_some() || given("from").is_some() || given("to").is_some() && !plain;
        let (options, item) = without(item, "options");
        let Value::Object(entries) = item else { return self.put(field.clone(), item, place) };
        self.put(field.clone(), Value::Object(Vec::new()), place)?;
        for (key, value) in entries.into_iter().take(MOST_KEYS) {
            let (name, from) = (snake(&key), place.clone().key(&key));
            let (name, value) = match (name.as_str(), value) {
                ("type", Value::Text(_)) => ("type", text(kind)),
                ("to", value) if !plain => ("target", value),
                ("from" | "source", value) => (source, value),
                (name, value) => (renamed(tables::READ_ONLY, name), value),
            };
            self.put(field.clone().key(name), value, &from)?;
        }
        if !own {
            return Ok(());
        }
        for (key, name) in [("target", "to"), (source, "from")] {
            self.expect(below(field, key), below(place, name));
        }
        let options = options.map_or(Value::Object(Vec::new()), |(_, options)| options);
        let place = below(place, "options");
        let Value::Object(options) = options else { return Err(wrong_type(&place, &options, "an object")) };
        let mut found = None;
        for (key, value) in options.into_iter().filter(|(_, value)| *value != Value::Bool(false)) {
            let from = place.clone().key(&key);
            if renamed(tables::ENTRIES, &key) != kind {
                return Err(Wrong::type_of(&from, format!("{from}: it is not for an entry of the type {word:?}")));
            }
            if !matches!(value, Value::Object(_)) {
                return Err(wrong_type(&from, &value, "an object"));
            }
            if let Some(other) = &found {
                return Err(said_twice(&from, other));
            }
            self.moved(field, value, &from, tables::LAYERS)?;
            found = Some(from);
        }
        let usual = tables::ENTRIES.iter().find(|(_, of)| *of == kind).map_or(kind, |(usual, _)| usual);
        let base = found.clone().unwrap_or_else(|| below(&place, usual));
        for (key, name) in [("content", "content"), ("lowers", "lowerDirs")] {
            self.expect(below(field, key), below(&base, if found.is_some() { name } else { "" }));
        }
        self.expect(below(field, "read_only"), below(&base, "readonly"));
        self.names.row(below(field, "layers"), base);
        Ok(())
    }
}
