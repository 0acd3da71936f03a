//! What the process is given besides its container.

use std::fmt;

use serde::de::{self, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Duration, is_default};

/// What the command may do.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Rights {
    /// The capabilities that the command may have, capabilities(7), such as `["NET_ADMIN"]`; `"ALL"` is all. Default: in the sandbox
    /// none, else the caller's.
    #[serde(skip_serializing_if = "is_default")]
    pub capabilities: Option<Vec<String>>,
    /// Those of them that stay over exec for a command that is not uid 0.
    #[serde(skip_serializing_if = "is_default")]
    pub ambient: Vec<String>,
    /// An exec may not gain privileges (set-id bits, file capabilities). Default: true.
    #[serde(skip_serializing_if = "is_default")]
    pub no_new_privileges: Option<bool>,
}

/// What CLOCK_MONOTONIC and CLOCK_BOOTTIME are ahead of the host's (negative: behind); needs a new time namespace. Linux 5.6.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct TimeOffsets {
    /// Of CLOCK_MONOTONIC. Default: 0.
    #[serde(skip_serializing_if = "is_default")]
    pub monotonic: Option<Duration>,
    /// Of CLOCK_BOOTTIME. Default: 0.
    #[serde(skip_serializing_if = "is_default")]
    pub boottime: Option<Duration>,
}

/// A pseudoterminal as stdin, stdout and stderr, and a session that it controls.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Terminal {
    /// Its height in characters. Default: 24.
    pub rows: u16,
    /// Its width in characters. Default: 80.
    pub columns: u16,
}

impl Default for Terminal {
    fn default() -> Terminal {
        Terminal { rows: 24, columns: 80 }
    }
}

/// How the process is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Clone {
    /// `vm`, unless the request needs a copy or the host refuses clone3(2).
    #[default]
    Auto,
    /// clone3(2) in the caller's memory. Linux 5.5.
    Vm,
    /// clone3(2) with a copy of the memory, as fork(2).
    Copy,
    /// clone(2), where clone3(2) is blocked.
    Legacy,
}

/// A resource limit, setrlimit(2), in the resource's own unit: a number or `"unlimited"` for both, or `{ soft, hard }`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rlimit {
    /// The limit that holds.
    pub soft: u64,
    /// How far it may be raised.
    pub hard: u64,
}

/// No limit.
pub const UNLIMITED: u64 = u64::MAX;

struct Amount(u64);

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match (self.0, i64::try_from(self.0)) {
            (UNLIMITED, _) => serializer.serialize_str("unlimited"),
            (_, Ok(number)) => serializer.serialize_i64(number),
            (number, Err(_)) => serializer.serialize_u64(number),
        }
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Amount, D::Error> {
        deserializer.deserialize_any(RlimitVisitor { whole: false }).map(|limit| Amount(limit.soft))
    }
}

impl Serialize for Rlimit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.soft == self.hard {
            return Amount(self.soft).serialize(serializer);
        }
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("soft", &Amount(self.soft))?;
        map.serialize_entry("hard", &Amount(self.hard))?;
        map.end()
    }
}

impl<'de> Deserialize<'de> for Rlimit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Rlimit, D::Error> {
        deserializer.deserialize_any(RlimitVisitor { whole: true })
    }
}

struct RlimitVisitor {
    /// Whether soft and hard limit may be two.
    whole: bool,
}

impl<'de> Visitor<'de> for RlimitVisitor {
    type Value = Rlimit;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.whole {
            true => f.write_str("a number, \"unlimited\", or an object with soft and hard"),
            false => f.write_str("a number or \"unlimited\""),
        }
    }

    fn visit_u64<E>(self, number: u64) -> Result<Rlimit, E> {
        Ok(Rlimit { soft: number, hard: number })
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Rlimit, E> {
        Err(E::invalid_value(de::Unexpected::Signed(number), &self))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Rlimit, E> {
        Err(E::invalid_value(de::Unexpected::Float(number), &self))
    }

    fn visit_str<E: de::Error>(self, word: &str) -> Result<Rlimit, E> {
        match word {
            "unlimited" => Ok(Rlimit { soft: UNLIMITED, hard: UNLIMITED }),
            other => Err(E::invalid_value(de::Unexpected::Str(other), &self)),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Rlimit, A::Error> {
        if !self.whole {
            return Err(de::Error::invalid_type(de::Unexpected::Map, &self));
        }
        let (mut soft, mut hard) = (None, None);
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "soft" => soft = Some(map.next_value::<Amount>()?.0),
                "hard" => hard = Some(map.next_value::<Amount>()?.0),
                other => return Err(de::Error::unknown_field(other, &["soft", "hard"])),
            }
        }
        let soft = soft.ok_or_else(|| de::Error::missing_field("soft"))?;
        let hard = hard.unwrap_or(soft);
        match soft <= hard {
            true => Ok(Rlimit { soft, hard }),
            false => Err(de::Error::custom(format_args!("soft {soft} is above hard {hard}"))),
        }
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Rlimit {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Rlimit".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let amount = serde_json::json!({
            "anyOf": [{ "type": "integer", "minimum": 0 }, { "type": "string", "enum": ["unlimited"] }]
        });
        schemars::json_schema!({
            "description": "A resource limit in the resource's own unit: one for both, or soft and hard.",
            "anyOf": [
                { "type": "integer", "minimum": 0 },
                { "type": "string", "enum": ["unlimited"] },
                {
                    "type": "object",
                    "properties": { "soft": amount.clone(), "hard": amount },
                    "required": ["soft"],
                    "additionalProperties": false
                }
            ]
        })
    }
}
