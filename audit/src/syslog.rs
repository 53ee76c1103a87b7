//! Messages to a syslog service, as RFC 5424 has them, over a socket of this machine (RFC 5424 with the datagrams of
//! `/dev/log`) or over UDP (RFC 5426).

use std::{io, net::UdpSocket, time::SystemTime};

use crate::{error::AuditError, options::SyslogAddress, stream::Outlet};

/// Facility "log audit" (13) and severity "notice" (5).
const PRIORITY: u16 = 13 * 8 + 5;

pub(crate) struct Syslog {
    address: SyslogAddress,
    socket: Option<Socket>,
    /// `APP-NAME` and `PROCID`.
    sender: String,
}

enum Socket {
    #[cfg(unix)]
    Unix(std::os::unix::net::UnixDatagram),
    Udp(UdpSocket),
}

impl Syslog {
    pub(crate) fn new(address: SyslogAddress, program: &str) -> Self {
        let name = program.split_whitespace().next().unwrap_or("-");
        let name: String = name
            .chars()
            .filter(char::is_ascii_graphic)
            .take(48)
            .collect();
        Self {
            address,
            socket: None,
            sender: format!("{name} {}", std::process::id()),
        }
    }

    fn connect(&self) -> io::Result<Socket> {
        match &self.address {
            #[cfg(unix)]
            SyslogAddress::Unix(path) => {
                let socket = std::os::unix::net::UnixDatagram::unbound()?;
                socket.connect(path)?;
                Ok(Socket::Unix(socket))
            }
            #[cfg(not(unix))]
            SyslogAddress::Unix(_) => Err(io::ErrorKind::Unsupported.into()),
            SyslogAddress::Udp(to) => {
                let from = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
                let socket = UdpSocket::bind(from)?;
                socket.connect(to)?;
                Ok(Socket::Udp(socket))
            }
        }
    }

    /// One message for each line.
    fn send_all(&self, socket: &Socket, lines: &[u8]) -> io::Result<()> {
        let now = humantime::format_rfc3339_micros(SystemTime::now());
        let head = format!("<{PRIORITY}>1 {now} - {} audit - ", self.sender);
        let mut message = Vec::new();
        for line in lines.split(|byte| *byte == b'\n') {
            if line.is_empty() {
                continue;
            }
            message.clear();
            message.extend_from_slice(head.as_bytes());
            message.extend_from_slice(line);
            match socket {
                #[cfg(unix)]
                Socket::Unix(socket) => socket.send(&message)?,
                Socket::Udp(socket) => socket.send(&message)?,
            };
        }
        Ok(())
    }
}

impl Outlet for Syslog {
    fn send(&mut self, lines: &[u8]) -> io::Result<()> {
        let socket = match self.socket.take() {
            Some(socket) => socket,
            None => self.connect()?,
        };
        // After a failure the next attempt connects again: the service may have been restarted.
        self.send_all(&socket, lines)?;
        self.socket = Some(socket);
        Ok(())
    }

    fn failed(&self, source: io::Error) -> AuditError {
        AuditError::Syslog {
            address: self.address.to_string(),
            source,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// The receiver's view: `PRI VERSION TIMESTAMP HOSTNAME APP-NAME PROCID MSGID STRUCTURED-DATA MSG`.
    fn check(message: &str, line: &str) {
        let parts: Vec<&str> = message.splitn(8, ' ').collect();
        let [version, time, host, app, process, id, data, text] = parts.as_slice() else {
            panic!("{message}")
        };
        assert_eq!(*version, "<109>1");
        assert!(humantime::parse_rfc3339(time).is_ok(), "{time}");
        assert_eq!(
            (*host, *app, *id, *data),
            ("-", "codec-server", "audit", "-")
        );
        assert_eq!(*process, std::process::id().to_string());
        assert_eq!(*text, line);
    }

    #[test]
    fn each_line_is_a_message_over_udp() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        server
            .set_read_timeout(Some(Duration::from_mins(1)))
            .unwrap();
        let address = SyslogAddress::Udp(server.local_addr().unwrap());
        let mut syslog = Syslog::new(address, "codec-server 0.1.0");
        syslog.send(b"{\"seq\":1}\n{\"seq\":2}\n").unwrap();
        let mut buffer = [0; 2048];
        for line in ["{\"seq\":1}", "{\"seq\":2}"] {
            let len = server.recv(&mut buffer).unwrap();
            check(std::str::from_utf8(&buffer[..len]).unwrap(), line);
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_service_that_was_restarted_is_found_again() {
        use std::os::unix::net::UnixDatagram;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut syslog = Syslog::new(SyslogAddress::Unix(path.clone()), "codec-server 0.1.0");
        assert!(syslog.send(b"a\n").is_err(), "nobody listens");
        for _ in 0..2 {
            let server = UnixDatagram::bind(&path).unwrap();
            // The first attempt may meet the socket of the service that ended.
            if syslog.send(b"b\n").is_err() {
                syslog.send(b"b\n").unwrap();
            }
            let mut buffer = [0; 2048];
            let len = server.recv(&mut buffer).unwrap();
            check(std::str::from_utf8(&buffer[..len]).unwrap(), "b");
            drop(server);
            std::fs::remove_file(&path).unwrap();
        }
    }
}
