//! Databases that are none, are damaged or cannot be written, and disks that are full: nothing acknowledged is lost.

use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::process::Output;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::mounts::Mounts;
use crate::support::{CHECK, Place, code, files, path, told};

/// What the project's commands say when the database cannot be used.
#[track_caller]
fn refused(place: &Place, run: &Output, list: &Output, expected: &str) {
    let budget = "budget: 100 model calls, 2,000,000 tokens, 2h of work, 100 turns\n";
    place.check(run, 1, &format!("{budget}{expected}"));
    place.check(list, 1, expected);
}

#[test]
fn a_database_that_is_a_directory() {
    let place = Place::with_project();
    let folder = place.path("folder.db");
    std::fs::create_dir(&folder).unwrap();
    let url = format!("sqlite:{}", folder.display());
    let model = place.model("quick", "true");
    refused(
        &place,
        &place.factory(&["run", "sample", "goal", "--model", &model, "--database", &url]),
        &place.factory(&["list", "--database", &url]),
        "error: the database `[place]/folder.db` cannot be used: it is a folder; name a file in it",
    );
    assert!(files(&folder).is_empty());
    assert_eq!(place.run_count(), 0);
}

#[test]
fn a_database_that_is_something_else() {
    let place = Place::with_project();
    let file = place.path("letter.db");
    std::fs::write(&file, "Dear Ann, \n".repeat(1000)).unwrap();
    let before = std::fs::read(&file).unwrap();
    let url = format!("sqlite:{}", file.display());
    let model = place.model("quick", "true");
    refused(
        &place,
        &place.factory(&["run", "sample", "goal", "--model", &model, "--database", &url]),
        &place.factory(&["list", "--database", &url]),
        "error: `[place]/letter.db` is no SQLite database; name another file, or restore a backup",
    );
    assert_eq!(std::fs::read(&file).unwrap(), before);
}

#[test]
fn a_damaged_database() {
    let place = Place::with_project();
    let database = place.path("data/platform.db");
    let length = std::fs::metadata(&database).unwrap().len();
    let mut file = std::fs::OpenOptions::new().write(true).open(&database).unwrap();
    file.seek(SeekFrom::Start(4096)).unwrap();
    for _ in 1..length / 4096 {
        file.write_all(&[0xa5; 4096]).unwrap();
    }
    drop(file);
    let before = std::fs::read(&database).unwrap();
    let model = place.model("quick", "true");
    let quiet = |arguments: &[&str]| {
        place
            .command(arguments)
            .env("FACTORY_LOG", "off")
            .output()
            .unwrap()
    };
    refused(
        &place,
        &quiet(&["run", "sample", "goal", "--model", &model]),
        &quiet(&["list"]),
        "error: the database `[place]/data/platform.db` is damaged (database disk image is malformed); stop the factory, \
         keep the file, and restore a backup or try `sqlite3 '[place]/data/platform.db' .recover`",
    );
    assert_eq!(std::fs::read(&database).unwrap(), before, "the evidence is kept");
}

#[test]
fn a_database_that_cannot_be_written() {
    let place = Place::with_project();
    let folder = place.path("library");
    std::fs::create_dir(&folder).unwrap();
    std::fs::copy(place.path("data/platform.db"), folder.join("old.db")).unwrap();
    let before = files(&folder);
    let mounts = Mounts::read_only(&folder);
    let url = format!("sqlite:{}", folder.join("old.db").display());
    let model = place.model("quick", "true");
    let inside = |arguments: &[&str]| mounts.enter(&place.command(arguments)).output().unwrap();
    refused(
        &place,
        &inside(&["run", "sample", "goal", "--model", &model, "--database", &url]),
        &inside(&["list", "--database", &url]),
        "error: the database `[place]/library/old.db` or its folder cannot be written; give yourself write permission",
    );
    assert_eq!(files(&folder), before);
}

/// A place whose data folder, with the project `sample` in it, stands on a small disk.
fn on_a_small_disk() -> (Place, Mounts) {
    let place = Place::with_folder();
    let mounts = Mounts::small_disk(&place.path("disk"), 12);
    let mut add = vec!["project", "add", "", "--name", "sample", "--init", "--no-setup"];
    let repository = place.repository();
    add[2] = path(&repository);
    add.extend(["--no-try", "--check", CHECK]);
    let added = on(&place, &mounts, &add);
    assert_eq!(code(&added), 0, "{}", told(&added));
    (place, mounts)
}

fn command(place: &Place, mounts: &Mounts, arguments: &[&str]) -> std::process::Command {
    let mut command = place.command(arguments);
    command.env("FACTORY_DATA_DIR", place.path("disk/data"));
    mounts.enter(&command)
}

fn on(place: &Place, mounts: &Mounts, arguments: &[&str]) -> Output {
    command(place, mounts, arguments).output().unwrap()
}

