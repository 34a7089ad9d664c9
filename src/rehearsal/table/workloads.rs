//! What makes pods, and what counts them.

use serde_json::{Value, json};

use super::Layout;
use super::glance::{Glance, bare, containers, given, human, labels, moment, or_none, selector};

/// The columns of kinds in `apps`, `batch`, `autoscaling` and `policy`, and of the ReplicationController.
pub(super) fn layout(plural: &str) -> Option<Layout> {
    Some(match plural {
        "deployments" => ("Name|Ready|Up-to-date|Available|Age|*Containers|*Images|*Selector", deployment),
        "replicasets" => ("Name|#Desired|#Current|#Ready|Age|*Containers|*Images|*Selector", replica_set),
        "replicationcontrollers" => ("Name|#Desired|#Current|#Ready|Age|*Containers|*Images|*Selector", controller),
        "statefulsets" => ("Name|Ready|Age|*Containers|*Images", stateful_set),
        "daemonsets" => (
            "Name|#Desired|#Current|#Ready|#Up-to-date|#Available|Node Selector|Age|*Containers|*Images|*Selector",
            daemon_set,
        ),
        "controllerrevisions" => ("Name|Controller|Revision|Age", revision),
        "jobs" => ("Name|Status|Completions|Duration|Age|*Containers|*Images|*Selector", job),
        "cronjobs" => {
            ("Name|Schedule|Timezone|?Suspend|#Active|Last Schedule|Age|*Containers|*Images|*Selector", cron_job)
        }
        "horizontalpodautoscalers" => ("Name|Reference|Targets|MinPods|MaxPods|Replicas|Age", autoscaler),
        "poddisruptionbudgets" => ("Name|Min Available|Max Unavailable|#Allowed Disruptions|Age", budget),
        _ => return None,
    })
}

fn deployment(glance: &Glance<'_>) -> Value {
    let (names, images) = containers(glance.at("/spec/template/spec"));
    json!([
        glance.name(),
        format!("{}/{}", glance.number("/status/readyReplicas"), glance.number("/spec/replicas")),
        glance.number("/status/updatedReplicas"),
        glance.number("/status/availableReplicas"),
        glance.age(),
        names,
        images,
        selector(glance.at("/spec/selector")),
    ])
}

fn replica_set(glance: &Glance<'_>) -> Value {
    replicas(glance, &or_none(selector(glance.at("/spec/selector"))))
}

fn controller(glance: &Glance<'_>) -> Value {
    replicas(glance, &labels(glance.at("/spec/selector")))
}

fn replicas(glance: &Glance<'_>, selector: &str) -> Value {
    let (names, images) = containers(glance.at("/spec/template/spec"));
    json!([
        glance.name(),
        glance.number("/spec/replicas"),
        glance.number("/status/replicas"),
        glance.number("/status/readyReplicas"),
        glance.age(),
        names,
        images,
        selector,
    ])
}

fn stateful_set(glance: &Glance<'_>) -> Value {
    let (names, images) = containers(glance.at("/spec/template/spec"));
    let ready = format!("{}/{}", glance.number("/status/readyReplicas"), glance.number("/spec/replicas"));
    json!([glance.name(), ready, glance.age(), names, images])
}

fn daemon_set(glance: &Glance<'_>) -> Value {
    let (names, images) = containers(glance.at("/spec/template/spec"));
    json!([
        glance.name(),
        glance.number("/status/desiredNumberScheduled"),
        glance.number("/status/currentNumberScheduled"),
        glance.number("/status/numberReady"),
        glance.number("/status/updatedNumberScheduled"),
        glance.number("/status/numberAvailable"),
        labels(glance.at("/spec/template/spec/nodeSelector")),
        glance.age(),
        names,
        images,
        or_none(selector(glance.at("/spec/selector"))),
    ])
}

fn revision(glance: &Glance<'_>) -> Value {
    let owners = glance.list("/metadata/ownerReferences");
    let owner = owners.iter().find(|owner| owner["controller"] == true).map(|owner| {
        let (group, _) = owner["apiVersion"].as_str().unwrap_or_default().split_once('/').unwrap_or_default();
        let kind = bare(&owner["kind"]).to_lowercase();
        let dot = if group.is_empty() { "" } else { "." };
        format!("{kind}{dot}{group}/{}", bare(&owner["name"]))
    });
    json!([glance.name(), or_none(owner.unwrap_or_default()), glance.number("/revision"), glance.age()])
}

fn job(glance: &Glance<'_>) -> Value {
    let (names, images) = containers(glance.at("/spec/template/spec"));
    json!([
        glance.name(),
        job_status(glance),
        completions(glance),
        took(glance),
        glance.age(),
        names,
        images,
        or_none(selector(glance.at("/spec/selector"))),
    ])
}

