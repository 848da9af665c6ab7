//! Reads Rust well enough to know which paths a text names: comments are left out, strings that hold a path are
//! read like code, groups of `use` are spread out, `self` and `super` are resolved.

/// A piece of text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token {
    Word(String),
    /// A literal string, without its quotes.
    Text(String),
    /// `::`
    Path,
    Sign(char),
}

use Token::{Path, Sign, Text, Word};

/// Cuts a text into tokens; numbers and characters are dropped.
pub fn tokens(source: &str) -> Vec<Token> {
    let chars: Vec<char> = source.chars().collect();
    let at = |i: usize| chars.get(i).copied().unwrap_or('\0');
    let ident = |c: char| c.is_alphanumeric() || c == '_';
    let mut found = Vec::new();
    let mut i = 0;
    while i < chars.len() {
        let c = chars[i];
        if c == '/' && at(i + 1) == '/' {
            while i < chars.len() && chars[i] != '\n' {
                i += 1;
            }
        } else if c == '/' && at(i + 1) == '*' {
            let mut depth = 0;
            loop {
                match (at(i), at(i + 1)) {
                    ('/', '*') => (depth, i) = (depth + 1, i + 2),
                    ('*', '/') => (depth, i) = (depth - 1, i + 2),
                    _ => i += 1,
                }
                if depth == 0 || i >= chars.len() {
                    break;
                }
            }
        } else if let Some((text, next)) = string(&chars, i) {
            found.push(Text(text));
            i = next;
        } else if c == '\'' {
            // a character, or a lifetime
            if at(i + 1) == '\\' {
                i += 3;
                while i < chars.len() && at(i - 1) != '\'' {
                    i += 1;
                }
            } else if at(i + 2) == '\'' {
                i += 3;
            } else {
                i += 1;
            }
        } else if ident(c) {
            let start = i;
            while ident(at(i)) {
                i += 1;
            }
            // r#name is name
            if chars[start..i] == ['r'] && at(i) == '#' && ident(at(i + 1)) {
                i += 1;
                continue;
            }
            let word: String = chars[start..i].iter().collect();
            if !c.is_numeric() {
                found.push(Word(word));
            }
        } else if c == ':' && at(i + 1) == ':' {
            found.push(Path);
            i += 2;
        } else {
            if !c.is_whitespace() {
                found.push(Sign(c));
            }
            i += 1;
        }
    }
    found
}

/// The string that begins there, and what comes after it: `"a"`, `b"a"`, `r#"a"#`.
fn string(chars: &[char], start: usize) -> Option<(String, usize)> {
    let at = |i: usize| chars.get(i).copied().unwrap_or('\0');
    let before = start.checked_sub(1).map_or(' ', at);
    if before.is_alphanumeric() || before == '_' {
        return None;
    }
    let mut i = start;
    let (mut raw, mut hashes) = (false, 0);
    while matches!(at(i), 'b' | 'c') && i == start {
        i += 1;
    }
    if at(i) == 'r' {
        raw = true;
        i += 1;
        while at(i) == '#' {
            (hashes, i) = (hashes + 1, i + 1);
        }
    }
    if at(i) != '"' {
        return None;
    }
    i += 1;
    let mut text = String::new();
    while i < chars.len() {
        if at(i) == '"' && (!raw || (1..=hashes).all(|h| at(i + h) == '#')) {
            return Some((text, i + 1 + hashes));
        }
        if at(i) == '\\' && !raw {
            text.push(at(i));
            i += 1;
        }
        text.push(at(i));
        i += 1;
    }
    Some((text, i))
}

/// The tokens without what is compiled for tests only, and the names of modules in other files that are.
pub fn without_tests(tokens: &[Token]) -> (Vec<Token>, Vec<String>) {
    let attribute: Vec<Token> = crate::scan::tokens("#[cfg(test)]");
    let (mut kept, mut modules) = (Vec::new(), Vec::new());
    let mut i = 0;
    while i < tokens.len() {
        if !tokens[i..].starts_with(&attribute) {
            kept.push(tokens[i].clone());
            i += 1;
            continue;
        }
        i += attribute.len();
        // up to the `;` or the end of the first block of the item; a `;` in brackets is part of a type
        let (mut depth, mut head) = (0_i32, Vec::new());
        while i < tokens.len() {
            let token = &tokens[i];
            i += 1;
            head.push(token.clone());
            match token {
                Sign('{' | '(' | '[') => depth += 1,
                Sign(close @ ('}' | ')' | ']')) => {
                    depth -= 1;
                    if depth == 0 && *close == '}' {
                        break;
                    }
                }
                Sign(';') if depth == 0 => break,
                _ => {}
            }
        }
        if let [.., Word(keyword), Word(name), Sign(';')] = head.as_slice()
            && keyword == "mod"
        {
            modules.push(name.clone());
        }
    }
    (kept, modules)
}

/// Words that begin no path.
const KEYWORDS: &[&str] = &[
    "use", "pub", "extern", "as", "in", "fn", "impl", "for", "dyn", "return", "let", "mut", "ref",
    "where", "match", "if", "else", "move", "const", "static", "type", "unsafe", "async", "await",
    "loop", "while", "break", "mod",
];

