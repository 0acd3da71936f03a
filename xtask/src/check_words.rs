//! No code decides by the words of an error: what it is about, and what can be done, is data (`field`, `code`, `remedies`).
//!
//! A sentence is changed by whoever finds a better one; code that looks for a part of it breaks without a word.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::workspace;

/// What has the sources that run for a user.
const PLACES: [&str; 8] = [
    "crates",
    "bindings/node/src",
    "bindings/node/lib",
    "bindings/python/src",
    "bindings/python/python",
    "bindings/python/cpython",
    "bindings/c/src",
    "bindings/c/examples",
];
/// What gives the words of an error.
const WORDS: [&str; 9] = [
    ".action()",
    ".advice()",
    ".hint()",
    ".message",
    ".message_with(",
    "error.to_string()",
    "err.to_string()",
    "failure.to_string()",
    "wrong.to_string()",
];
/// What looks for something in them.
const LOOKS: [&str; 12] = [
    ".contains(",
    ".starts_with(",
    ".ends_with(",
    ".strip_prefix(",
    ".strip_suffix(",
    ".split_once(",
    ".split(",
    ".rsplit(",
    ".find(",
    ".matches(",
    "() == \"",
    "() != \"",
];

/// The same of a language whose statements are lines.
struct Lines {
    extension: &'static str,
    comment: &'static str,
    words: &'static [&'static str],
    looks: &'static [&'static str],
}

const LANGUAGES: [Lines; 2] = [
    Lines {
        extension: "js",
        comment: "//",
        words: &[".message", ".hint", ".action", ".stack", "String(error)", "String(cause)", "error.toString()"],
        looks: &[
            ".includes(",
            ".startsWith(",
            ".endsWith(",
            ".indexOf(",
            ".match(",
            ".search(",
            ".split(",
            ".test(",
            ".exec(",
            "=== '",
            "!== '",
        ],
    },
    Lines {
        extension: "py",
        comment: "#",
        words: &["str(error)", "str(raised)", "str(exc)", "str(e)", ".message", ".hint", ".action", ".strerror"],
        looks: &[
            ".startswith(",
            ".endswith(",
            ".find(",
            ".index(",
            ".split(",
            ".partition(",
            "re.match(",
            "re.search(",
            " in ",
            " == ",
            " != ",
        ],
    },
];

pub(crate) fn check() -> Result<()> {
    let root = workspace::root();
    let mut wrong = Vec::new();
    let mut seen = 0;
    for file in PLACES.iter().try_fold(Vec::new(), |found, place| sources(&root.join(place), found))? {
        let short = file.strip_prefix(&root).unwrap_or(&file).display().to_string();
        let text = fs::read_to_string(&file).with_context(|| short.clone())?;
        seen += 1;
        let extension = file.extension().unwrap_or_default();
        let lines = LANGUAGES.iter().find(|language| extension == language.extension);
        let found = lines.map_or_else(|| decisions(&text), |language| language.decisions(&text));
        wrong.extend(found.into_iter().map(|line| format!("{short}:{line}")));
    }
    if seen < 100 {
        bail!("only {seen} sources were found: they are looked for in the wrong places");
    }
    if !wrong.is_empty() {
        bail!("these decide by the words of an error, not by its field, code or remedies: {}", wrong.join(", "));
    }
    println!("{seen} sources decide by no words of an error");
    Ok(())
}

/// Every source below `place` but tests.
fn sources(place: &Path, mut found: Vec<PathBuf>) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(place).with_context(|| place.display().to_string())?;
    let mut entries: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
    entries.sort();
    for path in entries {
        let name = path.file_name().unwrap_or_default();
        if path.is_dir() && name != "tests" && name != "target" {
            found = sources(&path, found)?;
        } else if path.extension().is_some_and(|extension| {
            extension == "rs" || LANGUAGES.iter().any(|language| extension == language.extension)
        }) {
            found.push(path);
        }
    }
    Ok(found)
}

/// The lines of `text` in which something is looked for in an error's words. (Of tests, which come last in a file, none.)
fn decisions(text: &str) -> Vec<usize> {
    let code: String = text
        .lines()
        .take_while(|line| line.trim() != "#[cfg(test)]" || line.starts_with(' '))
        .map(|line| if line.trim_start().starts_with("//") { "\n".to_owned() } else { format!("{line}\n") })
        .collect();
    let code = joined(&code);
    let mut lines = Vec::new();
    for words in WORDS {
        for (at, _) in code.match_indices(words) {
            let before = code[..at].rfind([';', '{', '}']).map_or(0, |end| end + 1);
            let (statement, rest) = code[at..].split_once(';').unwrap_or((&code[at..], ""));
            // A field, not the beginning of another name.
            if statement[words.len()..].starts_with(|c: char| c.is_alphanumeric() || c == '_') {
                continue;
            }
            let line = 1 + code[..at].matches('\n').count();
            if LOOKS.iter().any(|looks| statement.contains(looks)) {
                lines.push(line);
            } else if let Some(name) = bound(&code[before..at]) {
                // As long as the name stands for that: to the end of its function.
                let scope = rest.split("\nfn ").next().unwrap_or(rest);
                lines.extend(looked_in(scope, name).map(|_| line));
            }
        }
    }
    lines.sort_unstable();
    lines.dedup();
    lines
}

