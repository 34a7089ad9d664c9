//! A command inside a pod.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use super::expect::excerpt;
use super::reach::Faults;
use super::{Claim, Text, Verdict};

/// A claim about how a command ends inside a running container.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Exec {
    /// Labels that select the pod; the first running one by name is taken.
    #[serde(deserialize_with = "labels")]
    pub pod: BTreeMap<String, String>,
    /// Container; the pod's `kubectl.kubernetes.io/default-container`, or else its first, where it is left out.
    #[serde(default)]
    pub container: Option<String>,
    /// Program and arguments; there is no shell unless one is named.
    #[serde(deserialize_with = "command")]
    pub command: Vec<String>,
    /// Exit code that is claimed.
    #[serde(default)]
    pub exit: i32,
    /// What it must print to standard output.
    #[serde(default)]
    pub prints: Option<Text>,
}

fn labels<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    let labels = BTreeMap::deserialize(deserializer)?;
    if labels.is_empty() {
        return Err(serde::de::Error::custom("no labels select every pod; write at least one"));
    }
    Ok(labels)
}

fn command<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let command = Vec::<String>::deserialize(deserializer)?;
    if command.first().is_none_or(String::is_empty) {
        return Err(serde::de::Error::custom("no program to run; write for instance `[redis-cli, PING]`"));
    }
    Ok(command)
}

/// What was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExecAnswer {
    /// No selected pod is running; those that are selected, with their phases: `redis-0 Pending`.
    NoPod(Vec<String>),
    /// The container runtime could not start the program, in its words.
    NotStarted {
        /// Where.
        pod: String,
        /// Why not.
        why: String,
    },
    /// It was started and has not ended yet.
    Running {
        /// Where it runs.
        pod: String,
        /// Standard error so far, or standard output where there is none.
        output: String,
    },
    /// It ran to its end.
    Ended(ExecEnd),
}

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecEnd {
    /// Where it ran.
    pub pod: String,
    /// Its exit code.
    pub code: i32,
    /// Standard output: the first 64 KiB at most.
    pub stdout: String,
    /// Standard error: the first 64 KiB at most.
    pub stderr: String,
    /// Whether standard output went on after what was kept.
    pub cut: bool,
}

impl Claim for Exec {
    type Answer = ExecAnswer;

    fn judge(&self, answer: &ExecAnswer) -> Verdict {
        let command = self.command.join(" ");
        match answer {
            ExecAnswer::NoPod(selected) => Verdict::broken(format!("a running pod with {}", self.labels()), {
                let selected = if selected.is_empty() { "there is none".to_owned() } else { selected.join(", ") };
                format!("no pod with {} is running: {selected}", self.labels())
            }),
            ExecAnswer::NotStarted { pod, why } => Verdict::broken(
                format!("`{command}` runs in {pod}"),
                format!("`{command}` did not start in {pod}: {why}"),
            ),
            ExecAnswer::Running { pod, output } => Verdict::broken(
                format!("`{command}` exits with {}", self.exit),
                format!(
                    "`{command}` in {pod} has not ended; so far it printed {} (`look` is how long it may take)",
                    excerpt(output)
                ),
            ),
            ExecAnswer::Ended(end) => self.judge_end(&command, end),
        }
    }
}

