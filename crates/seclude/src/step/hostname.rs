//! Host name and domain name, uname(2).

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

use seclude_child::Op;
use seclude_request::Field;

use super::Step;
use crate::config::Config;
use crate::config::namespace::{Namespace, Origin};
use crate::error::{Error, Result};
use crate::program::Program;

const NAME: &str = "host name";
const HOST: &str = "hostname";
const DOMAIN: &str = "domainname";
/// `__NEW_UTS_LEN`
const LONGEST: usize = 64;

struct Names {
    host: Option<OsString>,
    domain: Option<OsString>,
}

pub(super) fn compile(command: &Config) -> Result<Option<Box<dyn Step>>> {
    let names = Names { host: command.hostname.clone(), domain: command.domainname.clone() };
    let given = [(names.host.as_ref(), HOST), (names.domain.as_ref(), DOMAIN)];
    let given: Vec<_> = given.into_iter().filter_map(|(name, field)| Some((name?, field))).collect();
    let Some((_, first)) = given.first() else { return Ok(None) };
    if matches!(command.namespaces.origin(Namespace::Uts), Origin::Inherited) {
        return Err(Error::invalid(
            NAME,
            "it needs a new uts namespace, or one that is joined: it would be the host's own name",
        )
        .at(first)
        .contradicting());
    }
    if let Some((long, field)) = given.iter().find(|(name, _)| name.len() > LONGEST) {
        let action = format!("{long:?} has {} bytes; the kernel takes {LONGEST}", long.len());
        return Err(Error::invalid(NAME, action).at(field));
    }
    if let Some((name, field)) = given.iter().find(|(name, _)| name.as_bytes().contains(&0)) {
        return Err(Error::invalid(NAME, format!("{name:?} has a NUL byte in it")).at(field));
    }
    // It is a word of a line of /etc/hosts, hosts(5).
    let no_word = |name: &OsString| {
        name.is_empty() || name.as_bytes().iter().any(|byte| *byte <= b' ' || *byte == b'#' || *byte == 0x7f)
    };
    if let Some(name) = names.host.as_ref().filter(|name| no_word(name)) {
        let action = format!(
            "{name:?} is no host name: it has at least one character, and no spaces, `#` or control characters"
        );
        return Err(Error::invalid(NAME, action).at(HOST));
    }
    Ok(Some(Box::new(names)))
}

impl Step for Names {
    fn name(&self) -> &'static str {
        NAME
    }

    fn field_of(&self, op: &Op<'_>) -> Option<Field> {
        Some(Field::of(if matches!(op, Op::Domainname { .. }) { DOMAIN } else { HOST }))
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
