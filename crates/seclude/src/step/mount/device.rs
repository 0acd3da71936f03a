//! Device nodes and named pipes of the container's own.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use seclude_child::op::{Create, Device, Links, Want};
use seclude_child::{Op, Slot};

use super::{NAME, not_the_root};
use crate::config::Config;
use crate::config::namespace::Namespace;
use crate::error::{Error, Result};
use crate::program::Program;
use crate::step::Step;

struct Node {
    parent: PathBuf,
    name: OsString,
    device: Device,
    about: String,
}

pub(super) fn compile(target: &Path, device: Device, command: &Config) -> Result<Box<dyn Step>> {
    not_the_root(target)?;
    let (Some(parent), Some(name)) = (target.parent(), target.file_name()) else {
        return Err(Error::invalid(NAME, format!("device {}: it has no name", target.display())).at("target"));
    };
    let is_numbered = device.kind != rustix::fs::FileType::Fifo.as_raw_mode();
    if is_numbered && command.namespaces.is_new(Namespace::User) {
        let action = format!("device {}: the kernel makes none in a user namespace", target.display());
        return Err(Error::invalid(NAME, action).contradicting().hint("bind the host's there"));
    }
    if device.mode > 0o7777 {
        let action = format!("device {}: mode {:o} is above 7777", target.display(), device.mode);
        return Err(Error::invalid(NAME, action).at("mode"));
    }
    let about = format!("device {} on {}", format_args!("{}:{}", device.major, device.minor), target.display());
    Ok(Box::new(Node { parent: parent.to_owned(), name: name.to_owned(), device, about }))
}

impl Step for Node {
    fn name(&self) -> &'static str {
        NAME
    }

    fn ops<'a>(&'a self, program: &mut Program<'a>) {
        program.about(&self.about);
        let place = program.place(&self.parent);
        program.push(Op::Resolve {
            base: Slot::ROOT,
            place,
            want: Want::Directory,
            create: Some(Create { mode: 0o755, told: false }),
            // An image whose /dev leads elsewhere would have nodes made there (CVE-2026-41579).
            links: Links::Refused,
            into: Slot::PLACE,
        });
        let name = program.text(&self.name);
        program.push(Op::MakeDevice { base: Slot::PLACE, name, device: self.device });
    }
}
