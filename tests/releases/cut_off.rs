//! A process that pushes and releases dies while it writes.

use std::process::Command;

use trifold_tests::command::Ran;

use crate::legs::adding;
use crate::processes::{Server, Site, VIEWS};

const VIEW: &str = VIEWS[1];

/// What the shell counts the size of a file in.
const BLOCK_BYTES: u64 = 512;

/// Runs a command that the system ends at the first write beyond so many blocks of a file.
fn run_limited(site: &Site, arguments: &[&str], blocks: u64) -> Ran {
    let command = site.operator.command(arguments);
    let mut shell = Command::new("sh");
    shell.args(["-c", "ulimit -c 0; ulimit -f \"$0\"; exec \"$@\"", &blocks.to_string()]);
    shell.arg(command.get_program()).args(command.get_args()).stdin(std::process::Stdio::null());
    shell.current_dir(command.get_current_dir().unwrap());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    Ran::of(&mut shell)
}

/// What those see who look at the registry: that nothing is damaged, and which versions and releases there are.
fn seen(site: &Site) -> (usize, usize) {
    let listed = |command: &[&str]| {
        let listed = site.operator.run(command.iter().chain(&["--format", "json"])).succeeded().json();
        listed.as_array().unwrap().len()
    };
    let versions = listed(&["versions", VIEW]);
    assert_eq!(listed(&["views"]), versions + 1);
    (versions, listed(&["releases", VIEW]))
}

#[test]
fn a_push_whose_process_dies_at_a_write_is_made_good_by_pushing_again() {
    let site = Site::new();
    let server = Server::start(&site.data(), &["serve"]);
    let before = site.answers(&server);
    let path = site.operator.path("second.wasm");
    std::fs::write(&path, adding(VIEW, 2)).unwrap();
    let path = path.to_str().unwrap();
    // So that its code is compiled, which is no write to the registry.
    site.operator.run(["check", path]).succeeded();
    let push = ["push", path, "--release", "--format", "json"];
    let bytes = std::fs::metadata(path).unwrap().len();
    for blocks in 0..bytes.div_ceil(BLOCK_BYTES) {
        let died = run_limited(&site, &push, blocks);
        assert!(died.code.is_none(), "{blocks} blocks were enough: {died:?}");
        assert_eq!(seen(&site), (1, 1), "after {blocks} blocks");
        site.status(&server, true);
        assert_eq!(site.answers(&server), before);
    }
    // The record of a release is smaller than a block.
    assert_eq!(site.operator.run(&push[..2]).succeeded().code, Some(0));
    let died = run_limited(&site, &["release", &format!("{VIEW}@2")], 0);
    assert!(died.code.is_none(), "{died:?}");
    assert_eq!(seen(&site), (2, 1));
    site.status(&server, true);
    assert_eq!(site.answers(&server), before);

    let pushed = site.operator.run(push).succeeded().json();
    assert_eq!((pushed["version"].as_u64(), pushed["release"].as_u64()), (Some(2), Some(2)));
    assert_eq!(seen(&site), (2, 2));
    site.status(&server, true);
    assert_ne!(site.answers(&server), before);
}
