//! The values of flags that are about files: binds, mounts, overlays, and paths with escaped separators.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use seclude::request::{Content, Mode, Mount, MountKind, Size, Text};

use crate::named_files;
use crate::values::{Parsed, mode, size};

/// Splits at `separator`, but not where a backslash stands before it; `\\` is a backslash. Paths have any bytes.
fn split_escaped(text: &OsStr, separator: u8) -> Vec<OsString> {
    let mut parts = vec![Vec::new()];
    let mut bytes = text.as_bytes().iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        let last = parts.len() - 1;
        match byte {
            b'\\' if bytes.peek().is_some_and(|next| *next == separator || *next == b'\\') => {
                parts[last].extend(bytes.next());
            }
            _ if byte == separator => parts.push(Vec::new()),
            _ => parts[last].push(byte),
        }
    }
    parts.into_iter().map(OsString::from_vec).collect()
}

/// The first part and the rest.
fn split_once(text: &OsStr, separator: u8) -> Option<(&OsStr, &OsStr)> {
    let at = text.as_bytes().iter().position(|byte| *byte == separator)?;
    let (first, rest) = text.as_bytes().split_at(at);
    Some((OsStr::from_bytes(first), OsStr::from_bytes(&rest[1..])))
}

/// What is a word or a number.
fn plain(text: &OsStr) -> Parsed<&str> {
    text.to_str().ok_or_else(|| format!("{text:?} is not UTF-8"))
}

/// A source of the host may be relative to where seclude runs.
fn host_path(text: &OsStr) -> Parsed<PathBuf> {
    std::path::absolute(text).map_err(|error| format!("{text:?}: {error}"))
}

/// `SRC[:DST]`
#[derive(Clone)]
pub(crate) struct BindSpec {
    pub(crate) source: PathBuf,
    pub(crate) target: PathBuf,
}

impl BindSpec {
    pub(crate) fn parse(text: OsString) -> Parsed<Self> {
        match split_escaped(&text, b':').as_slice() {
            [source] if !source.is_empty() => {
                let source = host_path(source)?;
                Ok(BindSpec { target: source.clone(), source })
            }
            [source, target] if !source.is_empty() && !target.is_empty() => {
                Ok(BindSpec { source: host_path(source)?, target: target.into() })
            }
            [_, _, word] if word == "ro" => Err("expected SRC or SRC:DST; read-only is --ro-bind SRC:DST".into()),
            _ => {
                Err("expected SRC or SRC:DST; a colon in a path is `\\:`, and what else a mount has is --mount's"
                    .into())
            }
        }
    }
}

/// `DST[:size=64M,mode=1777]`
#[derive(Clone)]
pub(crate) struct TmpfsSpec(pub(crate) Mount);

impl TmpfsSpec {
    pub(crate) fn parse(text: OsString) -> Parsed<Self> {
        let parts = split_escaped(&text, b':');
        let (target, options) = match parts.as_slice() {
            [target] => (target, ""),
            [target, options] => (target, plain(options)?),
            _ => return Err("expected DST or DST:size=…,mode=…".into()),
        };
        let mut mount = Mount::new(MountKind::Tmpfs, target);
        for option in options.split(',').filter(|option| !option.is_empty()) {
            match option.split_once('=') {
                Some(("size", value)) => mount.size = Some(Size(size(value)?)),
                Some(("mode", value)) => mount.mode = Some(Mode(mode(value)?)),
                _ if flag(&mut mount, option) => {}
                _ => return Err(format!("unknown option {option:?}: size, mode, ro, noexec")),
            }
        }
        Ok(TmpfsSpec(mount))
    }
}

/// Whether it is a word of mounts, which is then heeded.
fn flag(mount: &mut Mount, word: &str) -> bool {
    match word {
        "ro" | "readonly" => mount.read_only = Some(true),
        "rw" => {}
        "nosuid" => mount.nosuid = true,
        "nodev" => mount.nodev = true,
        "noexec" => mount.noexec = true,
        _ => return false,
    }
    true
}

