//! A port of which nothing more is known than that it is open: what is sent comes back.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::switch::Switch;

/// What can be wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It ends every connection as soon as it is open.
    Closes,
    /// It takes what is sent and says nothing.
    Hangs,
}

impl Fault {
    /// All of them.
    pub(crate) const ALL: &[Self] = &[Self::Closes, Self::Hangs];

    /// Its name in kebab case.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Closes => "closes",
            Self::Hangs => "hangs",
        }
    }
}

/// A server that sends back what it is sent.
#[derive(Debug)]
pub(crate) struct Server {
    faults: Switch<Fault>,
}

impl Server {
    /// A server in order.
    pub(crate) fn new() -> Self {
        Self { faults: Switch::off() }
    }

    /// Switches a fault on, or off what is on.
    pub(crate) fn inject(&self, fault: Option<Fault>) {
        self.faults.turn(fault);
    }

    /// Serves one connection until the client ends it.
    ///
    /// # Errors
    /// The stream's own.
    pub(crate) async fn serve<S>(&self, mut stream: S) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let mut heard = [0; 4096];
        loop {
            if self.faults.is(Fault::Closes) {
                return stream.shutdown().await;
            }
            let count = stream.read(&mut heard).await?;
            if count == 0 {
                return stream.shutdown().await;
            }
            self.faults.outlast(Fault::Hangs).await;
            stream.write_all(&heard[..count]).await?;
            stream.flush().await?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_sent_comes_back_and_a_closing_one_says_nothing() {
        let server = Server::new();
        let (mut client, stream) = tokio::io::duplex(64);
        let talk = async {
            client.write_all(b"hello").await.unwrap();
            let mut back = [0; 5];
            client.read_exact(&mut back).await.unwrap();
            assert_eq!(&back, b"hello");
            drop(client);
        };
        tokio::join!(talk, async { server.serve(stream).await.unwrap() });
        server.inject(Some(Fault::Closes));
        let (mut client, stream) = tokio::io::duplex(64);
        server.serve(stream).await.unwrap();
        assert_eq!(client.read(&mut [0; 5]).await.unwrap(), 0);
    }
}
