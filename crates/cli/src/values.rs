//! The values of flags: each is parsed once, with an error that says what was expected.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use seclude::{Capability, Mount, Namespace, Overlay, Resource, UNLIMITED};

type Parsed<T> = Result<T, String>;

/// Bytes: a number, or one with K, M, G, T (powers of 1024).
pub(crate) fn size(text: &str) -> Parsed<u64> {
    let wrong = || format!("{text:?} is not a size: a number of bytes, or with K, M, G or T");
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let factor: u64 = match text[digits.len()..].to_ascii_uppercase().as_str() {
        "" | "B" => 1,
        "K" | "KB" | "KIB" => 1 << 10,
        "M" | "MB" | "MIB" => 1 << 20,
        "G" | "GB" | "GIB" => 1 << 30,
        "T" | "TB" | "TIB" => 1 << 40,
        _ => return Err(wrong()),
    };
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    number.checked_mul(factor).ok_or_else(|| format!("{text:?} is more than 2^64 bytes"))
}

/// A length of time: a number with ms, s, m or h; a bare one is seconds.
pub(crate) fn duration(text: &str) -> Parsed<Duration> {
    let nanoseconds = nanoseconds(text)?;
    if nanoseconds == 0 {
        return Err("it has to be more than 0".into());
    }
    u64::try_from(nanoseconds).map(Duration::from_nanos).map_err(|_| format!("{text:?} is too long"))
}

/// A length of time that may be negative, in nanoseconds.
pub(crate) fn offset(text: &str) -> Parsed<i128> {
    match text.strip_prefix('-') {
        Some(rest) => nanoseconds(rest).map(|value| -(value as i128)),
        None => nanoseconds(text).map(|value| value as i128),
    }
}

fn nanoseconds(text: &str) -> Parsed<u128> {
    let wrong = || format!("{text:?} is not a duration: a number with ms, s, m or h, such as 10s or 1.5m");
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit: u128 = match &text[digits.len()..] {
        "us" => 1_000,
        "ms" => 1_000_000,
        "" | "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return Err(wrong()),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !all_digits(whole) || !all_digits(fraction) || fraction.len() > 9 {
        return Err(wrong());
    }
    let whole: u64 = whole.parse().map_err(|_| wrong())?;
    let parts = if fraction.is_empty() { 0 } else { fraction.parse::<u64>().map_err(|_| wrong())? };
    Ok(u128::from(whole) * unit + u128::from(parts) * unit / 10u128.pow(fraction.len() as u32))
}

/// Permission bits, octal.
pub(crate) fn mode(text: &str) -> Parsed<u32> {
    match u32::from_str_radix(text, 8) {
        Ok(mode) if mode <= 0o7777 => Ok(mode),
        _ => Err(format!("{text:?} is not an octal mode such as 755 or 022")),
    }
}

/// `pid,net,…`
#[derive(Clone)]
pub(crate) struct NamespaceList(pub(crate) Vec<Namespace>);

impl FromStr for NamespaceList {
    type Err = String;

    fn from_str(text: &str) -> Parsed<Self> {
        let kinds = text.split(',').map(|word| word.parse::<Namespace>().map_err(|error| error.to_string()));
        kinds.collect::<Parsed<_>>().map(NamespaceList)
    }
}

/// `net=/proc/1/ns/net`
#[derive(Clone)]
pub(crate) struct JoinSpec(pub(crate) Namespace, pub(crate) PathBuf);

impl FromStr for JoinSpec {
    type Err = String;

    fn from_str(text: &str) -> Parsed<Self> {
        let (kind, path) = text.split_once('=').ok_or("expected NS=PATH, such as net=/proc/1234/ns/net")?;
        Ok(JoinSpec(kind.parse().map_err(|error: seclude::UnknownNamespace| error.to_string())?, path.into()))
    }
}

/// `1000:1000`
#[derive(Clone, Copy)]
pub(crate) struct UserSpec {
    pub(crate) uid: u32,
    pub(crate) gid: Option<u32>,
}

impl FromStr for UserSpec {
    type Err = String;

    fn from_str(text: &str) -> Parsed<Self> {
        let id = |part: &str| match part.parse::<u32>() {
            // -1 means "no id" to the kernel.
            Ok(id) if id != u32::MAX && part.bytes().all(|byte| byte.is_ascii_digit()) => Ok(id),
            _ => Err(format!("{part:?} is not an id: a number from 0 to 4294967294")),
        };
        match text.split_once(':') {
            Some((uid, gid)) => Ok(UserSpec { uid: id(uid)?, gid: Some(id(gid)?) }),
            None => Ok(UserSpec { uid: id(text)?, gid: None }),
        }
    }
}

