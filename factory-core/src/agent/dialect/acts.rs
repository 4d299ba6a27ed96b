//! Acts as a weak model writes them: a word and a path on one line, code in a block below it.
//!
//! The first act of an answer is what counts, with the changes that follow it; whatever else stands there is prose, or a
//! conversation that the model makes up. A block that is not closed ends with the answer, if the answer is whole.

use serde_json::{Value, json};

use crate::llm::EndReason;
use crate::tools::Tool;
use crate::workspace::edit::parse_blocks;

/// The most acts that are taken from one answer.
const MAX_ACTS: usize = 16;

/// An act as a call of a tool: its name and arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Act {
    pub(super) tool: Tool,
    pub(super) arguments: Value,
}

/// The words that begin an act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    File,
    Edit,
    Delete,
    Move,
    Read,
    List,
    Search,
    Run,
    Ask,
    Done,
}

const WORDS: [(&str, Word); 18] = [
    ("FILE", Word::File),
    ("WRITE", Word::File),
    ("CREATE", Word::File),
    ("CHANGE", Word::File),
    ("EDIT", Word::Edit),
    ("DELETE", Word::Delete),
    ("REMOVE", Word::Delete),
    ("MOVE", Word::Move),
    ("RENAME", Word::Move),
    ("READ", Word::Read),
    ("SHOW", Word::Read),
    ("LIST", Word::List),
    ("SEARCH", Word::Search),
    ("FIND", Word::Search),
    ("RUN", Word::Run),
    ("ASK", Word::Ask),
    ("DONE", Word::Done),
    ("FINISH", Word::Done),
];

impl Word {
    /// Whether the act changes files, so that another may follow in the same answer.
    fn changes(self) -> bool {
        matches!(self, Self::File | Self::Edit | Self::Delete | Self::Move)
    }
}

/// The first line of an act.
struct Head<'a> {
    word: Word,
    rest: &'a str,
}

/// Returns the acts of an answer; none where it holds none; the error says what is wrong with one.
pub(super) fn acts(answer: &str, end: EndReason) -> Result<Vec<Act>, String> {
    let lines: Vec<&str> = answer.lines().collect();
    let mut acts = Vec::new();
    let mut at = 0;
    let mut previous: Option<Word> = None;
    while at < lines.len() && acts.len() < MAX_ACTS {
        let Some(head) = head(lines[at]) else {
            // Within the made-up rest of a conversation nothing counts any more.
            if previous.is_some() && is_turn(lines[at]) {
                break;
            }
            at += 1;
            continue;
        };
        let may_follow =
            previous.is_none_or(Word::changes) && (head.word.changes() || head.word == Word::Done);
        if previous.is_some() && !may_follow {
            break;
        }
        at += 1;
        let (act, used) = act(&head, &lines[at..], end)?;
        at += used;
        previous = Some(head.word);
        acts.push(act);
        if head.word == Word::Done {
            break;
        }
    }
    Ok(acts)
}

/// Whether an answer that is still being written holds its act already, and goes on with something else. Small models
/// begin to play the factory's side, and what they write then costs time and counts for nothing.
pub(super) fn is_over(answer: &str) -> bool {
    let Some(end) = answer.rfind('\n') else {
        return false;
    };
    let lines: Vec<&str> = answer[..end].lines().collect();
    let Some((at, head_line)) = lines
        .iter()
        .enumerate()
        .find_map(|(at, line)| Some((at, head(line)?)))
    else {
        return false;
    };
    let below = &lines[at + 1..];
    let used = match head_line.word {
        Word::File | Word::Edit => end_of_change(below),
        Word::Run if head_line.rest.is_empty() => end_of_change(below),
        _ => Some(0),
    };
    let rest = used.and_then(|used| below.get(used..)).unwrap_or_default();
    let mut rest = rest.iter().filter(|line| !line.trim().is_empty());
    rest.next()
        .is_some_and(|line| head(line).is_none() && !is_search(line))
}

