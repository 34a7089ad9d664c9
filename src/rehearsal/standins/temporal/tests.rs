//! Held against what is true of the real one; and its faults, as a client sees them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::conformance::{self, Client, Flow};
use super::{Config, Fault, Server};
use crate::grpc::Code;
use crate::grpc::temporal::{CLOSE_EVENT, Payloads};
use crate::rehearsal::standins::StandIn;
use crate::rehearsal::standins::conformance::{Connection, dial};

fn told(words: &[&str], environment: &[(&str, &str)]) -> Config {
    let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    let environment: BTreeMap<_, _> =
        environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Config::told(&words, &environment)
}

fn server() -> Arc<Server> {
    Arc::new(Server::new(told(&["server", "start-dev"], &[])))
}

fn to(server: &Arc<Server>) -> Connection {
    dial(&StandIn::Temporal(Arc::clone(server)))
}

async fn client(fault: Fault) -> Client {
    let server = server();
    server.inject(Some(fault));
    Client::new(to(&server)).await
}

#[tokio::test(start_paused = true)]
async fn temporal_is_as_the_real_one() {
    let server = server();
    conformance::tells_of_itself(async || to(&server)).await;
    conformance::sees_workflows_through(async || to(&server), "default").await;
    conformance::refuses(async || to(&server), "default").await;
}

#[tokio::test]
async fn what_it_says_of_itself_changes_with_the_fault() {
    assert_eq!(client(Fault::NotServing).await.health("").await, Ok("NOT_SERVING".to_owned()));
    assert_eq!(client(Fault::Unavailable).await.health("").await.unwrap_err().code, Code::Unavailable);
    assert_eq!(client(Fault::WrongVersion).await.version().await, Ok("0.28.0".to_owned()));
    let overloaded = client(Fault::Overloaded).await;
    assert_eq!(overloaded.health("").await, Ok("SERVING".to_owned()));
    assert_eq!(overloaded.version().await.unwrap_err().code, Code::ResourceExhausted);
    for (fault, state) in [(Fault::NamespaceDeprecated, "DEPRECATED"), (Fault::NamespaceDeleted, "DELETED")] {
        assert_eq!(client(fault).await.namespace("default").await, Ok(state.to_owned()));
    }
    assert_eq!(client(Fault::NoNamespace).await.namespace("default").await.unwrap_err().code, Code::NotFound);
    assert_eq!(client(Fault::AnyNamespace).await.namespace("no-such").await, Ok("REGISTERED".to_owned()));
}

#[tokio::test]
async fn what_a_fault_refuses_is_refused_with_its_code() {
    let flow = Flow::new("default", "a");
    let refused = client(Fault::RefusesWorkflows).await;
    assert_eq!(flow.clone().start(&refused).await.unwrap_err().code, Code::PermissionDenied);
    let time = Some(Duration::from_secs(9));
    let refused = client(Fault::RefusesWorkers).await;
    flow.clone().start(&refused).await.unwrap();
    assert_eq!(flow.poll(&refused, time).await.unwrap_err().code, Code::PermissionDenied);
    for (fault, code) in [(Fault::RefusesResults, Code::NotFound), (Fault::RefusesDeletes, Code::PermissionDenied)] {
        let refused = client(fault).await;
        flow.clone().start(&refused).await.unwrap();
        let task = flow.poll(&refused, time).await.unwrap();
        let said = flow.complete(&refused, task.task_token).await.and(flow.delete(&refused).await);
        assert_eq!(said.unwrap_err().code, code, "{fault:?}");
    }
    let forgetful = client(Fault::ForgetsWorkflows).await;
    flow.clone().start(&forgetful).await.unwrap();
    assert_eq!(flow.status(&forgetful).await.unwrap_err().code, Code::NotFound);
}

#[tokio::test]
async fn workflows_end_as_a_fault_has_it() {
    let (result, other) = (Payloads::text("result"), Payloads::text("other"));
    for (fault, status, ended) in [
        (Fault::CompletesNothing, "RUNNING", None),
        (Fault::FailsWorkflows, "FAILED", Some(None)),
        (Fault::LosesResults, "COMPLETED", Some(None)),
        (Fault::OtherResults, "COMPLETED", Some(Some(other.clone()))),
        (Fault::OtherTasks, "COMPLETED", Some(Some(result))),
    ] {
        let client = client(fault).await;
        let mut flow = Flow::new("default", "a");
        flow.start(&client).await.unwrap();
        let task = flow.poll(&client, Some(Duration::from_secs(9))).await.unwrap();
        let input = task.history.unwrap().events[0].started.clone().unwrap().input.unwrap();
        assert_eq!(input == other, fault == Fault::OtherTasks);
        flow.complete(&client, task.task_token).await.unwrap();
        assert_eq!(flow.status(&client).await, Ok(status.to_owned()), "{fault:?}");
        let last = flow.history(&client, CLOSE_EVENT).await.unwrap().into_iter().next();
        assert_eq!(last.map(|event| event.completed.and_then(|completed| completed.result)), ended, "{fault:?}");
    }
    let client = client(Fault::KeepsNoHistory).await;
    let mut flow = Flow::new("default", "a");
    flow.start(&client).await.unwrap();
    assert_eq!(flow.history(&client, CLOSE_EVENT).await.unwrap_err().code, Code::NotFound);
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_task_has_it_once_it_is_there_and_once_the_fault_is_over() {
    let server = server();
    let (worker, other) = (Client::new(to(&server)).await, Client::new(to(&server)).await);
    let mut flow = Flow::new("default", "a");
    server.inject(Some(Fault::SchedulesNothing));
    let time = Some(Duration::from_secs(60));
    let mut polling = Box::pin(flow.poll(&worker, time));
    assert!(timeout(Duration::from_secs(5), &mut polling).await.is_err());
    drop(polling);
    flow.start(&other).await.unwrap();
    let mut polling = Box::pin(flow.poll(&worker, time));
    assert!(timeout(Duration::from_secs(5), &mut polling).await.is_err());
    server.inject(None);
    assert!(!polling.await.unwrap().task_token.is_empty());
    server.inject(Some(Fault::Hangs));
    assert!(timeout(Duration::from_secs(5), worker.version()).await.is_err());
    server.inject(None);
    assert_eq!(worker.version().await, Ok("1.29.1".to_owned()));
}

#[test]
fn it_is_told_as_the_images_are() {
    let usual = told(&["server", "start-dev"], &[]);
    assert_eq!((usual.port, usual.namespaces), (7233, vec!["default".to_owned()]));
    let other = told(
        &["server", "start-dev", "--port=7234", "-n", "orders", "--namespace", "default", "--namespace=more"],
        &[],
    );
    assert_eq!((other.port, other.namespaces), (7234, ["default", "orders", "more"].map(str::to_owned).to_vec()));
    let image = told(&[], &[("DEFAULT_NAMESPACE", "orders"), ("FRONTEND_GRPC_PORT", "7235")]);
    assert_eq!((image.port, image.namespaces), (7235, ["default", "orders"].map(str::to_owned).to_vec()));
}
