//! The XML that gluster prints, as a small tree.
//!
//! Only a whole answer becomes a tree: standard output must *start* with the XML declaration and hold one
//! document and nothing else. A glusterd that hangs makes the CLI print `Error : Request timed out` and then
//! a well-formed, empty, successful document; whoever skips to `<?xml` believes it.

use quick_xml::Reader;
use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::{BytesRef, Event};
use thiserror::Error;

/// Deeper than this nothing that gluster prints goes.
const MAX_DEPTH: usize = 32;

/// Why a text is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NoAnswer {
    /// It does not begin with `<?xml`.
    #[error("it does not begin with <?xml")]
    NotXml,
    /// It begins as XML and is not one whole document.
    #[error("its XML is torn or followed by something else")]
    Torn,
}

/// An element: its name, the text directly in it, and its children.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Element {
    /// The tag.
    pub name: String,
    /// All text directly inside, trimmed.
    pub text: String,
    /// Elements inside, in order.
    pub children: Vec<Element>,
}

impl Element {
    /// The first child of that name.
    pub fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The text of the first child of that name.
    pub fn text_of(&self, name: &str) -> Option<&str> {
        self.child(name).map(|child| child.text.as_str())
    }

    /// All children of that name.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Self> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// Every element below this one with that name, in document order.
    pub fn descendants<'a>(&'a self, name: &str) -> Vec<&'a Self> {
        let mut found = Vec::new();
        for child in &self.children {
            if child.name == name {
                found.push(child);
            }
            found.extend(child.descendants(name));
        }
        found
    }
}

/// What `gluster --xml` answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// True when `opRet` is exactly 0; -1, -2 and 1 are all failures.
    pub success: bool,
    /// `opErrno`, which may be 0 in a failure and other than 0 in a success; -1 when it is no number.
    pub errno: i64,
    /// `opErrstr`, which may hold text in a success.
    pub error: String,
    /// The whole document, `cliOutput`.
    pub root: Element,
}

impl Answer {
    /// Reads one whole answer.
    pub fn read(stdout: &str) -> Result<Self, NoAnswer> {
        let root = document(stdout)?;
        let result = root.text_of("opRet").ok_or(NoAnswer::Torn)?;
        if root.name != "cliOutput" || result.parse::<i64>().is_err() {
            return Err(NoAnswer::Torn);
        }
        Ok(Self {
            success: result == "0",
            errno: root
                .text_of("opErrno")
                .and_then(|errno| errno.parse().ok())
                .unwrap_or(-1),
            error: root.text_of("opErrstr").unwrap_or_default().to_owned(),
            root,
        })
    }
}

fn document(text: &str) -> Result<Element, NoAnswer> {
    if !text.starts_with("<?xml") {
        return Err(NoAnswer::NotXml);
    }
    let mut reader = Reader::from_str(text);
    let mut open: Vec<Element> = Vec::new();
    let mut root: Option<Element> = None;
    let mut declared = false;
    loop {
        match reader.read_event().map_err(|_| NoAnswer::Torn)? {
            // a second declaration is a second document
            Event::Decl(_) if !declared => declared = true,
            Event::Start(tag) if root.is_none() && open.len() < MAX_DEPTH => {
                open.push(element(tag.name().into_inner()));
            }
            Event::Empty(tag) if root.is_none() => {
                close(&mut open, &mut root, element(tag.name().into_inner()));
            }
            Event::End(_) => {
                let done = open.pop().ok_or(NoAnswer::Torn)?;
                close(&mut open, &mut root, done);
            }
            Event::Text(text) => append(&mut open, &text.xml10_content())?,
            Event::CData(text) => append(&mut open, &text.xml10_content())?,
            Event::GeneralRef(entity) => append(&mut open, &resolve(&entity)?)?,
            Event::Comment(_) => {}
            Event::Eof if open.is_empty() => return root.ok_or(NoAnswer::Torn),
            _ => return Err(NoAnswer::Torn),
        }
    }
}

fn element(name: &str) -> Element {
    Element {
        name: name.to_owned(),
        ..Element::default()
    }
}

