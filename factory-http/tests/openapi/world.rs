//! A world in which every operation has something to work on: runs in every state, what they asked and printed,
//! repositories that are no projects yet.

use serde_json::{Value, json};

use crate::ollama::MODEL;
use crate::place::{Place, wait_for};

/// How many there are of each kind of run, of projects that can be removed and of tokens that can be revoked.
const OF_EACH: usize = 5;

/// How many repositories may still be registered.
const REPOSITORIES: usize = 40;

/// What there is, by the names under which the tests of the document find it.
pub(crate) struct World {
    lists: Vec<(&'static str, Vec<Value>)>,
}

/// Returns the reply that calls one tool.
fn call(name: &str, arguments: Value) -> Value {
    json!({"text": "", "tool_calls": [{"name": name, "arguments": arguments}]})
}

/// Returns the replies of a model that writes a file and is done.
pub(crate) fn work() -> Vec<Value> {
    vec![
        call("update_plan", json!({"steps": ["do it"]})),
        call("write_file", json!({"path": "done.txt", "content": "done\n"})),
        call("finish_step", json!({"summary": "done"})),
    ]
}

impl World {
    /// Makes runs of every kind and waits until each stands as it is to stand.
    pub(crate) fn of(place: &Place) -> Self {
        let working = place.model("working", &work());
        let asking = place.model(
            "asking",
            &[call("ask_operator", json!({"question": "Which one?"}))],
        );
        let file = |goal: &str, more: Value| {
            let mut new = json!({"project_id": 1, "goal": goal, "protocol": "native"});
            new.as_object_mut()
                .unwrap()
                .extend(more.as_object().cloned().unwrap());
            place.post("/runs", &new)["id"].as_i64().unwrap()
        };
        let several = |make: &dyn Fn(usize) -> i64| -> Vec<i64> { (0..OF_EACH).map(make).collect() };
        let complete = several(&|_| {
            file(
                "Do it alone.",
                json!({"model": working, "approval": "unattended"}),
            )
        });
        let offering = several(&|_| file("Do it.", json!({"model": working})));
        let questioning = several(&|_| file("Ask.", json!({"model": asking})));
        let red = json!({"model": working, "approval": "unattended", "checks": ["false"]});
        let failed = file("Do it in vain.", red);
        for (runs, status) in [
            (&complete, "COMPLETE"),
            (&offering, "AWAITING_APPROVAL"),
            (&questioning, "AWAITING_APPROVAL"),
        ] {
            runs.iter().for_each(|run| place.wait_until(*run, status));
        }
        wait_for("the failure", || {
            (place.get(&format!("/runs/{failed}"))["status"] == "FAILED").then_some(())
        });
        let verb = |run: i64, verb: &str| place.post(&format!("/runs/{run}/{verb}"), &Value::Null);
        let stopped = several(&|_| file("Be stopped.", json!({})));
        stopped.iter().for_each(|run| drop(verb(*run, "stop")));
        let paused = several(&|_| file("Rest.", json!({})));
        paused.iter().for_each(|run| drop(verb(*run, "pause")));
        let to_pause = several(&|_| file("Wait.", json!({})));
        let to_stop = several(&|_| file("Wait.", json!({})));
        place.wait_until(to_pause[0], "RUNNING");
        let idle = several(&|number| {
            let repository = place.repository(&format!("idle-{number}"));
            let project = json!({"local_path": repository, "setup": [], "checks": []});
            place.post("/projects", &project)["id"].as_i64().unwrap()
        });
        let tokens = several(&|number| {
            let token = json!({"name": format!("token-{number}"), "role": "viewer"});
            place.post("/tokens", &token)["credential"]["id"]
                .as_i64()
                .unwrap()
        });

        let approvals = place.get("/approvals");
        let of_kind = |kind: &str| {
            let items = approvals["items"].as_array().unwrap().iter();
            let items = items.filter(|approval| approval["subject"]["kind"] == kind);
            items.map(|approval| approval["id"].clone()).collect::<Vec<_>>()
        };
        let run = &format!("/runs/{}", complete[0]);
        let output = &place.get(&format!("{run}/checks"))["items"][0]["results"][0]["output"];
        let pull = place.post("/models/pulls", &json!({"model": MODEL}));
        let free = (0..REPOSITORIES).map(|n| json!(place.repository(&format!("free-{n}")).to_str().unwrap()));
        let numbers = |runs: &[i64]| runs.iter().map(|run| json!(run)).collect::<Vec<_>>();
        let worked: Vec<i64> = complete.iter().chain(&offering).copied().collect();
        let every = [
            &complete[..],
            &offering,
            &questioning,
            &stopped,
            &paused,
            &to_pause,
            &to_stop,
        ]
        .concat();
        let tree = approvals["items"]
            .as_array()
            .unwrap()
            .iter()
            .find_map(|approval| approval["subject"]["tree"].as_str());
        Self {
            lists: vec![
                ("runs", numbers(&every)),
                ("final_runs", numbers(&[&complete[..], &stopped].concat())),
                ("worked_runs", numbers(&worked)),
                ("paused_runs", numbers(&paused)),
                ("runs_to_pause", numbers(&to_pause)),
                ("runs_to_stop", numbers(&to_stop)),
                ("projects", vec![json!(1)]),
                ("idle_projects", numbers(&idle)),
                ("tokens", numbers(&tokens)),
                ("approvals", [of_kind("tree"), of_kind("question")].concat()),
                ("trees", vec![json!(tree.unwrap())]),
                ("blobs", vec![output.clone()]),
                ("pulls", vec![pull["id"].clone()]),
                ("models", vec![json!(MODEL), json!(format!("ollama:{MODEL}"))]),
                ("changed_files", vec![json!("done.txt")]),
                ("free_repositories", free.collect()),
            ],
        }
    }

    /// Returns what there is as dictionaries of Schemathesis' settings.
    pub(crate) fn dictionaries(&self) -> String {
        let lists = self.lists.iter().map(|(name, items)| {
            assert!(!items.is_empty(), "there are no {name}");
            format!(
                "\n[dictionaries.{name}]\nvalues = {}\n",
                Value::Array(items.clone())
            )
        });
        lists.collect()
    }
}
