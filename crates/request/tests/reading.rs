//! A request is read as it was written, and whatever is no request is told with its place.

use seclude_request::{Format, Namespace, Request, Spelling, Text, Value, Why};

fn toml(text: &str) -> Result<Request, String> {
    Request::parse(text.as_bytes(), Format::Toml).map_err(|wrong| wrong.to_string())
}

fn json(text: &str) -> Result<Request, String> {
    Request::parse(text.as_bytes(), Format::Json).map_err(|wrong| wrong.to_string())
}

const WHOLE: &str = r#"
version = 1
preset = "bare"
command = ["sh", "-c", "true", { hex = "ff" }]
arg0 = "-sh"
clear_env = true
env_remove = ["LANG"]
workdir = "/src"
hostname = "box"
domainname = "example"
umask = "022"
oom_score_adj = -5
init = true
nested = false
new_session = true
new_keyring = true
die_with_parent = false
deadline = "1.5m"
prefer = ["memory"]
clone = "copy"
timed = true
dns = ["1.1.1.1", "::1"]

[env]
A = "1"

[namespaces]
user = "new"
pid = "inherit"
net = "/proc/1/ns/net"

[time_offsets]
monotonic = "-1h"
boottime = 5

[user]
map = "extents"
uid_map = [{ inside = 0, outside = 1000, count = 1 }]
uid = 0
gid = 0
groups = [1, 2]

[root]
lowers = ["/a", "/b"]
ephemeral = true
read_only = false

[rights]
capabilities = ["NET_ADMIN"]
ambient = ["NET_ADMIN"]
no_new_privileges = true

[rlimits]
NOFILE = { soft = 256, hard = "unlimited" }
CORE = 0

[limits]
memory_max = "256M"
cpu_max = 1.5
cpuset_cpus = "0-3"
pids_max = 64
io_max = [{ major = 8, minor = 0, rbps = "1M" }]
hugetlb = [{ page_size = "2M", max = 0 }]
devices = [{ type = "char", major = 1, minor = 3, access = "rw" }]

[cgroup]
parent = "/ci"
count_all = true

[terminal]
rows = 50
columns = 100

[network]
type = "veth"
subnet = "10.1.0.0/24"
address = "10.1.0.2"
nat = false
publish = ["8080:80"]
latency = "10ms"

[[hosts]]
name = "db"
address = "10.1.0.3"

[[mounts]]
type = "bind"
source = "/usr"
target = "/usr"
read_only = true

[[mounts]]
type = "tmpfs"
target = "/tmp"
size = "64M"
mode = "1777"

[[mounts]]
type = "file"
target = "/etc/greeting"
content = { hex = "00ff" }
"#;

#[test]
fn a_request_with_everything_is_the_same_in_toml_and_json() {
    let request = toml(WHOLE).unwrap();
    assert_eq!(request.limits.memory_max.map(|size| size.0), Some(256 << 20));
    assert_eq!(request.namespaces.net, Some(Namespace::Join(Text::from("/proc/1/ns/net"))));
    assert_eq!(request.deadline.map(|deadline| deadline.nanoseconds), Some(90_000_000_000));
    assert_eq!(request.mounts[2].content.as_ref().map(|content| content.0.as_slice()), Some(&[0, 255][..]));
    assert_eq!(toml(&request.to_toml().unwrap()).as_ref(), Ok(&request));
    assert_eq!(json(&request.to_json()).as_ref(), Ok(&request));
}

#[test]
fn what_is_not_said_is_not_written() {
    assert_eq!(toml("").unwrap(), Request::default());
    assert_eq!(Request::default().to_json(), "{}");
    assert_eq!(Request::default().to_toml().unwrap(), "");
}