impl Exec {
    fn labels(&self) -> String {
        self.pod.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",")
    }

    fn judge_end(&self, command: &str, end: &ExecEnd) -> Verdict {
        let ExecEnd { pod, code, stdout, stderr, cut } = end;
        let mut faults = Faults::default();
        let words = if stderr.trim().is_empty() { stdout } else { stderr };
        faults.unless(
            *code == self.exit,
            format!("`{command}` exits with {}", self.exit),
            format!("`{command}` in {pod} exited with {code}: {}", excerpt(words)),
        );
        if let Some(wanted) = &self.prints {
            // What an output lacks or equals cannot be told from its beginning alone.
            let Some(holds) = wanted.holds(stdout, !cut) else {
                let unread = if *cut { "is only read at its beginning" } else { "cannot be read as text" };
                let unread = format!("what `{command}` in {pod} printed {unread}");
                return faults.or_unclear(format!("{unread}; whether it is {wanted} cannot be told"));
            };
            faults.unless(
                holds,
                format!("it prints {wanted}"),
                format!("`{command}` in {pod} printed {}", excerpt(stdout)),
            );
        }
        faults.or_held(format!("`{command}` in {pod} exited with {code} and printed {}", excerpt(stdout)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(yaml: &str) -> Exec {
        serde_saphyr::from_str(&format!("{{pod: {{app: redis}}, command: [cat, /etc/os], {yaml}}}")).unwrap()
    }

    fn ended(code: i32, stdout: &str, stderr: &str) -> ExecAnswer {
        ExecAnswer::Ended(ExecEnd {
            pod: "redis-0".to_owned(),
            code,
            stdout: stdout.to_owned(),
            stderr: stderr.to_owned(),
            cut: false,
        })
    }

    #[test]
    fn the_exit_code_and_output_claimed_hold() {
        assert!(matches!(claim("prints: {equals: Debian}").judge(&ended(0, "Debian\n", "")), Verdict::Held { .. }));
        assert!(matches!(claim("exit: 3").judge(&ended(3, "", "no")), Verdict::Held { .. }));
    }

    #[test]
    fn another_exit_code_is_shown_with_the_words_of_the_program() {
        assert_eq!(
            claim("").judge(&ended(1, "", "cat: /etc/os: No such file\n")),
            Verdict::broken(
                "`cat /etc/os` exits with 0",
                "`cat /etc/os` in redis-0 exited with 1: \"cat: /etc/os: No such file\""
            )
        );
    }

    #[test]
    fn every_part_of_a_claim_can_fail() {
        for (yaml, answer) in [
            ("", ended(1, "", "")),
            ("exit: 1", ended(0, "", "")),
            ("prints: {contains: Debian}", ended(0, "Alpine", "")),
            ("prints: {lacks: Alpine}", ended(0, "Alpine", "")),
            ("", ExecAnswer::NoPod(vec![])),
            ("", ExecAnswer::NotStarted { pod: "redis-0".to_owned(), why: "not found in $PATH".to_owned() }),
        ] {
            assert!(matches!(claim(yaml).judge(&answer), Verdict::Broken { .. }), "{yaml}");
        }
    }

    #[test]
    fn the_beginning_of_an_output_does_not_show_what_its_end_lacks() {
        let ExecAnswer::Ended(end) = ended(0, "fine so far", "") else { unreachable!() };
        let cut = ExecAnswer::Ended(ExecEnd { cut: true, ..end });
        assert!(matches!(claim("prints: {lacks: error}").judge(&cut), Verdict::Unclear { .. }));
    }

    #[test]
    fn an_output_that_is_no_text_lacks_nothing_that_can_be_told() {
        let unread = "e\0r\0r\0o\0r\0";
        assert!(matches!(claim("prints: {lacks: error}").judge(&ended(0, unread, "")), Verdict::Unclear { .. }));
        assert!(matches!(claim("prints: {lacks: error}").judge(&ended(1, unread, "")), Verdict::Broken { .. }));
    }

    #[test]
    fn a_command_that_hangs_breaks_with_what_it_printed_so_far() {
        let running = ExecAnswer::Running { pod: "redis-0".to_owned(), output: "waiting for db\n".to_owned() };
        assert_eq!(
            claim("exit: 3").judge(&running),
            Verdict::broken(
                "`cat /etc/os` exits with 3",
                "`cat /etc/os` in redis-0 has not ended; so far it printed \"waiting for db\" (`look` is how long it may take)"
            )
        );
    }

    #[test]
    fn pods_that_are_selected_and_not_running_are_named() {
        let verdict = claim("").judge(&ExecAnswer::NoPod(vec!["redis-0 Pending".to_owned()]));
        assert_eq!(
            verdict,
            Verdict::broken("a running pod with app=redis", "no pod with app=redis is running: redis-0 Pending")
        );
    }

    #[test]
    fn a_claim_that_selects_everything_or_runs_nothing_is_refused_when_it_is_read() {
        for yaml in ["{pod: {}, command: [ls]}", "{pod: {a: b}, command: []}", "{pod: {a: b}, command: ['']}"] {
            assert!(serde_saphyr::from_str::<Exec>(yaml).is_err(), "{yaml}");
        }
    }
}