/// Splits at `separator`, but not where a backslash stands before it; `\\` is a backslash.
fn split_escaped(text: &str, separator: char) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let last = parts.len() - 1;
        match character {
            '\\' if characters.peek().is_some_and(|next| *next == separator || *next == '\\') => {
                parts[last].extend(characters.next());
            }
            _ if character == separator => parts.push(String::new()),
            _ => parts[last].push(character),
        }
    }
    parts
}

/// A source of the host may be relative to where seclude runs.
fn host_path(text: &str) -> Parsed<PathBuf> {
    std::path::absolute(text).map_err(|error| format!("{text:?}: {error}"))
}

/// `SRC[:DST]`
#[derive(Clone)]
pub(crate) struct BindSpec {
    pub(crate) source: PathBuf,
    pub(crate) target: PathBuf,
}

impl FromStr for BindSpec {
    type Err = String;

    fn from_str(text: &str) -> Parsed<Self> {
        match split_escaped(text, ':').as_slice() {
            [source] if !source.is_empty() => {
                let source = host_path(source)?;
                Ok(BindSpec { target: source.clone(), source })
            }
            [source, target] if !source.is_empty() && !target.is_empty() => {
                Ok(BindSpec { source: host_path(source)?, target: target.into() })
            }
            _ => Err("expected SRC or SRC:DST; a colon in a path is `\\:`".into()),
        }
    }
}

/// `DST[:size=64M,mode=1777]`
#[derive(Clone)]
pub(crate) struct TmpfsSpec(pub(crate) Mount);

impl FromStr for TmpfsSpec {
    type Err = String;

    fn from_str(text: &str) -> Parsed<Self> {
        let parts = split_escaped(text, ':');
        let (target, options) = match parts.as_slice() {
            [target] => (target, ""),
            [target, options] => (target, options.as_str()),
            _ => return Err("expected DST or DST:size=…,mode=…".into()),
        };
        let mut mount = Mount::tmpfs(target);
        for option in options.split(',').filter(|option| !option.is_empty()) {
            mount = match option.split_once('=') {
                Some(("size", value)) => mount.size(size(value)?),
                Some(("mode", value)) => mount.mode(mode(value)?),
                _ => flag(mount, option).ok_or(format!("unknown option {option:?}: size, mode, ro, noexec"))?,
            };
        }
        Ok(TmpfsSpec(mount))
    }
}

fn flag(mount: Mount, word: &str) -> Option<Mount> {
    Some(match word {
        "ro" | "readonly" => mount.read_only(),
        "rw" => mount,
        "nosuid" => mount.nosuid(),
        "nodev" => mount.nodev(),
        "noexec" => mount.noexec(),
        _ => return None,
    })
}

/// `lower=A,lower=B[,upper=C,work=D],to=E`
#[derive(Clone)]
pub(crate) struct OverlaySpec(pub(crate) Mount);

impl FromStr for OverlaySpec {
    type Err = String;

    fn from_str(text: &str) -> Parsed<Self> {
        MountKeys::parse(text, &["to"])?.overlay().map(OverlaySpec)
    }
}

/// `type=…,src=…,dst=…`
#[derive(Clone)]
pub(crate) struct MountSpec(pub(crate) Mount);

impl FromStr for MountSpec {
    type Err = String;

    fn from_str(text: &str) -> Parsed<Self> {
        MountKeys::parse(text, &["dst", "target", "destination"])?.mount().map(MountSpec)
    }
}

/// The words of a mount, each key seen at most once but `lower`. What no type asks for is an error in the end.
#[derive(Default)]
struct MountKeys {
    kind: Option<String>,
    source: Option<String>,
    target: Option<String>,
    lowers: Vec<PathBuf>,
    upper: Option<PathBuf>,
    work: Option<PathBuf>,
    size: Option<u64>,
    mode: Option<u32>,
    content: Option<String>,
    words: Vec<String>,
}

impl MountKeys {
    fn parse(text: &str, target_names: &[&str]) -> Parsed<Self> {
        fn once<T>(place: &mut Option<T>, key: &str, value: T) -> Parsed<()> {
            match place.replace(value) {
                Some(_) => Err(format!("{key} is given twice")),
                None => Ok(()),
            }
        }
        let mut keys = MountKeys::default();
        for part in split_escaped(text, ',') {
            match part.split_once('=') {
                Some((key, value)) if target_names.contains(&key) => once(&mut keys.target, key, value.into())?,
                Some(("type", value)) => once(&mut keys.kind, "type", value.into())?,
                Some((key @ ("src" | "source"), value)) => once(&mut keys.source, key, value.into())?,
                Some(("lower", value)) => keys.lowers.push(host_path(value)?),
                Some(("upper", value)) => once(&mut keys.upper, "upper", host_path(value)?)?,
                Some(("work", value)) => once(&mut keys.work, "work", host_path(value)?)?,
                Some(("size", value)) => once(&mut keys.size, "size", size(value)?)?,
                Some(("mode", value)) => once(&mut keys.mode, "mode", mode(value)?)?,
                Some(("content", value)) => once(&mut keys.content, "content", value.into())?,
                Some((key, _)) => return Err(format!("unknown key {key:?}")),
                None if part.is_empty() => return Err("an empty part between commas".into()),
                None => keys.words.push(part),
            }
        }
        Ok(keys)
    }

