//! Whether the document is a valid OpenAPI document.

use std::process::Command;
use std::time::Duration;

use crate::place::Place;
use crate::programs::{run, tool};

#[test]
#[ignore = "needs packages of Python: `make tools` installs them, `make test` runs it"]
fn the_document_is_valid() {
    let place = Place::serving();
    let file = place.path("openapi.json");
    std::fs::write(&file, place.get("/openapi.json").to_string()).unwrap();
    let mut validator = Command::new(tool("python/bin/openapi-spec-validator"));
    let said = run(
        validator.args(["--schema", "3.0.0"]).arg(&file),
        Duration::from_mins(5),
    );
    assert!(said.trim_end().ends_with("OK"), "{said}");
}
