//! Twin of `checks/temporal.rs`.
//!
//! Its traps, as Temporal 1.29 has them:
//!
//! - The port accepts, and gRPC is spoken, long before anything can be kept: what counts is the health of the service by its full name.
//! - A namespace that was just registered is not known everywhere for a second or more, and one that is not there is the same error.
//! - That a workflow was started says nothing of the parts that hand out its tasks (matching) and take their results (history): only a
//!   worker meets all of them.
//! - A call that waits for a task is answered with nothing a second or two before its time is over, and refused where that is less than
//!   two seconds away.
//! - A deletion is taken at once and done a quarter of a minute later: that it was taken is all that is waited for.
//!
//! A workflow of ours is named after the run, ends by itself after a minute, and is deleted by a task that outlives a look that is
//! dropped.

#[cfg(test)]
mod tests;

use std::time::Duration;

use tokio::time::timeout;

use super::channel::Tls;
use super::grpc::{Calls, Course};
use super::http::host_name;
use super::reach::{Failure, Heard, Unmet, heard, silent};
use super::{Made, Site, Unseen, token};
use crate::checks::{
    Address, Obstacle, Temporal, TemporalAnswer, TemporalFacts, TemporalResult, TemporalRun, TemporalStart,
    TemporalTask,
};
use crate::grpc::health::{self, HealthCheckRequest, HealthCheckResponse};
use crate::grpc::temporal::{
    CLOSE_EVENT, COMPLETE, Call, Command, Completion, DeleteWorkflowExecutionRequest, DescribeNamespaceRequest,
    DescribeWorkflowExecutionRequest, GetSystemInfoRequest, GetWorkflowExecutionHistoryRequest, NAMESPACE_STATES,
    Payloads, PollWorkflowTaskQueueRequest, PollWorkflowTaskQueueResponse, REGISTERED,
    RespondWorkflowTaskCompletedRequest, SERVICE, Span, StartWorkflowExecutionRequest, TaskQueue, WORKFLOW_STATUSES,
    WorkflowExecution, WorkflowType, named,
};
use crate::tunnel::Dialer;

/// Longest time for seeing a workflow through, and for having it removed; both bound a task that nobody waits for.
const WRITE: Duration = Duration::from_secs(15);
const REMOVE: Duration = Duration::from_secs(5);

/// Longest time that a server gets for a call, as it is told.
const CALL: Duration = Duration::from_secs(5);

/// How long a worker waits for a task, and the shortest time for that; the server gets more, so that it is us who give up, and more than
/// the ten seconds below which it would log a warning.
const TASK: Duration = Duration::from_secs(5);
const LEAST_TASK: Duration = Duration::from_secs(1);
const MORE: Duration = Duration::from_secs(6);

/// After how many seconds a workflow ends that we could not remove.
const LIFE: i64 = 60;

/// Of what type our workflows are, and who we are to the server.
const KIND: &str = "seaworthy-check";
const IDENTITY: &str = "seaworthy";

/// The codes of a server that does not say whether it has done what it was asked for.
const UNTOLD: [&str; 5] = ["UNAVAILABLE:", "DEADLINE_EXCEEDED:", "CANCELLED:", "UNKNOWN:", "INTERNAL:"];

pub(super) async fn observe(claim: &Temporal, site: &Site<'_>) -> Result<TemporalAnswer, Unseen> {
    let course = Course::default();
    let silence = || {
        let (at, asked) = (&claim.at, course.so_far());
        TemporalAnswer::Unmet(match (asked.answered, asked.now) {
            (_, Some(call)) if call == PollWorkflowTaskQueueRequest::NAME => {
                Obstacle::Broke(format!("temporal {at} took a workflow, and no task of it came to a worker"))
            }
            (Some(last), Some(call)) => {
                Obstacle::Broke(format!("temporal {at} answered {last} and does not answer {call}"))
            }
            (None, _) | (_, None) => silent("temporal", at),
        })
    };
    let seen = site.hearing(claim, silence, visit(claim, site, &course)).await;
    seen.or_else(|unmet| unmet.answer(TemporalAnswer::Unmet))
}

