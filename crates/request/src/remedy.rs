//! What can be done about an error, as data.

use serde_json::{Value, json};

use crate::Field;

/// One thing that would make a start go on. Each door says it in its own words: a flag, a key, a keyword.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum Remedy {
    /// Set this field of the request, to this if that is one value.
    Set(Field, Option<Value>),
    /// Leave this field out.
    Leave(Field),
    /// The same for the request of the container that the caller is in.
    Outer(Box<Remedy>),
    /// Something of the host's, to be done by whoever may: a sysctl, a package, a directory.
    Host(String),
}

impl Remedy {
    /// Sets `field`, which is a path such as `limits.memory_max`.
    ///
    /// The text is the program's own: one that is no path stands for the whole request, which a test of whoever says it would show.
    pub fn set(field: &str, value: impl Into<Value>) -> Remedy {
        Remedy::Set(field.parse().unwrap_or_default(), Some(value.into()))
    }

    /// Gives `field` a value, which depends on what is wanted.
    pub fn give(field: &str) -> Remedy {
        Remedy::Set(field.parse().unwrap_or_default(), None)
    }

    /// Leaves `field` out.
    pub fn leave(field: &str) -> Remedy {
        Remedy::Leave(field.parse().unwrap_or_default())
    }

    /// This, for the container that the caller is in.
    #[must_use]
    pub fn outside(self) -> Remedy {
        Remedy::Outer(Box::new(self))
    }

    /// The field that it sets or leaves out.
    pub fn field(&self) -> Option<&Field> {
        match self {
            Remedy::Set(field, _) | Remedy::Leave(field) => Some(field),
            Remedy::Outer(_) | Remedy::Host(_) => None,
        }
    }

    /// `{"set": "dns", "value": "none"}`, `{"set": "workdir"}`, `{"leave": "hostname"}`, `{"outer": {"set": "nested", "value": true}}`
    /// or `{"host": "modprobe tun"}`; `spell` has the name of a field.
    pub fn to_json(&self, spell: &dyn Fn(&Field) -> String) -> Value {
        match self {
            Remedy::Set(field, None) => json!({ "set": spell(field) }),
            Remedy::Set(field, Some(value)) => json!({ "set": spell(field), "value": value }),
            Remedy::Leave(field) => json!({ "leave": spell(field) }),
            Remedy::Outer(remedy) => json!({ "outer": remedy.to_json(spell) }),
            Remedy::Host(what) => json!({ "host": what }),
        }
    }

    /// `hint`, and behind it what can be done in a door's own words: `name the servers (--dns ADDRESS)`. `None` of `say` is what the
    /// hint says already, or what that door has not.
    pub fn behind(hint: &str, remedies: &[Remedy], say: impl Fn(&Remedy) -> Option<String>) -> String {
        let said: Vec<String> = remedies.iter().filter_map(say).collect();
        if said.is_empty() { hint.to_owned() } else { format!("{hint} ({})", said.join(", ")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remedy_is_data_and_each_door_says_it() {
        let remedies = [Remedy::give("dns"), Remedy::set("dns", "none"), Remedy::Host("modprobe tun".into())];
        let say = |remedy: &Remedy| match remedy {
            Remedy::Set(field, None) => Some(format!("--{field} VALUE")),
            Remedy::Set(field, Some(value)) => Some(format!("--{field} {}", value.as_str()?)),
            _ => None,
        };
        assert_eq!(Remedy::behind("name them", &remedies, say), "name them (--dns VALUE, --dns none)");
        assert_eq!(Remedy::behind("name them", &[], say), "name them");
        let spelled = remedies.map(|remedy| remedy.to_json(&Field::camel).to_string());
        assert_eq!(spelled, [r#"{"set":"dns"}"#, r#"{"set":"dns","value":"none"}"#, r#"{"host":"modprobe tun"}"#]);
    }
}
