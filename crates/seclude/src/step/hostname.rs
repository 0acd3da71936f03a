//! Host name and domain name, uname(2).

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

use seclude_child::Op;

use super::Step;
use crate::command::Command;
use crate::config::namespace::Namespace;
use crate::error::{Error, Result};
use crate::program::Program;

const NAME: &str = "host name";
/// `__NEW_UTS_LEN`
const LONGEST: usize = 64;

struct Names {
    host: Option<OsString>,
    domain: Option<OsString>,
}

pub(super) fn compile(command: &Command) -> Result<Option<Box<dyn Step>>> {
    let names = Names { host: command.hostname.clone(), domain: command.domainname.clone() };
    let given: Vec<_> = names.host.iter().chain(&names.domain).collect();
    if given.is_empty() {
        return Ok(None);
    }
    if !command.namespaces.is_new(Namespace::Uts) {
        return Err(Error::invalid(NAME, "it needs a new uts namespace: it would be the host's own name"));
    }
    if let Some(long) = given.iter().find(|name| name.len() > LONGEST) {
        return Err(Error::invalid(NAME, format!("{long:?} has {} bytes; the kernel takes {LONGEST}", long.len())));
    }
    if let Some(name) = given.iter().find(|name| name.as_bytes().contains(&0)) {
        return Err(Error::invalid(NAME, format!("{name:?} has a NUL byte in it")));
    }
    Ok(Some(Box::new(names)))
}

impl Step for Names {
    fn name(&self) -> &'static str {
        NAME
    }

    fn ops<'a>(&'a self, program: &mut Program<'a>) {
        if let Some(name) = &self.host {
            program.about_owned(name.to_string_lossy().into_owned());
            program.push(Op::Hostname { name: name.as_bytes() });
        }
        if let Some(name) = &self.domain {
            program.about_owned(format!("domain {}", name.to_string_lossy()));
            program.push(Op::Domainname { name: name.as_bytes() });
        }
    }
}
