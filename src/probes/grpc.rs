//! Calls of gRPC over a stream we hold, one answer to each.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use h2::RecvStream;
use h2::client::{self, SendRequest};
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, TE};
use hyper::{Request, StatusCode, Uri, Version};
use prost::Message;
use tokio_util::task::AbortOnDropHandle;

use super::Unseen;
use super::channel::Channel;
use super::line::KEPT;
use super::reach::{Failure, Heard, Unmet};
use crate::checks::Obstacle;
use crate::complaint::chain;
use crate::grpc::{self, Status};
use crate::tunnel::Fate;

/// An open connection.
pub(super) struct Calls {
    /// Who is at its other end, in the words of whoever tells of it: `temporal flows:7233`.
    who: String,
    /// Its place within an address: `http://flows.data.svc:7233`.
    place: String,
    sender: SendRequest<Bytes>,
    fate: Fate,
    /// What it says is noted.
    heard: Heard,
    course: Course,
    /// What ends the connection reaches the calls as well.
    _driver: AbortOnDropHandle<()>,
}

/// How far a conversation has come, for whoever tells of a silence. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Course(Arc<Mutex<Asked>>);

/// Calls by their names.
#[derive(Clone, Default)]
pub(super) struct Asked {
    /// The one that is not answered yet.
    pub(super) now: Option<String>,
    /// The last that was answered.
    pub(super) answered: Option<String>,
}

impl Course {
    pub(super) fn so_far(&self) -> Asked {
        self.lock().clone()
    }

    fn begin(&self, name: &str) {
        self.lock().now = Some(name.to_owned());
    }

    fn end(&self) {
        let mut asked = self.lock();
        asked.answered = asked.now.take();
    }

    fn lock(&self) -> MutexGuard<'_, Asked> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What came in answer, before it is known to be one.
struct Reply {
    status: StatusCode,
    fields: HeaderMap,
    body: Vec<u8>,
    trailers: Option<HeaderMap>,
}

impl Calls {
    /// Over this stream. `place` is the scheme, the name and the port that are asked for.
    pub(super) async fn open(
        stream: Channel,
        who: String,
        place: String,
        (heard, course): (Heard, Course),
    ) -> Result<Self, Unmet> {
        let fate = stream.fate();
        let (sender, connection) = client::handshake(stream).await.map_err(|error| broke(&who, &fate, &error))?;
        let driver = tokio::spawn(async move { drop(connection.await) });
        Ok(Self { who, place, sender, fate, heard, course, _driver: AbortOnDropHandle::new(driver) })
    }

    /// One call by its path. The server is told how long it may take, and told so as well by whoever drops this.
    ///
    /// # Errors
    /// The server's own: the code, then its words. What ends the conversation, and what is no answer.
    pub(super) async fn call<A: Message + Default>(
        &self,
        path: &str,
        question: &impl Message,
        time: Duration,
    ) -> Result<A, Failure> {
        let request = self.request(path, time)?;
        let name = path.rsplit('/').next().unwrap_or_default();
        self.course.begin(name);
        let reply = self.exchange(request, grpc::framed(question)).await;
        let reply = reply.map_err(|error| broke(&self.who, &self.fate, &error))?;
        self.heard.note();
        self.course.end();
        self.read(name, &reply)
    }

    fn request(&self, path: &str, time: Duration) -> Result<Request<()>, Unseen> {
        let unsendable = |error: &dyn std::fmt::Display| Unseen(format!("cannot make a call to {}: {error}", self.who));
        let uri: Uri = format!("{}{path}", self.place).parse().map_err(|error| unsendable(&error))?;
        Request::post(uri)
            .version(Version::HTTP_2)
            .header(CONTENT_TYPE, grpc::CONTENT_TYPE)
            .header(TE, HeaderValue::from_static("trailers"))
            .header(HeaderName::from_static(grpc::TIMEOUT), grpc::timeout_sent(time))
            .body(())
            .map_err(|error| unsendable(&error))
    }

    async fn exchange(&self, request: Request<()>, message: Bytes) -> Result<Reply, h2::Error> {
        let mut sender = self.sender.clone().ready().await?;
        let (response, mut stream) = sender.send_request(request, false)?;
        stream.send_data(message, true)?;
        let (head, rest) = response.await?.into_parts();
        let (body, trailers) = read(rest).await?;
        Ok(Reply { status: head.status, fields: head.headers, body, trailers })
    }

