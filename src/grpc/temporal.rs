//! Temporal's API, as much of it as a client needs that starts a workflow and a worker that finishes it
//! (`temporal/api/workflowservice/v1/request_response.proto` of temporalio/api, and what that names). Fields that are not here are
//! passed over when they come, and not sent.

use std::collections::BTreeMap;

use prost::Message;

/// The service, by which its health is asked for as well.
pub(crate) const SERVICE: &str = "temporal.api.workflowservice.v1.WorkflowService";

/// A call of it: its name, and what goes there and back.
pub(crate) trait Call: Message + Default {
    /// Its name.
    const NAME: &'static str;
    /// What comes back.
    type Answer: Message + Default;
}

macro_rules! calls {
    ($($question:ident, $name:literal, $answer:ident;)*) => {
        $(impl Call for $question {
            const NAME: &'static str = $name;
            type Answer = $answer;
        })*
    };
}

calls! {
    GetSystemInfoRequest, "GetSystemInfo", GetSystemInfoResponse;
    DescribeNamespaceRequest, "DescribeNamespace", DescribeNamespaceResponse;
    StartWorkflowExecutionRequest, "StartWorkflowExecution", StartWorkflowExecutionResponse;
    PollWorkflowTaskQueueRequest, "PollWorkflowTaskQueue", PollWorkflowTaskQueueResponse;
    RespondWorkflowTaskCompletedRequest, "RespondWorkflowTaskCompleted", Nothing;
    DescribeWorkflowExecutionRequest, "DescribeWorkflowExecution", DescribeWorkflowExecutionResponse;
    GetWorkflowExecutionHistoryRequest, "GetWorkflowExecutionHistory", GetWorkflowExecutionHistoryResponse;
    DeleteWorkflowExecutionRequest, "DeleteWorkflowExecution", Nothing;
}

