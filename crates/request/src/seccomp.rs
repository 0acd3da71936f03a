//! Which system calls the command may make.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value as Json;

use crate::{Content, Field, Text, Wrong, is_default};

/// The filter of system calls, seccomp(2): a profile, and what is changed of it.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Seccomp {
    /// `"default"`: what ordinary programs need, and nothing that containers have been left by; `"none"`: no filter but for what no
    /// mount can hold back; or an object, the `linux.seccomp` of an OCI configuration or a profile of Docker's or Podman's. Default:
    /// in the sandbox `"default"`, else `"none"`.
    #[serde(skip_serializing_if = "is_default")]
    pub profile: Option<Profile>,
    /// A file of the host with such an object, or with a finished program, instead of `profile`.
    #[serde(skip_serializing_if = "is_default")]
    pub file: Option<Text>,
    /// A finished program of classic BPF, `struct sock_filter[]` as the kernel reads it, at most 4096 instructions, instead of
    /// `profile`.
    #[serde(skip_serializing_if = "is_default")]
    pub bpf: Option<Content>,
    /// Flags of seccomp(2) for a finished program, in `bpf` or `file`: `"SECCOMP_FILTER_FLAG_LOG"` (what it refuses is written to
    /// the kernel's log), `"SECCOMP_FILTER_FLAG_SPEC_ALLOW"`; a profile has its own.
    #[serde(skip_serializing_if = "is_default")]
    pub flags: Vec<String>,
    /// Calls that are allowed whatever the profile says, such as `"ptrace"`, or a group such as `"@mount"`.
    #[serde(skip_serializing_if = "is_default")]
    pub allow: Vec<String>,
    /// Calls that are refused whatever the profile says: `"NAME"` with EPERM, or `"NAME=ERRNO"`.
    #[serde(skip_serializing_if = "is_default")]
    pub deny: Vec<String>,
    /// List what is refused with an error number (not with ENOSYS, an older kernel's answer): the report has it. Takes the one
    /// listener that a process can have, seccomp_unotify(2). Default: true; Linux 5.0.
    #[serde(skip_serializing_if = "is_default")]
    pub denials: Option<bool>,
}

/// What the filter begins from.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum Profile {
    /// The sandbox's own.
    Default,
    /// Everything is allowed.
    None,
    /// OCI's `linux.seccomp`, or a profile of Docker's or Podman's.
    Oci(Json),
}

impl Seccomp {
    pub(crate) fn check(&self) -> Result<(), Wrong> {
        let at = |key: &str| Field::of("seccomp").key(key);
        let given = [("profile", self.profile.is_some()), ("file", self.file.is_some()), ("bpf", self.bpf.is_some())];
        let mut given = given.iter().filter(|(_, given)| *given).map(|(key, _)| *key);
        if let (Some(first), Some(second)) = (given.next(), given.next()) {
            return Err(Wrong::contradicts(at(second), format!("seccomp.{first} says what the filter begins from")));
        }
        if self.file.as_ref().is_some_and(Text::is_empty) {
            return Err(Wrong::range(at("file"), "an empty path leads nowhere"));
        }
        if (self.bpf.is_some()) && !(self.allow.is_empty() && self.deny.is_empty()) {
            let key = if self.allow.is_empty() { "deny" } else { "allow" };
            return Err(Wrong::contradicts(at(key), "a finished program (seccomp.bpf) has no rules to change"));
        }
        if !self.flags.is_empty() && self.bpf.is_none() && self.file.is_none() {
            return Err(Wrong::contradicts(at("flags"), "they are a finished program's; a profile has its own"));
        }
        Ok(())
    }
}

impl Serialize for Profile {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Profile::Default => serializer.serialize_str("default"),
            Profile::None => serializer.serialize_str("none"),
            Profile::Oci(profile) => profile.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Profile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Profile, D::Error> {
        struct ProfileVisitor;
        impl<'de> Visitor<'de> for ProfileVisitor {
            type Value = Profile;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"default\", \"none\" or an object as OCI has it")
            }

            fn visit_str<E: de::Error>(self, word: &str) -> Result<Profile, E> {
                match word {
                    "default" => Ok(Profile::Default),
                    "none" => Ok(Profile::None),
                    other => Err(E::invalid_value(de::Unexpected::Str(other), &self)),
                }
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Profile, A::Error> {
                Json::deserialize(MapAccessDeserializer::new(map)).map(Profile::Oci)
            }
        }
        deserializer.deserialize_any(ProfileVisitor)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Profile {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Profile".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "\"default\", the sandbox's own; \"none\"; or an object as OCI's linux.seccomp and Docker's profiles are.",
            "anyOf": [{ "type": "string", "enum": ["default", "none"] }, { "type": "object" }]
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::{Format, Profile, Request};

    #[test]
    fn a_profile_is_a_word_or_an_object_and_one_of_the_ways_to_say_it() {
        let read = |text: &str| Request::parse(text.as_bytes(), Format::Json);
        let of = |text: &str| read(text).unwrap().seccomp.unwrap_or_default();
        assert_eq!(of(r#"{"seccomp": {"profile": "none"}}"#).profile, Some(Profile::None));
        let oci = r#"{"seccomp":{"profile":{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"args":[{"value":18446744073709551615}]}]}}}"#;
        let read_back = of(oci);
        assert!(matches!(&read_back.profile, Some(Profile::Oci(_))));
        let request = read(oci).unwrap();
        assert_eq!(read(&request.to_json()).unwrap(), request);
        for (text, said) in [
            (r#"{"seccomp": {"profile": "nothing"}}"#, "seccomp.profile: "),
            (r#"{"seccomp": {"profile": 5}}"#, "seccomp.profile is 5; it can be"),
            (r#"{"seccomp": {"profile": "none", "file": "x"}}"#, "seccomp.file: seccomp.profile says"),
            (r#"{"seccomp": {"flags": ["SECCOMP_FILTER_FLAG_LOG"]}}"#, "seccomp.flags: they are a finished program's"),
            (r#"{"seccomp": {"bpf": "x", "allow": ["ptrace"]}}"#, "seccomp.allow: a finished program"),
            (r#"{"seccomp": {"allow": ["ptrace", 5]}}"#, "seccomp.allow[1] is 5"),
        ] {
            let wrong = read(text).unwrap_err().to_string();
            assert!(wrong.starts_with(said), "{text}: {wrong}");
        }
    }
}
