//! What the command may reach, by the kernel's landlock: paths, ports, sockets, processes.

use serde::{Deserialize, Serialize};

use crate::{Field, Text, Wrong, is_default};

/// A ruleset of landlock(7), besides whatever else confines the command: what no rule allows is refused to it and to all that it
/// starts. Linux 5.13; each part says what it needs.
///
/// A rule is of the file or directory that is there at the start, not of its name.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Landlock {
    /// Files, and directories with all that is below, that it may read: absolute paths inside the container. If there is one of
    /// `ro`, `rw` or `exec`, everything else is closed. Linux 6.10.
    #[serde(skip_serializing_if = "is_default")]
    pub ro: Vec<Text>,
    /// The same to read and to write: files and directories can be made, cut, moved and removed there, but no device nodes. A device that is
    /// named itself also has its ioctls; a unix socket below can be connected to, where that is held back elsewhere (Linux 7.1).
    #[serde(skip_serializing_if = "is_default")]
    pub rw: Vec<Text>,
    /// The same to read and to execute. With any of these rules the command itself, its interpreter and its ELF loader have to be below
    /// one of `exec`.
    #[serde(skip_serializing_if = "is_default")]
    pub exec: Vec<Text>,
    /// The ports that it may connect to by TCP, 0 to 65535; `[]` is none. Default: all. Linux 6.7; from 7.2 on it holds for UDP as well.
    #[serde(skip_serializing_if = "is_default")]
    pub connect: Option<Vec<u16>>,
    /// The ports that it may bind to by TCP; 0 is one that the kernel chooses, `[]` is none. Default: all. Linux 6.7; from 7.2 on it holds
    /// for UDP as well.
    #[serde(skip_serializing_if = "is_default")]
    pub bind: Option<Vec<u16>>,
    /// What it can reach of its own processes alone. Linux 6.12.
    #[serde(skip_serializing_if = "is_default")]
    pub scopes: Vec<LandlockScope>,
}

/// What a ruleset of landlock keeps among the processes that it holds for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum LandlockScope {
    /// Unix sockets with abstract names, unix(7).
    AbstractUnixSocket,
    /// Signals, signal(7).
    Signal,
}

impl Landlock {
    pub(crate) fn check(&self) -> Result<(), Wrong> {
        for (key, paths) in [("ro", &self.ro), ("rw", &self.rw), ("exec", &self.exec)] {
            if let Some(index) = paths.iter().position(|path| !path.as_path().is_absolute()) {
                let field = Field::of("landlock").key(key).index(index);
                return Err(Wrong::range(field, "it has to be an absolute path inside the container"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::{Format, LandlockScope, Request};

    #[test]
    fn a_ruleset_is_paths_inside_ports_and_scopes() {
        let read = |text: &str| Request::parse(text.as_bytes(), Format::Json);
        let text = r#"{"landlock": {"ro": ["/usr"], "connect": [443], "bind": [], "scopes": ["signal"]}}"#;
        let request = read(text).unwrap();
        let landlock = request.landlock.clone().unwrap();
        assert_eq!((landlock.connect, landlock.bind), (Some(vec![443]), Some(Vec::new())));
        assert_eq!(landlock.scopes, [LandlockScope::Signal]);
        assert_eq!(read(&request.to_json()).unwrap(), request);
        for (text, said) in [
            (r#"{"landlock": {"ro": ["/usr", "src"]}}"#, "landlock.ro[1]: it has to be an absolute path"),
            (r#"{"landlock": {"connect": [70000]}}"#, "landlock.connect[0]"),
            (r#"{"landlock": {"scopes": ["signals"]}}"#, "landlock.scopes[0]"),
            (r#"{"landlock": {"write": []}}"#, "landlock.write: there is no such key"),
        ] {
            let wrong = read(text).unwrap_err().to_string();
            assert!(wrong.starts_with(said), "{text}: {wrong}");
        }
    }
}
