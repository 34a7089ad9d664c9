//! The workflows of a Temporal, and the queues of their tasks.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::Fault;
use crate::grpc::temporal::{
    CLOSE_EVENT, COMPLETE, COMPLETED, COMPLETED_EVENT, Completion, DeleteWorkflowExecutionRequest,
    DescribeWorkflowExecutionRequest, DescribeWorkflowExecutionResponse, FAILED, FAILED_EVENT,
    GetWorkflowExecutionHistoryRequest, GetWorkflowExecutionHistoryResponse, History, HistoryEvent, Payloads,
    PollWorkflowTaskQueueRequest, PollWorkflowTaskQueueResponse, RUNNING, RespondWorkflowTaskCompletedRequest,
    STARTED_EVENT, StartWorkflowExecutionRequest, StartWorkflowExecutionResponse, Started, TaskQueue,
    WorkflowExecution, WorkflowExecutionInfo,
};
use crate::grpc::{Code, Status};

/// The event that ends one that did what it had to: after its start, and its task being scheduled, begun and done.
const LAST_EVENT: i64 = 5;

/// The workflows of a server.
#[derive(Debug)]
pub(super) struct Flows {
    all: Mutex<All>,
    /// Tells whoever waits that something has changed.
    changes: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct All {
    flows: Vec<Flow>,
    /// How many have been started.
    count: u64,
}

/// One workflow.
#[derive(Debug)]
struct Flow {
    namespace: String,
    execution: WorkflowExecution,
    queue: String,
    input: Option<Payloads>,
    status: i32,
    result: Option<Payloads>,
    task: Task,
}

/// The one task of a workflow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Task {
    Waits,
    Given,
    Done,
}

impl Default for Flows {
    fn default() -> Self {
        Self { all: Mutex::default(), changes: watch::Sender::new(()) }
    }
}

impl Flows {
    /// To wait for the next change.
    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    /// Lets whoever waits look again.
    pub(super) fn stir(&self) {
        self.changes.send_replace(());
    }

    pub(super) fn start(
        &self,
        question: &StartWorkflowExecutionRequest,
        fault: Option<Fault>,
    ) -> Result<StartWorkflowExecutionResponse, Status> {
        let named = |text: Option<&String>| text.is_some_and(|text| !text.is_empty());
        let invalid = |words: &str| Err(Status::new(Code::InvalidArgument, words));
        if question.workflow_id.is_empty() {
            return invalid("WorkflowId is not set on request.");
        }
        if !named(question.workflow_type.as_ref().map(|kind| &kind.name)) {
            return invalid("WorkflowType is not set on request.");
        }
        let queue = queue(question.task_queue.as_ref())?;
        if fault == Some(Fault::RefusesWorkflows) {
            return Err(Status::new(Code::PermissionDenied, "Request unauthorized."));
        }
        let mut all = self.lock();
        let same = all.flows.iter().find(|flow| {
            flow.namespace == question.namespace
                && flow.execution.workflow_id == question.workflow_id
                && flow.status == RUNNING
        });
        if same.is_some() {
            return Err(Status::new(Code::AlreadyExists, "Workflow execution is already running."));
        }
        all.count += 1;
        let run_id = format!("00000000-0000-4000-8000-{:012x}", all.count);
        if fault != Some(Fault::ForgetsWorkflows) {
            all.flows.push(Flow {
                namespace: question.namespace.clone(),
                execution: WorkflowExecution { workflow_id: question.workflow_id.clone(), run_id: run_id.clone() },
                queue: queue.to_owned(),
                input: question.input.clone(),
                status: RUNNING,
                result: None,
                task: Task::Waits,
            });
        }
        drop(all);
        self.stir();
        Ok(StartWorkflowExecutionResponse { run_id })
    }

    /// The next task of a queue, if there is one.
    pub(super) fn task(
        &self,
        question: &PollWorkflowTaskQueueRequest,
        fault: Option<Fault>,
    ) -> Result<Option<PollWorkflowTaskQueueResponse>, Status> {
        match fault {
            Some(Fault::RefusesWorkers) => return Err(Status::new(Code::PermissionDenied, "Request unauthorized.")),
            Some(Fault::SchedulesNothing) => return Ok(None),
            Some(_) | None => {}
        }
        let queue = queue(question.task_queue.as_ref())?;
        let mut all = self.lock();
        let waits =
            |flow: &&mut Flow| flow.namespace == question.namespace && flow.queue == queue && flow.task == Task::Waits;
        Ok(all.flows.iter_mut().find(waits).map(|flow| {
            flow.task = Task::Given;
            let input = match fault {
                Some(Fault::OtherTasks) => Some(Payloads::text("other")),
                Some(_) | None => flow.input.clone(),
            };
            let first = HistoryEvent {
                event_id: 1,
                event_type: STARTED_EVENT,
                started: Some(Started { input }),
                completed: None,
            };
            PollWorkflowTaskQueueResponse {
                task_token: flow.execution.run_id.clone().into_bytes(),
                workflow_execution: Some(flow.execution.clone()),
                history: Some(History { events: vec![first] }),
            }
        }))
    }

