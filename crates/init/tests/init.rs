//! What the init promises, seen from the spawner and from the command.

mod support;

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::process::Stdio;

use rustix::io::Errno;
use rustix::process::Signal;
use rustix::pty::OpenptFlags;

use support::{
    DIRECTORY, EXECVE, INIT, INTERPRETER, Init, PID_NAMESPACE, Said, Temporary, children, command, eventually, failed,
    stat,
};

/// As PID 1, with a command that reads its standard input until that ends.
fn contained_cat() -> Init {
    let init = command(&["/bin/cat"]).through(PID_NAMESPACE).start();
    assert_eq!(init.says(), Said::Running);
    init
}

mod end_of_the_command {
    use super::*;

    #[test]
    fn its_exit_code_is_told_and_passed_through() {
        command(&["/bin/sh", "-c", "exit 0"]).start().ends_with(0);
        command(&["/bin/sh", "-c", "exit 7"]).start().ends_with(7);
        command(&["/bin/sh", "-c", "exit 255"]).start().ends_with(255);
    }

    #[test]
    fn as_pid_1_it_is_the_same() {
        let mut init = command(&["/bin/sh", "-c", "echo $PPID; exit 7"]).through(PID_NAMESPACE).start();
        assert_eq!(init.line(), "1");
        init.ends_with(7);
    }

    #[test]
    fn its_death_by_a_signal_is_told_and_becomes_128_and_the_number() {
        let mut init = command(&["/bin/sh", "-c", "kill -KILL $$"]).start();
        assert_eq!(init.says(), Said::Running);
        assert_eq!(init.says(), Said::Ended(Signal::KILL.as_raw()));
        assert_eq!(init.exit_code(), 128 + Signal::KILL.as_raw());
    }

    #[test]
    fn it_is_seen_where_sigchld_was_ignored_and_the_command_ignores_it_still() {
        let mut init =
            command(&["/bin/grep", "SigIgn", "/proc/self/status"]).through(&["env", "--ignore-signal=CHLD"]).start();
        let ignored = init.output();
        let ignored = u64::from_str_radix(ignored.trim().rsplit('\t').next().unwrap(), 16).unwrap();
        assert_ne!(ignored & 1 << (Signal::CHILD.as_raw() - 1), 0);
        init.ends_with(0);
    }
}

mod start_of_the_command {
    use super::*;

    #[test]
    fn it_gets_its_own_arguments_and_the_environment() {
        let argv = ["my name", "-c", "echo \"$0|$1|$SECLUDE_TEST\"", "zero", "one"];
        let mut init = command(&argv).candidates(&["/bin/sh"]).environment("SECLUDE_TEST", "two").start();
        assert_eq!(init.output(), "zero|one|two\n");
        init.ends_with(0);
    }

    #[test]
    fn it_gets_the_mask_it_was_given() {
        for mask in ["0", "200", "fffffffffffbfeff"] {
            let mut init = command(&["/bin/grep", "SigBlk", "/proc/self/status"]).mask(mask).start();
            // SIGKILL and SIGSTOP, bits 8 and 18, are clear in each of them.
            assert_eq!(init.output(), format!("SigBlk:\t{mask:0>16}\n"));
            init.ends_with(0);
        }
    }

    #[test]
    fn it_gets_no_descriptor_of_the_init() {
        let mut init = command(&["/bin/ls", "-l", "/proc/self/fd"]).start();
        let descriptors = init.output();
        assert!(descriptors.contains("pipe:"), "its own are there: {descriptors}");
        assert!(!descriptors.contains(&format!("socket:[{}]", init.socket_inode())), "{descriptors}");
        assert!(!descriptors.contains("signalfd"), "{descriptors}");
        init.ends_with(0);
    }

    #[test]
    fn missing_candidates_are_passed_over() {
        let mut init = command(&["sh", "-c", "exit 7"])
            .candidates(&["/nonexistent/sh", "/etc/passwd/sh", "/etc/passwd", "/bin/sh"])
            .start();
        init.ends_with(7);
    }
}

