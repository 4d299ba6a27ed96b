//! The command line: one file per group of subcommands, each of which asks the factory and shows the answer.

mod again;
mod answering;
mod apply;
mod demo;
mod diff;
mod doctor;
mod eval;
mod events;
mod export;
mod goals;
mod list;
mod login;
mod models;
mod project;
mod run;
mod script;
mod serve;
mod shell;
mod show;
mod token;
mod verbs;
mod watch;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use factory_core::Settings;
use factory_core::model::{Event, Run};
use factory_core::scheduler::Limits;

use crate::configuration::{Configuration, Flags};
use crate::control::{self, Answer, Request};
use crate::environment::Environment;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::interrupt::Interrupts;
use crate::observe::{LogForm, Logs, Loudness};
use crate::render::output::{self, Form, Output, Terminal};
use crate::server::Listening;

/// What `--help` says at its end.
const AFTER_HELP: &str = "\
Exit codes: 0 done, or the run is complete; 1 failed; 2 usage, or what was named is not there; 3 the run waits for \
you (paused, or asks for approval); 4 the run was stopped. A second Ctrl-C ends with 130.

Settings: factory.toml in the data folder, then FACTORY_DATABASE, FACTORY_MODEL, FACTORY_OPERATOR and \
FACTORY_BUDGET_CALLS, _TOKENS, _TIME, _TURNS, FACTORY_LIMITS_CHECK (how long one check may take, 10m), \
FACTORY_SERVER_LISTEN, _CONSOLE, _PUBLIC_URL, then flags. The server has a table there: [server] with listen, console, \
hosts, public_url, tls_cert, tls_key, allow_plain_http. \
Model servers are tables there: [endpoint.NAME] with kind (ollama, openai, anthropic), url, key_env or key_file, \
headers, ca, context, protocol, price, parallel.

The log goes to standard error: FACTORY_LOG says how much (error, warn, info, debug, or levels by target), \
FACTORY_LOG_FORMAT how (text, json).";

/// A goal becomes an approved commit: an agent works on it in a checkout of its own, your checks prove the result, you
/// decide.
#[derive(Debug, Parser)]
#[command(name = "factory", version, after_help = AFTER_HELP, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Clone, Args)]
struct Global {
    /// The data folder [default: `ai-dev-factory` in your data folder; variable: `FACTORY_DATA_DIR`]
    #[arg(long, global = true, value_name = "DIR", display_order = 900)]
    data_dir: Option<PathBuf>,
    /// The database [default: `sqlite:platform.db` in the data folder; variable: `FACTORY_DATABASE`]
    #[arg(long, global = true, value_name = "URL", display_order = 901)]
    database: Option<String>,
    /// Answers as one JSON document, or one object a line for streams
    #[arg(long, global = true, display_order = 902)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Shows the whole job on a small repository that it makes, with a scripted model
    Demo(demo::Demo),
    /// Serves the API and works on the queue until it is told to end
    Serve(serve::Serve),
    /// Registers repositories and says how their results are proven
    #[command(subcommand)]
    Project(project::Project),
    /// Files a goal and works on it until it is done or needs you
    Run(run::RunGoal),
    /// Lists runs, newest first
    List(list::List),
    /// Shows a run: where it stands, why, and what to do next
    Show(show::Show),
    /// Lists what happened in a run
    Events(events::Events),
    /// Shows what a run has changed
    Diff(diff::Diff),
    /// Writes a run into a file that plays again, without secrets: a bug report
    Export(export::Export),
    /// Lets a run rest
    Pause(verbs::Pause),
    /// Lets a run go on and watches it
    Resume(answering::Resume),
    /// Ends a run for good
    Stop(verbs::Stop),
    /// Tells the agent something; it hears it before its next model call
    Direct(verbs::Direct),
    /// Answers the question that a run asks
    Answer(answering::AnswerQuestion),
    /// Approves the tree that a run offers, so that it is committed
    Approve(answering::Approve),
    /// Rejects what a run offers or asks; the run goes on with your reason
    Reject(answering::Reject),
    /// Changes what a run may spend
    Raise(verbs::Raise),
    /// Does the goal of a run that is over once more, from the same commit, as a new run
    Retry(again::Retry),
    /// Goes on from an earlier point of a run, as a new run; the old one stays as it is
    Fork(again::Fork),
    /// Opens a shell in a run's sandbox, on a copy of its newest files; without a terminal it reads commands from
    /// standard input
    Shell(shell::Shell),
    /// Applies a model's answer, read from standard input, to the files of a folder
    Apply(apply::Apply),
    /// Runs a folder of tasks against a model and shows what was solved
    Eval(eval::Eval),
    /// Lists, gets, tries and removes the models of your endpoints
    Models(models::Models),
    /// Prints your token for the server, and makes, lists, revokes and replaces those of others
    Token(token::Token),
    /// Prints a link that opens the console in a browser
    Login(login::Login),
    /// Looks at what works here and says what to do about the rest
    Doctor(doctor::Doctor),
    /// Serves a scripted model to others
    #[command(subcommand, hide = true)]
    Script(script::Script),
}