/// An answer of which nothing is read.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct Nothing {}

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct GetSystemInfoRequest {}

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct GetSystemInfoResponse {
    #[prost(string, tag = "1")]
    pub(crate) server_version: String,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct DescribeNamespaceRequest {
    #[prost(string, tag = "1")]
    pub(crate) namespace: String,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct DescribeNamespaceResponse {
    #[prost(message, optional, tag = "1")]
    pub(crate) namespace_info: Option<NamespaceInfo>,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct NamespaceInfo {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    /// Of [`NAMESPACE_STATES`].
    #[prost(int32, tag = "2")]
    pub(crate) state: i32,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct StartWorkflowExecutionRequest {
    #[prost(string, tag = "1")]
    pub(crate) namespace: String,
    #[prost(string, tag = "2")]
    pub(crate) workflow_id: String,
    #[prost(message, optional, tag = "3")]
    pub(crate) workflow_type: Option<WorkflowType>,
    #[prost(message, optional, tag = "4")]
    pub(crate) task_queue: Option<TaskQueue>,
    #[prost(message, optional, tag = "5")]
    pub(crate) input: Option<Payloads>,
    /// After how long the server ends it by itself.
    #[prost(message, optional, tag = "6")]
    pub(crate) workflow_execution_timeout: Option<Span>,
    #[prost(string, tag = "9")]
    pub(crate) identity: String,
    #[prost(string, tag = "10")]
    pub(crate) request_id: String,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct StartWorkflowExecutionResponse {
    #[prost(string, tag = "1")]
    pub(crate) run_id: String,
}

/// A worker waits for the next task of a queue.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct PollWorkflowTaskQueueRequest {
    #[prost(string, tag = "1")]
    pub(crate) namespace: String,
    #[prost(message, optional, tag = "2")]
    pub(crate) task_queue: Option<TaskQueue>,
    #[prost(string, tag = "3")]
    pub(crate) identity: String,
}

/// Without a token: there was no task for as long as the call may take.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct PollWorkflowTaskQueueResponse {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) task_token: Vec<u8>,
    #[prost(message, optional, tag = "2")]
    pub(crate) workflow_execution: Option<WorkflowExecution>,
    #[prost(message, optional, tag = "8")]
    pub(crate) history: Option<History>,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct RespondWorkflowTaskCompletedRequest {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) task_token: Vec<u8>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) commands: Vec<Command>,
    #[prost(string, tag = "3")]
    pub(crate) identity: String,
    #[prost(string, tag = "9")]
    pub(crate) namespace: String,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct Command {
    #[prost(int32, tag = "1")]
    pub(crate) command_type: i32,
    #[prost(message, optional, tag = "4")]
    pub(crate) complete_workflow_execution: Option<Completion>,
}

/// `COMMAND_TYPE_COMPLETE_WORKFLOW_EXECUTION`.
pub(crate) const COMPLETE: i32 = 4;

/// With what a workflow is finished: as a worker says it, and as the history has it.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct Completion {
    #[prost(message, optional, tag = "1")]
    pub(crate) result: Option<Payloads>,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct DescribeWorkflowExecutionRequest {
    #[prost(string, tag = "1")]
    pub(crate) namespace: String,
    #[prost(message, optional, tag = "2")]
    pub(crate) execution: Option<WorkflowExecution>,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct DescribeWorkflowExecutionResponse {
    #[prost(message, optional, tag = "2")]
    pub(crate) workflow_execution_info: Option<WorkflowExecutionInfo>,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct WorkflowExecutionInfo {
    #[prost(message, optional, tag = "1")]
    pub(crate) execution: Option<WorkflowExecution>,
    /// Of [`WORKFLOW_STATUSES`].
    #[prost(int32, tag = "5")]
    pub(crate) status: i32,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct GetWorkflowExecutionHistoryRequest {
    #[prost(string, tag = "1")]
    pub(crate) namespace: String,
    #[prost(message, optional, tag = "2")]
    pub(crate) execution: Option<WorkflowExecution>,
    #[prost(int32, tag = "6")]
    pub(crate) history_event_filter_type: i32,
}

/// `HISTORY_EVENT_FILTER_TYPE_CLOSE_EVENT`: the last one alone, of a workflow that is over.
pub(crate) const CLOSE_EVENT: i32 = 2;

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct GetWorkflowExecutionHistoryResponse {
    #[prost(message, optional, tag = "1")]
    pub(crate) history: Option<History>,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct DeleteWorkflowExecutionRequest {
    #[prost(string, tag = "1")]
    pub(crate) namespace: String,
    #[prost(message, optional, tag = "2")]
    pub(crate) workflow_execution: Option<WorkflowExecution>,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct WorkflowType {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct WorkflowExecution {
    #[prost(string, tag = "1")]
    pub(crate) workflow_id: String,
    #[prost(string, tag = "2")]
    pub(crate) run_id: String,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct TaskQueue {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(int32, tag = "2")]
    pub(crate) kind: i32,
}

impl TaskQueue {
    /// One that every worker may have a part in (`TASK_QUEUE_KIND_NORMAL`).
    pub(crate) fn normal(name: &str) -> Self {
        Self { name: name.to_owned(), kind: 1 }
    }
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct Payloads {
    #[prost(message, repeated, tag = "1")]
    pub(crate) payloads: Vec<Payload>,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct Payload {
    /// How the data is to be read, for who shows it: `encoding` is `json/plain`.
    #[prost(btree_map = "string, bytes", tag = "1")]
    pub(crate) metadata: BTreeMap<String, Vec<u8>>,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) data: Vec<u8>,
}

impl Payloads {
    /// One text.
    pub(crate) fn text(text: &str) -> Self {
        let metadata = std::iter::once(("encoding".to_owned(), b"json/plain".to_vec())).collect();
        Self { payloads: vec![Payload { metadata, data: format!("\"{text}\"").into_bytes() }] }
    }
}

/// The first of all, and the last one of a workflow that was completed; others are without content here.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct HistoryEvent {
    #[prost(int64, tag = "1")]
    pub(crate) event_id: i64,
    #[prost(int32, tag = "3")]
    pub(crate) event_type: i32,
    #[prost(message, optional, tag = "6")]
    pub(crate) started: Option<Started>,
    #[prost(message, optional, tag = "7")]
    pub(crate) completed: Option<Completion>,
}

/// `EVENT_TYPE_WORKFLOW_EXECUTION_…`.
pub(crate) const STARTED_EVENT: i32 = 1;
pub(crate) const COMPLETED_EVENT: i32 = 2;
pub(crate) const FAILED_EVENT: i32 = 3;

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct Started {
    #[prost(message, optional, tag = "6")]
    pub(crate) input: Option<Payloads>,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct History {
    #[prost(message, repeated, tag = "1")]
    pub(crate) events: Vec<HistoryEvent>,
}

/// `google.protobuf.Duration`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct Span {
    #[prost(int64, tag = "1")]
    pub(crate) seconds: i64,
}

/// Numbers of states of a namespace, and of statuses of a workflow.
pub(crate) const REGISTERED: i32 = 1;
pub(crate) const DEPRECATED: i32 = 2;
pub(crate) const DELETED: i32 = 3;
pub(crate) const RUNNING: i32 = 1;
pub(crate) const COMPLETED: i32 = 2;
pub(crate) const FAILED: i32 = 3;

/// How a namespace can be, in the order of their numbers.
pub(crate) const NAMESPACE_STATES: [&str; 4] = ["UNSPECIFIED", "REGISTERED", "DEPRECATED", "DELETED"];

/// How a workflow can be, in the order of their numbers.
pub(crate) const WORKFLOW_STATUSES: [&str; 9] = [
    "UNSPECIFIED",
    "RUNNING",
    "COMPLETED",
    "FAILED",
    "CANCELED",
    "TERMINATED",
    "CONTINUED_AS_NEW",
    "TIMED_OUT",
    "PAUSED",
];

/// The name of a number.
pub(crate) fn named(names: &[&str], number: i32) -> String {
    let name = usize::try_from(number).ok().and_then(|number| names.get(number));
    name.map_or_else(|| format!("number {number}"), |name| (*name).to_owned())
}
