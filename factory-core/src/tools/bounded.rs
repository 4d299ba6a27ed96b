//! Results with a bound: head and tail kept, the middle cut visibly.

/// The most bytes of a tool's result: 32 KiB.
pub const MAX_RESULT: usize = 32 << 10;

/// Returns the text, or its head and tail with a line between them that says how much is left out. Cuts at line ends
/// where there are any near.
pub fn bounded(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let head = head_end(text, limit / 2);
    let tail = tail_start(text, text.len() - limit / 2);
    let (kept, cut) = (&text[..head], &text[head..tail]);
    let lines = cut.matches('\n').count();
    format!(
        "{kept}{}[{} bytes, {lines} lines left out here]\n{}",
        if kept.ends_with('\n') || kept.is_empty() {
            ""
        } else {
            "\n"
        },
        cut.len(),
        &text[tail..]
    )
}

/// Returns one line of at most `limit` characters.
pub(super) fn one_line(text: &str, limit: usize) -> String {
    let line = text.lines().next().unwrap_or_default();
    let mut short: String = line
        .chars()
        .take(limit)
        .map(|character| if character.is_control() { ' ' } else { character })
        .collect();
    if short.len() < line.len() {
        short.push('…');
    }
    short
}

/// Returns the line, cut visibly where it is longer than `limit` bytes.
pub(super) fn bounded_line(line: &str, limit: usize) -> String {
    if line.len() <= limit {
        return line.to_owned();
    }
    let end = line.floor_char_boundary(limit);
    format!("{} […{} more bytes]", &line[..end], line.len() - end)
}

/// The end of the last whole line before `at`, unless that would give up more than half.
fn head_end(text: &str, at: usize) -> usize {
    let at = text.floor_char_boundary(at);
    match text[..at].rfind('\n') {
        Some(end) if end >= at / 2 => end + 1,
        _ => at,
    }
}

fn tail_start(text: &str, at: usize) -> usize {
    let at = text.ceil_char_boundary(at);
    match text[at..].find('\n') {
        Some(end) if end < (text.len() - at) / 2 => at + end + 1,
        _ => at,
    }
}
