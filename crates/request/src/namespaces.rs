//! Which namespaces are new, kept or entered.

use std::fmt;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Text, is_default};

/// Where the process's namespace of each kind comes from, namespaces(7); what is not said is as the preset has it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Namespaces {
    /// User and group ids, capabilities; user_namespaces(7). Linux 3.8.
    #[serde(skip_serializing_if = "is_default")]
    pub user: Option<Namespace>,
    /// Process ids, and the end of all with the first; pid_namespaces(7).
    #[serde(skip_serializing_if = "is_default")]
    pub pid: Option<Namespace>,
    /// The mount table; mount_namespaces(7).
    #[serde(skip_serializing_if = "is_default")]
    pub mount: Option<Namespace>,
    /// Network devices, addresses, ports, routes; network_namespaces(7).
    #[serde(skip_serializing_if = "is_default")]
    pub net: Option<Namespace>,
    /// Host name and domain name; uts_namespaces(7).
    #[serde(skip_serializing_if = "is_default")]
    pub uts: Option<Namespace>,
    /// System V IPC and POSIX message queues; ipc_namespaces(7).
    #[serde(skip_serializing_if = "is_default")]
    pub ipc: Option<Namespace>,
    /// The root of /proc/self/cgroup; cgroup_namespaces(7). Linux 4.6.
    #[serde(skip_serializing_if = "is_default")]
    pub cgroup: Option<Namespace>,
    /// Offsets of the monotonic and boot-time clocks; time_namespaces(7). Linux 5.6.
    #[serde(skip_serializing_if = "is_default")]
    pub time: Option<Namespace>,
}

/// `"new"`; `"inherit"`, the caller's; or the absolute path of one to enter, such as `"/proc/1234/ns/net"`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Namespace {
    /// Made with the process.
    New,
    /// The caller's own.
    Inherit,
    /// The one that this file stands for.
    Join(Text),
}

impl Serialize for Namespace {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Namespace::New => serializer.serialize_str("new"),
            Namespace::Inherit => serializer.serialize_str("inherit"),
            Namespace::Join(path) => path.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Namespace {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Namespace, D::Error> {
        struct NamespaceVisitor;
        impl Visitor<'_> for NamespaceVisitor {
            type Value = Namespace;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"new\", \"inherit\" or the absolute path of a namespace")
            }

            fn visit_str<E: de::Error>(self, word: &str) -> Result<Namespace, E> {
                match word {
                    "new" => Ok(Namespace::New),
                    "inherit" => Ok(Namespace::Inherit),
                    path if path.starts_with('/') && !path.contains('\0') => Ok(Namespace::Join(Text::from(path))),
                    other => Err(E::invalid_value(de::Unexpected::Str(other), &self)),
                }
            }
        }
        deserializer.deserialize_any(NamespaceVisitor)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Namespace {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Namespace".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "\"new\"; \"inherit\", the caller's; or the absolute path of one to enter.",
            "type": "string",
            "pattern": "^(new|inherit|/.*)$"
        })
    }
}
