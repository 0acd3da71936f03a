//! `cargo xtask presets`: what each preset lets through, tried by the same program in each, and under others; writes docs/presets.md.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use seclude_seccomp::Architecture;

use crate::{rootfs, workspace};

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Print the page and write nothing
    #[arg(long)]
    print: bool,
}

/// What a probe said, by kind and name.
type Said = BTreeMap<(String, String), String>;

struct Column {
    title: &'static str,
    /// As the reader would type it.
    shown: String,
    said: Said,
}

/// What the probe looks for: planted, or the machine's own.
struct Bait {
    directory: PathBuf,
    probe: PathBuf,
    _listener: UnixListener,
}

impl Bait {
    fn lay() -> Result<Bait> {
        let directory = PathBuf::from("/var/tmp/seclude-presets");
        ensure!(!directory.exists(), "{} is there: somebody else's, or of a run that was ended", directory.display());
        for part in ["home/.ssh", "home/project"] {
            fs::create_dir_all(directory.join(part)).context("a home to look for")?;
        }
        fs::write(directory.join("home/.ssh/id_ed25519"), "a key")?;
        fs::write(directory.join("home/project/source"), "text")?;
        let listener = UnixListener::bind(directory.join("home/agent.sock"))?;
        let probe = directory.join("probe");
        let source = workspace::root().join("xtask/src/presets/probe.c");
        let mut gcc = Command::new("gcc");
        gcc.args(["-static", "-O1", "-Wall", "-Werror", "-o"]).arg(&probe).arg(source);
        workspace::run(&mut gcc).context("the probe needs gcc and libc6-dev")?;
        Ok(Bait { directory, probe, _listener: listener })
    }

    fn home(&self) -> PathBuf {
        self.directory.join("home")
    }

    fn paths(&self) -> Vec<String> {
        let own = ["home", "home/.ssh/id_ed25519", "home/agent.sock", "home/project", "home/project/source"];
        let own = own.into_iter().map(|path| self.directory.join(path).display().to_string());
        own.chain(PATHS.map(str::to_owned)).collect()
    }
}

impl Drop for Bait {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

const PATHS: [&str; 29] = [
    "/",
    "/usr",
    "/etc",
    "/etc/passwd",
    "/etc/shadow",
    "/etc/ssl/private",
    "/etc/resolv.conf",
    "/home",
    "/root",
    "/opt",
    "/srv",
    "/boot",
    "/var/lib",
    "/var/log",
    "/run",
    "/tmp",
    "/var/tmp",
    "/dev",
    "/dev/shm",
    "/dev/kmsg",
    "/dev/mem",
    "/proc/1/environ",
    "/proc/kcore",
    "/proc/keys",
    "/proc/sysrq-trigger",
    "/proc/sys/kernel/core_pattern",
    "/proc/sys/kernel/hostname",
    "/sys/kernel/uevent_helper",
    "/sys/fs/cgroup",
];

/// The tables end here, whatever the running kernel has besides.
const CALLS: u32 = 480;

pub(crate) fn run(options: &Options) -> Result<()> {
    ensure!(rustix::process::geteuid().is_root(), "podman needs root here, and rows are to be of one user");
    workspace::run(workspace::cargo().args(["build", "--quiet", "--locked", "--release", "--package", "seclude-cli"]))?;
    let seclude = workspace::target().join("release/seclude");
    let debian = rootfs::debian()?;
    let bait = Bait::lay()?;
    let probe = bait.probe.display().to_string();
    let own = |title: &'static str, flags: &[&str]| -> Result<Column> {
        let mut command = Command::new(&seclude);
        command.args(["run", "--no-denials"]).args(flags).args(["--ro", &probe, "--", &probe]);
        Ok(Column {
            title,
            shown: format!("seclude run {}", flags.join(" ")).trim().to_owned(),
            said: tried(command, &bait)?,
        })
    };
    let mut columns = vec![own("sandbox", &[])?, own("host", &["--preset", "host"])?];
    let mut bare = Command::new(&seclude);
    bare.args(["run", "--preset", "bare", "--", &probe]);
    columns.push(Column { title: "bare", shown: "seclude run --preset bare".into(), said: tried(bare, &bait)? });
    columns.push(own("no namespaces", &["--no-namespaces"])?);
    columns.push(bubblewrap(&bait)?);
    columns.push(podman(&bait, &debian)?);
    let page = page(&columns, &bait)?;
    if options.print {
        print!("{page}");
        return Ok(());
    }
    let file = workspace::root().join("docs/presets.md");
    fs::write(&file, page).with_context(|| file.display().to_string())
}

