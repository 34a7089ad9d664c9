//! Twin of `checks/dns.rs`.
//!
//! Every ready DNS pod is asked over TCP, since that is what can be forwarded; the answers are those of UDP.

use std::collections::BTreeSet;
use std::time::Duration;

use hickory_resolver::proto::op::{Message, Query, ResponseCode};
use hickory_resolver::proto::rr::{Name, RecordType};
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::Api;
use kube::api::ListParams;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::reach::Unmet;
use super::{Site, Unseen};
use crate::checks::{Absence, Address, Dns, DnsAnswer, DnsServer, Host, Resolution};
use crate::complaint::chain;
use crate::span::Span;
use crate::tunnel::Stream;

/// Where every distribution keeps its DNS, and by which label: the one that its Service selects by.
const NAMESPACE: &str = "kube-system";
const LABEL: &str = "k8s-app=kube-dns";
const PORT: u16 = 53;

/// The cluster's own domain.
const DOMAIN: &str = "cluster.local.";

/// Longest time for one server to answer: its own patience with the servers that it asks in turn is 6 s.
const ANSWER: Duration = Duration::from_secs(8);

/// Longest time of that for a name outside the cluster.
const OUTSIDE: Duration = Duration::from_secs(7);

/// From how many dots a name is asked for as it is before it is completed: `ndots` in the `resolv.conf` of pods.
const NDOTS: usize = 5;

pub(super) async fn observe(claim: &Dns, site: &Site<'_>) -> Result<DnsAnswer, Unseen> {
    let names = completed(&claim.name, site.namespace());
    let asking = ready_servers(site).await?.into_iter().map(|pod| ask_server(pod, &names, site));
    let servers = futures::future::try_join_all(asking).await?;
    let namespace = namespace_of(&claim.name, site.namespace());
    let lost_namespace = match (claim.expect, namespace) {
        (Absence::Absent | Absence::AbsentWithItsKind, Some(namespace)) => lost(namespace, site).await?,
        (Absence::Present, _) | (_, None) => None,
    };
    let inside = claim.name.ends_with(".svc") || (namespace.is_some() && lost_namespace.is_none());
    Ok(DnsAnswer { servers, lost_namespace, inside })
}

/// The names of the DNS pods that are ready.
async fn ready_servers(site: &Site<'_>) -> Result<Vec<String>, Unseen> {
    let pods: Api<Pod> = Api::namespaced(site.prober.hub.client().clone(), NAMESPACE);
    let pods = pods
        .list(&ListParams::default().labels(LABEL))
        .await
        .map_err(|error| Unseen(format!("cannot list the DNS pods in {NAMESPACE}: {}", chain(&error))))?;
    Ok(pods.items.into_iter().filter(is_ready).filter_map(|pod| pod.metadata.name).collect())
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    pod.metadata.deletion_timestamp.is_none()
        && conditions.into_iter().any(|c| c.type_ == "Ready" && c.status == "True")
}

/// The namespace, where it does not exist.
async fn lost(namespace: &str, site: &Site<'_>) -> Result<Option<String>, Unseen> {
    let namespaces: Api<Namespace> = Api::all(site.prober.hub.client().clone());
    match namespaces.get_opt(namespace).await {
        Ok(Some(_)) => Ok(None),
        Ok(None) => Ok(Some(namespace.to_owned())),
        Err(error) => Err(Unseen(format!("cannot look for the namespace {namespace}: {}", chain(&error)))),
    }
}

async fn ask_server(pod: String, names: &[String], site: &Site<'_>) -> Result<DnsServer, Unseen> {
    let host = Host::Pod { name: pod.clone(), namespace: Some(NAMESPACE.to_owned()) };
    let hub = &site.prober.hub;
    let asking = async { resolve(site.dial(&Address { host, port: PORT }).await?, names, hub.here(OUTSIDE)).await };
    let late = |_| Ok(Resolution::Unmet(format!("no answer within {}", Span::from(hub.here(ANSWER)))));
    let said = timeout(hub.here(ANSWER), asking).await.unwrap_or_else(late);
    let said = said.or_else(|unmet| unmet.answer(|obstacle| Resolution::Unmet(obstacle.text().to_owned())))?;
    Ok(DnsServer { pod, said })
}

/// The first of the names that has an address, as a pod's resolver would find it. Where none has, the word that weighs
/// most: a server that fails may know the name, and one that exists without an address is not missing.
async fn resolve(mut stream: Stream, names: &[String], patience: Duration) -> Result<Resolution, Unmet> {
    let mut worst = Resolution::NoName { unasked: None };
    for (at, full) in names.iter().enumerate() {
        let is_last_resort = at > 0 && !full.ends_with(DOMAIN);
        let asking = look_up(&mut stream, full);
        let said = if is_last_resort { outside(full, asking, patience).await? } else { asking.await? };
        if matches!(said, Resolution::Found { .. }) {
            return Ok(said);
        }
        if weight(&said) > weight(&worst) {
            worst = said;
        }
    }
    Ok(worst)
}

