use std::{
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
    time::{Duration, Instant},
};

use crate::StackError;

const POLL: Duration = Duration::from_millis(25);

/// A TCP port of the loopback interface that was free a moment ago.
///
/// Only for programs that cannot be told to take port 0 themselves.
///
/// # Errors
/// The system has no port to give.
pub fn free_port() -> Result<u16, StackError> {
    TcpListener::bind(("127.0.0.1", 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(StackError::system("no free port on 127.0.0.1"))
}

/// Whether one can listen on `port` of the loopback interface now.
#[must_use]
pub fn is_free(port: u16) -> bool {
    TcpListener::bind(("127.0.0.1", port)).is_ok()
}

/// Whether something accepts connections at `port` of the loopback interface within `limit`.
#[must_use]
pub fn wait_for_port(port: u16, limit: Duration) -> bool {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let deadline = Instant::now() + limit;
    loop {
        if TcpStream::connect_timeout(&address, POLL).is_ok() {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        thread::sleep(POLL);
    }
}
