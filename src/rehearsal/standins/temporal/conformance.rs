//! What is true of a Temporal and must be true of its stand-in, as a client sees it.

use std::time::Duration;

use h2::client::{self, SendRequest};
use hyper::body::Bytes;
use hyper::{Request, Version};
use prost::Message;
use tokio::time::{Instant, timeout};

use crate::grpc::health::{self, HealthCheckRequest, HealthCheckResponse};
use crate::grpc::temporal::{
    CLOSE_EVENT, COMPLETE, COMPLETED_EVENT, Call, Command, Completion, DeleteWorkflowExecutionRequest,
    DescribeNamespaceRequest, DescribeWorkflowExecutionRequest, GetSystemInfoRequest,
    GetWorkflowExecutionHistoryRequest, HistoryEvent, NAMESPACE_STATES, Payloads, PollWorkflowTaskQueueRequest,
    PollWorkflowTaskQueueResponse, RespondWorkflowTaskCompletedRequest, SERVICE, STARTED_EVENT,
    StartWorkflowExecutionRequest, TaskQueue, WORKFLOW_STATUSES, WorkflowExecution, WorkflowType, named,
};
use crate::grpc::{self, Code, Status};
use crate::rehearsal::standins::conformance::Connection;

/// A client that has all that is left of a test's time.
pub(crate) struct Client(SendRequest<Bytes>);

/// How long any call may take, as a server is told that is told something.
const TIME: Duration = Duration::from_secs(20);

impl Client {
    pub(crate) async fn new(stream: Connection) -> Self {
        let (sender, connection) = client::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        Self(sender)
    }

    /// One call, by its path; with no time where none is told.
    pub(crate) async fn call<A: Message + Default>(
        &self,
        path: &str,
        question: &impl Message,
        time: Option<Duration>,
    ) -> Result<A, Status> {
        let mut request = Request::post(format!("http://flows.test{path}"))
            .version(Version::HTTP_2)
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        if let Some(time) = time {
            request = request.header("grpc-timeout", grpc::timeout_sent(time));
        }
        let mut sender = self.0.clone().ready().await.unwrap();
        let (response, mut stream) = sender.send_request(request.body(()).unwrap(), false).unwrap();
        stream.send_data(grpc::framed(question), true).unwrap();
        let (head, mut body) = response.await.unwrap().into_parts();
        assert_eq!(head.status, 200);
        assert!(head.headers["content-type"].to_str().unwrap().starts_with("application/grpc"));
        let mut message = Vec::new();
        while let Some(data) = body.data().await {
            message.extend(data.unwrap());
        }
        let trailers = body.trailers().await.unwrap();
        let ended = trailers.as_ref().and_then(Status::read).or_else(|| Status::read(&head.headers));
        ended.expect("an end without a status").map(|()| grpc::unframed(&message).unwrap())
    }

    pub(crate) async fn ask<Q: Call>(&self, question: &Q) -> Result<Q::Answer, Status> {
        self.call(&format!("/{SERVICE}/{}", Q::NAME), question, Some(TIME)).await
    }

    /// The code, and the words.
    async fn refused<Q: Call>(&self, question: &Q) -> String {
        self.ask(question).await.map(drop).unwrap_err().to_string()
    }

    pub(crate) async fn health(&self, service: &str) -> Result<String, Status> {
        let question = HealthCheckRequest { service: service.to_owned() };
        let answer: HealthCheckResponse = self.call(health::CHECK, &question, Some(TIME)).await?;
        Ok(named(&health::STATUSES, answer.status))
    }

    pub(crate) async fn version(&self) -> Result<String, Status> {
        Ok(self.ask(&GetSystemInfoRequest {}).await?.server_version)
    }

    pub(crate) async fn namespace(&self, name: &str) -> Result<String, Status> {
        let described = self.ask(&DescribeNamespaceRequest { namespace: name.to_owned() }).await?;
        let info = described.namespace_info.unwrap();
        assert_eq!(info.name, name);
        Ok(named(&NAMESPACE_STATES, info.state))
    }
}

/// A workflow of a test's.
#[derive(Clone, Debug)]
pub(crate) struct Flow {
    pub(crate) namespace: String,
    pub(crate) id: String,
    pub(crate) run: String,
}

impl Flow {
    pub(crate) fn new(namespace: &str, id: &str) -> Self {
        Self { namespace: namespace.to_owned(), id: id.to_owned(), run: String::new() }
    }

    fn execution(&self) -> Option<WorkflowExecution> {
        Some(WorkflowExecution { workflow_id: self.id.clone(), run_id: self.run.clone() })
    }

