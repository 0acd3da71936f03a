//! The library says what can be done about an error, but not by which flag: that is said here.

/// What it says, and the flags of that.
const FLAGS: [(&str, &str); 19] = [
    ("name the servers", "--dns ADDRESS"),
    ("do without name servers", "--dns none"),
    ("let it be switched on", "--ip-forward"),
    ("open the host's own services", "--host-access"),
    ("name a working directory", "--workdir DIR"),
    ("name a parent cgroup", "--cgroup PATH"),
    ("map the subordinate ids", "--map-subids"),
    ("map the caller to that id", "--uid-map"),
    ("use a tmpfs as upper", "--overlay"),
    ("overlay the directories that are to be written", "--overlay-mount lower=/usr,ephemeral,to=/usr"),
    ("give another root", "--root DIR"),
    ("keep the outer /proc and pid namespace", "--share pid --bind /proc"),
    ("show it read-only", "--cgroup-mount"),
    ("show it without write access", "--ro-bind"),
    ("have the container's root be the host's", "--host-root"),
    ("nested containers were asked for", "--nested, or --bare --cap-add SETFCAP"),
    ("share the user namespace", "--share user"),
    ("say that it is optional", "--mount type=mask,dst=PATH,optional"),
    ("choose the ids yourself", "--uid-map, --gid-map"),
];

/// `text` with the flag behind whatever a flag does.
pub(crate) fn with_flags(text: &str) -> String {
    FLAGS.iter().fold(text.to_owned(), |text, (words, flag)| text.replace(words, &format!("{words} ({flag})")))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn sources(directory: &Path, text: &mut String) {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => sources(&path, text),
                false => text.push_str(&std::fs::read_to_string(path).unwrap()),
            }
        }
    }

    #[test]
    fn the_library_says_what_the_flags_are_behind_and_names_none_itself() {
        let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        if !crates.exists() {
            println!("skipped: the sources are not on this machine");
            return;
        }
        let mut said = String::new();
        for library in ["seclude", "net", "cgroup"] {
            sources(&crates.join(library).join("src"), &mut said);
        }
        for (words, flag) in FLAGS {
            assert!(said.contains(words), "nobody says {words:?}");
            assert!(!said.contains(&format!("({flag}")) && !said.contains(&format!("use {flag}")), "{flag}");
        }
        assert_eq!(with_flags("name the servers, or give up"), "name the servers (--dns ADDRESS), or give up");
    }
}