fn close(open: &mut [Element], root: &mut Option<Element>, mut done: Element) {
    done.text = done.text.trim().into();
    match open.last_mut() {
        Some(parent) => parent.children.push(done),
        None => *root = Some(done),
    }
}

fn append(open: &mut [Element], text: &str) -> Result<(), NoAnswer> {
    match open.last_mut() {
        Some(element) => element.text.push_str(text),
        None if text.trim().is_empty() => {}
        None => return Err(NoAnswer::Torn),
    }
    Ok(())
}

fn resolve(entity: &BytesRef<'_>) -> Result<String, NoAnswer> {
    if let Some(character) = entity.resolve_char_ref().map_err(|_| NoAnswer::Torn)? {
        return Ok(character.to_string());
    }
    resolve_xml_entity(entity)
        .map(str::to_owned)
        .ok_or(NoAnswer::Torn)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n";

    #[test]
    fn a_whole_answer_is_read() {
        let text = format!(
            "{HEAD}<cliOutput>\n <opRet>-1</opRet><opErrno>30800</opErrno>\
             <opErrstr>Did you mean &quot;a&quot; &lt;&#65;&gt;?</opErrstr><x><y>1</y><y>2</y></x></cliOutput>\n"
        );
        let answer = Answer::read(&text).unwrap();
        assert!(!answer.success);
        assert_eq!(answer.errno, 30800);
        assert_eq!(answer.error, "Did you mean \"a\" <A>?");
        let all: Vec<&str> = answer
            .root
            .descendants("y")
            .iter()
            .map(|y| y.text.as_str())
            .collect();
        assert_eq!(all, ["1", "2"]);
    }

    #[test]
    fn mixed_content_keeps_text_and_children() {
        let text = format!(
            "{HEAD}<cliOutput><opRet>0</opRet><brick>n:/b<name>n:/b</name></brick></cliOutput>"
        );
        let answer = Answer::read(&text).unwrap();
        let brick = answer.root.child("brick").unwrap();
        assert_eq!(
            (brick.text.as_str(), brick.text_of("name")),
            ("n:/b", Some("n:/b"))
        );
    }

    #[test]
    fn whatever_is_not_one_whole_document_is_refused() {
        let good = "<cliOutput><opRet>0</opRet></cliOutput>";
        assert!(Answer::read(&format!("{HEAD}{good}")).is_ok());
        for (text, want) in [
            (String::new(), NoAnswer::NotXml),
            (good.to_owned(), NoAnswer::NotXml),
            (
                format!("Error : Request timed out\n{HEAD}{good}"),
                NoAnswer::NotXml,
            ),
            (format!("\n{HEAD}{good}"), NoAnswer::NotXml),
            (format!("{HEAD}{good}{HEAD}{good}"), NoAnswer::Torn),
            (format!("{HEAD}{good}{good}"), NoAnswer::Torn),
            (format!("{HEAD}{good}rc=0\n"), NoAnswer::Torn),
            (HEAD.to_owned(), NoAnswer::Torn),
            (format!("{HEAD}<cliOutput><opRet>0</opRet>"), NoAnswer::Torn),
            (
                format!("{HEAD}<cliOutput><opRet/></cliOutput>"),
                NoAnswer::Torn,
            ),
            (
                format!("{HEAD}<cliOutput><opRet>O</opRet></cliOutput>"),
                NoAnswer::Torn,
            ),
            (
                format!("{HEAD}<other><opRet>0</opRet></other>"),
                NoAnswer::Torn,
            ),
            (
                format!("{HEAD}<cliOutput><opRet>&evil;</opRet></cliOutput>"),
                NoAnswer::Torn,
            ),
            (format!("{HEAD}{}", "<a>".repeat(100_000)), NoAnswer::Torn),
        ] {
            assert_eq!(Answer::read(&text).unwrap_err(), want, "{text:.60}");
        }
        // only the exact 0 is success
        for result in ["+0", "00", "-0", "1", "-2"] {
            let text = format!("{HEAD}<cliOutput><opRet>{result}</opRet></cliOutput>");
            assert!(!Answer::read(&text).unwrap().success, "{result}");
        }
    }
}