/// `lower=A,lower=B[,upper=C,work=D],to=E`
#[derive(Clone)]
pub(crate) struct OverlaySpec(pub(crate) Mount);

impl OverlaySpec {
    pub(crate) fn parse(text: OsString) -> Parsed<Self> {
        MountKeys::parse(&text, &["to"])?.overlay().map(OverlaySpec)
    }
}

/// `type=…,src=…,dst=…`
#[derive(Clone)]
pub(crate) struct MountSpec(pub(crate) Mount);

impl MountSpec {
    pub(crate) fn parse(text: OsString) -> Parsed<Self> {
        MountKeys::parse(&text, &["dst", "target", "destination"])?.mount().map(MountSpec)
    }
}

/// The words of a mount, each key seen at most once but `lower`. What no type asks for is an error in the end.
#[derive(Default)]
struct MountKeys {
    kind: Option<String>,
    source: Option<OsString>,
    target: Option<OsString>,
    lowers: Vec<PathBuf>,
    upper: Option<PathBuf>,
    work: Option<PathBuf>,
    size: Option<u64>,
    mode: Option<u32>,
    content: Option<OsString>,
    words: Vec<String>,
}

impl MountKeys {
    fn parse(text: &OsStr, target_names: &[&str]) -> Parsed<Self> {
        fn once<T>(place: &mut Option<T>, key: &str, value: T) -> Parsed<()> {
            match place.replace(value) {
                Some(_) => Err(format!("{key} is given twice")),
                None => Ok(()),
            }
        }
        let mut keys = MountKeys::default();
        for part in split_escaped(text, b',') {
            let Some((key, value)) = split_once(&part, b'=') else {
                match plain(&part)? {
                    "" => return Err("an empty part between commas".into()),
                    word => keys.words.push(word.to_owned()),
                }
                continue;
            };
            match plain(key)? {
                key if target_names.contains(&key) => once(&mut keys.target, key, value.into())?,
                key @ "type" => once(&mut keys.kind, key, plain(value)?.into())?,
                key @ ("src" | "source") => once(&mut keys.source, key, value.into())?,
                "lower" => keys.lowers.push(host_path(value)?),
                key @ "upper" => once(&mut keys.upper, key, host_path(value)?)?,
                key @ "work" => once(&mut keys.work, key, host_path(value)?)?,
                key @ "size" => once(&mut keys.size, key, size(plain(value)?)?)?,
                key @ "mode" => once(&mut keys.mode, key, mode(plain(value)?)?)?,
                key @ "content" => once(&mut keys.content, key, value.into())?,
                key => return Err(format!("unknown key {key:?}")),
            }
        }
        Ok(keys)
    }

    fn target(&mut self) -> Parsed<OsString> {
        self.target.take().ok_or_else(|| "where? give dst=PATH (to=PATH for --overlay-mount)".into())
    }

    fn source(&mut self, why: &str) -> Parsed<OsString> {
        self.source.take().ok_or_else(|| format!("src= is missing: {why}"))
    }

    fn word(&mut self, word: &str) -> bool {
        let before = self.words.len();
        self.words.retain(|given| given != word);
        self.words.len() != before
    }

    fn overlay(mut self) -> Parsed<Mount> {
        let mut mount = Mount::new(MountKind::Overlay, &self.target()?);
        mount.lowers = std::mem::take(&mut self.lowers).iter().map(Text::from).collect();
        mount.ephemeral = self.word("ephemeral");
        match (self.upper.take(), self.work.take(), mount.ephemeral) {
            (None, None, _) => {}
            (Some(upper), Some(work), false) => {
                (mount.upper, mount.work) = (Some(Text::from(upper)), Some(Text::from(work)));
            }
            (_, _, true) => return Err("ephemeral and upper/work are two different things".into()),
            _ => return Err("upper and work belong together".into()),
        }
        if self.word("ro") || self.word("readonly") {
            mount.read_only = Some(true);
        }
        self.finish(mount)
    }

