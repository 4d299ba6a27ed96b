//! A file of goals by the real program: all are filed, or none.

use crate::support::{Place, code, path, told};

#[test]
fn goals_are_filed_together_and_worked_on_in_turn() {
    let place = Place::with_project();
    let (first, second) = (place.model("first", "true"), place.model("second", "true"));
    let lines = format!(
        "{{\"goal\": \"one\", \"priority\": 2}}\n{{\"goal\": \"two\", \"model\": \"{second}\", \"budget\": {{\"calls\": 9}}}}\n"
    );
    let file = place.path("goals.jsonl");
    std::fs::write(&file, lines).unwrap();
    let output = place.factory(&["run", "sample", "--file", path(&file), "--model", &first, "--yes"]);
    assert_eq!(code(&output), 0, "{}", told(&output));
    assert!(told(&output).contains("run 2 (2 of 2)"), "{}", told(&output));
    let shown = place.json(&["show", "2"]);
    assert_eq!(
        (&shown["run"]["status"], &shown["run"]["goal"]),
        (&"COMPLETE".into(), &"two".into())
    );
    assert_eq!(shown["run"]["spec"]["budget"]["calls"]["at_most"], 9, "{shown}");
    assert_eq!(place.git(&["show", "factory/run-1:done.txt"]), "by first");
    assert_eq!(place.git(&["show", "factory/run-2:done.txt"]), "by second");
}

#[test]
fn one_bad_line_files_nothing() {
    let place = Place::with_project();
    let model = place.model("quick", "true");
    let arguments = ["run", "sample", "--file", "-", "--model", &model, "--detach"];
    for (lines, words) in [
        (
            "{\"goal\": \"one\"}\n{\"goal\": \"two\", \"gaol\": 1}\n",
            "line 2: unknown field `gaol`",
        ),
        (
            "{\"goal\": \"one\"}\n{\"goal\": \"two\", \"base\": \"nowhere\"}\n",
            "number 2: `nowhere` is no commit",
        ),
        ("\n", "there is no goal in the file"),
        ("{\"goal\": \"one\"}\n\u{0}\n", "line 2: "),
    ] {
        let output = place.fed(&arguments, lines.into());
        assert_eq!(code(&output), 2, "{lines}: {}", told(&output));
        assert!(told(&output).contains(words), "{lines}: {}", told(&output));
    }
    assert_eq!(place.run_count(), 0);
    let missing = place.factory(&["run", "sample", "--file", "missing.jsonl"]);
    assert_eq!(code(&missing), 2, "{}", told(&missing));
    let filed = place.fed(&arguments, b"{\"goal\": \"one\"}\n{\"goal\": \"two\"}".to_vec());
    assert_eq!(code(&filed), 0, "{}", told(&filed));
    assert_eq!(place.run_count(), 2);
}
