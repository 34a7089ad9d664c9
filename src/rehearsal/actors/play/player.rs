//! Who plays a script: its variables, its branches and loops, and where its output goes.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::super::pod::{Surroundings, hostname};
use super::shell::{Command, Part, Redirect, Script, Tie, Way, Word, parse};

/// More steps than this, and a script is taken for one without end.
pub(super) const MOST_STEPS: usize = 2_000;
/// More turns of a loop than this, while somebody does not answer, are taken for waiting.
const MOST_TRIES: usize = 100;
/// More lines than this are not written at one start.
const MOST_LINES: usize = 5_000;

/// How a command went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    Code(i32),
    Exit(i32),
    Forever,
    Break,
    Continue,
}

/// One who plays a script.
pub(super) struct Player<'a> {
    pub(super) around: &'a Surroundings<'a>,
    pub(super) wall: Timestamp,
    pub(super) env: Vec<(String, String)>,
    /// What scripts have written.
    files: BTreeMap<String, String>,
    pub(super) clock: Duration,
    pub(super) lines: Vec<(Duration, String)>,
    /// The line that has no end yet.
    open: String,
    pub(super) errors: String,
    /// Outputs that are not the log: of `$(…)`, of pipes, of files.
    pub(super) captured: Vec<String>,
    pub(super) stdin: Option<String>,
    pub(super) code: i32,
    pub(super) steps: usize,
    /// Whether `set -e` is on.
    pub(super) strict: bool,
    /// Whether a program of which nothing is known is a server.
    pub(super) serves: bool,
    /// Whether something did not answer.
    pub(super) unanswered: bool,
    /// Whether a program of which nothing is known has run since the last pipe began.
    pub(super) vague: bool,
    /// Whether the last program is one of which nothing is known.
    pub(super) unknown_last: bool,
    /// Whether something runs in the background for ever.
    pub(super) background: bool,
    /// The server that it came to, with its arguments.
    pub(super) server: Vec<String>,
    /// Who of those that were asked answers.
    pub(super) known: BTreeMap<String, bool>,
}

impl<'a> Player<'a> {
    pub(super) fn new(around: &'a Surroundings<'a>, env: Vec<(String, String)>, wall: Timestamp) -> Self {
        Self {
            around,
            wall,
            env,
            files: BTreeMap::new(),
            clock: Duration::ZERO,
            lines: Vec::new(),
            open: String::new(),
            errors: String::new(),
            captured: Vec::new(),
            stdin: None,
            code: 0,
            steps: 0,
            strict: false,
            serves: false,
            unanswered: false,
            vague: false,
            unknown_last: false,
            background: false,
            server: Vec::new(),
            known: BTreeMap::new(),
        }
    }

    /// Writes to the output of the moment.
    pub(super) fn write(&mut self, text: &str) {
        if let Some(capture) = self.captured.last_mut() {
            capture.push_str(text);
            return;
        }
        self.open.push_str(text);
        while let Some(end) = self.open.find('\n') {
            let rest = self.open.split_off(end + 1);
            let line = std::mem::replace(&mut self.open, rest);
            if self.lines.len() < MOST_LINES {
                self.lines.push((self.clock, line.trim_end_matches('\n').to_owned()));
            }
        }
    }

    /// Ends a line that has no end.
    pub(super) fn flush(&mut self) {
        if !self.open.is_empty() {
            self.lines.push((self.clock, std::mem::take(&mut self.open)));
        }
    }

    pub(super) fn complain(&mut self, message: &str) -> Flow {
        self.errors.push_str(message);
        self.errors.push('\n');
        if self.captured.is_empty() {
            self.write(&format!("{message}\n"));
        }
        Flow::Code(1)
    }