async fn visit(claim: &Temporal, site: &Site<'_>, course: &Course) -> Result<TemporalAnswer, Unmet> {
    let server = Server::of(claim, site, course).await?;
    let calls = server.over(site.dial(&server.place).await?).await?;
    let question = HealthCheckRequest { service: SERVICE.to_owned() };
    match heard(calls.call::<HealthCheckResponse>(health::CHECK, &question, CALL).await)? {
        Ok(answer) => match named(&health::STATUSES, answer.status) {
            status if status == health::SERVING => {}
            status => return Ok(TemporalAnswer::Unwell(status)),
        },
        Err(error) => return Ok(TemporalAnswer::Unwell(error)),
    }
    let version = match heard(ask(&calls, &GetSystemInfoRequest {}).await)? {
        Ok(info) => info.server_version,
        Err(error) => return Ok(TemporalAnswer::Refused(GetSystemInfoRequest::NAME, error)),
    };
    let namespace = state(&calls, &claim.namespace).await?;
    let mut facts = TemporalFacts { version, namespace, nobodys: None, workflow: None, leftover: None };
    if facts.namespace.as_deref() == Ok(named(&NAMESPACE_STATES, REGISTERED).as_str()) {
        facts.nobodys = Some(state(&calls, &format!("seaworthy-{}", token())).await?);
        if claim.writes {
            // What was started is removed even where this look is given up half-way, and the run does not end before that.
            let task = site.prober.hub.here(TASK).max(LEAST_TASK);
            let place = Place::new(claim, site, task);
            let proof = prove(server, calls, place, site.prober.made.clone());
            let proof = site.prober.unfinished.spawn(proof).await;
            let lost = |error| Unmet::from(Unseen(format!("the workflow was not seen through: {error}")));
            let (start, leftover) = proof.map_err(lost)??;
            (facts.workflow, facts.leftover) = (Some(start), leftover);
        }
    }
    Ok(TemporalAnswer::Open(facts.into()))
}

/// The state of a namespace, or the error in place of it.
async fn state(calls: &Calls, namespace: &str) -> Result<Result<String, String>, Unmet> {
    let described = heard(ask(calls, &DescribeNamespaceRequest { namespace: namespace.to_owned() }).await)?;
    let state = |info: Option<_>| info.map_or(0, |info: crate::grpc::temporal::NamespaceInfo| info.state);
    Ok(described.map(|described| named(&NAMESPACE_STATES, state(described.namespace_info))))
}

/// One call that is answered at once.
async fn ask<Q: Call>(calls: &Calls, question: &Q) -> Result<Q::Answer, Failure> {
    within(calls, question, CALL).await
}

async fn within<Q: Call>(calls: &Calls, question: &Q, time: Duration) -> Result<Q::Answer, Failure> {
    calls.call(&format!("/{SERVICE}/{}", Q::NAME), question, time).await
}

/// One server, and how it is reached.
struct Server {
    /// As the claim names it.
    at: Address,
    /// The one of those behind it that is talked to.
    place: Address,
    dialer: Dialer,
    tls: Tls,
    heard: Heard,
    course: Course,
    namespace: String,
}

impl Server {
    async fn of(claim: &Temporal, site: &Site<'_>, course: &Course) -> Result<Self, Unmet> {
        Ok(Self {
            at: claim.at.clone(),
            tls: Tls::of(claim.tls.as_ref(), site).await?.agreeing_on(b"h2"),
            place: site.prober.dialer.one(&claim.at, site.namespace()).await?,
            dialer: site.prober.dialer.clone(),
            heard: site.heard.clone(),
            course: course.clone(),
            namespace: site.namespace().to_owned(),
        })
    }

