//! What of the host's settings for package registries is handed to commands: named variables and named keys, never
//! credentials.
//!
//! A machine behind a proxy or a mirror reaches its registries through such settings alone. Values with a user name or
//! a password in their address are left out, and the operator is told.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::sandbox::RegistrySettings;

/// Variables for commands with the host's network.
const HOST_VARIABLES: [&str; 38] = [
    "ALL_PROXY",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NO_PROXY",
    "all_proxy",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "CARGO_HTTP_CAINFO",
    "CARGO_HTTP_PROXY",
    "CARGO_HTTP_TIMEOUT",
    "CARGO_NET_GIT_FETCH_WITH_CLI",
    "CARGO_NET_RETRY",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "GONOSUMDB",
    "GOPRIVATE",
    "GOPROXY",
    "GOSUMDB",
    "NIX_SSL_CERT_FILE",
    "NODE_EXTRA_CA_CERTS",
    "NPM_CONFIG_CAFILE",
    "NPM_CONFIG_REGISTRY",
    "PIP_CERT",
    "PIP_DEFAULT_TIMEOUT",
    "PIP_EXTRA_INDEX_URL",
    "PIP_INDEX_URL",
    "PIP_RETRIES",
    "PIP_TRUSTED_HOST",
    "REQUESTS_CA_BUNDLE",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "UV_DEFAULT_INDEX",
    "UV_EXTRA_INDEX_URL",
    "UV_INDEX",
    "UV_INDEX_URL",
    "UV_NATIVE_TLS",
    "npm_config_registry",
];

/// Keys of `config.toml` that say where packages come from.
const CARGO_KEYS: [&str; 19] = [
    "branch",
    "cainfo",
    "check-revoke",
    "default",
    "directory",
    "git",
    "git-fetch-with-cli",
    "index",
    "local-registry",
    "multiplexing",
    "protocol",
    "proxy",
    "registry",
    "replace-with",
    "retry",
    "rev",
    "ssl-version",
    "tag",
    "timeout",
];

const CARGO_TABLES: [&str; 5] = ["http", "net", "registries", "registry", "source"];

const PIP_KEYS: [&str; 8] = [
    "cert",
    "extra-index-url",
    "index-url",
    "no-index",
    "proxy",
    "retries",
    "timeout",
    "trusted-host",
];

const NPM_KEYS: [&str; 6] = [
    "cafile",
    "https-proxy",
    "noproxy",
    "proxy",
    "registry",
    "strict-ssl",
];

/// What a front end captured of its surroundings at start.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct HostEnvironment {
    /// The environment variables.
    pub variables: BTreeMap<String, String>,
    /// The home of whoever runs the factory.
    pub home: PathBuf,
}

/// Shows the names of the variables and not their values, some of which are secrets of other programs.
impl fmt::Debug for HostEnvironment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.variables.keys().map(String::as_str).collect();
        formatter
            .debug_struct("HostEnvironment")
            .field("home", &self.home)
            .field("variables", &names)
            .finish()
    }
}

impl HostEnvironment {
    /// Returns where programs are looked for; empty where the host does not say.
    pub fn path(&self) -> &str {
        self.variables.get("PATH").map_or("", String::as_str)
    }

    /// Reads the registry settings. Returns them with notes for the operator on what was left out. Reads files; call
    /// it where that may block.
    pub fn registry_settings(&self) -> (RegistrySettings, Vec<String>) {
        let mut settings = RegistrySettings::default();
        let mut notes = Vec::new();
        for (name, value) in &self.variables {
            let always = name == "CARGO_REGISTRY_DEFAULT"
                || (name.starts_with("CARGO_REGISTRIES_") && name.ends_with("_INDEX"));
            if !always && !HOST_VARIABLES.contains(&name.as_str()) {
                continue;
            }
            if holds_credentials(value) {
                notes.push(format!(
                    "`{name}` holds credentials and is not given to setup commands"
                ));
                continue;
            }
            settings.certificates.extend(certificate(value));
            let list = if always {
                &mut settings.variables
            } else {
                &mut settings.host_variables
            };
            list.push((name.clone(), value.clone()));
        }
        self.cargo(&mut settings, &mut notes);
        self.pip(&mut settings, &mut notes);
        self.npm(&mut settings, &mut notes);
        settings.certificates.sort();
        settings.certificates.dedup();
        (settings, notes)
    }

