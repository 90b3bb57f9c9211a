//! What the README says of the command is what the command says of itself.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use trifold_cli::exit::Exit;
use trifold_tests::command::Trifold;
use trifold_tests::root;

use crate::site::empty;

fn readme() -> String {
    fs::read_to_string(root().join("README.md")).unwrap()
}

fn help(trifold: &Trifold) -> String {
    trifold.run(["--help"]).succeeded().stdout
}

#[test]
fn the_table_lists_every_command() {
    let help = help(&empty());
    let (_, commands) = help.split_once("Commands:\n").unwrap();
    let (commands, _) = commands.split_once("\n\n").unwrap();
    // A line that goes on with a description is indented further.
    let names = commands.lines().filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    let known: BTreeSet<_> = names.filter(|name| !["", "help"].contains(name)).collect();
    let readme = readme();
    let (_, table) = readme.split_once("| command | what it does |\n").unwrap();
    let rows = table.lines().take_while(|line| line.starts_with('|')).skip(1);
    let told: BTreeSet<_> =
        rows.flat_map(|row| row.split('|').nth(1).unwrap().split('`').skip(1).step_by(2)).collect();
    assert_eq!(told, known);
}

#[test]
fn the_exit_codes_are_those_of_the_program() {
    let readme = readme();
    let (_, text) = readme.split_once("Exit codes: 0 success; ").unwrap();
    let (text, _) = text.split_once(".\n").unwrap();
    let told: BTreeMap<u8, &str> = text
        .split(';')
        .map(|part| part.trim().split_once([' ', '\n']).unwrap())
        .map(|(code, meaning)| (code.parse().unwrap(), meaning))
        .collect();
    assert_eq!(told.into_keys().collect::<Vec<_>>(), Exit::ALL.map(Exit::code));
    let help = help(&empty());
    for exit in Exit::ALL {
        assert!(
            help.contains(&exit.code().to_string()) && help.contains(&exit.meaning()[..20]),
            "{exit:?}: {help}"
        );
    }
}