    async fn open(&self) -> Result<Calls, Unmet> {
        self.over(self.dialer.dial(&self.place, &self.namespace).await?).await
    }

    async fn over(&self, stream: crate::tunnel::Stream) -> Result<Calls, Unmet> {
        let (who, name) = (format!("temporal {}", self.at), host_name(&self.at, &self.namespace));
        let scheme = if self.tls.is_claimed() { "https" } else { "http" };
        let place = format!("{scheme}://{name}:{}", self.at.port);
        let told = (self.heard.clone(), self.course.clone());
        Calls::open(self.tls.over(stream, &who, &name).await?, who, place, told).await
    }
}

/// Where a workflow of ours is, and how it is worked on.
struct Place {
    namespace: String,
    /// Its own name, and that of its task queue.
    id: String,
    /// Of what the server has taken; empty before that.
    run: String,
    /// How long a worker waits.
    task: Duration,
}

impl Place {
    fn new(claim: &Temporal, site: &Site<'_>, task: Duration) -> Self {
        let id = format!("seaworthy-{}-{}", site.prober.run, token());
        Self { namespace: claim.namespace.clone(), id, run: String::new(), task }
    }

    fn execution(&self) -> Option<WorkflowExecution> {
        Some(WorkflowExecution { workflow_id: self.id.clone(), run_id: self.run.clone() })
    }

    fn queue(&self) -> Option<TaskQueue> {
        Some(TaskQueue::normal(&self.id))
    }
}

/// One workflow, from its start to its end, and what of it could not be removed after that.
async fn prove(
    server: Server,
    calls: Calls,
    mut place: Place,
    left: Made,
) -> Result<(TemporalStart, Option<String>), Unmet> {
    let mut is_there = true;
    let made = timeout(WRITE, make(&calls, &mut place, &mut is_there)).await;
    let mut leftover = None;
    if is_there {
        let workflow = format!("workflow {} in namespace {} of temporal {}", place.id, place.namespace, server.at);
        leftover = match timeout(REMOVE, remove(&server, calls, &place)).await {
            Ok(Ok(())) => None,
            Ok(Err(failure)) => Some(format!("{workflow}: {}", failure.words())),
            Err(_) => Some(format!("{workflow}: no answer within {} s", REMOVE.as_secs())),
        };
    }
    leftover.iter().for_each(|what| left.leave(what.clone()));
    match made {
        Ok(made) => Ok((made?, leftover)),
        Err(_) => {
            let seconds = WRITE.as_secs();
            let words = format!("temporal {} did not see a workflow through within {seconds} s", server.at);
            Err(Unmet::Obstacle(Obstacle::Broke(words)))
        }
    }
}

async fn make(calls: &Calls, place: &mut Place, is_there: &mut bool) -> Result<TemporalStart, Unmet> {
    let input = Payloads::text(&token());
    match heard(ask(calls, &start(place, &input)).await)? {
        Ok(started) => place.run = started.run_id,
        Err(error) => {
            *is_there = UNTOLD.iter().any(|code| error.starts_with(code));
            return Ok(TemporalStart::Refused(error));
        }
    }
    let (task, given) = match heard(poll(calls, place).await)? {
        Ok(polled) => worked_on(place, &input, polled),
        Err(error) => (TemporalTask::Refused(error), None),
    };
    let done = match given {
        Some(token) => Some(heard(ask(calls, &completion(place, token, input.clone())).await)?.map(drop)),
        None => None,
    };
    let question =
        DescribeWorkflowExecutionRequest { namespace: place.namespace.clone(), execution: place.execution() };
    let described = heard(ask(calls, &question).await)?;
    let status = described
        .map(|described| named(&WORKFLOW_STATUSES, described.workflow_execution_info.map_or(0, |info| info.status)));
    let result = match &done {
        Some(Ok(())) => Some(result(calls, place, &input).await?),
        Some(Err(_)) | None => None,
    };
    Ok(TemporalStart::Taken(TemporalRun { task, done, status, result }.into()))
}

