//! What a mount is to those who use it, in the words of mount(8).

use seclude_sys::mount as sys;

/// Attributes and propagation of a mount, in the order in which they are named: of two that contradict each other the last holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Attributes {
    /// Of the mount itself.
    pub(crate) own: Change,
    /// Of what is mounted below it as well.
    pub(crate) all: Change,
    pub(crate) propagation: Option<Propagation>,
    /// Whether what it is a copy of may be private.
    pub(crate) alone: bool,
}

/// Bits that are set, and bits that are taken away.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Change {
    pub(crate) set: u32,
    pub(crate) clear: u32,
}

/// Whether mounts made in it are seen elsewhere, mount_namespaces(7).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Propagation {
    pub(crate) flag: u64,
    pub(crate) recursive: bool,
}

impl Propagation {
    /// Whether it takes part in what is mounted elsewhere.
    pub(crate) fn is_of_others(self) -> bool {
        self.is_shared() || self.is_slave()
    }

    /// Whether it takes part, and others take none in it.
    pub(crate) fn is_slave(self) -> bool {
        self.flag == sys::MS_SLAVE
    }

    /// Whether others take part in what is mounted in it.
    pub(crate) fn is_shared(self) -> bool {
        self.flag == sys::MS_SHARED
    }
}

/// The word, what it sets and what it clears.
const WORDS: [(&str, u32, u32); 18] = [
    ("ro", sys::MOUNT_ATTR_RDONLY, 0),
    ("rw", 0, sys::MOUNT_ATTR_RDONLY),
    ("nosuid", sys::MOUNT_ATTR_NOSUID, 0),
    ("suid", 0, sys::MOUNT_ATTR_NOSUID),
    ("nodev", sys::MOUNT_ATTR_NODEV, 0),
    ("dev", 0, sys::MOUNT_ATTR_NODEV),
    ("noexec", sys::MOUNT_ATTR_NOEXEC, 0),
    ("exec", 0, sys::MOUNT_ATTR_NOEXEC),
    ("nodiratime", sys::MOUNT_ATTR_NODIRATIME, 0),
    ("diratime", 0, sys::MOUNT_ATTR_NODIRATIME),
    ("relatime", 0, sys::MOUNT_ATTR__ATIME),
    ("norelatime", 0, sys::MOUNT_ATTR__ATIME),
    ("noatime", sys::MOUNT_ATTR_NOATIME, sys::MOUNT_ATTR__ATIME),
    ("atime", 0, sys::MOUNT_ATTR__ATIME),
    ("strictatime", sys::MOUNT_ATTR_STRICTATIME, sys::MOUNT_ATTR__ATIME),
    ("nostrictatime", 0, sys::MOUNT_ATTR__ATIME),
    ("nosymfollow", sys::MOUNT_ATTR_NOSYMFOLLOW, 0),
    ("symfollow", 0, sys::MOUNT_ATTR_NOSYMFOLLOW),
];

const PROPAGATION: [(&str, u64); 4] = [
    ("private", sys::MS_PRIVATE),
    ("slave", sys::MS_SLAVE),
    ("shared", sys::MS_SHARED),
    ("unbindable", sys::MS_UNBINDABLE),
];

impl Attributes {
    /// None.
    pub fn new() -> Attributes {
        Attributes::default()
    }

    /// Has `shared` and `slave` be of what is private as the kernel has it, mount_namespaces(7): the first of peers of its own, the second of nobody. Default: an
    /// error, as nothing comes from elsewhere or goes there.
    #[must_use]
    pub fn of_private_sources(mut self, on: bool) -> Attributes {
        self.alone = on;
        self
    }

    /// Adds what a word of mount(8) says: `ro`, `nosuid`, `noatime`, `private`; with an `r` before it (`rro`, `rnosuid`, `rprivate`)
    /// for what is mounted below as well. False for a word that says nothing of the kind.
    pub fn add(&mut self, word: &str) -> bool {
        let known = |word: &str| WORDS.iter().find(|(name, ..)| *name == word).copied();
        let kind = |word: &str| PROPAGATION.iter().find(|(name, _)| *name == word).copied();
        let below = word.strip_prefix('r');
        if let Some((_, set, clear)) = known(word) {
            self.own.add(set, clear);
        } else if let Some((_, set, clear)) = below.and_then(known) {
            self.own.add(set, clear);
            self.all.add(set, clear);
        } else if let Some((_, flag)) = kind(word) {
            self.propagation = Some(Propagation { flag, recursive: false });
        } else if let Some((_, flag)) = below.and_then(kind) {
            self.propagation = Some(Propagation { flag, recursive: true });
        } else {
            return false;
        }
        true
    }

    /// All words that [`Attributes::add`] knows.
    pub fn words() -> impl Iterator<Item = String> {
        let words = WORDS.iter().map(|(word, ..)| *word).chain(PROPAGATION.iter().map(|(word, _)| *word));
        words.flat_map(|word| [word.to_owned(), format!("r{word}")])
    }

    /// Whether the mount itself cannot be written.
    pub fn is_read_only(&self) -> bool {
        self.own.set & sys::MOUNT_ATTR_RDONLY != 0
    }

    pub(crate) fn describe(&self) -> String {
        let is_on = |(_, set, _): &&(&str, u32, u32)| *set != 0 && self.own.set & set == *set;
        WORDS.iter().filter(is_on).map(|(word, ..)| format!(", {word}")).collect()
    }
}

impl Change {
    fn add(&mut self, set: u32, clear: u32) {
        self.set = self.set & !clear | set;
        // How access times are written is one of several values, which is cleared before one is set.
        self.clear = (self.clear | clear) & !(set & !sys::MOUNT_ATTR__ATIME);
    }

    pub(crate) fn is_nothing(self) -> bool {
        self == Change::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_words_about_a_thing_the_last_holds() {
        let of = |words: &[&str]| {
            let mut attributes = Attributes::new();
            words.iter().for_each(|word| assert!(attributes.add(word), "{word}"));
            attributes
        };
        assert!(of(&["rw", "ro"]).is_read_only());
        assert!(!of(&["ro", "rw"]).is_read_only());
        let times = of(&["noatime", "strictatime"]).own;
        assert_eq!((times.set, times.clear), (sys::MOUNT_ATTR_STRICTATIME, sys::MOUNT_ATTR__ATIME));
        let below = of(&["rro", "rprivate"]);
        assert!(below.is_read_only() && below.all.set == sys::MOUNT_ATTR_RDONLY);
        assert!(below.propagation.is_some_and(|how| how.recursive && how.flag == sys::MS_PRIVATE));
        assert!(!Attributes::new().add("size=5") && !Attributes::new().add("r"));
    }
}
