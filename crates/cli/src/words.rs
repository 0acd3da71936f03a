//! What can be done about an error, in this door's words: a flag, and its value.

use std::borrow::Cow;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use seclude::request::Request;
use seclude::{Field, Part, Remedy};
use serde_json::Value;

/// What stands behind a flag.
#[derive(Clone, Copy)]
enum Takes {
    /// Nothing: it is said as it stands here.
    Nothing,
    /// The value, or this word for it.
    Value(&'static str),
}

use Takes::{Nothing, Value as One};

/// A field, and the flag that sets it; `*` is a place in a list.
const FLAGS: &[(&str, &str, Takes)] = &[
    ("workdir", "--workdir", One("DIR")),
    ("hostname", "--hostname", One("NAME")),
    ("umask", "--umask", One("MODE")),
    ("oom_score_adj", "--oom-score-adj", One("N")),
    ("user.uid", "--user", One("UID[:GID]")),
    ("user.gid", "--user", One("UID[:GID]")),
    ("domainname", "--domainname", One("NAME")),
    ("network", "--net", One("HOW")),
    ("network.allow", "--allow", One("NAME:PORT")),
    ("network.allow.*", "--allow", One("NAME:PORT")),
    ("network.allow_private", "--allow-private", One("NAME:PORT")),
    ("network.allow_private.*", "--allow-private", One("NAME:PORT")),
    ("network.allow_loopback", "--allow-loopback", One("PORT")),
    ("network.allow_loopback.*", "--allow-loopback", One("PORT")),
    ("network.sni", "--sni", One("off")),
    ("network.refusal", "--refusal", One("TEXT")),
    ("network.bridge", "--bridge", One("NAME")),
    ("network.point_to_point", "--point-to-point", Nothing),
    ("network.subnet", "--subnet", One("CIDR")),
    ("network.address", "--ip", One("ADDR")),
    ("network.ipv6", "--ip6", One("CIDR|auto")),
    ("network.mac", "--mac", One("MAC")),
    ("network.mtu", "--mtu", One("BYTES")),
    ("network.nat", "--no-nat", Nothing),
    ("network.peers", "--peers", Nothing),
    ("network.rate", "--rate", One("BITS")),
    ("network.latency", "--latency", One("DURATION")),
    ("network.publish", "--publish", One("[IP:]HOST:CONT")),
    ("network.publish.*", "--publish", One("[IP:]HOST:CONT")),
    ("hosts", "--add-host", One("NAME:ADDR")),
    ("hosts.*", "--add-host", One("NAME:ADDR")),
    ("clear_env", "--clear-env", Nothing),
    ("deadline", "--timeout", One("DURATION")),
    ("die_with_parent", "--no-die-with-parent", Nothing),
    ("cgroup.move_caller", "--cgroup-move-self", Nothing),
    ("root.upper", "--upper", One("DIR")),
    ("root.work", "--work", One("DIR")),
    ("root.read_only", "--read-only", Nothing),
    ("terminal", "--tty", Nothing),
    ("time_offsets.monotonic", "--monotonic", One("DURATION")),
    ("time_offsets.boottime", "--boottime", One("DURATION")),
    ("preset", "--preset", One("NAME")),
    ("ro", "--ro", One("PATH")),
    ("ro.*", "--ro", One("PATH")),
    ("rw", "--rw", One("PATH")),
    ("rw.*", "--rw", One("PATH")),
    ("whole_home", "--whole-home", Nothing),
    ("max_tmp", "--max-tmp", One("SIZE")),
    ("env_all", "--env-all", Nothing),
    ("inherit_env.*", "--env", One("NAME")),
    ("dns", "--dns", One("ADDRESS")),
    ("network.ip_forward", "--ip-forward", Nothing),
    ("network.host_access", "--host-access", Nothing),
    ("cgroup.parent", "--cgroup", One("PATH")),
    ("cgroup.delegate", "--cgroup-mount=rw", Nothing),
    ("root.path", "--root", One("DIR")),
    ("root.ephemeral", "--overlay", Nothing),
    ("mounts.*.ephemeral", "--overlay-mount …,ephemeral", Nothing),
    ("mounts.*.read_only", "--mount …,ro", Nothing),
    ("mounts.*.if_present", "--mount type=TYPE,dst=PATH,optional", Nothing),
    ("user.caller_uid", "--uid-map IN:OUT:LEN", Nothing),
    ("user.caller_gid", "--gid-map IN:OUT:LEN", Nothing),
    ("user.uid_map", "--uid-map", One("IN:OUT:LEN")),
    ("user.gid_map", "--gid-map", One("IN:OUT:LEN")),
    ("rights.capabilities", "--cap-add", One("NAME")),
    ("rights.no_new_privileges", "--no-new-privs", Nothing),
    ("seccomp", "--seccomp", One("default|none|FILE")),
    ("seccomp.profile", "--seccomp", One("default|none|FILE")),
    ("seccomp.file", "--seccomp", One("FILE")),
    ("seccomp.allow", "--allow-syscall", One("NAME")),
    ("seccomp.denials", "--no-denials", Nothing),
    ("seccomp.allow.*", "--allow-syscall", One("NAME")),
    ("seccomp.deny.*", "--deny-syscall", One("NAME")),
    ("landlock.ro", "--landlock-ro", One("PATH")),
    ("landlock.ro.*", "--landlock-ro", One("PATH")),
    ("landlock.rw", "--landlock-rw", One("PATH")),
    ("landlock.rw.*", "--landlock-rw", One("PATH")),
    ("landlock.exec", "--landlock-exec", One("PATH")),
    ("landlock.exec.*", "--landlock-exec", One("PATH")),
    ("landlock.connect", "--landlock-connect", One("PORT")),
    ("landlock.connect.*", "--landlock-connect", One("PORT")),
    ("landlock.bind", "--landlock-bind", One("PORT")),
    ("landlock.bind.*", "--landlock-bind", One("PORT")),
    ("landlock.scopes.*", "--landlock-scope", One("SCOPE")),
    ("no_namespaces", "--no-namespaces", Nothing),
    ("prefer", "--prefer", One("NAME")),
    ("init", "--init", Nothing),
    ("nested", "--nested", Nothing),
    ("clone", "--clone", One("WAY")),
    ("env.*", "--env", One("K=V")),
    ("rlimits.*", "--rlimit", One("NAME=SOFT")),
    ("terminal.rows", "--tty-size", One("ROWSxCOLUMNS")),
    ("terminal.columns", "--tty-size", One("ROWSxCOLUMNS")),
    ("cgroup.join", "--cgroup-join", One("PATH")),
    ("limits.memory_max", "--memory", One("SIZE")),
    ("limits.memory_high", "--memory-high", One("SIZE")),
    ("limits.memory_low", "--memory-low", One("SIZE")),
    ("limits.memory_swap_max", "--memory-swap", One("SIZE")),
    ("limits.memory_oom_group", "--memory-oom-group", Nothing),
    ("limits.cpu_max", "--cpus", One("N")),
    ("limits.cpu_weight", "--cpu-weight", One("N")),
    ("limits.cpuset_cpus", "--cpuset-cpus", One("LIST")),
    ("limits.cpuset_mems", "--cpuset-mems", One("LIST")),
    ("limits.pids_max", "--pids", One("N")),
    ("limits.io_max", "--io-max", One("DEVICE:rbps=SIZE")),
    ("limits.io_max.*", "--io-max", One("DEVICE:rbps=SIZE")),
    ("limits.io_weight", "--io-weight", One("N")),
    ("limits.hugetlb", "--hugetlb", One("PAGE=SIZE")),
    ("limits.hugetlb.*", "--hugetlb", One("PAGE=SIZE")),
    ("limits.devices", "--device-allow", One("PATH")),
];

/// Which flags have set what several flags can set, on this command line.
static GIVEN: Mutex<Vec<(Field, Cow<'static, str>)>> = Mutex::new(Vec::new());

/// Notes which flag has set a field, or something below it; and which line of a file that it names.
pub(crate) fn given_by(field: Field, flag: impl Into<Cow<'static, str>>) {
    GIVEN.lock().unwrap_or_else(PoisonError::into_inner).push((field, flag.into()));
}

/// The file that the request begins from, and what that says.
static BEGUN_FROM: OnceLock<(PathBuf, Request)> = OnceLock::new();

/// Notes what the request begins from.
pub(crate) fn begun_from(file: &Path, request: &Request) {
    // A program reads one, if any.
    let _ = BEGUN_FROM.set((file.to_owned(), request.clone()));
}

/// Who has said what a field is: a flag of this command line, or a key of the file that it begins from. `flag`: the one that sets it.
pub(crate) fn said(field: &Field, flag: Option<&str>) -> Option<String> {
    let is_of_list = field.parts().iter().any(|part| matches!(part, Part::Index(_)));
    // What flags add to a list comes behind what the file has.
    let by_file = || begun_with(field);
    let by_flag = || flag.filter(|flag| is_given(flag)).map(str::to_owned);
    if is_of_list { by_file().or_else(by_flag) } else { by_flag().or_else(by_file) }
}

/// A key of the file that the request begins from, if that has it.
fn begun_with(field: &Field) -> Option<String> {
    let (file, request) = BEGUN_FROM.get()?;
    let whole: Value = serde_json::from_str(&request.to_json()).ok()?;
    let found = field.parts().iter().try_fold(&whole, |value, part| match part {
        Part::Key(key) => value.get(key),
        Part::Index(index) => value.get(*index),
    });
    found.map(|_| format!("--spec {}: {field}", file.display()))
}

/// Whether it is a word of this command line. (One of the command's own that is spelled like that misleads nobody for long.)
fn is_given(flag: &str) -> bool {
    let long = flag.split([' ', '=']).next().unwrap_or(flag);
    let short = SHORT.iter().find(|(of, _)| *of == long).map(|(_, short)| *short);
    std::env::args_os().any(|word| {
        let word = word.as_bytes();
        let rest = word.strip_prefix(long.as_bytes());
        let is_long = rest.is_some_and(|rest| matches!(rest, [] | [b'=', ..]));
        // Several can stand together.
        is_long
            || short.is_some_and(
                |short| matches!(word, [b'-', letters @ ..] if !letters.starts_with(b"-") && letters.contains(&short)),
            )
    })
}

/// Flags that have a letter.
const SHORT: [(&str, u8); 2] = [("--publish", b'p'), ("--tty", b't')];

/// The flag that sets a field.
pub(crate) fn flag(field: &Field) -> Option<Cow<'static, str>> {
    let given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
    // Other parts of a mount than where it is are words of the flag.
    let is_place = field.first() == Some("mounts") && field.last() == Some("target");
    let whole = is_place.then(|| field.above());
    let is_of = |known: &Field| known == field || Some(known) == whole.as_ref();
    if let Some((_, flag)) = given.iter().find(|(known, _)| is_of(known)) {
        return Some(flag.clone());
    }
    let row = match (field.first()?, field.last()?) {
        ("command", _) => return Some("COMMAND".into()),
        // Whatever they are called.
        (map @ ("env" | "rlimits"), _) => format!("{map}.*"),
        _ => pattern(field),
    };
    FLAGS.iter().find(|(own, ..)| *own == row).map(|(_, flag, _)| (*flag).into())
}

/// The flag that has given a field, or what that is a part of.
pub(crate) fn setter(field: &Field) -> Option<Cow<'static, str>> {
    flag(field).or_else(|| flag(&field.above()).filter(|_| field.first() == Some("mounts")))
}

