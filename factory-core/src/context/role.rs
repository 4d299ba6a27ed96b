//! What a file is for, told by its name alone.

use crate::syntax::Language;
use crate::workspace::RepoPath;

/// What a file is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Role {
    /// Says what the project is and how it is built.
    Manifest,
    /// Source code.
    Source,
    /// A test.
    Test,
    /// Any other text.
    Text,
    /// May hold secrets: shown by name, never by content unless the operator's goal names it.
    Secret,
    /// Written by a program or by somebody else: lock files, bundles, vendored folders.
    Foreign,
    /// No text.
    Binary,
}

/// Folders whose files somebody else wrote, or a program.
const FOREIGN_FOLDERS: &[&str] = &[
    "node_modules",
    "bower_components",
    "vendor",
    "vendored",
    "third_party",
    "third-party",
    "site-packages",
    "dist",
    "build",
    "out",
    "target",
    "coverage",
    "generated",
    "__generated__",
    "__pycache__",
    "__snapshots__",
    "snapshots",
    ".git",
    ".venv",
    "venv",
    ".tox",
    ".next",
    ".gradle",
    ".idea",
    ".yarn",
];

const FOREIGN_ENDINGS: &[&str] = &[
    ".lock",
    ".min.js",
    ".min.css",
    ".map",
    ".snap",
    ".pb.go",
    "_pb2.py",
    "_pb2_grpc.py",
    ".pb.cc",
    ".pb.h",
    ".generated.ts",
    ".g.dart",
    "go.sum",
    "package-lock.json",
    "npm-shrinkwrap.json",
    "pnpm-lock.yaml",
];

const BINARY_EXTENSIONS: &[&str] = &[
    "7z", "a", "avi", "bin", "bmp", "bz2", "class", "db", "dll", "dylib", "eot", "exe", "flac", "gif", "gz",
    "ico", "jar", "jpeg", "jpg", "mkv", "mov", "mp3", "mp4", "o", "ogg", "otf", "parquet", "pdf", "png",
    "pyc", "so", "sqlite", "tar", "tgz", "tiff", "ttf", "wasm", "wav", "webm", "webp", "woff", "woff2", "xz",
    "zip", "zst",
];

/// Extensions of text files that are no source of a language that is taken apart.
const TEXT_EXTENSIONS: &[&str] = &[
    "adoc",
    "bat",
    "cfg",
    "clj",
    "cmake",
    "conf",
    "cs",
    "css",
    "csv",
    "dart",
    "ejs",
    "env",
    "erl",
    "ex",
    "exs",
    "fish",
    "graphql",
    "groovy",
    "hbs",
    "hs",
    "htm",
    "html",
    "ini",
    "ipynb",
    "jl",
    "json",
    "jsonl",
    "kt",
    "kts",
    "less",
    "lua",
    "m",
    "md",
    "mk",
    "ml",
    "nix",
    "php",
    "pl",
    "pm",
    "properties",
    "proto",
    "ps1",
    "r",
    "rst",
    "sass",
    "scala",
    "scss",
    "sql",
    "svelte",
    "svg",
    "swift",
    "tex",
    "tf",
    "toml",
    "tsv",
    "txt",
    "vim",
    "vue",
    "xml",
    "yaml",
    "yml",
    "zig",
    "zsh",
];

const MANIFESTS: &[&str] = &[
    "Cargo.toml",
    "CMakeLists.txt",
    "Gemfile",
    "Makefile",
    "build.gradle",
    "build.gradle.kts",
    "composer.json",
    "go.mod",
    "package.json",
    "pom.xml",
    "pyproject.toml",
    "requirements.txt",
    "setup.cfg",
    "setup.py",
    "tsconfig.json",
];

/// Names of files that have no extension.
const PLAIN_NAMES: &[&str] = &[
    "Dockerfile",
    "Containerfile",
    "Gemfile",
    "Justfile",
    "LICENSE",
    "Makefile",
    "Procfile",
    "Rakefile",
    "README",
    "Vagrantfile",
];

impl Role {
    /// Returns the role of a file by its path.
    pub(super) fn of(path: &RepoPath) -> Self {
        let name = path.file_name();
        let mut folders = path.components().rev().skip(1);
        if folders.any(|folder| FOREIGN_FOLDERS.contains(&folder))
            || FOREIGN_ENDINGS.iter().any(|ending| name.ends_with(ending))
        {
            return Self::Foreign;
        }
        let extension = extension_of(name).unwrap_or_default().to_ascii_lowercase();
        if BINARY_EXTENSIONS.contains(&extension.as_str()) {
            return Self::Binary;
        }
        if is_secret(name, &extension) {
            return Self::Secret;
        }
        if MANIFESTS.contains(&name) || name.to_ascii_lowercase().starts_with("readme") {
            return Self::Manifest;
        }
        if is_test(path) {
            return Self::Test;
        }
        if Language::of(path).is_some() {
            Self::Source
        } else {
            Self::Text
        }
    }
}

