//! Where an answer leads: which operations take what it names, so that tools can walk from one to the next.

use serde_json::{Map, Value, json};

/// A part of an answer that other operations take as a parameter of this name.
struct Lead {
    /// The operations that answer with it.
    answered_by: &'static [&'static str],
    /// Where it stands in the answer.
    at: &'static str,
    /// The parameter that it is given as.
    parameter: &'static str,
}

const LEADS: [Lead; 9] = [
    Lead {
        answered_by: &["create_run", "retry_run", "fork_run", "pause_run", "resume_run"],
        at: "/id",
        parameter: "run_id",
    },
    Lead {
        answered_by: &["list_runs", "create_runs"],
        at: "/items/0/id",
        parameter: "run_id",
    },
    Lead {
        answered_by: &["create_project", "update_project"],
        at: "/id",
        parameter: "project_id",
    },
    Lead {
        answered_by: &["list_projects"],
        at: "/items/0/id",
        parameter: "project_id",
    },
    Lead {
        answered_by: &["list_approvals", "list_run_approvals"],
        at: "/items/0/id",
        parameter: "approval_id",
    },
    Lead {
        answered_by: &["pull_model"],
        at: "/id",
        parameter: "pull_id",
    },
    Lead {
        answered_by: &["list_pulls"],
        at: "/items/0/id",
        parameter: "pull_id",
    },
    Lead {
        answered_by: &["list_run_checks"],
        at: "/items/0/results/0/output",
        parameter: "blob_id",
    },
    Lead {
        answered_by: &["list_run_changes"],
        at: "/items/0/path",
        parameter: "path",
    },
];

/// An operation and the parameters that it takes.
struct Taker {
    operation_id: String,
    /// Each with where it stands: `path`, `query`, `header`.
    parameters: Vec<(String, String)>,
}

impl Taker {
    fn takes(&self, parameter: &str) -> bool {
        self.parameters.iter().any(|(_, name)| name == parameter)
    }
}

/// Adds to every answer the operations that it leads to.
pub(super) fn add(document: &mut Value) {
    let takers = takers(document);
    for (_, operations) in super::members(&mut document["paths"]) {
        for (_, operation) in super::members(operations) {
            let id = operation["operationId"].as_str().unwrap_or_default();
            let Some(from) = takers.iter().find(|taker| taker.operation_id == id) else {
                continue;
            };
            let links = links(from, &takers);
            let responses = super::members(&mut operation["responses"]);
            for (_, response) in responses.filter(|(status, _)| status.starts_with('2')) {
                if !links.is_empty() {
                    response["links"] = Value::Object(links.clone());
                }
            }
        }
    }
}

fn takers(document: &Value) -> Vec<Taker> {
    let paths = document["paths"].as_object().into_iter().flatten();
    let operations = paths.flat_map(|(_, operations)| operations.as_object().into_iter().flatten());
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    operations
        .map(|(_, operation)| {
            let parameters = operation["parameters"].as_array().into_iter().flatten();
            Taker {
                operation_id: text(&operation["operationId"]),
                parameters: parameters
                    .map(|parameter| (text(&parameter["in"]), text(&parameter["name"])))
                    .collect(),
            }
        })
        .collect()
}

fn links(from: &Taker, takers: &[Taker]) -> Map<String, Value> {
    let mut links = Map::new();
    let leads = LEADS
        .iter()
        .filter(|lead| lead.answered_by.contains(&from.operation_id.as_str()));
    for lead in leads {
        let takers = takers.iter().filter(|taker| taker.takes(lead.parameter));
        for taker in takers.filter(|taker| taker.operation_id != from.operation_id) {
            // What the path named already is named again, as the run of a file that it changed.
            let mut parameters: Map<String, Value> = from
                .parameters
                .iter()
                .filter(|(place, name)| place == "path" && taker.takes(name))
                .map(|(_, name)| (name.clone(), format!("$request.path.{name}").into()))
                .collect();
            parameters.insert(
                lead.parameter.to_owned(),
                format!("$response.body#{}", lead.at).into(),
            );
            links.insert(
                taker.operation_id.clone(),
                json!({"operationId": taker.operation_id, "parameters": parameters}),
            );
        }
    }
    links
}
