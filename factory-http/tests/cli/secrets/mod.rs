//! Forty secrets, in keys, headers, variables and files, given to a hostile server that sends them back wherever it can:
//! they are nowhere that the factory writes.

mod forms;
mod processes;
mod server;

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Output;
use std::sync::atomic::Ordering;

use crate::support::{Place, code, told};

use self::forms::Search;
use self::processes::Watch;
use self::server::{ENDPOINTS, HostileServer};

/// A place with an endpoint for everything that the server does. Each has four secrets: its key, by turns in a variable
/// and in a file, and three headers, from a variable, a file and `factory.toml` itself.
struct Canaries {
    place: Place,
    server: HostileServer,
    secrets: Vec<String>,
    variables: Vec<(String, String)>,
    /// The operator's own files, where the secrets stand.
    files: Vec<PathBuf>,
}

impl Canaries {
    fn set() -> Self {
        let place = Place::with_project();
        let server = server::start();
        let (mut secrets, mut variables) = (Vec::new(), Vec::new());
        let toml = place.path("data").join("factory.toml");
        let (mut tables, mut files) = (Vec::new(), vec![toml.clone()]);
        for (number, endpoint) in ENDPOINTS.into_iter().enumerate() {
            let mut secret = |what: &str| {
                let secret = format!("c{number}{what}ry/Zq9+x_{number}7Ww{}", what.to_uppercase());
                secrets.push(secret.clone());
                secret
            };
            let mut variable = |name: String, value: String| {
                variables.push((name.clone(), value));
                name
            };
            let mut file = |name: String, value: String| {
                let path = place.path("data").join(&name);
                std::fs::write(&path, value + "\n").unwrap();
                std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
                files.push(path);
                name
            };
            let key = if number % 2 == 0 {
                format!(
                    "key_env = {:?}",
                    variable(format!("CANARY_KEY_{number}"), secret("key"))
                )
            } else {
                format!(
                    "key_file = {:?}",
                    file(format!("key-{number}.txt"), secret("kef"))
                )
            };
            let from_variable = variable(format!("CANARY_HEADER_{number}"), secret("env"));
            let from_file = file(format!("header-{number}.txt"), secret("fil"));
            tables.push(format!(
                "[endpoint.{endpoint}]\nkind = \"openai\"\nurl = \"http://{}/{endpoint}\"\n{key}\n[endpoint.{endpoint}.headers]\n\
                 X-Canary-A = {{ env = {from_variable:?} }}\nX-Canary-B = {{ file = {from_file:?} }}\nX-Canary-Token = {:?}\n",
                server.address,
                secret("lit"),
            ));
        }
        std::fs::write(&toml, tables.concat()).unwrap();
        Self {
            place,
            server,
            secrets,
            variables,
            files,
        }
    }

    /// Runs the program with everything that it logs, and looks through what it says.
    fn factory(&self, search: &mut Search, arguments: &[&str]) -> Output {
        let mut command = self.place.command(arguments);
        command
            .envs(self.variables.iter().cloned())
            .env("FACTORY_LOG", "trace");
        let output = command.output().unwrap();
        let place = format!("factory {}", arguments.join(" "));
        search.look(&place, &output.stdout);
        search.look(&place, &output.stderr);
        output
    }

    /// Looks through the data folder, the repository, and what git packs in both.
    fn look_at_what_is_left(&self, search: &mut Search) {
        search.look_below(&self.place.path("data"), &self.files);
        search.look_below(&self.place.repository(), &[]);
        // Git packs what it keeps.
        let store = self.place.path("data").join("projects/1/store.git");
        for repository in [self.place.repository(), store] {
            let objects = std::process::Command::new("git")
                .arg("-C")
                .arg(&repository)
                .args(["cat-file", "--batch", "--batch-all-objects"])
                .output()
                .unwrap();
            assert!(
                told(&objects).contains("[key]"),
                "the file of the run is among the objects"
            );
            search.look(&repository.display().to_string(), &objects.stdout);
        }
    }
}

#[test]
fn secrets_are_nowhere() {
    let canaries = Canaries::set();
    let mut search = Search::new(&canaries.secrets);
    assert_eq!(canaries.secrets.len(), 40);
    // Where they do stand they are found, or finding nothing would mean nothing.
    search.look_below(&canaries.place.path("data"), &[]);
    assert_eq!(search.found.len(), canaries.files.len(), "{:#?}", search.found);
    search.found.clear();

    let watch = Watch::start();
    for endpoint in ENDPOINTS {
        let model = format!("{endpoint}:m");
        let goal = format!("by {endpoint}");
        let mut run = vec!["run", "sample", &goal, "--model", &model, "--yes", "--json"];
        run.extend(["--protocol", "native"]);
        // A server that says to come back is asked again and again, which is another test's.
        run.extend([
            "--budget-calls",
            if matches!(endpoint, "page" | "breaks" | "busy") {
                "2"
            } else {
                "20"
            },
        ]);
        let output = canaries.factory(&mut search, &run);
        let expected = if matches!(endpoint, "replies" | "whispers" | "lists") {
            0
        } else {
            3
        };
        assert_eq!(code(&output), expected, "{endpoint}: {}", told(&output));
        assert!(told(&output).contains("next act"), "the log was not written");
    }
    for run in 1..=ENDPOINTS.len() {
        let run = run.to_string();
        for arguments in [
            &["show", &run][..],
            &["show", &run, "--json"],
            &["events", &run],
            &["events", &run, "--json"],
            &["diff", &run],
        ] {
            assert_eq!(
                code(&canaries.factory(&mut search, arguments)),
                0,
                "{arguments:?}"
            );
        }
    }
    for arguments in [
        &["models", "--json"][..],
        &["models", "list"],
        &["models", "probe", "replies:m", "--json"],
        &["models", "pull", "replies:m"],
        &["models", "remove", "replies:m"],
        &["doctor", "--json"],
        &["list", "--json"],
        &["run", "sample", "x", "--model", "nowhere:m"],
    ] {
        canaries.factory(&mut search, arguments);
    }
    let children = watch.end();

    // The server was given every one of them, and said them.
    let given: BTreeSet<String> = canaries.secrets.iter().cloned().collect();
    assert_eq!(*canaries.server.seen.lock().unwrap(), given);
    assert_eq!(
        canaries.server.led_astray.load(Ordering::SeqCst),
        0,
        "a redirect was followed"
    );
    let events = canaries.factory(&mut search, &["events", "1", "--json"]);
    assert!(
        told(&events).contains("[key]"),
        "the replies were not those of the server"
    );

    canaries.look_at_what_is_left(&mut search);
    for program in ["git", "sleep"] {
        assert!(
            children.keys().any(|seen| seen == program),
            "{program} was not seen: {:?}",
            children.keys()
        );
    }
    for (program, processes) in children {
        for process in processes {
            search.look(&format!("the process {program}"), &process);
        }
    }
    assert!(
        search.bytes > 500_000,
        "only {} bytes were looked through",
        search.bytes
    );
    assert!(search.found.is_empty(), "{:#?}", search.found);
}
