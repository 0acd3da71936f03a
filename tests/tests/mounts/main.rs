//! What is mounted or put into the tree, one kind a file.

mod binds;
mod devices;
mod kernel;
mod made;
mod targets;

use seclude::{Command, Mount, Namespace, Root};
use seclude_tests::{Scratch, busybox_root, role, run_again_without_mount_setattr, shell};

#[test]
fn helper_process() {
    match role().as_deref() {
        Some("pty") => devices::open_a_pseudoterminal(),
        Some(locked) => binds::bind_what_is_locked(locked.as_ref()),
        None => {}
    }
}

/// A command in a user, mount and pid namespace, in the host's tree.
fn contained(script: &str) -> Command {
    let mut command = shell(script);
    command.unshare(Namespace::User).unshare(Namespace::Mount).unshare(Namespace::Pid);
    command
}

/// Adds a mount, and the namespace that it is a view of.
fn add(command: &mut Command, mount: Mount) -> &mut Command {
    for (name, kind) in [("Sysfs", Namespace::Net), ("Mqueue", Namespace::Ipc)] {
        if format!("{mount:?}").contains(name) {
            command.unshare(kind);
        }
    }
    command.mount(mount)
}

/// The same in a small root of its own, which can be written.
fn in_root(root: &Scratch, script: &str) -> Command {
    let mut command = contained(script);
    command.root(Root::directory(root.path()));
    command
}

/// What a script says in a small root with these mounts.
fn says(mounts: impl IntoIterator<Item = Mount>, script: &str) -> String {
    let root = busybox_root("mounts");
    let mut command = in_root(&root, script);
    for mount in mounts {
        add(&mut command, mount);
    }
    seclude_tests::said(&command.output().unwrap())
}

/// A script that tells how a file cannot be written, if it cannot.
fn try_to_write(file: &str) -> String {
    format!("(echo x >> {file}) 2>&1 || true")
}

const READ_ONLY: &str = "Read-only file system";

#[test]
fn all_of_this_holds_without_mount_setattr() {
    run_again_without_mount_setattr(&["all_of_this"]);
}
