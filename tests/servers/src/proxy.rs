//! A network between a client and a server, which can fail.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::error::ServerError;
use crate::ports;

/// The most that is passed on at once.
const PIECE_BYTES: usize = 1 << 16;

/// Passes on the bytes of TCP connections, until it is told not to.
#[derive(Debug)]
pub struct Proxy {
    address: String,
    at: SocketAddr,
    target: SocketAddr,
    delay: Arc<Mutex<Duration>>,
    /// None while it is cut.
    open: Option<Open>,
}

/// A proxy that has not been cut since it was started or mended.
#[derive(Debug)]
struct Open {
    route: Arc<Route>,
    acceptor: JoinHandle<()>,
}

/// What the threads of a proxy share.
#[derive(Debug)]
struct Route {
    target: SocketAddr,
    delay: Arc<Mutex<Duration>>,
    connections: Mutex<Connections>,
    /// Told when the network is cut.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Connections {
    is_cut: bool,
    next: u64,
    /// Both ends of each.
    ends: BTreeMap<u64, [TcpStream; 2]>,
}

impl Proxy {
    /// Listens at a free port for connections to `target`, a host and a port. Nobody has to listen there yet.
    pub fn start(target: &str) -> Result<Proxy, ServerError> {
        let found = target.to_socket_addrs().map_err(ServerError::io(format!("find {target}")))?.next();
        let nowhere = || io::Error::new(io::ErrorKind::NotFound, "it has no address");
        let target = found.ok_or_else(nowhere).map_err(ServerError::io(format!("find {target}")))?;
        let at = SocketAddr::from((Ipv4Addr::LOCALHOST, ports::free()?));
        let mut proxy = Proxy { address: at.to_string(), at, target, delay: Arc::default(), open: None };
        proxy.mend()?;
        Ok(proxy)
    }

    /// Where clients connect to: host and port.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Closes all connections and refuses new ones: how many there were. What was on its way is lost.
    pub fn cut(&mut self) -> usize {
        let Some(Open { route, acceptor }) = self.open.take() else { return 0 };
        let connections = route.cut();
        // The thread looks up when somebody comes. If nobody can come any more, it is gone.
        let _ = TcpStream::connect(self.at);
        let _ = acceptor.join();
        connections
    }

    /// Takes connections again at the same port.
    pub fn mend(&mut self) -> Result<(), ServerError> {
        if self.open.is_some() {
            return Ok(());
        }
        let listener = TcpListener::bind(self.at).map_err(ServerError::io(format!("listen at {}", self.at)))?;
        let route = Route {
            target: self.target,
            delay: Arc::clone(&self.delay),
            connections: Mutex::default(),
            changed: Condvar::new(),
        };
        let route = Arc::new(route);
        let shared = Arc::clone(&route);
        let acceptor = thread::spawn(move || accept(&listener, &shared));
        self.open = Some(Open { route, acceptor });
        Ok(())
    }

    /// Holds back what comes from now on, in either direction, for so long before it is passed on. What comes in the
    /// meantime is held back after it, so a byte may take up to twice as long.
    pub fn delay(&self, delay: Duration) {
        *lock(&self.delay) = delay;
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.cut();
    }
}

fn accept(listener: &TcpListener, route: &Arc<Route>) {
    for client in listener.incoming() {
        if lock(&route.connections).is_cut {
            return;
        }
        let Ok(client) = client else { continue };
        let route = Arc::clone(route);
        // A client whose connection fails sees it closed; there is nobody else to tell.
        thread::spawn(move || route.carry(&client));
    }
}

impl Route {
    /// Carries one connection to its end.
    fn carry(&self, client: &TcpStream) -> io::Result<()> {
        let server = TcpStream::connect(self.target)?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let Some(number) = self.enter([client.try_clone()?, server.try_clone()?]) else { return Ok(()) };
        thread::scope(|scope| {
            scope.spawn(|| self.pass(&server, client));
            self.pass(client, &server);
        });
        lock(&self.connections).ends.remove(&number);
        Ok(())
    }

    /// Notes a connection, unless the proxy was cut while it was made.
    fn enter(&self, ends: [TcpStream; 2]) -> Option<u64> {
        let mut connections = lock(&self.connections);
        if connections.is_cut {
            return None;
        }
        let number = connections.next;
        connections.next += 1;
        connections.ends.insert(number, ends);
        Some(number)
    }

    /// Passes on what comes from one end, until either end is closed.
    fn pass(&self, mut from: &TcpStream, mut to: &TcpStream) {
        let mut piece = vec![0; PIECE_BYTES];
        while let Ok(length @ 1..) = from.read(&mut piece) {
            let delay = *lock(&self.delay);
            let connections = lock(&self.connections);
            // What is on its way when the network is cut is lost.
            let waited = self.changed.wait_timeout_while(connections, delay, |connections| !connections.is_cut);
            drop(waited);
            if to.write_all(&piece[..length]).is_err() {
                break;
            }
        }
        // An end that is closed already needs no closing.
        let _ = from.shutdown(Shutdown::Read);
        let _ = to.shutdown(Shutdown::Write);
    }

    fn cut(&self) -> usize {
        let mut connections = lock(&self.connections);
        connections.is_cut = true;
        self.changed.notify_all();
        let ends = std::mem::take(&mut connections.ends);
        for end in ends.values().flatten() {
            // An end that is closed already needs no closing.
            let _ = end.shutdown(Shutdown::Both);
        }
        ends.len()
    }
}

/// What a thread that panicked left is whole: nobody panics between two changes.
fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
