//! What this machine has, against what a limit asks for.

use crate::{Limit, LimitError, Limits, List};

impl Limits {
    /// Looks at the values beside what this machine has online: CPUs and memory nodes, as /sys/devices/system tells.
    /// Reads nothing where no limit names them. [`Cgroup::create`](crate::Cgroup::create) looks as well.
    ///
    /// # Errors
    /// The first value that is above that, with what is there.
    pub fn validate_online(&self) -> Result<(), LimitError> {
        if self.cpu_max.is_some() || self.cpuset_cpus.is_some() {
            // Without sysfs there is nothing to compare with; the kernel still refuses a cpuset.
            if let Some(online) = online("/sys/devices/system/cpu/online") {
                check_cpus(self, &online)?;
            }
        }
        if let Some(nodes) = &self.cpuset_mems {
            // A kernel without NUMA has no such file, and one node, 0.
            if let Some(online) = online("/sys/devices/system/node/online").or_else(|| "0".parse().ok()) {
                subset(Limit::CpusetMems, nodes, &online, "memory nodes")?;
            }
        }
        Ok(())
    }
}

fn check_cpus(limits: &Limits, online: &List) -> Result<(), LimitError> {
    let count = online.count();
    if let Some(cpus) = limits.cpu_max.filter(|&cpus| cpus > f64::from(count)) {
        let expected = format!("0.01 to {count}, the number of CPUs online");
        return Err(LimitError::new(Limit::CpuMax, format_args!("{cpus} CPUs"), expected));
    }
    limits.cpuset_cpus.as_ref().map_or(Ok(()), |cpus| subset(Limit::CpusetCpus, cpus, online, "CPUs"))
}

fn subset(limit: Limit, asked: &List, online: &List, what: &str) -> Result<(), LimitError> {
    match asked.first_outside(online) {
        Some(missing) => {
            let expected = format!("some of {online}, the {what} online ({missing} is not)");
            Err(LimitError::new(limit, asked, expected))
        }
        None => Ok(()),
    }
}

fn online(path: &str) -> Option<List> {
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_cpus_than_online_are_an_error() {
        let online: List = "0-1".parse().unwrap();
        assert_eq!(check_cpus(&Limits::new().cpu_max(2.0).cpuset_cpus(online.clone()), &online), Ok(()));
        assert_eq!(
            check_cpus(&Limits::new().cpu_max(2.5), &online).unwrap_err().to_string(),
            "cpu.max is 2.5 CPUs, expected 0.01 to 2, the number of CPUs online"
        );
        assert_eq!(
            check_cpus(&Limits::new().cpuset_cpus("1-3".parse().unwrap()), &online).unwrap_err().to_string(),
            "cpuset.cpus is 1-3, expected some of 0-1, the CPUs online (2 is not)"
        );
    }
}
