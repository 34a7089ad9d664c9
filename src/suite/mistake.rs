//! A mistake in a file: what is wrong, where, and how to put it right.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Level, Origin, Renderer, Snippet};

use super::source::{Place, Sources};

/// So many mistakes of one file are followed up; after that it is the wrong file.
pub(super) const MOST: usize = 100;

/// So many mistakes of all files are shown; nobody reads on.
const MOST_SHOWN: usize = 250;

/// So many names are compared with a misspelt one; a hostile file could otherwise have each compared with each.
const MOST_KNOWN: usize = 200;

/// Everything that is wrong with the files, in the order of files and lines. Never empty.
///
/// Printed, it is one block per mistake with the line and a caret under the place, in plain text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Mistakes(Vec<Mistake>);

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The file and the place in it; `None` where something is missing as a whole.
    pub spot: Option<MistakeSpot>,
    /// What is wrong, in one line.
    pub what: String,
    /// How to put it right, in one line.
    pub remedy: Option<String>,
    block: String,
}

/// Where a mistake is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MistakeSpot {
    /// The file, as it was named to [`super::read`].
    pub file: PathBuf,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
}

impl Mistakes {
    /// There is no suite file in the folder: a green of nothing would follow.
    #[must_use]
    pub fn no_suites(folder: &Path) -> Self {
        let what = format!("there is no suite in `{}`", folder.display());
        let remedy = "a suite is a file `<name>.yaml` there; is the folder's name right?";
        Self(vec![render(&Sources::default(), &Found::nowhere(Finding::new(what).remedy(remedy)))])
    }

    /// Each mistake.
    pub fn iter(&self) -> impl Iterator<Item = &Mistake> {
        self.0.iter()
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, mistake) in self.0.iter().enumerate() {
            let gap = if index == 0 { "" } else { "\n\n" };
            write!(f, "{gap}{}", mistake.block)?;
        }
        Ok(())
    }
}

/// What is wrong, before anybody knows where.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Finding {
    pub(super) what: String,
    pub(super) remedy: Option<String>,
    about: About,
}

/// What a finding says of another one in the same mapping: `titel` explains why `title` is missing.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum About {
    #[default]
    Itself,
    /// This key is not there.
    Missing(String),
    /// This key was meant.
    Meant(String),
}

impl Finding {
    pub(super) fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), remedy: None, about: About::Itself }
    }

    /// A key that must be there is not.
    pub(super) fn missing(key: &str) -> Self {
        Self { about: About::Missing(key.to_owned()), ..Self::new(format!("`{key}` is missing here")) }
    }

    /// The rooms' parsers write `what is wrong; what to write instead`.
    pub(super) fn of_parser(message: &str) -> Self {
        match message.split_once("; ") {
            Some((what, remedy)) => Self::new(what).remedy(remedy),
            None => Self::new(message),
        }
    }

    pub(super) fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// The remedy for a word that is none of those known; where one of them is meant, in place of any other remedy.
    pub(super) fn did_you_mean<'a>(self, word: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        let known: Vec<&str> = known.into_iter().take(MOST_KNOWN).collect();
        let near = known
            .iter()
            .map(|name| (strsim::damerau_levenshtein(&word.to_lowercase(), &name.to_lowercase()), *name))
            .min();
        match near {
            Some((distance, name)) if distance <= 1 + name.len() / 4 => {
                Self { about: About::Meant(name.to_owned()), ..self.remedy(format!("did you mean `{name}`?")) }
            }
            Some(_) => {
                let before = self.remedy.as_ref().map_or_else(String::new, |remedy| format!("{remedy}; "));
                self.remedy(format!("{before}known here: {}", listed(&known)))
            }
            None => self,
        }
    }
}

/// Names in a line that can still be read: every kind of probe fits into it.
pub(super) fn listed(names: &[&str]) -> String {
    let shown = &names[..names.len().min(32)];
    let rest = if shown.len() < names.len() { " and others" } else { "" };
    format!("`{}`{rest}", shown.join("`, `"))
}

/// What is wrong, and the places that show it: the first is where to look, others say why.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Found {
    places: Vec<(Place, String)>,
    finding: Finding,
}

impl Found {
    fn nowhere(finding: Finding) -> Self {
        Self { places: Vec::new(), finding }
    }

    /// The key that was meant, and the mapping that it was meant for.
    fn meant(&self, sources: &Sources) -> Option<(Option<Place>, String)> {
        match (&self.finding.about, self.places.first()) {
            (About::Meant(key), Some((place, _))) => Some((sources.parent(*place), key.clone())),
            (About::Itself | About::Missing(_) | About::Meant(_), _) => None,
        }
    }

