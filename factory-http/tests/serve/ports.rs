//! A port is no proof of who listens: our own commands send nothing to one merely because it answers.

use std::io::Read as _;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::program::Place;

#[test]
fn a_program_that_holds_our_port_gets_nothing_from_any_verb() {
    let place = Place::new();
    let squatter = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = squatter.local_addr().unwrap();
    let console = TcpListener::bind("127.0.0.1:0").unwrap();
    let (heard, connections) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    for listener in [squatter, console.try_clone().unwrap()] {
        let (heard, connections) = (Arc::clone(&heard), Arc::clone(&connections));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                connections.fetch_add(1, Ordering::SeqCst);
                let mut bytes = Vec::new();
                let _ = stream.set_read_timeout(Some(std::time::Duration::from_secs(1)));
                let _ = stream.read_to_end(&mut bytes);
                heard.fetch_add(bytes.len(), Ordering::SeqCst);
            }
        });
    }
    let console = console.local_addr().unwrap();
    place.configure(&format!(
        "[server]\nlisten = \"{address}\"\nconsole = \"{console}\"\n"
    ));
    let refused = place.run(&["serve"]);
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(said.contains(&address.to_string()), "the port is named: {said}");
    let repository = place.path("repository");
    for arguments in [
        &["token"][..],
        &["token", "list"],
        &["token", "add", "ci", "--role", "viewer"],
        &["token", "rotate"],
        &["login"],
        &["list"],
        &[
            "project",
            "add",
            repository.to_str().unwrap(),
            "--no-setup",
            "--no-checks",
        ],
        &["project", "list"],
        &["run", repository.to_str().unwrap(), "goal", "--detach"],
        &["show", "1"],
        &["events", "1"],
        &["pause", "1"],
        &["stop", "1"],
        &["doctor"],
    ] {
        let output = place.run(arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!said.contains("panicked"), "{arguments:?}: {said}");
    }
    assert_eq!(connections.load(Ordering::SeqCst), 0, "nobody called it");
    assert_eq!(heard.load(Ordering::SeqCst), 0);
}
