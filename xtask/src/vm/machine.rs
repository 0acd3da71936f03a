//! A machine: a processor and some memory, in software, with a kernel, its initramfs, two disks and two serial ports.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use seclude::Stdio;

use super::kernels::Kernel;
use crate::architecture::Architecture;
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
    /// Whether what is written to the root stays.
    pub(crate) keeps: bool,
    pub(crate) processors: u8,
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
        let report = self.report.display();
        match self.kernel.architecture {
            Architecture::X86_64 => command.arg("-serial").arg(format!("file:{report}")),
            // Its board has one serial port.
            Architecture::Aarch64 => command
                .args(["-device", "virtio-serial-pci", "-device", "virtserialport,chardev=report"])
                .arg("-chardev")
                .arg(format!("file,id=report,path={report}")),
        }
    }

    fn qemu(&self) -> Result<seclude::Command> {
        let architecture = self.kernel.architecture;
        let (qemu, package) = architecture.qemu();
        let qemu = workspace::find(qemu).with_context(|| format!("apt-get install {package}"))?;
        let mut command = seclude::Command::new(qemu);
        // With two processors QEMU 7.2 made some kernels oops at boot.
        command.args(["-accel", "tcg", "-cpu", "max", "-m", MEMORY]);
        command.arg("-smp").arg(self.processors.to_string());
        command.args(["-nodefaults", "-no-user-config", "-no-reboot", "-nic", "none"]);
        command.arg("-kernel").arg(&self.kernel.image).arg("-initrd").arg(&self.initramfs);
        let console = match architecture {
            Architecture::X86_64 => "ttyS0",
            Architecture::Aarch64 => {
                command.args(["-machine", "virt"]);
                "ttyAMA0"
            }
        };
        command.arg("-append").arg(format!("console={console} panic=-1 quiet random.trust_cpu=on"));
        // What is written goes to a temporary file of QEMU's.
        let root = if self.keeps { "snapshot=off" } else { "snapshot=on" };
        for (disk, more) in [(self.root, root), (self.work, "readonly=on")] {
            let disk = disk.display();
            command.arg("-drive").arg(format!("file={disk},format=raw,if=virtio,cache=unsafe,{more}"));
        }
        Ok(command)
    }
}
