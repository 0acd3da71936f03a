//! The two disks of a machine: the Debian that is its root, never written, and what is tried.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::kernels::{Kernel, Line};
use super::machine::Machine;
use super::report::Report;
use super::{directory, initramfs};
use crate::architecture::Architecture;
use crate::binaries::TestBinary;
use crate::progress::Progress;
use crate::rootfs;
use crate::workspace::{cargo, run, target};

const INIT: &str = include_str!("guest-init.sh");
const SECOND_STAGE: &str = include_str!("second-stage.sh");
/// It unpacks and configures some 150 packages, in software.
const SECOND_STAGE_LIMIT: Duration = Duration::from_secs(90 * 60);
/// Sparse: as much as tests may write.
const ROOT_SIZE: u64 = 3 << 30;
/// Beside what is on it, for the file system itself and what is written down there.
const WORK_BESIDE: u64 = 256 << 20;

/// The image of the root, made once; of another architecture by a machine of it, with the first of these kernels.
pub(crate) fn root(architecture: Architecture, kernels: &[(Line, Kernel)], progress: &mut Progress) -> Result<PathBuf> {
    let (tree, stamp) = rootfs::make_host(architecture)?;
    let image = directory(architecture).join("root.ext4");
    let modified = |path: &Path| fs::metadata(path).and_then(|metadata| metadata.modified());
    let stamp = modified(&stamp)?;
    if modified(&image).is_ok_and(|made| made > stamp) {
        return Ok(image);
    }
    progress.show("making the image of the root");
    if architecture.is_own() {
        make_image(&tree, &image, ROOT_SIZE)?;
        return Ok(image);
    }
    let begun = image.with_extension("begun");
    make_image(&tree, &begun, ROOT_SIZE)?;
    let (_, kernel) = kernels.first().context("there is no kernel")?;
    second_stage(kernel, &begun, progress)?;
    fs::rename(&begun, &image)?;
    Ok(image)
}

/// Has a machine whose root it is end what debootstrap has begun here.
fn second_stage(kernel: &Kernel, root: &Path, progress: &mut Progress) -> Result<()> {
    let directory = directory(kernel.architecture);
    let tree = directory.join("work");
    let _ = fs::remove_dir_all(&tree);
    fs::create_dir_all(&tree)?;
    let init = tree.join("guest-init");
    fs::write(&init, SECOND_STAGE)?;
    open_to_all(&init)?;
    let work = directory.join("work.ext4");
    make_image(&tree, &work, WORK_BESIDE)?;
    let machine = Machine {
        kernel,
        initramfs: initramfs::make(kernel, &directory)?,
        root,
        work: &work,
        console: directory.join("logs/second-stage.console"),
        report: directory.join("logs/second-stage.report"),
        keeps: true,
        processors: 1,
    };
    let started = Instant::now();
    machine.run(SECOND_STAGE_LIMIT, |_| {
        progress.update(&format!("the root's second stage, in a machine: {} s", started.elapsed().as_secs()));
    })?;
    let said = fs::read(&machine.report).with_context(|| machine.report.display().to_string())?;
    let said = String::from_utf8_lossy(&said);
    ensure!(Report::parse(&said).done, "the root was not made: {said}, see {}", machine.console.display());
    Ok(())
}

/// What a machine is to do: the test binaries, and a plan with a line for each run.
pub(crate) struct Work<'a> {
    pub(crate) architecture: Architecture,
    pub(crate) binaries: &'a [&'a TestBinary],
    pub(crate) plan: String,
    /// Other programs, and what they are called beside the tests.
    pub(crate) others: &'a [(&'a str, &'a Path)],
    /// A shell instead.
    pub(crate) shell: bool,
}

/// The image with the tests, made for each run.
pub(crate) fn work(work: &Work) -> Result<PathBuf> {
    let tree = directory(work.architecture).join("work");
    let _ = fs::remove_dir_all(&tree);
    let tests = tree.join("tests");
    fs::create_dir_all(&tests)?;
    let mut build = cargo();
    build.args(["build", "--quiet", "--locked", "-p", "seclude-cli", "-p", "seclude-oci"]);
    work.architecture.build_with_glibc(&mut build)?;
    run(&mut build)?;
    let built = target().join(if work.architecture.is_own() { "" } else { work.architecture.gnu() }).join("debug");
    for name in ["seclude", "seclude-oci"] {
        copy_without_debug(work, &built.join(name), &tree.join(name))?;
    }
    for binary in work.binaries {
        copy_without_debug(work, &binary.path, &tests.join(binary.name()))?;
    }
    for (name, program) in work.others {
        copy(program, &tests.join(name))?;
    }
    let init = tree.join("guest-init");
    fs::write(&init, INIT)?;
    open_to_all(&init)?;
    fs::write(tree.join("plan"), &work.plan)?;
    if work.shell {
        fs::write(tree.join("shell"), "")?;
    }
    let image = directory(work.architecture).join("work.ext4");
    let copied = fs::read_dir(&tree)?.chain(fs::read_dir(&tests)?).map(|entry| Ok(entry?.metadata()?.len()));
    let copied = copied.sum::<std::io::Result<u64>>()?;
    make_image(&tree, &image, copied + copied / 8 + WORK_BESIDE)?;
    fs::remove_dir_all(&tree)?;
    Ok(image)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to).with_context(|| format!("copy of {}", from.display()))?;
    open_to_all(to)
}

/// All the tests with what a debugger wants are more than 2 GiB, which would be written twice.
fn copy_without_debug(work: &Work, from: &Path, to: &Path) -> Result<()> {
    run(work.architecture.binutil("objcopy")?.arg("--strip-debug").args([from, to]))?;
    open_to_all(to)
}

fn open_to_all(file: &Path) -> Result<()> {
    Ok(fs::set_permissions(file, fs::Permissions::from_mode(0o755))?)
}

/// An ext4 with all that a tree has, also owners and setuid bits.
fn make_image(tree: &Path, image: &Path, size: u64) -> Result<()> {
    let new = image.with_extension("new");
    let _ = fs::remove_file(&new);
    File::create(&new)?;
    let mut mke2fs = Command::new(crate::workspace::find("mke2fs").context("apt-get install e2fsprogs")?);
    mke2fs
        .args(["-q", "-t", "ext4", "-m", "0", "-E", "root_owner=0:0", "-d"])
        .arg(tree)
        .arg(&new)
        .arg(format!("{}K", size / 1024));
    run(mke2fs.stdout(Stdio::null()))?;
    Ok(fs::rename(&new, image)?)
}
