//! Descriptors that the command's arguments name and that it does not have: a shell's `<(…)` is one, and all but the three streams are closed.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use crate::args::ContainerFlags;
use crate::told::say;

/// Those of this process, noted before anything is opened here.
pub(crate) struct NotGiven(Vec<(String, i32)>);

impl NotGiven {
    pub(crate) fn note(container: &ContainerFlags) -> NotGiven {
        let process = &container.process;
        let in_order = 3..3 + process.preserve_fds.map_or(0, i32::from);
        let is_given = |number: i32| in_order.contains(&number) || process.fd.iter().any(|fd| fd.number == number);
        let named = container.base.command.iter().filter_map(|word| named(word));
        NotGiven(named.filter(|(_, number)| !is_given(*number) && is_open(*number)).collect())
    }

    /// Of a command that has failed: perhaps because of these.
    pub(crate) fn say(&self) {
        for (word, number) in &self.0 {
            say(format_args!("{word} is a descriptor of the caller's, which the command is not given (--fd {number})"));
        }
    }
}

/// `/dev/fd/63`, `/proc/self/fd/63`, and what follows an `=` or an `@` as curl has it.
fn named(word: &OsStr) -> Option<(String, i32)> {
    let bytes = word.as_bytes();
    ["/dev/fd/", "/proc/self/fd/"].into_iter().find_map(|directory| {
        let at = bytes.windows(directory.len()).position(|part| part == directory.as_bytes())?;
        if at > 0 && !matches!(bytes.get(at - 1), Some(b'=' | b'@')) {
            return None;
        }
        let number = std::str::from_utf8(bytes.get(at + directory.len()..)?).ok()?;
        let number: i32 = number.parse().ok().filter(|number| *number > 2)?;
        Some((format!("{directory}{number}"), number))
    })
}

fn is_open(number: i32) -> bool {
    std::fs::symlink_metadata(format!("/proc/self/fd/{number}")).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_argument_names_one_alone_or_behind_its_flag() {
        let told = |word: &str| named(OsStr::new(word)).map(|(_, number)| number);
        assert_eq!(told("/dev/fd/63"), Some(63));
        assert_eq!(told("--file=/proc/self/fd/5"), Some(5));
        assert_eq!(told("@/dev/fd/9"), Some(9));
        for other in ["/dev/fd/0", "/dev/fd/", "/dev/fd/6x", "x/dev/fd/6", "/dev/fd/-4", "/dev/fd/63/x"] {
            assert_eq!(told(other), None, "{other}");
        }
    }
}
