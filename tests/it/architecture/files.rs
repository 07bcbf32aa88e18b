//! The workspace's own files, as text.

use std::fs;
use std::path::{Path, PathBuf};

/// A Rust file.
pub struct Source {
    /// Its path below the workspace's root.
    pub path: String,
    /// What it says.
    pub text: String,
}

impl Source {
    /// Without the lines that contain a word.
    pub fn without(mut self, word: &str) -> Self {
        self.text =
            self.text.lines().map(|line| if line.contains(word) { "" } else { line }).collect::<Vec<_>>().join("\n");
        self
    }

    /// Without comments.
    pub fn words(mut self) -> Self {
        let code = |line: &str| line.split("//").next().unwrap_or_default().to_owned();
        self.text = self.text.lines().map(code).collect::<Vec<_>>().join("\n");
        self
    }

    /// Where it says any of this.
    pub fn lines_with(&self, what: &[&str]) -> Vec<String> {
        let numbered = (1..).zip(self.text.lines());
        let found = numbered.filter(|(_, line)| what.iter().any(|word| line.contains(word)));
        found.map(|(number, line)| format!("{}:{number}: {}", self.path, line.trim())).collect()
    }
}

/// The workspace.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace").to_owned()
}

/// A crate's manifest.
pub fn manifest(krate: &str) -> String {
    fs::read_to_string(root().join(krate).join("Cargo.toml")).expect("a manifest")
}

/// Every Rust file of a crate.
pub fn sources(krate: &str) -> Vec<Source> {
    let mut found = Vec::new();
    walk(&root().join(krate), &mut found);
    assert!(!found.is_empty(), "{krate} has files");
    found
}

fn walk(folder: &Path, found: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            walk(&path, found);
        } else if path.extension().is_some_and(|it| it == "rs") {
            let text = fs::read_to_string(&path).expect("a text");
            let path = path.strip_prefix(root()).expect("a path below the root").display().to_string();
            found.push(Source { path, text });
        }
    }
}
