//! Whole looks at a Temporal on loopback that does as it is told.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use crate::checks::Verdict;
use crate::probes::stand::{
    Stand, actual, closed_port, for_web_test, look, serve, silent, stands_when_dropped, trusting,
};
use crate::rehearsal::temporal::{Config, Fault, Server};

fn server(fault: Option<Fault>) -> Arc<Server> {
    let words = ["server", "start-dev", "--namespace=orders"].map(str::to_owned);
    let server = Arc::new(Server::new(Config::told(&words, &std::collections::BTreeMap::new())));
    server.inject(fault);
    server
}

async fn on_loopback(server: &Arc<Server>) -> u16 {
    let server = Arc::clone(server);
    serve(move |stream| {
        let server = Arc::clone(&server);
        async move { server.serve(stream).await }
    })
    .await
}

fn check(port: u16, more: &str) -> String {
    format!("temporal: {{at: 'host/127.0.0.1:{port}', {more}}}")
}

async fn judged(fault: Option<Fault>, more: &str) -> Verdict {
    look(&check(on_loopback(&server(fault)).await, more)).await
}

#[tokio::test]
async fn a_good_server_holds_and_its_workflow_is_gone() {
    for (more, through) in
        [("version: ^1.29", ", and saw a workflow through"), ("namespace: orders, writes: false", "")]
    {
        let server = server(None);
        let stand = Stand::of(&check(on_loopback(&server).await, more));
        let verdict = stand.look().await;
        let Verdict::Held { saw, warnings } = &verdict else { panic!("{verdict:?}") };
        assert!(saw.contains(" 1.29.1 has namespace ") && saw.contains(through), "{saw}");
        assert!(warnings.is_empty() && stand.prober.left().is_empty());
        assert_eq!(server.flows(), (u64::from(!through.is_empty()), 0));
    }
}

#[tokio::test]
async fn each_fault_breaks_with_its_own_words() {
    for (fault, said) in [
        (Fault::NotServing, "says of its own health: NOT_SERVING"),
        (Fault::Unavailable, "says of its own health: UNAVAILABLE: Frontend is not healthy yet"),
        (Fault::Overloaded, "answered GetSystemInfo with RESOURCE_EXHAUSTED: service rate limit exceeded"),
        (Fault::NoNamespace, "has no namespace default: NOT_FOUND: Namespace default is not found."),
        (Fault::NamespaceDeprecated, "is DEPRECATED"),
        (Fault::AnyNamespace, "says of a namespace that nobody has that it is REGISTERED"),
        (Fault::RefusesWorkflows, "in namespace default: PERMISSION_DENIED: Request unauthorized."),
        (Fault::ForgetsWorkflows, "what it says of the workflow: NOT_FOUND: workflow not found for ID: ID"),
        (Fault::SchedulesNothing, "no task of it came to a worker; what it says of the workflow: RUNNING"),
        (Fault::RefusesWorkers, "refused a worker its task: PERMISSION_DENIED: Request unauthorized."),
        (Fault::OtherTasks, "gave a worker another task than that of the workflow it took"),
        (Fault::RefusesResults, "refused what came of it: NOT_FOUND: Workflow task not found."),
        (Fault::CompletesNothing, "and says of the workflow then: RUNNING"),
        (Fault::FailsWorkflows, "and says of the workflow then: FAILED"),
        (Fault::LosesResults, "in place of its result: none"),
        (Fault::OtherResults, "in place of its result: another one"),
        (Fault::KeepsNoHistory, "in place of its result: NOT_FOUND: Workflow execution history not found."),
        (Fault::Status503, "answered Check with HTTP 503"),
        (Fault::NotGrpc, "answered Check with HTTP 200, which is no gRPC"),
    ] {
        let verdict = judged(Some(fault), "").await;
        let actual = actual(&verdict);
        let said = said.strip_suffix("ID").unwrap_or(said);
        assert!(actual.starts_with("temporal host/127.0.0.1:") || fault == Fault::NamespaceDeprecated, "{actual}");
        assert!(actual.ends_with(said) || (said.ends_with("ID: ") && actual.contains(said)), "{fault:?}: {actual}");
    }
    for fault in [Fault::SpeaksHttp1, Fault::ClosesMidReply] {
        let verdict = judged(Some(fault), "").await;
        assert!(actual(&verdict).contains(" gave no valid answer: "), "{fault:?}: {verdict:?}");
    }
    let verdict = judged(None, "namespace: billing").await;
    assert!(actual(&verdict).ends_with("has no namespace billing: NOT_FOUND: Namespace billing is not found."));
}

