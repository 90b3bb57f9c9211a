//! A test that is killed leaves nothing behind.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use trifold_test_servers::Redis;

use crate::{check_answer, connect, is_refused, wait_until};

/// Set for the process that is to be killed.
const VICTIM: &str = "TRIFOLD_TEST_SERVERS_VICTIM";
/// What the address of its server stands behind.
const ADDRESS: &str = "listens at ";

#[test]
#[expect(clippy::disallowed_methods, reason = "the test runs itself, and must know which of both it is")]
fn a_server_and_its_folder_end_with_a_test_that_is_killed() {
    if std::env::var_os(VICTIM).is_some() {
        let redis = Redis::start().unwrap();
        writeln!(std::io::stdout(), "\n{ADDRESS}{}", redis.address()).unwrap();
        loop {
            std::thread::park();
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let mut victim = Command::new(std::env::current_exe().unwrap());
    victim.args(["--exact", "killed::a_server_and_its_folder_end_with_a_test_that_is_killed", "--nocapture"]);
    victim.env(VICTIM, "1").env("TMPDIR", folder.path()).env_remove("REDIS_URL");
    let mut victim = victim.stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(victim.stdout.take().unwrap()).lines();
    let address = lines.map(Result::unwrap).find_map(|line| line.strip_prefix(ADDRESS).map(str::to_owned));
    let address = address.unwrap();
    check_answer(&connect(&address), "PING\r\n", "+PONG\r\n");
    let is_empty = || std::fs::read_dir(folder.path()).unwrap().next().is_none();
    assert!(!is_empty());
    victim.kill().unwrap();
    victim.wait().unwrap();
    wait_until("the server has ended", || is_refused(&address));
    wait_until("its folder is removed", is_empty);
}