    fn mount(mut self) -> Parsed<Mount> {
        let kind = self.kind.take().ok_or("type= is missing")?;
        if kind == "overlay" {
            return self.overlay();
        }
        let target = self.target()?;
        let mut mount = Mount::new(MountKind::Bind, &target);
        mount.kind = match kind.as_str() {
            "bind" => {
                mount.source = Some(Text::from(host_path(&self.source("what of the host?")?)?));
                mount.recursive = self.word("norecursive").then_some(false);
                MountKind::Bind
            }
            "tmpfs" => {
                mount.size = self.size.take().map(Size);
                MountKind::Tmpfs
            }
            "proc" => MountKind::Proc,
            "sysfs" => {
                mount.read_only = self.word("rw").then_some(false);
                MountKind::Sysfs
            }
            "mqueue" => MountKind::Mqueue,
            "devpts" => MountKind::Devpts,
            "dev" => MountKind::Dev,
            "file" => {
                mount.content = Some(match (self.content.take(), self.source.take()) {
                    (Some(content), None) => Content(content.into_vec()),
                    (None, Some(source)) => read_file(&source)?,
                    _ => return Err("a file needs content= or src=, one of them".into()),
                });
                MountKind::File
            }
            "dir" => MountKind::Directory,
            "symlink" => {
                mount.to = Some(Text::from(&self.source("where does the link lead?")?));
                MountKind::Symlink
            }
            "mask" => MountKind::Mask,
            "ro" => MountKind::ReadOnlyPath,
            other => return Err(format!("unknown type {other:?}")),
        };
        if matches!(kind.as_str(), "tmpfs" | "file" | "dir") {
            mount.mode = self.mode.take().map(Mode);
        }
        if matches!(kind.as_str(), "mask" | "ro") {
            mount.if_present = self.word("optional");
        }
        for (word, kinds) in [
            ("ro", &["bind", "tmpfs", "proc", "sysfs", "file"][..]),
            ("readonly", &["bind", "tmpfs", "proc", "sysfs", "file"]),
            ("rw", &["bind", "tmpfs", "proc", "file"]),
            ("nosuid", &["bind", "tmpfs"]),
            ("nodev", &["bind", "tmpfs"]),
            ("noexec", &["bind", "tmpfs"]),
        ] {
            if kinds.contains(&kind.as_str()) && self.word(word) {
                flag(&mut mount, word);
            }
        }
        self.finish(mount)
    }

    /// Nothing that was said may be left: it would be ignored.
    fn finish(self, mount: Mount) -> Parsed<Mount> {
        let left = [
            ("type", self.kind.is_some()),
            ("src", self.source.is_some()),
            ("lower", !self.lowers.is_empty()),
            ("upper", self.upper.is_some()),
            ("work", self.work.is_some()),
            ("size", self.size.is_some()),
            ("mode", self.mode.is_some()),
            ("content", self.content.is_some()),
        ];
        if let Some((key, _)) = left.iter().find(|(_, given)| *given) {
            return Err(format!("{key} means nothing for this type"));
        }
        match self.words.first() {
            Some(word) => Err(format!("{word:?} means nothing for this type")),
            None => Ok(mount),
        }
    }
}

/// It is held in memory, and written inside from there.
const MOST_CONTENT: u64 = 64 << 20;

fn read_file(source: &OsStr) -> Parsed<Content> {
    let read = named_files::read(Path::new(source), MOST_CONTENT);
    read.map(Content).map_err(|error| format!("{}: {error}", source.display()))
}

/// `DST=@HOSTFILE` or `DST=TEXT`
#[derive(Clone)]
pub(crate) struct FileSpec(pub(crate) Mount);

impl FileSpec {
    pub(crate) fn parse(text: OsString) -> Parsed<Self> {
        let (target, content) = split_once(&text, b'=').ok_or("expected DST=TEXT or DST=@HOSTFILE")?;
        let mut mount = Mount::new(MountKind::File, target);
        mount.content = Some(match content.as_bytes().strip_prefix(b"@") {
            Some(source) => read_file(OsStr::from_bytes(source))?,
            None => Content(content.as_bytes().to_vec()),
        });
        Ok(FileSpec(mount))
    }
}

