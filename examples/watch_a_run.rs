//! Watches a run live: files a goal in a small repository, prints each event as it is stored, and leaves the result to
//! the operator. The model plays a script, so nothing else needs to be there: `cargo run --example watch_a_run`.

use std::path::Path;
use std::sync::Arc;

use factory_core::event_bus::Notice;
use factory_core::factory::{AddProject, Sockets, Submit};
use factory_core::llm::scripted::{Script, ScriptReply, ScriptedLlm};
use factory_core::model::{Run, RunSpec, RunStatus};
use factory_core::{Error, Factory, HostEnvironment, Settings};
use serde_json::json;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let run = watch(folder.path()).await?;
    println!("run {} is {} and waits for its operator", run.id, run.status);
    Ok(())
}

async fn watch(folder: &Path) -> Result<Run, Box<dyn std::error::Error>> {
    let factory = open(folder).await?;
    let repository = folder.join("greeter");
    std::fs::create_dir(&repository)?;
    std::fs::write(repository.join("greet.sh"), "echo Hello\n")?;
    let added = factory
        .add_project(AddProject {
            path: repository,
            init: true,
            setup: Some(vec![]),
            checks: Some(vec!["sh greet.sh | grep -qx 'Hello, world'".to_owned()]),
            ..AddProject::default()
        })
        .await?;

    // Subscribe first, then file: so that no event is missed.
    let mut events = factory.subscribe();
    let run = factory
        .submit(Submit {
            project: added.project.name,
            goal: "Greet the world".to_owned(),
            spec: RunSpec {
                model: "script".to_owned(),
                ..RunSpec::default()
            },
            priority: 0,
        })
        .await?;
    let printer = tokio::spawn(async move {
        // A subscriber that lags hears of it and could read the store; this one only prints.
        while let Ok(Some(notice)) = events.next().await {
            if let Notice::Stored(event) = notice {
                let event = event.event();
                println!("{:>3}  {}", event.seq, event.kind.type_name());
            }
        }
    });
    let rested = factory.drive(run.id).await?;
    factory.shutdown().await;
    printer.abort();
    if rested.status != RunStatus::AwaitingApproval {
        return Err(format!("the run is {}: {:?}", rested.status, rested.detail).into());
    }
    Ok(rested)
}

async fn open(folder: &Path) -> Result<Factory, Error> {
    let script = Script::new()
        .reply(ScriptReply::tool_call(
            "update_plan",
            json!({"steps": ["Greet the world"]}),
        ))
        .reply(ScriptReply::tool_call(
            "write_file",
            json!({"path": "greet.sh", "content": "echo 'Hello, world'\n"}),
        ))
        .reply(ScriptReply::tool_call(
            "finish_step",
            json!({"summary": "It greets the world."}),
        ));
    let mut sockets = Sockets::default();
    sockets
        .models
        .insert("script".to_owned(), Arc::new(ScriptedLlm::new("script", script)));
    let host = HostEnvironment {
        variables: std::env::vars().collect(),
        home: folder.to_owned(),
    };
    Factory::open_with(Settings::new(folder.join("data"), host), sockets).await
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_example_runs_to_its_offer() {
        super::main().expect("the example works");
    }
}