/// What is said of a name that lies outside, after the cluster's own domain has been asked. Many clusters have no way
/// out: that nobody answers there says nothing about what is inside.
async fn outside(
    full: &str,
    asking: impl Future<Output = Result<Resolution, Unmet>>,
    patience: Duration,
) -> Result<Resolution, Unmet> {
    let unasked = match timeout(patience, asking).await {
        Ok(Ok(Resolution::Failed { full, code })) => format!("{code} for {full}"),
        Ok(Err(Unmet::Obstacle(obstacle))) => format!("{} for {full}", obstacle.text()),
        Err(_elapsed) => format!("no answer for {full} within {}", Span::from(patience)),
        Ok(said) => return said,
    };
    Ok(Resolution::NoName { unasked: Some(unasked) })
}

const fn weight(said: &Resolution) -> u8 {
    match said {
        Resolution::NoName { unasked: None } => 0,
        Resolution::NoName { unasked: Some(_) } => 1,
        Resolution::NoAddress { .. } => 2,
        Resolution::Failed { .. } => 3,
        Resolution::Unmet(_) => 4,
        Resolution::Found { .. } => 5,
    }
}

/// Both kinds of address of one name.
async fn look_up(stream: &mut Stream, full: &str) -> Result<Resolution, Unmet> {
    let mut addresses = BTreeSet::new();
    let mut exists = true;
    for kind in [RecordType::A, RecordType::AAAA] {
        let fate = stream.fate();
        let answer = exchange(stream, full, kind)
            .await
            .map_err(|error| Unmet::broke(&fate, format!("the DNS server broke off: {error}")))?;
        let code = answer.metadata.response_code;
        if !matches!(code, ResponseCode::NoError | ResponseCode::NXDomain) {
            return Ok(Resolution::Failed { full: full.to_owned(), code: short(code) });
        }
        exists &= code == ResponseCode::NoError;
        addresses.extend(answer.answers.iter().filter_map(|record| record.data.ip_addr()));
    }
    let full = full.to_owned();
    Ok(match (addresses.is_empty(), exists) {
        (false, _) => Resolution::Found { full, addresses },
        (true, true) => Resolution::NoAddress { full },
        (true, false) => Resolution::NoName { unasked: None },
    })
}

/// One question and its answer, each after its length in two bytes (RFC 1035, 4.2.2).
async fn exchange(stream: &mut Stream, full: &str, kind: RecordType) -> std::io::Result<Message> {
    let mut question = Message::query();
    question.metadata.recursion_desired = true;
    question.add_query(Query::query(Name::from_ascii(full).map_err(std::io::Error::other)?, kind));
    let bytes = question.to_vec().map_err(std::io::Error::other)?;
    stream.write_u16(u16::try_from(bytes.len()).map_err(std::io::Error::other)?).await?;
    stream.write_all(&bytes).await?;
    stream.flush().await?;
    let mut answer = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut answer).await?;
    let answer = Message::from_vec(&answer).map_err(std::io::Error::other)?;
    if answer.metadata.id == question.metadata.id {
        Ok(answer)
    } else {
        Err(std::io::Error::other("another question's answer"))
    }
}

/// A response code as DNS tools print it.
fn short(code: ResponseCode) -> String {
    format!("{code:?}").to_uppercase()
}

/// A name in the forms in which a pod of the namespace asks for it, in that order (`search` and `ndots` of its
/// `resolv.conf`). A dot at the end says that it is whole. A single label is not asked for as it is: the root has none
/// that a platform could mean, and a cluster without a way out would fail at it.
fn completed(name: &str, namespace: &str) -> Vec<String> {
    if name.ends_with('.') {
        return vec![name.to_owned()];
    }
    let searched = [format!("{namespace}.svc.{DOMAIN}"), format!("svc.{DOMAIN}"), DOMAIN.to_owned()];
    let mut names: Vec<String> = searched.iter().map(|domain| format!("{name}.{domain}")).collect();
    match name.matches('.').count() {
        0 => {}
        NDOTS.. => names.insert(0, format!("{name}.")),
        _ => names.push(format!("{name}.")),
    }
    names
}