mod command_that_cannot_start {
    use super::*;

    #[test]
    fn a_missing_one_is_enoent_of_execve() {
        let mut init = command(&["sh"]).candidates(&["/nonexistent/sh", "/etc/passwd/sh"]).start();
        assert_eq!(init.says(), failed(EXECVE, Errno::NOENT));
        init.has_failed();
    }

    #[test]
    fn no_candidate_at_all_is_enoent_too() {
        let mut init = command(&["sh"]).candidates(&[]).start();
        assert_eq!(init.says(), failed(EXECVE, Errno::NOENT));
        init.has_failed();
    }

    #[test]
    fn a_symlink_that_leads_nowhere_is_enoent_of_execve() {
        let link = Temporary::symlink("dangling", "/nonexistent");
        let mut init = command(&["sh"]).candidates(&[link.name()]).start();
        assert_eq!(init.says(), failed(EXECVE, Errno::NOENT));
        init.has_failed();
    }

    #[test]
    fn a_forbidden_one_is_remembered_over_those_that_are_missing() {
        let mut init = command(&["sh"]).candidates(&["/nonexistent/a", "/etc/passwd", "/nonexistent/b"]).start();
        assert_eq!(init.says(), failed(EXECVE, Errno::ACCESS));
        init.has_failed();
    }

    #[test]
    fn a_directory_is_told_as_one() {
        let mut init = command(&["/etc"]).start();
        assert_eq!(init.says(), failed(DIRECTORY, Errno::ACCESS));
        init.has_failed();
    }

    #[test]
    fn any_other_error_ends_the_search() {
        let content = "neither a script nor a program\n";
        let text = Temporary::executable("no-program", content);
        let mut init = command(&["true"]).candidates(&[text.name(), "/bin/true"]).start();
        assert_eq!(init.says(), failed(EXECVE, Errno::NOEXEC));
        assert_eq!(init.says(), Said::Bytes(content.into()));
        init.has_failed();
    }

    #[test]
    fn a_missing_interpreter_comes_with_the_beginning_of_the_script() {
        let content = "#!/nonexistent/interpreter\necho\n";
        let script = Temporary::executable("script", content);
        let mut init = command(&["script"]).candidates(&[script.name(), "/bin/true"]).start();
        assert_eq!(init.says(), failed(INTERPRETER, Errno::NOENT));
        assert_eq!(init.says(), Said::Bytes(content.into()));
        init.has_failed();
    }

    #[test]
    fn of_a_long_script_come_the_first_2040_bytes() {
        let content = format!("#!/nonexistent/interpreter\n{}", "#".repeat(5000));
        let script = Temporary::executable("long-script", &content);
        let mut init = command(&["script"]).candidates(&[script.name()]).start();
        assert_eq!(init.says(), failed(INTERPRETER, Errno::NOENT));
        assert_eq!(init.says(), Said::Bytes(content[..2040].into()));
        init.has_failed();
    }
}

mod init_that_cannot_start {
    use super::*;

    #[test]
    fn a_refused_call_of_its_own_has_a_number_of_its_own() {
        let no_descriptors: &[&str] = &["prlimit", "--nofile=3:3"];
        let mut init = command(&["/bin/true"]).through(no_descriptors).start();
        assert_eq!(init.says(), failed(INIT, Errno::MFILE));
        init.has_failed();

        let mut init = command(&["/bin/true"]).calls("45:46:47").through(no_descriptors).start();
        assert_eq!(init.says(), failed(EXECVE, Errno::MFILE));
        init.has_failed();
    }

    #[test]
    fn an_order_it_does_not_understand_ends_it_without_a_word() {
        command(&["/bin/true"]).flags("y").start().has_failed();
        command(&["/bin/true"]).mask("g").start().has_failed();
        command(&["/bin/true"]).mask("10000000000000000").start().has_failed();
        command(&["/bin/true"]).calls("45:46").start().has_failed();
        command(&["/bin/true"]).calls("45:46:256").start().has_failed();
        command(&["/bin/true"]).calls("").start().has_failed();
    }
}

