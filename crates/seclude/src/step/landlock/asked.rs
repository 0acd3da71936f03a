//! The rules of paths, asked: what of files the command may open, as far as that is known before a start.

use super::*;

/// What it opens.
pub(crate) enum Granted {
    /// A path inside.
    Path(PathBuf),
    /// What is open, of the host.
    Opened(OwnedFd),
}

/// The rules of paths.
pub(crate) struct Grants {
    /// The rights that are closed but for these.
    pub(crate) handled: u64,
    pub(crate) rules: Vec<(Granted, u64)>,
    /// Whether there is a rule of its own directory, of the host, which is not there before.
    pub(crate) alone: bool,
}

/// `None`: no right to files is closed.
pub(crate) fn grants(command: &Config, host: &Host) -> Result<Option<Grants>> {
    if !command.is_landlocked() {
        return Ok(None);
    }
    let rules = rules(command, host, &own_directory::Made::default())?;
    if rules.files == 0 {
        return Ok(None);
    }
    let mut granted: Vec<(Granted, u64)> = Vec::new();
    if let Some(host_files) = &rules.host_files {
        granted.extend(host_files.open()?.into_iter().map(|opened| (Granted::Opened(opened.file), opened.access)));
    }
    granted.extend(rules.paths.iter().map(|rule| (Granted::Path(rule.path.clone()), rule.access)));
    Ok(Some(Grants { handled: rules.files, rules: granted, alone: rules.host_files.is_some() }))
}
