//! Nodes without virtual machines: namespaces, and an overlay over one Debian for each, joined by a bridge in a network namespace of its own.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::super::image;
use crate::workspace::run;

/// A script joins the cgroups of a node one by one: the namespace of them does not.
const JOIN: &str = "for file in /sys/fs/cgroup/*/cgroup.procs; do echo 0 > $file; done; exec timeout --kill-after=5 \"$0\" sh -c \"$1\"";

pub(super) const NODES: [u32; 3] = [1, 2, 3];

/// All of it goes when this does, or when this process is killed.
pub(super) struct Nodes {
    path: PathBuf,
    root: PathBuf,
    cgroup: String,
    keeper: Child,
    /// The first process of the namespaces that the nodes are in.
    outside: String,
}

impl Nodes {
    pub(super) fn start(root: &Path, runtime: &Path) -> Result<Nodes> {
        let unified = Path::new("/sys/fs/cgroup/cgroup.controllers");
        ensure!(
            !unified.exists(),
            "nodes are made of cgroups of v1 alone: on v2 the first process of a node has to stand below its root"
        );
        let own = std::process::id();
        let path = std::env::temp_dir().join(format!("seclude-cluster-{own}"));
        let cgroup = format!("seclude-test-cluster-{own}");
        let share = path.join("share");
        fs::create_dir(&path).with_context(|| path.display().to_string())?;
        fs::create_dir_all(share.join("logs"))?;
        let keeper_script = path.join("keeper.sh");
        fs::write(&keeper_script, include_str!("keeper.sh"))?;
        fs::write(path.join("node.sh"), include_str!("node.sh"))?;
        let mut keeper = Command::new("sh");
        keeper.arg(&keeper_script).arg(&path).arg(&cgroup).current_dir("/");
        // Ctrl-C on a terminal is for this process; the keeper has its work then.
        keeper.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut keeper = keeper.spawn()?;
        let mut outside = String::new();
        BufReader::new(keeper.stdout.as_mut().context("a pipe")?).read_line(&mut outside)?;
        let outside = outside.trim().to_owned();
        let nodes = Nodes { path, root: root.to_owned(), cgroup, keeper, outside };
        ensure!(!nodes.outside.is_empty(), "the namespaces of the nodes were not made");
        nodes.make_share(runtime)?;
        for number in NODES {
            nodes.start_node(number)?;
        }
        Ok(nodes)
    }

    fn make_share(&self, runtime: &Path) -> Result<()> {
        let share = self.share();
        fs::copy(runtime, share.join("seclude-oci"))?;
        // A file for each: three nodes writing one line each into one is one file too many to trust.
        let wrapper = "#!/bin/sh\necho \"$*\" >> \"/share/calls.$(hostname)\"\nexec /share/seclude-oci \"$@\"\n";
        fs::write(share.join("runtime"), wrapper)?;
        fs::set_permissions(share.join("runtime"), fs::Permissions::from_mode(0o755))?;
        image::make(&share)?;
        // What others than root run in there reaches all of it.
        fs::set_permissions(&self.path, fs::Permissions::from_mode(0o755))?;
        Ok(())
    }

    /// /share of all nodes.
    pub(super) fn share(&self) -> PathBuf {
        self.path.join("share")
    }

