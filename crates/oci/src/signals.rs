//! Signals by name and by number.

use crate::failure::{Failure, Result};

/// In the order of their numbers from 1 on, signal(7).
const NAMES: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM", "TERM",
    "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO",
    "PWR", "SYS",
];
const REALTIME: std::ops::RangeInclusive<i32> = 34..=64;

/// The number of a signal, by name with or without `SIG`, in any case, or by number.
pub(crate) fn number(word: &str) -> Result<i32> {
    let wrong = || Failure::new(format!("unknown signal {word:?}"));
    if let Ok(number) = word.parse::<i32>() {
        // 0 only asks whether it is there, kill(2).
        return if (0..=64).contains(&number) { Ok(number) } else { Err(wrong()) };
    }
    let upper = word.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let known = NAMES.iter().position(|known| *known == name).map(|index| index as i32 + 1);
    let counted = |prefix: &str, from: i32, sign: i32| {
        let rest = name.strip_prefix(prefix)?;
        let more = if rest.is_empty() { 0 } else { rest.trim_start_matches(['+', '-']).parse::<i32>().ok()? };
        Some(from + sign * more).filter(|number| REALTIME.contains(number))
    };
    let other = match name {
        "IOT" => Some(6),
        "POLL" => Some(29),
        "CLD" => Some(17),
        _ => None,
    };
    let found = known.or(other).or_else(|| counted("RTMIN", 34, 1)).or_else(|| counted("RTMAX", 64, -1));
    found.ok_or_else(wrong)
}

/// Whether who does not handle it ends by it, signal(7).
pub(crate) fn ends(number: i32) -> bool {
    // None; CHLD, CONT, STOP, TSTP, TTIN, TTOU, URG; WINCH.
    !matches!(number, 0 | 17..=23 | 28)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_has_a_number_and_names() {
        for (word, expected) in [
            ("0", 0),
            ("9", 9),
            ("KILL", 9),
            ("sigkill", 9),
            ("SIGTERM", 15),
            ("SYS", 31),
            ("SIGRTMIN+3", 37),
            ("RTMAX-1", 63),
        ] {
            assert_eq!(number(word).ok(), Some(expected), "{word}");
        }
        for word in ["65", "-1", "SIGNOTHING", "", "RTMIN+99"] {
            assert!(number(word).is_err(), "{word}");
        }
    }
}
