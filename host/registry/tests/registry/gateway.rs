//! What may stand between clients and an object store, and what it may do to conditional writes.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// How the condition is written. Nothing else here is: requests go through in pieces, of which the first has all
/// headers.
const CONDITION: &[u8] = b"if-none-match: *";

/// The same, as a store sees it that does not know it.
const UNKNOWN: &[u8] = b"x-none-matches:*";

const PIECE_BYTES: usize = 1 << 16;

/// What becomes of a conditional write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The store gets it without its condition.
    Unconditional,
    /// It comes back with this status.
    Answered(&'static str),
    /// The store gets it, and its answer is lost.
    AnswerLost,
}

/// Passes requests on to an object store that looks at no signature.
pub(crate) struct Gateway {
    pub(crate) endpoint: String,
    plan: Arc<Mutex<Plan>>,
}

/// The fate of some conditional writes, one after the other.
#[derive(Default)]
struct Plan {
    fate: Option<Fate>,
    /// How many go through before.
    first: usize,
    /// How many have the fate.
    times: usize,
}

impl Gateway {
    pub(crate) fn to(store: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let plan = Arc::new(Mutex::new(Plan::default()));
        let (store, shared) = (store.to_owned(), Arc::clone(&plan));
        thread::spawn(move || {
            for client in listener.incoming() {
                let (client, server) = (client.unwrap(), TcpStream::connect(&store).unwrap());
                let plan = Arc::clone(&shared);
                thread::spawn(move || carry(&client, &server, &plan));
            }
        });
        Gateway { endpoint, plan }
    }

    /// After the `first` conditional writes from now on, this becomes of the next `times` ones.
    pub(crate) fn plan(&self, fate: Fate, first: usize, times: usize) {
        *self.plan.lock().unwrap() = Plan { fate: Some(fate), first, times };
    }

    /// Whether what was planned has happened.
    pub(crate) fn is_done(&self) -> bool {
        self.plan.lock().unwrap().times == 0
    }
}

impl Plan {
    fn next(&mut self) -> Option<Fate> {
        if self.first > 0 {
            self.first -= 1;
            return None;
        }
        self.times = self.times.checked_sub(1)?;
        self.fate
    }
}

/// Carries one connection until either end closes it.
fn carry(client: &TcpStream, server: &TcpStream, plan: &Mutex<Plan>) {
    let is_lost = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| carry_answers(server, client, &is_lost));
        carry_requests(client, server, plan, &is_lost);
    });
}

fn carry_answers(mut server: &TcpStream, mut client: &TcpStream, is_lost: &AtomicBool) {
    let mut piece = vec![0; PIECE_BYTES];
    while let Ok(length @ 1..) = server.read(&mut piece) {
        if is_lost.load(Ordering::SeqCst) || client.write_all(&piece[..length]).is_err() {
            break;
        }
    }
    // An end that is closed already needs no closing, here and below.
    let _ = client.shutdown(Shutdown::Both);
}

fn carry_requests(mut client: &TcpStream, mut server: &TcpStream, plan: &Mutex<Plan>, is_lost: &AtomicBool) {
    let mut piece = vec![0; PIECE_BYTES];
    while let Ok(length @ 1..) = client.read(&mut piece) {
        let found = piece[..length].windows(CONDITION.len()).position(|part| part == CONDITION);
        let planned = found.and_then(|at| Some((at, plan.lock().unwrap().next()?)));
        match planned {
            Some((at, Fate::Unconditional)) => piece[at..at + UNKNOWN.len()].copy_from_slice(UNKNOWN),
            Some((_, Fate::Answered(status))) => {
                let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                let _ = client.write_all(answer.as_bytes());
                // The rest of the request is taken, so that the connection does not end before the answer is read.
                while matches!(client.read(&mut piece), Ok(1..)) {}
                break;
            }
            Some((_, Fate::AnswerLost)) => is_lost.store(true, Ordering::SeqCst),
            None => {}
        }
        if server.write_all(&piece[..length]).is_err() {
            break;
        }
    }
    let _ = server.shutdown(Shutdown::Both);
}