#[tokio::test]
async fn what_was_started_is_removed_whatever_became_of_it_and_what_stays_is_named() {
    for fault in [Fault::OtherTasks, Fault::RefusesResults, Fault::CompletesNothing, Fault::FailsWorkflows] {
        let server = server(Some(fault));
        let stand = Stand::of(&check(on_loopback(&server).await, ""));
        stand.look().await;
        assert_eq!((server.flows(), stand.prober.left()), ((1, 0), Vec::new()), "{fault:?}");
    }
    let server = server(Some(Fault::RefusesDeletes));
    let stand = Stand::of(&check(on_loopback(&server).await, ""));
    let Verdict::Held { warnings, .. } = stand.look().await else { panic!("not held") };
    let left = stand.prober.left();
    assert_eq!(warnings, [format!("something of ours was left behind: {}", left[0])]);
    assert!(
        left[0].starts_with("workflow seaworthy-run-1-")
            && left[0].ends_with("PERMISSION_DENIED: Request unauthorized."),
        "{left:?}"
    );
    assert_eq!(server.flows(), (1, 1));
}

#[tokio::test]
async fn a_look_that_is_given_up_half_way_removes_what_it_started() {
    let server = server(Some(Fault::SchedulesNothing));
    let stand = Stand::of(&check(on_loopback(&server).await, ""));
    let started = async {
        while server.flows().1 == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        verdict = stand.look() => panic!("{verdict:?}"),
        () = started => {}
    }
    assert_eq!(server.flows(), (1, 1));
    server.inject(None);
    timeout(Duration::from_secs(20), stand.prober.finish()).await.expect("it goes on for ever");
    assert_eq!(server.flows(), (1, 0));
}

#[tokio::test]
async fn who_is_silent_is_told_from_who_has_no_task() {
    let port = on_loopback(&server(Some(Fault::Hangs))).await;
    let verdict = stands_when_dropped(&check(port, "")).await.unwrap();
    assert_eq!(actual(&verdict), format!("temporal host/127.0.0.1:{port} does not answer"));
    let port = silent().await;
    let verdict = stands_when_dropped(&check(port, "")).await.unwrap();
    assert_eq!(actual(&verdict), format!("temporal host/127.0.0.1:{port} does not answer"));
    let port = on_loopback(&server(Some(Fault::HangsOnceWell))).await;
    let verdict = stands_when_dropped(&check(port, "")).await.unwrap();
    assert!(actual(&verdict).ends_with(" answered Check and does not answer GetSystemInfo"), "{verdict:?}");
    let port = on_loopback(&server(Some(Fault::SchedulesNothing))).await;
    let verdict = stands_when_dropped(&check(port, "")).await.unwrap();
    assert!(actual(&verdict).ends_with(" took a workflow, and no task of it came to a worker"), "{verdict:?}");
    let shut = closed_port().await;
    let verdict = look(&check(shut, "")).await;
    assert_eq!(actual(&verdict), format!("nothing listens on 127.0.0.1:{shut}: connection refused"));
}

#[tokio::test]
async fn it_is_talked_to_over_tls_where_that_is_claimed_and_told_that_it_is_http_2() {
    let server = server(None);
    let behind = Arc::clone(&server);
    let port = serve(move |stream| {
        let server = Arc::clone(&behind);
        async move {
            let mut stream = for_web_test().accept(stream).await?;
            server.serve(&mut stream).await
        }
    })
    .await;
    let verdict = look(&check(port, &trusting("web.test"))).await;
    assert!(matches!(verdict, Verdict::Held { .. }), "{verdict:?}");
    let verdict = look(&check(port, &trusting("flows.data.svc"))).await;
    let said = format!("temporal host/127.0.0.1:{port} has a certificate for web.test, and not for flows.data.svc");
    assert_eq!(actual(&verdict), said);
    let wants_h2 = serve(|stream| async {
        let stream = rustls_hello(stream).await?;
        assert_eq!(stream, [b"h2".to_vec()]);
        Ok(())
    })
    .await;
    assert!(actual(&look(&check(wants_h2, "tls: any")).await).contains("TLS"));
}

/// The protocols that a client names in its first words.
async fn rustls_hello(stream: tokio::net::TcpStream) -> std::io::Result<Vec<Vec<u8>>> {
    let acceptor = tokio_rustls::LazyConfigAcceptor::new(rustls::server::Acceptor::default(), stream);
    let started = acceptor.await?;
    Ok(started.client_hello().alpn().into_iter().flatten().map(<[u8]>::to_vec).collect())
}