impl Lines {
    /// The lines in which something is looked for in an error's words, or in what has a name for them since then.
    fn decisions(&self, text: &str) -> Vec<usize> {
        let code: String = text
            .lines()
            .map(|line| if line.trim_start().starts_with(self.comment) { "\n".to_owned() } else { format!("{line}\n") })
            .collect();
        let (mut found, mut names) = (Vec::new(), Vec::<String>::new());
        for (number, line) in (1..).zip(joined(&code).lines()) {
            // The end of a function, or of a class.
            if line.starts_with(|c: char| !c.is_whitespace()) {
                names.clear();
            }
            let has = |word: &str| {
                line.match_indices(word).any(|(at, _)| {
                    let whole = |c: char| !c.is_alphanumeric() && c != '_';
                    line[at + word.len()..].chars().next().is_none_or(whole)
                })
            };
            let looks = self.looks.iter().any(|looks| line.contains(looks));
            let told = self.words.iter().any(|word| has(word));
            let named = || names.iter().any(|name| has(name));
            if looks && (told || named()) {
                found.push(number);
            } else if told && let Some((target, _)) = line.split_once(" = ") {
                let target = target.trim().trim_start_matches("const ").trim_start_matches("let ");
                names.extend(target.chars().all(|c| c.is_alphanumeric() || c == '_').then(|| target.to_owned()));
            }
        }
        found
    }
}

/// Chains that go over lines, in one; its lines are those behind it.
fn joined(code: &str) -> String {
    let mut text = String::with_capacity(code.len());
    let mut owed = 0;
    for line in code.split_inclusive('\n') {
        if line.trim_start().starts_with('.') {
            text.truncate(text.trim_end().len());
            text.push_str(line.trim());
            owed += 1;
            text.push('\n');
        } else {
            // So that the lines after it have their numbers.
            text.extend(std::iter::repeat_n('\n', std::mem::take(&mut owed)));
            text.push_str(line);
        }
    }
    text
}

/// The name of `let NAME = …` or `let Some(NAME) = …`.
fn bound(statement: &str) -> Option<&str> {
    let (_, pattern) = statement.rsplit_once("let ")?;
    let (pattern, _) = pattern.split_once('=')?;
    let name = pattern.trim().trim_start_matches("Some(").trim_start_matches("mut ").trim_end_matches(')');
    name.chars().all(|c| c.is_alphanumeric() || c == '_').then_some(name).filter(|name| !name.is_empty())
}

/// Whether something is looked for in what has this name.
fn looked_in(scope: &str, name: &str) -> Option<()> {
    let is_name = |at: usize| {
        let whole = |c: char| !c.is_alphanumeric() && c != '_' && c != '.';
        scope[..at].chars().next_back().is_none_or(whole)
    };
    let looked = LOOKS.iter().filter(|looks| looks.starts_with('.'));
    let found =
        looked.flat_map(|looks| scope.match_indices(&format!("{name}{looks}")).map(|(at, _)| at).collect::<Vec<_>>());
    found.into_iter().any(is_name).then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_decides_by_words_is_found() {
        for bad in [
            r#"if error.action().starts_with("uid") {"#,
            r#"error.advice().is_some_and(|hint| hint.contains("servers"));"#,
            "error\n    .to_string()\n    .contains(\"new mount\");",
            r#"let dns = error.to_string().ends_with("need");"#,
            "let said = error.action();\nmatch error.step() {\n    _ if said.contains(\"root\") => true,\n}",
            "if let Some(hint) = error.advice() {\n    found |= hint.starts_with(\"x\");\n}",
            r#"failure.message.starts_with("x");"#,
            r#"match error.step() { "exec" if error.action() == "no command" => 1, _ => 2 };"#,
        ] {
            assert_eq!(decisions(bad).len(), 1, "{bad}");
        }
    }

    #[test]
    fn so_it_is_in_other_languages() {
        let [js, py] = &LANGUAGES;
        for bad in [
            "if (error.message.includes('new mount')) return;",
            "if (/no such/.test(error.message)) return;",
            "const said = failure.hint;\n  if (said.startsWith('x')) return;",
            "return error.action === 'no command';",
            "error\n  .message\n  .split(' ');",
        ] {
            assert_eq!(js.decisions(bad).len(), 1, "{bad}");
        }
        for good in [
            "super(failure.message);",
            "throw new Error(`${path}: ${error.message}`);",
            "// error.message.includes('x')",
            "if (failure.messages.includes('x')) return;",
            "function one() {\n  const said = error.message;\n}\nfunction two(said) {\n  return said.includes('x');\n}",
        ] {
            assert_eq!(js.decisions(good), [0; 0], "{good}");
        }
        for bad in [
            "if 'root' in str(error):",
            "return error.strerror.startswith('No')",
            "    said = error.hint\n    if said == 'x':",
        ] {
            assert_eq!(py.decisions(bad).len(), 1, "{bad}");
        }
        for good in
            ["raise ValueError(f'{path}: {error}')", "return str(self._facts['message'])", "# 'x' in str(error)"]
        {
            assert_eq!(py.decisions(good), [0; 0], "{good}");
        }
    }

    #[test]
    fn the_line_is_that_of_the_statement() {
        let text = "fn f() {\n    a\n        .b()\n        .c();\n    error.action().contains(\"x\");\n}\n";
        assert_eq!(decisions(text), [5]);
    }

    #[test]
    fn what_shows_words_is_not() {
        for good in [
            r#"let line = format!("{}: {}", error.step(), error.action());"#,
            "let said = error.action();\npush(said);\nfn other(said: &str) { said.contains(\"x\"); }",
            r#"// error.action().contains("x")"#,
            "#[cfg(test)]\nmod tests { fn one() { assert!(error.to_string().contains(\"x\")); } }",
            r#"failure.messages.contains(&"x");"#,
            r#"error.field().is_some_and(|field| field.is_in(&dns)); path.starts_with("/");"#,
        ] {
            assert_eq!(decisions(good), [0; 0], "{good}");
        }
    }
}
