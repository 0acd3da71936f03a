//! Paths that must not be seen or written: masked and read-only ones.

use std::path::{Path, PathBuf};

use seclude_child::op::{Links, Want};
use seclude_child::{Op, Slot};
use seclude_sys::mount::MOUNT_ATTR_RDONLY;

use super::{NAME, not_the_root};
use crate::error::Result;
use crate::program::Program;
use crate::step::Step;

struct Hide {
    target: PathBuf,
    if_present: bool,
    how: How,
    about: String,
}

#[derive(Clone, Copy)]
enum How {
    Mask,
    ReadOnly { recursive: bool },
}

pub(super) fn mask(target: &Path, if_present: bool) -> Result<Box<dyn Step>> {
    not_the_root(target)?;
    Ok(hide(target, if_present, How::Mask, "mask"))
}

/// `recursive`: with what is mounted below it.
pub(super) fn read_only(target: &Path, if_present: bool, recursive: bool) -> Box<dyn Step> {
    let word = if recursive { "read-only" } else { "read-only, without what is mounted below," };
    hide(target, if_present, How::ReadOnly { recursive }, word)
}

fn hide(target: &Path, if_present: bool, how: How, word: &str) -> Box<dyn Step> {
    let about = format!("{word} {}{}", target.display(), if if_present { ", if present" } else { "" });
    Box::new(Hide { target: target.to_owned(), if_present, how, about })
}

impl Step for Hide {
    fn name(&self) -> &'static str {
        NAME
    }

    fn ops<'a>(&'a self, program: &mut Program<'a>) {
        program.about(&self.about);
        let place = program.place(&self.target);
        let (base, into) = (Slot::ROOT, Slot::PLACE);
        program.look_again(&self.target);
        program.push(if self.if_present {
            Op::ResolveIfPresent { base, place, into }
        } else {
            Op::Resolve { base, place, want: Want::Existing, create: None, links: Links::Followed, into }
        });
        match self.how {
            How::Mask => program.push(Op::Mask { place: Slot::PLACE }),
            How::ReadOnly { recursive } => {
                program.push(Op::CloneFrom { from: Slot::PLACE, name: c"", recursive: true, into: Slot::TREE });
                let set = MOUNT_ATTR_RDONLY;
                program.push(Op::Attach { mount: Slot::TREE, onto: Slot::PLACE });
                program.push(Op::SetAttributes { mount: Slot::TREE, set, recursive });
                program.push(Op::CheckReadOnly { mount: Slot::TREE });
            }
        }
        if !self.if_present {
            program.note(Slot::TREE, &self.target, place);
        }
    }
}