    fn question(&self) -> StartWorkflowExecutionRequest {
        StartWorkflowExecutionRequest {
            namespace: self.namespace.clone(),
            workflow_id: self.id.clone(),
            workflow_type: Some(WorkflowType { name: "conformance".to_owned() }),
            task_queue: Some(TaskQueue::normal(&self.id)),
            input: Some(Payloads::text("input")),
            request_id: format!("{:?}", std::time::SystemTime::now()),
            ..StartWorkflowExecutionRequest::default()
        }
    }

    pub(crate) async fn start(&mut self, client: &Client) -> Result<(), Status> {
        self.run = client.ask(&self.question()).await?.run_id;
        Ok(())
    }

    fn polling(&self) -> PollWorkflowTaskQueueRequest {
        PollWorkflowTaskQueueRequest {
            namespace: self.namespace.clone(),
            task_queue: Some(TaskQueue::normal(&self.id)),
            identity: "conformance".to_owned(),
        }
    }

    pub(crate) async fn poll(
        &self,
        client: &Client,
        time: Option<Duration>,
    ) -> Result<PollWorkflowTaskQueueResponse, Status> {
        client.call(&format!("/{SERVICE}/{}", PollWorkflowTaskQueueRequest::NAME), &self.polling(), time).await
    }

    pub(crate) async fn complete(&self, client: &Client, task_token: Vec<u8>) -> Result<(), Status> {
        let completion = Completion { result: Some(Payloads::text("result")) };
        let question = RespondWorkflowTaskCompletedRequest {
            task_token,
            commands: vec![Command { command_type: COMPLETE, complete_workflow_execution: Some(completion) }],
            identity: "conformance".to_owned(),
            namespace: self.namespace.clone(),
        };
        client.ask(&question).await.map(drop)
    }

    pub(crate) async fn status(&self, client: &Client) -> Result<String, Status> {
        let namespace = self.namespace.clone();
        let question = DescribeWorkflowExecutionRequest { namespace, execution: self.execution() };
        let info = client.ask(&question).await?.workflow_execution_info.unwrap();
        assert_eq!(info.execution.unwrap().workflow_id, self.id);
        Ok(named(&WORKFLOW_STATUSES, info.status))
    }

    pub(crate) async fn history(&self, client: &Client, filter: i32) -> Result<Vec<HistoryEvent>, Status> {
        let question = GetWorkflowExecutionHistoryRequest {
            namespace: self.namespace.clone(),
            execution: self.execution(),
            history_event_filter_type: filter,
        };
        Ok(client.ask(&question).await?.history.unwrap_or_default().events)
    }

    pub(crate) async fn delete(&self, client: &Client) -> Result<(), Status> {
        let namespace = self.namespace.clone();
        let question = DeleteWorkflowExecutionRequest { namespace, workflow_execution: self.execution() };
        client.ask(&question).await.map(drop)
    }

    /// Deletes it and sees it gone, which takes the real one a quarter of a minute.
    pub(crate) async fn vanish(&self, client: &Client) {
        self.delete(client).await.unwrap();
        let gone = async {
            while self.status(client).await.is_ok() {
                tokio::task::yield_now().await;
            }
        };
        timeout(3 * TIME, gone).await.expect("it is still there");
    }
}

/// A Temporal from 1.20 on is well by the name of its service, and tells whoever asks what it is and which namespaces it has.
pub(crate) async fn tells_of_itself(connect: impl AsyncFn() -> Connection) {
    let client = Client::new(connect().await).await;
    for service in [SERVICE, ""] {
        assert_eq!(client.health(service).await, Ok("SERVING".to_owned()), "{service}");
    }
    assert_eq!(client.health("no.such.Service").await.unwrap_err().to_string(), "NOT_FOUND: unknown service");
    assert!(client.version().await.unwrap().starts_with("1."));
    assert_eq!(client.namespace("default").await, Ok("REGISTERED".to_owned()));
    assert_eq!(
        client.namespace("no-such").await.unwrap_err().to_string(),
        "NOT_FOUND: Namespace no-such is not found."
    );
    assert_eq!(client.namespace("").await.unwrap_err().code, Code::InvalidArgument);
    for (path, words) in [
        (format!("/{SERVICE}/NoSuch"), format!("unknown method NoSuch for service {SERVICE}")),
        ("/no.such.Service/Check".to_owned(), "unknown service no.such.Service".to_owned()),
    ] {
        let said = client.call::<HealthCheckResponse>(&path, &HealthCheckRequest::default(), Some(TIME)).await;
        assert_eq!(said, Err(Status::new(Code::Unimplemented, words)));
    }
}