    /// Whether it only says that a key is missing which was written with another spelling.
    fn is_explained(&self, meant: &BTreeSet<(Option<Place>, String)>) -> bool {
        match (&self.finding.about, self.places.first()) {
            (About::Missing(key), Some((place, _))) => meant.contains(&(Some(*place), key.clone())),
            (About::Itself | About::Missing(_) | About::Meant(_), _) => false,
        }
    }
}

/// The mistakes found so far. Finding the same one twice counts once, so each environment can be tried in full.
#[derive(Debug, Default)]
pub(super) struct Ledger(BTreeSet<Found>);

impl Ledger {
    /// Something is wrong at a place.
    pub(super) fn note(&mut self, place: Place, finding: Finding) {
        self.note_all(vec![(place, String::new())], finding);
    }

    /// Something is wrong between several places, each with its label.
    pub(super) fn note_all(&mut self, places: Vec<(Place, String)>, finding: Finding) {
        self.0.insert(Found { places, finding });
    }

    /// Something is missing as a whole.
    pub(super) fn note_nowhere(&mut self, finding: Finding) {
        self.0.insert(Found::nowhere(finding));
    }

    /// All of it, rendered; `Ok` where nothing is wrong.
    pub(super) fn close(self, sources: &Sources) -> Result<(), Mistakes> {
        if self.0.is_empty() {
            return Ok(());
        }
        let meant: BTreeSet<(Option<Place>, String)> = self.0.iter().filter_map(|found| found.meant(sources)).collect();
        let mut found: Vec<Found> = self.0.into_iter().filter(|found| !found.is_explained(&meant)).collect();
        found.sort_by_cached_key(|found| {
            let first = found.places.first();
            first.map(|(place, _)| (sources.file_of(*place), sources.range(*place).start))
        });
        let more = found.len().saturating_sub(MOST_SHOWN);
        found.truncate(MOST_SHOWN);
        if more > 0 {
            let finding = Finding::new(format!("{more} more mistakes are not shown"));
            found.push(Found::nowhere(finding.remedy("correct those shown first")));
        }
        Err(Mistakes(found.iter().map(|found| render(sources, found)).collect()))
    }
}

fn render(sources: &Sources, found: &Found) -> Mistake {
    let Finding { what, remedy, .. } = &found.finding;
    let mut group = Level::ERROR.primary_title(what.as_str()).elements(snippets(sources, found));
    if found.places.is_empty() || sources.text(sources.file_of(found.places[0].0)).text.is_empty() {
        group = group.elements(
            found
                .places
                .iter()
                .map(|(place, _)| Origin::path(sources.text(sources.file_of(*place)).path.display().to_string())),
        );
    }
    if let Some(remedy) = remedy {
        group = group.element(Level::HELP.message(remedy.as_str()));
    }
    let block = Renderer::plain().decor_style(DecorStyle::Ascii).render(&[group]);
    Mistake { spot: spot(sources, found), what: what.clone(), remedy: remedy.clone(), block }
}

/// One snippet per file, in the order in which the places name them.
fn snippets<'a>(sources: &'a Sources, found: &'a Found) -> Vec<Snippet<'a, annotate_snippets::Annotation<'a>>> {
    let mut files: Vec<usize> = Vec::new();
    for (place, _) in &found.places {
        let file = sources.file_of(*place);
        if !files.contains(&file) && !sources.text(file).text.is_empty() {
            files.push(file);
        }
    }
    let snippet = |file: &usize| {
        let text = sources.text(*file);
        let places = found.places.iter().enumerate().filter(|(_, (place, _))| sources.file_of(*place) == *file);
        Snippet::source(text.text.as_str()).path(text.path.display().to_string()).annotations(places.map(
            |(index, (place, label))| {
                let kind = if index == 0 { AnnotationKind::Primary } else { AnnotationKind::Context };
                let label = (!label.is_empty()).then_some(label.as_str());
                kind.span(sources.range(*place)).label(label)
            },
        ))
    };
    files.iter().map(snippet).collect()
}

fn spot(sources: &Sources, found: &Found) -> Option<MistakeSpot> {
    let (place, _) = found.places.first()?;
    let text = sources.text(sources.file_of(*place));
    let (line, column) = text.line_and_column(sources.range(*place).start);
    Some(MistakeSpot { file: text.path.clone(), line, column })
}