    pub(super) fn variable(&self, name: &str) -> String {
        match name {
            "?" => self.code.to_string(),
            "$" => "1".into(),
            "HOSTNAME" => hostname(self.around.pod).to_owned(),
            _ => self.env.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone()).unwrap_or_default(),
        }
    }

    pub(super) fn assign(&mut self, name: &str, value: String) {
        self.env.retain(|(key, _)| key != name);
        self.env.push((name.to_owned(), value));
    }

    /// The words that a word becomes.
    fn expand(&mut self, word: &Word) -> Vec<String> {
        let mut words = vec![String::new()];
        let mut any = false;
        for part in word {
            let (text, whole) = match part {
                Part::Text(text) => (text.clone(), true),
                Part::Variable { name, default, quoted } => {
                    let value = self.variable(name);
                    let value = match default {
                        Some(default) if value.is_empty() => default.clone(),
                        Some(_) | None => value,
                    };
                    (value, *quoted)
                }
                Part::Output { script, quoted } => {
                    self.captured.push(String::new());
                    let flow = self.script(&parse(script));
                    if let Flow::Code(code) | Flow::Exit(code) = flow {
                        self.code = code;
                    }
                    let output = self.captured.pop().unwrap_or_default();
                    (output.trim_end_matches('\n').to_owned(), *quoted)
                }
                Part::Sum(sum) => (self.sum(sum).to_string(), true),
            };
            any |= whole || !text.is_empty();
            let mut pieces: Vec<&str> = if whole { vec![&text] } else { text.split_whitespace().collect() };
            if let (Some(last), false) = (words.last_mut(), pieces.is_empty()) {
                last.push_str(pieces.remove(0));
            }
            words.extend(pieces.into_iter().map(str::to_owned));
        }
        if any { words } else { Vec::new() }
    }

    /// A sum, from left to right.
    fn sum(&self, text: &str) -> i64 {
        let spaced: String =
            text.chars().flat_map(|l| if "+-*/%".contains(l) { vec![' ', l, ' '] } else { vec![l] }).collect();
        let (mut total, mut sign) = (0_i64, '+');
        for token in spaced.split_whitespace() {
            if let Some(operator) = token.chars().next().filter(|letter| "+-*/%".contains(*letter)) {
                sign = operator;
                continue;
            }
            let name = token.trim_start_matches('$');
            let number: i64 = name.parse().or_else(|_| self.variable(name).parse()).unwrap_or_default();
            total = match sign {
                '-' => total.wrapping_sub(number),
                '*' => total.wrapping_mul(number),
                '/' => total.checked_div(number).unwrap_or_default(),
                '%' => total.checked_rem(number).unwrap_or_default(),
                _ => total.wrapping_add(number),
            };
        }
        total
    }

    pub(super) fn script(&mut self, script: &Script) -> Flow {
        let mut flow = Flow::Code(self.code);
        for (index, (tie, command, background)) in script.iter().enumerate() {
            let skip = match (tie, self.code) {
                (Tie::And, code) => code != 0,
                (Tie::Or, code) => code == 0,
                (Tie::Always, _) => false,
            };
            if skip {
                continue;
            }
            self.steps += 1;
            if self.steps > MOST_STEPS {
                return Flow::Forever;
            }
            flow = self.command(command);
            if *background {
                self.background |= flow == Flow::Forever;
                flow = Flow::Code(0);
            }
            match flow {
                Flow::Code(code) => self.code = code,
                Flow::Exit(_) | Flow::Forever | Flow::Break | Flow::Continue => return flow,
            }
            let tested = script.get(index + 1).is_some_and(|(tie, _, _)| *tie != Tie::Always);
            if self.strict && self.code != 0 && !tested && !matches!(command, Command::Not(_)) {
                return Flow::Exit(self.code);
            }
        }
        flow
    }

    /// A script whose failure is an answer.
    fn condition(&mut self, script: &Script) -> Result<bool, Flow> {
        let strict = std::mem::take(&mut self.strict);
        let flow = self.script(script);
        self.strict = strict;
        match flow {
            Flow::Code(code) => Ok(code == 0),
            Flow::Exit(_) | Flow::Forever | Flow::Break | Flow::Continue => Err(flow),
        }
    }

    fn command(&mut self, command: &Command) -> Flow {
        match command {
            Command::Simple(words, redirects) => self.redirected(words, redirects),
            Command::Group(script) => self.script(script),
            Command::Not(inner) => match self.command(inner) {
                Flow::Code(code) => Flow::Code(i32::from(code == 0)),
                flow @ (Flow::Exit(_) | Flow::Forever | Flow::Break | Flow::Continue) => flow,
            },
            Command::If(branches, rest) => {
                for (condition, body) in branches {
                    match self.condition(condition) {
                        Ok(true) => return self.block(body),
                        Ok(false) => {}
                        Err(flow) => return flow,
                    }
                }
                self.block(rest)
            }
            Command::While(until, condition, body) => self.cycle(*until, condition, body),
            Command::For(name, words, body) => {
                let words: Vec<String> = words.iter().flat_map(|word| self.expand(word)).collect();
                for word in words {
                    self.assign(name, word);
                    match self.script(body) {
                        Flow::Code(_) | Flow::Continue => {}
                        Flow::Break => break,
                        flow @ (Flow::Exit(_) | Flow::Forever) => return flow,
                    }
                }
                Flow::Code(0)
            }
            Command::Pipe(commands) => self.pipe(commands),
        }
    }

    /// The body of an `if`: without commands it is a success.
    fn block(&mut self, script: &Script) -> Flow {
        self.code = 0;
        self.script(script)
    }

    fn cycle(&mut self, until: bool, condition: &Script, body: &Script) -> Flow {
        for turn in 0.. {
            self.steps += 1;
            // One that asks somebody who is not there will be played again: it need not be played long.
            if self.unanswered && turn > MOST_TRIES {
                self.steps = MOST_STEPS + 1;
            }
            if self.steps > MOST_STEPS {
                break;
            }
            match self.condition(condition) {
                Ok(holds) if holds == until => return Flow::Code(0),
                Ok(_) => {}
                Err(flow) => return flow,
            }
            match self.script(body) {
                Flow::Code(_) | Flow::Continue => {}
                Flow::Break => return Flow::Code(0),
                flow @ (Flow::Exit(_) | Flow::Forever) => return flow,
            }
        }
        Flow::Forever
    }

    fn pipe(&mut self, commands: &[Command]) -> Flow {
        let mut flow = Flow::Code(0);
        let before = self.stdin.take();
        self.vague = false;
        for (index, command) in commands.iter().enumerate() {
            let last = index + 1 == commands.len();
            if !last {
                self.captured.push(String::new());
            }
            flow = self.command(command);
            if !last {
                self.stdin = self.captured.pop();
                if flow == Flow::Forever {
                    break;
                }
            }
        }
        self.stdin = before;
        match flow {
            Flow::Exit(code) => Flow::Code(code),
            Flow::Code(_) | Flow::Forever | Flow::Break | Flow::Continue => flow,
        }
    }

    fn redirected(&mut self, words: &[Word], redirects: &[Redirect]) -> Flow {
        let words: Vec<String> = words.iter().flat_map(|word| self.expand(word)).collect();
        let mut target = None;
        for redirect in redirects.iter().filter(|redirect| !redirect.errors) {
            let file = self.expand(&redirect.file).join(" ");
            match redirect.way {
                Way::From => self.stdin = self.read(&file),
                Way::To | Way::Append if matches!(&*file, "/dev/stdout" | "/dev/stderr" | "/proc/1/fd/1") => {}
                Way::To => target = Some((file, String::new())),
                Way::Append => {
                    let before = self.read(&file).unwrap_or_default();
                    target = Some((file, before));
                }
            }
        }
        let Some((file, before)) = target else { return self.words(words) };
        self.captured.push(before);
        let flow = self.words(words);
        let content = self.captured.pop().unwrap_or_default();
        if file != "/dev/null" {
            self.files.insert(file, content);
        }
        flow
    }

    /// The content of a file, mounted or written.
    pub(super) fn read(&self, path: &str) -> Option<String> {
        self.files.get(path).cloned().or_else(|| self.around.file(path))
    }

    /// Assignments, then a program.
    fn words(&mut self, mut words: Vec<String>) -> Flow {
        let is_name =
            |name: &str| !name.is_empty() && name.chars().all(|letter| letter == '_' || letter.is_ascii_alphanumeric());
        while let Some((name, value)) = words.first().and_then(|word| word.split_once('='))
            && is_name(name)
        {
            let (name, value) = (name.to_owned(), value.to_owned());
            self.assign(&name, value);
            words.remove(0);
        }
        if words.is_empty() { Flow::Code(0) } else { self.program(&words) }
    }
}
