//! A Temporal 1.29 of one server: namespaces, workflows, and the queues of their tasks.
//!
//! What it does is what a client needs that starts a workflow, a worker that completes it, and whoever looks at it and deletes it: no
//! activities, no signals, no timers, and of a history its first event and its last.

mod config;
#[cfg(test)]
pub(crate) mod conformance;
mod fault;
mod flows;
#[cfg(test)]
mod tests;

use std::future::poll_fn;
use std::io;
use std::time::Duration;

use futures::stream::{FuturesUnordered, StreamExt as _};
use h2::server::{self, SendResponse};
use h2::{Reason, RecvStream};
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderMap};
use hyper::http::request::Parts;
use hyper::{Request, Response};
use prost::Message;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep_until};

use self::flows::Flows;
use super::switch::Switch;
use crate::grpc::health::{self, HealthCheckRequest, HealthCheckResponse, SERVING, STATUSES};
use crate::grpc::temporal::{
    Call, DELETED, DEPRECATED, DeleteWorkflowExecutionRequest, DescribeNamespaceRequest, DescribeNamespaceResponse,
    DescribeWorkflowExecutionRequest, GetSystemInfoRequest, GetSystemInfoResponse, GetWorkflowExecutionHistoryRequest,
    NamespaceInfo, Nothing, PollWorkflowTaskQueueRequest, PollWorkflowTaskQueueResponse, REGISTERED,
    RespondWorkflowTaskCompletedRequest, SERVICE, StartWorkflowExecutionRequest,
};
use crate::grpc::{self, Code, Status};

pub(crate) use self::config::Config;
pub(crate) use self::fault::Fault;

const VERSION: &str = "1.29.1";
const OLD_VERSION: &str = "0.28.0";

/// A call that waits must have more time than the first, and is answered the second before its time is over
/// (`ValidateLongPollContextTimeout`, `returnEmptyTaskTimeBudget`).
const LEAST_WAIT: Duration = Duration::from_secs(2);
const BUDGET: Duration = Duration::from_secs(1);

/// A Temporal.
#[derive(Debug)]
pub(crate) struct Server {
    config: Config,
    faults: Switch<Fault>,
    flows: Flows,
}

/// What a call brings: a message as it is sent.
type Answered = Result<Bytes, Status>;

impl Server {
    /// A server in order.
    pub(crate) fn new(config: Config) -> Self {
        Self { config, faults: Switch::off(), flows: Flows::default() }
    }

    /// Switches a fault on, or off what is on.
    pub(crate) fn inject(&self, fault: Option<Fault>) {
        self.faults.turn(fault);
        // Whoever waits for a task is to see it.
        self.flows.stir();
    }

    /// How many workflows have been started, and how many are there.
    #[cfg(test)]
    pub(crate) fn flows(&self) -> (u64, usize) {
        self.flows.count()
    }

