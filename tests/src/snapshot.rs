//! What could leak, before and after.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// What a spawning process could be left with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OwnProcess {
    /// Open descriptors and what they are.
    pub descriptors: BTreeMap<u32, String>,
    /// Threads by name: those of this library, and those that this thread has started, which have its name. The test harness starts
    /// and ends others as it likes.
    pub threads: Vec<String>,
    /// Children, zombies among them.
    pub children: BTreeSet<u32>,
    /// PR_GET_DUMPABLE shows in who owns /proc/self.
    pub owner: u32,
    /// oom_score_adj.
    pub oom_score_adj: String,
    /// The working directory.
    pub directory: String,
    /// The file mode creation mask and the blocked and ignored signals.
    pub status: Vec<String>,
}

impl OwnProcess {
    /// Looks at this process. Other threads of it must not spawn meanwhile.
    pub fn look() -> OwnProcess {
        use std::os::unix::fs::MetadataExt;
        let mut descriptors = BTreeMap::new();
        for entry in fs::read_dir("/proc/self/fd").into_iter().flatten().flatten() {
            let Ok(target) = fs::read_link(entry.path()) else { continue };
            // The directory that is being read here.
            if target.to_string_lossy().ends_with("/fd") {
                continue;
            }
            if let Ok(number) = entry.file_name().to_string_lossy().parse() {
                descriptors.insert(number, target.to_string_lossy().into_owned());
            }
        }
        let name = |task: &Path| fs::read_to_string(task.join("comm")).unwrap_or_default().trim().to_owned();
        let own = name(Path::new("/proc/thread-self"));
        let mut threads = Vec::new();
        let mut children = BTreeSet::new();
        for task in fs::read_dir("/proc/self/task").into_iter().flatten().flatten() {
            if is_ending(&task.path()) {
                continue;
            }
            threads.extend(Some(name(&task.path())).filter(|name| *name == own || name.starts_with("seclude")));
            let list = fs::read_to_string(task.path().join("children")).unwrap_or_default();
            children.extend(list.split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
        }
        threads.sort();
        let status = fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
        let kept = ["Umask:", "SigBlk:", "SigIgn:", "SigCgt:", "CapEff:", "NoNewPrivs:", "Uid:", "Gid:"];
        OwnProcess {
            descriptors,
            threads,
            children,
            owner: fs::metadata("/proc/self/stat").map_or(0, |stat| stat.uid()),
            oom_score_adj: fs::read_to_string("/proc/self/oom_score_adj").unwrap_or_default(),
            directory: std::env::current_dir().map_or(String::new(), |path| path.display().to_string()),
            status: status
                .lines()
                .filter(|line| kept.iter().any(|key| line.starts_with(key)))
                .map(str::to_owned)
                .collect(),
        }
    }
}

/// Whether a thread is past its last instruction: also one that was joined is still listed for a moment.
fn is_ending(task: &Path) -> bool {
    const PF_EXITING: u64 = 4;
    let stat = fs::read_to_string(task.join("stat")).unwrap_or_default();
    let flags = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(6)?.parse::<u64>().ok());
    flags.is_none_or(|flags| flags & PF_EXITING != 0)
}

/// What the host could be left with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Host {
    /// /proc/self/mountinfo
    pub mounts: Vec<String>,
    /// Network interfaces.
    pub links: BTreeSet<String>,
    /// Directories of seclude's name in the cgroup hierarchies.
    pub cgroups: BTreeSet<String>,
    /// Entries of the temporary directory that are no test's own.
    pub temporary: BTreeSet<String>,
}

impl Host {
    /// Whether nothing is there that was not before.
    pub fn is_back_at(&self, before: &Host) -> bool {
        // A cgroup that went meanwhile was another's.
        let Host { mounts, links, cgroups, temporary } = self;
        (mounts, links, temporary) == (&before.mounts, &before.links, &before.temporary)
            && cgroups.is_subset(&before.cgroups)
    }

    /// Fails unless the host comes to be as it was: what is others' goes again, what a spawn has left stays.
    #[track_caller]
    pub fn assert_back(&self, what: &str) {
        let started = std::time::Instant::now();
        loop {
            let now = Host::look();
            if now.is_back_at(self) {
                return;
            }
            assert!(started.elapsed() < crate::PATIENCE, "{what}: before {self:?}\nafter {now:?}");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }

    /// Looks at the host.
    pub fn look() -> Host {
        let names = |directory: &str| -> BTreeSet<String> {
            let entries = fs::read_dir(directory).into_iter().flatten().flatten();
            entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
        };
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let mut cgroups = BTreeSet::new();
        find_cgroups(Path::new("/sys/fs/cgroup"), 3, &mut cgroups);
        Host {
            mounts: mounts.lines().map(str::to_owned).collect(),
            links: names("/sys/class/net"),
            cgroups,
            temporary: names("/tmp")
                .into_iter()
                .filter(|name| name.starts_with("seclude") && !name.starts_with("seclude-test"))
                .collect(),
        }
    }
}

fn find_cgroups(directory: &Path, depth: u32, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        if entry.file_name().to_string_lossy().contains("seclude") {
            found.insert(entry.path().display().to_string());
        }
        if depth > 0 {
            find_cgroups(&entry.path(), depth - 1, found);
        }
    }
}