    fn target(&mut self) -> Parsed<String> {
        self.target.take().ok_or_else(|| "where? give dst=PATH (to=PATH for --overlay-mount)".into())
    }

    fn source(&mut self, why: &str) -> Parsed<String> {
        self.source.take().ok_or_else(|| format!("src= is missing: {why}"))
    }

    fn word(&mut self, word: &str) -> bool {
        let before = self.words.len();
        self.words.retain(|given| given != word);
        self.words.len() != before
    }

    fn overlay(mut self) -> Parsed<Mount> {
        let target = self.target()?;
        let mut overlay = Overlay::new(std::mem::take(&mut self.lowers));
        let ephemeral = self.word("ephemeral");
        overlay = match (self.upper.take(), self.work.take(), ephemeral) {
            (None, None, false) => overlay,
            (None, None, true) => overlay.ephemeral(),
            (Some(upper), Some(work), false) => overlay.upper(upper, work),
            (_, _, true) => return Err("ephemeral and upper/work are two different things".into()),
            _ => return Err("upper and work belong together".into()),
        };
        let read_only = self.word("ro") || self.word("readonly");
        let mount = self.finish(Mount::overlay(overlay, target))?;
        Ok(if read_only { mount.read_only() } else { mount })
    }

    fn mount(mut self) -> Parsed<Mount> {
        let kind = self.kind.take().ok_or("type= is missing")?;
        if kind == "overlay" {
            return self.overlay();
        }
        let target = self.target()?;
        let mut mount = match kind.as_str() {
            "bind" => {
                let bind = Mount::bind(host_path(&self.source("what of the host?")?)?, target);
                if self.word("norecursive") { bind.not_recursive() } else { bind }
            }
            "tmpfs" => {
                let tmpfs = Mount::tmpfs(target);
                match self.size.take() {
                    Some(size) => tmpfs.size(size),
                    None => tmpfs,
                }
            }
            "proc" => Mount::proc(target),
            "sysfs" => Mount::sysfs(target),
            "mqueue" => Mount::mqueue(target),
            "devpts" => Mount::devpts(target),
            "dev" => Mount::dev(target),
            "file" => match (self.content.take(), self.source.take()) {
                (Some(content), None) => Mount::file(target, content),
                (None, Some(source)) => read_file(target, &source)?,
                _ => return Err("a file needs content= or src=, one of them".into()),
            },
            "dir" => Mount::directory(target),
            "symlink" => Mount::symlink(self.source("where does the link lead?")?, target),
            "mask" => Mount::mask(target),
            "ro" => Mount::read_only_path(target),
            other => return Err(format!("unknown type {other:?}")),
        };
        if matches!(kind.as_str(), "tmpfs" | "file" | "dir")
            && let Some(mode) = self.mode.take()
        {
            mount = mount.mode(mode);
        }
        if matches!(kind.as_str(), "mask" | "ro") && self.word("optional") {
            mount = mount.if_present();
        }
        for (word, kinds) in [
            ("ro", &["bind", "tmpfs", "proc", "sysfs", "file"][..]),
            ("readonly", &["bind", "tmpfs", "proc", "sysfs", "file"]),
            ("rw", &["bind", "tmpfs", "proc", "sysfs", "file"]),
            ("nosuid", &["bind", "tmpfs"]),
            ("nodev", &["bind", "tmpfs"]),
            ("noexec", &["bind", "tmpfs"]),
        ] {
            if kinds.contains(&kind.as_str()) && self.word(word) {
                mount = flag(mount, word).ok_or("unknown word")?;
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

fn read_file(target: impl AsRef<Path>, source: &str) -> Parsed<Mount> {
    let file = std::fs::File::open(source).map_err(|error| format!("{source}: {error}"))?;
    Mount::file_from(target, file).map_err(|error| format!("{source}: {error}"))
}

/// `DST=@HOSTFILE` or `DST=TEXT`
#[derive(Clone)]
pub(crate) struct FileSpec(pub(crate) Mount);

impl FromStr for FileSpec {
    type Err = String;

    fn from_str(text: &str) -> Parsed<Self> {
        let (target, content) = text.split_once('=').ok_or("expected DST=TEXT or DST=@HOSTFILE")?;
        match content.strip_prefix('@') {
            Some(source) => read_file(target, source).map(FileSpec),
            None => Ok(FileSpec(Mount::file(target, content))),
        }
    }
}

/// `TARGET:LINK`
#[derive(Clone)]
pub(crate) struct SymlinkSpec(pub(crate) Mount);

impl FromStr for SymlinkSpec {
    type Err = String;

    fn from_str(text: &str) -> Parsed<Self> {
        match split_escaped(text, ':').as_slice() {
            [target, link] if !target.is_empty() && !link.is_empty() => Ok(SymlinkSpec(Mount::symlink(target, link))),
            _ => Err("expected TARGET:LINK; a colon in a path is `\\:`".into()),
        }
    }
}

/// `K=V`
#[derive(Clone)]
pub(crate) struct EnvSpec(pub(crate) OsString, pub(crate) OsString);

impl FromStr for EnvSpec {
    type Err = String;

    fn from_str(text: &str) -> Parsed<Self> {
        match text.split_once('=') {
            Some((key, value)) if !key.is_empty() => Ok(EnvSpec(key.into(), value.into())),
            _ => Err("expected K=V".into()),
        }
    }
}

/// A capability, or all of them.
#[derive(Clone, Copy)]
pub(crate) enum CapabilityName {
    All,
    One(Capability),
}

impl FromStr for CapabilityName {
    type Err = String;

    fn from_str(text: &str) -> Parsed<Self> {
        if text.eq_ignore_ascii_case("all") {
            return Ok(CapabilityName::All);
        }
        text.parse().map(CapabilityName::One).map_err(|error: seclude::UnknownCapability| error.to_string())
    }
}

/// `NAME=SOFT[:HARD]`
#[derive(Clone, Copy)]
pub(crate) struct RlimitSpec(pub(crate) Resource, pub(crate) u64, pub(crate) u64);

impl FromStr for RlimitSpec {
    type Err = String;

    fn from_str(text: &str) -> Parsed<Self> {
        let (name, value) = text.split_once('=').ok_or("expected NAME=SOFT or NAME=SOFT:HARD")?;
        let resource = name.parse().map_err(|error: seclude::UnknownResource| error.to_string())?;
        let limit = |word: &str| if word == "unlimited" { Ok(UNLIMITED) } else { size(word) };
        let (soft, hard) = value.split_once(':').unwrap_or((value, value));
        Ok(RlimitSpec(resource, limit(soft)?, limit(hard)?))
    }
}

/// `24x80`
#[derive(Clone, Copy)]
pub(crate) struct Dimension {
    pub(crate) rows: u16,
    pub(crate) columns: u16,
}

impl FromStr for Dimension {
    type Err = String;

    fn from_str(text: &str) -> Parsed<Self> {
        let wrong = || format!("{text:?} is not a size such as 24x80");
        let (rows, columns) = text.split_once('x').ok_or_else(wrong)?;
        Ok(Dimension { rows: rows.parse().map_err(|_| wrong())?, columns: columns.parse().map_err(|_| wrong())? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_take_powers_of_1024_and_refuse_what_does_not_fit() {
        assert_eq!(size("0"), Ok(0));
        assert_eq!(size("64M"), Ok(64 << 20));
        assert_eq!(size("2g"), Ok(2 << 30));
        for wrong in ["", "M", "-1", "1X", "1.5M", "99999999999T", "1 M"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn durations_take_units_and_fractions_and_refuse_zero_and_signs() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("1.5m"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("3"), Ok(Duration::from_secs(3)));
        for wrong in ["0", "", "s", "-1s", "1d", "1.s2"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
        assert_eq!(offset("-2s"), Ok(-2_000_000_000));
    }

    #[test]
    fn a_colon_in_a_path_can_be_escaped() {
        let bind: BindSpec = r"/a\:b:/c".parse().unwrap();
        assert_eq!((bind.source, bind.target), ("/a:b".into(), "/c".into()));
        assert!("/a:/b:/c".parse::<BindSpec>().is_err());
        assert!("".parse::<BindSpec>().is_err());
    }

    #[test]
    fn every_word_of_a_mount_means_something_or_is_an_error() {
        assert!("type=bind,src=/a,dst=/b,ro".parse::<MountSpec>().is_ok());
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
            assert!(wrong.parse::<MountSpec>().is_err(), "{wrong}");
        }
        assert!("lower=/a,lower=/b,to=/c".parse::<OverlaySpec>().is_ok());
        assert!("lower=/a,upper=/u,to=/c".parse::<OverlaySpec>().is_err());
    }
}
