//! `linux.seccomp.listenerPath`: whoever listens there answers what the filter asks, seccomp_unotify(2).

use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

use serde_json::{Value as Json, json};

use crate::failure::{Failure, Result};
use crate::sockets;
use crate::spec::Spec;

const FIELD: &str = "linux.seccomp.listenerPath";

/// Who it is, and what it is told.
#[derive(Clone)]
pub(crate) struct Notify {
    path: PathBuf,
    version: String,
    metadata: String,
    /// Whether anything is asked.
    asks: bool,
}

impl Notify {
    /// `None`: the configuration has none.
    pub(crate) fn of(spec: &Spec) -> Result<Option<Notify>> {
        let Some(seccomp) = spec.linux.as_ref().and_then(|linux| linux.seccomp.as_ref()) else { return Ok(None) };
        let text = |key: &str| seccomp[key].as_str().unwrap_or_default().to_owned();
        let notifies = |action: &Json| action.as_str() == Some("SCMP_ACT_NOTIFY");
        let rules = seccomp["syscalls"].as_array().into_iter().flatten();
        let asks = notifies(&seccomp["defaultAction"]) || rules.into_iter().any(|rule| notifies(&rule["action"]));
        let (path, metadata) = (text("listenerPath"), text("listenerMetadata"));
        match (path.as_str(), metadata.is_empty()) {
            ("", true) => Ok(None),
            ("", false) => {
                Err(Failure::at("linux.seccomp.listenerMetadata", "there is no listenerPath that it is for"))
            }
            (other, _) if !other.starts_with('/') => Err(Failure::at(FIELD, format!("{path:?} is not absolute"))),
            _ => Ok(Some(Notify { path: path.into(), version: spec.oci_version.clone(), metadata, asks })),
        }
    }

    /// Looks whether somebody is there, if anything is asked, without a connection that an agent would have to do something with.
    pub(crate) fn look(&self) -> Result<()> {
        if self.asks { sockets::is_of_somebody(FIELD, &self.path) } else { Ok(()) }
    }

    /// The specification's "container process state": one a connection, with the listener.
    pub(crate) fn send(&self, listener: &OwnedFd, pid: u32, state: &Json) -> Result<()> {
        let mut told = json!({ "ociVersion": self.version, "fds": ["seccompFd"], "pid": pid, "state": state });
        if !self.metadata.is_empty() {
            told["metadata"] = json!(self.metadata);
        }
        let socket = sockets::of_caller(FIELD, &self.path)?;
        sockets::send_text(&socket, listener.as_fd(), &told.to_string())
            .map_err(|failure| Failure::at(FIELD, format!("{}: {failure}", self.path.display())))
    }
}
