//! Profiles as OCI's runtime specification has them, and Docker's and Podman's files, which are those with conditions on the host.

use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer};
use serde_json::Value as Json;

use crate::architecture::{is_anothers, is_known, nearest};
use crate::rule::Comparison;
use crate::{Action, Architecture, Condition, Error, Profile};

/// What rules of a profile may depend on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Host<'a> {
    /// The kernel's version.
    pub kernel: (u32, u32),
    /// The command's capabilities, capabilities(7), by their names without `CAP_`.
    pub capabilities: &'a [&'a str],
}

const EPERM: u16 = 1;
const ENOSYS: Action = Action::Errno(38);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Document {
    default_action: Word,
    default_errno_ret: Option<u16>,
    default_errno: Option<String>,
    #[serde(default)]
    architectures: Option<Vec<String>>,
    #[serde(default)]
    arch_map: Option<Vec<Family>>,
    #[serde(default)]
    flags: Option<Vec<String>>,
    #[serde(default)]
    syscalls: Option<Vec<Entry>>,
    /// Whoever installs it serves that, with what comes after it.
    #[serde(rename = "listenerPath")]
    _listener_path: Option<String>,
    #[serde(rename = "listenerMetadata")]
    _listener_metadata: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Family {
    architecture: String,
    #[serde(default)]
    sub_architectures: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Entry {
    #[serde(default)]
    names: Vec<String>,
    name: Option<String>,
    action: Word,
    errno_ret: Option<u16>,
    errno: Option<String>,
    #[serde(default)]
    args: Option<Vec<Argument>>,
    #[serde(rename = "comment")]
    _comment: Option<String>,
    #[serde(default)]
    includes: Option<Filter>,
    #[serde(default)]
    excludes: Option<Filter>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Argument {
    index: u32,
    value: u64,
    #[serde(default)]
    value_two: Option<u64>,
    op: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Filter {
    #[serde(default)]
    caps: Option<Vec<String>>,
    #[serde(default)]
    arches: Option<Vec<String>>,
    min_kernel: Option<String>,
}

/// The fields of an object, with those of the objects in them.
struct Fields(&'static [(&'static str, Fields)]);

const LEAF: Fields = Fields(&[]);
const CONDITIONS: Fields = Fields(&[("caps", LEAF), ("arches", LEAF), ("minKernel", LEAF)]);
const ALL: Fields = Fields(&[
    ("defaultAction", LEAF),
    ("defaultErrnoRet", LEAF),
    ("defaultErrno", LEAF),
    ("architectures", LEAF),
    ("archMap", Fields(&[("architecture", LEAF), ("subArchitectures", LEAF)])),
    ("flags", LEAF),
    (
        "syscalls",
        Fields(&[
            ("names", LEAF),
            ("name", LEAF),
            ("action", LEAF),
            ("errnoRet", LEAF),
            ("errno", LEAF),
            ("args", Fields(&[("index", LEAF), ("value", LEAF), ("valueTwo", LEAF), ("op", LEAF)])),
            ("comment", LEAF),
            ("includes", CONDITIONS),
            ("excludes", CONDITIONS),
        ]),
    ),
    ("listenerPath", LEAF),
    ("listenerMetadata", LEAF),
]);

/// Takes out what no version of the specification that is known here has, and answers where it was, such as `syscalls[0].x`: a
/// configuration with it is one all the same (config.md, "Extensibility"), which a profile in a file of its own is not.
pub fn take_unknown(document: &mut Json) -> Vec<String> {
    let mut taken = Vec::new();
    ALL.take_unknown(document, "", &mut taken);
    taken
}

impl Fields {
    fn take_unknown(&self, value: &mut Json, path: &str, taken: &mut Vec<String>) {
        match value {
            _ if self.0.is_empty() => {}
            Json::Array(list) => {
                for (index, one) in list.iter_mut().enumerate() {
                    self.take_unknown(one, &format!("{path}[{index}]"), taken);
                }
            }
            Json::Object(map) => map.retain(|key, value| {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                match self.0.iter().find(|(name, _)| name == key) {
                    Some((_, fields)) => fields.take_unknown(value, &path, taken),
                    None => taken.push(path),
                }
                self.0.iter().any(|(name, _)| name == key)
            }),
            _ => {}
        }
    }
}

/// Those of the fields with objects that have a list of them.
const LISTS: [&str; 3] = ["archMap", "syscalls", "args"];

impl Fields {
    /// Where a list is in an object's place. What is derived takes it for one whose fields come in their order, by which
    /// `["SCMP_ACT_ALLOW"]` would be a profile.
    fn list_for_object(&self, value: &Json, path: &str) -> Option<String> {
        match value {
            Json::Array(_) => Some(path.to_owned()),
            Json::Object(map) => self.0.iter().filter(|(_, fields)| !fields.0.is_empty()).find_map(|(name, fields)| {
                let path = if path.is_empty() { (*name).to_owned() } else { format!("{path}.{name}") };
                match map.get(*name)? {
                    Json::Array(list) if LISTS.contains(name) => list
                        .iter()
                        .enumerate()
                        .find_map(|(index, one)| fields.list_for_object(one, &format!("{path}[{index}]"))),
                    other => fields.list_for_object(other, &path),
                }
            }),
            _ => None,
        }
    }
}

/// An action without its error number.
#[derive(Clone, Copy)]
struct Word(Action);

impl<'de> Deserialize<'de> for Word {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Word, D::Error> {
        let word = String::deserialize(deserializer)?;
        Ok(Word(match word.as_str() {
            "SCMP_ACT_ALLOW" => Action::Allow,
            "SCMP_ACT_LOG" => Action::Log,
            "SCMP_ACT_TRACE" => Action::Trace(EPERM),
            "SCMP_ACT_ERRNO" => Action::Errno(EPERM),
            "SCMP_ACT_NOTIFY" => Action::Notify,
            "SCMP_ACT_TRAP" => Action::Trap,
            "SCMP_ACT_KILL" | "SCMP_ACT_KILL_THREAD" => Action::KillThread,
            "SCMP_ACT_KILL_PROCESS" => Action::KillProcess,
            _ => return Err(de::Error::custom(format_args!("{word:?} is no action, such as SCMP_ACT_ERRNO"))),
        }))
    }
}

impl Word {
    /// The number is the errno of one that refuses, and the message of one that asks a tracer.
    fn with(self, number: Option<u16>) -> Result<Action, Error> {
        match (self.0, number) {
            (Action::Errno(_), Some(number)) if number > 4095 => Err(wrong(format!("{number} is no error number"))),
            (Action::Errno(_), Some(number)) => Ok(Action::Errno(number)),
            (Action::Trace(_), Some(number)) => Ok(Action::Trace(number)),
            (action, None) => Ok(action),
            (_, Some(_)) => Err(wrong("errnoRet is for SCMP_ACT_ERRNO and SCMP_ACT_TRACE")),
        }
    }
}

/// Podman's files name the error as well, and where there are both it is the name that counts.
fn numbered(name: Option<&str>, number: Option<u16>) -> Result<Option<u16>, Error> {
    let Some(name) = name.filter(|name| !name.is_empty()) else { return Ok(number) };
    let named = || (1..=4095).find(|number| syscalls::Errno::new(i32::from(*number)).name() == Some(name));
    let found = name.parse().ok().or_else(named);
    found.map(Some).ok_or_else(|| wrong(format!("{name:?} is no error number, such as ENOSYS")))
}

fn wrong(why: impl fmt::Display) -> Error {
    Error::Profile(why.to_string())
}

impl Profile {
    /// Reads the `linux.seccomp` of an OCI configuration, or a profile file of Docker's or Podman's.
    ///
    /// As in runc, names that no kernel has are passed over, unless that would allow what is to be refused; so are rules that say what is done anyway; where the default is to refuse,
    /// a number above all that are named answers ENOSYS; and several conditions on one argument are alternatives.
    ///
    /// # Errors
    /// [`Error::Profile`].
    pub fn from_oci(document: &Json, host: Host<'_>) -> Result<Profile, Error> {
        if let Some(path) = ALL.list_for_object(document, "") {
            let place = if path.is_empty() { "the profile" } else { &path };
            return Err(wrong(format!("{place} is a list, and no object")));
        }
        let document: Document = Document::deserialize(document).map_err(wrong)?;
        let mut profile = Profile::new(
            document.default_action.with(numbered(document.default_errno.as_deref(), document.default_errno_ret)?)?,
        );
        if matches!(profile.default, Action::Errno(_) | Action::KillProcess | Action::KillThread | Action::Trap) {
            profile.unknown = Some(ENOSYS);
            profile.ends_with_its_rules = true;
        }
        profile.architectures = architectures(&document)?;
        for flag in document.flags.iter().flatten() {
            profile.flags |= self::flag(flag)?;
        }
        for (place, entry) in document.syscalls.iter().flatten().enumerate() {
            let at = |error: Error| match error {
                Error::Profile(why) => wrong(format!("syscalls[{place}]: {why}")),
                other => other,
            };
            profile.add_entry(entry, host).map_err(at)?;
        }
        if !profile.notifies() {
            profile.flags &= !KILLABLE;
        }
        Ok(profile)
    }

    fn add_entry(&mut self, entry: &Entry, host: Host<'_>) -> Result<(), Error> {
        let action = entry.action.with(numbered(entry.errno.as_deref(), entry.errno_ret)?)?;
        let conditions = entry.args.iter().flatten().map(condition).collect::<Result<Vec<_>, _>>()?;
        let names = entry.names.iter().chain(&entry.name);
        if names.clone().next().is_none() {
            return Err(wrong("it names no call"));
        }
        let included = entry.includes.as_ref().map_or(Ok(true), |filter| filter.all(host))?;
        if !included || entry.excludes.as_ref().map_or(Ok(false), |filter| filter.any(host))? {
            return Ok(());
        }
        // Several of one argument are alternatives; what is done in any case needs no rule.
        let repeated =
            conditions.iter().enumerate().any(|(n, one)| conditions[..n].iter().any(|c| c.argument == one.argument));
        let alternatives: Vec<&[Condition]> =
            if repeated { conditions.chunks(1).collect() } else { vec![conditions.as_slice()] };
        if action == self.default {
            return Ok(());
        }
        for name in names {
            if is_known(name) {
                alternatives.iter().for_each(|conditions| self.add(name, action, conditions));
            } else if lets(self.default) && !lets(action) && !is_anothers(name) {
                let near = nearest(name).map_or_else(String::new, |near| format!("; the nearest is {near}"));
                let why = "nothing would refuse it, as what is not named is allowed";
                return Err(wrong(format!("{name:?} is no system call that this version knows{near}: {why}")));
            }
        }
        Ok(())
    }
}

/// Whether a call is made all the same.
fn lets(action: Action) -> bool {
    matches!(action, Action::Allow | Action::Log)
}

/// All threads of the process have the filter in any case, as it has one then. The last is for one with a listener alone.
const FLAGS: [(&str, u32); 4] = [
    ("SECCOMP_FILTER_FLAG_TSYNC", 0),
    ("SECCOMP_FILTER_FLAG_LOG", 2),
    ("SECCOMP_FILTER_FLAG_SPEC_ALLOW", 4),
    ("SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", KILLABLE),
];

/// The kernel takes it with a listener alone, Linux 5.19.
pub(crate) const KILLABLE: u32 = 0x20;

/// Its bit; none for what there is nobody for: another thread.
pub(crate) fn flag(name: &str) -> Result<u32, Error> {
    let known = FLAGS.iter().find(|(known, _)| *known == name);
    let (_, bit) = known.ok_or_else(|| wrong(format!("{name:?} is no flag, such as {}", FLAGS[1].0)))?;
    Ok(*bit)
}

fn architectures(document: &Document) -> Result<Vec<Architecture>, Error> {
    let mut found = vec![Architecture::NATIVE];
    let families = document.arch_map.iter().flatten();
    let own = families.filter(|family| Architecture::of_oci(&family.architecture) == Some(Architecture::NATIVE));
    let subordinate = own.flat_map(|family| family.sub_architectures.iter().flatten());
    for name in document.architectures.iter().flatten().chain(subordinate) {
        match Architecture::of_oci(name) {
            Some(kind) => found.extend((!found.contains(&kind)).then_some(kind)),
            None if name.starts_with("SCMP_ARCH_") => {}
            None => return Err(wrong(format!("{name:?} is no architecture, such as SCMP_ARCH_X86_64"))),
        }
    }
    found.retain(|kind| Architecture::OF_THIS_MACHINE.contains(kind));
    Ok(found)
}

fn condition(argument: &Argument) -> Result<Condition, Error> {
    let Argument { index, value, value_two, op } = argument;
    let place = u8::try_from(*index).ok().filter(|place| *place < 6);
    let place = place.ok_or_else(|| wrong(format!("there is no argument {index}; a call has 0 to 5")))?;
    let comparison = match op.as_str() {
        "SCMP_CMP_NE" => Comparison::NotEqual,
        "SCMP_CMP_LT" => Comparison::Less,
        "SCMP_CMP_LE" => Comparison::LessOrEqual,
        "SCMP_CMP_EQ" => Comparison::Equal,
        "SCMP_CMP_GE" => Comparison::GreaterOrEqual,
        "SCMP_CMP_GT" => Comparison::Greater,
        "SCMP_CMP_MASKED_EQ" => {
            let wanted = value_two.unwrap_or_default();
            return Ok(Condition {
                argument: place,
                mask: *value,
                comparison: Comparison::Equal,
                value: wanted & *value,
            });
        }
        other => return Err(wrong(format!("{other:?} is no comparison, such as SCMP_CMP_EQ"))),
    };
    Ok(Condition::new(place, comparison, *value))
}

impl Filter {
    /// Whether the host has all of it.
    fn all(&self, host: Host<'_>) -> Result<bool, Error> {
        let caps = self.caps.iter().flatten().all(|name| host.has(name));
        let here = |arches: &Vec<String>| arches.is_empty() || arches.iter().any(|name| is_here(name));
        Ok(caps && self.arches.as_ref().is_none_or(here) && self.newer(host)?.unwrap_or(true))
    }

    /// Whether it has any of it.
    fn any(&self, host: Host<'_>) -> Result<bool, Error> {
        let caps = self.caps.iter().flatten().any(|name| host.has(name));
        Ok(caps || self.arches.iter().flatten().any(|name| is_here(name)) || self.newer(host)?.unwrap_or(false))
    }

    fn newer(&self, host: Host<'_>) -> Result<Option<bool>, Error> {
        let Some(text) = &self.min_kernel else { return Ok(None) };
        let number = text.split_once('.').and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)));
        let number: (u32, u32) =
            number.ok_or_else(|| wrong(format!("minKernel {text:?} is no version, such as 5.4")))?;
        Ok(Some(host.kernel >= number))
    }
}

