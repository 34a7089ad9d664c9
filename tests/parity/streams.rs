//! What is streamed from containers: logs, exec, forwarded ports; and how it ends.

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::AttachParams;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::workloads::pod;
use super::world::{IMAGE, World};

async fn ended(w: &World, name: &str, script: &str) {
    w.create("v1/pods", pod(name, script)).await;
    let over = |pod: &Value| matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
    w.until("v1/pods", name, over).await;
}

async fn runs(w: &World, object: Value) {
    let name = object["metadata"]["name"].as_str().unwrap().to_owned();
    w.create("v1/pods", object).await;
    w.once("v1/pods", &name, |pod| pod["status"]["phase"] == "Running").await;
}

pub(crate) async fn a_log_that_is_followed_ends_with_its_container(w: &World) {
    runs(w, pod("one", "echo first; sleep 1; echo second; sleep 1; echo last")).await;
    let lines: Vec<String> = w.lines("v1/pods/one/log?follow=true").await.collect().await;
    lines.iter().for_each(|line| w.say(line));
    w.say("the end");
}

pub(crate) async fn a_log_is_read_from_its_end_or_up_to_a_length(w: &World) {
    ended(w, "one", "echo one; echo two; echo three; echo four").await;
    for query in ["", "?tailLines=2", "?tailLines=0", "?limitBytes=6", "?container=main"] {
        let answer = w.get(&format!("v1/pods/one/log{query}")).await;
        w.say(format!("{query}: {} {:?}", answer.code, answer.text));
    }
    let timed = w.get("v1/pods/one/log?timestamps=true&tailLines=1").await;
    w.say(timed.text);
    ended(w, "two", "printf half").await;
    w.say(format!("half a line: {:?}", w.get("v1/pods/two/log").await.text));
    w.show("another container", &w.get("v1/pods/one/log?container=none").await);
    w.say(format!("a negative tail: {}", w.get("v1/pods/one/log?tailLines=-1").await.briefly()));
}

pub(crate) async fn the_log_before_a_restart_is_there_once_there_was_one(w: &World) {
    runs(w, pod("one", "sleep 300")).await;
    w.show("never restarted", &w.get("v1/pods/one/log?previous=true").await);
    let mut object = pod("two", "echo started; sleep 2; exit 1");
    object["spec"]["restartPolicy"] = json!("Always");
    w.create("v1/pods", object).await;
    let again = |pod: &Value| {
        let status = &pod["status"]["containerStatuses"][0];
        status["restartCount"] == 1 && status["state"]["running"].is_object()
    };
    w.once("v1/pods", "two", again).await;
    let previous = w.get("v1/pods/two/log?previous=true").await;
    w.say(format!("previous: {} {:?}", previous.code, previous.text));
}

pub(crate) async fn a_container_that_has_not_started_has_no_log(w: &World) {
    let mut object = pod("one", "true");
    object["spec"]["containers"][0]["envFrom"] = json!([{ "configMapRef": { "name": "missing" } }]);
    w.create("v1/pods", object).await;
    let waits = |pod: &Value| {
        pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"] == "CreateContainerConfigError"
    };
    w.until("v1/pods", "one", waits).await;
    w.show("waiting", &w.get("v1/pods/one/log").await);
    let mut nowhere = pod("two", "true");
    nowhere["spec"]["nodeSelector"] = json!({ "parity.example.com/none": "x" });
    w.create("v1/pods", nowhere).await;
    let answer = w.get("v1/pods/two/log").await;
    w.say(format!("on no node: {} {:?}", answer.code, answer.text));
    w.show("gone", &w.get("v1/pods/none/log").await);
    let mut several = pod("three", "sleep 300");
    several["spec"]["containers"]
        .as_array_mut()
        .unwrap()
        .push(json!({ "name": "side", "image": IMAGE, "command": ["sleep", "300"] }));
    runs(w, several).await;
    w.show("of several", &w.get("v1/pods/three/log").await);
}

