//! Between a [`Command`] and the [`Request`] that says the same as data.

mod lower;
mod raise;

use seclude_request::{Request, Wrong};

use crate::command::Command;

impl Command {
    /// The command that `request` describes. Nothing is looked at on the host.
    ///
    /// A list of mounts that begins with the preset's own, as [`Command::request`] writes them out, names those and does not add them
    /// again.
    ///
    /// # Errors
    /// What cannot be meant, with its place in the request.
    pub fn from_request(request: &Request) -> Result<Command, Wrong> {
        request.check()?;
        lower::command(request)
    }

    /// What differs from its preset, as data. What is no data is left out: streams, descriptors for the command, a canceller.
    ///
    /// # Errors
    /// A source, a root or a namespace that was given as a descriptor: no text stands for it.
    pub fn request(&self) -> Result<Request, Wrong> {
        raise::request(self, false)
    }

    /// The same with all that the preset brings, so that one sees it, and can take it from there.
    ///
    /// # Errors
    /// As [`Command::request`].
    pub fn whole_request(&self) -> Result<Request, Wrong> {
        raise::request(self, true)
    }
}

#[cfg(test)]
mod tests {
    use seclude_request::Format;

    use super::*;
    use crate::config::cgroup::Cgroup;
    use crate::config::landlock::Landlock;
    use crate::config::mount::Mount;
    use crate::config::namespace::Namespace;
    use crate::config::network::{Dns, Veth};
    use crate::config::root::{Overlay, Root};
    use crate::host::Host;
    use crate::plan::Plan;

    fn plan(command: &Command) -> String {
        let plan = Plan::compile(command, &Host::current());
        plan.map_or_else(|error| error.to_string(), |plan| plan.to_string())
    }

    fn commands() -> Vec<Command> {
        let mut sandbox = Command::new("true");
        sandbox.sandbox();
        let mut shared = sandbox.clone();
        shared.share(Namespace::Net).share(Namespace::Pid).join(Namespace::Uts, "/proc/1/ns/uts").nested(true);
        let mut full = sandbox.clone();
        full.args(["a", "b"]).arg0("c").env_clear().env("A", "1").env_remove("B").current_dir("/usr").umask(0o77);
        full.root(Root::overlay(Overlay::new(["/"]).ephemeral())).hostname("box").as_pid_1().oom_score_adj(5);
        full.mount(Mount::bind("/usr", "/mnt").read_only().not_recursive().nosuid());
        full.mount(Mount::file("/etc/x", b"\xff".to_vec()).mode(0o600)).mount(Mount::symlink("/a", "/b"));
        full.mount(Mount::overlay(Overlay::new(["/a"]).upper("/u", "/w"), "/opt").read_only());
        full.veth(Veth::new().nat(false).mtu(1400)).dns(Dns::Unchanged).add_host("db", [10, 0, 0, 1].into());
        full.cgroup(Cgroup::new().parent("/ci").limits(seclude_cgroup::Limits::new().pids_max(5).cpu_max(0.5)));
        full.deadline(std::time::Duration::from_millis(1500)).terminal(24, 80).host_root();
        let mut bare = Command::new("true");
        bare.unshare(Namespace::User).unshare(Namespace::Mount).mount(Mount::tmpfs("/tmp").size(5)).uid(0);
        let mut alone = Command::new("true");
        alone.no_namespaces().rw("/srv").env("HOME", "/").env_remove("TMPDIR").die_with_parent(false);
        bare.landlock(Landlock::new().ro("/usr").rw("/tmp").exec("/usr").connect([443]).bind([]).scope_signals());
        vec![sandbox, shared, full, bare, alone, Command::new("true")]
    }

    #[test]
    fn what_is_written_down_is_the_same_command_again() {
        for command in commands() {
            let request = command.request().unwrap();
            for request in [&request, &command.whole_request().unwrap()] {
                let again = Command::from_request(request).unwrap();
                assert_eq!(plan(&again), plan(&command), "{}", request.to_json());
                let toml = Request::parse(request.to_toml().unwrap().as_bytes(), Format::Toml);
                assert_eq!(toml.as_ref(), Ok(request));
            }
            let again = Command::from_request(&request).unwrap();
            assert_eq!(again.request().as_ref(), Ok(&request));
        }
    }

    #[test]
    fn a_preset_is_written_out_in_whole_and_read_without_being_doubled() {
        let mut command = Command::new("true");
        command.sandbox();
        let whole = command.whole_request().unwrap();
        assert!(whole.mounts.len() > 10 && whole.namespaces.pid.is_some());
        assert_eq!(Command::from_request(&whole).unwrap().config.mounts.len(), command.config.mounts.len());
        assert!(command.request().unwrap().mounts.is_empty());
    }

    #[test]
    fn what_is_open_as_a_descriptor_is_no_data() {
        let file = std::fs::File::open("/").unwrap();
        let mut command = Command::new("true");
        command.mount(Mount::bind_fd(file, "/mnt"));
        assert_eq!(command.request().unwrap_err().field.to_string(), "mounts[0].source");
    }
}
