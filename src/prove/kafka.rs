//! Twin of `checks/kafka.rs`.

use super::{Cases, Deed, Expected, reach};
use crate::checks::{Access, Kafka};

pub(super) fn cases(claim: &Kafka, in_a_row: u32) -> Cases {
    let mut cases = match claim.expect {
        Access::Allowed => let_in(claim),
        Access::Denied => kept_out(claim),
    };
    cases.0.extend(reach::server(&claim.at, claim.expect, claim.password.as_ref(), in_a_row, "gave no valid answer").0);
    cases
}

fn let_in(claim: &Kafka) -> Cases {
    let mut cases = Cases::default();
    brokers(claim, &mut cases);
    quorum(claim, &mut cases);
    topics(claim, &mut cases);
    writes(claim, &mut cases);
    let at = |fault| Deed::Server { at: claim.at.clone(), fault };
    let login = "it logs in as nobody";
    for (name, words) in [
        ("rejects-login", "refused the login: SASL_AUTHENTICATION_FAILED"),
        ("no-mechanism", "refused the login: UNSUPPORTED_SASL_MECHANISM"),
    ] {
        cases.broken_if(claim.user.is_some(), name, at(name), words, login);
    }
    cases
        .unclaimed("accepts-any-password", "that a wrong password is refused is a claim of its own (`expect: denied`)");
    cases.broken("other-versions", at("other-versions"), ["takes no version of Metadata"]);
    cases.broken("closes-mid-reply", at("closes-mid-reply"), ["gave no valid answer"]);
    cases.broken("not-kafka", at("not-kafka"), ["gave no valid answer"]);
    cases.broken("hangs", at("hangs"), [format!("kafka {} does not answer", claim.at)]);
    cases
}

fn brokers(claim: &Kafka, cases: &mut Cases) {
    let at = |fault| Deed::Server { at: claim.at.clone(), fault };
    let name = "broker-missing";
    match claim.brokers {
        Some(0) | None => cases.unclaimed(name, "it claims no `brokers`"),
        Some(1) => cases.broken(name, at(name), ["knows no broker"]),
        Some(n) => cases.broken(name, at(name), [format!("has {} broker", n - 1)]),
    }
    cases.broken("advertises-localhost", at("advertises-localhost"), ["advertises localhost:", "there is no Service"]);
    cases.broken("advertises-pod-name", at("advertises-pod-name"), ["no client can resolve", "there is no Service"]);
    let words = ["`advertised.listeners`", "connection refused"];
    cases.broken("advertises-closed-port", at("advertises-closed-port"), words);
    let several = claim.brokers.is_some_and(|brokers| brokers > 1);
    let one = "it does not claim that there are several (`brokers`)";
    cases.broken_if(several, "advertises-one-name", at("advertises-one-name"), "both advertise", one);
    // A topic of our own that is new has to be whole as well.
    let sees = claim.writes || !claim.topics.is_empty();
    let none = "it neither writes nor claims topics, and a new cluster has none";
    cases.broken_if(sees, "no-leader", at("no-leader"), "no broker leads", none);
    let other = "it does not claim several `brokers` with a topic: what has one replica has all of them";
    cases.broken_if(sees && several, "under-replicated", at("under-replicated"), "in sync", other);
}

fn quorum(claim: &Kafka, cases: &mut Cases) {
    let at = |fault| Deed::Server { at: claim.at.clone(), fault };
    let untold = "does not say who its controllers are: ";
    for (name, words) in [
        ("no-quorum", format!("{untold}no answer")),
        ("quorum-refused", format!("{untold}CLUSTER_AUTHORIZATION_FAILED")),
        ("voter-missing", "has a quorum of".to_owned()),
        ("voter-lags", "behind the one that leads".to_owned()),
        ("voter-lost", "has never caught up with the one that leads".to_owned()),
    ] {
        cases.broken_if(claim.quorum.is_some(), name, at(name), &words, "it claims no `quorum`");
    }
}

fn topics(claim: &Kafka, cases: &mut Cases) {
    let at = |fault| Deed::Server { at: claim.at.clone(), fault };
    let first = claim.topics.first().map(|topic| format!("has no topic {}", topic.name));
    let name = "topics-missing";
    cases.broken_if(first.is_some(), name, at(name), first.as_deref().unwrap_or_default(), "it claims no `topics`");
    let hidden = claim
        .topics
        .first()
        .map(|topic| format!("tells nothing about topic {}: TOPIC_AUTHORIZATION_FAILED", topic.name));
    let name = "hides-topics";
    cases.broken_if(hidden.is_some(), name, at(name), hidden.as_deref().unwrap_or_default(), "it claims no `topics`");
    let many = |wanted: Option<u32>| wanted.is_some_and(|wanted| wanted > 1);
    let partitions = claim.topics.iter().any(|topic| many(topic.partitions));
    let why = "it claims no topic with several `partitions`";
    cases.broken_if(partitions, "fewer-partitions", at("fewer-partitions"), "has 1 partition", why);
    let replicas = claim.topics.iter().any(|topic| many(topic.replicas));
    let why = "it claims no topic with several `replicas`";
    cases.broken_if(replicas, "fewer-replicas", at("fewer-replicas"), "has 1 replica", why);
}

fn writes(claim: &Kafka, cases: &mut Cases) {
    let at = |fault| Deed::Server { at: claim.at.clone(), fault };
    let writes = "it claims no writes (`writes`)";
    for (name, words) in [
        ("refuses-topics", "refused to write: TOPIC_AUTHORIZATION_FAILED"),
        ("too-few-brokers", "refused to write: INVALID_REPLICATION_FACTOR"),
        ("refuses-writes", "refused to write: NOT_ENOUGH_REPLICAS"),
        ("storage-error", "refused to write: KAFKA_STORAGE_ERROR"),
        ("loses-records", "acknowledged records and then had 0 of"),
        ("other-value", "acknowledged records and then had other values"),
        ("no-coordinator", "serves no group: FindCoordinator: COORDINATOR_NOT_AVAILABLE"),
        ("refuses-groups", "serves no group: JoinGroup: GROUP_AUTHORIZATION_FAILED"),
        ("forgets-offsets", "took the offsets of a group and then had none"),
        ("accepts-unknown-topic", "was asked for a topic that does not exist, and said"),
    ] {
        cases.broken_if(claim.writes, name, at(name), words, writes);
    }
    match claim.writes {
        true => cases.add("keeps-topics", at("keeps-topics"), Expected::Warned("something of ours was left behind")),
        false => cases.unclaimed("keeps-topics", writes),
    }
}

/// A broker that cannot be talked to denies nothing.
fn kept_out(claim: &Kafka) -> Cases {
    let mut cases = Cases::default();
    let at = |fault| Deed::Server { at: claim.at.clone(), fault };
    cases.broken("accepts-any-password", at("accepts-any-password"), ["was let in"]);
    cases.unclear("no-mechanism", at("no-mechanism"), ["UNSUPPORTED_SASL_MECHANISM", "no refusal of access"]);
    cases.unclear("closes-mid-reply", at("closes-mid-reply"), ["gave no valid answer"]);
    cases.unclear("not-kafka", at("not-kafka"), ["gave no valid answer"]);
    cases.unclear("hangs", at("hangs"), [format!("kafka {} does not answer", claim.at)]);
    cases
}
