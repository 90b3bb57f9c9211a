//! A Redis Cluster.

use std::time::Duration;

use crate::control::Control;
use crate::error::ServerError;
use crate::ports;
use crate::redis::options::RedisOptions;
use crate::redis::question::ask;
use crate::redis::{NAME, Redis};

/// The slots that every key falls into one of.
const SLOTS: usize = 16_384;
/// Who was not heard of for so long is taken for failed, if most nodes find so, and for twice as long after it came
/// back. By default it is 15 seconds.
const NODE_TIMEOUT_MS: &str = "2000";
/// It takes seconds, as a node that starts serves nothing for two, and machines of tests may be busy.
const WHOLE_WITHIN: Duration = Duration::from_secs(60);

/// A Redis Cluster of masters without replicas, each with as many of the slots as the others, in their order: with
/// three, node 0 has the slots up to 5460 and node 2 those from 10,922 on. It is always started here, whatever
/// `REDIS_URL` says.
///
/// A node that ended and is started again is one of the cluster as before, but has lost its keys, as every
/// [`Redis`] does. Meanwhile the others go on with their slots, if they are more than half of all.
#[derive(Debug)]
pub struct RedisCluster {
    nodes: Vec<Redis>,
}

/// A node that knows no other yet.
struct Single {
    redis: Redis,
    port: u16,
    /// The port for other nodes.
    bus: u16,
}

impl RedisCluster {
    /// Starts a cluster of so many nodes, usually three, and waits until it is whole.
    pub fn start(nodes: usize) -> Result<RedisCluster, ServerError> {
        if !(1..=SLOTS).contains(&nodes) {
            return Err(ServerError::ClusterSize { nodes, max: SLOTS });
        }
        let singles = (0..nodes).map(|_| Single::start()).collect::<Result<Vec<_>, _>>()?;
        for (index, single) in singles.iter().enumerate() {
            single.take_slots(index, nodes)?;
        }
        for (index, single) in singles.iter().enumerate() {
            // The first node would do, but then the others hear of each other only by and by.
            singles[index + 1..].iter().try_for_each(|other| single.meet(other))?;
        }
        let mut cluster = RedisCluster { nodes: singles.into_iter().map(|single| single.redis).collect() };
        cluster.wait_until_whole()?;
        Ok(cluster)
    }

    /// Where each node is, as clients are told it. Any of them is enough for a client to begin with.
    pub fn urls(&self) -> Vec<String> {
        self.nodes.iter().map(|node| node.url().to_owned()).collect()
    }

    /// One of the nodes, counted from 0, to be stopped and started again.
    ///
    /// # Panics
    ///
    /// If there are not so many nodes.
    #[track_caller]
    pub fn node(&mut self, index: usize) -> &mut Redis {
        &mut self.nodes[index]
    }

    /// Waits until every node knows all nodes, is connected to them, and finds that each slot is served. If one of them
    /// does not run, that would never be.
    pub fn wait_until_whole(&mut self) -> Result<(), ServerError> {
        self.nodes.iter_mut().try_for_each(|node| node.server()?.check_runs())?;
        let count = self.nodes.len();
        let is_whole = |address: &str| finds_whole(address, count);
        let wait = |node: &mut Redis| node.server()?.wait_for("found its cluster whole", WHOLE_WITHIN, is_whole);
        self.nodes.iter_mut().try_for_each(wait)
    }
}

impl Single {
    fn start() -> Result<Single, ServerError> {
        let (port, bus) = (ports::free()?, ports::free()?);
        let options = RedisOptions::default()
            .setting("cluster-enabled", "yes")
            .setting("cluster-port", &bus.to_string())
            // Otherwise a node does not know its own address, and tells none, until another has told it.
            .setting("cluster-announce-ip", "127.0.0.1")
            .setting("cluster-config-file", "nodes.conf")
            .setting("cluster-node-timeout", NODE_TIMEOUT_MS)
            .setting("cluster-require-full-coverage", "no");
        Ok(Single { redis: Redis::start_at(port, &options)?, port, bus })
    }

    /// Gives it its part of the slots. Nodes whose epochs are equal would have to settle who is right first.
    fn take_slots(&self, index: usize, nodes: usize) -> Result<(), ServerError> {
        let (first, end) = (index * SLOTS / nodes, (index + 1) * SLOTS / nodes);
        self.tell(&format!("CLUSTER ADDSLOTSRANGE {first} {}", end - 1))?;
        self.tell(&format!("CLUSTER SET-CONFIG-EPOCH {}", index + 1))
    }

    fn meet(&self, other: &Single) -> Result<(), ServerError> {
        self.tell(&format!("CLUSTER MEET 127.0.0.1 {} {}", other.port, other.bus))
    }

    fn tell(&self, command: &str) -> Result<(), ServerError> {
        let answer =
            ask(self.redis.address(), command).map_err(ServerError::io(format!("tell {NAME} to {command}")))?;
        if answer == "+OK" {
            Ok(())
        } else {
            Err(ServerError::Refused { server: NAME, command: command.to_owned(), answer })
        }
    }
}

/// Whether the node at an address knows so many nodes, and nothing is wrong with one of them. One that does not answer
/// finds nothing.
fn finds_whole(address: &str, count: usize) -> bool {
    let ask = |command| ask(address, command).unwrap_or_default();
    let info = ask("CLUSTER INFO");
    let says = |what: &str| info.lines().any(|line| line == what);
    let nodes = ask("CLUSTER NODES");
    says("cluster_state:ok")
        && says(&format!("cluster_slots_ok:{SLOTS}"))
        && nodes.lines().count() == count
        && nodes.lines().all(is_well)
}

/// A line about a node is its id, address, flags, master, the times of a ping and a pong, its epoch, the state of the
/// connection to it, and its slots. The flags of one that is met, suspected or failed say so.
fn is_well(line: &str) -> bool {
    let fields: Vec<_> = line.split(' ').collect();
    fields.get(2).is_some_and(|flags| ["master", "myself,master"].contains(flags))
        && fields.get(7) == Some(&"connected")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, well: bool) {
        assert_eq!(is_well(line), well, "{line}");
    }

    #[test]
    fn a_node_is_well_if_it_is_known_and_connected() {
        check("1f 127.0.0.1:7000@7001 myself,master - 0 0 1 connected 0-5460", true);
        check("2f 127.0.0.1:7002@7003 master - 0 1792 2 connected 5461-10921", true);
        check("2f 127.0.0.1:7002@7003 master - 1791 1790 2 disconnected 5461-10921", false);
        check("2f 127.0.0.1:7002@7003 master,fail? - 1791 1790 2 connected 5461-10921", false);
        check("2f 127.0.0.1:7002@7003 master,fail - 1791 1790 2 disconnected 5461-10921", false);
        check("2f 127.0.0.1:7002@7003 handshake - 0 0 0 connected", false);
        check("", false);
    }
}
