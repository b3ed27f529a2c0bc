//! What a layer means, as dictionaries in memory: no descriptors, no caches, no kernel.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::layer::Item;
use crate::tree::Tree;

#[derive(Clone, Debug)]
enum Node {
    Directory {
        children: BTreeMap<String, Node>,
        opaque: bool,
        mode: u32,
    },
    /// Its number among the inodes.
    File(usize),
    Whiteout,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Inode {
    kind: u8,
    content: Vec<u8>,
    mode: u32,
}

/// One file as seen by a test: type and mode, content, whether it is opaque, the first name of its inode.
pub(crate) type Seen = BTreeMap<PathBuf, (u32, Vec<u8>, bool, PathBuf)>;

/// The layer is refused.
#[derive(Debug)]
pub(crate) struct Refused;

type At = Vec<String>;

/// A layer in a directory of its own, in overlay's form.
#[derive(Debug)]
pub(crate) struct Model {
    root: Node,
    inodes: Vec<Inode>,
}

fn new_directory(opaque: bool, mode: u32) -> Node {
    Node::Directory { children: BTreeMap::new(), opaque, mode }
}

fn split(path: &[u8]) -> (Vec<String>, String) {
    let text = std::str::from_utf8(path).expect("text");
    let mut parts: Vec<String> = text.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect();
    let name = parts.pop().unwrap_or_default();
    (parts, name)
}

impl Model {
    pub(crate) fn new() -> Model {
        Model { root: new_directory(false, 0o755), inodes: Vec::new() }
    }

    pub(crate) fn apply(&mut self, items: &[Item]) -> Result<(), Refused> {
        items.iter().try_for_each(|item| self.entry(item))
    }

    fn node(&mut self, at: &[String]) -> Option<&mut Node> {
        at.iter().try_fold(&mut self.root, |node, name| match node {
            Node::Directory { children, .. } => children.get_mut(name),
            _ => None,
        })
    }

    fn children(&mut self, at: &[String]) -> Result<&mut BTreeMap<String, Node>, Refused> {
        match self.node(at) {
            Some(Node::Directory { children, .. }) => Ok(children),
            _ => Err(Refused),
        }
    }

    fn child(&mut self, at: &[String], name: &str) -> Option<Node> {
        self.children(at).ok()?.get(name).cloned()
    }

    /// Follows a path through directories and links that exist. `left` counts the links.
    fn resolve(&mut self, from: &[String], path: &str, left: &mut u32) -> Result<At, Refused> {
        let mut at = if path.starts_with('/') { At::new() } else { from.to_vec() };
        for part in path.split('/').filter(|part| !part.is_empty() && *part != ".") {
            if part == ".." {
                at.pop();
                continue;
            }
            match self.child(&at, part) {
                Some(Node::Directory { .. }) => at.push(part.to_owned()),
                Some(Node::File(inode)) if self.inodes[inode].kind == b'2' => {
                    *left = left.checked_sub(1).ok_or(Refused)?;
                    let target = String::from_utf8(self.inodes[inode].content.clone()).expect("text");
                    at = self.resolve(&at, &target, left)?;
                }
                _ => return Err(Refused),
            }
        }
        Ok(at)
    }

    /// Where the parents of an entry lead, and whether through a link. What is missing is made.
    fn parents(&mut self, parts: &[String], make: bool) -> Result<(At, bool), Refused> {
        let mut at = At::new();
        let mut linked = false;
        for part in parts {
            match self.child(&at, part) {
                Some(Node::Directory { .. }) => at.push(part.clone()),
                Some(Node::File(inode)) if self.inodes[inode].kind == b'2' => {
                    at = self.resolve(&at, part, &mut 40)?;
                    linked = true;
                }
                found @ (None | Some(Node::Whiteout)) if make => {
                    let opaque = found.is_some();
                    self.children(&at)?.insert(part.clone(), new_directory(opaque, 0o755));
                    at.push(part.clone());
                }
                _ => return Err(Refused),
            }
        }
        Ok((at, linked))
    }