/// Its own README's first example, with the directories that the sandbox shows.
fn bubblewrap(bait: &Bait) -> Result<Column> {
    let probe = bait.probe.display().to_string();
    let mut flags = vec!["--unshare-all", "--die-with-parent", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"];
    for directory in ["/usr", "/etc", "/opt"] {
        flags.extend(["--ro-bind", directory, directory]);
    }
    for link in ["bin", "sbin", "lib", "lib64"] {
        let target = fs::read_link(Path::new("/").join(link)).context("a host with /usr merged")?;
        ensure!(target.to_str() == Some(&format!("usr/{link}")), "a host with /usr merged");
    }
    flags.extend(["--symlink", "usr/bin", "/bin", "--symlink", "usr/sbin", "/sbin"]);
    flags.extend(["--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64"]);
    let shown = format!("bwrap {}", flags.join(" "));
    flags.extend(["--ro-bind", &probe, &probe, &probe]);
    let mut command = Command::new(workspace::find("bwrap").context("bubblewrap is not installed")?);
    command.args(&flags);
    Ok(Column { title: "bwrap", shown, said: tried(command, bait)? })
}

/// Its state is below the bait's directory, and goes with it.
const PODMAN: &str = r#"
mount -t tmpfs none /run && mount -t tmpfs none /etc/cni/net.d 2>/dev/null
own=$1; shift
podman --root "$own/podman" --runroot "$own/run" --cgroup-manager cgroupfs --events-backend none --runtime runc \
    run --rm --network none --cgroup-parent /seclude-presets --ulimit nofile=1024:1024 --ulimit nproc=1000:1000 "$@"
status=$?
for hierarchy in /sys/fs/cgroup /sys/fs/cgroup/*; do
    for try in $(seq 100); do
        [ -d "$hierarchy/seclude-presets" ] || break
        find "$hierarchy/seclude-presets" -depth -type d -exec rmdir {} \; 2> /dev/null || sleep 0.05
    done
done
exit $status
"#;

fn podman(bait: &Bait, debian: &Path) -> Result<Column> {
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", PODMAN, "sh"]).arg(&bait.directory);
    command.args(["-v", &format!("{0}:{0}:ro", bait.probe.display())]);
    command.args(["--rootfs", &format!("{}:O", debian.display())]).arg(&bait.probe);
    let shown = "podman run --network none --rootfs DEBIAN:O (with runc)".to_owned();
    Ok(Column { title: "podman", shown, said: tried(command, bait)? })
}

/// Runs the probe by this command, which ends with its path.
fn tried(mut command: Command, bait: &Bait) -> Result<Said> {
    command.arg(CALLS.to_string()).args(bait.paths()).current_dir(bait.home().join("project"));
    command.env("HOME", bait.home()).env("SECRET_TOKEN", "a secret").stdin(std::process::Stdio::null());
    let text = workspace::read(&mut command)?;
    let lines = text.lines().filter_map(|line| {
        let mut parts = line.split('\t');
        Some(((parts.next()?.to_owned(), parts.next()?.to_owned()), parts.next()?.to_owned()))
    });
    let said: Said = lines.collect();
    ensure!(said.keys().any(|(kind, _)| kind == "call"), "the probe said nothing of calls: {text}");
    Ok(said)
}

/// Whether a filter stands before the call: those without one are the last of `columns` that have none.
fn is_open(said: &Said, plain: &Said, number: u32) -> Option<bool> {
    let key = ("call".to_owned(), number.to_string());
    let (answer, without) = (said.get(&key)?, plain.get(&key)?);
    if without == "ENOSYS" {
        return None;
    }
    Some(answer == without || !["EPERM", "ENOSYS", "EACCES", "SIGSYS", "EAFNOSUPPORT"].contains(&answer.as_str()))
}

fn page(columns: &[Column], bait: &Bait) -> Result<String> {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let mut page = String::from("# What each preset lets through\n\n");
    writeln!(
        page,
        "Written by `cargo xtask presets`, as root, Linux {release}: the same program tried all of it in each place, beside bubblewrap with the \
         same directories and podman with a Debian of its own. `HOME` is a directory that the task has made, with a key in it, and the command \
         stands in a project below it. \"masked\" and \"empty\" are what lies over the host's own.\n"
    )?;
    for column in columns {
        writeln!(page, "* **{}**: `{}`", column.title, column.shown)?;
    }
    let head = |page: &mut String, first: &str| -> Result<()> {
        let titles: Vec<&str> = columns.iter().map(|column| column.title).collect();
        writeln!(page, "\n| {first} | {} |\n|---|{}", titles.join(" | "), "---|".repeat(columns.len()))?;
        Ok(())
    };
    let row = |page: &mut String, name: &str, cell: &dyn Fn(&Said) -> String| -> Result<()> {
        let cells: Vec<String> = columns.iter().map(|column| cell(&column.said)).collect();
        writeln!(page, "| {name} | {} |", cells.join(" | "))?;
        Ok(())
    };
    let get = |said: &Said, kind: &str, name: &str| said.get(&(kind.to_owned(), name.to_owned())).cloned();
    page += "\n## Files: read, write\n";
    head(&mut page, "path")?;
    let place = bait.directory.display().to_string();
    for path in bait.paths() {
        let shown = path.replace(&format!("{place}/home"), "~");
        row(&mut page, &format!("`{shown}`"), &|said| {
            let answer = |kind| get(said, kind, &path).unwrap_or_else(|| "?".into());
            let (read, write) = (answer("read"), answer("write"));
            if read == write { read } else { format!("{read}, {write}") }
        })?;
    }
    page += "\n## Who it is, and what it sees\n";
    head(&mut page, "what")?;
    for name in ["Uid:", "host uid of its first", "CapEff:", "CapBnd:", "NoNewPrivs:", "Seccomp:"] {
        let shown = name.trim_end_matches(':');
        row(&mut page, shown, &|said| get(said, "identity", name).unwrap_or_else(|| "?".into()))?;
    }
    let names = |said: &Said, kind: &str| -> Vec<String> {
        said.keys().filter(|(of, _)| of == kind).map(|(_, name)| name.clone()).collect()
    };
    row(&mut page, "processes", &|said| names(said, "process").len().to_string())?;
    row(&mut page, "network interfaces", &|said| names(said, "interface").join(" "))?;
    row(&mut page, "entries of /dev", &|said| names(said, "device").len().to_string())?;
    row(&mut page, "the caller's `SECRET_TOKEN`", &|said| {
        get(said, "environment", "SECRET_TOKEN").map_or("no", |_| "yes").to_owned()
    })?;
    row(&mut page, "environment", &|said| match names(said, "environment") {
        few if few.len() <= 8 => few.join(" "),
        many => format!("{} variables", many.len()),
    })?;
    page += "\n## Sockets\n";
    head(&mut page, "of")?;
    let kinds: BTreeSet<String> = columns.iter().flat_map(|column| names(&column.said, "socket")).collect();
    for kind in kinds {
        row(&mut page, &kind, &|said| get(said, "socket", &kind).unwrap_or_else(|| "?".into()))?;
    }
    system_calls(&mut page, columns, head)?;
    Ok(page)
}

fn system_calls(page: &mut String, columns: &[Column], head: impl Fn(&mut String, &str) -> Result<()>) -> Result<()> {
    *page += "\n## System calls\n\nEach call of the table was made with arguments that it can do nothing with. One that is answered as in `bare`, which has no \
              filter, or that complains of its arguments, came through.\n";
    let plain = &columns.iter().find(|column| column.title == "bare").context("one without a filter")?.said;
    head(page, "")?;
    let open = |column: &Column, wanted: bool| -> Vec<u32> {
        (0..CALLS).filter(|number| is_open(&column.said, plain, *number) == Some(wanted)).collect()
    };
    let cells =
        |wanted| columns.iter().map(|column| open(column, wanted).len().to_string()).collect::<Vec<_>>().join(" | ");
    writeln!(page, "| come through | {} |\n| are refused | {} |", cells(true), cells(false))?;
    for column in columns.iter().filter(|column| !open(column, false).is_empty()) {
        let name = |number: u32| {
            Architecture::NATIVE.name_of(number).map_or_else(|| number.to_string(), |name| format!("`{name}`"))
        };
        let refused: Vec<String> = open(column, false).into_iter().map(name).collect();
        writeln!(page, "\n**Refused in {}:** {}.", column.title, refused.join(", "))?;
    }
    Ok(())
}
