//! Containers from files.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use pyo3::exceptions::{PyIsADirectoryError, PyOSError, PyValueError};
use pyo3::prelude::*;
use rustix::fs::OFlags;
use seclude::request::{self, Format, MOST_BYTES, Request, Spelling};

use crate::failure::strerror;
use crate::object::{about, error_of, object};

/// Reads a request from a TOML or JSON file, and looks whether it is one; its paths begin where the file lies. Nothing but a regular file
/// is read.
#[pyfunction]
pub(crate) fn load<'py>(py: Python<'py>, path: PathBuf) -> PyResult<Bound<'py, PyAny>> {
    let name = path.display().to_string();
    let failed = |error: std::io::Error| match error.raw_os_error() {
        Some(number) => PyOSError::new_err((number, strerror(py, number), path.clone())),
        None => PyOSError::new_err(format!("{name}: {error}")),
    };
    let format = match path.extension().and_then(|extension| extension.to_str()) {
        Some("json") => Format::Json,
        Some("toml") => Format::Toml,
        _ => return Err(PyValueError::new_err(format!("{name}: its name has to end in .toml or .json"))),
    };
    let bytes = py.detach(|| read(&path)).map_err(|refused| match refused {
        Refused::System(error) => failed(error),
        Refused::Directory => {
            let number = rustix::io::Errno::ISDIR.raw_os_error();
            PyIsADirectoryError::new_err((number, "Is a directory", path.clone()))
        }
        Refused::Kind(kind) => PyValueError::new_err(format!("{name} is {kind}; it can be a regular file")),
        Refused::Large => PyValueError::new_err(format!("{name} has more than {MOST_BYTES} bytes")),
    })?;
    let value = request::value(&bytes, format).map_err(|wrong| PyValueError::new_err(format!("{name}: {wrong}")))?;
    let mut request = Request::from_value(&value, Spelling::Snake)
        .map_err(|wrong| about(error_of(&wrong, &format!("{name}: {}", wrong.field)), &wrong.field.to_string()))?;
    request.paths_from(std::path::absolute(&path).map_err(failed)?.parent().unwrap_or(Path::new("/")));
    let value = serde_json::to_value(&request).and_then(serde_json::from_value);
    object(py, &value.map_err(|error| PyValueError::new_err(format!("{name}: {error}")))?)
}

enum Refused {
    System(std::io::Error),
    Directory,
    Kind(&'static str),
    Large,
}

fn read(path: &PathBuf) -> Result<Vec<u8>, Refused> {
    // A FIFO waits for nobody then, and a terminal does not become ours.
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits() as i32;
    let file = File::options().read(true).custom_flags(flags).open(path).map_err(Refused::System)?;
    let about = file.metadata().map_err(Refused::System)?;
    let kind = about.file_type();
    if kind.is_dir() {
        return Err(Refused::Directory);
    }
    if !kind.is_file() {
        let is = if kind.is_fifo() { "a FIFO" } else { "no regular file" };
        return Err(Refused::Kind(is));
    }
    if about.len() > MOST_BYTES as u64 {
        return Err(Refused::Large);
    }
    let mut bytes = Vec::new();
    // Files of /proc have no length.
    file.take(MOST_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(Refused::System)?;
    if bytes.len() > MOST_BYTES { Err(Refused::Large) } else { Ok(bytes) }
}
