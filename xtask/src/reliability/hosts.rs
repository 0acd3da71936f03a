//! What goes wrong on real hosts, and the tests that make it happen or show that it is recognised.

/// One kind of host.
pub(super) struct Host {
    pub(super) situation: &'static str,
    /// `FILE NAME` of each test.
    pub(super) tests: &'static [&'static str],
    /// What of it no test of ours can make.
    pub(super) untested: &'static str,
}

const fn host(situation: &'static str, tests: &'static [&'static str], untested: &'static str) -> Host {
    Host { situation, tests, untested }
}

pub(super) const HOSTS: [Host; 24] = [
    host(
        "AppArmor restricts unprivileged user namespaces (Ubuntu 23.10 and later)",
        &[
            "hosts the_restriction_of_user_namespaces_by_apparmor_is_told_with_a_ready_profile",
            "machine a_profile_of_apparmor_that_refuses_is_named_with_the_step_that_it_refused",
        ],
        "Ubuntu's own sysctl, which is imitated; what it refuses, a profile refuses in the virtual machines",
    ),
    host(
        "a container engine's seccomp filter: clone3 ENOSYS or EPERM; namespaces, mounts EPERM",
        &[
            "clone_ways where_a_filter_blocks_clone3_auto_takes_clone_and_says_so",
            "hosts a_filter_that_refuses_namespaces_is_named_and_clone3_alone_is_done_without",
            "hosts a_filter_that_refuses_mounts_is_named_with_the_call_that_it_refused",
            "hosts the_doctor_says_of_a_confined_caller_what_is_refused_and_what_is_done_instead",
            "engine the_filter_of_docker_is_told_with_what_to_give_the_outer_container",
            "engine a_privileged_container_takes_another_one_inside",
        ],
        "in Podman, with a profile that allows what Docker's does; not in Docker itself",
    ),
    host(
        "a security module of an outer container",
        &[
            "hosts a_filter_that_refuses_mounts_is_named_with_the_call_that_it_refused",
            "machine a_profile_of_apparmor_that_refuses_is_named_with_the_step_that_it_refused",
        ],
        "SELinux: its contexts are read from made-up text",
    ),
    host(
        "user namespaces are off, or as many as may be exist",
        &[
            "explain the_doctor_finds_a_host_ill_that_has_no_user_namespaces",
            "exhaustion where_namespaces_may_not_be_made_the_sysctl_is_named_and_no_disk_is_called_full",
            "machine debians_switch_of_user_namespaces_is_told_by_its_name",
        ],
        "a kernel without CONFIG_USER_NS",
    ),
    host(
        "no subordinate ids; a helper without privileges; a nested sandbox without CAP_SETFCAP",
        &[
            "hosts an_id_mapper_that_may_gain_no_privileges_is_told_apart_from_a_missing_range",
            "hosts a_sandboxs_root_without_the_capability_to_map_itself_is_told_which_it_is",
            "ids a_range_that_is_not_the_users_own_is_refused_by_name",
        ],
        "",
    ),
    host("gid_map before setgroups=deny", &["ids setgroups_is_denied_only_where_a_user_maps_nothing_but_itself"], ""),
    host(
        "cgroups read-only or not delegated",
        &[
            "hosts cgroups_that_are_read_only_are_an_error_only_if_a_limit_was_asked_for",
            "limits a_user_to_whom_nothing_is_delegated_is_told_what_to_do",
        ],
        "",
    ),
    host(
        "cgroup v2's rule against processes in inner cgroups",
        &["limits a_caller_in_an_inner_cgroup_is_moved_only_if_it_says_so"],
        "",
    ),
    host("a controller is not offered", &["hierarchies a_limit_whose_controller_is_nowhere_names_both"], ""),
    host(
        "no birth in the cgroup: joined by cgroup.procs before GO",
        &[
            "limits the_process_is_in_its_cgroup_whatever_way_it_was_cloned",
            "machine in_a_threaded_cgroup_a_limit_is_told_that_it_cannot_hold_and_one_that_is_preferred_is_left_out",
        ],
        "",
    ),
    host(
        "hybrid and legacy cgroups",
        &["hierarchies legacy_has_controllers_mounted_together", "limits every_report_is_what_its_schema_says"],
        "",
    ),
    host(
        "a /proc with submounts of an outer container",
        &[
            "hosts a_proc_that_an_outer_container_has_masked_is_told_with_what_lies_over_it",
            "engine the_masked_proc_of_an_engine_is_told_and_both_remedies_work",
        ],
        "",
    ),
    host(
        "a /proc that hides others' processes (hidepid), is read-only, or is not there; no /dev/null; a full /run",
        &[
            "hosts a_proc_that_hides_the_processes_of_others_is_no_obstacle",
            "hosts what_the_host_itself_lacks_is_named_and_not_what_it_was_for",
            "exhaustion a_full_tmp_is_in_nobodys_way_and_a_full_run_is_named_where_it_is_needed",
        ],
        "",
    ),
    host(
        "no mount_setattr (before Linux 5.12)",
        &[
            "mounts all_of_this_holds_without_mount_setattr",
            "root all_of_this_holds_without_mount_setattr",
            "hosts the_doctor_says_of_a_confined_caller_what_is_refused_and_what_is_done_instead",
        ],
        "",
    ),
    host(
        "overlay in a user namespace before Linux 5.11",
        &["machine a_kernel_whose_overlays_are_not_for_users_says_from_when_on_they_are"],
        "",
    ),
    host(
        "an upper directory that is on an overlay",
        &["cli_bad_input an_upper_directory_that_is_on_an_overlay_itself"],
        "NFS",
    ),
    host(
        "no veth, no CAP_NET_ADMIN, no tun, no pasta",
        &[
            "network without_rights_over_the_host_a_veth_pair_is_an_error_that_names_the_way_out",
            "network a_host_without_pasta_or_tun_says_so",
            "machine a_kernel_without_veth_says_so_and_a_network_that_is_preferred_is_left_out",
            "machine a_kernel_without_masquerading_says_so_where_a_network_needs_it",
            "machine a_kernel_without_tun_says_so_where_pasta_needs_it",
        ],
        "",
    ),
    host("locked flags of a bind", &["mounts a_read_only_bind_keeps_the_locked_flags_of_its_source"], ""),
    host(
        "pivot_root on an initramfs",
        &["hosts a_root_that_cannot_be_pivoted_is_told_to_be_a_ramfs"],
        "imitated by a filter",
    ),
    host(
        "a command, its ELF loader or its interpreter is missing",
        &["errors a_command_that_cannot_be_run_is_told_apart_from_one_that_is_missing"],
        "",
    ),
    host("a caller that ignores SIGCHLD", &["handle an_exit_code_survives_a_caller_that_ignores_sigchld"], ""),
    host(
        "RLIMIT_NPROC, RLIMIT_NOFILE, RLIMIT_FSIZE, pids.max, memory.max of the caller",
        &[
            "exhaustion a_user_with_too_many_processes_is_told_of_its_limit",
            "exhaustion a_caller_whose_cgroup_is_full_is_told_which_it_is",
            "exhaustion a_container_that_takes_the_last_memory_of_its_callers_cgroup_is_killed_and_not_the_caller",
            "exhaustion with_too_few_descriptors_the_limit_is_named_and_nothing_stays_open",
            "exhaustion a_caller_that_may_write_no_files_is_told_and_not_killed",
        ],
        "",
    ),
    host(
        "vm.overcommit_memory=2",
        &["machine where_the_machine_promises_no_more_than_it_has_a_large_caller_can_start_what_it_could_not_copy"],
        "",
    ),
    host("a fixed RLIMIT_AS", &["hosts no_resource_limit_is_set_that_was_not_asked_for"], ""),
];

#[cfg(test)]
mod tests {
    use super::HOSTS;

    #[test]
    fn every_host_has_a_test_or_a_reason_why_not() {
        for host in &HOSTS {
            assert!(!host.tests.is_empty() || !host.untested.is_empty(), "{}", host.situation);
            for test in host.tests {
                assert_eq!(test.split(' ').count(), 2, "{test}");
            }
        }
    }
}
