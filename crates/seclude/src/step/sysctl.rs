//! Parameters of the kernel that each namespace has for itself, sysctl(8).

use seclude_child::Op;

use super::Step;
use crate::config::Config;
use crate::config::namespace::{Namespace, Origin};
use crate::error::{Error, Result};
use crate::program::Program;

const NAME: &str = "sysctl";

/// Those of System V IPC, ipc_namespaces(7).
const IPC: [&str; 8] = [
    "kernel.msgmax",
    "kernel.msgmnb",
    "kernel.msgmni",
    "kernel.sem",
    "kernel.shmall",
    "kernel.shmmax",
    "kernel.shmmni",
    "kernel.shm_rmid_forced",
];

struct Sysctls(Vec<(String, String)>);

pub(super) fn compile(command: &Config) -> Result<Option<Box<dyn Step>>> {
    let mut files = Vec::with_capacity(command.sysctls.len());
    for (key, value) in &command.sysctls {
        let wrong = |why: String| Error::invalid(NAME, format!("{key}: {why}")).at_field(field(key));
        let Some(kind) = namespace_of(key) else {
            return Err(wrong("it is not of a namespace, but of the whole host".to_owned()));
        };
        if matches!(command.namespaces.origin(kind), Origin::Inherited) {
            return Err(wrong(format!("it needs a {kind} namespace that is not the host's own")).contradicting());
        }
        let path = if key.contains('/') { key.clone() } else { key.replace('.', "/") };
        if path.split('/').any(|part| part.is_empty() || part == "." || part == "..") {
            return Err(wrong("it is no name of a parameter".to_owned()));
        }
        files.push((format!("/proc/sys/{path}"), value.clone()));
    }
    Ok((!files.is_empty()).then(|| Box::new(Sysctls(files)) as Box<dyn Step>))
}

fn field(key: &str) -> seclude_request::Field {
    seclude_request::Field::of("sysctl").key(key)
}

/// The namespaces that a request changes by them, and where it says so.
pub(super) fn changed(command: &Config) -> impl Iterator<Item = (Namespace, seclude_request::Field)> {
    command.sysctls.iter().filter_map(|(key, _)| Some((namespace_of(key)?, field(key))))
}

fn namespace_of(key: &str) -> Option<Namespace> {
    // A `/` is what the names of some interfaces have as a `.`: sysctl(8) takes both ways.
    let dotted = if key.contains('/') && !key.contains('.') { key.replace('/', ".") } else { key.to_owned() };
    match dotted.as_str() {
        "kernel.hostname" | "kernel.domainname" => Some(Namespace::Uts),
        key if IPC.contains(&key) || key.starts_with("fs.mqueue.") => Some(Namespace::Ipc),
        key if key.starts_with("net.") => Some(Namespace::Net),
        key if key.starts_with("user.") => Some(Namespace::User),
        _ => None,
    }
}

impl Step for Sysctls {
    fn name(&self) -> &'static str {
        NAME
    }

    fn field(&self) -> Option<seclude_request::Field> {
        Some(seclude_request::Field::of("sysctl"))
    }

    fn ops<'a>(&'a self, program: &mut Program<'a>) {
        for (path, value) in &self.0 {
            program.about(path);
            let path = program.text(path);
            // The file is that of the writer's namespaces, wherever /proc was mounted.
            program.push(Op::WriteProc { path, text: value.as_bytes() });
        }
    }
}