    fn read<A: Message + Default>(&self, name: &str, reply: &Reply) -> Result<A, Failure> {
        let strange = |what: &str| Failure::from(Unmet::Obstacle(Obstacle::Broke(format!("{} {what}", self.who))));
        let status = reply.status.as_u16();
        if status != 200 {
            return Err(strange(&format!("answered {name} with HTTP {status}")));
        }
        let kind = reply.fields.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if !kind.starts_with(grpc::CONTENT_TYPE) {
            return Err(strange(&format!("answered {name} with HTTP 200, which is no gRPC")));
        }
        // An answer without a message has its status among the first fields.
        let ended = reply.trailers.as_ref().and_then(Status::read).or_else(|| Status::read(&reply.fields));
        match ended {
            Some(Ok(())) => grpc::unframed(&reply.body)
                .map_err(|misframed| strange(&format!("gave no valid answer: it answered {name} with {misframed}"))),
            Some(Err(status)) => Err(Failure::Said(status.to_string())),
            None => Err(strange(&format!("gave no valid answer: it ended {name} without a status"))),
        }
    }
}

/// A body of bounded length, and what follows it.
async fn read(mut rest: RecvStream) -> Result<(Vec<u8>, Option<HeaderMap>), h2::Error> {
    let mut body = Vec::new();
    while let Some(data) = rest.data().await {
        let data = data?;
        rest.flow_control().release_capacity(data.len())?;
        // What is longer is of another length than it says, then.
        let room = KEPT.saturating_sub(body.len()).min(data.len());
        body.extend_from_slice(&data[..room]);
    }
    Ok((body, rest.trailers().await?))
}

fn broke(who: &str, fate: &Fate, error: &h2::Error) -> Unmet {
    Unmet::broke(fate, format!("{who} gave no valid answer: {}", chain(error)))
}

#[cfg(test)]
mod tests {
    use h2::server;
    use hyper::Response;

    use super::*;
    use crate::probes::stand::{actual, look, serve};

    /// What comes of a look at a server that answers every call with this: its kind, its message, and the status behind it.
    async fn answered(kind: &'static str, message: &'static [u8], status: Option<&'static str>) -> String {
        let port = serve(move |stream| async move {
            let mut connection = server::handshake(stream).await.map_err(std::io::Error::other)?;
            while let Some(call) = connection.accept().await {
                let (request, mut answer) = call.map_err(std::io::Error::other)?;
                assert_eq!(request.headers()["te"], "trailers");
                assert_eq!(request.headers()[grpc::TIMEOUT], "5000m");
                let response = Response::builder().header(CONTENT_TYPE, kind).body(()).unwrap();
                let mut rest = answer.send_response(response, false).map_err(std::io::Error::other)?;
                rest.send_data(Bytes::from_static(message), status.is_none()).map_err(std::io::Error::other)?;
                if let Some(status) = status {
                    let trailers = [(HeaderName::from_static(grpc::STATUS), HeaderValue::from_static(status))];
                    rest.send_trailers(trailers.into_iter().collect()).map_err(std::io::Error::other)?;
                }
            }
            Ok(())
        })
        .await;
        let verdict = look(&format!("temporal: {{at: 'host/127.0.0.1:{port}'}}")).await;
        actual(&verdict).replace(&port.to_string(), "PORT")
    }

    const GRPC: &str = "application/grpc+proto";
    const NOT_SERVING: &[u8] = b"\0\0\0\0\x02\x08\x02";

    #[tokio::test]
    async fn an_answer_is_what_has_a_kind_a_whole_message_and_a_status() {
        let server = "temporal host/127.0.0.1:PORT";
        let invalid = format!("{server} gave no valid answer: it ");
        for (kind, message, status, said) in [
            (GRPC, NOT_SERVING, Some("0"), format!("{server} says of its own health: NOT_SERVING")),
            (GRPC, NOT_SERVING, Some("14"), format!("{server} says of its own health: UNAVAILABLE: ")),
            (GRPC, NOT_SERVING, None, format!("{invalid}ended Check without a status")),
            (GRPC, b"", Some("0"), format!("{invalid}answered Check with a message of another length than it says")),
            (
                GRPC,
                &NOT_SERVING[..6],
                Some("0"),
                format!("{invalid}answered Check with a message of another length than it says"),
            ),
            (
                GRPC,
                b"\x01\0\0\0\0",
                Some("0"),
                format!("{invalid}answered Check with a compressed message, which was not asked for"),
            ),
            (
                GRPC,
                b"\0\0\0\0\x01\x08",
                Some("0"),
                format!("{invalid}answered Check with what is not the message that was asked for"),
            ),
            ("text/html", NOT_SERVING, Some("0"), format!("{server} answered Check with HTTP 200, which is no gRPC")),
        ] {
            assert_eq!(answered(kind, message, status).await, said);
        }
    }
}
