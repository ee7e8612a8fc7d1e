//! A connection that keeps the clear part of a STARTTLS session apart from the encrypted part.
//!
//! lettre reads ahead and keeps what it read across the switch to TLS. Somebody between us and the
//! relay can so append an answer in the clear that is believed as an encrypted one; from then on
//! every answer is read one too early, and the `354` to DATA passes for the acceptance of a message
//! the relay went on to refuse. Here nothing is read ahead before the switch: a byte is taken only
//! when it is wanted, so whatever was appended ends up in the TLS handshake, which fails.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use lettre::transport::smtp::client::AsyncTokioStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// The first byte of a TLS handshake record. No SMTP command starts with it.
const TLS_HANDSHAKE: u8 = 0x16;

#[derive(Debug)]
pub(crate) struct NoReadAhead {
    stream: TcpStream,
    encrypted: bool,
}

impl NoReadAhead {
    pub(crate) fn new(stream: TcpStream) -> NoReadAhead {
        NoReadAhead { stream, encrypted: false }
    }

    /// For a session that stays in the clear: there is no switch to keep apart.
    pub(crate) fn never_encrypted(stream: TcpStream) -> NoReadAhead {
        NoReadAhead { stream, encrypted: true }
    }
}

impl AsyncTokioStream for NoReadAhead {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.stream.peer_addr()
    }
}

impl AsyncRead for NoReadAhead {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.encrypted || buffer.remaining() == 0 {
            return Pin::new(&mut self.stream).poll_read(context, buffer);
        }
        let mut byte = [0];
        let mut one = ReadBuf::new(&mut byte);
        let polled = Pin::new(&mut self.stream).poll_read(context, &mut one);
        buffer.put_slice(one.filled());
        polled
    }
}

impl AsyncWrite for NoReadAhead {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if bytes.first() == Some(&TLS_HANDSHAKE) {
            self.encrypted = true;
        }
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
