//! The command line as it is parsed and as its help reads.

use clap::CommandFactory;

use super::*;

fn parse(line: &str) -> Result<Cli, String> {
    let words = line.split(' ').map(|word| word.replace('_', " "));
    Cli::try_parse_from(std::iter::once("factory".to_owned()).chain(words))
        .map_err(|error| error.kind().to_string())
}

#[test]
fn the_command_line_is_well_formed() {
    Cli::command().debug_assert();
}

#[test]
fn the_help_of_every_command_reads_as_it_does() {
    let mut command = Cli::command();
    command.build();
    let mut pages = Vec::new();
    collect(&mut command, &mut pages);
    insta::assert_snapshot!(pages.join("\n=====\n"));
}

fn collect(command: &mut clap::Command, pages: &mut Vec<String>) {
    if command.is_hide_set() || command.get_name() == "help" {
        return;
    }
    // A fixed width, so that the snapshot does not depend on the terminal of whoever runs the test.
    pages.push(command.clone().term_width(100).render_help().to_string());
    for subcommand in command.get_subcommands_mut() {
        collect(subcommand, pages);
    }
}

#[test]
fn commands_are_parsed_strictly() {
    for good in [
        "demo --yes --dir /tmp/x",
        "project add . --name n --check make_test --check make_lint --setup cargo_fetch --setup-network host --init",
        "project add . --no-checks --no-setup --no-try",
        "project set n --no-base --instructions use_tabs",
        "run . - --yes --detach --priority -3 --budget-calls unlimited --budget-tokens 2M --budget-time 1h30m",
        "list --status awaiting-approval --project n --after 7 --limit 5",
        "--json show 1",
        "show 1 --json --data-dir /d --database sqlite:/x",
        "events 1 --follow --after 4",
        "approve 1 --tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904 -m text",
        "reject 1 --because no",
        "raise 1 --calls 5",
        "retry 1 --detach",
        "fork 1 --from 12",
        "fork 1 another_goal --from 12 --json",
        "run . goal --continue 3",
        "run . --file goals.jsonl --yes --detach",
        "token",
        "token add ci --role viewer --expires 30d",
        "token list --all --after 3",
        "token revoke ci",
        "token rotate",
        "token rotate ci",
        "login --qr",
        "script serve f.json --listen 127.0.0.1:0 --log l",
    ] {
        assert!(parse(good).is_ok(), "{good}: {:?}", parse(good).err());
    }
    for bad in [
        "",
        "show",
        "show 0",
        "show x",
        "run .",
        "run . goal --budget-calls many",
        "run . goal --budget-time 5",
        "list --status BUSY",
        "list --limit 0",
        "approve 1 --tree 4b825dc",
        "reject 1",
        "raise 1",
        "retry",
        "fork 1",
        "fork 1 --from x",
        "run . goal --continue 3 --base main",
        "run . goal --file goals.jsonl",
        "run . --file goals.jsonl --continue 3",
        "project add . --check x --no-checks",
        "project set n --base x --no-base",
        "script serve f.json",
        "token add",
        "token add ci --role root",
        "token add ci --expires unlimited",
        "token add ci --expires 0s",
        "token revoke",
        "demo --no-such-flag",
    ] {
        assert!(parse(bad).is_err(), "{bad}");
    }
}
