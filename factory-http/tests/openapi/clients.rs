//! Clients that are made from the document by the generators that people use: they compile, and they work.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::place::Place;
use crate::programs::{run, sources, tool};
use crate::world;

/// How long a generator, a compiler or a program may take.
const PATIENCE: Duration = Duration::from_mins(5);

/// Lets a program drive the server.
fn drive(program: &mut Command, place: &Place) {
    let model = place.model("working", &world::work());
    let program = program
        .env("FACTORY_URL", place.url())
        .env("FACTORY_TOKEN", &place.token);
    let said = run(program.env("FACTORY_MODEL", model), PATIENCE);
    assert!(said.contains("all of it works"), "{said}");
}

fn document(place: &Place, folder: &Path) {
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(
        folder.join("openapi.json"),
        place.get("/openapi.json").to_string(),
    )
    .unwrap();
}

#[test]
#[ignore = "needs packages of npm: `make tools` installs them, `make test` runs it"]
fn a_client_in_typescript() {
    let place = Place::serving();
    let folder = place.path("typescript");
    document(&place, &folder);
    for file in ["package.json", "tsconfig.json", "drive.ts"] {
        std::fs::copy(sources().join("typescript").join(file), folder.join(file)).unwrap();
    }
    std::os::unix::fs::symlink(tool("typescript/node_modules"), folder.join("node_modules")).unwrap();
    let npm = |program: &str| {
        let mut command = Command::new(tool(&format!("typescript/node_modules/.bin/{program}")));
        command.current_dir(&folder);
        command
    };
    run(
        npm("openapi-typescript").args(["openapi.json", "--output", "api.ts"]),
        PATIENCE,
    );
    run(&mut npm("tsc"), PATIENCE);
    drive(
        Command::new("node").current_dir(&folder).arg("out/drive.js"),
        &place,
    );
}

#[test]
#[ignore = "needs packages of Python: `make tools` installs them, `make test` runs it"]
fn a_client_in_python() {
    let place = Place::serving();
    let folder = place.path("python");
    document(&place, &folder);
    let python = |program: &str| {
        let mut command = Command::new(tool(&format!("python/bin/{program}")));
        command.current_dir(&folder);
        command
    };
    let mut generate = python("openapi-python-client");
    generate.args([
        "generate",
        "--path",
        "openapi.json",
        "--meta",
        "none",
        "--output-path",
        "factory_client",
    ]);
    let mut path = vec![tool("python/bin")];
    path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap()));
    let path = std::env::join_paths(path);
    let said = run(generate.env("PATH", path.unwrap()), PATIENCE);
    assert!(!said.contains("Warning"), "{said}");
    std::fs::copy(sources().join("python/drive.py"), folder.join("drive.py")).unwrap();
    run(
        python("mypy").args(["--follow-imports", "silent", "drive.py"]),
        PATIENCE,
    );
    drive(python("python").arg("drive.py"), &place);
}
