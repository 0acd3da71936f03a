//! `--spec`: the request that flags begin from, read from a file.

use std::io::Read;
use std::path::{Path, PathBuf};

use seclude::request::{Format, MOST_BYTES, Request, Wrong};

use crate::{Failure, named_files, words};

/// The request in `file`; `-` is stdin. Its paths are relative to where it lies.
pub(crate) fn read(file: &Path) -> Result<Request, Failure> {
    let failed = |why: String| Failure::new(format!("--spec {}: {why}", file.display()));
    let (bytes, directory) = if file == Path::new("-") {
        (bytes(std::io::stdin().lock()), PathBuf::from("."))
    } else {
        let above = file.parent().unwrap_or(Path::new("")).to_owned();
        (named_files::to_read(file).and_then(bytes), above)
    };
    let bytes = bytes.map_err(|error| failed(error.to_string()))?;
    let bytes = without_mark(&bytes);
    let format = match file.extension().and_then(|extension| extension.to_str()) {
        Some("json") => Format::Json,
        Some("toml") => Format::Toml,
        // Whatever it is called: `<(…)` and /dev/stdin have other names. No TOML begins like this.
        _ if bytes.trim_ascii_start().starts_with(b"{") => Format::Json,
        _ => Format::Toml,
    };
    let mut request = Request::parse(bytes, format).map_err(|wrong| failed(wrong.to_string()))?;
    let directory = std::path::absolute(if directory.as_os_str().is_empty() { Path::new(".") } else { &directory });
    request.paths_from(&directory.map_err(|error| failed(error.to_string()))?);
    words::begun_from(file, &request);
    Ok(request)
}

/// A mark of some editors' (BOM) is no part of the text.
fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}

/// As many bytes as a request may have, and one more if there are more: reading ends there.
fn bytes(from: impl Read) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(MOST_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Says which flag, or which key of a spec, cannot be meant.
pub(crate) fn refused(wrong: &Wrong, spec: Option<&Path>) -> Failure {
    let message = match (spec, words::place(&wrong.field)) {
        (Some(file), _) => format!("--spec {}: {wrong}", file.display()),
        (None, Some(flag)) => wrong.said_of(&flag),
        (None, None) => wrong.to_string(),
    };
    Failure::new(message)
}