    /// The folder above the checkout is where cargo looks for settings beside the private home.
    fn cargo(&self, settings: &mut RegistrySettings, notes: &mut Vec<String>) {
        let home = self
            .variables
            .get("CARGO_HOME")
            .map_or_else(|| self.home.join(".cargo"), PathBuf::from);
        let keep = |section: &str, key: &str| {
            let table = section.split('.').next().unwrap_or_default();
            CARGO_TABLES.contains(&table) && CARGO_KEYS.contains(&key)
        };
        let sections = read_sections(&home.join("config.toml"), keep, settings, notes);
        add_file(settings, "/factory/.cargo/config.toml", &sections);
    }

    fn pip(&self, settings: &mut RegistrySettings, notes: &mut Vec<String>) {
        let keep = |_: &str, key: &str| PIP_KEYS.contains(&key);
        let mut merged = Sections::new();
        let files = [
            PathBuf::from("/etc/pip.conf"),
            self.home.join(".pip/pip.conf"),
            self.home.join(".config/pip/pip.conf"),
        ];
        for file in files {
            for (section, keys) in read_sections(&file, keep, settings, notes) {
                merged.entry(section).or_default().extend(keys);
            }
        }
        if add_file(settings, "/factory/registries/pip.conf", &merged) {
            let variable = (
                "PIP_CONFIG_FILE".to_owned(),
                "/factory/registries/pip.conf".to_owned(),
            );
            settings.host_variables.push(variable);
        }
    }

    fn npm(&self, settings: &mut RegistrySettings, notes: &mut Vec<String>) {
        let keep = |_: &str, key: &str| {
            NPM_KEYS.contains(&key) || (key.starts_with('@') && key.ends_with(":registry"))
        };
        let sections = read_sections(&self.home.join(".npmrc"), keep, settings, notes);
        if add_file(settings, "/factory/registries/npmrc", &sections) {
            let variable = (
                "NPM_CONFIG_USERCONFIG".to_owned(),
                "/factory/registries/npmrc".to_owned(),
            );
            settings.host_variables.push(variable);
        }
    }
}

/// Sections of a settings file, each with its keys and values as they are written.
type Sections = BTreeMap<String, BTreeMap<String, String>>;

/// Reads the wanted `key = value` lines. INI, TOML and npm's format agree on these; a value over several lines is left
/// out.
fn read_sections(
    path: &Path,
    keep: impl Fn(&str, &str) -> bool,
    settings: &mut RegistrySettings,
    notes: &mut Vec<String>,
) -> Sections {
    let mut sections = Sections::new();
    let mut section = String::new();
    for line in std::fs::read_to_string(path).unwrap_or_default().lines() {
        let line = line.trim();
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            name.clone_into(&mut section);
            continue;
        }
        let Some((key, value)) = line.split_once('=') else {
            continue;
        };
        let (key, value) = (key.trim(), value.trim());
        if line.starts_with(['#', ';']) || !keep(&section, key) {
            continue;
        }
        if holds_credentials(value) || value.contains("${") {
            notes.push(format!(
                "`{key}` of `{}` holds credentials and is left out",
                path.display()
            ));
            continue;
        }
        settings
            .certificates
            .extend(certificate(value.trim_matches(['"', '\''])));
        sections
            .entry(section.clone())
            .or_default()
            .insert(key.to_owned(), value.to_owned());
    }
    sections
}

/// Adds the file where it has anything to say.
fn add_file(settings: &mut RegistrySettings, path: &str, sections: &Sections) -> bool {
    if sections.is_empty() {
        return false;
    }
    let mut text = String::new();
    for (section, keys) in sections {
        if !section.is_empty() {
            text.extend(["[", section, "]\n"]);
        }
        for (key, value) in keys {
            text.extend([key, " = ", value, "\n"]);
        }
    }
    settings.files.push((PathBuf::from(path), text));
    true
}

/// Whether an address in the text has a user name or a password.
fn holds_credentials(text: &str) -> bool {
    text.match_indices("://").any(|(at, _)| {
        let scheme_is_web = text[..at].ends_with("http") || text[..at].ends_with("https");
        let rest = &text[at + 3..];
        let authority = rest
            .split(['/', '?', '#', ' ', '"', '\''])
            .next()
            .unwrap_or_default();
        authority
            .rsplit_once('@')
            .is_some_and(|(user, _)| scheme_is_web || user.contains(':'))
    })
}