fn start(place: &Place, input: &Payloads) -> StartWorkflowExecutionRequest {
    StartWorkflowExecutionRequest {
        namespace: place.namespace.clone(),
        workflow_id: place.id.clone(),
        workflow_type: Some(WorkflowType { name: KIND.to_owned() }),
        task_queue: place.queue(),
        input: Some(input.clone()),
        workflow_execution_timeout: Some(Span { seconds: LIFE }),
        identity: IDENTITY.to_owned(),
        request_id: token(),
    }
}

/// Waits for a task as a worker does; nothing has come where the time is over, whoever says so.
async fn poll(calls: &Calls, place: &Place) -> Result<PollWorkflowTaskQueueResponse, Failure> {
    let question = PollWorkflowTaskQueueRequest {
        namespace: place.namespace.clone(),
        task_queue: place.queue(),
        identity: IDENTITY.to_owned(),
    };
    match timeout(place.task, within(calls, &question, place.task + MORE)).await {
        Ok(polled) => polled,
        Err(_) => Ok(PollWorkflowTaskQueueResponse::default()),
    }
}

/// What a task is, and by which token it is told to be done, where it is ours.
fn worked_on(
    place: &Place,
    input: &Payloads,
    polled: PollWorkflowTaskQueueResponse,
) -> (TemporalTask, Option<Vec<u8>>) {
    if polled.task_token.is_empty() {
        return (TemporalTask::Nothing, None);
    }
    let is_ours = polled.workflow_execution == place.execution();
    let first = polled.history.and_then(|history| history.events.into_iter().next());
    let came = first.and_then(|event| event.started).and_then(|started| started.input);
    match is_ours && came.as_ref() == Some(input) {
        true => (TemporalTask::Same, Some(polled.task_token)),
        false => (TemporalTask::Other, None),
    }
}

fn completion(place: &Place, task_token: Vec<u8>, result: Payloads) -> RespondWorkflowTaskCompletedRequest {
    let completion = Completion { result: Some(result) };
    RespondWorkflowTaskCompletedRequest {
        task_token,
        commands: vec![Command { command_type: COMPLETE, complete_workflow_execution: Some(completion) }],
        identity: IDENTITY.to_owned(),
        namespace: place.namespace.clone(),
    }
}

/// What the history has as the result of a workflow that is over.
async fn result(calls: &Calls, place: &Place, given: &Payloads) -> Result<TemporalResult, Unmet> {
    let question = GetWorkflowExecutionHistoryRequest {
        namespace: place.namespace.clone(),
        execution: place.execution(),
        history_event_filter_type: CLOSE_EVENT,
    };
    Ok(match heard(ask(calls, &question).await)? {
        Ok(answer) => {
            let last = answer.history.and_then(|history| history.events.into_iter().last());
            match last.and_then(|event| event.completed).and_then(|completed| completed.result) {
                Some(result) if result == *given => TemporalResult::Same,
                Some(_) => TemporalResult::Other,
                None => TemporalResult::Nothing,
            }
        }
        Err(error) => TemporalResult::Refused(error),
    })
}

/// Has a workflow deleted, which ends one that is not over; over another connection where this one has broken.
async fn remove(server: &Server, calls: Calls, place: &Place) -> Result<(), Failure> {
    match delete(&calls, place).await {
        Err(Failure::Unmet(_)) => delete(&server.open().await?, place).await,
        ended => ended,
    }
}

async fn delete(calls: &Calls, place: &Place) -> Result<(), Failure> {
    let (namespace, workflow_execution) = (place.namespace.clone(), place.execution());
    match ask(calls, &DeleteWorkflowExecutionRequest { namespace, workflow_execution }).await {
        // What is not there is as gone as it can be.
        Err(Failure::Said(error)) if error.starts_with("NOT_FOUND:") => Ok(()),
        said => said.map(drop),
    }
}