fn shown(output: &Output) -> serde_json::Value {
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A model whose command says that it runs by a file, and ends when that file is taken away. Run again, it ends at once.
fn waiting_model(place: &Place) -> String {
    let calls = [
        ("update_plan", json!({"steps": ["do it"]})),
        (
            "run_command",
            json!({"command": "[ -e ~/begun ] || touch ~/begun here; while [ -e here ]; do sleep 0.1; done"}),
        ),
        (
            "write_file",
            json!({"path": "done.txt", "content": "much\n".repeat(10_000)}),
        ),
        ("finish_step", json!({"summary": "done"})),
    ];
    place.script("waiting", &calls)
}

fn wait_until_there(file: &Path) {
    let begun = Instant::now();
    while !file.exists() {
        assert!(
            begun.elapsed() < Duration::from_mins(2),
            "there is no `{}`",
            file.display()
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_full_disk_takes_no_run_and_loses_none() {
    let (place, mounts) = on_a_small_disk();
    let model = place.model("quick", "true");
    let first = on(
        &place,
        &mounts,
        &["run", "sample", "first", "--model", &model, "--yes"],
    );
    assert_eq!(code(&first), 0, "{}", told(&first));
    let ballast = place.path("disk/ballast");
    mounts.fill(&ballast);
    let refused = on(
        &place,
        &mounts,
        &["run", "sample", "second", "--model", &model, "--yes"],
    );
    let way_out = "  way out: make room on that disk, then say it again; nothing that was stored is lost";
    place.check(
        &refused,
        1,
        &format!(
            "budget: 100 model calls, 2,000,000 tokens, 2h of work, 100 turns\nerror: cannot write the file \
             `[place]/disk/data/owner.lock`\n  because: No space left on device (os error 28)\n{way_out}"
        ),
    );
    let list = on(&place, &mounts, &["list"]);
    place.check(
        &list,
        1,
        &format!("error: the disk of the database is full\n{way_out}"),
    );
    mounts.make_room(&ballast);
    let list = shown(&on(&place, &mounts, &["list", "--json"]));
    assert_eq!(list["items"].as_array().unwrap().len(), 1);
    assert_eq!(list["items"][0]["status"], "COMPLETE");
    let second = on(
        &place,
        &mounts,
        &["run", "sample", "second", "--model", &model, "--yes"],
    );
    assert_eq!(code(&second), 0, "{}", told(&second));
}

#[test]
fn a_run_whose_database_fills_up_waits_for_room_and_loses_nothing() {
    let (place, mounts) = on_a_small_disk();
    let model = waiting_model(&place);
    let run = command(
        &place,
        &mounts,
        &["run", "sample", "goal", "--model", &model, "--yes"],
    )
    .stdout(std::process::Stdio::piped())
    .stderr(std::process::Stdio::piped())
    .spawn()
    .unwrap();
    let here = mounts.inside(&place.path("disk/data/runs/1/work/checkout/here"));
    wait_until_there(&here);
    let ballast = place.path("disk/ballast");
    mounts.fill(&ballast);
    std::fs::remove_file(&here).unwrap();
    // The command's end is a fact that is held until there is room for it; the run cannot have got on before.
    std::thread::sleep(Duration::from_secs(3));
    assert!(!place.git(&["branch", "--list"]).contains("factory/run-1"));
    mounts.make_room(&ballast);
    let output = run.wait_with_output().unwrap();
    assert_eq!(code(&output), 0, "{}", told(&output));
    assert_eq!(
        place.git(&["show", "factory/run-1:done.txt"]).lines().count(),
        10_000
    );
    let events = on(&place, &mounts, &["events", "1", "--json"]);
    let numbers: Vec<i64> = String::from_utf8_lossy(&events.stdout)
        .lines()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).unwrap()["seq"]
                .as_i64()
                .unwrap()
        })
        .collect();
    let gapless: Vec<i64> = (1..).take(numbers.len()).collect();
    assert_eq!(numbers, gapless);
}

#[test]
fn a_run_whose_checkout_fills_up_pauses_and_goes_on() {
    let place = Place::with_folder();
    let mounts = Mounts::small_disk(&place.path("disk"), 12);
    let database = format!("sqlite:{}", place.path("elsewhere.db").display());
    let repository = place.repository();
    let mut add = vec!["project", "add", path(&repository), "--name", "sample", "--init"];
    add.extend([
        "--no-setup",
        "--no-try",
        "--check",
        CHECK,
        "--database",
        &database,
    ]);
    let added = on(&place, &mounts, &add);
    assert_eq!(code(&added), 0, "{}", told(&added));
    let model = waiting_model(&place);
    let mut arguments = vec!["run", "sample", "goal", "--model", &model, "--yes"];
    arguments.extend(["--database", &database]);
    let run = command(&place, &mounts, &arguments)
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let here = mounts.inside(&place.path("disk/data/runs/1/work/checkout/here"));
    wait_until_there(&here);
    let ballast = place.path("disk/ballast");
    mounts.fill(&ballast);
    std::fs::remove_file(&here).unwrap();
    let output = run.wait_with_output().unwrap();
    mounts.make_room(&ballast);
    assert_eq!(code(&output), 3, "{}", told(&output));
    assert!(told(&output).contains("storage_full"), "{}", told(&output));
    let resumed = on(&place, &mounts, &["resume", "1", "--database", &database]);
    assert_eq!(code(&resumed), 0, "{}", told(&resumed));
    assert_eq!(
        place.git(&["show", "factory/run-1:done.txt"]).lines().count(),
        10_000
    );
}
