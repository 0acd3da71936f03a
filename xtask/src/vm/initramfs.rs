//! The initramfs of a kernel: busybox, the modules in the order to load them, and what mounts the disks.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use super::kernels::{self, Kernel};
use crate::workspace;

const INIT: &str = include_str!("initramfs-init.sh");
/// What the disks need, and the report's port. A module that is not there is in the kernel, or the machine does not start and says why.
const DISKS: [&str; 7] =
    ["virtio_pci", "virtio_blk", "virtio_console", "crc32c_generic", "crc32c_intel", "crc32c-cryptoapi", "ext4"];
/// What tests may need: nothing loads a module later.
const TESTS: [&str; 30] = [
    "overlay",
    "fuse",
    "loop",
    "tun",
    "veth",
    "bridge",
    "dummy",
    "sch_netem",
    "sch_tbf",
    "macvlan",
    "nf_tables",
    "nf_conntrack",
    "nf_nat",
    "nft_chain_nat",
    "nft_nat",
    "nft_masq",
    "nft_redir",
    "nft_ct",
    "nft_counter",
    "nft_fib",
    "nft_fib_ipv4",
    "nft_fib_ipv6",
    "nft_fib_inet",
    "nft_limit",
    "nft_meta_bridge",
    "nft_log",
    "nft_objref",
    "nft_quota",
    "nft_reject",
    "nft_reject_inet",
];

/// Makes it in a directory of its own; answers the file.
pub(crate) fn make(kernel: &Kernel, directory: &Path) -> Result<PathBuf> {
    let tree = directory.join("initramfs");
    let _ = fs::remove_dir_all(&tree);
    for part in ["bin", "modules", "dev", "proc", "sys", "root"] {
        fs::create_dir_all(tree.join(part))?;
    }
    let busybox = workspace::find("busybox").context("busybox is not installed: apt-get install busybox-static")?;
    let inside = kernel.architecture.is_own().then(|| busybox.clone());
    let inside = inside.map_or_else(|| kernels::busybox(kernel.architecture), Ok)?;
    fs::copy(&inside, tree.join("bin/busybox")).context("copy of busybox")?;
    let init = tree.join("init");
    fs::write(&init, INIT)?;
    workspace::run(Command::new("chmod").arg("755").arg(&init))?;

    let modules = Modules::read(&kernel.modules())?;
    let mut order = String::new();
    for path in modules.closure(DISKS.iter().chain(&TESTS).copied()) {
        let name = format!("{}.ko", module_name(&path));
        unpack(&kernel.modules().join(&path), &tree.join("modules").join(&name))?;
        order.push_str(&format!("{name}\n"));
    }
    fs::write(tree.join("modules/order"), order)?;
    let archive = directory.join(format!("initramfs-{}.cpio", kernel.release));
    pack(&busybox, &tree, &archive)?;
    fs::remove_dir_all(&tree)?;
    Ok(archive)
}

/// Busybox's insmod may know no compression.
fn unpack(from: &Path, to: &Path) -> Result<()> {
    match from.extension().and_then(|extension| extension.to_str()) {
        Some("ko") => {
            fs::copy(from, to).with_context(|| format!("copy of {}", from.display()))?;
        }
        Some("xz") => {
            let file = File::create(to)?;
            workspace::run(Command::new("xz").args(["--decompress", "--stdout"]).arg(from).stdout(file))?;
        }
        _ => bail!("{} is compressed in a way that is new here", from.display()),
    }
    Ok(())
}

fn pack(busybox: &Path, tree: &Path, archive: &Path) -> Result<()> {
    let list = workspace::read(Command::new(busybox).args(["find", "."]).current_dir(tree))?;
    let mut cpio = Command::new(busybox);
    cpio.args(["cpio", "--create", "--format", "newc", "--owner", "0:0"]).current_dir(tree);
    cpio.stdin(Stdio::piped()).stdout(File::create(archive)?).stderr(Stdio::null());
    let mut cpio = cpio.spawn().context("busybox cpio")?;
    cpio.stdin.take().context("its stdin is a pipe")?.write_all(list.as_bytes())?;
    let status = cpio.wait()?;
    ensure!(status.success(), "busybox cpio: {status}");
    Ok(())
}

/// What modules.dep(5) and modules.softdep say: for each module its path, and the paths of what must be loaded first.
struct Modules {
    paths: BTreeMap<String, String>,
    needs: BTreeMap<String, Vec<String>>,
}

impl Modules {
    fn read(directory: &Path) -> Result<Modules> {
        let text = |name: &str| {
            let file = directory.join(name);
            fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))
        };
        Ok(Modules::parse(&text("modules.dep")?, &text("modules.softdep")?))
    }

    fn parse(dep: &str, softdep: &str) -> Modules {
        let (mut paths, mut needs) = (BTreeMap::new(), BTreeMap::<String, Vec<String>>::new());
        for (path, first) in dep.lines().filter_map(|line| line.split_once(':')) {
            let name = module_name(path);
            paths.insert(name.clone(), path.to_owned());
            needs.insert(name, first.split_whitespace().map(module_name).collect());
        }
        // softdep NAME pre: A B post: C
        for line in softdep.lines().filter_map(|line| line.strip_prefix("softdep ")) {
            let mut words = line.split_whitespace();
            let Some(name) = words.next().map(module_name) else { continue };
            let before = words.skip_while(|word| *word != "pre:").skip(1).take_while(|word| *word != "post:");
            needs.entry(name).or_default().extend(before.map(module_name));
        }
        Modules { paths, needs }
    }

    /// Paths of these modules and all they need, each after what it needs.
    fn closure<'a>(&self, names: impl Iterator<Item = &'a str>) -> Vec<String> {
        let (mut seen, mut order) = (BTreeSet::new(), Vec::new());
        for name in names {
            self.visit(&module_name(name), &mut seen, &mut order);
        }
        order
    }

    fn visit(&self, name: &str, seen: &mut BTreeSet<String>, order: &mut Vec<String>) {
        if !seen.insert(name.to_owned()) {
            return;
        }
        for first in self.needs.get(name).into_iter().flatten() {
            self.visit(first, seen, order);
        }
        order.extend(self.paths.get(name).cloned());
    }
}

/// `nf_nat` of `kernel/net/netfilter/nf-nat.ko.xz`: to the kernel `-` and `_` are one.
fn module_name(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or(path);
    file.split(".ko").next().unwrap_or(file).replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_come_after_what_they_need() {
        let dep = "kernel/a.ko.xz: kernel/b-b.ko.xz\nkernel/b-b.ko.xz: kernel/c.ko\nkernel/c.ko:\nkernel/d.ko:\n";
        let modules = Modules::parse(dep, "softdep c pre: d in-kernel post: a\n");
        let order = modules.closure(["a", "absent"].into_iter());
        assert_eq!(order, ["kernel/d.ko", "kernel/c.ko", "kernel/b-b.ko.xz", "kernel/a.ko.xz"]);
    }
}