/// Returns whether a word looks like a file's name: with a usual extension, or one of the names without.
pub(super) fn looks_like_file_name(name: &str) -> bool {
    if PLAIN_NAMES.contains(&name) {
        return true;
    }
    // Products that are called like files.
    let lower = name.to_ascii_lowercase();
    if [
        "node.js",
        "next.js",
        "vue.js",
        "nuxt.js",
        "three.js",
        "d3.js",
        "express.js",
        "react.js",
    ]
    .contains(&lower.as_str())
    {
        return false;
    }
    extension_of(name).is_some_and(|extension| {
        let extension = extension.to_ascii_lowercase();
        Language::of_name(name).is_some() || TEXT_EXTENSIONS.contains(&extension.as_str())
    })
}

/// Returns the part behind the last dot; none for `.env` and the like.
fn extension_of(name: &str) -> Option<&str> {
    name.rsplit_once('.')
        .filter(|(stem, _)| !stem.is_empty())
        .map(|(_, extension)| extension)
}

fn is_secret(name: &str, extension: &str) -> bool {
    let is_environment = name == ".env"
        || (name.starts_with(".env.") && !name.ends_with("example") && !name.ends_with("sample"));
    is_environment
        || matches!(
            extension,
            "pem" | "key" | "p12" | "pfx" | "keystore" | "jks" | "kdbx"
        )
        || [
            ".netrc",
            ".npmrc",
            ".pypirc",
            "credentials",
            "id_rsa",
            "id_ed25519",
            "id_ecdsa",
        ]
        .contains(&name)
}

/// Returns whether a file is a test by its name or its folder.
fn is_test(path: &RepoPath) -> bool {
    let name = path.file_name();
    let stem = name.split('.').next().unwrap_or(name);
    let infix = name.contains(".test.") || name.contains(".spec.");
    let in_folder = path.components().rev().skip(1).any(|folder| {
        matches!(
            folder,
            "test" | "tests" | "spec" | "specs" | "__tests__" | "testing"
        )
    });
    in_folder
        || infix
        || stem.starts_with("test_")
        || stem == "tests"
        || stem.ends_with("_test")
        || stem.ends_with("_tests")
        || stem.ends_with("_spec")
        || (extension_of(name) == Some("java") && (stem.ends_with("Test") || stem.ends_with("Tests")))
        || stem == "conftest"
}

/// Returns the name of what a test is about: `test_calc` and `calc.spec.ts` are about `calc`; for other files their stem.
pub(super) fn subject(path: &RepoPath) -> &str {
    let name = path.file_name();
    let stem = name
        .split('.')
        .next()
        .filter(|stem| !stem.is_empty())
        .unwrap_or(name);
    let mut subject = stem;
    for prefix in ["test_", "Test"] {
        subject = subject.strip_prefix(prefix).unwrap_or(subject);
    }
    for suffix in ["_test", "_tests", "_spec", "Test", "Tests", "Spec"] {
        subject = subject.strip_suffix(suffix).unwrap_or(subject);
    }
    if subject.is_empty() { stem } else { subject }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_told_by_the_name() {
        for (path, expect) in [
            ("src/main.rs", Role::Source),
            ("README.md", Role::Manifest),
            ("pkg/Cargo.toml", Role::Manifest),
            ("Cargo.lock", Role::Foreign),
            ("web/node_modules/a/index.js", Role::Foreign),
            ("target", Role::Text),
            ("tests/data.txt", Role::Test),
            ("src/calc_test.go", Role::Test),
            ("src/a.spec.ts", Role::Test),
            ("src/CalcTest.java", Role::Test),
            ("src/Contest.java", Role::Source),
            ("logo.PNG", Role::Binary),
            (".env", Role::Secret),
            (".env.example", Role::Text),
            ("deploy/server.key", Role::Secret),
            ("notes", Role::Text),
        ] {
            assert_eq!(Role::of(&RepoPath::parse(path).unwrap()), expect, "{path}");
        }
    }

    #[test]
    fn a_test_is_about_what_its_name_says() {
        for (path, expect) in [
            ("tests/test_calc.py", "calc"),
            ("calc_test.go", "calc"),
            ("src/calc.spec.ts", "calc"),
            ("CalcTest.java", "Calc"),
            ("src/calc.py", "calc"),
            ("test_.py", "test_"),
            (".env", ".env"),
        ] {
            assert_eq!(subject(&RepoPath::parse(path).unwrap()), expect, "{path}");
        }
    }

    #[test]
    fn a_file_name_is_told_from_other_words_with_dots() {
        for (word, expect) in [
            ("hello.txt", true),
            ("main.rs", true),
            ("Makefile", true),
            ("os.path", false),
            ("3.12", false),
            ("Node.js", false),
            ("e.g", false),
            (".py", false),
        ] {
            assert_eq!(looks_like_file_name(word), expect, "{word}");
        }
    }
}
