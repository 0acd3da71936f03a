//! What confines the calling process from outside, for refusals that have no other reason: a seccomp filter or a security
//! module answers with the same EPERM and EACCES as the rules of capabilities(7).

use std::fs;

use crate::config::capability::Capability;

/// All that is found to be in force, as any of it may be what refused, and what to do about it; `None` if nothing is.
pub(crate) fn found() -> Option<String> {
    let label = fs::read_to_string("/proc/self/attr/current").unwrap_or_default();
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let reasons: Vec<String> =
        [restriction(&label, &status), confining(&label), filter(&status)].into_iter().flatten().collect();
    (!reasons.is_empty()).then(|| reasons.join("; and "))
}

/// Ubuntu from 23.10 on: the namespace can be made, and what is in it may do next to nothing. That is for whoever has
/// neither a profile nor CAP_SYS_ADMIN.
fn restriction(label: &str, status: &str) -> Option<String> {
    let restricted = fs::read_to_string("/proc/sys/kernel/apparmor_restrict_unprivileged_userns").ok()?;
    (restricted.trim() == "1" && is_restricted(label, status)).then(|| {
        let program = std::env::current_exe().map_or_else(|_| "/path/to/program".into(), |path| path.display().to_string());
        format!(
            "AppArmor restricts user namespaces here: load the profile `profile seclude {program} flags=(unconfined) {{ \
             userns, }}` with apparmor_parser, or sysctl kernel.apparmor_restrict_unprivileged_userns=0"
        )
    })
}

fn is_restricted(label: &str, status: &str) -> bool {
    let effective = field(status, "CapEff:").and_then(|set| u64::from_str_radix(set, 16).ok()).unwrap_or(0);
    ["", "unconfined"].contains(&trimmed(label)) && effective & Capability::SYS_ADMIN.bit() == 0
}

/// AppArmor's `NAME (MODE)`, SELinux' `user:role:type:level`.
fn confining(label: &str) -> Option<String> {
    let label = trimmed(label);
    let free = label.is_empty()
        || label.starts_with("unconfined")
        || label.contains(":unconfined_")
        || [" (complain)", " (unconfined)"].iter().any(|mode| label.ends_with(mode));
    (!free).then(|| format!("the caller is confined by the security module's profile {label:?}: have it allow this"))
}

fn trimmed(label: &str) -> &str {
    label.trim_matches(['\0', '\n', ' '])
}

fn filter(status: &str) -> Option<String> {
    (field(status, "Seccomp:") == Some("2")).then(|| {
        "the caller is under a seccomp filter; that of container engines refuses namespaces and mounts to whoever lacks \
         CAP_SYS_ADMIN: run the outer container with --security-opt seccomp=unconfined or a profile that allows clone3, \
         unshare, mount and the like"
            .to_owned()
    })
}

/// What a line of /proc/PID/status says.
fn field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_that_confines_is_named_and_one_that_does_not_is_no_reason() {
        for free in [
            "",
            "\n",
            "unconfined\n",
            "seclude (unconfined)\n",
            "browser (complain)\n",
            "unconfined_u:unconfined_r:unconfined_t:s0-s0:c0.c1023\0",
            "system_u:system_r:unconfined_service_t:s0\0",
        ] {
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

    #[test]
    fn namespaces_are_restricted_for_whoever_has_neither_a_profile_nor_privileges() {
        let none = "Name:\tx\nCapEff:\t0000000000000000\nSeccomp:\t0\n";
        let all = "Name:\tx\nCapEff:\t000001ffffffffff\nSeccomp:\t0\n";
        assert!(is_restricted("unconfined\n", none) && is_restricted("", none));
        assert!(!is_restricted("unconfined\n", all));
        for label in ["docker-default (enforce)\n", "seclude (unconfined)\n"] {
            assert!(!is_restricted(label, none), "{label}");
        }
    }
}
