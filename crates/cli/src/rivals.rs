//! Flags of other programs that do the like, which fingers know: what they are called here.

use clap::error::{ContextKind, ContextValue, ErrorKind};

const HERE: [(&[&str], &str); 24] = [
    (&["--volume"], "--bind SRC:DST"),
    (
        &["--ro-bind-try", "--bind-try", "--dev-bind", "--dev-bind-try"],
        "--bind SRC:DST or --ro-bind SRC:DST, in one word",
    ),
    (&["--chdir", "--cwd", "--pwd", "--work-dir"], "--workdir DIR"),
    (&["--setenv"], "--env NAME=VALUE"),
    (&["--unsetenv", "--clearenv"], "--clear-env; the sandbox hands on next to nothing by itself"),
    (&["--share-net"], "--net host"),
    (
        &[
            "--unshare-all",
            "--unshare-user",
            "--unshare-pid",
            "--unshare-net",
            "--unshare-ipc",
            "--unshare-uts",
            "--unshare-cgroup",
        ],
        "the sandbox, which has all of its namespaces anew; or --bare --unshare user,pid,mount,net,ipc,uts,cgroup",
    ),
    (&["--unshare-user-try", "--unshare-cgroup-try"], "--prefer, of what may be missing"),
    (&["--new-session", "--rm"], "the default"),
    (
        &["--die-with-parent"],
        "the default that the command ends with seclude; that ends with its own caller by the caller's word alone, as setpriv(1) has it",
    ),
    (&["-e"], "--env NAME=VALUE"),
    (&["-w"], "--workdir DIR"),
    (&["-u"], "--user UID[:GID]"),
    (&["-i"], "the default: stdin is the caller's; -t alone gives it a terminal"),
    (&["--interactive"], "the default: stdin is the caller's"),
    (
        &["--proc", "--dev"],
        "there by itself in the sandbox; with --bare --mount type=proc,dst=/proc or type=dev,dst=/dev",
    ),
    (&["--uid", "--gid"], "--user UID[:GID]"),
    (&["--network"], "--net HOW"),
    (&["--time_limit", "--time-limit", "--wall-time"], "--timeout DURATION"),
    (
        &["--overlay-src", "--tmp-overlay", "--ro-overlay"],
        "--overlay-mount lower=DIR,ephemeral,to=DST, or lower=DIR,upper=DIR,work=DIR,to=DST to keep what is written",
    ),
    (&["--seccomp-bpf", "--add-seccomp-fd"], "--seccomp FILE"),
    (&["--pids-limit"], "--pids N"),
    (&["--name"], "--hostname NAME; a container has none of its own, but its pid (--detach)"),
    (&["--privileged"], "--cap-add NAME, --nested or --preset host, by what it is wanted for"),
];

/// What is said instead of the parser's complaint, where it is about one of those.
pub(crate) fn hint(error: &clap::Error) -> Option<String> {
    if error.kind() != ErrorKind::UnknownArgument {
        return None;
    }
    let Some(ContextValue::String(given)) = error.get(ContextKind::InvalidArg) else { return None };
    let (_, here) = HERE.iter().find(|(names, _)| names.contains(&given.as_str()))?;
    Some(format!("{given}: no flag of seclude: here it is {here}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_to_be_a_flag_here_is_one_and_what_is_not_is_none() {
        let mut command = crate::tasks::command();
        command.build();
        let run = command.get_subcommands().find(|task| task.get_name() == "run").unwrap();
        let known: Vec<&str> = run.get_arguments().filter_map(clap::Arg::get_long).collect();
        for (theirs, here) in HERE {
            for name in theirs {
                assert!(!known.contains(&name.trim_start_matches("--")), "{name}");
            }
            for word in here.split([' ', ',', ';', ':']).filter(|word| word.starts_with("--")) {
                assert!(known.contains(&word.trim_start_matches("--")), "{word}");
            }
        }
    }
}
