//! The objects of our kinds that documentation and examples show.

use std::path::{Path, PathBuf};

use serde_json::Value;

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// All documents of our kinds in the examples and in what people read, with where they stand.
pub fn examples() -> Vec<(String, Value)> {
    fn files(directory: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(directory).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                files(&path, found);
            } else {
                found.push(path);
            }
        }
    }
    let mut paths = vec![root("README.md")];
    files(&root("examples"), &mut paths);
    files(&root("docs"), &mut paths);
    let mut texts = Vec::new();
    for path in paths {
        let Ok(text) = std::fs::read_to_string(&path) else {
            continue;
        };
        let place = path
            .strip_prefix(env!("CARGO_MANIFEST_DIR"))
            .unwrap()
            .display()
            .to_string();
        match path.extension().and_then(|e| e.to_str()) {
            Some("yaml" | "yml") => texts.push((place, text)),
            Some("md") => texts.extend(
                blocks(&text)
                    .into_iter()
                    .map(|block| (place.clone(), block)),
            ),
            _ => {}
        }
    }
    let mut found = Vec::new();
    for (place, text) in texts {
        let documents = serde_saphyr::from_multiple::<Value>(&text)
            .unwrap_or_else(|error| panic!("{place}: {error}:\n{text}"));
        let ours = |document: &Value| {
            let version = document["apiVersion"].as_str();
            version.is_some_and(|version| version.starts_with("gluster-operator.io/"))
        };
        found.extend(
            documents
                .into_iter()
                .filter(ours)
                .map(|document| (place.clone(), document)),
        );
    }
    found
}

/// The YAML in a Markdown text, without the indentation of its fence.
pub fn blocks(text: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for line in text.lines() {
        let trimmed = line.trim_start();
        match &mut open {
            None if trimmed.starts_with("```yaml") => {
                open = Some((line.len() - trimmed.len(), String::new()));
            }
            None => {}
            Some(_) if trimmed.starts_with("```") => {
                blocks.extend(open.take().map(|(_, block)| block));
            }
            Some((indent, block)) => {
                block.push_str(line.get(*indent..).unwrap_or(trimmed));
                block.push('\n');
            }
        }
    }
    assert!(open.is_none(), "a block of YAML has no end");
    blocks
}
