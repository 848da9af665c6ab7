//! The file tree of a machine, as far as anybody asks for it.

use std::collections::BTreeMap;

use crate::gluster::names::OWNER_XATTR;

/// The xattr that makes a directory a brick.
pub(super) const VOLUME_ID: &str = "trusted.glusterfs.volume-id";
/// The xattr of the root of a brick that ran.
pub(super) const GFID: &str = "trusted.gfid";

/// A directory or a file.
#[derive(Debug, Clone, Default)]
pub(super) struct Node {
    /// `None`: a directory.
    pub content: Option<String>,
    /// In the order of their names.
    pub xattrs: BTreeMap<String, Vec<u8>>,
}

/// A tree, and what is mounted in it.
#[derive(Debug, Clone, Default)]
pub(super) struct Files {
    nodes: BTreeMap<String, Node>,
    mounts: BTreeMap<String, u64>,
    /// Trees of file systems that are not mounted now.
    away: BTreeMap<String, BTreeMap<String, Node>>,
}

pub(super) fn parent(path: &str) -> &str {
    match path.rsplit_once('/') {
        Some(("", _)) | None => "/",
        Some((parent, _)) => parent,
    }
}

pub(super) fn is_below(path: &str, above: &str) -> bool {
    above == "/"
        || path == above
        || path
            .strip_prefix(above)
            .is_some_and(|rest| rest.starts_with('/'))
}

impl Files {
    pub(super) fn new() -> Self {
        let mut files = Self::default();
        files.nodes.insert("/".to_owned(), Node::default());
        files.mounts.insert("/".to_owned(), 1);
        for path in ["/tmp", "/etc/glusterfs"] {
            files.make_directories(path);
        }
        // of their own on a host of the lab
        for path in ["/run", "/srv", "/var"] {
            files.mount(path);
        }
        files.make_directories("/var/lib");
        files.put("/run/glusterd.pid", "4711\n");
        files
    }

    pub(super) fn get(&self, path: &str) -> Option<&Node> {
        self.nodes.get(path)
    }

    pub(super) fn get_mut(&mut self, path: &str) -> Option<&mut Node> {
        self.nodes.get_mut(path)
    }

    pub(super) fn is_directory(&self, path: &str) -> bool {
        self.nodes
            .get(path)
            .is_some_and(|node| node.content.is_none())
    }

    /// False when a file is in the way.
    pub(super) fn make_directories(&mut self, path: &str) -> bool {
        let mut at = String::new();
        for part in path.split('/').filter(|part| !part.is_empty()) {
            at = format!("{at}/{part}");
            if self.nodes.entry(at.clone()).or_default().content.is_some() {
                return false;
            }
        }
        true
    }

    pub(super) fn put(&mut self, path: &str, content: &str) {
        let content = Some(content.to_owned());
        self.nodes.entry(path.to_owned()).or_default().content = content;
    }

    pub(super) fn remove(&mut self, path: &str) {
        self.nodes.retain(|known, _| !is_below(known, path));
    }

    /// What lies directly in a directory.
    pub(super) fn children<'a>(&'a self, path: &'a str) -> impl Iterator<Item = &'a str> {
        self.nodes
            .keys()
            .map(String::as_str)
            .filter(move |known| *known != "/" && *known != path && parent(known) == path)
    }

    pub(super) fn rename(&mut self, from: &str, to: &str) {
        let moved: Vec<String> = self
            .nodes
            .keys()
            .filter(|known| is_below(known, from))
            .cloned()
            .collect();
        for old in moved {
            if let Some(node) = self.nodes.remove(&old) {
                self.nodes
                    .insert(format!("{to}{}", &old[from.len()..]), node);
            }
        }
    }

    pub(super) fn mount(&mut self, path: &str) {
        self.make_directories(path);
        let id = self.mounts.values().max().unwrap_or(&0) + 1;
        self.mounts.insert(path.to_owned(), id);
        let back = self.away.remove(path).unwrap_or_default();
        self.nodes.extend(back);
    }

    pub(super) fn unmount(&mut self, path: &str) {
        if self.mounts.remove(path).is_some() {
            let (gone, rest) = std::mem::take(&mut self.nodes)
                .into_iter()
                .partition(|(known, _)| known != path && is_below(known, path));
            self.nodes = rest;
            self.away.insert(path.to_owned(), gone);
        }
    }

    pub(super) fn is_mount(&self, path: &str) -> bool {
        self.mounts.contains_key(path)
    }

    /// Whether something is mounted at a path or below it.
    pub(super) fn has_mount_below(&self, path: &str) -> bool {
        self.mounts.keys().any(|mount| is_below(mount, path))
    }

    /// What is mounted, as the kernel lists it.
    pub(super) fn mountinfo(&self) -> String {
        let line = |(path, id): (&String, &u64)| {
            format!("{id} 1 8:{id} / {path} rw,relatime - xfs /dev/simulated{id} rw\n")
        };
        self.mounts.iter().map(line).collect::<Vec<_>>().concat()
    }

    /// Mount point and number of the file system that holds a path.
    pub(super) fn file_system(&self, path: &str) -> (&str, u64) {
        self.mounts
            .iter()
            .filter(|(mount, _)| is_below(path, mount))
            .max_by_key(|(mount, _)| mount.len())
            .map_or(("/", 1), |(mount, id)| (mount.as_str(), *id))
    }

    /// Directories with a mark of ours or of gluster's, and whether they hold anything.
    pub(super) fn marked(&self) -> Vec<(String, bool)> {
        let is_marked = |node: &Node| {
            node.xattrs.contains_key(VOLUME_ID) || node.xattrs.contains_key(OWNER_XATTR)
        };
        self.nodes
            .iter()
            .filter(|(_, node)| is_marked(node))
            .map(|(path, _)| (path.clone(), !self.is_empty(path)))
            .collect()
    }

    /// Nothing in it but `.glusterfs`.
    pub(super) fn is_empty(&self, path: &str) -> bool {
        self.children(path)
            .all(|child| child.ends_with("/.glusterfs"))
    }
}
