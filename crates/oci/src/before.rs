//! What files of a cgroup had before they were written, as it is written to have that again.

use seclude::cgroup::{Cgroup, FileValue};

use crate::failure::Failure;

/// In the order in which they were written.
#[derive(Default)]
pub(crate) struct Before(Vec<FileValue>);

impl Before {
    /// Before it is written; what cannot be read has nothing to be put back.
    pub(crate) fn note(&mut self, cgroup: &Cgroup, entry: &FileValue) {
        let FileValue { of, file, value } = entry;
        if let Some(value) = cgroup.read(*of, file).and_then(|found| undoing(file, value, &found)) {
            self.0.push(FileValue { of: *of, file: file.clone(), value });
        }
    }

    /// The last first; what the kernel refuses because of another is tried once more behind that. Answers what could not be had.
    pub(crate) fn put_back(self, cgroup: &Cgroup) -> Vec<Failure> {
        let is_refused = |entry: &FileValue| cgroup.write(entry).is_err();
        let again: Vec<FileValue> = self.0.into_iter().rev().filter(is_refused).collect();
        let failed = |entry: FileValue| {
            let error = cgroup.write(&entry).err()?;
            Some(Failure::new(format!("and {:?} could not be put back to {}: {error}", entry.value, entry.file)))
        };
        again.into_iter().filter_map(failed).collect()
    }
}

/// What is to be written to a file that has had `found` before `value` was written. Files of devices have a line for each, and take one line.
fn undoing(file: &str, value: &str, found: &str) -> Option<String> {
    if file == "memory.oom_control" {
        return found.lines().find_map(|line| line.strip_prefix("oom_kill_disable ")).map(str::to_owned);
    }
    let keyed = value.split_once(' ').filter(|_| !matches!(file, "cpu.max" | "cpuset.cpus" | "cpuset.mems"));
    let Some((key, rest)) = keyed else {
        let mut lines = found.lines();
        // Of several there is none that it could be. A set that was empty is so again by an empty line.
        return match (lines.next(), lines.next()) {
            (first, None) => Some(first.unwrap_or("\n").to_owned()),
            // Where the first line is the default of all: io.weight, io.bfq.weight.
            (Some(first), Some(_)) => first.strip_prefix("default ").map(str::to_owned),
            (None, Some(_)) => None,
        };
    };
    let own = |line: &&str| line.split_once(' ').is_some_and(|(own, _)| own == key);
    if let Some(line) = found.lines().find(own) {
        return Some(line.to_owned());
    }
    // It had none: as the kernel takes that of limits with names, and of plain numbers.
    let none = |word: &str| word.split_once('=').map_or_else(|| "0".to_owned(), |(name, _)| format!("{name}=max"));
    Some(format!("{key} {}", rest.split(' ').map(none).collect::<Vec<_>>().join(" ")))
}

#[cfg(test)]
mod tests {
    use super::undoing;

    #[test]
    fn what_there_was_is_written_as_the_kernel_takes_it() {
        let cases = [
            ("pids.max", "5", "max\n", Some("max")),
            ("cpu.max", "1000 100000", "max 100000\n", Some("max 100000")),
            ("cpuset.cpus", "0", "\n", Some("")),
            ("cpuset.cpus", "0", "", Some("\n")),
            ("memory.oom_control", "1", "oom_kill_disable 0\nunder_oom 0\noom_kill 0\n", Some("0")),
            ("io.max", "8:0 rbps=5", "8:16 rbps=1 wbps=max riops=max wiops=max\n", Some("8:0 rbps=max")),
            (
                "io.max",
                "8:0 rbps=5",
                "8:0 rbps=1 wbps=2 riops=max wiops=max\n",
                Some("8:0 rbps=1 wbps=2 riops=max wiops=max"),
            ),
            ("blkio.throttle.read_bps_device", "8:0 5", "", Some("8:0 0")),
            ("rdma.max", "mlx4_0 hca_handle=2 hca_object=3", "", Some("mlx4_0 hca_handle=max hca_object=max")),
            ("io.weight", "default 20", "default 100\n8:0 50\n", Some("default 100")),
            ("io.bfq.weight", "20", "default 100\n8:0 50\n", Some("100")),
            ("net_prio.ifpriomap", "lo 3", "lo 0\neth0 0\n", Some("lo 0")),
            ("unified", "1", "one\ntwo\n", None),
        ];
        for (file, value, found, wanted) in cases {
            assert_eq!(undoing(file, value, found).as_deref(), wanted, "{file}: {value}");
        }
    }
}
