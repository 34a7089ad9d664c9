//! Bad weather: what must be red, why, and in which words; and greens that would mean nothing.

use std::sync::Arc;

use libtest_mimic::Trial;

use super::harness::Shared;

/// A suite of `tests/live/suites`, the exit code it must get, and what its first line must say.
struct Weather {
    suite: &'static str,
    exit: i32,
    says: &'static [&'static str],
}

const fn broken(suite: &'static str, says: &'static [&'static str]) -> Weather {
    Weather { suite, exit: 1, says }
}

const fn unclear(suite: &'static str, says: &'static [&'static str]) -> Weather {
    Weather { suite, exit: 3, says }
}

const WEATHER: &[Weather] = &[
    broken("image-cannot-be-pulled", &["docker.io/library/redis:no-such-tag", "ErrImagePull"]),
    broken("container-exits", &["main", "exited with code 1", "fatal: no licence file"]),
    broken("missing-config-key", &["mode", "ConfigMap", "settings"]),
    broken("pod-too-big", &["Insufficient memory"]),
    broken("job-fails", &["exited with code 3", "migration 7 failed: syntax error"]),
    broken("quota-exceeded", &["exceeded quota"]),
    broken("wrong-redis-password", &["WRONGPASS"]),
    broken("redis-loses-writes", &["acknowledged writes are gone", "before redis-server-0 was deleted"]),
    broken("paused-server", &["redis redis:6379 does not answer"]),
    broken("port-where-nobody-listens", &["nothing listens", "6380"]),
    broken("replica-not-streaming", &["receives from no primary"]),
    broken("tls-name-mismatch", &["has a certificate for postgres,", "and not for database.tls-name-mismatch.svc"]),
    broken("kafka-broker-down", &["has 2 brokers", "has never caught up with the one that leads"]),
    broken("disk-full", &["53100", "No space left on device"]),
    broken("migration-fails", &["exited with code 1", "syntax error at or near \"TABEL\""]),
    broken("service-without-endpoints", &["it", "app=misspelt"]),
    broken("one-of-two-fails", &["it", "404"]),
    broken("port-leads-nowhere", &["port 80 leads nowhere", "\"web\""]),
    broken("dies-after-it-was-ready", &["exited with code 7", "fatal: lost the lease"]),
    broken("untouched-custom-resource", &["Widget", "no controller"]),
    broken("operator-scaled-to-zero", &["Deployment manager", "is scaled to 0"]),
    broken("release-without-tests", &["nothing would be tested"]),
    unclear("invalid-crd", &["gadgets.weather.seaworthy.dev", "number-ish"]),
    unclear("misspelt-field", &["Gauge", "spec.siez"]),
    unclear("chart-does-not-render", &["does-not-render", "size must be set"]),
    unclear("absent-of-nothing", &["retired.seaworthy.dev"]),
];

const TWICE: &str = "installing_twice_changes_nothing_and_says_so";

/// The trials' names, for `--list`, which knows no cluster.
pub(crate) fn names() -> Vec<String> {
    WEATHER.iter().map(Weather::name).chain([TWICE.to_owned()]).collect()
}

impl Weather {
    fn name(&self) -> String {
        format!("weather::{}", self.suite)
    }
}

pub(crate) fn trials(shared: &Arc<Shared>) -> Vec<Trial> {
    let weather = WEATHER.iter().map(|weather| {
        let shared = Arc::clone(shared);
        Trial::test(weather.name(), move || super::passed(|| is_red(&shared, weather)))
    });
    let twice = Arc::clone(shared);
    let twice = Trial::test(TWICE, move || super::passed(|| super::main_job::twice(&twice)));
    weather.chain([twice]).collect()
}

/// Red for its own reason, told in the first line of every report, long before its time is up, and gone without a trace.
fn is_red(shared: &Shared, weather: &Weather) {
    let told = shared.weather(weather.suite, &[]).run();
    let lines = told.first_lines();
    assert_eq!(told.exit, Some(weather.exit), "{}", told.everything());
    let says = |line: &&String| weather.says.iter().all(|words| line.contains(words));
    let Some(first) = lines.iter().find(says) else {
        panic!("no first line says {:?}: {lines:?}\n{}", weather.says, told.everything());
    };
    let shown: String = first.chars().take(60).collect();
    assert!(told.shows(&shown), "the terminal does not say it:\n{}", told.everything());
    let late = weather.suite == "untouched-custom-resource";
    assert!(late || !first.contains("not ready after"), "found only when its time was up: {first}");
    let namespace = shared.kubectl(&["get", "namespace", weather.suite]);
    assert!(namespace.contains("NotFound"), "left behind: {namespace}");
    let kinds = shared.kubectl(&["get", "crd", "-o", "name"]);
    let of = [
        ("untouched-custom-resource", "widgets."),
        ("operator-scaled-to-zero", "engines."),
        ("invalid-crd", "gadgets."),
        ("misspelt-field", "gauges."),
    ];
    let stays = of.iter().find(|(suite, kind)| *suite == weather.suite && kinds.contains(kind));
    assert_eq!(stays, None, "left behind: {kinds}");
}