fn is_here(name: &str) -> bool {
    name == Architecture::NATIVE.go_name()
}

impl Host<'_> {
    fn has(self, name: &str) -> bool {
        self.capabilities.contains(&name.strip_prefix("CAP_").unwrap_or(name))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const HOST: Host<'_> = Host { kernel: (6, 1), capabilities: &["SYS_ADMIN"] };

    fn read(document: Json) -> Result<Profile, Error> {
        Profile::from_oci(&document, HOST)
    }

    fn answer(profile: &Profile, name: &str, first: u64) -> Action {
        let kind = Architecture::NATIVE;
        profile.evaluate(kind, kind.number_of(name).unwrap(), &[first, 0, 0, 0, 0, 0])
    }

    #[test]
    fn a_refusal_of_what_nobody_knows_is_an_error_where_the_rest_is_allowed() {
        let with = |default: &str, name: &str, action: &str| {
            let rule = json!({ "names": ["mkdir", name], "action": action });
            read(json!({ "defaultAction": default, "syscalls": [rule] }))
        };
        for default in ["SCMP_ACT_ALLOW", "SCMP_ACT_LOG"] {
            for action in ["SCMP_ACT_ERRNO", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_TRAP", "SCMP_ACT_NOTIFY"] {
                let said = with(default, "ptrce", action).unwrap_err().to_string();
                assert!(
                    said.contains("syscalls[0]: ") && said.contains("\"ptrce\"") && said.contains("ptrace"),
                    "{said}"
                );
                // What machines of another kind have nobody can make here.
                assert!(with(default, "s390_pci_mmio_read", action).is_ok());
                assert!(with(default, "ptrace", action).is_ok());
            }
        }
        // What it names is refused in any case, or is allowed.
        assert!(with("SCMP_ACT_ERRNO", "ptrce", "SCMP_ACT_ALLOW").is_ok());
        assert!(with("SCMP_ACT_ERRNO", "ptrce", "SCMP_ACT_KILL").is_ok());
        assert!(with("SCMP_ACT_ALLOW", "ptrce", "SCMP_ACT_LOG").is_ok());
        // A rule that is for other machines is nobody's.
        let excluded = json!({ "names": ["ptrce"], "action": "SCMP_ACT_ERRNO", "excludes": { "minKernel": "3.0" } });
        assert!(read(json!({ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [excluded] })).is_ok());
    }

    #[test]
    fn a_list_is_no_object() {
        let with = |syscalls: Json| json!({ "defaultAction": "SCMP_ACT_ERRNO", "syscalls": syscalls });
        let entry = |key: &str, value: Json| {
            let mut entry = json!({ "names": ["mkdir"], "action": "SCMP_ACT_ALLOW" });
            entry[key] = value;
            with(json!([entry]))
        };
        let argument = json!({ "index": 0, "value": 1, "op": "SCMP_CMP_EQ" });
        for (list, place, object) in [
            (json!(["SCMP_ACT_ERRNO"]), "the profile", with(json!([]))),
            (with(json!([[["mkdir"], null, "SCMP_ACT_ALLOW"]])), "syscalls[0]", entry("comment", json!("a"))),
            (
                entry("args", json!([[0, 1, null, "SCMP_CMP_EQ"]])),
                "syscalls[0].args[0]",
                entry("args", json!([argument])),
            ),
            (
                entry("excludes", json!([["CAP_A"]])),
                "syscalls[0].excludes",
                entry("excludes", json!({ "caps": ["CAP_A"] })),
            ),
        ] {
            let said = read(list).unwrap_err().to_string();
            assert!(said.contains(&format!("{place} is a list, and no object")), "{said}");
            assert!(read(object).is_ok());
        }
    }

    #[test]
    fn rules_hold_where_their_host_is_this_one() {
        let with = |key: &str, filter: Json| {
            let mut entry = json!({ "names": ["mkdir", "no_such_call"], "action": "SCMP_ACT_ALLOW" });
            entry[key] = filter;
            let profile = read(json!({ "defaultAction": "SCMP_ACT_ERRNO", "syscalls": [entry] })).unwrap();
            answer(&profile, "mkdir", 0).allows()
        };
        for (filter, holds) in [
            (json!({ "caps": ["CAP_SYS_ADMIN"] }), true),
            (json!({ "caps": ["CAP_SYS_TIME"] }), false),
            (json!({ "caps": ["CAP_SYS_ADMIN", "CAP_SYS_TIME"] }), false),
            (json!({ "minKernel": "6.1" }), true),
            (json!({ "minKernel": "6.2" }), false),
            (json!({ "arches": [Architecture::NATIVE.go_name()] }), true),
            (json!({ "arches": ["s390x"] }), false),
        ] {
            assert_eq!(with("includes", filter.clone()), holds, "{filter}");
        }
        for (filter, excluded) in [
            (json!({ "caps": ["CAP_SYS_ADMIN", "CAP_SYS_TIME"] }), true),
            (json!({ "caps": ["CAP_SYS_TIME"] }), false),
            (json!({ "minKernel": "6.2" }), false),
            (json!({}), false),
        ] {
            assert_eq!(with("excludes", filter.clone()), !excluded, "{filter}");
        }
        assert!(with("includes", Json::Null) && with("comment", json!("why")));
    }

    #[test]
    fn conditions_are_as_runc_has_them() {
        let argument = |index: u32, value: u64, op: &str| json!({ "index": index, "value": value, "op": op });
        let of = |args: Json| {
            let rule = json!({ "name": "socket", "action": "SCMP_ACT_ERRNO", "errnoRet": 97, "args": args });
            read(json!({ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule] })).unwrap()
        };
        let either = of(json!([argument(0, 5, "SCMP_CMP_EQ"), argument(0, 7, "SCMP_CMP_EQ")]));
        let both = of(json!([argument(0, 5, "SCMP_CMP_EQ"), argument(1, 7, "SCMP_CMP_EQ")]));
        assert_eq!((answer(&either, "socket", 7), answer(&both, "socket", 5)), (Action::Errno(97), Action::Allow));
        let masked = of(json!([{ "index": 0, "value": 6, "valueTwo": 3, "op": "SCMP_CMP_MASKED_EQ" }]));
        assert_eq!((answer(&masked, "socket", 10), answer(&masked, "socket", 4)), (Action::Errno(97), Action::Allow));
        // As Podman's files say it, whose name counts.
        let rule = json!({ "names": ["mkdir"], "action": "SCMP_ACT_ERRNO", "errno": "EROFS" });
        let named = json!({ "defaultAction": "SCMP_ACT_ERRNO", "defaultErrno": "ENOSYS", "defaultErrnoRet": 1, "syscalls": [rule] });
        let named = read(named).unwrap();
        assert_eq!((answer(&named, "mkdir", 0), answer(&named, "getcwd", 0)), (Action::Errno(30), Action::Errno(38)));
        // A call that is newer than all that are named.
        let old = json!({ "defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{ "names": ["getcwd", "openat2"], "action": "SCMP_ACT_ALLOW" }] });
        let old = read(old).unwrap();
        assert_eq!((answer(&old, "mkdir", 0), answer(&old, "mseal", 0)), (Action::Errno(1), Action::Errno(38)));
    }

    #[test]
    fn what_is_no_profile_says_where() {
        let rule = |rule: Json| json!({ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule] });
        for (document, words) in [
            (json!({}), "defaultAction"),
            (json!([]), ""),
            (json!({ "defaultAction": "SCMP_ACT_SING" }), "SCMP_ACT_SING"),
            (json!({ "defaultAction": "SCMP_ACT_ALLOW", "sycsalls": [] }), "sycsalls"),
            (json!({ "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 4096 }), "4096"),
            (json!({ "defaultAction": "SCMP_ACT_ERRNO", "defaultErrno": "ENONE" }), "\"ENONE\" is no error number"),
            (rule(json!({ "names": ["read"], "action": "SCMP_ACT_LOG", "errno": "EIO" })), "syscalls[0]: errnoRet"),
            (json!({ "defaultAction": "SCMP_ACT_ALLOW", "flags": ["X"] }), "\"X\" is no flag"),
            (json!({ "defaultAction": "SCMP_ACT_ALLOW", "architectures": ["X"] }), "\"X\" is no architecture"),
            (rule(json!({ "names": [], "action": "SCMP_ACT_LOG" })), "syscalls[0]: it names no call"),
            (rule(json!({ "names": ["read"], "action": "SCMP_ACT_LOG", "errnoRet": 5 })), "errnoRet"),
            (
                rule(
                    json!({ "names": ["read"], "action": "SCMP_ACT_LOG", "args": [{ "index": 7, "value": 0, "op": "SCMP_CMP_EQ" }] }),
                ),
                "argument 7",
            ),
            (
                rule(
                    json!({ "names": ["read"], "action": "SCMP_ACT_LOG", "args": [{ "index": 0, "value": 0, "op": "EQ" }] }),
                ),
                "\"EQ\"",
            ),
            (
                rule(json!({ "names": ["read"], "action": "SCMP_ACT_LOG", "includes": { "minKernel": "new" } })),
                "minKernel",
            ),
        ] {
            let said = read(document.clone()).unwrap_err().to_string();
            assert!(
                said.starts_with("it is no profile: ") && said.contains(words) && !said.contains('\n'),
                "{document}: {said}"
            );
        }
    }
}
