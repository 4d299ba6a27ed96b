//! Tests of the endpoints' tables: what they make, what is refused at once, what is told when it is used.

use std::os::unix::fs::PermissionsExt;

use factory_core::HostEnvironment;
use factory_core::llm::endpoint::{OLLAMA, OPENAI};
use factory_core::llm::spec::open_model;

use super::*;
use crate::configuration::{Configuration, Flags};
use crate::failure::Failure;
use crate::render::output::Terminal;

/// A data folder with a settings file, and variables.
struct Place {
    folder: tempfile::TempDir,
    variables: BTreeMap<String, String>,
}

impl Place {
    fn new(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("factory.toml"), text).unwrap();
        Self {
            folder,
            variables: BTreeMap::new(),
        }
    }

    fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    fn file(self, name: &str, content: &str, mode: u32) -> Self {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        self
    }

    fn read(&self) -> Result<Configuration, Failure> {
        let environment = Environment {
            host: HostEnvironment {
                home: self.folder.path().join("home"),
                variables: self.variables.clone(),
            },
            default_data_folder: self.folder.path().to_owned(),
            terminal: Terminal {
                asks: false,
                live: false,
                colours: false,
            },
        };
        Configuration::read(&environment, &Flags::default())
    }

    fn endpoint(&self, name: &str) -> Endpoint {
        let read = self.read().unwrap();
        read.settings.endpoints.get(name).unwrap().clone()
    }
}

#[test]
fn a_table_says_all_that_is_known_of_a_server() {
    let place = Place::new(
        r#"
        [endpoint.work]
        kind = "openai"
        url = "https://gpu.example/v1"
        key_env = "WORK_KEY"
        context = 65536
        protocol = "native"
        price = { input = 0.15, output = 0.6, cached = 0.075 }
        parallel = 4
        temperature = 0
        headers = { X-Title = "factory", X-Api-Token = "in-the-file", X-Tenant = { env = "TENANT" }, X-More = { file = "more" } }
        ca = "ca.pem"

        [endpoint.work.model."org/small:1"]
        context = 8192
        protocol = "text"
        temperature = 0.5
        "#,
    )
    .variable("WORK_KEY", " sk-work\n")
    .variable("TENANT", "tenant-secret")
    .file("more", "more-secret\n", 0o600)
    .file("ca.pem", "-----BEGIN CERTIFICATE-----\n", 0o644);
    let price = Price {
        input: 150_000,
        output: 600_000,
        cached: Some(75_000),
    };
    let sampling = |hundredths| Sampling {
        seed: None,
        temperature: Some(Temperature::hundredths(hundredths)),
    };
    let expected = Endpoint {
        key: Some(Secret::new("sk-work")),
        headers: vec![
            ("X-Api-Token".to_owned(), Secret::new("in-the-file")),
            ("X-More".to_owned(), Secret::new("more-secret")),
            ("X-Tenant".to_owned(), Secret::new("tenant-secret")),
        ],
        open_headers: vec![("X-Title".to_owned(), "factory".to_owned())],
        certificates: b"-----BEGIN CERTIFICATE-----\n".to_vec(),
        parallel: Some(4),
        settings: ModelSettings {
            context: Some(65_536),
            protocol: Some(Protocol::Native),
            price: Some(price),
            sampling: sampling(0),
        },
        models: BTreeMap::from([(
            "org/small:1".to_owned(),
            ModelSettings {
                context: Some(8192),
                protocol: Some(Protocol::Text),
                price: None,
                sampling: sampling(50),
            },
        )]),
        ..Endpoint::new(EndpointKind::OpenAi, "https://gpu.example/v1")
    };
    assert_eq!(place.endpoint("work"), expected);
    let host = place.read().unwrap().settings.host;
    assert!(host.variables.is_empty(), "{:?}", host.variables.keys());
}

#[test]
fn a_built_in_endpoint_takes_its_usual_key_and_keeps_it_at_its_place() {
    let place = |text: &str| Place::new(text).variable("OPENAI_API_KEY", "sk-usual");
    let key = Some(Secret::new("sk-usual"));
    assert_eq!(place("").endpoint(OPENAI).key, key);
    assert_eq!(
        place("[endpoint.openai]\ncontext = 128000").endpoint(OPENAI).key,
        key
    );
    let same = "[endpoint.other]\nkind = \"openai\"\nurl = \"https://api.openai.com/v1/\"";
    assert_eq!(place(same).endpoint("other").key, key);
    for url in [
        "http://api.openai.com/v1",
        "https://api.openai.com:8443/v1",
        "https://api.openai.com.evil.example/v1",
        "http://127.0.0.1:8080/v1",
    ] {
        let moved = place(&format!("[endpoint.openai]\nurl = {url:?}")).endpoint(OPENAI);
        assert_eq!((moved.key, moved.unusable), (None, None), "{url}");
    }
    let changed = place("[endpoint.ollama]\nurl = \"http://gpu.lan:11434\"").endpoint(OLLAMA);
    assert_eq!(
        (changed.url.as_str(), changed.parallel()),
        ("http://gpu.lan:11434", 1)
    );
}

