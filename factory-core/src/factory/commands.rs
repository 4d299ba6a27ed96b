//! The commands of a project or a run as the operator gives them: what no shell can be given is refused before it is stored,
//! and so is what says nothing, which as a check would prove anything.

use crate::error::Error;

/// The most bytes of one command. The sandbox takes a few more, in which it wraps it.
const MOST: usize = 100_000;

/// Refuses the first command that cannot be run. `kind` is what they are: `setup`, `check`.
pub(super) fn check(kind: &str, commands: &[String]) -> Result<(), Error> {
    let wrong = commands.iter().enumerate().find_map(|(place, command)| {
        let why = if command.trim().is_empty() {
            "says nothing; leave it out".to_owned()
        } else if command.contains('\0') {
            "contains a NUL character".to_owned()
        } else if command.len() > MOST {
            format!(
                "has {} bytes and at most {MOST} are taken; put it into a file of the repository and run that",
                command.len()
            )
        } else {
            return None;
        };
        Some(format!("the {kind} command number {} {why}", place + 1))
    });
    wrong.map_or(Ok(()), |why| Err(Error::BadInput(why)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_run_is_refused() {
        check("check", &["true".to_owned(), "x".repeat(MOST)]).unwrap();
        check("check", &[]).unwrap();
        for (bad, expected) in [
            (String::new(), "says nothing"),
            (" \n".to_owned(), "says nothing"),
            ("a\0b".to_owned(), "NUL"),
            ("x".repeat(MOST + 1), "100001 bytes"),
        ] {
            let refused = check("check", &["true".to_owned(), bad]).unwrap_err();
            assert!(matches!(refused, Error::BadInput(_)));
            let said = refused.to_string();
            assert!(said.contains("number 2") && said.contains(expected), "{said}");
        }
    }
}
