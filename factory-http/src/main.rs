//! The `factory` program: the command line of AI Dev Factory.
//!
//! This file captures the environment once and hands it on; nothing else reads it.

mod api;
mod app;
mod async_api;
mod cli;
mod configuration;
mod console;
mod control;
mod demo;
mod docs;
mod documents;
mod environment;
mod exit;
mod failure;
mod guard;
mod interrupt;
mod live;
mod observe;
mod openapi;
mod outgoing;
mod problem;
mod pulls;
mod render;
mod request_id;
mod script_server;
mod server;
mod terminal;

use std::process::ExitCode;

fn main() -> ExitCode {
    let environment = match environment::Environment::capture() {
        Ok(environment) => environment,
        Err(failure) => {
            render::output::failure(&failure, render::output::Form::Text);
            return failure.exit().into();
        }
    };
    cli::main(std::env::args_os(), environment).into()
}
