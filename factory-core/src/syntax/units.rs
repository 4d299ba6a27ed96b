//! A file's named parts: where each stands, with the comments and attributes that belong to it.

use std::ops::Range;
use std::time::Duration;

use tree_sitter::{Node, Parser, Tree};

use super::Language;
use super::grammar::Construct;

/// The longest text that is parsed: 2 MiB.
const MAX_TEXT: usize = 2 << 20;
/// How long one text may be parsed, because error recovery can be slow on hostile ones.
const PARSE_WITHIN: Duration = Duration::from_secs(2);
/// How long it may be parsed where there are many to be shown.
const OUTLINE_WITHIN: Duration = Duration::from_millis(500);
/// How deep names and transparent nodes are followed.
const MAX_DEPTH: usize = 16;

/// What a part of a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnitKind {
    /// Brings in names from elsewhere.
    Import,
    /// Defines a name.
    Definition,
    /// Stands for itself: a comment that belongs to nothing.
    Comment,
    /// A statement that defines nothing.
    Statement,
}

/// A part of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// What it is.
    pub kind: UnitKind,
    /// The name that it defines; empty where it defines none.
    pub name: String,
    /// Where it stands, in bytes, with the comments and attributes directly above it, without the line's indentation
    /// and without a line end.
    pub range: Range<usize>,
    /// Where its first line of code begins: its signature.
    pub signature: usize,
    /// The definitions within it.
    pub members: Vec<Unit>,
    /// Where a further member can be put: behind the last of its members.
    pub body_end: usize,
}

/// Takes a source text apart; none where the text has errors in it, or is too long to be looked at. Blocks.
pub fn units(language: Language, text: &str) -> Option<Vec<Unit>> {
    let tree = parse(language, text, PARSE_WITHIN)?;
    if tree.root_node().has_error() {
        return None;
    }
    Some(Source { language, text }.within(tree.root_node(), 0))
}

/// Takes a source text apart as far as it is understood, whatever errors are in it; for showing, not for changing it.
/// None where it is too long to be looked at, or takes too long. Blocks.
pub fn outline(language: Language, text: &str) -> Option<Vec<Unit>> {
    let tree = parse(language, text, OUTLINE_WITHIN)?;
    Some(Source { language, text }.within(tree.root_node(), 0))
}

fn parse(language: Language, text: &str, within: Duration) -> Option<Tree> {
    if text.len() > MAX_TEXT {
        return None;
    }
    let mut parser = Parser::new();
    parser.set_language(&language.grammar()).ok()?;
    let started = std::time::Instant::now();
    let mut read = |offset: usize, _| text.as_bytes().get(offset..).unwrap_or_default();
    let mut watch = |_: &tree_sitter::ParseState| {
        if started.elapsed() > within {
            std::ops::ControlFlow::Break(())
        } else {
            std::ops::ControlFlow::Continue(())
        }
    };
    let options = tree_sitter::ParseOptions::new().progress_callback(&mut watch);
    parser.parse_with_options(&mut read, None, Some(options))
}

struct Source<'a> {
    language: Language,
    text: &'a str,
}