#[test]
fn an_unknown_key_at_any_depth_is_told_with_the_nearest_that_exists() {
    for (text, expected) in [
        ("comand = []", "comand: there is no such key; the nearest is command"),
        ("[limits]\nmemoryMax = 1", "limits.memoryMax: there is no such key; the nearest is memory_max"),
        (
            "[[mounts]]\ntype = \"tmpfs\"\ntarget = \"/a\"\nsise = 1",
            "mounts[0].sise: there is no such key; the nearest is size",
        ),
        (
            "[[limits.io_max]]\nmajor = 1\nminor = 1\nrbsp = 1",
            "limits.io_max[0].rbsp: there is no such key; the nearest is rbps",
        ),
        ("command = [{ hxe = \"00\" }]", "command[0].hxe: there is no such key; the nearest is hex"),
    ] {
        assert_eq!(toml(text).unwrap_err(), expected);
    }
    assert!(
        toml("banana = 1").unwrap_err().starts_with("banana: there is no such key; there are version, preset, command")
    );
}

#[test]
fn a_value_of_another_type_or_out_of_range_is_told_with_what_can_be() {
    for (text, expected) in [
        (r#"{"command":"true"}"#, "command is \"true\"; it can be a list"),
        (r#"{"command":[1]}"#, "command[0] is 1; it can be a string, or { hex = \"…\" } of bytes that are no UTF-8"),
        (r#"{"limits":[]}"#, "limits is a list; it can be an object"),
        (
            r#"{"limits":{"memory_max":"256X"}}"#,
            "limits.memory_max: \"256X\" is not a size: a number of bytes, or with K, M, G or T, powers of 1024 (KB, Ki and KiB too)",
        ),
        (
            r#"{"limits":{"memory_max":-1}}"#,
            "limits.memory_max: -1; it can be a number of bytes, or a string such as \"256M\"",
        ),
        (r#"{"limits":{"pids_max":1.5}}"#, "limits.pids_max is 1.5; it can be a whole number, 0 or more"),
        (r#"{"init":"yes"}"#, "init is \"yes\"; it can be true or false"),
        (r#"{"preset":"sandbx"}"#, "preset: \"sandbx\"; it can be \"sandbox\", \"host\", \"bare\""),
        (r#"{"preset":1}"#, "preset is 1; it can be \"sandbox\", \"host\", \"bare\""),
        (r#"{"oom_score_adj":99999}"#, "oom_score_adj: 99999; it can be a whole number, -32768 to 32767"),
        (
            r#"{"namespaces":{"pid":"old"}}"#,
            "namespaces.pid: \"old\"; it can be \"new\", \"inherit\" or the absolute path of a namespace",
        ),
        (r#"{"mounts":[{"target":"/a"}]}"#, "mounts[0].type is missing"),
        (
            r#"{"mounts":[{"type":"bind","target":"/a"}]}"#,
            "mounts[0].source: a bind needs it: what of the host is shown",
        ),
        (
            r#"{"mounts":[{"type":"proc","target":"/a","size":1}]}"#,
            "mounts[0].size: it means nothing for this type of mount",
        ),
        (r#"{"rlimits":{"NOFILE":{"soft":5,"hard":1}}}"#, "rlimits.NOFILE: soft 5 is above hard 1"),
        (r#"{"terminal":{"rows":0}}"#, "terminal.rows: 0 is no size; it can be 1 to 65535"),
        (r#"{"deadline":0}"#, "deadline: it has to be more than 0"),
        (r#"{"dns":"none"}"#, "dns: \"none\"; it can be \"host\", \"unchanged\" or a list of addresses"),
        (r#"{"version":2}"#, "version: 2 is not known to this build, which reads version 1"),
        (r#"{"env":{"A=B":"1"}}"#, "env[\"A=B\"]: it cannot name an environment variable"),
        (r#"{"workdir":"a\u0000b"}"#, "workdir: a NUL byte is in it, which no path, name or argument can have"),
        (r#"{"workdir":{"hex":"0g"}}"#, "workdir: hex is \"0g\"; it can be pairs of hexadecimal digits"),
        (r#"{"umask":"8"}"#, "umask: \"8\" is not an octal mode such as 755 or 022"),
        ("[]", "the request is a list; it can be an object"),
    ] {
        assert_eq!(json(text).unwrap_err(), expected, "{text}");
    }
}

#[test]
fn what_is_no_document_or_too_much_of_one_is_refused_before_it_is_read() {
    assert!(json("{").unwrap_err().starts_with("it is no JSON: "));
    assert!(toml("a = \nb = 1").unwrap_err().contains("at line 1"), "{:?}", toml("a = \nb = 1"));
    assert!(json(r#"{"init":true,"init":false}"#).unwrap_err().contains("given twice"));
    assert!(toml("init = true\ninit = false").is_err());
    let deep = format!("{{\"env\":{}1{}}}", "[".repeat(100), "]".repeat(100));
    assert!(json(&deep).unwrap_err().contains("nested deeper"));
    assert!(json(&"[".repeat(100_000)).is_err());
    assert!(toml(&format!("a = {}", "[".repeat(100_000))).is_err());
    assert!(Request::parse(&vec![b' '; 5 << 20], Format::Json).unwrap_err().to_string().contains("more than"));
    assert_eq!(
        Request::parse(b"{\"a\":\"\xff\"}", Format::Json).unwrap_err().to_string(),
        "it is no UTF-8, from byte 6 on"
    );
}

#[test]
fn keys_of_ours_are_in_camel_case_for_doors_that_have_it_and_keys_of_the_callers_never() {
    let text = |text: &str| Value::Text(text.to_owned());
    let object = |entries: Vec<(&str, Value)>| {
        Value::Object(entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
    };
    let value = object(vec![
        ("clearEnv", Value::Bool(true)),
        ("env", object(vec![("homeDir", text("/")), ("nothing", Value::Null)])),
        ("workdir", Value::Bytes(vec![b'/', 0xff])),
        ("hostname", Value::Null),
        ("limits", object(vec![("memoryMax", text("1K"))])),
    ]);
    let request = Request::from_value(&value, Spelling::Camel).unwrap();
    assert_eq!(request.limits.memory_max.map(|size| size.0), Some(1024));
    assert_eq!(request.env.keys().collect::<Vec<_>>(), ["homeDir"]);
    // Of JavaScript's numbers those of times are milliseconds, whatever has them.
    let times = object(vec![
        ("deadline", Value::Integer(1500)),
        ("timeOffsets", object(vec![("boottime", Value::Float(-0.5))])),
        ("network", object(vec![("type", Value::Text("veth".into())), ("latency", Value::Text("2s".into()))])),
    ]);
    let request = Request::from_value(&times, Spelling::Camel).unwrap();
    let nanoseconds = |length: Option<seclude_request::Duration>| length.map(|length| length.nanoseconds);
    assert_eq!(nanoseconds(request.deadline), Some(1_500_000_000));
    assert_eq!(nanoseconds(request.time_offsets.boottime), Some(-500_000));
    assert_eq!(nanoseconds(request.network.unwrap().latency), Some(2_000_000_000));
    let seconds = object(vec![("deadline", Value::Integer(1500))]);
    let request = Request::from_value(&seconds, Spelling::Snake).unwrap();
    assert_eq!(nanoseconds(request.deadline), Some(1_500_000_000_000));
    let wrong = object(vec![("limits", object(vec![("memroyMax", Value::Integer(1))]))]);
    let wrong = Request::from_value(&wrong, Spelling::Camel).unwrap_err();
    assert_eq!(wrong.camel("container"), "container.limits.memroyMax: there is no such key; the nearest is memoryMax");
    assert!(wrong.is_type() && matches!(wrong.why, Why::UnknownKey { .. }));
}

#[cfg(feature = "schema")]
#[test]
fn the_schema_says_what_every_key_is() {
    let schema = serde_json::to_value(seclude_request::schema()).unwrap();
    let mut without = Vec::new();
    let objects = schema["$defs"].as_object().unwrap().iter().map(|(name, object)| (name.as_str(), object));
    for (name, object) in objects.chain([("Request", &schema)]) {
        for (key, property) in object["properties"].as_object().into_iter().flatten() {
            if property["description"].as_str().is_none() {
                without.push(format!("{name}.{key}"));
            }
        }
    }
    assert_eq!(without, Vec::<String>::new());
}
