//! A machine: one processor and some memory, in software, with a kernel, its initramfs, two disks and two serial ports.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use seclude::Stdio;

use super::kernels::Kernel;
use crate::workspace;

const MEMORY: &str = "2G";
const LOOK: Duration = Duration::from_millis(500);

pub(crate) struct Machine<'a> {
    pub(crate) kernel: &'a Kernel,
    pub(crate) initramfs: PathBuf,
    pub(crate) root: &'a Path,
    pub(crate) work: &'a Path,
    /// What the kernel says.
    pub(crate) console: PathBuf,
    /// What the tests said.
    pub(crate) report: PathBuf,
}

/// How a machine ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum End {
    Off,
    Died,
    TooLate,
}

impl Machine<'_> {
    /// Runs it until it is off or its time is over; says now and then what the report has.
    pub(crate) fn run(&self, time: Duration, mut look: impl FnMut(&str)) -> Result<End> {
        File::create(&self.report).with_context(|| format!("create {}", self.report.display()))?;
        let mut command = self.qemu()?;
        command.args(["-display", "none"]);
        command.arg("-serial").arg(format!("file:{}", self.console.display()));
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(File::create(self.report.with_extension("qemu"))?);
        // It dies with us, and with this handle.
        let mut child = self.with_report(&mut command).spawn()?;
        let until = Instant::now() + time;
        loop {
            if let Some(exit) = child.wait_timeout(LOOK)? {
                return Ok(if exit.success() { End::Off } else { End::Died });
            }
            if Instant::now() > until {
                child.kill()?;
                child.wait()?;
                return Ok(End::TooLate);
            }
            look(&String::from_utf8_lossy(&fs::read(&self.report)?));
        }
    }

    /// Gives its console to whoever sits here.
    pub(crate) fn shell(&self) -> Result<()> {
        let mut command = self.qemu()?;
        command.args(["-display", "none", "-serial", "mon:stdio"]);
        self.with_report(&mut command).status()?;
        Ok(())
    }

    fn with_report<'c>(&self, command: &'c mut seclude::Command) -> &'c mut seclude::Command {
        command.arg("-serial").arg(format!("file:{}", self.report.display()))
    }

    fn qemu(&self) -> Result<seclude::Command> {
        let qemu = workspace::find("qemu-system-x86_64").context("apt-get install qemu-system-x86")?;
        let mut command = seclude::Command::new(qemu);
        // With two processors QEMU 7.2 made some kernels oops at boot.
        command.args(["-accel", "tcg", "-cpu", "max", "-smp", "1", "-m", MEMORY]);
        command.args(["-nodefaults", "-no-user-config", "-no-reboot", "-nic", "none"]);
        command.arg("-kernel").arg(&self.kernel.image).arg("-initrd").arg(&self.initramfs);
        command.args(["-append", "console=ttyS0 panic=-1 quiet random.trust_cpu=on"]);
        // What is written goes to a temporary file of QEMU's.
        for (disk, more) in [(self.root, "snapshot=on"), (self.work, "readonly=on")] {
            let disk = disk.display();
            command.arg("-drive").arg(format!("file={disk},format=raw,if=virtio,cache=unsafe,{more}"));
        }
        Ok(command)
    }
}
