//! What texts of requests can hold, said once for the schemas, and in words for those whose text cannot be used.

/// A text with something in it to read. What is left out is what trimming takes away, and control characters.
pub(super) const TEXT: &str = r"[^\x00-\x20\x7f-\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]";

/// A goal, or a command: such a text, without NUL characters.
pub(super) const GOAL: &str =
    r"^[^\x00]*[^\x00-\x20\x7f-\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000][^\x00]*$";

/// An absolute path.
pub(super) const ABSOLUTE_PATH: &str = r"^/[^\x00]*$";

/// A path within a repository.
pub(super) const INNER_PATH: &str = r"^[^/\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$";

/// Returns what is wrong with a text that does not match.
pub(super) fn in_words(pattern: &str) -> Option<&'static str> {
    match pattern {
        TEXT => Some("there is nothing in it to read"),
        GOAL => Some("there is nothing in it to read, or it has a NUL character"),
        ABSOLUTE_PATH => {
            Some("it is no absolute path, which it has to be because it is the server that opens it")
        }
        INNER_PATH => Some("it is no path within the repository; name the file as the diff does"),
        _ => None,
    }
}
