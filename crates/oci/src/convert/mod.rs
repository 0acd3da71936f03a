//! From config.json to a command of the library's, beginning from nothing: what is not said is not there.
//!
//! Every field is carried out, or is an error with its name. Annotations are data, for whoever asks for the state.

pub(crate) mod cgroup_mount;
mod devices;
mod mounts;
mod namespaces;
mod options;
mod places;
mod process;
mod refused;
mod scheduling;

use std::path::{Path, PathBuf};

use seclude::cgroup::Hierarchies;
use seclude::{Attributes, Command, Field, Mount, Part, Root, Seccomp};

use crate::caller::is_root_of_the_host;
use crate::failure::{Failure, Result};
use crate::hooks;
use crate::notify::Notify;
use crate::spec::{Linux, Process, Spec};

pub(crate) use namespaces::is_in_place;
use namespaces::{MountsIn, has_new_user, has_other_user};
pub(crate) use options::all as mount_options;
pub(crate) use process::{
    Home, apply as apply_process, begin as begin_process, confine, environment, ids, not_ambient, unknown_capabilities,
};
pub(crate) use scheduling::{affinity, personality};

/// What of the world outside of config.json it depends on.
#[derive(Clone, Copy)]
pub(crate) struct Circumstances<'a> {
    /// The bundle, absolute: paths in config.json may be relative to it.
    pub(crate) bundle: &'a Path,
    /// Where hierarchies are.
    pub(crate) hierarchies: &'a Hierarchies,
    /// The container's cgroup; `None`: it has the caller's.
    pub(crate) cgroup: Option<&'a Path>,
    /// Whether a session keyring of its own is made.
    pub(crate) keyring: bool,
    /// Whether the host's tree is left by pivot_root(2).
    pub(crate) pivots: bool,
}

/// Where each of the command's mounts comes from, by the place in config.json.
#[derive(Clone, Default)]
pub(crate) struct Origins(Vec<String>);

/// The command, and how its errors are told.
pub(crate) struct Converted {
    pub(crate) command: Command,
    pub(crate) origins: Origins,
    pub(crate) rootfs: PathBuf,
    /// What is passed over, as others do.
    pub(crate) notes: Vec<String>,
}

/// A command in the making.
struct Tree<'a> {
    command: &'a mut Command,
    origins: &'a mut Origins,
    /// What is passed over.
    notes: &'a mut Vec<String>,
    /// File systems that are read-only once all is there that is made in them: where each comes from, and where it is.
    closes: Vec<(String, String)>,
}

impl Tree<'_> {
    fn mount(&mut self, origin: impl Into<String>, mount: Mount) {
        self.command.mount(mount);
        self.origins.0.push(origin.into());
    }
}

/// The versions of the specification that say the same of what they have.
fn check_version(spec: &Spec) -> Result<()> {
    let version = spec.oci_version.as_str();
    let numbers = version.split(['-', '+']).next().unwrap_or_default();
    let parts: Vec<Option<u32>> = numbers.split('.').map(|part| part.parse().ok()).collect();
    match parts.as_slice() {
        [Some(1), Some(_), Some(_)] => Ok(()),
        [Some(_), Some(_), Some(_)] => Err(Failure::at("ociVersion", format!("{version:?}: this runtime is for 1.x"))),
        _ => Err(Failure::at("ociVersion", format!("{version:?} is no version, such as 1.3.0"))),
    }
}

