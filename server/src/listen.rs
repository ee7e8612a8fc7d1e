//! Accepting connections, and not waiting for ever on any of them.
//!
//! A client that sends its head one byte at a time would hold a socket and a task for as long as it
//! likes. So the head has a deadline, which is also how long an idle connection is kept, and the
//! body has one where it is read. Only HTTP/1.1 is spoken: a proxy in front speaks the rest.

use std::time::Duration;

use axum::Router;
use hyper_server::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_server::server::conn::auto::Builder;
use hyper_server::server::graceful::GracefulShutdown;
use hyper_server::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};

use crate::limits;

/// How long a client may take.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For the head of a request, from the first moment it could come.
    pub head: Duration,
    /// For its body, from the head on.
    pub body: Duration,
}

impl Default for Patience {
    fn default() -> Patience {
        Patience { head: limits::HEAD_TIME, body: limits::BODY_TIME }
    }
}

/// Accept connections until `stop` is done; then finish the requests that are under way.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    patience: Patience,
    stop: impl Future<Output = ()>,
) {
    let mut http = Builder::new(TokioExecutor::new()).http1_only();
    http.http1().timer(TokioTimer::new()).header_read_timeout(patience.head);
    let open = GracefulShutdown::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        let stream = tokio::select! {
            stream = accept(&listener) => stream,
            () = &mut stop => break,
        };
        let service = TowerToHyperService::new(router.clone());
        let connection = http.serve_connection(TokioIo::new(stream), service).into_owned();
        let connection = open.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(error, "a connection ended early");
            }
        });
    }
    drop(listener);
    open.shutdown().await;
}

async fn accept(listener: &TcpListener) -> TcpStream {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // Only latency is lost when the socket does not take it.
                let _ = stream.set_nodelay(true);
                return stream;
            }
            // The client was gone before we came.
            Err(error)
                if matches!(
                    error.kind(),
                    ConnectionAborted | ConnectionRefused | ConnectionReset
                ) => {}
            // Most likely no file descriptors are left; some come back when connections end.
            Err(error) => {
                tracing::error!(%error, "no connection could be accepted");
                tokio::time::sleep(limits::ACCEPT_PAUSE).await;
            }
        }
    }
}
