//! HTTP over a stream we hold, one answer after another: for systems whose own protocol it is.

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::HeaderMap;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio_util::task::AbortOnDropHandle;

use super::channel::Channel;
use super::reach::Unmet;
use crate::complaint::chain;
use crate::tunnel::Fate;

/// The most that is kept of an answer, in bytes.
pub(super) const KEPT: usize = 64 << 10;

/// An open connection.
pub(super) struct Line {
    /// Who is at its other end, in the words of whoever tells of it: `clickhouse events:8123`.
    who: String,
    sender: SendRequest<Full<Bytes>>,
    fate: Fate,
    /// What ends the connection reaches the answer as well.
    _driver: AbortOnDropHandle<()>,
}

/// What a server answered.
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    /// What was read of its body.
    pub(super) body: Vec<u8>,
    /// The connection, where another request may follow on it; or what broke the body off.
    pub(super) end: Result<Option<Line>, Unmet>,
}

impl Line {
    /// Over this stream.
    pub(super) async fn open(stream: Channel, who: String) -> Result<Self, Unmet> {
        let fate = stream.fate();
        let (sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| broke(&who, &fate, &error))?;
        let driver = tokio::spawn(async move { drop(connection.await) });
        Ok(Self { who, sender, fate, _driver: AbortOnDropHandle::new(driver) })
    }

    /// One answer.
    pub(super) async fn exchange(mut self, request: Request<Full<Bytes>>) -> Result<Reply, Unmet> {
        let answered = self.sender.send_request(request).await;
        let (head, mut rest) = answered.map_err(|error| broke(&self.who, &self.fate, &error))?.into_parts();
        let mut body = Vec::new();
        let end = loop {
            match rest.frame().await {
                Some(Ok(frame)) => body.extend_from_slice(frame.data_ref().unwrap_or(&Bytes::new())),
                Some(Err(error)) => break Err(broke(&self.who, &self.fate, &error)),
                None => break Ok(true),
            }
            if body.len() > KEPT {
                break Ok(false);
            }
        };
        let end = match end {
            Ok(true) if self.sender.ready().await.is_ok() => Ok(Some(self)),
            Ok(_) => Ok(None),
            Err(unmet) => Err(unmet),
        };
        Ok(Reply { status: head.status, headers: head.headers, body, end })
    }
}

fn broke(who: &str, fate: &Fate, error: &hyper::Error) -> Unmet {
    Unmet::broke(fate, format!("{who} gave no valid answer: {}", chain(error)))
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;

    use crate::probes::stand::{actual, for_web_test, look, serve, trusting};

    #[tokio::test]
    async fn whoever_speaks_http_is_talked_to_over_tls_where_that_is_claimed() {
        for (system, more) in [
            ("clickhouse", "user: app"),
            ("s3", "access-key: app, secret-key: {value: hunter22}"),
            ("pgadmin", "email: me@example.com, password: {value: hunter22}"),
        ] {
            let port = serve(async |stream| {
                let mut stream = for_web_test().accept(stream).await?;
                stream.read(&mut [0; 64]).await.map(drop)
            })
            .await;
            let check = |tls: &str| format!("{system}: {{at: 'host/127.0.0.1:{port}', {more}, {tls}}}");
            let verdict = look(&check(&trusting("events.data.svc"))).await;
            let said =
                format!("{system} host/127.0.0.1:{port} has a certificate for web.test, and not for events.data.svc");
            assert_eq!(actual(&verdict), said);
            // Who passes is asked something, and closes without an answer.
            let verdict = look(&check(&trusting("web.test"))).await;
            assert!(actual(&verdict).contains("gave no valid answer"), "{verdict:?}");
        }
    }
}
