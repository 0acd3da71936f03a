//! How the caller calls the parts of the request: where each of them was found in the options, and the rule for the rest.

use seclude::request::{Field, Part, Value, camel, snake};
use seclude::{Error, Publish, Remedy};
use serde_json::{Value as Json, json};

use super::Wrong;

/// What has no container, and where the options have it.
const OUTSIDE: [(&str, &str); 7] = [
    ("command", "cmd"),
    ("arg0", "argv0"),
    ("env", "env"),
    ("workdir", "cwd"),
    ("stdio", "stdio"),
    ("descriptors", "stdio"),
    ("terminal", "terminal"),
];
/// Words of a request that `namespace.user` has others for.
const MAPS: [(&str, &str); 2] = [("caller-as-root", "root"), ("sub-ids", "subids")];

/// The places of a request's fields in the options.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    /// The keys of `{ container }`, as they were given.
    given: Value,
    /// Fields and where they were found; of several the longest holds, and of those the last.
    rows: Vec<(Field, Field)>,
    /// Which item of `network.publish` each port is of.
    ports: Vec<usize>,
}

impl Default for Names {
    fn default() -> Names {
        Names::new(&Value::Null)
    }
}

impl Names {
    pub(crate) fn new(given: &Value) -> Names {
        let outside = OUTSIDE.iter().map(|(field, key)| (Field::of(*field), Field::of(*key)));
        let rows = [(Field::whole(), Field::of("container"))].into_iter().chain(outside).collect();
        Names { given: outline(given), rows, ports: Vec::new() }
    }

    /// `field` was found at `from`, or would be there.
    pub(crate) fn row(&mut self, field: Field, from: Field) {
        self.rows.push((field, from));
    }

    /// What of `publish` is how many ports: the plan counts these.
    pub(crate) fn publish(&mut self, publish: &[String]) {
        let ports = |text: &String| Publish::parse(text).map_or(0, |ports| ports.len());
        self.ports = publish.iter().enumerate().flat_map(|(item, text)| vec![item; ports(text)]).collect();
    }

    /// Where a field is in the options, as far as there is anything: a network that is a word has no keys.
    pub(crate) fn place(&self, field: &Field) -> Field {
        self.found(field, false)
    }

    fn found(&self, field: &Field, whole: bool) -> Field {
        let rows = self.rows.iter().filter(|(row, _)| field.is_in(row));
        let longest = rows.max_by_key(|(row, _)| row.parts().len());
        let Some((row, from)) = longest else { return field.clone() };
        let mut at = from.parts().iter().try_fold(&self.given, |at, part| below(at, part).map(|(_, value)| value));
        let mut place = from.clone();
        for part in &field.parts()[row.parts().len()..] {
            let found = at.and_then(|at| below(at, part));
            place = match (part, found) {
                (_, None) if !whole && at.is_some_and(|at| !matches!(at, Value::Object(_) | Value::List(_))) => break,
                (Part::Index(index), _) => place.index(*index),
                (Part::Key(_), Some((name, _))) => place.key(name),
                (Part::Key(key), None) => place.key(camel(key)),
            };
            at = found.map(|(_, value)| value);
        }
        place
    }

    /// Where the field of an error is. What is wrong with layers together is wrong with all of them.
    pub(crate) fn of(&self, error: &Error) -> Option<Field> {
        let field = error.field()?;
        let layers = |key: &str| ["lowers", "upper", "work", "ephemeral"].contains(&key);
        Some(match field.parts() {
            [Part::Key(root), ..] if root == "root" => self.place(&Field::of("root")),
            [Part::Key(mounts), Part::Index(index), Part::Key(key), ..] if mounts == "mounts" && layers(key) => {
                let layered = Field::of("mounts").index(*index).key("layers");
                match self.rows.iter().find(|(row, _)| *row == layered) {
                    Some((_, from)) => from.clone(),
                    None => self.place(field),
                }
            }
            [Part::Key(network), Part::Key(publish), Part::Index(port)]
                if network == "network" && publish == "publish" =>
            {
                let item = self.ports.get(*port).unwrap_or(port);
                self.place(&Field::of("network").key("publish").index(*item))
            }
            _ => self.place(field),
        })
    }