impl Source<'_> {
    /// Returns the parts directly below a node, in order.
    fn within(&self, node: Node<'_>, depth: usize) -> Vec<Unit> {
        let mut units: Vec<Unit> = Vec::new();
        // Comments and attributes that may belong to what follows.
        let mut above: Vec<Node<'_>> = Vec::new();
        let mut cursor = node.walk();
        for child in node.named_children(&mut cursor) {
            // The name in a guard's `#ifndef` stands beside what it guards.
            if depth > 0 && child.kind().ends_with("identifier") {
                continue;
            }
            // What stands within something that is not understood may be understood itself.
            let construct = if child.is_error() {
                Some(Construct::Transparent)
            } else {
                self.language.construct(child.kind())
            };
            match construct {
                Some(Construct::Comment | Construct::Attribute) => {
                    self.flush_apart(&mut above, child, &mut units);
                    above.push(child);
                }
                Some(Construct::Transparent) if depth < MAX_DEPTH => {
                    self.flush(&mut above, &mut units);
                    units.extend(self.within(child, depth + 1));
                }
                _ => {
                    self.flush_apart(&mut above, child, &mut units);
                    let mut unit = self.unit(child, depth);
                    if let Some(first) = above.first().filter(|_| unit.kind == UnitKind::Definition) {
                        unit.range.start = first.start_byte();
                        above.clear();
                    } else {
                        self.flush(&mut above, &mut units);
                    }
                    units.push(unit);
                }
            }
        }
        self.flush(&mut above, &mut units);
        units
    }

    /// Makes what was above stand for itself if a blank line parts it from `next`.
    fn flush_apart<'tree>(&self, above: &mut Vec<Node<'tree>>, next: Node<'tree>, units: &mut Vec<Unit>) {
        let parted = above.last().is_some_and(|last| {
            let between = self
                .text
                .get(last.end_byte()..next.start_byte())
                .unwrap_or_default();
            let ends = between.matches('\n').count();
            // A comment that runs to its line's end may hold that end itself.
            let own = usize::from(self.text[..last.end_byte()].ends_with('\n'));
            ends + own > 1 || ends + own == 0
        });
        if parted {
            self.flush(above, units);
        }
    }

    fn flush(&self, above: &mut Vec<Node<'_>>, units: &mut Vec<Unit>) {
        for node in above.drain(..) {
            units.push(self.plain(UnitKind::Comment, node));
        }
    }

    fn plain(&self, kind: UnitKind, node: Node<'_>) -> Unit {
        let range = self.trimmed(node.start_byte()..node.end_byte());
        Unit {
            kind,
            name: String::new(),
            signature: range.start,
            body_end: range.end,
            range,
            members: Vec::new(),
        }
    }

    fn unit(&self, node: Node<'_>, depth: usize) -> Unit {
        let construct = self.language.construct(node.kind());
        let kind = match construct {
            Some(Construct::Import) => UnitKind::Import,
            Some(Construct::Definition | Construct::Container | Construct::Wrapper) => UnitKind::Definition,
            _ => UnitKind::Statement,
        };
        let mut unit = self.plain(kind, node);
        if kind == UnitKind::Import {
            return unit;
        }
        let mut inner = node;
        if construct == Some(Construct::Wrapper) {
            let definition = ["definition", "declaration"]
                .iter()
                .find_map(|field| node.child_by_field_name(field))
                .or_else(|| {
                    let mut cursor = node.walk();
                    node.named_children(&mut cursor)
                        .filter(|child| self.language.construct(child.kind()).is_some())
                        .last()
                });
            if let Some(definition) = definition {
                inner = definition;
                unit.signature = definition.start_byte();
            }
        }
        unit.name = self.name(inner).unwrap_or_default();
        if unit.name.is_empty() {
            if kind == UnitKind::Definition || self.statement_name(node).is_none() {
                unit.kind = UnitKind::Statement;
            }
            if let Some(name) = self.statement_name(node) {
                unit.name = name;
                unit.kind = UnitKind::Definition;
            }
        }
        if self.language.construct(inner.kind()) == Some(Construct::Container)
            && let Some(body) = inner.child_by_field_name("body")
            && depth < MAX_DEPTH
        {
            unit.members = self.within(body, depth + 1);
            unit.body_end = unit.members.last().map_or(body.end_byte(), |last| last.range.end);
        }
        unit
    }

    /// Returns the name that a definition gives.
    fn name(&self, node: Node<'_>) -> Option<String> {
        if node.kind() == "impl_item" {
            let of = |field| node.child_by_field_name(field).map(|node| self.text_of(node));
            let kind = of("type")?;
            return Some(match of("trait") {
                Some(name) => format!("impl {name} for {kind}"),
                None => format!("impl {kind}"),
            });
        }
        if node.kind() == "method_declaration" && self.language == Language::Go {
            let receiver = node
                .child_by_field_name("receiver")
                .map(|node| self.text_of(node))?;
            let kind = receiver
                .trim_matches(['(', ')'])
                .rsplit([' ', '*'])
                .next()?
                .to_owned();
            return Some(format!(
                "{kind}.{}",
                self.text_of(node.child_by_field_name("name")?)
            ));
        }
        for field in ["name", "declarator", "property", "left"] {
            if let Some(child) = node.child_by_field_name(field) {
                return self.innermost(child, 0);
            }
        }
        // `const a = …` and `type T struct …` hold the name one level deeper.
        let mut cursor = node.walk();
        let mut children = node.named_children(&mut cursor);
        children.find_map(|child| {
            ["name", "declarator"]
                .iter()
                .find_map(|field| child.child_by_field_name(field))
                .and_then(|child| self.innermost(child, 0))
        })
    }

    /// Follows declarators down to the identifier: `*f(int)` declares `f`.
    fn innermost(&self, node: Node<'_>, depth: usize) -> Option<String> {
        match node.child_by_field_name("declarator") {
            Some(inner) if depth < MAX_DEPTH => self.innermost(inner, depth + 1),
            _ => Some(self.text_of(node)).filter(|name| name.len() <= 200 && !name.contains('\n')),
        }
    }

    /// Returns the name of a statement that can be told from others: an assignment's target, a script's main part.
    fn statement_name(&self, node: Node<'_>) -> Option<String> {
        let inner = if node.kind() == "expression_statement" {
            node.named_child(0)?
        } else {
            node
        };
        match inner.kind() {
            "assignment" | "assignment_expression" => {
                let left = self.text_of(inner.child_by_field_name("left")?);
                Some(left).filter(|left| left.len() <= 200 && !left.contains('\n'))
            }
            "if_statement" if self.language == Language::Python => {
                let condition = self.text_of(inner.child_by_field_name("condition")?);
                condition.contains("__name__").then(|| "__main__".to_owned())
            }
            _ => None,
        }
    }

    fn text_of(&self, node: Node<'_>) -> String {
        self.text
            .get(node.start_byte()..node.end_byte())
            .unwrap_or_default()
            .to_owned()
    }

    fn trimmed(&self, range: Range<usize>) -> Range<usize> {
        let text = self.text.get(range.clone()).unwrap_or_default();
        range.start..range.start + text.trim_end().len()
    }
}