    fn entry(&mut self, item: &Item) -> Result<(), Refused> {
        let (parts, name) = split(&item.path);
        let (at, linked) = self.parents(&parts, true)?;
        if name == ".wh..wh..opq" {
            if let Some(Node::Directory { opaque, .. }) = self.node(&at) {
                *opaque = true;
            }
            return Ok(());
        }
        let deleted = name.strip_prefix(".wh.");
        if deleted.is_some() || item.kind == b'3' && item.device == (0, 0) {
            let name = deleted.unwrap_or(&name).to_owned();
            match self.children(&at)?.get_mut(&name) {
                None => drop(self.children(&at)?.insert(name, Node::Whiteout)),
                Some(Node::Directory { opaque, .. }) => *opaque = true,
                // The layer's own file hides what is below.
                Some(_) => {}
            }
            return Ok(());
        }
        let before = self.child(&at, &name);
        if item.kind == b'5'
            && let Some(Node::Directory { mode, .. }) = self.children(&at)?.get_mut(&name)
        {
            *mode = item.mode;
            return Ok(());
        }
        let target = if item.kind == b'1' { Some(self.target(item)?) } else { None };
        let at = match &before {
            None => at,
            Some(node) => {
                let moves = match node {
                    Node::Directory { .. } => true,
                    Node::File(inode) => self.inodes[*inode].kind == b'2',
                    Node::Whiteout => false,
                };
                self.children(&at)?.remove(&name);
                // What led here may be gone with what was here.
                if moves && linked { self.parents(&parts, false)?.0 } else { at }
            }
        };
        if self.child(&at, &name).is_some() {
            return Err(Refused);
        }
        let new = match item.kind {
            b'5' => new_directory(before.is_some(), item.mode),
            b'1' => {
                let inode = self.target(item).map_err(|_| Refused)?;
                if Some(inode) != target || self.inodes[inode].kind != b'2' {
                    self.inodes[inode].mode = item.mode;
                }
                Node::File(inode)
            }
            kind => {
                let content = if kind == b'2' { item.link.clone() } else { item.content.clone() };
                self.inodes.push(Inode { kind, content, mode: item.mode });
                Node::File(self.inodes.len() - 1)
            }
        };
        self.children(&at)?.insert(name, new);
        Ok(())
    }

    /// The inode that a hard link leads to.
    fn target(&mut self, item: &Item) -> Result<usize, Refused> {
        let (parts, name) = split(&item.link);
        let at = self.resolve(&[], &parts.join("/"), &mut 40)?;
        match self.child(&at, &name) {
            Some(Node::File(inode)) => Ok(inode),
            _ => Err(Refused),
        }
    }

    pub(crate) fn seen(&self) -> Seen {
        let mut seen = Seen::new();
        self.see(&self.root, Path::new(""), &mut seen, &mut BTreeMap::new());
        seen
    }

    fn see(&self, node: &Node, path: &Path, seen: &mut Seen, inodes: &mut BTreeMap<usize, PathBuf>) {
        let here = path.to_owned();
        match node {
            Node::Directory { children, opaque, mode } => {
                if !path.as_os_str().is_empty() {
                    seen.insert(here.clone(), (0o040000 | mode, Vec::new(), *opaque, here));
                }
                for (name, child) in children {
                    self.see(child, &path.join(name), seen, inodes);
                }
            }
            Node::Whiteout => drop(seen.insert(here.clone(), (0o020000, Vec::new(), false, here))),
            Node::File(number) => {
                let Inode { kind, content, mode } = &self.inodes[*number];
                let kind = match kind {
                    b'2' => 0o120000,
                    b'3' => 0o020000,
                    b'6' => 0o010000,
                    _ => 0o100000,
                };
                let first = inodes.entry(*number).or_insert_with(|| here.clone()).clone();
                seen.insert(here, (kind | mode, content.clone(), false, first));
            }
        }
    }
}

/// A real tree as the model sees one.
pub(crate) fn seen(tree: &Tree) -> Seen {
    let node = |(path, node): (&PathBuf, &crate::tree::Node)| {
        let opaque = node.xattrs.contains_key(b"trusted.overlay.opaque".as_slice());
        (path.clone(), (node.mode, node.content.clone(), opaque, node.same_as.clone()))
    };
    tree.iter().map(node).collect()
}