/// A Temporal from 1.20 on hands out the task of a workflow, takes what a worker makes of it, and shows it until it is deleted.
pub(crate) async fn sees_workflows_through(connect: impl AsyncFn() -> Connection, namespace: &str) {
    let (one, other) = (Client::new(connect().await).await, Client::new(connect().await).await);
    let mut flow = Flow::new(namespace, "conformance-through");
    flow.start(&one).await.unwrap();
    assert_eq!(flow.status(&other).await, Ok("RUNNING".to_owned()));
    assert_eq!(flow.history(&other, CLOSE_EVENT).await, Ok(Vec::new()));
    let again = flow.clone().start(&other).await.unwrap_err();
    assert!(again.to_string().starts_with("ALREADY_EXISTS: Workflow execution is already running."), "{again}");
    let task = flow.poll(&other, Some(TIME)).await.unwrap();
    assert_eq!(task.workflow_execution, flow.execution());
    let first = task.history.unwrap().events.into_iter().next().unwrap();
    assert_eq!((first.event_id, first.event_type), (1, STARTED_EVENT));
    assert_eq!(first.started.unwrap().input, Some(Payloads::text("input")));
    flow.complete(&one, task.task_token.clone()).await.unwrap();
    assert_eq!(flow.status(&other).await, Ok("COMPLETED".to_owned()));
    let last = flow.history(&other, CLOSE_EVENT).await.unwrap();
    let [HistoryEvent { event_id: 5, event_type: COMPLETED_EVENT, completed: Some(completed), .. }] = &last[..] else {
        panic!("{last:?}");
    };
    assert_eq!(completed.result, Some(Payloads::text("result")));
    let all = flow.history(&other, 0).await.unwrap();
    assert_eq!((all.first().map(|event| event.event_type), all.last()), (Some(STARTED_EVENT), last.first()));
    let twice = flow.complete(&one, task.task_token).await.unwrap_err();
    assert_eq!(twice.code, Code::NotFound, "{twice}");
    // The name may be used again once it is over, and one that runs is deleted too.
    let former = flow.clone();
    flow.start(&one).await.unwrap();
    assert_ne!(former.run, flow.run);
    assert_eq!(former.status(&other).await, Ok("COMPLETED".to_owned()));
    for flow in [former, flow] {
        flow.vanish(&one).await;
        assert_eq!(flow.status(&other).await.unwrap_err().code, Code::NotFound);
    }
}

/// A Temporal from 1.20 on refuses what cannot be done, each with its code.
pub(crate) async fn refuses(connect: impl AsyncFn() -> Connection, namespace: &str) {
    let client = Client::new(connect().await).await;
    let flow = Flow::new(namespace, "conformance-none");
    let elsewhere = Flow::new("no-such", "conformance-none");
    let missing = "NOT_FOUND: Namespace no-such is not found.";
    assert_eq!(client.refused(&elsewhere.question()).await, missing);
    assert_eq!(client.refused(&elsewhere.polling()).await, missing);
    assert_eq!(elsewhere.status(&client).await.unwrap_err().to_string(), missing);
    assert_eq!(elsewhere.delete(&client).await.unwrap_err().to_string(), missing);
    for (change, words) in [
        (
            (|question| question.workflow_id.clear()) as fn(&mut StartWorkflowExecutionRequest),
            "WorkflowId is not set on request.",
        ),
        (|question| question.workflow_type = None, "WorkflowType is not set on request."),
        (|question| question.task_queue = None, "taskQueue is not set"),
        (|question| question.task_queue = Some(TaskQueue::default()), "missing task queue name"),
    ] {
        let mut question = flow.question();
        change(&mut question);
        assert_eq!(client.refused(&question).await, format!("INVALID_ARGUMENT: {words}"));
    }
    for said in [
        flow.status(&client).await.map(drop),
        flow.history(&client, CLOSE_EVENT).await.map(drop),
        flow.delete(&client).await,
    ] {
        let said = said.unwrap_err().to_string();
        assert_eq!(said, "NOT_FOUND: workflow not found for ID: conformance-none");
    }
    let said = flow.complete(&client, Vec::new()).await.unwrap_err();
    assert_eq!(said.to_string(), "INVALID_ARGUMENT: Task token not set on request.");
    for (time, words) in [
        (None, "INVALID_ARGUMENT: Context timeout is not set."),
        (Some(Duration::from_millis(1500)), "FAILED_PRECONDITION: Context timeout is too short."),
    ] {
        assert_eq!(flow.poll(&client, time).await.map(drop).unwrap_err().to_string(), words);
    }
    // Whoever waits in vain is told so before its time is over: by a second, and more by a server of several parts.
    let since = Instant::now();
    assert_eq!(flow.poll(&client, Some(Duration::from_secs(3))).await, Ok(PollWorkflowTaskQueueResponse::default()));
    assert!((1..3).contains(&since.elapsed().as_secs()), "{:?}", since.elapsed());
}
