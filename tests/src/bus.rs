//! A message bus of a test's own.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use crate::Scratch;

/// It runs until this is dropped.
pub struct Bus {
    daemon: Child,
    /// What `DBUS_SYSTEM_BUS_ADDRESS` takes.
    pub address: String,
    /// Where its socket is.
    _own: Scratch,
}

impl Bus {
    /// `None` where there is no program for it, which is told.
    pub fn start() -> Option<Bus> {
        let own = Scratch::new("bus");
        let mut command = Command::new("dbus-daemon");
        command
            .args(["--session", "--nofork", "--nopidfile", "--print-address"])
            .arg(format!("--address=unix:path={}", own.join("socket").display()))
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let Ok(mut daemon) = command.spawn() else {
            eprintln!("skipped: dbus-daemon is not installed");
            return None;
        };
        let mut address = String::new();
        BufReader::new(daemon.stdout.take().expect("a pipe")).read_line(&mut address).expect("its address");
        Some(Bus { daemon, address: address.trim().to_owned(), _own: own })
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}
