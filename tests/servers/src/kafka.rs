//! A Kafka broker.

use std::ffi::OsString;
use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::control::Control;
use crate::environment::variable;
use crate::error::ServerError;
use crate::jars::KAFKA;
use crate::ports;
use crate::proxy::Proxy;
use crate::server::{self, Plan, Server};
use crate::tool;

const NAME: &str = "Kafka";

/// Small, and compiled no better than takes little time: a broker of a test lives for seconds.
const JAVA: [&str; 5] = ["java", "-Xms128m", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"];

/// What a broker says of itself when it serves requests.
const UP: &str = "Kafka Server started";

/// Sixteen bytes, any of which would do.
const CLUSTER: &str = "5L6g3nShT-eMCtK--X86sw";

/// A Kafka cluster of one broker, which is its own controller. Topics are made explicitly, with as many replicas as
/// there are brokers, and keep their records however old those are.
///
/// After a kill it takes seconds longer to start again, because the controller believes the broker that is gone to be
/// alive for as long as its session lasts. After a pause that is longer than that, the broker must register again, and
/// answers for a moment that it leads nothing.
///
/// If the environment variable `KAFKA_BOOTSTRAP` is set, it is the cluster of that address, which cannot be stopped,
/// paused or put behind a proxy.
#[derive(Debug)]
pub struct Kafka {
    bootstrap: String,
    /// None if others started it.
    server: Option<Server>,
}

/// The ports of a broker, and what clients that come through a proxy are told.
struct Ports {
    clients: u16,
    controller: u16,
    /// The port that the proxy leads to, and the proxy's address.
    behind_proxy: Option<(u16, String)>,
}

impl Kafka {
    /// Starts a broker, and waits until it serves requests.
    pub fn start() -> Result<Kafka, ServerError> {
        if let Some(bootstrap) = foreign() {
            return Ok(Kafka { bootstrap, server: None });
        }
        Kafka::start_at(&Ports { clients: ports::free()?, controller: ports::free()?, behind_proxy: None })
    }

    /// Starts a broker that sends the clients that come through the proxy back to the proxy. [`Kafka::bootstrap`]
    /// is still the broker's own address, for those who must see what happens while the proxy is cut.
    pub fn start_behind_proxy() -> Result<(Kafka, Proxy), ServerError> {
        if let Some(address) = foreign() {
            return Err(ServerError::Foreign { server: NAME, address });
        }
        let port = ports::free()?;
        let proxy = Proxy::start(&local(port))?;
        let behind_proxy = Some((port, proxy.address().to_owned()));
        let kafka = Kafka::start_at(&Ports { clients: ports::free()?, controller: ports::free()?, behind_proxy })?;
        Ok((kafka, proxy))
    }

    fn start_at(ports: &Ports) -> Result<Kafka, ServerError> {
        let classes = KAFKA.folder()?.join("*");
        let dir = server::directory()?;
        let settings = dir.path().join("settings");
        let text = settings_for(ports, &dir.path().join("data"));
        fs::write(&settings, text).map_err(ServerError::io(format!("write {}", settings.display())))?;
        let mut java: Vec<OsString> = JAVA.into_iter().map(OsString::from).collect();
        java.extend(["-cp".into(), classes.into_os_string()]);
        format_storage(&java, &settings)?;
        let bootstrap = local(ports.clients);
        let plan = Plan {
            name: NAME,
            address: bootstrap.clone(),
            line: [java, vec!["kafka.Kafka".into(), settings.into_os_string()]].concat(),
            is_up,
            up_within: Duration::from_secs(60),
        };
        Ok(Kafka { bootstrap, server: Some(Server::start(plan, dir)?) })
    }

    /// Where clients begin: host and port.
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }
}

impl Control for Kafka {
    fn server(&mut self) -> Result<&mut Server, ServerError> {
        let address = &self.bootstrap;
        self.server.as_mut().ok_or_else(|| ServerError::Foreign { server: NAME, address: address.clone() })
    }
}

fn foreign() -> Option<String> {
    variable("KAFKA_BOOTSTRAP").map(|address| address.to_string_lossy().into_owned())
}

fn local(port: u16) -> String {
    format!("127.0.0.1:{port}")
}

fn is_up(address: &str, log: &Path) -> bool {
    fs::read_to_string(log).is_ok_and(|log| log.contains(UP)) && TcpStream::connect(address).is_ok()
}

fn settings_for(ports: &Ports, data: &Path) -> String {
    let Ports { clients, controller, behind_proxy } = ports;
    let (listener, advertised) = match behind_proxy {
        Some((port, proxy)) => (format!(",PROXY://127.0.0.1:{port}"), format!(",PROXY://{proxy}")),
        None => Default::default(),
    };
    format!(
        "\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=CLIENTS://127.0.0.1:{clients},CONTROLLER://127.0.0.1:{controller}{listener}
advertised.listeners=CLIENTS://127.0.0.1:{clients}{advertised}
listener.security.protocol.map=CLIENTS:PLAINTEXT,CONTROLLER:PLAINTEXT,PROXY:PLAINTEXT
inter.broker.listener.name=CLIENTS
controller.listener.names=CONTROLLER
log.dirs={data}
# Tests replay events of years ago.
log.retention.ms=-1
auto.create.topics.enable=false
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
# Tests have as many consumers as they start, and some must be found dead within a second.
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
# A broker that was killed is let in again only after this time. By default it is 9 seconds.
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
",
        data = data.display(),
    )
}

/// A directory must be formatted before a broker takes it for its own.
fn format_storage(java: &[OsString], settings: &Path) -> Result<(), ServerError> {
    let (program, arguments) =
        java.split_first().map_or((OsString::new(), java), |(first, rest)| (first.clone(), rest));
    let mut tool = Command::new(program);
    tool.args(arguments).args(["kafka.tools.StorageTool", "format", "-t", CLUSTER, "-c"]).arg(settings);
    tool::run("Kafka's StorageTool", &mut tool)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_of_others_is_left_alone() {
        let mut kafka = Kafka { bootstrap: "example.org:9092".to_owned(), server: None };
        let whole = "Kafka at example.org:9092 was not started by this test, which can neither stop nor change it";
        for outcome in [kafka.stop(), kafka.kill(), kafka.start_again(), kafka.pause(), kafka.resume()] {
            assert_eq!(outcome.unwrap_err().to_string(), whole);
        }
    }
}