fn job_status(glance: &Glance<'_>) -> &'static str {
    let conditions: [(&str, &str); 2] = [("Complete", "Complete"), ("Failed", "Failed")];
    let over = conditions.iter().find(|(condition, _)| glance.is_true(condition));
    let on_the_way = ["Suspended", "FailureTarget", "SuccessCriteriaMet"];
    match over {
        Some((_, word)) => word,
        None if glance.is_being_deleted() => "Terminating",
        None => on_the_way.into_iter().find(|condition| glance.is_true(condition)).unwrap_or("Running"),
    }
}

fn completions(glance: &Glance<'_>) -> String {
    let succeeded = glance.number("/status/succeeded");
    match (glance.at("/spec/completions").as_i64(), glance.number("/spec/parallelism")) {
        (Some(completions), _) => format!("{succeeded}/{completions}"),
        (None, parallelism @ 2..) => format!("{succeeded}/1 of {parallelism}"),
        (None, _) => format!("{succeeded}/1"),
    }
}

/// How long a job has taken, or takes already.
fn took(glance: &Glance<'_>) -> String {
    let Some(start) = moment(glance.at("/status/startTime")) else { return String::new() };
    let end = moment(glance.at("/status/completionTime")).unwrap_or(glance.now);
    human(end.as_second() - start.as_second())
}

fn cron_job(glance: &Glance<'_>) -> Value {
    let (names, images) = containers(glance.at("/spec/jobTemplate/spec/template/spec"));
    let suspend = match glance.at("/spec/suspend").as_bool() {
        Some(true) => "True",
        Some(false) => "False",
        None => "<unset>",
    };
    json!([
        glance.name(),
        glance.text("/spec/schedule"),
        glance.text_or("/spec/timeZone", "<none>"),
        suspend,
        glance.count("/status/active"),
        or_none(glance.ago(glance.at("/status/lastScheduleTime")).unwrap_or_default()),
        glance.age(),
        names,
        images,
        or_none(selector(glance.at("/spec/jobTemplate/spec/selector"))),
    ])
}

fn budget(glance: &Glance<'_>) -> Value {
    let written = |pointer| glance.some(pointer).map_or_else(|| "N/A".to_owned(), bare);
    json!([
        glance.name(),
        written("/spec/minAvailable"),
        written("/spec/maxUnavailable"),
        glance.number("/status/disruptionsAllowed"),
        glance.age(),
    ])
}

fn autoscaler(glance: &Glance<'_>) -> Value {
    let least = glance.at("/spec/minReplicas").as_i64().map_or_else(|| "<unset>".to_owned(), |least| least.to_string());
    json!([
        glance.name(),
        format!("{}/{}", glance.text("/spec/scaleTargetRef/kind"), glance.text("/spec/scaleTargetRef/name")),
        targets(glance),
        least,
        glance.number("/spec/maxReplicas"),
        glance.number("/status/currentReplicas"),
        glance.age(),
    ])
}

/// What an autoscaler aims at, and what there is: the first two of its metrics.
fn targets(glance: &Glance<'_>) -> String {
    let seen = glance.list("/status/currentMetrics");
    let all: Vec<String> = glance
        .list("/spec/metrics")
        .iter()
        .enumerate()
        .map(|(index, wanted)| metric(wanted, seen.get(index).unwrap_or(&Value::Null)))
        .collect();
    match all.as_slice() {
        [] => "<none>".to_owned(),
        [one, two, more @ ..] if !more.is_empty() => format!("{one}, {two} + {} more...", more.len()),
        few => few.join(", "),
    }
}

fn metric(wanted: &Value, seen: &Value) -> String {
    let kind = wanted["type"].as_str().unwrap_or_default();
    let (field, titled) = match kind {
        "Resource" => ("resource", true),
        "ContainerResource" => ("containerResource", true),
        "Pods" => ("pods", false),
        "Object" => ("object", false),
        "External" => ("external", false),
        _ => return "<unknown type>".to_owned(),
    };
    let (target, current) = (&wanted[field]["target"], &seen[field]["current"]);
    let read = |of: &Value, number: &str, percent: bool| {
        given(&of[number]).map(|value| format!("{}{}", bare(value), if percent { "%" } else { "" }))
    };
    let number = match target["type"].as_str().unwrap_or_default() {
        "AverageValue" => "averageValue",
        "Utilization" => "averageUtilization",
        _ => "value",
    };
    let percent = number == "averageUtilization";
    let current = read(current, number, percent).unwrap_or_else(|| "<unknown>".to_owned());
    let target = read(target, number, percent).unwrap_or_else(|| "<auto>".to_owned());
    let average = if number == "averageValue" && matches!(kind, "Object" | "External") { " (avg)" } else { "" };
    let title = if titled { format!("{}: ", bare(&wanted[field]["name"])) } else { String::new() };
    format!("{title}{current}/{target}{average}")
}
