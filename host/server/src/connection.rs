//! The server's side of a connection.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};
use tonic::transport::server::{Connected, TcpConnectInfo};

use crate::accept::Seat;

/// The bytes with which a connection of HTTP/2 begins. No request of HTTP/1 is shorter.
const PREFACE_BYTES: usize = 24;

/// A TCP stream that writes one buffer at a time.
///
/// The HTTP/2 layer hands a vectored writer every payload from 256 bytes on as a buffer of its own and writes what
/// follows it, the trailers that end each answer, by another call of the system, which wakes the client a second time.
/// Other writers get payloads below 1 KiB, as lookups have, together with headers and trailers in one buffer.
///
/// It ends with an error if the client does not soon say what it speaks: until then nobody asks it whether it is alive.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    greeting: Option<Greeting>,
    _seat: Seat,
}

/// A client that has not said yet what it speaks.
#[derive(Debug)]
struct Greeting {
    read: usize,
    over: Pin<Box<Sleep>>,
}

impl Connection {
    pub(crate) fn new(stream: TcpStream, seat: Seat, handshake: Duration) -> Self {
        let greeting = Greeting { read: 0, over: Box::pin(sleep(handshake)) };
        Connection { stream, greeting: Some(greeting), _seat: seat }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(context, buffer);
        if let Some(greeting) = &mut this.greeting {
            greeting.read += buffer.filled().len() - before;
            if greeting.read >= PREFACE_BYTES {
                this.greeting = None;
            } else if greeting.over.as_mut().poll(context).is_ready() {
                let message = "the client did not say in time what it speaks";
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, message)));
            }
        }
        read
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl Connected for Connection {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.stream.connect_info()
    }
}
