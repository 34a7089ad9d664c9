//! The run on a terminal, or as plain lines where there is none.
//!
//! What stays on the screen is the same in both: one line for each step that ended, a block for a red one, a summary.
//! A live terminal shows below it what is under way.

mod lines;
mod live;
mod paint;
mod summary;

use std::io;

use self::lines::Layout;
use self::live::Live;
use super::out::Out;
use super::record::Record;
use crate::events::{Event, EventKind};

/// How much is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Voice {
    /// Red steps and the summary.
    Quiet,
    /// Every step that ended as well.
    #[default]
    Normal,
    /// Every look and every wait as well.
    Verbose,
}

/// Whether colours are used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Colour {
    /// On a terminal, unless `NO_COLOR` forbids or `CLICOLOR_FORCE` commands them.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// The stream with colours let through or taken out. [`Terminal`] always writes them.
pub fn coloured<S: anstream::stream::RawStream>(stream: S, colour: Colour) -> anstream::AutoStream<S> {
    match colour {
        Colour::Auto => anstream::AutoStream::auto(stream),
        Colour::Always => anstream::AutoStream::always(stream),
        Colour::Never => anstream::AutoStream::never(stream),
    }
}

/// Tells a run to the person who watches.
pub struct Terminal {
    out: Out,
    voice: Voice,
    layout: Layout,
    live: Option<Live>,
    failed: Option<io::Error>,
}

impl Terminal {
    /// Lines only. `out` is from [`coloured`].
    #[must_use]
    pub fn plain(out: Out, voice: Voice) -> Self {
        Self { out, voice, layout: Layout::default(), live: None, failed: None }
    }

    /// The same lines, and below them what is under way, drawn on standard error if that is a terminal.
    #[must_use]
    pub fn live(out: Out, voice: Voice) -> Self {
        Self { live: Some(Live::on(indicatif::ProgressDrawTarget::stderr())), ..Self::plain(out, voice) }
    }

    pub(super) fn take(&mut self, event: &Event, record: &Record) {
        if let EventKind::RunStarted(run) = &event.kind {
            self.layout = Layout::of(run);
        }
        if let Some(live) = &mut self.live {
            live.take(event, record);
        }
        self.say(&lines::told(event, record, self.voice, self.layout));
    }

    pub(super) fn close(mut self, record: &Record) -> io::Result<()> {
        if let Some(live) = self.live.take() {
            live.clear();
        }
        self.say(&summary::summary(record, self.layout));
        match self.failed {
            // Whoever pipes us into `head` has seen enough.
            Some(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
            Some(_) | None => Ok(()),
        }
    }

    fn say(&mut self, lines: &[String]) {
        if lines.is_empty() || self.failed.is_some() {
            return;
        }
        let mut text = lines.join("\n");
        text.push('\n');
        let out = &mut self.out;
        let mut write = || out.write_all(text.as_bytes()).and_then(|()| out.flush());
        self.failed = match &self.live {
            Some(live) => live.aside(write),
            None => write(),
        }
        .err();
    }
}
