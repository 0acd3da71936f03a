//! On which processors this process runs, which what it starts begins as.

use rustix::thread::{CpuSet, sched_setaffinity};

use crate::failure::{Failure, Result};

/// Those of `process.execCPUAffinity.initial`.
pub(crate) fn these(numbers: &[u32]) -> Result<()> {
    let failed = |errno| Failure::of("", errno).or_at("process.execCPUAffinity.initial");
    let mut set = CpuSet::new();
    for number in numbers.iter().map(|number| *number as usize) {
        if number >= CpuSet::MAX_CPU {
            return Err(failed(rustix::io::Errno::INVAL));
        }
        set.set(number);
    }
    sched_setaffinity(None, &set).map_err(failed)
}

/// A list as a mask of bits, the lowest number last: `0x3` of 0 and 1.
pub(crate) fn mask(numbers: &[u32]) -> String {
    let highest = numbers.iter().copied().max().unwrap_or(0) / 4;
    let digit = |place: u32| {
        let bits = (0..4).filter(|bit| numbers.contains(&(place * 4 + bit)));
        format!("{:x}", bits.fold(0, |digit, bit| digit | 1 << bit))
    };
    format!("0x{}", (0..=highest).rev().map(digit).collect::<String>())
}

/// All that its cgroup has: an engine that keeps to some of them does not mean its containers.
pub(crate) fn all() {
    let mut set = CpuSet::new();
    (0..CpuSet::MAX_CPU).for_each(|number| set.set(number));
    // Who may not has the caller's, as without.
    let _ = sched_setaffinity(None, &set);
}

#[cfg(test)]
mod tests {
    use super::mask;

    #[test]
    fn a_mask_has_a_bit_for_each_number() {
        for (numbers, expected) in
            [(&[0][..], "0x1"), (&[0, 1], "0x3"), (&[4], "0x10"), (&[67, 0], "0x80000000000000001")]
        {
            assert_eq!(mask(numbers), expected);
        }
    }
}