/// Where a request is wrong: a flag, or a part of what the flag has.
pub(crate) fn place(field: &Field) -> Option<String> {
    let part = || setter(field).zip(field.last()).map(|(flag, part)| format!("{flag}: {part}"));
    flag(field).map(Cow::into_owned).or_else(part)
}

/// Fields with a value that has a flag of its own.
const VALUES: &[(&str, &str, &str)] = &[
    ("user.map", "sub-ids", "--map-subids"),
    ("user.map", "host-root", "--host-root"),
    ("dns", "unchanged", "--dns none"),
    ("init", "false", "--as-pid-1"),
];

/// In a sentence: `--dns none`. `None` is what the hint says already, or what no flag does.
pub(crate) fn say(remedy: &Remedy) -> Option<String> {
    let (field, value) = match remedy {
        Remedy::Set(field, value) => (field, value.as_ref()),
        Remedy::Leave(field) => return Some(format!("--share {}", namespace(field)?)),
        Remedy::Outer(remedy) => return Some(format!("for the outer one: {}", say(remedy)?)),
        _ => return None,
    };
    let row = pattern(field);
    // Of a list, what is to be added.
    let word = value.map(|value| value.get(0).unwrap_or(value)).and_then(Value::as_str);
    let spelled = value.map(|value| word.map_or_else(|| value.to_string(), str::to_owned));
    if let Some((_, _, flag)) = VALUES.iter().find(|(own, given, _)| *own == row && Some(*given) == spelled.as_deref())
    {
        return Some((*flag).to_owned());
    }
    if let (Some(kind), Some("new")) = (namespace(field), word) {
        return Some(format!("--unshare {kind}"));
    }
    if row == "mounts" {
        return mount(value?);
    }
    let (_, flag, takes) = FLAGS.iter().find(|(own, ..)| *own == row)?;
    let words = value.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    // Names, and ports.
    let word_of = |word: &Value| word.as_str().map(str::to_owned).or_else(|| Some(word.as_u64()?.to_string()));
    let words: Vec<String> = words.iter().filter_map(word_of).collect();
    Some(match takes {
        Nothing => (*flag).to_owned(),
        // All of them together.
        One(_) if !words.is_empty() => words.iter().map(|word| format!("{flag} {word}")).collect::<Vec<_>>().join(" "),
        One(placeholder) => format!("{flag} {}", word.unwrap_or(placeholder)),
    })
}

