//! The library says what can be done about an error, but not by which key: that is said here.

/// What it says, and the key of that.
const KEYS: [(&str, &str); 19] = [
    ("name the servers", "container.dns"),
    ("do without name servers", "container.dns: false"),
    ("let it be switched on", "container.network.ipForward"),
    ("open the host's own services", "container.network.hostAccess"),
    ("name a working directory", "cwd"),
    ("name a parent cgroup", "container.cgroup.parent"),
    ("map the subordinate ids", "container.namespace.user: \"subids\""),
    ("map the caller to that id", "container.namespace.user.callerAs"),
    ("use a tmpfs as upper", "ephemeral"),
    ("overlay the directories that are to be written", "entries of container.fs"),
    ("give another root", "container.root"),
    ("keep the outer /proc and pid namespace", "container.namespace.pid: false, and a bind of /proc in container.fs"),
    ("show it read-only", "options.cgroup.readonly"),
    ("delegate it", "container.cgroup.delegate"),
    ("ask for a new user namespace too", "container.namespace.user: true"),
    ("have the container's root be the host's", "container.hostRoot: true"),
    ("ask for an init", "container.init: true"),
    ("nested containers were asked for", "container.nested: true"),
    ("share the user namespace", "container.namespace.user: false"),
];

/// `text` with the key behind whatever a key does.
pub(crate) fn with_keys(text: &str) -> String {
    KEYS.iter().fold(text.to_owned(), |text, (words, key)| text.replace(words, &format!("{words} ({key})")))
}