    /// Serves one connection until either side ends it.
    ///
    /// # Errors
    /// The stream's own, and what is no HTTP/2.
    pub(crate) async fn serve<S>(&self, stream: S) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        if self.faults.is(Fault::SpeaksHttp1) {
            return super::speak_http(stream).await;
        }
        let mut connection = server::handshake(stream).await.map_err(io::Error::other)?;
        let mut calls = FuturesUnordered::new();
        loop {
            tokio::select! {
                came = connection.accept() => match came {
                    Some(call) => {
                        let (request, answer) = call.map_err(io::Error::other)?;
                        calls.push(self.answer(request, answer));
                    }
                    None => return Ok(()),
                },
                // One that failed is over; the others go on.
                Some(_ended) = calls.next(), if !calls.is_empty() => {}
            }
        }
    }

    async fn answer(&self, request: Request<RecvStream>, mut answer: SendResponse<Bytes>) -> Result<(), h2::Error> {
        let (head, body) = request.into_parts();
        let message = whole(body).await?;
        let answered = tokio::select! {
            answered = self.meet(&head, &message) => answered,
            // Whoever asked does not wait any more, and must not be given a task.
            _reset = poll_fn(|context| answer.poll_reset(context)) => return Ok(()),
        };
        let fault = self.faults.on();
        if let Some(status @ (Fault::Status503 | Fault::NotGrpc)) = fault {
            return page(&mut answer, if status == Fault::Status503 { 503 } else { 200 });
        }
        reply(&mut answer, answered, fault == Some(Fault::ClosesMidReply))
    }

    async fn meet(&self, head: &Parts, message: &[u8]) -> Answered {
        self.faults.outlast(Fault::Hangs).await;
        if head.uri.path() != health::CHECK {
            self.faults.outlast(Fault::HangsOnceWell).await;
        }
        match self.faults.on() {
            Some(Fault::Unavailable) => Err(Status::new(Code::Unavailable, "Frontend is not healthy yet")),
            Some(_) | None => self.run(head.uri.path(), message, grpc::timeout_read(&head.headers)).await,
        }
    }

    async fn run(&self, path: &str, message: &[u8], time: Option<Duration>) -> Answered {
        if path == health::CHECK {
            return self.health(message);
        }
        let (service, name) = path.trim_start_matches('/').split_once('/').unwrap_or_default();
        if service != SERVICE {
            return Err(Status::new(Code::Unimplemented, format!("unknown service {service}")));
        }
        if self.faults.is(Fault::Overloaded) {
            return Err(Status::new(Code::ResourceExhausted, "service rate limit exceeded"));
        }
        match name {
            GetSystemInfoRequest::NAME => {
                let version = if self.faults.is(Fault::WrongVersion) { OLD_VERSION } else { VERSION };
                answered(&GetSystemInfoResponse { server_version: version.to_owned() })
            }
            DescribeNamespaceRequest::NAME => self.namespace(&read(message)?),
            StartWorkflowExecutionRequest::NAME => {
                let question: StartWorkflowExecutionRequest = read(message)?;
                self.is_there(&question.namespace)?;
                answered(&self.flows.start(&question, self.faults.on())?)
            }
            PollWorkflowTaskQueueRequest::NAME => {
                let question: PollWorkflowTaskQueueRequest = read(message)?;
                self.is_there(&question.namespace)?;
                self.wait(&question, time).await
            }
            RespondWorkflowTaskCompletedRequest::NAME => {
                let question: RespondWorkflowTaskCompletedRequest = read(message)?;
                self.is_there(&question.namespace)?;
                self.flows.complete(&question, self.faults.on())?;
                answered(&Nothing {})
            }
            DescribeWorkflowExecutionRequest::NAME => {
                let question: DescribeWorkflowExecutionRequest = read(message)?;
                self.is_there(&question.namespace)?;
                answered(&self.flows.describe(&question)?)
            }
            GetWorkflowExecutionHistoryRequest::NAME => {
                let question: GetWorkflowExecutionHistoryRequest = read(message)?;
                self.is_there(&question.namespace)?;
                answered(&self.flows.history(&question, self.faults.on())?)
            }
            DeleteWorkflowExecutionRequest::NAME => {
                let question: DeleteWorkflowExecutionRequest = read(message)?;
                self.is_there(&question.namespace)?;
                self.flows.delete(&question, self.faults.on())?;
                answered(&Nothing {})
            }
            _ => Err(Status::new(Code::Unimplemented, format!("unknown method {name} for service {service}"))),
        }
    }

    fn health(&self, message: &[u8]) -> Answered {
        let HealthCheckRequest { service } = read(message)?;
        if !service.is_empty() && service != SERVICE {
            return Err(Status::new(Code::NotFound, "unknown service"));
        }
        let status = if self.faults.is(Fault::NotServing) { "NOT_SERVING" } else { SERVING };
        let number = STATUSES.iter().position(|name| *name == status).and_then(|number| number.try_into().ok());
        answered(&HealthCheckResponse { status: number.unwrap_or_default() })
    }

    fn namespace(&self, question: &DescribeNamespaceRequest) -> Answered {
        if question.namespace.is_empty() {
            return Err(Status::new(Code::InvalidArgument, "Namespace not set on request."));
        }
        self.is_there(&question.namespace)?;
        let state = match self.faults.on() {
            Some(Fault::NamespaceDeprecated) => DEPRECATED,
            Some(Fault::NamespaceDeleted) => DELETED,
            Some(_) | None => REGISTERED,
        };
        let name = question.namespace.clone();
        answered(&DescribeNamespaceResponse { namespace_info: Some(NamespaceInfo { name, state }) })
    }

    fn is_there(&self, namespace: &str) -> Result<(), Status> {
        let is_there = match self.faults.on() {
            Some(Fault::NoNamespace) => false,
            Some(Fault::AnyNamespace) => true,
            Some(_) | None => self.config.namespaces.iter().any(|name| name == namespace),
        };
        let missing = || Status::new(Code::NotFound, format!("Namespace {namespace} is not found."));
        is_there.then_some(()).ok_or_else(missing)
    }

    /// Waits for a task, as long as the caller does.
    async fn wait(&self, question: &PollWorkflowTaskQueueRequest, time: Option<Duration>) -> Answered {
        let Some(time) = time else {
            return Err(Status::new(Code::InvalidArgument, "Context timeout is not set."));
        };
        if time < LEAST_WAIT {
            return Err(Status::new(Code::FailedPrecondition, "Context timeout is too short."));
        }
        let over = Instant::now() + time - BUDGET;
        let mut changes = self.flows.changes();
        loop {
            if let Some(task) = self.flows.task(question, self.faults.on())? {
                return answered(&task);
            }
            tokio::select! {
                () = sleep_until(over) => return answered(&PollWorkflowTaskQueueResponse::default()),
                // The sender is our own: it cannot be gone.
                _changed = changes.changed() => {}
            }
        }
    }
}