/// `TARGET:LINK`
#[derive(Clone)]
pub(crate) struct SymlinkSpec(pub(crate) Mount);

impl SymlinkSpec {
    pub(crate) fn parse(text: OsString) -> Parsed<Self> {
        match split_escaped(&text, b':').as_slice() {
            [target, link] if !target.is_empty() && !link.is_empty() => {
                let mut mount = Mount::new(MountKind::Symlink, link);
                mount.to = Some(Text::from(target));
                Ok(SymlinkSpec(mount))
            }
            _ => Err("expected TARGET:LINK; a colon in a path is `\\:`".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_colon_in_a_path_can_be_escaped() {
        let bind = BindSpec::parse(r"/a\:b:/c".into()).unwrap();
        assert_eq!((bind.source, bind.target), ("/a:b".into(), "/c".into()));
        assert!(BindSpec::parse("/a:/b:/c".into()).is_err());
        assert!(BindSpec::parse("".into()).is_err());
    }

    #[test]
    fn a_path_has_any_bytes() {
        let given = |text: &[u8]| OsString::from_vec(text.to_vec());
        let bind = BindSpec::parse(given(b"/a\xff\\:b:/c\xfe")).unwrap();
        assert_eq!((bind.source.as_os_str(), bind.target.as_os_str()), (&*given(b"/a\xff:b"), &*given(b"/c\xfe")));
        let MountSpec(mount) = MountSpec::parse(given(b"type=file,content=\xfd,dst=/\xfe")).unwrap();
        assert_eq!((mount.target, mount.content), (Text::from(&given(b"/\xfe")), Some(Content(vec![0xfd]))));
        assert!(MountSpec::parse(given(b"type=\xff,dst=/a")).is_err_and(|error| error.contains("not UTF-8")));
        assert!(TmpfsSpec::parse(given(b"/a:size=\xff")).is_err());
    }

    #[test]
    fn every_word_of_a_mount_means_something_or_is_an_error() {
        assert!(MountSpec::parse("type=bind,src=/a,dst=/b,ro".into()).is_ok());
        for wrong in [
            "src=/a,dst=/b",
            "type=bind,dst=/b",
            "type=bind,src=/a",
            "type=tmpfs,dst=/b,src=/a",
            "type=proc,dst=/proc,size=1M",
            "type=bind,src=/a,dst=/b,banana",
            "type=bind,src=/a,src=/c,dst=/b",
            "type=mask,dst=/a,ro",
            "type=mask,dst=/a,noexec",
            "type=nothing,dst=/a",
            "type=bind,,dst=/b",
        ] {
            assert!(MountSpec::parse(wrong.into()).is_err(), "{wrong}");
        }
        assert!(OverlaySpec::parse("lower=/a,lower=/b,to=/c".into()).is_ok());
        assert!(OverlaySpec::parse("lower=/a,upper=/u,to=/c".into()).is_err());
    }

    proptest! {
        #[test]
        fn no_mount_is_too_strange_to_be_refused(text in ".{0,40}", likely in "(type=|src=|dst=|lower=|to=|ro|tmpfs|bind|/a|[,=:\\\\]){0,12}") {
            for text in [text, likely] {
                let _ = (BindSpec::parse((&text).into()).is_ok(), TmpfsSpec::parse((&text).into()).is_ok());
                let _ = (OverlaySpec::parse((&text).into()).is_ok(), MountSpec::parse((&text).into()).is_ok());
                let _ = SymlinkSpec::parse((&text).into()).is_ok();
            }
        }

        #[test]
        fn any_path_can_be_bound_to_any_other_once_its_colons_are_escaped(source in "/[^\\x00/]{1,20}", target in "/[^\\x00/]{1,20}") {
            let escape = |path: &str| path.replace('\\', r"\\").replace(':', r"\:");
            let bind = BindSpec::parse(format!("{}:{}", escape(&source), escape(&target)).into()).unwrap();
            // As paths, for which `/.` is `/`.
            prop_assert_eq!((bind.source, bind.target), (source.into(), target.into()));
        }
    }
}