/// What every command works with.
#[derive(Debug)]
struct Context {
    environment: Environment,
    settings: Settings,
    listening: Listening,
    limits: Limits,
    log_form: LogForm,
    flags: Flags,
    output: Output,
    terminal: Terminal,
    interrupts: Option<Interrupts>,
}

/// Parses the command line, does what it says, and returns how the program ends.
pub(crate) fn main(arguments: impl Iterator<Item = OsString>, environment: Environment) -> Exit {
    let arguments: Vec<_> = arguments.collect();
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(error) => return refuse(&error, &arguments),
    };
    let form = if cli.global.json { Form::Json } else { Form::Text };
    match start(cli, environment, form) {
        Ok(exit) => exit,
        Err(failure) => {
            output::failure(&failure, form);
            failure.exit()
        }
    }
}

/// Shows help, or what is wrong with the command line.
fn refuse(error: &clap::Error, arguments: &[OsString]) -> Exit {
    let asked_for = !error.use_stderr();
    if !asked_for && arguments.iter().any(|argument| argument == "--json") {
        output::failure(&Failure::usage(error.to_string().trim_end()), Form::Json);
    } else if let Err(problem) = error.print() {
        tracing::debug!(%problem, "the help could not be written");
    }
    if asked_for { Exit::Complete } else { Exit::Usage }
}

fn start(cli: Cli, environment: Environment, form: Form) -> Result<Exit, Failure> {
    let loudness = match cli.command {
        Command::Serve(_) => Loudness::Server,
        _ => Loudness::Command,
    };
    let logs = Logs::start(&environment, loudness)?;
    let exit = work(cli, environment, form, logs.form());
    logs.end();
    exit
}

fn work(cli: Cli, environment: Environment, form: Form, log_form: LogForm) -> Result<Exit, Failure> {
    let flags = Flags {
        data_dir: cli.global.data_dir,
        database: cli.global.database,
    };
    let configuration = Configuration::read(&environment, &flags)?;
    let context = Context {
        terminal: environment.terminal,
        environment,
        settings: configuration.settings,
        listening: configuration.listening,
        limits: configuration.limits,
        log_form,
        flags,
        output: Output::new(form),
        interrupts: None,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::caused("cannot start the runtime", &error))?;
    let exit = runtime.block_on(dispatch(cli.command, context));
    // A blocking call that nobody waits for any more, as a read of the terminal, must not hold the end up.
    runtime.shutdown_background();
    exit
}

async fn dispatch(command: Command, mut context: Context) -> Result<Exit, Failure> {
    let context = &mut context;
    match command {
        Command::Demo(demo) => demo.run(context).await,
        Command::Serve(serve) => serve.run(context).await,
        Command::Project(project) => project.run(context).await,
        Command::Run(run) => run.run(context).await,
        Command::List(list) => list.run(context).await,
        Command::Show(show) => show.run(context).await,
        Command::Events(events) => events.run(context).await,
        Command::Diff(diff) => diff.run(context).await,
        Command::Export(export) => export.run(context).await,
        Command::Pause(pause) => pause.run(context).await,
        Command::Resume(resume) => resume.run(context).await,
        Command::Stop(stop) => stop.run(context).await,
        Command::Direct(direct) => direct.run(context).await,
        Command::Answer(answer) => answer.run(context).await,
        Command::Approve(approve) => approve.run(context).await,
        Command::Reject(reject) => reject.run(context).await,
        Command::Raise(raise) => raise.run(context).await,
        Command::Retry(retry) => retry.run(context).await,
        Command::Fork(fork) => fork.run(context).await,
        Command::Shell(shell) => shell.run(context).await,
        Command::Apply(apply) => apply.run(context).await,
        Command::Eval(eval) => eval.run(context).await,
        Command::Models(models) => models.run(context).await,
        Command::Token(token) => token.run(context).await,
        Command::Login(login) => login.run(context).await,
        Command::Doctor(doctor) => doctor.run(context).await,
        Command::Script(script) => script.run(context).await,
    }
}