/// All paths that the tokens name, resolved for a file that is the module `module` (empty: the root of the crate). Those
/// of our crate begin with `crate`.
pub fn paths(tokens: &[Token], module: &[String]) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut here = module.to_vec();
    // at which depth of braces the inline modules that we are in end
    let (mut depth, mut open) = (0, Vec::new());
    let mut i = 0;
    while i < tokens.len() {
        match &tokens[i] {
            Sign('{') if i > 0 && tokens[i - 1] == Word("use".into()) => {
                let mut raw = Vec::new();
                i = tree(tokens, i, &[], true, &mut raw);
                found.extend(raw.iter().map(|path| resolve(path, &here)));
                continue;
            }
            Sign('{') => depth += 1,
            Sign('}') => {
                if open.last() == Some(&depth) {
                    open.pop();
                    here.pop();
                }
                depth -= 1;
            }
            Word(keyword) if keyword == "mod" => {
                if let (Some(Word(name)), Some(Sign('{'))) = (tokens.get(i + 1), tokens.get(i + 2))
                {
                    here.push(name.clone());
                    depth += 1;
                    open.push(depth);
                    i += 3;
                    continue;
                }
            }
            Text(text) if is_path(text) => {
                let inner = crate::scan::tokens(text);
                found.extend(paths(&inner, &here));
            }
            Word(word) if KEYWORDS.contains(&word.as_str()) => found.push(vec![word.clone()]),
            Word(_) | Path if begins_path(tokens, i) => {
                let visibility = i > 0
                    && tokens[i - 1] == Sign('(')
                    && i > 1
                    && tokens[i - 2] == Word("pub".into());
                let in_use = i > 0 && tokens[i - 1] == Word("use".into());
                let mut raw = Vec::new();
                i = tree(tokens, i, &[], in_use, &mut raw);
                if !visibility {
                    found.extend(raw.into_iter().map(|path| match path.as_slice() {
                        // a name of something in scope, not of a crate
                        [word] if !in_use && word != "crate" && word != "super" => {
                            vec![String::new(), word.clone()]
                        }
                        _ => resolve(&path, &here),
                    }));
                }
                continue;
            }
            _ => {}
        }
        i += 1;
    }
    found
}

fn is_path(text: &str) -> bool {
    text.contains("::")
        && text
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '_' | ':' | ' ' | '<' | '>' | ','))
}

fn begins_path(tokens: &[Token], i: usize) -> bool {
    let before = i.checked_sub(1).map(|before| &tokens[before]);
    // the tail of `<T as Trait>::f` names nothing new
    let tail = tokens[i] == Path && before == Some(&Sign('>'));
    before != Some(&Path) && !tail
}

/// Reads a path, or a tree of paths of a `use`, that begins at `i`; gives where it ends.
fn tree(
    tokens: &[Token],
    mut i: usize,
    prefix: &[String],
    in_use: bool,
    found: &mut Vec<Vec<String>>,
) -> usize {
    let mut path = prefix.to_vec();
    if prefix.is_empty() && tokens.get(i) == Some(&Path) {
        path.push("::".into());
        i += 1;
    }
    loop {
        match tokens.get(i) {
            Some(Word(word)) => {
                path.push(word.clone());
                i += 1;
            }
            Some(Sign('*')) if in_use => {
                path.push("*".into());
                found.push(path);
                return i + 1;
            }
            Some(Sign('{')) if in_use => {
                i += 1;
                loop {
                    match tokens.get(i) {
                        Some(Sign(',')) => i += 1,
                        Some(Word(word)) if word == "as" => i += 2,
                        Some(Word(_) | Path | Sign('{' | '*')) => {
                            i = tree(tokens, i, &path, true, found);
                        }
                        _ => return i + 1,
                    }
                }
            }
            _ => {
                found.push(path);
                return i;
            }
        }
        if tokens.get(i) == Some(&Path) {
            i += 1;
            // a turbofish ends the path
            if tokens.get(i) == Some(&Sign('<')) {
                found.push(path);
                return i;
            }
        } else {
            found.push(path);
            return i;
        }
    }
}

fn resolve(path: &[String], here: &[String]) -> Vec<String> {
    let with = |base: &[String], rest: &[String]| {
        let own = ["crate".to_owned()];
        own.iter()
            .chain(base)
            .chain(rest)
            .cloned()
            .collect::<Vec<_>>()
    };
    let mut base = here.to_vec();
    let mut rest = path;
    match path.first().map(String::as_str) {
        Some("crate" | "gluster_operator") => return with(&[], &path[1..]),
        Some("self") => rest = &path[1..],
        Some("super") => {}
        Some("::") => return path[1..].to_vec(),
        _ => return path.to_vec(),
    }
    while rest.first().is_some_and(|word| word == "super") {
        base.pop();
        rest = &rest[1..];
    }
    with(&base, rest)
}

/// The modules that a text declares to be in files of their own: the inline modules around each, its name, and the
/// value of its `path` attribute.
pub fn declared(tokens: &[Token]) -> Vec<(Vec<String>, String, Option<String>)> {
    let mut found = Vec::new();
    let (mut here, mut open, mut depth): (Vec<String>, Vec<i32>, i32) = (Vec::new(), Vec::new(), 0);
    let mut path: Option<String> = None;
    for i in 0..tokens.len() {
        match (&tokens[i], tokens.get(i + 1), tokens.get(i + 2)) {
            (Word(p), Some(Sign('=')), Some(Text(file)))
                if p == "path" && i > 0 && tokens[i - 1] == Sign('[') =>
            {
                path = Some(file.clone());
            }
            (Word(m), Some(Word(name)), Some(Sign(';'))) if m == "mod" => {
                found.push((here.clone(), name.clone(), path.take()));
            }
            (Word(m), Some(Word(name)), Some(Sign('{'))) if m == "mod" => {
                here.push(name.clone());
                open.push(depth + 1);
            }
            (Sign('{'), ..) => depth += 1,
            (Sign('}'), ..) => {
                if open.last() == Some(&depth) {
                    open.pop();
                    here.pop();
                }
                depth -= 1;
            }
            _ => {}
        }
    }
    found
}