/// All of what was sent.
async fn whole(mut body: RecvStream) -> Result<Vec<u8>, h2::Error> {
    let mut message = Vec::new();
    while let Some(data) = body.data().await {
        let data = data?;
        body.flow_control().release_capacity(data.len())?;
        message.extend_from_slice(&data);
    }
    Ok(message)
}

fn read<M: Message + Default>(message: &[u8]) -> Result<M, Status> {
    let unread = |why| Status::new(Code::Internal, format!("grpc: failed to unmarshal the received message: {why}"));
    grpc::unframed(message).map_err(unread)
}

#[expect(clippy::unnecessary_wraps, reason = "it is the end of what can fail")]
fn answered(message: &impl Message) -> Answered {
    Ok(grpc::framed(message))
}

/// Sends what a call has brought; half of it, and then the end of the call, where it `breaks`.
fn reply(answer: &mut SendResponse<Bytes>, answered: Answered, breaks: bool) -> Result<(), h2::Error> {
    let mut response = Response::new(());
    response.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(grpc::CONTENT_TYPE));
    let (message, status) = match answered {
        Ok(message) => (Some(message), Ok(())),
        Err(status) => (None, Err(status)),
    };
    // Of our own words there is none that could not be sent.
    let trailers = Status::sent(&status).unwrap_or_default();
    let Some(message) = message else {
        response.headers_mut().extend(trailers);
        return answer.send_response(response, true).map(drop);
    };
    let mut rest = answer.send_response(response, false)?;
    if breaks {
        rest.send_data(message.slice(..message.len() / 2), false)?;
        rest.send_reset(Reason::INTERNAL_ERROR);
        return Ok(());
    }
    rest.send_data(message, false)?;
    rest.send_trailers(trailers)
}

/// As a web server answers.
fn page(answer: &mut SendResponse<Bytes>, status: u16) -> Result<(), h2::Error> {
    let mut response = Response::new(());
    *response.status_mut() = hyper::StatusCode::from_u16(status).unwrap_or_default();
    let mut fields = HeaderMap::new();
    fields.insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static("text/html"));
    *response.headers_mut() = fields;
    let mut rest = answer.send_response(response, false)?;
    rest.send_data(Bytes::from_static(b"<html>It works!</html>\n"), true)
}