/// The namespace that a name speaks of, as far as it can be a Service's: `redis`, `redis.data`, `redis.data.svc…`.
fn namespace_of<'a>(name: &'a str, own: &'a str) -> Option<&'a str> {
    let short = name.strip_suffix(DOMAIN).or_else(|| name.strip_suffix(DOMAIN.trim_end_matches('.')));
    let is_whole = name.ends_with('.') || short.is_some();
    let labels: Vec<&str> = short.unwrap_or(name).trim_end_matches('.').split('.').collect();
    match labels.as_slice() {
        [.., namespace, "svc"] if short.is_some() || !is_whole => Some(namespace),
        [_] if !is_whole => Some(own),
        [_, namespace] if !is_whole => Some(namespace),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use hickory_resolver::proto::rr::{RData, Record};

    use super::*;
    use crate::probes::stand::{Stand, serve};

    #[test]
    fn a_name_is_completed_as_a_pod_completes_it() {
        assert_eq!(
            completed("redis", "data"),
            ["redis.data.svc.cluster.local.", "redis.svc.cluster.local.", "redis.cluster.local."]
        );
        assert_eq!(completed("redis.data.svc.cluster.local.", "data"), ["redis.data.svc.cluster.local."]);
        assert_eq!(completed("a.b.c.d.e.f", "data")[0], "a.b.c.d.e.f.");
        assert_eq!(completed("example.com", "data")[3], "example.com.");
    }

    #[test]
    fn the_namespace_that_a_name_speaks_of_is_found() {
        for (name, namespace) in [
            ("redis", Some("data")),
            ("redis.cache", Some("cache")),
            ("redis.cache.svc", Some("cache")),
            ("redis.cache.svc.cluster.local", Some("cache")),
            ("redis-0.redis.cache.svc.cluster.local.", Some("cache")),
            ("example.com.", None),
            ("a.b.example.com", None),
        ] {
            assert_eq!(namespace_of(name, "data"), namespace, "{name}");
        }
    }

    /// A DNS server that knows one name with one address, one without, and fails at a third.
    async fn server() -> u16 {
        serve(|mut stream| async move {
            while let Ok(length) = stream.read_u16().await {
                let mut question = vec![0; usize::from(length)];
                stream.read_exact(&mut question).await?;
                let question = Message::from_vec(&question).map_err(std::io::Error::other)?;
                let bytes = reply(&question).to_vec().map_err(std::io::Error::other)?;
                stream.write_u16(u16::try_from(bytes.len()).unwrap()).await?;
                stream.write_all(&bytes).await?;
            }
            Ok(())
        })
        .await
    }

    fn reply(question: &Message) -> Message {
        let query = question.queries[0].clone();
        let mut reply = Message::response(question.metadata.id, question.metadata.op_code);
        match (query.name().to_ascii().as_str(), query.query_type()) {
            ("redis.data.svc.cluster.local.", RecordType::A) => {
                let address = RData::A("10.0.0.1".parse().unwrap());
                reply.add_answer(Record::from_rdata(query.name().clone(), 5, address));
            }
            ("redis.data.svc.cluster.local." | "headless.data.svc.cluster.local.", _) => {}
            ("example.com." | "nobody.data.", _) => reply.metadata.response_code = ResponseCode::ServFail,
            _ => reply.metadata.response_code = ResponseCode::NXDomain,
        }
        reply
    }

    async fn resolved(port: u16, name: &str) -> Result<Resolution, Unmet> {
        let stand = Stand::of("dns: {name: unused}");
        let at = format!("host/127.0.0.1:{port}").parse().unwrap();
        resolve(stand.prober.dialer.dial(&at, "data").await.unwrap(), &completed(name, "data"), OUTSIDE).await
    }

    #[tokio::test]
    async fn each_answer_of_a_server_is_told_apart() {
        let port = server().await;
        let found = BTreeSet::from(["10.0.0.1".parse().unwrap()]);
        let redis = "redis.data.svc.cluster.local.".to_owned();
        let headless = "headless.data.svc.cluster.local.".to_owned();
        for (name, said) in [
            ("redis", Resolution::Found { full: redis.clone(), addresses: found.clone() }),
            ("redis.data", Resolution::Found { full: redis, addresses: found }),
            ("headless", Resolution::NoAddress { full: headless }),
            ("nobody", Resolution::NoName { unasked: None }),
            ("nobody.data", Resolution::NoName { unasked: Some("SERVFAIL for nobody.data.".to_owned()) }),
            ("example.com.", Resolution::Failed { full: "example.com.".to_owned(), code: "SERVFAIL".to_owned() }),
        ] {
            assert_eq!(resolved(port, name).await, Ok(said), "{name}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_way_out_that_swallows_every_question_says_nothing_about_the_cluster() {
        let silence = outside("nobody.data.", std::future::pending(), OUTSIDE).await;
        let unasked = Some("no answer for nobody.data. within 7s".to_owned());
        assert_eq!(silence, Ok(Resolution::NoName { unasked }));
        let lost =
            outside("nobody.data.", async { Err(Unmet::Unseen(Unseen("the tunnel broke".to_owned()))) }, OUTSIDE).await;
        assert!(matches!(lost, Err(Unmet::Unseen(_))), "{lost:?}");
    }

    #[tokio::test]
    async fn a_server_that_closes_or_talks_nonsense_is_no_answer() {
        for nonsense in [&b""[..], b"\0", b"\0\x05hello", b"HTTP/1.1 400 Bad Request"] {
            let port = serve(move |mut stream| async move { stream.write_all(nonsense).await }).await;
            let said = resolved(port, "redis").await;
            assert!(matches!(said, Err(Unmet::Obstacle(_))), "{nonsense:?}: {said:?}");
        }
    }
}