mod signals {
    use super::*;

    #[test]
    fn each_sent_to_the_init_reaches_the_command() {
        for signal in [Signal::TERM, Signal::HUP, Signal::INT, Signal::USR1, Signal::PIPE, Signal::ALARM] {
            let mut init = command(&["/bin/cat"]).start();
            assert_eq!(init.says(), Said::Running);
            init.send(signal);
            assert_eq!(init.says(), Said::Ended(signal.as_raw()));
            assert_eq!(init.exit_code(), 128 + signal.as_raw());
        }
    }

    #[test]
    fn one_sent_to_pid_1_from_inside_reaches_the_command() {
        let mut init = command(&["/bin/sh", "-c", "kill -TERM 1; cat"]).through(PID_NAMESPACE).start();
        assert_eq!(init.says(), Said::Running);
        assert_eq!(init.says(), Said::Ended(Signal::TERM.as_raw()));
        assert_eq!(init.exit_code(), 128 + Signal::TERM.as_raw());
    }

    #[test]
    fn a_command_that_is_stopped_has_not_ended_and_can_be_continued() {
        let mut init = command(&["/bin/cat"]).start();
        assert_eq!(init.says(), Said::Running);
        init.send(Signal::TSTP);
        eventually("the command is stopped", || matches!(children(init.pid())[..], [(_, 'T')]));
        init.send(Signal::CONT);
        init.write("still here\n");
        assert_eq!(init.line(), "still here");
        assert!(init.is_silent());
        init.close_stdin();
        assert_eq!(init.says(), Said::Ended(0));
    }
}

mod orphans {
    use super::*;

    const COUNT: usize = 40;

    #[test]
    fn they_become_children_of_pid_1_and_none_stays_a_zombie() {
        // Each waits for the end of the standard input; the command itself stops, so that it takes no time.
        let script = format!(
            "exec 3<&0; i=0; while [ $i -lt {COUNT} ]; do ( ( read line <&3 ) & ); i=$((i + 1)); done; \
             exec 3<&- </dev/null; echo ready; kill -STOP $$"
        );
        let mut unshare = command(&["/bin/sh", "-c", &script]).through(PID_NAMESPACE).start();
        assert_eq!(unshare.says(), Said::Running);
        assert_eq!(unshare.line(), "ready");
        let [(init, _)] = children(unshare.pid())[..] else { panic!("unshare has one child") };
        assert_eq!(children(init).len(), 1 + COUNT);

        unshare.close_stdin();
        eventually("the command is the init's only child", || children(init).len() == 1);
        assert!(unshare.is_silent(), "the end of others is not told");
    }
}

mod spawner {
    use super::*;

    #[test]
    fn when_it_hangs_up_the_container_is_killed() {
        let mut init = contained_cat();
        init.hang_up();
        // Its standard input is still open: only the kernel can have ended it.
        assert_eq!(init.output(), "");
        assert_eq!(init.exit_code(), 137);
    }

    #[test]
    fn when_it_hangs_up_on_a_detached_container_that_lives_on() {
        // Each signal goes through the init: the second one only if it has survived the turn in which it saw the end.
        let script = "seen=0; trap 'seen=$((seen + 1))' USR1; echo ready; read line; \
                      kill -USR1 1; while [ $seen -lt 1 ]; do :; done; \
                      kill -USR1 1; while [ $seen -lt 2 ]; do :; done; echo alive; read line; exit 7";
        let mut init = command(&["/bin/sh", "-c", script]).flags("d").through(PID_NAMESPACE).start();
        assert_eq!(init.says(), Said::Running);
        assert_eq!(init.line(), "ready");
        init.hang_up();
        init.write("go\n");
        assert_eq!(init.line(), "alive");
        init.close_stdin();
        assert_eq!(init.exit_code(), 7);
    }
}

mod descriptors {
    use super::*;

