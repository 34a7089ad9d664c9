//! The programs that are played.

use std::time::Duration;

use super::super::pod::hostname;
use super::player::{Flow, MOST_STEPS, Player};
use super::shell::parse;
use super::{base, is_server};

/// From this on a sleep is for ever.
const FOR_EVER: f64 = 300.0;

impl Player<'_> {
    /// One program.
    pub(super) fn program(&mut self, words: &[String]) -> Flow {
        let rest = &words[1..];
        self.unknown_last = false;
        match base(&words[0]) {
            "sh" | "bash" | "ash" | "dash" | "busybox" => self.shell(rest),
            "exec" | "tini" | "dumb-init" | "timeout" | "nohup" | "command" => self.wrapped(words),
            "echo" => self.echo(rest),
            "printf" => self.printf(rest),
            "sleep" => self.sleep(rest),
            "exit" | "return" => Flow::Exit(rest.first().and_then(|code| code.parse().ok()).unwrap_or(self.code)),
            "true" | ":" | "cd" | "trap" | "umask" | "chmod" | "mkdir" => Flow::Code(0),
            "false" => Flow::Code(1),
            "break" => Flow::Break,
            "continue" => Flow::Continue,
            "set" => {
                self.strict |= rest.iter().any(|word| word.starts_with('-') && word.contains('e'));
                Flow::Code(0)
            }
            "export" | "local" | "readonly" => {
                let pairs: Vec<(String, String)> = rest
                    .iter()
                    .filter_map(|word| word.split_once('=').map(|(name, value)| (name.into(), value.into())))
                    .collect();
                pairs.into_iter().for_each(|(name, value)| self.assign(&name, value));
                Flow::Code(0)
            }
            "test" | "[" | "[[" => Flow::Code(i32::from(!self.test(rest))),
            "wait" => {
                if self.background {
                    Flow::Forever
                } else {
                    Flow::Code(0)
                }
            }
            "printenv" | "env" => self.environment(rest),
            "cat" | "head" | "tail" | "grep" | "wc" => self.filter(words),
            name @ ("date" | "hostname" | "whoami" | "id") => self.surroundings(name),
            "seq" => self.count(rest),
            "flyway" => self.flyway(rest),
            "nc" if rest.iter().any(|word| word.starts_with("-l") || word.starts_with("-kl")) => Flow::Forever,
            name if is_server(name) => {
                self.server = words.to_vec();
                Flow::Forever
            }
            name => match super::clients::play(name, rest, self.around, &mut self.known) {
                // What a client cannot reach it says beside its output; `pg_isready` alone answers with it.
                Some((said, code)) if code != 0 && matches!(name, "redis-cli" | "valkey-cli") => {
                    self.unanswered = true;
                    self.complain(said.trim_end());
                    Flow::Code(code)
                }
                Some((said, code)) => {
                    self.write(&said);
                    self.unanswered |= code != 0;
                    self.vague |= said.is_empty();
                    Flow::Code(code)
                }
                None => self.unknown(words),
            },
        }
    }

    /// What a program says of where it is, and when.
    fn surroundings(&mut self, program: &str) -> Flow {
        match program {
            "date" => self.say(&self.wall.to_string()),
            "hostname" => self.say(hostname(self.around.pod)),
            "whoami" => self.say("root"),
            _ => self.say("uid=0(root) gid=0(root) groups=0(root)"),
        }
    }

    fn say(&mut self, text: &str) -> Flow {
        let line = format!("{text}\n");
        self.write(&line);
        Flow::Code(0)
    }

    /// A script that is a mounted file, or a program of which nothing is known.
    fn unknown(&mut self, words: &[String]) -> Flow {
        match self.read(&words[0]) {
            Some(script) => match self.script(&parse(&script)) {
                Flow::Exit(code) => Flow::Code(code),
                flow @ (Flow::Code(_) | Flow::Forever | Flow::Break | Flow::Continue) => flow,
            },
            // An entry point runs the server that its arguments name.
            None if words[0].ends_with("entrypoint.sh") && words.len() > 1 => self.program(&words[1..]),
            None => {
                (self.vague, self.unknown_last) = (true, true);
                Flow::Code(0)
            }
        }
    }

    /// `sh -c script`, `sh file`.
    fn shell(&mut self, args: &[String]) -> Flow {
        let flag = |word: &String| word.starts_with('-') && word.contains('c');
        self.strict |= args.iter().take_while(|word| word.starts_with('-')).any(|word| word.contains('e'));
        let script = match args.iter().position(flag) {
            Some(at) => {
                for (index, value) in args.iter().skip(at + 2).enumerate() {
                    self.assign(&index.to_string(), value.clone());
                }
                args.get(at + 1).cloned()
            }
            None => match args.iter().find(|word| !word.starts_with('-')) {
                Some(file) if matches!(base(file), "sh" | "sleep" | "echo" | "cat") => {
                    return self.program(args);
                }
                Some(file) => match self.read(file) {
                    Some(script) => Some(script),
                    None => return if self.serves { Flow::Forever } else { Flow::Code(0) },
                },
                None => self.stdin.take(),
            },
        };
        match self.script(&parse(&script.unwrap_or_default())) {
            Flow::Exit(code) => Flow::Code(code),
            Flow::Break | Flow::Continue => Flow::Code(0),
            flow @ (Flow::Code(_) | Flow::Forever) => flow,
        }
    }

    /// A program that runs another one.
    fn wrapped(&mut self, words: &[String]) -> Flow {
        let numeric = |word: &str| word.trim_end_matches(['s', 'm', 'h']).parse::<f64>().is_ok();
        let skip = |word: &&String| word.starts_with('-') || (base(&words[0]) == "timeout" && numeric(word));
        let inner: Vec<String> = words[1..].iter().skip_while(skip).cloned().collect();
        if inner.is_empty() {
            return Flow::Code(0);
        }
        match (self.program(&inner), base(&words[0])) {
            (Flow::Code(code), "exec") => Flow::Exit(code),
            (Flow::Forever, "timeout") => Flow::Code(143),
            (flow, _) => flow,
        }
    }

    fn echo(&mut self, args: &[String]) -> Flow {
        let flags = args.iter().take_while(|word| matches!(word.as_str(), "-n" | "-e" | "-ne" | "-en")).count();
        let open = args[..flags].iter().any(|flag| flag.contains('n'));
        let text = args[flags..].join(" ");
        let text = if args[..flags].iter().any(|flag| flag.contains('e')) { unescape(&text) } else { text };
        self.write(&text);
        if !open {
            self.write("\n");
        }
        Flow::Code(0)
    }

    fn printf(&mut self, args: &[String]) -> Flow {
        let mut words = args.iter().skip(1);
        let format = unescape(args.first().map_or("", String::as_str));
        let mut out = String::new();
        let mut letters = format.chars();
        while let Some(letter) = letters.next() {
            if letter != '%' {
                out.push(letter);
                continue;
            }
            match letters.find(char::is_ascii_alphabetic) {
                Some(_) => out.push_str(words.next().map_or("", String::as_str)),
                None => out.push('%'),
            }
        }
        self.write(&out);
        Flow::Code(0)
    }

    fn sleep(&mut self, args: &[String]) -> Flow {
        let mut seconds = 0.0;
        for word in args {
            let factor = match word.chars().last() {
                Some('m') => 60.0,
                Some('h') => 3_600.0,
                Some('d') => 86_400.0,
                Some(_) | None => 1.0,
            };
            seconds += word.trim_end_matches(['s', 'm', 'h', 'd']).parse::<f64>().map_or(FOR_EVER, |n| n * factor);
        }
        if seconds >= FOR_EVER || !seconds.is_finite() {
            return Flow::Forever;
        }
        self.clock += Duration::from_secs_f64((seconds.max(0.0) / 100.0).min(0.4));
        Flow::Code(0)
    }

    fn environment(&mut self, args: &[String]) -> Flow {
        if let Some(name) = args.iter().find(|word| !word.starts_with('-') && !word.contains('=')) {
            if !self.env.iter().any(|(key, _)| key == name) {
                return Flow::Code(1);
            }
            let value = self.variable(name);
            return self.say(&value);
        }
        let all: String = self.env.iter().map(|(key, value)| format!("{key}={value}\n")).collect();
        self.write(&all);
        Flow::Code(0)
    }

    /// Programs that read files or their input.
    fn filter(&mut self, words: &[String]) -> Flow {
        let (name, args) = (base(&words[0]), &words[1..]);
        if name == "tail" && args.iter().any(|word| word.starts_with("-f") || word.starts_with("-F")) {
            return Flow::Forever;
        }
        let mut plain: Vec<&String> = args.iter().filter(|word| !word.starts_with('-')).collect();
        let pattern = if name == "grep" && !plain.is_empty() { plain.remove(0).clone() } else { String::new() };
        if matches!(name, "head" | "tail") {
            plain.retain(|word| word.parse::<u64>().is_err());
        }
        let mut input = String::new();
        for file in &plain {
            match self.read(file) {
                Some(content) => input.push_str(&content),
                None => return self.complain(&format!("{name}: can't open '{file}': No such file or directory")),
            }
        }
        if plain.is_empty() {
            input = self.stdin.take().unwrap_or_default();
        }
        match name {
            "grep" => {
                let invert = args.iter().any(|word| word.starts_with('-') && word.contains('v'));
                let found: Vec<&str> = input.lines().filter(|line| line.contains(&pattern) != invert).collect();
                if !args.iter().any(|word| word.starts_with('-') && word.contains('q')) {
                    found.iter().for_each(|line| self.write(&format!("{line}\n")));
                }
                // What a program of which nothing is known would have said is taken to fit.
                let fits = !found.is_empty() || (self.vague && input.is_empty());
                Flow::Code(i32::from(!fits))
            }
            "wc" => self.say(&input.lines().count().to_string()),
            _ => {
                self.write(&input);
                Flow::Code(0)
            }
        }
    }

    fn count(&mut self, args: &[String]) -> Flow {
        let numbers: Vec<i64> = args.iter().filter_map(|word| word.parse().ok()).collect();
        let (from, to) = match numbers[..] {
            [to] => (1, to),
            [from, to] => (from, to),
            [from, _, to] => (from, to),
            _ => return Flow::Code(1),
        };
        (from..=to).take(MOST_STEPS).for_each(|number| self.write(&format!("{number}\n")));
        Flow::Code(0)
    }

    /// `test`.
    fn test(&self, args: &[String]) -> bool {
        let words: Vec<&str> = args.iter().map(String::as_str).filter(|word| !matches!(*word, "]" | "]]")).collect();
        let there = |path: &str| self.read(path).is_some();
        match words[..] {
            ["!", ..] => !self.test(&args[1..]),
            [left, "=" | "==", right] => left == right,
            [left, "!=", right] => left != right,
            [left, operator @ ("-eq" | "-ne" | "-lt" | "-le" | "-gt" | "-ge"), right] => {
                let (left, right): (i64, i64) = (left.parse().unwrap_or_default(), right.parse().unwrap_or_default());
                match operator {
                    "-eq" => left == right,
                    "-ne" => left != right,
                    "-lt" => left < right,
                    "-le" => left <= right,
                    "-gt" => left > right,
                    _ => left >= right,
                }
            }
            ["-z", text] => text.is_empty(),
            ["-z"] => true,
            ["-n", text] => !text.is_empty(),
            ["-f" | "-e" | "-r" | "-s", path] => there(path),
            ["-d", _] => true,
            [text] => !text.is_empty() && text != "-n",
            _ => false,
        }
    }
}

/// A text with `\n` and `\t` as the letters that they stand for.
fn unescape(text: &str) -> String {
    text.replace("\\n", "\n").replace("\\t", "\t").replace("\\\\", "\\")
}
