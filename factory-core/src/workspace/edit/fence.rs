//! Code fences of running text: where they begin, and where they end although what they hold has fences too.

use super::lines::Line;

/// How much deeper than its opening a fence's end may stand.
const DEEPER: usize = 3;

/// The opening of a fence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fence<'a> {
    /// How far it is indented, in bytes.
    pub(super) indent: usize,
    mark: u8,
    length: usize,
    /// What stands behind the marks.
    pub(super) info: &'a str,
}

impl Fence<'_> {
    /// Returns whether the line ends this fence.
    pub(super) fn is_ended_by(&self, line: &str) -> bool {
        fence(line).is_some_and(|other| self.weighs(&other) && other.info.is_empty())
    }

    /// Whether the other marks count within this fence; else they are content.
    fn weighs(&self, other: &Fence<'_>) -> bool {
        other.mark == self.mark && other.length >= self.length && other.indent <= self.indent + DEEPER
    }
}

/// Returns the fence that the line would open, or end.
pub(super) fn fence(line: &str) -> Option<Fence<'_>> {
    let rest = line.trim_start_matches([' ', '\t']);
    let mark = *rest.as_bytes().first()?;
    if !matches!(mark, b'`' | b'~') {
        return None;
    }
    let length = rest.bytes().take_while(|byte| *byte == mark).count();
    let info = rest[length..].trim();
    // ```x``` is code within a line.
    (length >= 3 && !(mark == b'`' && info.contains('`'))).then_some(Fence {
        indent: line.len() - rest.len(),
        mark,
        length,
        info,
    })
}

/// Returns the index of the line that ends the fence which opens at `at`; none where it is open to the end. Marks with
/// an info string open a fence within, which the next bare marks end.
pub(super) fn end_of_fence(lines: &[Line<'_>], at: usize) -> Option<usize> {
    let outer = fence(lines[at].text)?;
    let mut depth = 1_usize;
    for (index, line) in lines.iter().enumerate().skip(at + 1) {
        let Some(other) = fence(line.text).filter(|other| outer.weighs(other)) else {
            continue;
        };
        if other.info.is_empty() {
            depth -= 1;
            if depth == 0 {
                return Some(index);
            }
        } else {
            depth += 1;
        }
    }
    None
}
