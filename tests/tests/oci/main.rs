//! `seclude-oci`, as engines call it: what a container is, from its creation to its end, and what is refused.

mod as_others;
mod bad_input;
mod cgroups;
mod concurrent;
mod configuration;
mod conformance;
mod crash;
mod hooks;
mod idmapped;
mod lifecycle;
mod many;
mod net_devices;
mod notify;
mod options;
mod places;
mod preserved;
mod recorded;
mod relied_on;
mod roots;
mod systemd;
mod terminal;

/// As before Linux 5.12, where there are no id-mapped mounts. (What counts filters, or asks for no_new_privs, finds the one that stands in for such a
/// kernel.)
#[test]
fn all_of_this_holds_without_mount_setattr() {
    // What is not about mounts.
    const OTHERS: [&str; 15] = [
        "as_others",
        "bad_input",
        "cgroups",
        "concurrent",
        "conformance",
        "crash",
        "hooks",
        "lifecycle",
        "many",
        "net_devices",
        "notify",
        "preserved",
        "recorded",
        "systemd",
        "terminal",
    ];
    let skipped = [
        "all_of_this",
        "idmapped",
        "a_mount_under_the_containers_ids",
        "system_calls_are_filtered",
        "its_ids_limits_and_rights",
    ];
    seclude_tests::run_again_without_mount_setattr(&[&OTHERS[..], &skipped].concat());
}
