//! What confines the calling process from outside, for refusals that have no other reason: a seccomp filter or a security
//! module answers with the same EPERM and EACCES as the rules of capabilities(7).

use std::fs;

/// What is found to be in force, and what to do about it; `None` if nothing is.
pub(crate) fn found() -> Option<String> {
    restricted_namespaces().or_else(profile).or_else(filter)
}

/// Ubuntu from 23.10 on: the namespace can be made, and what is in it may do next to nothing.
fn restricted_namespaces() -> Option<String> {
    let restricted = fs::read_to_string("/proc/sys/kernel/apparmor_restrict_unprivileged_userns").ok()?;
    (restricted.trim() == "1").then(|| {
        let program = std::env::current_exe().map_or_else(|_| "/path/to/program".into(), |path| path.display().to_string());
        format!(
            "AppArmor restricts user namespaces here: load the profile `profile seclude {program} flags=(unconfined) {{ \
             userns, }}` with apparmor_parser, or sysctl kernel.apparmor_restrict_unprivileged_userns=0"
        )
    })
}

fn profile() -> Option<String> {
    confining(&fs::read_to_string("/proc/self/attr/current").ok()?)
}

/// AppArmor's `NAME (enforce)`, SELinux' `user:role:type:level`.
fn confining(label: &str) -> Option<String> {
    let label = label.trim_matches(['\0', '\n', ' ']);
    let free = label.is_empty() || label.starts_with("unconfined") || label.ends_with(":unconfined_t:s0");
    (!free).then(|| format!("the caller is confined by the security module's profile {label:?}: have it allow this"))
}

fn filter() -> Option<String> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let filtered = status.lines().any(|line| line.strip_prefix("Seccomp:").is_some_and(|mode| mode.trim() == "2"));
    filtered.then(|| {
        "the caller is under a seccomp filter; that of container engines refuses namespaces and mounts to whoever lacks \
         CAP_SYS_ADMIN: run the outer container with --security-opt seccomp=unconfined or a profile that allows clone3, \
         unshare, mount and the like"
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::confining;

    #[test]
    fn a_profile_that_confines_is_named_and_one_that_does_not_is_no_reason() {
        for free in ["", "\n", "unconfined\n", "unconfined_u:unconfined_r:unconfined_t:s0\0"] {
            assert_eq!(confining(free), None, "{free:?}");
        }
        for (label, named) in [
            ("docker-default (enforce)\n", "docker-default"),
            ("system_u:system_r:container_t:s0:c1,c2\0", "container_t"),
        ] {
            let said = confining(label);
            assert!(said.as_deref().is_some_and(|said| said.contains(named) && !said.contains('\n')), "{said:?}");
        }
    }
}
