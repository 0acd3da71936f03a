//! The small root: one static program, and a link for each of its commands.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::{Place, ensure, make_directory};
use crate::workspace;

const DIRECTORIES: [&str; 10] = ["bin", "proc", "dev", "sys", "tmp", "etc", "root", "mnt", "usr", "var"];
/// Where programs are also looked for.
const LINKS: [(&str, &str); 3] = [("bin", "sbin"), ("../bin", "usr/bin"), ("../bin", "usr/sbin")];

pub(super) fn make() -> Result<PathBuf> {
    let program = workspace::find("busybox").context("busybox is not installed: apt-get install busybox-static")?;
    let bytes = fs::read(&program).with_context(|| format!("read {}", program.display()))?;
    if needs_loader(&bytes) {
        bail!("{} is not static: apt-get install busybox-static", program.display());
    }
    let applets = workspace::read(Command::new(&program).arg("--list"))?;
    let modified = fs::metadata(&program)?.modified()?.duration_since(std::time::UNIX_EPOCH)?.as_secs();
    let recipe = format!("2 {DIRECTORIES:?} {LINKS:?} {} {modified} {}", bytes.len(), applets.replace('\n', " "));
    ensure("busybox", &recipe, |place: &Place, progress| {
        progress.show("busybox: making it");
        for directory in DIRECTORIES {
            make_directory(&place.new.join(directory))?;
        }
        fs::set_permissions(place.new.join("tmp"), Permissions::from_mode(0o1777))?;
        let copy = place.new.join("bin/busybox");
        fs::write(&copy, &bytes).with_context(|| format!("write {}", copy.display()))?;
        fs::set_permissions(&copy, Permissions::from_mode(0o755))?;
        for applet in applets.lines().filter(|applet| *applet != "busybox") {
            symlink("busybox", place.new.join("bin").join(applet)).with_context(|| format!("link {applet}"))?;
        }
        for (to, link) in LINKS {
            symlink(to, place.new.join(link)).with_context(|| format!("link {link}"))?;
        }
        Ok(())
    })
}

/// Whether a 64-bit ELF file names a program interpreter (the dynamic loader), elf(5).
fn needs_loader(file: &[u8]) -> bool {
    const PT_INTERP: u32 = 3;
    let two = |at: usize| file.get(at..at + 2).and_then(|b| b.try_into().ok()).map(u16::from_le_bytes);
    let four = |at: usize| file.get(at..at + 4).and_then(|b| b.try_into().ok()).map(u32::from_le_bytes);
    let eight = |at: usize| file.get(at..at + 8).and_then(|b| b.try_into().ok()).map(u64::from_le_bytes);
    // e_phoff, e_phentsize and e_phnum of the header; p_type is each entry's first field.
    let (Some(start), Some(size), Some(count)) = (eight(32), two(54), two(56)) else { return false };
    (0..usize::from(count)).any(|index| four(start as usize + index * usize::from(size)) == Some(PT_INTERP))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(kind: u32) -> Vec<u8> {
        let mut file = vec![0; 64 + 56];
        file[32..40].copy_from_slice(&64u64.to_le_bytes());
        file[54..56].copy_from_slice(&56u16.to_le_bytes());
        file[56..58].copy_from_slice(&1u16.to_le_bytes());
        file[64..68].copy_from_slice(&kind.to_le_bytes());
        file
    }

    #[test]
    fn a_program_with_an_interpreter_is_not_static() {
        assert!(needs_loader(&header(3)));
        assert!(!needs_loader(&header(1)));
        assert!(!needs_loader(b"#!/bin/sh\n"));
    }
}
