//! Source code as the named parts that it is made of, for the usual languages.
//!
//! Parsed with tree-sitter, whose parsers never fail on hostile input: what cannot be understood is an error node, and
//! a text with one is told apart. Only what stands at the top of a file and directly within its types is looked at.

mod grammar;
mod units;

pub use self::grammar::Language;
pub use self::units::{Unit, UnitKind, outline, units};

#[cfg(test)]
mod tests;