/// The whole of it.
pub(crate) fn convert(spec: &Spec, circumstances: &Circumstances<'_>) -> Result<Converted> {
    check_version(spec)?;
    let empty = Linux::default();
    let linux = spec.linux.as_ref().unwrap_or(&empty);
    refused::check(spec)?;
    Notify::of(spec)?;
    spec.hooks.as_ref().map_or(Ok(()), hooks::check)?;
    let waits = waits_alone();
    let process = spec.process.as_ref().unwrap_or(&waits);
    let Some(root) = &spec.root else { return Err(Failure::at("root", "there is none")) };
    let rootfs = circumstances.bundle.join(&root.path);
    let is_directory = rootfs.metadata().map_err(|error| Failure::of(rootfs.display(), error).or_at("root.path"))?;
    if !is_directory.is_dir() {
        return Err(Failure::at("root.path", format!("{} is no directory", rootfs.display())));
    }
    let mut command = process::begin(process)?;
    let mut origins = Origins::default();
    let mounts_in = MountsIn::of(linux);
    if mounts_in == MountsIn::Callers && (has_other_user(linux) || !is_root_of_the_host()) {
        let why = "there is no mount namespace, and who has rights over a part of the host alone mounts nothing in its caller's";
        return Err(Failure::at("linux.namespaces", why));
    }
    namespaces::apply(&mut command, linux)?;
    process::ids(&mut command, process, linux);
    command.new_session(true).new_keyring(circumstances.keyring);

    let mut tree = Root::directory(rootfs.canonicalize().unwrap_or_else(|_| rootfs.clone()));
    if root.readonly {
        tree = tree.closed();
    }
    tree = tree.propagation(propagation(&linux.rootfs_propagation)?);
    if mounts_in != MountsIn::New {
        tree = tree.in_place();
    }
    if mounts_in == MountsIn::Callers || !circumstances.pivots {
        tree = tree.chroot();
    }
    command.root(tree);
    let mut notes = Vec::new();
    let mut mounted = Tree { command: &mut command, origins: &mut origins, notes: &mut notes, closes: Vec::new() };
    let brought = mounts::apply(&mut mounted, spec, linux, &rootfs, circumstances)?;
    devices::apply(&mut mounted, spec, linux)?;
    if process.terminal && mounted.closes.iter().any(|(_, target)| target.trim_end_matches('/') == "/dev") {
        // Something for the terminal to lie on.
        mounted.mount("process.terminal", Mount::bind("/dev/null", "/dev/console"));
    }
    let cwd = process.cwd.trim_end_matches('/');
    if !cwd.is_empty() {
        // Others make it, and images rely on that.
        mounted.mount("process.cwd", Mount::directory(cwd).links_made_good());
    }
    // The innermost first: what is mounted in one that is closed stays as it is.
    for (origin, target) in std::mem::take(&mut mounted.closes).into_iter().rev() {
        mounted.mount(origin, Mount::read_only_path(target).not_recursive());
    }
    for (index, path) in linux.masked_paths.iter().enumerate() {
        mounted.mount(format!("linux.maskedPaths[{index}]"), Mount::mask(path).if_present());
    }
    for (index, path) in linux.readonly_paths.iter().enumerate() {
        // Of it alone, as others have it: a volume that is mounted below it was asked for with options of its own.
        let closed = Mount::read_only_path(path).if_present().not_recursive();
        mounted.mount(format!("linux.readonlyPaths[{index}]"), closed);
    }
    // As its mounts have it, and not as the image does.
    let passwd = brought.at(&rootfs, process::PASSWD);
    process::apply(
        &mut command,
        process,
        Home::In(passwd.as_ref().map(|(root, path)| (root.as_path(), path.as_path()))),
    )?;
    if process.terminal {
        command.console(true);
    }
    if let Some(name) = spec.hostname.as_ref().filter(|name| !name.is_empty()) {
        command.hostname(name);
    }
    if let Some(name) = spec.domainname.as_ref().filter(|name| !name.is_empty()) {
        command.domainname(name);
    }
    for (key, value) in &linux.sysctl {
        if key.replace('/', ".") == "kernel.hostname" {
            return Err(Failure::at(
                format!("linux.sysctl.{key}"),
                "it is what hostname is for, and would be set over that",
            ));
        }
        command.sysctl(key, value);
    }
    scheduling::of_container(&mut command, linux)?;
    // Of what is executed later, and checked now.
    affinity(process)?;
    for (name, device) in &linux.net_devices {
        command.net_device(name, if device.name.is_empty() { name } else { &device.name });
    }
    command.seccomp(seccomp(linux));
    Ok(Converted { command, origins, rootfs, notes })
}

/// Of a container that has no process to be started: the specification has it created. What waits looks for a program that is there, and
/// `start` fails.
fn waits_alone() -> Process {
    Process { args: vec!["/proc/self/exe".to_owned()], cwd: "/".to_owned(), ..Process::default() }
}

/// The filter of system calls. Nobody stays who could list what it refuses.
pub(crate) fn seccomp(linux: &Linux) -> Seccomp {
    linux.seccomp.clone().map_or_else(Seccomp::none, Seccomp::oci).denials(false)
}

fn propagation(word: &str) -> Result<Attributes> {
    let mut attributes = Attributes::new();
    let known = ["", "private", "rprivate", "slave", "rslave", "shared", "rshared", "unbindable", "runbindable"];
    if !known.contains(&word) {
        return Err(Failure::at("linux.rootfsPropagation", format!("{word:?} is none, such as rprivate")));
    }
    attributes.add(word);
    Ok(attributes)
}

impl Origins {
    /// An error of the library's with the field of config.json that it is about.
    pub(crate) fn explain(&self, error: seclude::Error) -> Failure {
        let field = error.field().and_then(|field| self.field(field));
        let failure = Failure::from(error);
        match field {
            Some(field) => failure.or_at(&field),
            None => failure,
        }
    }

    fn field(&self, field: &Field) -> Option<String> {
        if let [Part::Key(key), Part::Index(index), ..] = field.parts()
            && key == "mounts"
        {
            return self.0.get(*index).cloned();
        }
        let known = KNOWN.iter().find(|(own, _)| field.to_string().starts_with(own));
        known.map(|(_, name)| (*name).to_owned())
    }
}

/// What the library's fields are called here; the first that fits.
const KNOWN: [(&str, &str); 28] = [
    ("net_devices", "linux.netDevices"),
    ("cpu_affinity", "process.execCPUAffinity.final"),
    ("apparmor", "process.apparmorProfile"),
    ("selinux", "process.selinuxLabel"),
    ("personality", "linux.personality"),
    ("scheduler", "process.scheduler"),
    ("io_priority", "process.ioPriority"),
    ("memory_policy", "linux.memoryPolicy"),
    ("command", "process.args"),
    ("workdir", "process.cwd"),
    ("env", "process.env"),
    ("user.map", "linux.uidMappings"),
    ("user", "process.user"),
    ("umask", "process.user.umask"),
    ("rights.no_new_privileges", "process.noNewPrivileges"),
    ("rights", "process.capabilities"),
    ("rlimits", "process.rlimits"),
    ("oom_score_adj", "process.oomScoreAdj"),
    ("terminal", "process.terminal"),
    ("root.path", "root.path"),
    ("root", "root"),
    ("hostname", "hostname"),
    ("domainname", "domainname"),
    ("sysctl", "linux.sysctl"),
    ("seccomp", "linux.seccomp"),
    ("namespaces", "linux.namespaces"),
    ("time_offsets", "linux.timeOffsets"),
    ("cgroup", "linux.cgroupsPath"),
];
