//! The control socket and what may stand in its place, and an operator's words from a second process.

use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::net::UnixListener;

use serde_json::json;

use crate::support::{Place, code, lines, told};

/// Asserts that reading and filing are refused with the message while `control.sock` is as it is, and that it stays.
#[track_caller]
fn refuses_to_speak(place: &Place, expected: &str) {
    let socket = place.path("data/control.sock");
    let list = place.factory(&["list"]);
    place.check(&list, 1, expected);
    assert!(std::fs::symlink_metadata(&socket).is_ok());
    std::fs::remove_file(&socket).unwrap();
    assert_eq!(place.run_count(), 0);
}

#[test]
fn a_socket_of_another_user_is_not_spoken_to() {
    let place = Place::with_project();
    let socket = place.path("data/control.sock");
    let _listener = UnixListener::bind(&socket).unwrap();
    std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(0o600)).unwrap();
    // Only root can give a file away; for anybody else it stays their own, and is merely closed to be spoken to.
    if chown(&socket, Some(65534), None).is_err() {
        assert_ne!(
            std::fs::metadata(&socket).unwrap().uid(),
            0,
            "root must be able to"
        );
        return;
    }
    refuses_to_speak(
        &place,
        "error: `[place]/data/control.sock` belongs to user 65534, not to you (user 0)\n  way out: nothing was sent to \
         it; find out who put it there, then remove it",
    );
}

#[test]
fn a_socket_that_others_may_use_is_not_spoken_to() {
    let place = Place::with_project();
    let socket = place.path("data/control.sock");
    let _listener = UnixListener::bind(&socket).unwrap();
    std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(0o666)).unwrap();
    refuses_to_speak(
        &place,
        "error: `[place]/data/control.sock` is open to others (mode 666)\n  way out: nothing was sent to it; `chmod 600 \
         '[place]/data/control.sock'`",
    );
}

#[test]
fn a_file_in_the_sockets_place_is_kept() {
    let place = Place::with_project();
    let socket = place.path("data/control.sock");
    std::fs::write(&socket, "mine").unwrap();
    let model = place.model("quick", "true");
    let run = place.factory(&["run", "sample", "goal", "--model", &model]);
    assert_eq!(code(&run), 1, "{}", told(&run));
    assert_eq!(std::fs::read_to_string(&socket).unwrap(), "mine");
    refuses_to_speak(
        &place,
        "error: `[place]/data/control.sock` is not a socket\n  way out: move it away; the factory keeps its control socket \
         there",
    );
}

#[test]
fn a_dead_owners_socket_is_in_nobodys_way() {
    let place = Place::with_project();
    let socket = place.path("data/control.sock");
    drop(UnixListener::bind(&socket).unwrap());
    std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(place.run_count(), 0);
    let model = place.model("quick", "true");
    let run = place.factory(&["run", "sample", "goal", "--model", &model, "--yes"]);
    assert_eq!(code(&run), 0, "{}", told(&run));
    assert!(!place.path("data/control.sock").exists());
}

#[test]
fn one_that_speaks_nonsense_is_read_past() {
    let place = Place::with_project();
    let socket = place.path("data/control.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(0o600)).unwrap();
    let speaking = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        std::io::Write::write_all(&mut stream, b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
    });
    let list = place.factory(&["list"]);
    speaking.join().unwrap();
    place.check(
        &list,
        0,
        "no run yet; `factory run PROJECT \"what is to be done\"` files one",
    );
}

#[test]
fn another_process_pauses_directs_and_resumes_what_the_first_drives() {
    let place = Place::with_project();
    let model = place.model("slow", "[ -e ~/begun ] || { touch ~/begun; sleep 3; }");
    let run = place.begin(&["run", "sample", "slowly", "--model", &model, "--yes"]);
    place.wait_for("1", "TOOL_STARTED");
    let directed = place.factory(&["direct", "1", "mind the gap"]);
    assert_eq!(code(&directed), 0, "{}", told(&directed));
    let paused = place.factory(&["pause", "1"]);
    assert_eq!(code(&paused), 0, "{}", told(&paused));
    let output = run.wait_with_output().unwrap();
    assert_eq!(code(&output), 3, "{}", told(&output));
    let again = place.factory(&["pause", "1"]);
    place.check(
        &again,
        1,
        "error: run 1: a run that is PAUSED cannot be paused\n  way out: it allows now: resume, stop, direct, raise, comment, fork; `factory show 1` says more",
    );
    let resumed = place.factory(&["resume", "1"]);
    assert_eq!(code(&resumed), 0, "{}", told(&resumed));
    let events = lines(&place.factory(&["events", "1", "--json"]));
    let of = |kind: &str| events.iter().filter(|event| event["type"] == kind).count();
    assert_eq!(
        [
            "DIRECTIVE_RECEIVED",
            "DIRECTIVE_DELIVERED",
            "RUN_PAUSE",
            "RUN_RESUME",
            "RUN_COMPLETE"
        ]
        .map(of),
        [1; 5]
    );
    // The command was running when the pause came; it was let end, and is not run twice.
    let commands = events
        .iter()
        .filter(|event| event["type"] == "TOOL_STARTED" && event["payload"]["tool"] == "run_command");
    assert_eq!(commands.count(), 1);
    assert_eq!(place.json(&["show", "1"])["run"]["status"], json!("COMPLETE"));
}
