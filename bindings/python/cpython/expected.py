"""Where seclude deviates from what CPython's own tests want, and why: docs/python.md says the same to people."""

_PREEXEC = "preexec_fn is refused: nothing of Python runs in the child"
_FORK_EXEC = "replaces subprocess._fork_exec, which is not called"
_GROUP = "process_group is refused"
_WAITPID = "replaces os.waitpid, or traces the child: the end is read from the pidfd"
_TRANSPORT = "replaces, or looks into, asyncio's own transport, which is not used"
_WATCHER = "needs no child watcher, so that an inactive one is no error"
_TMP = "its file is in the host's /tmp, which the sandbox does not show"
_READ = "writes to its stdin, a file, which the sandbox's command has to read alone"

#: May go either way: CPython's own has a fixed time in it, which a busy machine exceeds.
EITHER = {"POSIXProcessTestCase.test_leak_fast_process_del_killed"}

EXPECTED = {
    "test.test_subprocess": {
        "POSIXProcessTestCase.test_close_fds_after_preexec": _PREEXEC,
        "POSIXProcessTestCase.test_exception_errpipe_bad_data": _FORK_EXEC,
        "POSIXProcessTestCase.test_exception_errpipe_normal": _FORK_EXEC,
        "POSIXProcessTestCase.test_preexec": _PREEXEC,
        "POSIXProcessTestCase.test_preexec_errpipe_does_not_double_close_pipes": _PREEXEC,
        "POSIXProcessTestCase.test_preexec_exception": _PREEXEC,
        "POSIXProcessTestCase.test_preexec_fork_failure": _PREEXEC,
        "POSIXProcessTestCase.test_preexec_gc_module_failure": _PREEXEC,
        "POSIXProcessTestCase.test_process_group_0": _GROUP,
        "POSIXProcessTestCase.test_stopped": _WAITPID,
        "POSIXProcessTestCase.test_surrogates_error_message": _PREEXEC,
        "ProcessTestCase.test__use_vfork": _FORK_EXEC,
        "ProcessTestCaseNoPoll.test__use_vfork": _FORK_EXEC,
    },
    "test.test_asyncio.test_subprocess": {
        "GenericWatcherTests.test_create_subprocess_fails_with_inactive_watcher": _WATCHER,
        **{
            f"Subprocess{watcher}WatcherTests.{test}": _TRANSPORT
            for watcher in ("Fast", "Pidfd", "Safe", "Threaded")
            for test in ("test_pause_reading", "test_popen_error", "test_popen_error_with_stdin_pipe")
        },
    },
}

#: What deviates besides with the preset "sandbox".
SANDBOXED = {
    "test.test_subprocess": {
        "POSIXProcessTestCase.test_args_string": _TMP,
        "POSIXProcessTestCase.test_call_string": _TMP,
        "POSIXProcessTestCase.test_umask": _TMP,
        "POSIXProcessTestCase.test_swap_std_fds_with_one_closed": _READ,
    },
}
