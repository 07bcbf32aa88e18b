//! The listening socket. Bound before anything else starts, so that its address is known; without Nagle's
//! delay, which costs small answers 40 ms.

use std::io;
use std::net::SocketAddr;

use poem::listener::{Acceptor, TcpAcceptor};
use poem::web::{LocalAddr, RemoteAddr};
use tokio::net::{TcpListener, TcpStream};

/// A bound socket.
pub struct Bound {
    acceptor: TcpAcceptor,
    /// Where it listens, the port the system chose included.
    pub address: SocketAddr,
}

impl Bound {
    /// Binds.
    ///
    /// # Errors
    /// The address is taken or not ours.
    pub async fn bind(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok(Self { acceptor: TcpAcceptor::from_tokio(listener)?, address })
    }
}

impl Acceptor for Bound {
    type Io = TcpStream;

    fn local_addr(&self) -> Vec<LocalAddr> {
        self.acceptor.local_addr()
    }

    async fn accept(&mut self) -> io::Result<(TcpStream, LocalAddr, RemoteAddr, poem::http::uri::Scheme)> {
        let (stream, local, remote, scheme) = self.acceptor.accept().await?;
        stream.set_nodelay(true)?;
        Ok((stream, local, remote, scheme))
    }
}
