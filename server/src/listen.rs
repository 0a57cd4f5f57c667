//! Taking ports before anything is built on them, so that a taken one is told at once.

use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

use crate::StartError;

/// Connections that may wait to be accepted: a fleet of workers that reconnects at once must not be refused.
const BACKLOG: i32 = 4096;

/// Listens on `address`, without blocking, ready to be given to tokio. `service` and `flag` word the error.
pub fn listen(service: &'static str, flag: &'static str, address: SocketAddr) -> Result<TcpListener, StartError> {
    let open = || {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        // A restarted server takes its port back while connections of the former one linger.
        #[cfg(unix)]
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        Ok(socket.into())
    };
    open().map_err(|source| StartError::Address { service, flag, address, source })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn port_0_takes_a_free_one_and_a_taken_one_is_refused() {
        let free = SocketAddr::from(([127, 0, 0, 1], 0));
        let first = listen("gRPC", "--port", free).unwrap();
        let taken = first.local_addr().unwrap();
        let error = listen("gRPC", "--port", taken).unwrap_err();
        assert_eq!(error.exit_code(), 3);
        assert!(error.to_string().contains("is in use"), "{error}");
    }
}