/// Returns the path if it is a file of certificates that a command would not see anyway.
fn certificate(value: &str) -> Option<PathBuf> {
    const VISIBLE: [&str; 3] = ["/usr", "/etc/ssl/certs", "/etc/pki"];
    let path = Path::new(value);
    if !path.is_absolute() || VISIBLE.iter().any(|folder| path.starts_with(folder)) {
        return None;
    }
    let text = std::fs::read_to_string(path).ok()?;
    (text.contains("BEGIN CERTIFICATE") && !text.contains("PRIVATE KEY")).then(|| path.to_path_buf())
}

#[cfg(test)]
mod tests {
    use super::{HostEnvironment, holds_credentials};
    use crate::sandbox::RegistrySettings;

    #[test]
    fn the_values_of_variables_are_not_shown() {
        let host = HostEnvironment {
            variables: [("TOKEN".to_owned(), "hunter2".to_owned())].into(),
            home: "/home/ann".into(),
        };
        let shown = r#"HostEnvironment { home: "/home/ann", variables: ["TOKEN"] }"#;
        assert_eq!(format!("{host:?}"), shown);
    }

    #[test]
    fn addresses_with_credentials_are_recognised() {
        for (text, expect) in [
            ("https://pypi.example/simple", false),
            ("https://token@pypi.example/simple", true),
            ("sparse+https://name:word@crates.example/", true),
            ("ssh://git@git.example/index", false),
            ("https://a.example https://u:p@b.example", true),
            ("https://a.example/@scope", false),
            ("30", false),
        ] {
            assert_eq!(holds_credentials(text), expect, "{text}");
        }
    }

    #[test]
    fn what_names_registries_is_taken_and_credentials_are_left() {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join(".cargo")).unwrap();
        std::fs::write(
            home.path().join(".cargo/config.toml"),
            "[build]\nrustflags = \"-C x\"\n[source.crates-io]\nreplace-with = \"mirror\"\n\
             [source.mirror]\nregistry = \"sparse+https://mirror.example/\"\n\
             [registries.own]\nindex = \"sparse+https://own.example/\"\ntoken = \"canary\"\n",
        )
        .unwrap();
        std::fs::write(
            home.path().join(".npmrc"),
            "registry=https://npm.example/\n//npm.example/:_authToken=canary\n@own:registry=https://u:canary@own.example\n",
        )
        .unwrap();
        let host = HostEnvironment {
            variables: [
                ("HTTPS_PROXY", "http://proxy.example:8080"),
                ("PIP_INDEX_URL", "https://user:canary@pypi.example/simple"),
                ("CARGO_REGISTRIES_OWN_INDEX", "sparse+https://own.example/"),
                ("CARGO_REGISTRIES_OWN_TOKEN", "canary"),
                ("AWS_SECRET_ACCESS_KEY", "canary"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
            home: home.path().to_path_buf(),
        };
        let (mut settings, mut notes) = host.registry_settings();
        // The machine's own pip settings are not the test's matter.
        settings.files.retain(|(path, _)| !path.ends_with("pip.conf"));
        settings
            .host_variables
            .retain(|(name, _)| name != "PIP_CONFIG_FILE");
        notes.retain(|note| !note.contains("pip.conf"));
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            settings,
            RegistrySettings {
                variables: vec![pair("CARGO_REGISTRIES_OWN_INDEX", "sparse+https://own.example/")],
                host_variables: vec![
                    pair("HTTPS_PROXY", "http://proxy.example:8080"),
                    pair("NPM_CONFIG_USERCONFIG", "/factory/registries/npmrc"),
                ],
                files: vec![
                    (
                        "/factory/.cargo/config.toml".into(),
                        "[registries.own]\nindex = \"sparse+https://own.example/\"\n\
                         [source.crates-io]\nreplace-with = \"mirror\"\n\
                         [source.mirror]\nregistry = \"sparse+https://mirror.example/\"\n"
                            .to_owned()
                    ),
                    (
                        "/factory/registries/npmrc".into(),
                        "registry = https://npm.example/\n".to_owned()
                    ),
                ],
                certificates: Vec::new(),
            }
        );
        assert_eq!(notes.len(), 2, "{notes:?}");
    }
}
