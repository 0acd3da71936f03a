//! What the command finds as its own: arguments, environment, limits, rights, descriptors, terminal, signals, init.

mod basics;
mod descriptors;
mod init;
mod limits;
mod rights;
mod signals;
mod terminal;

use seclude::{Command, Namespace};
use seclude_tests::{role, said, shell, status_field};

#[test]
fn helper_process() {
    match role().as_deref() {
        Some("open-files") => limits::open_files(),
        Some("inheritable") => rights::spawn_with_inheritable_capabilities(),
        Some("ignored-and-blocked") => signals::spawn_with_signals_ignored_and_blocked(),
        Some(role) => panic!("no role {role}"),
        None => {}
    }
}

/// A command in a user, mount and pid namespace.
fn contained(script: &str) -> Command {
    let mut command = shell(script);
    command.unshare(Namespace::User).unshare(Namespace::Mount).unshare(Namespace::Pid);
    command
}

/// A command that shows its /proc/self/status.
fn status() -> Command {
    let mut command = Command::new("/bin/cat");
    command.arg("/proc/self/status").unshare(Namespace::User);
    command
}

fn field(command: &mut Command, name: &str) -> String {
    status_field(&said(&command.output().unwrap()), name).to_owned()
}
