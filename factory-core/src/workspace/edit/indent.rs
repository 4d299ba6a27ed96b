//! How the indentation of a quoted text differs from the file's, and the same difference for what comes in its place.

/// The difference between a quotation's indentation and the file's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Shift {
    /// There is none.
    None,
    /// The file has this before each line.
    Add(String),
    /// The quotation has this before each line.
    Remove(String),
    /// Each indentation of the quotation stands for one of the file, as spaces do for tabs; longest first.
    Map(Vec<(String, String)>),
}

impl Shift {
    /// Returns the shift from the lines of the quotation to the file's; none where there is no single one. Blank lines
    /// say nothing.
    pub(super) fn between<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Option<Self> {
        let pairs: Vec<(&str, &str)> = pairs
            .filter(|(quoted, _)| !quoted.trim().is_empty())
            .map(|(quoted, file)| (indentation(quoted), indentation(file)))
            .collect();
        let &(quoted, file) = pairs.first()?;
        if let Some(added) = file.strip_suffix(quoted) {
            let fits = |(quoted, file): &(&str, &str)| file.strip_prefix(added) == Some(*quoted);
            if pairs.iter().all(fits) {
                return Some(if added.is_empty() {
                    Self::None
                } else {
                    Self::Add(added.to_owned())
                });
            }
        }
        if let Some(removed) = quoted.strip_suffix(file)
            && pairs
                .iter()
                .all(|(quoted, file)| quoted.strip_prefix(removed) == Some(*file))
        {
            return Some(Self::Remove(removed.to_owned()));
        }
        let mut map = Vec::<(String, String)>::new();
        for (quoted, file) in pairs {
            match map.iter().find(|(known, _)| known == quoted) {
                Some((_, known)) if known == file => {}
                Some(_) => return None,
                None => map.push((quoted.to_owned(), file.to_owned())),
            }
        }
        map.sort_by_key(|(quoted, _)| std::cmp::Reverse(quoted.len()));
        Some(Self::Map(map))
    }

    /// Returns the line with the file's indentation; none where the shift does not say what that would be.
    pub(super) fn apply(&self, line: &str) -> Option<String> {
        if line.trim().is_empty() {
            return Some(if *self == Self::None {
                line.to_owned()
            } else {
                String::new()
            });
        }
        match self {
            Self::None => Some(line.to_owned()),
            Self::Add(added) => Some(format!("{added}{line}")),
            Self::Remove(removed) => line.strip_prefix(removed.as_str()).map(str::to_owned),
            Self::Map(map) => map
                .iter()
                .find_map(|(quoted, file)| Some((file, line.strip_prefix(quoted.as_str())?)))
                .map(|(file, rest)| format!("{file}{rest}")),
        }
    }
}

pub(super) fn indentation(line: &str) -> &str {
    &line[..line.len() - line.trim_start().len()]
}