/// Checks that the settings can be read, and what using the endpoint `e` says.
fn check_use(place: &Place, expect: &str) {
    let endpoints = place.read().unwrap().settings.endpoints;
    let said = match open_model("e:m", &endpoints) {
        Ok(_) => "usable".to_owned(),
        Err(error) => error.to_string(),
    };
    let folder = place.folder.path().display().to_string();
    assert_eq!(said.replace(&folder, "[folder]"), expect);
}

#[test]
fn what_cannot_be_read_is_told_when_it_is_used() {
    let e = |text: &str| {
        Place::new(&format!(
            "[endpoint.e]\nkind = \"openai\"\nurl = \"http://127.0.0.1:1\"\n{text}"
        ))
    };
    check_use(&e(""), "usable");
    check_use(
        &e("key_env = \"NO_SUCH_KEY\""),
        "the model `e:m`: the variable `NO_SUCH_KEY` that `key_env` names is not set; set it where the factory is started",
    );
    check_use(
        &e("key_env = \"sk-proj-hunter2\""),
        "the model `e:m`: `key_env` names no variable that is set; write the variable's name there, and not the secret \
         itself",
    );
    check_use(
        &e("key_file = \"key.txt\"").file("key.txt", "k\n", 0o600),
        "usable",
    );
    check_use(
        &e("key_file = \"key.txt\"").file("key.txt", "k\n", 0o640),
        "the model `e:m`: the file `[folder]/key.txt` that `key_file` names can be read or changed by others (mode 0640), \
         so that what it holds is no secret; `chmod 600` it, and take a new key if others are on this machine",
    );
    check_use(
        &e("key_file = \"~/key\""),
        "the model `e:m`: the file `[folder]/home/key` that `key_file` names is not there",
    );
    check_use(
        &e("key_file = \"sk-proj-hunter2hunter2hunter2\""),
        "the model `e:m`: the file that `key_file` names is not there",
    );
    check_use(
        &e("key_file = \"key.txt\"").file("key.txt", " \n", 0o600),
        "the model `e:m`: the file `[folder]/key.txt` that `key_file` names is empty; put the secret into it",
    );
    check_use(
        &e("key_file = \"key.txt\"").file("key.txt", "a\nb\n", 0o600),
        "the model `e:m`: the file `[folder]/key.txt` that `key_file` names has several lines; it holds the secret and \
         nothing else",
    );
    check_use(
        &e("key_file = \"/dev/zero\""),
        "the model `e:m`: the file `/dev/zero` that `key_file` names is no plain file",
    );
    check_use(
        &e("headers = { A = { env = \"NOT_A\" }, B = { env = \"NOT_B\" } }"),
        "the model `e:m`: the variable `NOT_A` that `headers.A` names is not set; set it where the factory is started; \
         the variable `NOT_B` that `headers.B` names is not set; set it where the factory is started",
    );
    check_use(
        &e("ca = \"ca.pem\"").file("ca.pem", "nothing", 0o600),
        "the model `e:m`: the file of certificates `[folder]/ca.pem` holds none; it has to be in the PEM format",
    );
    check_use(
        &Place::new("[endpoint.e]\nkind = \"openai\"\nurl = \"http://u:hunter2@h/\""),
        "the model `e:m`: its address holds credentials; give the key apart from the address",
    );
    check_use(
        &Place::new("[endpoint.e]\nkind = \"openai\""),
        "the model `e:m`: it has no key; put it into the variable OPENAI_API_KEY, or name another with `key_env` or \
         `key_file`",
    );
}

#[test]
fn a_slip_of_the_pen_is_refused_and_no_value_repeated() {
    let e = |text: &str| format!("[endpoint.e]\nkind = \"openai\"\n{text}");
    for (text, expected) in [
        ("[endpoint.e]\n".to_owned(), "endpoint.e: `kind` is missing"),
        (
            "[endpoint.E]\nkind = \"openai\"".to_owned(),
            "endpoint.E: an endpoint's name is of small letters",
        ),
        (
            "[endpoint.scripted]\nkind = \"openai\"".to_owned(),
            "begins a model that is a file",
        ),
        (
            "[endpoint.e]\nkind = \"hunter2\"".to_owned(),
            "`endpoint.e.kind`: it has to be ollama or openai or anthropic",
        ),
        (e("key = \"hunter2\""), "key"),
        (e("key_env = [\"hunter2\"]"), "key_env"),
        (
            e("key_env = \"A\"\nkey_file = \"b\""),
            "`key_env` and `key_file` name two keys",
        ),
        (e("headers = \"hunter2\""), "headers"),
        (e("headers = { A = 7 }"), "a header's value is a text"),
        (
            e("headers = { Authorization = \"Bearer hunter2 }"),
            "parse error at line 3",
        ),
        (e("context = 12"), "`context` is a number of tokens from 1024"),
        (e("parallel = 0"), "`parallel` is a number from 1"),
        (e("protocol = \"magic\""), "protocol"),
        (e("temperature = 7"), "temperature"),
        (
            e("price = { input = -1, output = 1 }"),
            "price.input: -1 is no price",
        ),
        (e("price = { input = 1 }"), "output"),
        (e("[endpoint.e.model.m]\ncontext = 1"), "model.\"m\": `context`"),
    ] {
        let failure = Place::new(&text).read().unwrap_err();
        assert!(failure.message.contains(expected), "{text}: {failure:?}");
        assert!(!format!("{failure:?}").contains("hunter2"), "{text}: {failure:?}");
    }
}