    /// What the plan of a request is refused with.
    pub(crate) fn refused(&self, error: &Error) -> Wrong {
        let place = self.of(error).unwrap_or_else(|| Field::of("container"));
        let mut message = format!("{place}: {}", error.action());
        if let Some(hint) = error.advice() {
            message.push_str(": ");
            message.push_str(&Remedy::behind(hint, error.remedies(), |remedy| self.say(remedy)));
        }
        // A value that is well by itself is of the wrong kind there.
        let wrong =
            if error.contradicts() { Wrong::type_of(&place, message) } else { Wrong::range_of(&place, message) };
        match error.remedies() {
            [] => wrong,
            remedies => Wrong::Remedied(Box::new(wrong), remedies.iter().map(|remedy| self.as_json(remedy)).collect()),
        }
    }

    /// What to set, to what if that is one value, in the spelling of where it is.
    fn setting(&self, field: &Field, value: Option<&Json>) -> (String, Option<Json>) {
        let place = self.found(field, true);
        let old = matches!(place.parts(), [_, Part::Key(key), ..] if key == "namespace");
        let value = value.map(|value| match (old, value.as_str()) {
            (true, Some("new")) => Json::Bool(true),
            (true, Some(word)) => {
                MAPS.iter().find(|(one, _)| *one == word).map_or(value.clone(), |(_, own)| json!(own))
            }
            _ => value.clone(),
        });
        (place.to_string(), value)
    }

    /// A remedy in a sentence: `container.dns: "unchanged"`. What is of the host the hint says already.
    pub(crate) fn say(&self, remedy: &Remedy) -> Option<String> {
        Some(match remedy {
            Remedy::Set(field, value) => match self.setting(field, value.as_ref()) {
                (key, Some(Json::Array(_))) => format!("entries of {key}"),
                (key, Some(value)) => format!("{key}: {value}"),
                (key, None) => key,
            },
            Remedy::Leave(field) => format!("without {}", self.place(field)),
            Remedy::Outer(remedy) => format!("for the outer one: {}", self.say(remedy)?),
            _ => return None,
        })
    }

    /// As data: `{ set: "container.dns", value: "unchanged" }`, `{ leave: "container.hostname" }` or `{ host: "modprobe tun" }`.
    pub(crate) fn as_json(&self, remedy: &Remedy) -> Json {
        match remedy {
            Remedy::Set(field, value) => match self.setting(field, value.as_ref()) {
                (key, Some(value)) => json!({ "set": key, "value": value }),
                (key, None) => json!({ "set": key }),
            },
            Remedy::Outer(remedy) => json!({ "outer": self.as_json(remedy) }),
            remedy => remedy.to_json(&|field| self.place(field).to_string()),
        }
    }
}

/// The keys of a value: a file's content can be large.
fn outline(value: &Value) -> Value {
    match value {
        Value::List(items) => Value::List(items.iter().map(outline).collect()),
        Value::Object(entries) => {
            Value::Object(entries.iter().map(|(key, value)| (key.clone(), outline(value))).collect())
        }
        _ => Value::Null,
    }
}

/// What a part of the request's stands for in an object of the caller's, and its name there.
pub(super) fn below<'a>(value: &'a Value, part: &Part) -> Option<(&'a str, &'a Value)> {
    match (value, part) {
        (Value::List(items), Part::Index(index)) => items.get(*index).map(|item| ("", item)),
        (Value::Object(entries), Part::Key(key)) => {
            let exact = entries.iter().find(|(name, _)| name == key);
            let found = exact.or_else(|| entries.iter().find(|(name, _)| snake(name) == *key));
            found.map(|(name, value)| (name.as_str(), value))
        }
        _ => None,
    }
}