/// The kind of a namespace, if the field is of one.
fn namespace(field: &Field) -> Option<&str> {
    field.last().filter(|_| field.first() == Some("namespaces") && field.parts().len() == 2)
}

/// One mount more.
fn mount(mounts: &Value) -> Option<String> {
    let mount = mounts.get(0)?;
    match mount.get("type")?.as_str()? {
        "overlay" => Some("--overlay-mount lower=/usr,ephemeral,to=/usr".to_owned()),
        "bind" => Some(format!("--bind {}", mount.get("source")?.as_str()?)),
        _ => None,
    }
}

/// `mounts.*.target` for `mounts[3].target`.
fn pattern(field: &Field) -> String {
    let parts = field.parts().iter().map(|part| match part {
        Part::Key(key) => key.as_str(),
        Part::Index(_) => "*",
    });
    parts.collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What no flag of its own sets: parts of a flag's value, what the command sets itself, and what only other doors have.
    const WITHOUT: &[&str] = &[
        "version",
        "command",
        "arg0",
        "env_remove",
        "timed",
        "new_session",
        "new_keyring",
        "network.type",
        "network.interface",
        "cgroup.scope",
        "cgroup.everywhere",
        "cgroup.count_all",
        "root.lowers",
        "rights.ambient",
        "seccomp.bpf",
        "seccomp.flags",
        "user.groups",
        "user.map",
    ];

    #[test]
    fn every_field_has_its_flag_or_is_known_to_have_none() {
        let schema: Value = serde_json::from_str(include_str!("../../../docs/request.schema.json")).unwrap();
        let properties = |of: &Value| of.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
        let mut missing = Vec::new();
        for (name, property) in properties(&schema) {
            let noun = property.to_string();
            let defined = schema["$defs"].as_object().unwrap().iter();
            let defined = defined.filter(|(key, _)| noun.contains(&format!("\"#/$defs/{key}\"")));
            let mut fields: Vec<String> = vec![name.clone()];
            for (_, definition) in defined {
                fields.extend(properties(definition).keys().map(|key| format!("{name}.{key}")));
            }
            let is_noun = fields.len() > 1;
            for field in fields.into_iter().skip(usize::from(is_noun)) {
                // Each mount's parts are words of its flag, kinds of namespaces are words of theirs, and bytes are a spelling.
                let is_word = ["mounts.", "namespaces.", "hosts."].iter().any(|of| field.starts_with(of))
                    || field.ends_with(".hex");
                let known = FLAGS.iter().any(|(own, ..)| *own == field || own.strip_suffix(".*") == Some(&field));
                if !is_word && !known && !WITHOUT.contains(&field.as_str()) {
                    missing.push(field);
                }
            }
        }
        assert_eq!(missing, Vec::<String>::new());
    }

    fn flags() -> impl Iterator<Item = &'static str> {
        let others = ["--share", "--unshare", "--overlay-mount", "--bind"];
        FLAGS.iter().map(|row| row.1).chain(VALUES.iter().map(|row| row.2)).chain(others)
    }

    fn sources(directory: &Path, text: &mut String) {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => sources(&path, text),
                false => text.push_str(&std::fs::read_to_string(path).unwrap()),
            }
        }
    }

    #[test]
    fn a_remedy_is_a_flag_and_its_value() {
        for (remedy, said) in [
            (Remedy::give("dns"), "--dns ADDRESS"),
            (Remedy::set("init", false), "--as-pid-1"),
            (Remedy::set("prefer", serde_json::json!(["memory", "pids"])), "--prefer memory --prefer pids"),
            (Remedy::set("dns", "unchanged"), "--dns none"),
            (Remedy::set("network.ip_forward", true), "--ip-forward"),
            (Remedy::set("user.map", "sub-ids"), "--map-subids"),
            (Remedy::set("namespaces.user", "new"), "--unshare user"),
            (Remedy::leave("namespaces.pid"), "--share pid"),
            (Remedy::set("nested", true).outside(), "for the outer one: --nested"),
            (Remedy::set("mounts[3].if_present", true), "--mount type=TYPE,dst=PATH,optional"),
            (Remedy::set("mounts", serde_json::json!([{ "type": "bind", "source": "/proc" }])), "--bind /proc"),
        ] {
            assert_eq!(say(&remedy).as_deref(), Some(said));
        }
        assert_eq!(say(&Remedy::Host("modprobe tun".into())), None);
    }

    #[test]
    fn every_flag_is_there_and_every_row_is_a_field() {
        let mut command = crate::tasks::command();
        command.build();
        let run = command.get_subcommands().find(|task| task.get_name() == "run").unwrap();
        let known: Vec<&str> = run.get_arguments().filter_map(clap::Arg::get_long).collect();
        for flag in flags() {
            let name = flag.trim_start_matches("--").split([' ', '=']).next().unwrap();
            assert!(known.contains(&name), "{flag}");
        }
        for (field, ..) in FLAGS {
            assert!(field.replace(".*", "[0]").parse::<Field>().is_ok(), "{field}");
        }
    }

    #[test]
    fn the_library_names_no_flag() {
        let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        if !crates.exists() {
            println!("skipped: the sources are not on this machine");
            return;
        }
        let mut said = String::new();
        for library in ["seclude", "net", "cgroup"] {
            sources(&crates.join(library).join("src"), &mut said);
        }
        for flag in flags() {
            assert!(!said.contains(&format!("({flag}")) && !said.contains(&format!("use {flag}")), "{flag}");
        }
    }
}
