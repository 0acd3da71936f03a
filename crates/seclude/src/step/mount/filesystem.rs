//! A new file system by its type and its own options.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use seclude_child::op::{Links, Want};
use seclude_child::{Op, Slot};
use seclude_sys::mount::MOUNT_ATTR_RDONLY;

use super::{NAME, attach_slot, not_the_root};
use crate::config::attributes::Attributes;
use crate::config::born::Fill;
use crate::config::mount::Mount;
use crate::error::{Error, Result};
use crate::program::Program;
use crate::step::Step;

/// What set-up and checks go by: an image in which these lead elsewhere would have them look at the wrong file (CVE-2019-19921).
const VIEWS: [&str; 6] = ["proc", "sysfs", "cgroup", "cgroup2", "mqueue", "devpts"];

/// What fsconfig(2) takes of a value.
const LONGEST: usize = 255;

/// Layers of an overlay that are too long for one value, one by one: Linux 6.8. The kernel has them with `\\` before what is no separator, and one
/// by one as they are; behind `::` those that hold data alone.
fn apart(kind: &str, key: &str, value: Option<&str>) -> Vec<(String, Option<String>)> {
    let whole = || vec![(key.to_owned(), value.map(str::to_owned))];
    let Some(layers) = value.filter(|value| (kind, key) == ("overlay", "lowerdir") && value.len() > LONGEST) else {
        return whole();
    };
    let (mut all, mut layer, mut is_data, mut bytes) = (Vec::new(), String::new(), false, layers.chars());
    let mut end = |layer: &mut String, is_data: &mut bool| match std::mem::take(layer) {
        empty if empty.is_empty() => *is_data = true,
        layer => all.push(((if *is_data { "datadir+" } else { "lowerdir+" }).to_owned(), Some(layer))),
    };
    while let Some(next) = bytes.next() {
        match next {
            ':' => end(&mut layer, &mut is_data),
            '\\' => layer.extend(bytes.next()),
            next => layer.push(next),
        }
    }
    end(&mut layer, &mut is_data);
    all
}

struct FileSystem {
    name: String,
    source: Option<String>,
    data: Vec<(String, Option<String>)>,
    attributes: Attributes,
    fill: Option<Fill>,
    links: Links,
    target: PathBuf,
    about: String,
}

pub(super) fn compile(
    target: &Path,
    name: &str,
    source: Option<&str>,
    data: &[(String, Option<String>)],
    mount: &Mount,
) -> Result<Box<dyn Step>> {
    not_the_root(target)?;
    let attributes = mount.attributes;
    if name.is_empty() {
        return Err(Error::invalid(NAME, format!("{}: a file system without a type", target.display())).at("kind"));
    }
    let data = data.iter().flat_map(|(key, value)| apart(name, key, value.as_deref())).collect::<Vec<_>>();
    for (key, value) in &data {
        let length = value.as_deref().map_or(0, str::len);
        if length > LONGEST {
            let action = format!("{}: {key} has {length} bytes, and the kernel takes {LONGEST}", target.display());
            return Err(Error::invalid(NAME, action).at("data"));
        }
    }
    let about = format!("{name} on {}{}", target.display(), attributes.describe());
    Ok(Box::new(FileSystem {
        name: name.to_owned(),
        source: source.map(str::to_owned),
        data,
        attributes,
        fill: mount.fill.clone(),
        links: if VIEWS.contains(&name) { Links::Refused } else { super::links(mount) },
        target: target.to_owned(),
        about,
    }))
}

impl Step for FileSystem {
    fn name(&self) -> &'static str {
        NAME
    }

    fn fills(&self) -> bool {
        self.fill.is_some()
    }

    fn fill(&self, mount: OwnedFd) -> Result<()> {
        let failed = |error| Error::parent(NAME, format!("fill {}", self.target.display()), error);
        self.fill.as_ref().map_or(Ok(()), |fill| fill.run(mount)).map_err(failed)
    }

    fn ops<'a>(&'a self, program: &mut Program<'a>) {
        program.about(&self.about);
        let slot = if self.name == "devpts" { Slot::DEVPTS } else { Slot::TREE };
        let kind = program.text(&self.name);
        program.push(Op::FsOpen { kind, into: slot });
        if let Some(source) = &self.source {
            let value = program.text(source);
            program.push(Op::FsString { fs: slot, key: c"source", value });
        }
        for (key, value) in &self.data {
            let key = program.text(key);
            let op = match value {
                Some(value) => Op::FsString { fs: slot, key, value: program.text(value) },
                None => Op::FsFlag { fs: slot, key },
            };
            program.push(op);
        }
        let own = self.attributes.own;
        match self.fill {
            Some(_) => {
                program.push(Op::FsMount { fs: slot, attributes: own.set & !MOUNT_ATTR_RDONLY });
                program.push(Op::Offer { mount: slot });
            }
            None => program.push(Op::FsMount { fs: slot, attributes: own.set }),
        }
        attach_slot(program, slot, &self.target, Want::Directory, 0o755, self.links);
        if own.set & MOUNT_ATTR_RDONLY != 0 {
            if self.fill.is_some() {
                program.push(Op::SetAttributes { mount: slot, set: MOUNT_ATTR_RDONLY, recursive: false });
            }
            program.push(Op::CheckReadOnly { mount: slot });
        }
        propagate(program, &self.attributes, slot);
    }
}

/// What a bind has of them beside that: only what is attached can be changed.
pub(super) fn change(program: &mut Program<'_>, attributes: &Attributes, mount: Slot) {
    for (change, recursive) in [(attributes.all, true), (attributes.own, false)] {
        if !change.is_nothing() {
            let (set, clear) = (change.set, change.clear);
            program.push(Op::ChangeAttributes { mount, set, clear, propagation: 0, recursive });
        }
    }
    if attributes.is_read_only() {
        program.push(Op::CheckReadOnly { mount });
    }
    propagate(program, attributes, mount);
}

fn propagate(program: &mut Program<'_>, attributes: &Attributes, mount: Slot) {
    if let Some(how) = attributes.propagation {
        // What lies below a slave is a copy as well, and would be a peer of the host's otherwise: what the command mounts there would be seen there.
        let (propagation, recursive) = (how.flag, how.recursive || how.is_slave());
        program.push(Op::ChangeAttributes { mount, set: 0, clear: 0, propagation, recursive });
    }
}
