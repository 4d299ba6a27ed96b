//! The languages that are understood, and which of their constructs are what.

use crate::workspace::RepoPath;

/// A language whose source can be taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Language {
    /// Python.
    Python,
    /// JavaScript, with JSX.
    JavaScript,
    /// TypeScript.
    TypeScript,
    /// TypeScript with JSX.
    Tsx,
    /// C, and headers of C++ as far as they look alike.
    C,
    /// C++.
    Cpp,
    /// Rust.
    Rust,
    /// Go.
    Go,
    /// Shell scripts.
    Shell,
    /// Java.
    Java,
    /// Ruby.
    Ruby,
}

/// What a construct is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Construct {
    /// Brings in names from elsewhere.
    Import,
    /// Defines a name.
    Definition,
    /// Defines a name and holds further definitions.
    Container,
    /// Has one of the others within it, as a decorated function has.
    Wrapper,
    /// Holds others that stand as if it were not there, as a header's guard does.
    Transparent,
    /// A comment.
    Comment,
    /// Stands before a definition and belongs to it, as an attribute does.
    Attribute,
}

impl Language {
    /// Returns the language of a file, by its name.
    pub fn of(path: &RepoPath) -> Option<Self> {
        Self::of_name(path.as_str())
    }

    /// Returns the language of a file's name.
    pub fn of_name(name: &str) -> Option<Self> {
        let name = name.rsplit('/').next().unwrap_or(name);
        let (_, extension) = name.rsplit_once('.')?;
        Some(match extension.to_ascii_lowercase().as_str() {
            "py" | "pyi" | "pyw" => Self::Python,
            "js" | "jsx" | "mjs" | "cjs" => Self::JavaScript,
            "ts" | "mts" | "cts" => Self::TypeScript,
            "tsx" => Self::Tsx,
            "c" | "h" => Self::C,
            "cc" | "cpp" | "cxx" | "hh" | "hpp" | "hxx" => Self::Cpp,
            "rs" => Self::Rust,
            "go" => Self::Go,
            "sh" | "bash" => Self::Shell,
            "java" => Self::Java,
            "rb" => Self::Ruby,
            _ => return None,
        })
    }

    pub(super) fn grammar(self) -> tree_sitter::Language {
        match self {
            Self::Python => tree_sitter_python::LANGUAGE.into(),
            Self::JavaScript => tree_sitter_javascript::LANGUAGE.into(),
            Self::TypeScript => tree_sitter_typescript::LANGUAGE_TYPESCRIPT.into(),
            Self::Tsx => tree_sitter_typescript::LANGUAGE_TSX.into(),
            Self::C => tree_sitter_c::LANGUAGE.into(),
            Self::Cpp => tree_sitter_cpp::LANGUAGE.into(),
            Self::Rust => tree_sitter_rust::LANGUAGE.into(),
            Self::Go => tree_sitter_go::LANGUAGE.into(),
            Self::Shell => tree_sitter_bash::LANGUAGE.into(),
            Self::Java => tree_sitter_java::LANGUAGE.into(),
            Self::Ruby => tree_sitter_ruby::LANGUAGE.into(),
        }
    }

    /// Returns what a node of this kind is; none for a statement that defines nothing.
    pub(super) fn construct(self, kind: &str) -> Option<Construct> {
        use Construct::{Attribute, Comment, Container, Definition, Import, Transparent, Wrapper};
        if kind.contains("comment") {
            return Some(Comment);
        }
        let found = match self {
            Self::Python => match kind {
                "import_statement" | "import_from_statement" | "future_import_statement" => Import,
                "function_definition" => Definition,
                "class_definition" => Container,
                "decorated_definition" => Wrapper,
                _ => return None,
            },
            Self::JavaScript | Self::TypeScript | Self::Tsx => match kind {
                "import_statement" => Import,
                "function_declaration"
                | "generator_function_declaration"
                | "method_definition"
                | "interface_declaration"
                | "type_alias_declaration"
                | "enum_declaration"
                | "function_signature"
                | "lexical_declaration"
                | "variable_declaration"
                | "field_definition"
                | "public_field_definition" => Definition,
                "class_declaration" | "abstract_class_declaration" => Container,
                "export_statement" => Wrapper,
                _ => return None,
            },
            Self::C | Self::Cpp => match kind {
                "preproc_include" | "using_declaration" => Import,
                "function_definition"
                | "declaration"
                | "field_declaration"
                | "preproc_def"
                | "preproc_function_def"
                | "type_definition"
                | "struct_specifier"
                | "union_specifier"
                | "enum_specifier"
                | "alias_declaration" => Definition,
                "class_specifier" => Container,
                "template_declaration" => Wrapper,
                "preproc_ifdef"
                | "preproc_if"
                | "linkage_specification"
                | "declaration_list"
                | "namespace_definition" => Transparent,
                _ => return None,
            },
            Self::Rust => match kind {
                "use_declaration" | "extern_crate_declaration" => Import,
                "function_item"
                | "struct_item"
                | "enum_item"
                | "union_item"
                | "const_item"
                | "static_item"
                | "type_item"
                | "macro_definition"
                | "function_signature_item"
                | "associated_type" => Definition,
                "impl_item" | "trait_item" | "mod_item" => Container,
                "attribute_item" | "inner_attribute_item" => Attribute,
                _ => return None,
            },
            Self::Go => match kind {
                "package_clause" | "import_declaration" => Import,
                "function_declaration"
                | "method_declaration"
                | "type_declaration"
                | "const_declaration"
                | "var_declaration" => Definition,
                _ => return None,
            },
            Self::Shell => match kind {
                "function_definition" | "variable_assignment" => Definition,
                _ => return None,
            },
            Self::Java => match kind {
                "package_declaration" | "import_declaration" => Import,
                "method_declaration" | "constructor_declaration" | "field_declaration" => Definition,
                "class_declaration" | "interface_declaration" | "enum_declaration" | "record_declaration" => {
                    Container
                }
                _ => return None,
            },
            Self::Ruby => match kind {
                "method" | "singleton_method" => Definition,
                "class" | "module" => Container,
                _ => return None,
            },
        };
        Some(found)
    }
}