impl Context {
    /// Carries a reading request out.
    async fn look(&self, request: Request) -> Result<Answer, Failure> {
        self.look_at(request, |_| {}).await
    }

    /// Carries a reading request out and hands streamed events on.
    async fn look_at(&self, request: Request, on_event: impl FnMut(Event)) -> Result<Answer, Failure> {
        control::look(&self.settings, request, on_event).await
    }

    /// Returns how the operator begins a command line for this data folder.
    fn factory(&self) -> String {
        let Some(folder) = &self.flags.data_dir else {
            return "factory".to_owned();
        };
        let folder = folder.display().to_string().replace('\'', r"'\''");
        format!("factory --data-dir '{folder}'")
    }

    /// Returns the interrupts, taken over from now on.
    fn interrupts(&mut self) -> Result<Interrupts, Failure> {
        if self.interrupts.is_none() {
            self.interrupts = Some(Interrupts::install()?);
        }
        self.interrupts
            .clone()
            .ok_or_else(|| Failure::failed("internal error: no interrupts"))
    }
}

/// Returns an answer's content, or says that the owner answered something else.
macro_rules! expect_answer {
    ($answer:expr, $variant:ident) => {
        match $answer {
            crate::control::Answer::$variant(content) => Ok(content),
            other => Err(crate::cli::unexpected(&other)),
        }
    };
}
use expect_answer;

fn unexpected(answer: &Answer) -> Failure {
    let mut shown = format!("{answer:?}");
    shown.truncate(shown.floor_char_boundary(200));
    Failure::failed(format!("internal error: an unexpected answer: {shown}"))
}

fn as_run(answer: Answer) -> Result<Run, Failure> {
    expect_answer!(answer, Run).map(|run| *run)
}

/// Returns the text, or what standard input says where it is `-`. At most `most` bytes.
async fn text_or_input(text: String, most: usize, what: &str) -> Result<String, Failure> {
    let text = if text == "-" {
        tokio::task::spawn_blocking(move || read_input(most))
            .await
            .map_err(|error| Failure::caused("reading standard input broke off", &error))?
            .map_err(|error| match error.kind() {
                std::io::ErrorKind::InvalidData => {
                    Failure::usage(format!("{what} is no text: it is not UTF-8"))
                        .with_remedy("write it as UTF-8")
                }
                _ => Failure::caused("cannot read standard input", &error),
            })?
    } else {
        text
    };
    if text.trim().is_empty() {
        return Err(Failure::usage(format!("{what} is empty"))
            .with_remedy("say it in a sentence, or give `-` and write it to standard input"));
    }
    if text.len() > most {
        return Err(Failure::usage(format!("{what} is longer than {most} bytes"))
            .with_remedy("put long material into a file of the repository, commit it, and name that file"));
    }
    Ok(text)
}

fn read_input(most: usize) -> std::io::Result<String> {
    use std::io::Read;
    let mut text = String::new();
    let bound = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    std::io::stdin().lock().take(bound).read_to_string(&mut text)?;
    Ok(text)
}

/// Asks the operator on the terminal. Anything but `y` and `yes` is no.
async fn asked_yes(question: &str) -> Result<bool, Failure> {
    output::question(&format!("{question} [y/N]"));
    let answer = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).map(|_| line)
    });
    let line = answer
        .await
        .map_err(|error| Failure::caused("reading the answer broke off", &error))?
        .map_err(|error| Failure::caused("cannot read the answer", &error))?;
    Ok(matches!(line.trim(), "y" | "Y" | "yes"))
}

#[cfg(test)]
mod tests;