    /// Takes what a worker has done.
    pub(super) fn complete(
        &self,
        question: &RespondWorkflowTaskCompletedRequest,
        fault: Option<Fault>,
    ) -> Result<(), Status> {
        if question.task_token.is_empty() {
            return Err(Status::new(Code::InvalidArgument, "Task token not set on request."));
        }
        let is_of = |flow: &&mut Flow| flow.execution.run_id.as_bytes() == question.task_token;
        let mut all = self.lock();
        let given = all.flows.iter_mut().find(is_of).filter(|flow| flow.task == Task::Given);
        let Some(flow) = given.filter(|_| fault != Some(Fault::RefusesResults)) else {
            return Err(Status::new(Code::NotFound, "Workflow task not found."));
        };
        flow.task = Task::Done;
        let completes = question.commands.iter().find(|command| command.command_type == COMPLETE);
        let Some(command) = completes.filter(|_| fault != Some(Fault::CompletesNothing)) else { return Ok(()) };
        let result = command.complete_workflow_execution.as_ref().and_then(|completion| completion.result.clone());
        (flow.status, flow.result) = match fault {
            Some(Fault::FailsWorkflows) => (FAILED, None),
            Some(Fault::LosesResults) => (COMPLETED, None),
            Some(Fault::OtherResults) => (COMPLETED, Some(Payloads::text("other"))),
            Some(_) | None => (COMPLETED, result),
        };
        Ok(())
    }

    pub(super) fn describe(
        &self,
        question: &DescribeWorkflowExecutionRequest,
    ) -> Result<DescribeWorkflowExecutionResponse, Status> {
        let mut all = self.lock();
        let flow = all.find(&question.namespace, question.execution.as_ref())?;
        let info = WorkflowExecutionInfo { execution: Some(flow.execution.clone()), status: flow.status };
        Ok(DescribeWorkflowExecutionResponse { workflow_execution_info: Some(info) })
    }

    /// The first event, or what ends a workflow that is over where that is asked for.
    pub(super) fn history(
        &self,
        question: &GetWorkflowExecutionHistoryRequest,
        fault: Option<Fault>,
    ) -> Result<GetWorkflowExecutionHistoryResponse, Status> {
        let mut all = self.lock();
        let flow = all.find(&question.namespace, question.execution.as_ref())?;
        if fault == Some(Fault::KeepsNoHistory) {
            return Err(Status::new(Code::NotFound, "Workflow execution history not found."));
        }
        let event_type = if flow.status == FAILED { FAILED_EVENT } else { COMPLETED_EVENT };
        let completed = (flow.status == COMPLETED).then(|| Completion { result: flow.result.clone() });
        let last = HistoryEvent { event_id: LAST_EVENT, event_type, started: None, completed };
        let last = (flow.status != RUNNING).then_some(last);
        let started = Some(Started { input: flow.input.clone() });
        let first = HistoryEvent { event_id: 1, event_type: STARTED_EVENT, started, completed: None };
        let is_last_alone = question.history_event_filter_type == CLOSE_EVENT;
        let events = (!is_last_alone).then_some(first).into_iter().chain(last).collect();
        Ok(GetWorkflowExecutionHistoryResponse { history: Some(History { events }) })
    }

    pub(super) fn delete(&self, question: &DeleteWorkflowExecutionRequest, fault: Option<Fault>) -> Result<(), Status> {
        let mut all = self.lock();
        let execution = all.find(&question.namespace, question.workflow_execution.as_ref())?.execution.clone();
        match fault {
            Some(Fault::RefusesDeletes) => Err(Status::new(Code::PermissionDenied, "Request unauthorized.")),
            Some(_) | None => {
                all.flows.retain(|flow| flow.namespace != question.namespace || flow.execution != execution);
                Ok(())
            }
        }
    }

    #[cfg(test)]
    pub(super) fn count(&self) -> (u64, usize) {
        let all = self.lock();
        (all.count, all.flows.len())
    }

    fn lock(&self) -> MutexGuard<'_, All> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The name of a queue.
fn queue(named: Option<&TaskQueue>) -> Result<&str, Status> {
    let invalid = |words: &str| Status::new(Code::InvalidArgument, words);
    let name = named.ok_or_else(|| invalid("taskQueue is not set"))?.name.as_str();
    if name.is_empty() { Err(invalid("missing task queue name")) } else { Ok(name) }
}

impl All {
    /// By its name, and its run where that is given: else the last one of that name.
    fn find(&mut self, namespace: &str, wanted: Option<&WorkflowExecution>) -> Result<&mut Flow, Status> {
        let unset = || Status::new(Code::InvalidArgument, "Execution is not set on request.");
        let wanted = wanted.ok_or_else(unset)?;
        if wanted.workflow_id.is_empty() {
            return Err(Status::new(Code::InvalidArgument, "WorkflowId is not set on request."));
        }
        let is_one = |flow: &&mut Flow| {
            flow.namespace == namespace
                && flow.execution.workflow_id == wanted.workflow_id
                && (wanted.run_id.is_empty() || flow.execution.run_id == wanted.run_id)
        };
        let missing = || Status::new(Code::NotFound, format!("workflow not found for ID: {}", wanted.workflow_id));
        self.flows.iter_mut().rev().find(is_one).ok_or_else(missing)
    }
}
