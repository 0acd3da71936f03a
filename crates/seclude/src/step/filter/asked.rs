//! The filter, asked: what it would answer to a call, as far as that is known before a start.

use super::*;
use crate::step::nesting;

/// What answers, in the order in which the kernel asks: the stricter one counts.
pub(crate) struct Asked {
    /// What it can be; more than one where that depends on what the command is handed.
    pub(crate) judges: Vec<Judge>,
    /// A finished program that comes second.
    pub(crate) finished: Option<Code>,
    /// What it is, in words.
    pub(crate) what: String,
}

/// `None`: there is no filter.
pub(crate) fn asked(command: &Config, host: &Host) -> Result<Option<Asked>> {
    let Some(mut filter) = filter(command, host, &ByFilter::default(), &Anew::default())? else { return Ok(None) };
    let from_file = match &filter.seccomp.from {
        From::File(path) => Some(read(path, &filter.seccomp, filter.depends)?),
        _ => None,
    };
    // What it is handed is known when it starts: descriptors that may be files, or directories.
    let [files, places] = filter.with;
    let mut refused = vec![filter.refused, files];
    // With a tree of its own it is handed no directory (`Confinement::allows`).
    refused.extend((!command.namespaces.is_new(Namespace::Mount)).then_some(places));
    refused.dedup();
    let said = filter.said().unwrap_or_default();
    let is_bare = matches!(filter.base, Base::Nothing);
    let what = if is_bare { format!("the filter ({said})") } else { said };
    let mut judges = Vec::new();
    let mut finished = None;
    for mut refused in refused {
        refused.user_namespaces |= nesting::needs_filter(command);
        filter.refused = refused;
        let base = from_file.as_ref().unwrap_or(&filter.base);
        let (programs, profile) = filter.compiled(base)?;
        if let Base::Finished(program) = base {
            finished = Some(program.clone());
        }
        // With nothing to refuse there is no program.
        let program = programs.first().cloned().unwrap_or_else(|| refused.program());
        let profile =
            profile.unwrap_or_else(|| if refused.is_empty() { Profile::unlimited() } else { refused.profile() });
        judges.push(filter.judge(program, profile));
    }
    Ok(Some(Asked { judges, finished, what }))
}
