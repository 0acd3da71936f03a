//! The options of a mount, in the words of mount(8).

use seclude::Attributes;

use crate::spec;

/// What they say.
#[derive(Default)]
pub(super) struct Options {
    pub(super) bind: bool,
    pub(super) recursive: bool,
    pub(super) copies_up: bool,
    /// `idmap`, or with all below it `ridmap`.
    pub(super) id_mapped: bool,
    pub(super) ids_below: bool,
    pub(super) attributes: Attributes,
    /// Of [`OF_THE_FILE_SYSTEM`].
    pub(super) of_the_file_system: Vec<&'static str>,
    /// The file system's own.
    pub(super) data: Vec<(String, Option<String>)>,
}

/// What is said of the mount as a whole.
const OF_THE_MOUNT: [&str; 6] = ["bind", "defaults", "idmap", "rbind", "ridmap", "tmpcopyup"];

/// What the specification has for every mount, and mount(2) passes on to a file system: a bind has none of it.
const OF_THE_FILE_SYSTEM: [&str; 13] = [
    "async",
    "sync",
    "dirsync",
    "lazytime",
    "nolazytime",
    "mand",
    "nomand",
    "iversion",
    "noiversion",
    "silent",
    "loud",
    "acl",
    "noacl",
];

/// What the kernel takes for every file system, fs/fs_context.c.
const TAKEN: [&str; 7] = ["async", "sync", "dirsync", "lazytime", "nolazytime", "mand", "nomand"];

/// Those that have options of these names themselves.
const WITH_ACCESS_LISTS: [&str; 6] = ["ext2", "ext3", "ext4", "btrfs", "f2fs", "nfs"];

/// Options whose values may have commas in them.
const WITH_COMMAS: [&str; 7] = ["context", "fscontext", "defcontext", "rootcontext", "lowerdir", "upperdir", "workdir"];

/// Whether it does anything to a file system of this kind. The rest of them has no way in but mount(2), where those that know nothing of
/// them pass them over.
pub(super) fn has_effect(word: &str, kind: &str) -> bool {
    TAKEN.contains(&word) || (["acl", "noacl"].contains(&word) && WITH_ACCESS_LISTS.contains(&kind))
}

/// All that are known, in the order of the alphabet.
pub(crate) fn all() -> Vec<String> {
    let own = OF_THE_MOUNT.iter().chain(&OF_THE_FILE_SYSTEM);
    let mut all: Vec<String> = Attributes::words().chain(own.map(|word| (*word).to_owned())).collect();
    all.sort();
    all
}

impl Options {
    pub(super) fn of(mount: &spec::Mount) -> Options {
        let mut options = Options::default();
        mount.options.iter().flat_map(|words| apart(words)).for_each(|word| options.add(word));
        options
    }

    fn add(&mut self, word: &str) {
        match word {
            "bind" => self.bind = true,
            "rbind" => (self.bind, self.recursive) = (true, true),
            "defaults" | "" => {}
            "tmpcopyup" => self.copies_up = true,
            "idmap" => self.id_mapped = true,
            "ridmap" => (self.id_mapped, self.ids_below) = (true, true),
            word if self.attributes.add(word) => {}
            word => match (OF_THE_FILE_SYSTEM.iter().find(|known| **known == word), word.split_once('=')) {
                (Some(known), _) => self.of_the_file_system.push(known),
                (None, Some((key, value))) => self.data.push((key.to_owned(), Some(value.to_owned()))),
                (None, None) => self.data.push((word.to_owned(), None)),
            },
        }
    }
}

/// Several may be in one string, as mount(2) takes them.
fn apart(words: &str) -> Vec<&str> {
    let has_commas = words.split_once('=').is_some_and(|(key, _)| WITH_COMMAS.contains(&key));
    if has_commas { vec![words] } else { words.split(',').collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_that_is_told_is_known() {
        for word in all() {
            let mut options = Options::default();
            options.add(&word);
            assert!(options.data.is_empty(), "{word}");
        }
        assert!(all().is_sorted() && all().iter().any(|word| word == "noiversion"), "{:?}", all());
    }

    #[test]
    fn several_in_one_string_are_each_what_they_say_and_values_with_commas_stay_whole() {
        let of = |words: &str| Options::of(&spec::Mount { options: vec![words.to_owned()], ..spec::Mount::default() });
        let both = of("size=64k,ro,mode=700");
        assert!(both.attributes.is_read_only());
        let value = |text: &str| Some(text.to_owned());
        assert_eq!(both.data, [("size".to_owned(), value("64k")), ("mode".to_owned(), value("700"))]);
        let label = "system_u:object_r:container_file_t:s0:c1,c2";
        assert_eq!(of(&format!("context={label}")).data, [("context".to_owned(), value(label))]);
    }
}