    #[test]
    fn the_init_keeps_no_standard_output_open() {
        let mut init = command(&["/bin/sh", "-c", "echo first; exec >&-; read line; exit 7"]).start();
        assert_eq!(init.says(), Said::Running);
        assert_eq!(init.output(), "first\n");
        assert!(init.is_silent(), "the command runs on");
        init.close_stdin();
        assert_eq!(init.says(), Said::Ended(7 << 8));
    }

    #[test]
    fn those_of_the_init_belong_to_root_and_those_of_the_command_to_its_user() {
        // That is how /proc shows a process that is not dumpable. Root is made somebody else to see the difference.
        let root = rustix::process::geteuid().is_root();
        let somebody: &[&str] =
            if root { &["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] } else { &[] };
        let user = if root { 65534 } else { rustix::process::geteuid().as_raw() };

        let init = command(&["/bin/cat"]).through(somebody).start();
        assert_eq!(init.says(), Said::Running);
        // With hidepid, what is not the user's to trace is not even there.
        let owner = |pid: rustix::process::Pid| fs::metadata(format!("/proc/{pid}/fd")).map_or(0, |found| found.uid());
        let [(cat, _)] = children(init.pid())[..] else { panic!("the init has one child") };
        assert_eq!(owner(init.pid()), 0);
        assert_eq!(owner(cat), user);
    }
}

mod terminal {
    use super::*;

    /// The end that a terminal emulator holds, and the one that a command gets.
    fn open() -> (File, File) {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = rustix::pty::openpt(flags).unwrap();
        rustix::pty::grantpt(&master).unwrap();
        rustix::pty::unlockpt(&master).unwrap();
        let slave = rustix::pty::ioctl_tiocgptpeer(&master, flags).unwrap();
        (master.into(), slave.into())
    }

    const SESSION: &[&str] = &["setsid", "--ctty"];

    #[test]
    fn the_command_leads_its_foreground() {
        let (_master, slave) = open();
        let mut init = command(&["/bin/cat", "/proc/self/stat"]).flags("t").through(SESSION).stdin(slave).start();
        let line = init.output();
        let pid = line.split(' ').next().unwrap();
        let fields = stat(&line);
        let (group, foreground) = (fields[2], fields[5]);
        assert_eq!((group, foreground), (pid, pid));
        init.ends_with(0);
    }

    #[test]
    fn without_the_flag_the_command_leads_a_group_in_the_background() {
        let (_master, slave) = open();
        let mut init = command(&["/bin/cat", "/proc/self/stat"]).through(SESSION).stdin(slave).start();
        let line = init.output();
        let pid = line.split(' ').next().unwrap();
        let fields = stat(&line);
        let (group, foreground) = (fields[2], fields[5]);
        assert_eq!(group, pid);
        assert_ne!(foreground, pid);
        init.ends_with(0);
    }

    #[test]
    fn ctrl_c_interrupts_the_command() {
        let (mut master, slave) = open();
        let mut init = command(&["/bin/cat"]).flags("t").through(SESSION).stdin(slave).start();
        assert_eq!(init.says(), Said::Running);
        master.write_all(b"\x03").unwrap();
        assert_eq!(init.says(), Said::Ended(Signal::INT.as_raw()));
        assert_eq!(init.exit_code(), 128 + Signal::INT.as_raw());
    }

    #[test]
    fn the_command_leads_it_also_where_it_has_no_descriptor_of_it() {
        let (_master, slave) = open();
        let without: &[&str] = &["setsid", "--ctty", "sh", "-c", "exec < /dev/null; exec \"$@\"", "sh"];
        let mut init = command(&["/bin/cat", "/proc/self/stat"]).flags("t").through(without).stdin(slave).start();
        let line = init.output();
        let pid = line.split(' ').next().unwrap();
        let fields = stat(&line);
        assert_eq!((fields[2], fields[5]), (pid, pid));
        init.ends_with(0);
    }

    #[test]
    fn where_there_is_none_the_wish_for_it_fails() {
        let mut init = command(&["/bin/true"]).flags("t").stdin(Stdio::null()).start();
        assert_eq!(init.says(), failed(INIT, Errno::NOTTY));
        init.has_failed();
    }
}