/// Returns how many lines a change takes whose end is there to see: a closed block, or the last of its edits.
fn end_of_change(below: &[&str]) -> Option<usize> {
    let start = below.iter().position(|line| !line.trim().is_empty())?;
    if let Some(opened) = fence(below[start]) {
        let inner = &below[start + 1..];
        let mut nested = 0_usize;
        for (index, line) in inner.iter().enumerate() {
            match fence(line) {
                Some(fence) if line.trim() != fence => nested += 1,
                Some(fence) if closes(opened, fence, line) && nested == 0 => return Some(start + index + 2),
                Some(fence) if closes(opened, fence, line) => nested -= 1,
                _ => {}
            }
        }
        return None;
    }
    let last = below
        .iter()
        .rposition(|line| line.trim_end().ends_with("REPLACE") && line.trim_start().starts_with(">>>"));
    last.map(|last| last + 1)
}

/// Reads a line as the head of an act: a word, a colon, and what it is about, perhaps in Markdown's dress.
fn head(line: &str) -> Option<Head<'_>> {
    let line = line.trim().trim_start_matches(['#', '*', '-', '>', '`', ' ']);
    let end = line.find(|character: char| !character.is_ascii_alphabetic())?;
    let (word, rest) = line.split_at(end);
    let word = WORDS.iter().find(|(name, _)| *name == word)?.1;
    let rest = rest.trim_start_matches(['*', '`']).strip_prefix(':')?;
    let rest = rest.trim().trim_matches(['*', '`', '"']).trim();
    Some(Head { word, rest })
}

/// Whether a line is one that only the factory writes: the model has begun to play both sides.
fn is_turn(line: &str) -> bool {
    ["The goal:", "Now another goal:", "The check "]
        .iter()
        .any(|start| line.starts_with(start))
}

/// Returns the act and how many of the lines below its head it takes.
fn act(head: &Head<'_>, below: &[&str], end: EndReason) -> Result<(Act, usize), String> {
    let simple = |tool, arguments| Ok((Act { tool, arguments }, 0));
    let named = |what: &str| {
        if head.rest.is_empty() {
            Err(format!("the act names no {what}"))
        } else {
            Ok(head.rest)
        }
    };
    match head.word {
        Word::Read => simple(Tool::ReadFile, json!({"path": named("file")?})),
        Word::List => {
            let folder = if head.rest.is_empty() { "." } else { head.rest };
            simple(Tool::ListFiles, json!({"path": folder}))
        }
        Word::Search => simple(
            Tool::Search,
            json!({"pattern": regex::escape(named("text to search for")?)}),
        ),
        Word::Delete => simple(Tool::DeleteFile, json!({"path": named("file")?})),
        Word::Move => {
            let both = named("file")?;
            let (from, to) = [" -> ", " => ", " to "]
                .iter()
                .find_map(|arrow| both.split_once(arrow))
                .ok_or("MOVE needs both paths, as `MOVE: old -> new`")?;
            simple(Tool::MoveFile, json!({"from": from.trim(), "to": to.trim()}))
        }
        Word::Run if head.rest.is_empty() => {
            let (block, used) = block(below, end)?.ok_or("RUN names no command")?;
            Ok((
                Act {
                    tool: Tool::RunCommand,
                    arguments: json!({"command": block.trim()}),
                },
                used,
            ))
        }
        Word::Run => simple(Tool::RunCommand, json!({"command": head.rest})),
        Word::Ask => simple(Tool::AskOperator, json!({"question": named("question")?})),
        Word::Done => {
            let summary = if head.rest.is_empty() { "done" } else { head.rest };
            simple(Tool::FinishStep, json!({"summary": summary}))
        }
        Word::File | Word::Edit => change(named("file")?, below, end),
    }
}

