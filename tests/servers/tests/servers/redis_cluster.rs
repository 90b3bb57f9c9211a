//! A Redis Cluster, asked in its own protocol.

use std::io::{Read, Write};

use trifold_test_servers::{Control, RedisCluster, ServerError};

use crate::{check_answer, check_closed, connect, is_refused, wait_until};

/// A key of each node of three, with its slot.
const KEYS: [(&str, u16); 3] = [("bar", 5061), ("k", 7629), ("foo", 12_182)];

fn addresses(cluster: &mut RedisCluster) -> Vec<String> {
    (0..cluster.urls().len()).map(|index| cluster.node(index).address().to_owned()).collect()
}

/// All that a node answers to a command.
fn ask(address: &str, command: &str) -> String {
    let mut connection = connect(address);
    connection.write_all(format!("{command}\r\nQUIT\r\n").as_bytes()).unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    answer
}

/// Fails unless a node has the value of its key, and sends clients to the others for theirs.
#[track_caller]
fn check_node(addresses: &[String], index: usize, value: &str) {
    let connection = connect(&addresses[index]);
    for ((key, slot), owner) in KEYS.iter().zip(addresses) {
        let elsewhere = format!("-MOVED {slot} {owner}\r\n");
        let answer = if *owner == addresses[index] { value } else { &elsewhere };
        check_answer(&connection, &format!("GET {key}\r\n"), answer);
    }
}

#[test]
fn each_node_of_a_cluster_answers_for_its_slots_and_knows_who_has_the_others() {
    let mut cluster = RedisCluster::start(3).unwrap();
    let addresses = addresses(&mut cluster);
    assert_eq!(cluster.urls(), addresses.iter().map(|address| format!("redis://{address}")).collect::<Vec<_>>());
    for (index, (key, _)) in KEYS.iter().enumerate() {
        check_node(&addresses, index, "$-1\r\n");
        check_answer(&connect(&addresses[index]), &format!("SET {key} value\r\n"), "+OK\r\n");
        check_node(&addresses, index, "$5\r\nvalue\r\n");
    }
    for address in &addresses {
        let slots = ask(address, "CLUSTER SLOTS");
        assert!(slots.starts_with("*3\r\n"), "{slots}");
        // A node that told an empty address of itself would be reached by some clients only.
        assert_eq!(slots.matches("\r\n127.0.0.1\r\n").count(), 3, "{slots}");
    }
}

#[test]
fn a_cluster_goes_on_without_a_node_and_takes_it_back() {
    let mut cluster = RedisCluster::start(3).unwrap();
    let addresses = addresses(&mut cluster);
    let connection = connect(&addresses[2]);
    check_answer(&connection, "SET foo value\r\n", "+OK\r\n");
    check_answer(&connect(&addresses[0]), "SET bar value\r\n", "+OK\r\n");

    cluster.node(2).kill().unwrap();
    check_closed(&connection);
    assert!(is_refused(&addresses[2]));
    assert!(matches!(cluster.wait_until_whole(), Err(ServerError::NotRunning { .. })));
    for address in &addresses[..2] {
        let has_noticed = || !ask(address, "CLUSTER INFO").contains("cluster_slots_fail:0\r\n");
        wait_until("the others know that one is gone", has_noticed);
    }
    check_node(&addresses, 0, "$5\r\nvalue\r\n");
    check_node(&addresses, 1, "$-1\r\n");

    cluster.node(2).start_again().unwrap();
    cluster.wait_until_whole().unwrap();
    check_node(&addresses, 2, "$-1\r\n");
    cluster.node(0).restart().unwrap();
    cluster.wait_until_whole().unwrap();
    (0..3).for_each(|index| check_node(&addresses, index, "$-1\r\n"));
}

#[test]
fn a_cluster_may_have_one_node_but_not_none() {
    let mut cluster = RedisCluster::start(1).unwrap();
    let connection = connect(cluster.node(0).address());
    KEYS.iter().for_each(|(key, _)| check_answer(&connection, &format!("GET {key}\r\n"), "$-1\r\n"));
    let message =
        "a Redis Cluster cannot have 0 nodes: each has a slot or more of 16384, so 1 to 16384 are possible";
    assert_eq!(RedisCluster::start(0).unwrap_err().to_string(), message);
}