    pub(super) fn start_node(&self, number: u32) -> Result<()> {
        let pid = self.share().join(format!("node{number}.pid"));
        let _ = fs::remove_file(&pid);
        let log = fs::File::create(self.share().join(format!("logs/node{number}.log")))?;
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.outside, "--pid", "--mount", "--net", "--", "setsid"]);
        command.args([
            "unshare",
            "--mount",
            "--pid",
            "--uts",
            "--ipc",
            "--net",
            "--fork",
            "--propagation",
            "private",
            "--",
        ]);
        command
            .arg("sh")
            .arg(self.path.join("node.sh"))
            .arg(&self.path)
            .arg(number.to_string())
            .arg(&self.root)
            .arg(&self.cgroup);
        // It ends with the first process of the namespaces, as all in there do.
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).process_group(0).spawn()?;
        self.soon(Duration::from_secs(20), &format!("node {number}"), || Ok(pid.exists()))?;
        let first = self.first(number)?;
        let script = format!(
            "ip link add p{number} type veth peer name eth0 netns {first} && ip link set p{number} master br0 up"
        );
        self.switch(&script)?;
        let script = format!(
            "ip link set lo up && ip address add 10.77.0.{number}/24 dev eth0 && ip link set eth0 up && ip route add default via 10.77.0.254"
        );
        let (code, said) = self.shell(number, 10, &script)?;
        ensure!(code == 0, "node {number}: {script}: {said}");
        Ok(())
    }

    /// The number of a node's first process.
    fn first(&self, number: u32) -> Result<String> {
        Ok(fs::read_to_string(self.share().join(format!("node{number}.pid")))?.trim().to_owned())
    }

    /// As when its power goes.
    pub(super) fn kill_node(&self, number: u32) -> Result<()> {
        let first = self.first(number)?;
        run(Command::new("kill").args(["-KILL", &first]))?;
        let gone = || Ok(!Path::new("/proc").join(&first).exists());
        self.soon(Duration::from_secs(20), &format!("the end of node {number}"), gone)
    }

    /// Takes its cable out, or puts it back.
    pub(super) fn connect_node(&self, number: u32, connected: bool) -> Result<()> {
        self.switch(&format!("ip link set p{number} {}", if connected { "up" } else { "down" }))
    }

    /// A script where the bridge is.
    fn switch(&self, script: &str) -> Result<()> {
        run(Command::new("nsenter").args(["--target", &self.outside, "--net", "--", "sh", "-c", script]))
    }

    /// A script on a node, ended after so many seconds: its exit code, and what it said.
    pub(super) fn shell(&self, number: u32, seconds: u32, script: &str) -> Result<(i32, String)> {
        let mut command = Command::new("nsenter");
        let first = self.first(number)?;
        command.args(["--target", &first, "--mount", "--pid", "--net", "--uts", "--ipc", "--cgroup", "--"]);
        command.args(["sh", "-c", JOIN, &seconds.to_string(), script]).env_clear();
        command
            .env("PATH", "/share/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .env("LC_ALL", "C");
        command.env("HOME", "/root").env("KUBECONFIG", "/share/kubeconfig");
        let Output { status, stdout, stderr } = command.stdin(Stdio::null()).output()?;
        let said = String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned();
        Ok((status.code().unwrap_or(-1), said))
    }

    /// The same where it must succeed.
    pub(super) fn must(&self, number: u32, seconds: u32, script: &str) -> Result<String> {
        match self.shell(number, seconds, script)? {
            (0, said) => Ok(said),
            (code, said) => bail!("node {number}: {script}: {code}: {said}"),
        }
    }

    /// Starts what stays, with all that it says in a file of its name in the share.
    pub(super) fn daemon(&self, number: u32, name: &str, words: &str) -> Result<()> {
        // No more files than root may have here without CAP_SYS_RESOURCE.
        let script = format!("ulimit -n 20000; setsid {words} > /share/logs/{name}{number}.log 2>&1 < /dev/null &");
        self.must(number, 10, &script).map(drop)
    }

    /// Waits until this is so.
    pub(super) fn soon(&self, limit: Duration, what: &str, mut is_so: impl FnMut() -> Result<bool>) -> Result<()> {
        let start = Instant::now();
        while !is_so()? {
            ensure!(start.elapsed() < limit, "{what}: not within {} s", limit.as_secs());
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }

    /// How often a runtime was told this, on all nodes.
    pub(super) fn calls(&self, word: &str) -> usize {
        let calls = |number| fs::read_to_string(self.share().join(format!("calls.node{number}"))).unwrap_or_default();
        let is = |line: &&str| word.is_empty() || line.split(' ').any(|one| one == word);
        NODES.into_iter().map(|number| calls(number).lines().filter(is).count()).sum()
    }

    /// What the daemons said, for who looks for the reason of a failure.
    pub(super) fn keep_logs(&self, place: &Path) -> Result<()> {
        let _ = fs::remove_dir_all(place);
        fs::create_dir_all(place)?;
        run(Command::new("cp").arg("-r").arg(self.share().join("logs")).arg(place))
    }
}

impl Drop for Nodes {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
        if self.path.exists() {
            eprintln!("{} could not be removed", self.path.display());
        }
    }
}