/// A block below a path: the file's content, or what is to be searched and put in its place.
fn change(path: &str, below: &[&str], end: EndReason) -> Result<(Act, usize), String> {
    let until = end_of_act(below);
    let here = below[..until].join("\n");
    if below[..until].iter().any(|line| is_search(line)) {
        let blocks = parse_blocks(&here).map_err(|error| format!("the edit of `{path}`: {error}"))?;
        let edits: Vec<Value> = blocks
            .into_iter()
            .map(|block| json!({"search": block.replacement.search, "replace": block.replacement.replace}))
            .collect();
        return Ok((
            Act {
                tool: Tool::EditFile,
                arguments: json!({"path": path, "edits": edits}),
            },
            until,
        ));
    }
    let (content, used) = match block(below, end)? {
        Some(block) => block,
        None if here.trim().is_empty() => {
            return Err(format!(
                "nothing stands below `FILE: {path}`; its content goes there, in a block"
            ));
        }
        // Without a fence the content is all that follows.
        None => (format!("{}\n", here.trim_matches('\n')), until),
    };
    Ok((
        Act {
            tool: Tool::ChangeFile,
            arguments: json!({"path": path, "content": content}),
        },
        used,
    ))
}

fn is_search(line: &str) -> bool {
    line.trim_end().ends_with("SEARCH") && line.trim_start().starts_with("<<<")
}

/// Returns how many lines belong to an act: up to the head of the next that stands outside of a block.
fn end_of_act(below: &[&str]) -> usize {
    let mut open: Option<&str> = None;
    for (index, line) in below.iter().enumerate() {
        match (open, fence(line)) {
            (None, Some(fence)) => open = Some(fence),
            (Some(opened), Some(fence)) if closes(opened, fence, line) => open = None,
            (None, None) if head(line).is_some() || is_turn(line) => return index,
            _ => {}
        }
    }
    below.len()
}

/// Returns the content of the fenced block that begins below, and how many lines it takes with what stands before it.
fn block(below: &[&str], end: EndReason) -> Result<Option<(String, usize)>, String> {
    let mut start = 0;
    let opened = loop {
        match below.get(start) {
            None => return Ok(None),
            Some(line) if line.trim().is_empty() => start += 1,
            Some(line) => match fence(line) {
                Some(fence) => break fence,
                None => return Ok(None),
            },
        }
    };
    let inner = &below[start + 1..];
    let closing = closing(inner, opened);
    let length = match closing {
        Some(length) => length,
        None if end == EndReason::Stop => inner.len(),
        None => return Err("the answer was cut before its block was closed; answer shorter".to_owned()),
    };
    let mut content = inner[..length].join("\n");
    if !content.is_empty() {
        content.push('\n');
    }
    Ok(Some((content, (start + 1 + length + 1).min(below.len()))))
}

/// Returns the line that closes a block: the last bare fence of the pairs that are opened within it.
fn closing(inner: &[&str], opened: &str) -> Option<usize> {
    let mut nested = 0_usize;
    for (index, line) in inner.iter().enumerate() {
        let Some(fence) = fence(line) else { continue };
        let is_bare = line.trim() == fence;
        if !is_bare {
            nested += 1;
        } else if closes(opened, fence, line) {
            if nested == 0 {
                return Some(index);
            }
            nested -= 1;
        }
    }
    // Whoever opens blocks within a block and closes too few: the last one is the outer one's.
    inner
        .iter()
        .rposition(|line| fence(line).is_some_and(|fence| closes(opened, fence, line)))
}

/// Returns the fence that a line begins with.
fn fence(line: &str) -> Option<&str> {
    let line = line.trim();
    let mark = line.chars().next().filter(|mark| matches!(mark, '`' | '~'))?;
    let length = line.chars().take_while(|character| *character == mark).count();
    (length >= 3).then(|| &line[..length])
}

fn closes(opened: &str, fence: &str, line: &str) -> bool {
    line.trim() == fence && fence.starts_with(opened)
}

#[cfg(test)]
mod tests;
