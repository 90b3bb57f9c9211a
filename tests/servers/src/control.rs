//! What can be done to every server.

use crate::error::ServerError;
use crate::server::Server;

/// Stops, kills, pauses and starts a server that this process started. Those of others are left alone, with
/// [`ServerError::Foreign`].
pub trait Control {
    /// The server, unless others started it.
    fn server(&mut self) -> Result<&mut Server, ServerError>;

    /// Asks it to end, and waits until it has.
    fn stop(&mut self) -> Result<(), ServerError> {
        self.server()?.stop()
    }

    /// Ends it as `kill -9` does.
    fn kill(&mut self) -> Result<(), ServerError> {
        self.server()?.kill()
    }

    /// Starts it again at the same port, with what it wrote to disk.
    fn start_again(&mut self) -> Result<(), ServerError> {
        self.server()?.start_again()
    }

    /// Stops it and starts it again.
    fn restart(&mut self) -> Result<(), ServerError> {
        self.stop()?;
        self.start_again()
    }

    /// Lets it do nothing more until it is resumed. Connections stay open, and new ones are made by the system and not
    /// answered.
    fn pause(&mut self) -> Result<(), ServerError> {
        self.server()?.pause()
    }

    /// Lets it go on.
    fn resume(&mut self) -> Result<(), ServerError> {
        self.server()?.resume()
    }
}
