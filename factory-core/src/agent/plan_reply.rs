//! Finds a plan in a reply that was written as text instead of an `update_plan` call. Invents nothing.

use crate::model::Plan;

/// The longest title that is kept whole; longer ones are cut at a character.
const TITLE: usize = 300;

/// Returns the titles of the plan in `text`: the items of its first numbered list, or of its first bulleted one.
/// None where there is no list.
pub(super) fn plan_in_text(text: &str) -> Option<Vec<String>> {
    first_list(text, numbered).or_else(|| first_list(text, bulleted))
}

/// Returns a title that fits: one line, bounded.
pub(super) fn title(text: &str) -> String {
    let line = text
        .lines()
        .map(str::trim)
        .find(|line| !line.is_empty())
        .unwrap_or("the goal");
    match line.char_indices().nth(TITLE) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

fn first_list(text: &str, item: fn(&str) -> Option<&str>) -> Option<Vec<String>> {
    let titles: Vec<String> = text
        .lines()
        .filter(|line| !line.starts_with("   "))
        .filter_map(|line| item(line.trim()))
        .map(|line| title(line.trim_matches(['*', '`', ' '])))
        .take(Plan::MAX_STEPS)
        .collect();
    (!titles.is_empty()).then_some(titles)
}

fn numbered(line: &str) -> Option<&str> {
    let rest = line.trim_start_matches(|character: char| character.is_ascii_digit());
    if rest.len() == line.len() {
        return None;
    }
    let rest = rest.strip_prefix(['.', ')'])?;
    let item = rest.trim();
    (rest.starts_with(' ') && !item.is_empty()).then_some(item)
}

fn bulleted(line: &str) -> Option<&str> {
    let item = line
        .strip_prefix("- ")
        .or_else(|| line.strip_prefix("* "))?
        .trim();
    (!item.is_empty()).then_some(item)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_plans_and_prose_is_not() {
        let cases: [(&str, Option<&[&str]>); 6] = [
            (
                "Here is my plan:\n1. Read the code\n2. **Fix** it\n",
                Some(&["Read the code", "Fix** it"]),
            ),
            ("1) one\n\n2) two", Some(&["one", "two"])),
            ("- a\n- b", Some(&["a", "b"])),
            ("1. top\n   - detail\n2. next\n- not this", Some(&["top", "next"])),
            ("I will fix the bug in version 2.5 now.", None),
            ("", None),
        ];
        for (text, expected) in cases {
            let expected = expected.map(|titles| titles.iter().map(|&title| title.to_owned()).collect());
            assert_eq!(plan_in_text(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_title_is_one_bounded_line() {
        assert_eq!(title("\n  first\nsecond"), "first");
        assert_eq!(title(&"é".repeat(400)).chars().count(), TITLE + 1);
    }
}
