use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

/// Passes connections on to a server and keeps what the clients said.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    said: Arc<Mutex<Vec<u8>>>,
}

impl Relay {
    /// Listens on a free port, for the server at `url`.
    ///
    /// # Panics
    /// There is no free port.
    #[must_use]
    pub fn to(url: &str) -> Self {
        let server = url.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("its address");
        let said = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&said);
        // Ends with the test program: nothing waits for it.
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = TcpStream::connect(&server) else {
                    continue;
                };
                connect(&client, &server, Some(Arc::clone(&kept)));
                connect(&server, &client, None);
            }
        });
        Self { address, said }
    }

    /// The relay's own URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Everything that clients have said so far, with names of headers as they wrote them.
    #[must_use]
    pub fn said(&self) -> String {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&said).into_owned()
    }
}

fn connect(from: &TcpStream, to: &TcpStream, keep: Option<Arc<Mutex<Vec<u8>>>>) {
    let mut from = from.try_clone().expect("a socket");
    let mut to = to.try_clone().expect("a socket");
    thread::spawn(move || {
        let mut buffer = [0; 8192];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            let bytes = buffer.get(..count).unwrap_or_default();
            if let Some(keep) = &keep {
                keep.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .extend_from_slice(bytes);
            }
            if to.write_all(bytes).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
    });
}
