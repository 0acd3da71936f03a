//! `cargo xtask request`: what is made of the request's own texts: docs/request.schema.json and docs/request.md.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use seclude_request::{Format, Request};
use serde_json::{Map, Value};

use crate::workspace::{self, cargo};

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Write nothing: fail if a file is stale, or if the request has come to know of the system
    #[arg(long)]
    check: bool,
}

/// What pure data has no use for.
const SYSTEM: [&str; 6] = ["rustix", "libc", "nix", "linux-raw-sys", "seclude-sys", "tokio"];
const FILES: [&str; 4] = ["std::fs", "std::process", "std::env", "std::os::fd"];

pub(crate) fn run(options: &Options) -> Result<()> {
    let schema = seclude_request::schema_text();
    let page = page(&serde_json::from_str(&schema)?)?;
    let docs = workspace::root().join("docs");
    for (name, text) in [("request.schema.json", schema), ("request.md", page)] {
        let file = docs.join(name);
        if options.check {
            ensure!(
                fs::read_to_string(&file).is_ok_and(|old| old == text),
                "docs/{name} is stale: cargo xtask request"
            );
        } else {
            fs::write(&file, text).with_context(|| file.display().to_string())?;
        }
    }
    if options.check { is_pure_data() } else { Ok(()) }
}

fn is_pure_data() -> Result<()> {
    let tree = cargo()
        .args(["tree", "--locked", "--package", "seclude-request", "--edges", "normal", "--prefix", "none"])
        .output()
        .context("cargo tree")?;
    let tree = String::from_utf8(tree.stdout)?;
    ensure!(tree.starts_with("seclude-request "), "cargo tree said nothing of seclude-request");
    if let Some(used) = SYSTEM.iter().find(|name| tree.lines().any(|line| line.split(' ').next() == Some(name))) {
        bail!("crates/request depends on {used}");
    }
    let mut sources = String::new();
    read_sources(&workspace::root().join("crates/request/src"), &mut sources)?;
    match FILES.iter().find(|word| sources.contains(*word)) {
        Some(word) => bail!("crates/request uses {word}"),
        None => Ok(()),
    }
}

fn read_sources(directory: &Path, text: &mut String) -> Result<()> {
    for entry in fs::read_dir(directory).with_context(|| directory.display().to_string())? {
        let path = entry?.path();
        match path.is_dir() {
            true => read_sources(&path, text)?,
            false => text.push_str(&fs::read_to_string(&path)?),
        }
    }
    Ok(())
}

const BEGINNING: &str = "# The request

<!-- Made by `cargo xtask request` from the texts in crates/request; `.ci/run` fails when it is stale. -->

What a process and its container are to be, as data. `seclude run --spec FILE.toml` (or `.json`, or `-` for stdin) reads it,
`seclude explain --spec FLAGS` prints the one that flags make, `Command::from_request` takes it in Rust. docs/request.schema.json
is the same as a JSON Schema.

```toml
EXAMPLE```

* What is not said is as the preset has it. Unknown keys are errors, at any depth.
* Sizes are numbers of bytes or strings with K, M, G or T (powers of 1024); lengths of time are numbers of seconds or strings with us,
  ms, s, m, h or d, such as \"1h30m\"; permissions are octal digits in a string.
* Paths, names and arguments that are no UTF-8 are written as `{ hex = \"2f746d702fff\" }`, two digits a byte.
* In a file, paths of the host are relative to where the file lies. A request has at most 4 MiB, and 16 levels.
* With flags on top, a flag that has a single value wins, lists go on with what flags add, and `--no-mounts` and its like empty one.
";

const EXAMPLE: &str = "preset = \"sandbox\"
command = [\"make\", \"test\"]
workdir = \"/src\"

[limits]
memory_max = \"512M\"
pids_max = 256

[[mounts]]
type = \"bind\"
source = \".\"
target = \"/src\"
";

fn page(schema: &Value) -> Result<String> {
    Request::parse(EXAMPLE.as_bytes(), Format::Toml).context("the example")?;
    let mut page = BEGINNING.replace("EXAMPLE", EXAMPLE);
    let nothing = Map::new();
    let definitions = schema["$defs"].as_object().unwrap_or(&nothing);
    // Each type once, in the order in which the first page comes to it.
    let mut waiting = vec![("Request".to_owned(), schema)];
    let mut seen = vec!["Request".to_owned()];
    while !waiting.is_empty() {
        let (name, object) = waiting.remove(0);
        write!(page, "\n## {name}\n\n{}\n", text(object))?;
        if let Some(properties) = object["properties"].as_object() {
            page.push_str("\n| key | what it can be | |\n|---|---|---|\n");
            let required = object["required"].as_array();
            for (key, property) in properties {
                let needed = required.is_some_and(|keys| keys.iter().any(|one| one == key.as_str()));
                let needed = if needed { " Required." } else { "" };
                writeln!(page, "| `{key}` | {} | {}{needed} |", kind(property), text(property))?;
            }
        }
        for (word, meaning) in words(object) {
            write!(page, "\n* `\"{word}\"`: {meaning}")?;
        }
        page.push_str(if words(object).is_empty() { "" } else { "\n" });
        for name in referred(object) {
            let structured = |object: &Value| object["properties"].is_object() || !words(object).is_empty();
            if let Some((name, object)) = definitions.get_key_value(&name)
                && !seen.contains(name)
                && structured(object)
            {
                seen.push(name.clone());
                waiting.push((name.clone(), object));
            }
        }
    }
    Ok(page)
}

fn text(object: &Value) -> String {
    object["description"].as_str().unwrap_or_default().replace('\n', " ").replace('|', "\\|")
}

/// Words that a string can be, with their texts.
fn words(object: &Value) -> Vec<(String, String)> {
    let options = object["oneOf"].as_array().into_iter().flatten();
    options.filter_map(|option| Some((option["const"].as_str()?.to_owned(), text(option)))).collect()
}

fn named(reference: &str) -> &str {
    reference.rsplit('/').next().unwrap_or(reference)
}

fn kind(property: &Value) -> String {
    if let Some(reference) = property["$ref"].as_str() {
        return named(reference).to_owned();
    }
    if let Some(options) = property["anyOf"].as_array() {
        let kinds: Vec<String> = options.iter().map(kind).filter(|kind| kind != "null").collect();
        return kinds.join(" or ");
    }
    let word = |word: &str| match word {
        "array" => format!("list of {}", kind(&property["items"])),
        "object" if property["additionalProperties"].is_object() => {
            format!("object of {}", kind(&property["additionalProperties"]))
        }
        "integer" => "whole number".to_owned(),
        "boolean" => "true or false".to_owned(),
        other => other.to_owned(),
    };
    match &property["type"] {
        Value::String(one) => word(one),
        Value::Array(several) => {
            let several = several.iter().filter_map(Value::as_str).filter(|one| *one != "null");
            several.map(word).collect::<Vec<_>>().join(" or ")
        }
        _ => "anything".to_owned(),
    }
}

fn referred(value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    match value {
        Value::Object(entries) => {
            for (key, value) in entries.iter().filter(|(key, _)| *key != "$defs") {
                match value.as_str().filter(|_| key == "$ref") {
                    Some(reference) => found.push(named(reference).to_owned()),
                    None => found.extend(referred(value)),
                }
            }
        }
        Value::Array(items) => found.extend(items.iter().flat_map(referred)),
        _ => {}
    }
    found
}