pub(crate) async fn a_log_that_is_followed_ends_with_its_pod(w: &World) {
    runs(w, pod("one", "trap 'exit 0' TERM; echo first; sleep 300 & wait")).await;
    let mut lines = w.lines("v1/pods/one/log?follow=true").await;
    w.say(lines.next().await.unwrap());
    w.delete("v1/pods/one", Value::Null).await;
    w.say(format!("{:?}", lines.next().await));
    w.until_gone("v1/pods", "one").await;
    w.show("gone", &w.get("v1/pods/one/log").await);
}

async fn run(w: &World, name: &str, command: &[&str]) {
    let pods: Api<Pod> = Api::namespaced(w.site.client.clone(), &w.namespace);
    let how = AttachParams::default().stdin(false).stdout(true).stderr(true);
    let mut process = match pods.exec(name, command.iter().copied(), &how).await {
        Ok(process) => process,
        Err(error) => {
            w.say(format!(
                "{command:?}: not begun: {}",
                error.to_string().contains("404") || error.to_string().contains("400")
            ));
            return;
        }
    };
    let status = process.take_status().unwrap();
    let (mut out, mut err) = (String::new(), String::new());
    let (mut stdout, mut stderr) = (process.stdout().unwrap(), process.stderr().unwrap());
    let (read_out, read_err) = futures::join!(stdout.read_to_string(&mut out), stderr.read_to_string(&mut err));
    read_out.unwrap();
    read_err.unwrap();
    let status = serde_json::to_value(status.await).unwrap();
    w.say(format!("{command:?}: {out:?} {err:?}"));
    let cause = &status["details"]["causes"][0];
    w.say(format!("{} {} {} {}", status["status"], status["reason"], cause["reason"], cause["message"]));
}

pub(crate) async fn a_command_says_how_it_ended(w: &World) {
    runs(w, pod("one", "sleep 300")).await;
    run(w, "one", &["echo", "hello"]).await;
    run(w, "one", &["sh", "-c", "echo out; echo err >&2; exit 5"]).await;
    run(w, "one", &["false"]).await;
    run(w, "none", &["true"]).await;
}

async fn forwarded(w: &World, port: u16) {
    let pods: Api<Pod> = Api::namespaced(w.site.client.clone(), &w.namespace);
    let mut forwarder = pods.portforward("one", &[port]).await.unwrap();
    let error = forwarder.take_error(port).unwrap();
    let mut stream = forwarder.take_stream(port).unwrap();
    let sent = stream.write_all(b"GET / HTTP/1.0\r\n\r\n").await.is_ok();
    let mut start = [0; 7];
    let got = stream.read_exact(&mut start).await.is_ok();
    w.say(format!(
        "{port}: {} {}",
        sent || got,
        if got { String::from_utf8_lossy(&start).into_owned() } else { "nothing".into() }
    ));
    drop(stream);
    if !got {
        let words = error.await.unwrap_or_default();
        w.say(format!("refused: {}", words.contains("connection refused")));
        w.say(words.contains(&format!("failed to connect to localhost:{port} inside namespace")).to_string());
    }
}

pub(crate) async fn a_port_is_forwarded_or_refused(w: &World) {
    let mut object = pod("one", "mkdir -p /w; cd /w; echo hello > index.html; exec httpd -f -p 8080");
    object["spec"]["containers"][0]["ports"] = json!([{ "containerPort": 8080 }]);
    object["spec"]["containers"][0]["readinessProbe"] = json!({ "tcpSocket": { "port": 8080 }, "periodSeconds": 1 });
    w.create("v1/pods", object).await;
    let ready = |pod: &Value| pod["status"]["containerStatuses"][0]["ready"] == true;
    w.until("v1/pods", "one", ready).await;
    forwarded(w, 8080).await;
    forwarded(w, 8081).await;
}
