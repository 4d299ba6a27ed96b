//! `factory shell` by the real program: commands from standard input, and a person at a terminal.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};

use crate::support::{Place, code, files, path, told};

/// Returns a place with a run that offers `done.txt`.
fn with_offer() -> Place {
    let place = Place::with_project();
    let model = place.model("quick", "true");
    let run = place.factory(&["run", "sample", "do it", "--model", &model]);
    assert_eq!(code(&run), 3, "{}", told(&run));
    place
}

/// Returns the folders of copies that are there.
fn copies(place: &Place) -> Vec<String> {
    let entries = std::fs::read_dir(place.path("data/projects/1")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with("shell-")).collect()
}

#[test]
fn commands_from_standard_input_work_on_a_copy_of_the_newest_tree() {
    let place = with_offer();
    let checkout = place.path("data/runs/1/work/checkout");
    let before = files(&checkout);
    let script = "pwd; cat done.txt; echo changed > done.txt; echo new > new.txt; ls; echo oops >&2";
    let output = place.fed(&["shell", "1"], script.into());
    assert_eq!(code(&output), 0, "{}", told(&output));
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "/factory/checkout\nby quick\nREADME.md\ndone.txt\nnew.txt\n"
    );
    let remarks = String::from_utf8_lossy(&output.stderr);
    assert!(
        remarks.contains("oops") && remarks.contains("a copy of run 1, tree"),
        "{remarks}"
    );
    assert_eq!(files(&checkout), before, "the run's own files are not written");
    assert_eq!(copies(&place), [""; 0]);

    // It holds what a run's commands are held to.
    let held = place.fed(
        &["shell", "1"],
        format!("ls {}; exit 7\n", path(&place.path("data"))).into(),
    );
    assert_eq!(code(&held), 1);
    assert_eq!(String::from_utf8_lossy(&held.stdout), "");
    assert!(
        told(&held).contains("the shell ended: exit code 7"),
        "{}",
        told(&held)
    );
}

#[test]
fn with_json_the_answer_is_one_document() {
    let place = with_offer();
    let output = place.fed(&["shell", "1", "--json"], b"echo to the side\n".to_vec());
    assert_eq!(code(&output), 0, "{}", told(&output));
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&answer["ok"], &answer["ended"]),
        (&true.into(), &"exit code 0".into())
    );
    assert!(String::from_utf8_lossy(&output.stderr).contains("to the side"));
}

#[test]
fn a_run_that_is_over_is_looked_into_and_a_copy_left_behind_is_removed() {
    let place = with_offer();
    assert_eq!(code(&place.factory(&["stop", "1"])), 0);
    let mut killed = place
        .command(&["shell", "1"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut keys = killed.stdin.take().unwrap();
    keys.write_all(b"echo here\n").unwrap();
    let mut said = [0; 5];
    killed.stdout.take().unwrap().read_exact(&mut said).unwrap();
    assert_eq!(&said, b"here\n");
    killed.kill().unwrap();
    killed.wait().unwrap();
    assert_eq!(copies(&place).len(), 1);
    let output = place.fed(&["shell", "1"], b"cat done.txt\n".to_vec());
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "by quick\n",
        "{}",
        told(&output)
    );
    assert_eq!(copies(&place), [""; 0]);
    assert_eq!(code(&place.fed(&["shell", "9"], Vec::new())), 2);
}

#[test]
fn where_no_sandbox_works_it_is_refused() {
    let place = with_offer();
    let mut command = place.command(&["shell", "1"]);
    // A path without bubblewrap, but with git.
    let tools = place.path("tools");
    std::fs::create_dir(&tools).unwrap();
    let git = ["/usr/bin/git", "/usr/local/bin/git", "/bin/git"];
    let git = git.iter().find(|git| Path::new(git).exists()).unwrap();
    std::os::unix::fs::symlink(git, tools.join("git")).unwrap();
    let output = command.env("PATH", &tools).output().unwrap();
    assert_eq!(code(&output), 1, "{}", told(&output));
    assert!(
        told(&output).contains("commands are refused"),
        "{}",
        told(&output)
    );
    assert_eq!(copies(&place), [""; 0]);
}

#[test]
fn a_person_gets_a_terminal_with_job_control() {
    let place = with_offer();
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let screen = openpt(flags).unwrap();
    grantpt(&screen).unwrap();
    unlockpt(&screen).unwrap();
    let mut command = place.command(&["shell", "1"]);
    let end = || ioctl_tiocgptpeer(&screen, flags).unwrap();
    let mut shell = command
        .env("TERM", "xterm")
        .stdin(end())
        .stdout(end())
        .stderr(end())
        .spawn()
        .unwrap();
    // The parent's copies of the other end go with the command.
    drop(command);
    let mut screen = File::from(screen);
    // The interrupt comes once the command itself says that it runs, and ends that command alone.
    let mut seen = String::new();
    type_in(&mut screen, "sh -c 'echo in-$((40+2)); exec sleep 1000'\n");
    show_until(&mut screen, &mut seen, "in-42");
    type_in(&mut screen, "\u{3}");
    type_in(&mut screen, "echo out-$((40+3)) $TERM; tty; exit 5\n");
    show_until(&mut screen, &mut seen, "out-43 xterm");
    let ended = shell.wait().unwrap();
    assert_eq!(ended.code(), Some(0), "{seen}");
    assert!(!seen.contains("no job control"), "{seen}");
    assert!(seen.contains("run 1:"), "{seen}");
    assert_eq!(copies(&place), [""; 0]);
}

fn type_in(screen: &mut File, text: &str) {
    screen.write_all(text.as_bytes()).unwrap();
}

/// Reads what is shown until it holds the text.
fn show_until(screen: &mut File, seen: &mut String, text: &str) {
    let mut buffer = [0; 4096];
    while !seen.contains(text) {
        let count = screen
            .read(&mut buffer)
            .unwrap_or_else(|error| panic!("no `{text}`: {error}: {seen}"));
        seen.push_str(&String::from_utf8_lossy(&buffer[..count]));
    }
}
