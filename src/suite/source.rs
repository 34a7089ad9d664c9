//! The files as they came, and every place in them that a mistake can point to.

use std::ops::Range;
use std::path::{Path, PathBuf};

use super::mistake::Finding;

/// Larger than any suite a person writes; a log or an archive that lies in the wrong folder is not parsed.
const LARGEST: usize = 1 << 20;

/// One file, read but not yet understood.
#[derive(Clone, Debug)]
pub struct SourceFile {
    /// Its path, relative to where the program runs.
    pub path: PathBuf,
    /// All of its bytes.
    pub bytes: Vec<u8>,
}

/// A place in one of the files: a node of its YAML. Valid for the [`Sources`] that gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Place(pub(super) u32);

/// All texts, and all places in them.
#[derive(Debug, Default)]
pub(super) struct Sources {
    texts: Vec<Text>,
    spots: Vec<Spot>,
}

/// One file's text as it is shown: valid UTF-8, no byte order mark, lines that end in `\n`.
#[derive(Debug)]
pub(super) struct Text {
    pub(super) path: PathBuf,
    pub(super) text: String,
}

/// What is known of a place.
#[derive(Debug)]
struct Spot {
    file: usize,
    range: Range<usize>,
    parent: Option<Place>,
    key: Option<Box<str>>,
}

impl Sources {
    /// Takes a file in. The index stands for it from now on; a finding says why its text cannot be parsed.
    pub(super) fn add(&mut self, source: &SourceFile) -> (usize, Result<(), (Place, Finding)>) {
        let file = self.texts.len();
        let (text, trouble) = decode(&source.bytes);
        self.texts.push(Text { path: source.path.clone(), text });
        let trouble = trouble.map_or(Ok(()), |(range, finding)| Err((self.spot(file, range, None, None), finding)));
        (file, trouble)
    }

    /// Remembers a place; `parent` and `key` say how it is reached. What spans lines is shown where it begins.
    pub(super) fn spot(&mut self, file: usize, range: Range<usize>, parent: Option<Place>, key: Option<&str>) -> Place {
        let range = self.texts[file].first_line_of(range);
        let place = Place(u32::try_from(self.spots.len()).unwrap_or(u32::MAX));
        self.spots.push(Spot { file, range, parent, key: key.map(Into::into) });
        place
    }

    /// The place reached from `place` through these keys, as far as they exist.
    pub(super) fn within(&self, mut place: Place, keys: &[&str]) -> Place {
        for key in keys {
            let below = self.spots.iter().skip(place.0 as usize);
            let found =
                below.zip(place.0..).find(|(spot, _)| spot.parent == Some(place) && spot.key.as_deref() == Some(*key));
            match found {
                Some((_, index)) => place = Place(index),
                None => break,
            }
        }
        place
    }

    /// The mapping or list that a place is in.
    pub(super) fn parent(&self, place: Place) -> Option<Place> {
        self.spots[place.0 as usize].parent
    }

    /// The file that a place is in.
    pub(super) fn file_of(&self, place: Place) -> usize {
        self.spots[place.0 as usize].file
    }

    /// The bytes of its file's text that a place covers.
    pub(super) fn range(&self, place: Place) -> Range<usize> {
        self.spots[place.0 as usize].range.clone()
    }

    /// The line that a place is on, from 1.
    pub(super) fn line(&self, place: Place) -> usize {
        self.text(self.file_of(place)).line_and_column(self.range(place).start).0
    }

    /// A file's text.
    pub(super) fn text(&self, file: usize) -> &Text {
        &self.texts[file]
    }

    /// The folder that paths written in a file are relative to.
    pub(super) fn folder(&self, file: usize) -> &Path {
        self.texts[file].path.parent().unwrap_or(Path::new(""))
    }
}

impl Text {
    /// The part of a range that is on its first line; never outside the text, never inside a character.
    fn first_line_of(&self, range: Range<usize>) -> Range<usize> {
        let start = self.text.floor_char_boundary(range.start);
        let end = self.text.floor_char_boundary(range.end.max(start));
        let line = self.text[start..end].split('\n').next().unwrap_or_default();
        start..start + line.trim_end().len()
    }

    /// The byte at a line and column, both from 1; the end where there is no such place.
    pub(super) fn byte(&self, line: u64, column: u64) -> usize {
        let skip = |count: u64| usize::try_from(count.saturating_sub(1)).unwrap_or(usize::MAX);
        let start = self.text.split_inclusive('\n').take(skip(line)).map(str::len).sum::<usize>();
        start + self.text[start..].chars().take(skip(column)).map(char::len_utf8).sum::<usize>()
    }

    /// Line and column of a byte, both from 1; the column counts characters.
    pub(super) fn line_and_column(&self, byte: usize) -> (usize, usize) {
        let before = &self.text[..byte];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }
}

/// The text to show, and what keeps it from being parsed.
fn decode(bytes: &[u8]) -> (String, Option<(Range<usize>, Finding)>) {
    if bytes.len() > LARGEST {
        let finding = Finding::new(format!("this file is {} bytes long, and 1 MiB is the limit", bytes.len()));
        return (String::new(), Some((0..0, finding.remedy("split the layer, or move what is no suite elsewhere"))));
    }
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
    let text = String::from_utf8_lossy(bytes).replace("\r\n", "\n");
    let trouble = match std::str::from_utf8(bytes) {
        Err(_) => {
            let at = text.find(char::REPLACEMENT_CHARACTER).unwrap_or(0);
            let finding = Finding::new("this file is not UTF-8").remedy("save it as UTF-8");
            Some((at..at + char::REPLACEMENT_CHARACTER.len_utf8(), finding))
        }
        Ok(_) => control_character(&text),
    };
    (text, trouble)
}

/// YAML allows no control characters but tabs and line ends.
fn control_character(text: &str) -> Option<(Range<usize>, Finding)> {
    let (at, found) = text.char_indices().find(|(_, c)| c.is_control() && !matches!(c, '\n' | '\t' | '\r'))?;
    let finding = Finding::new(format!("the control character U+{:04X} has no place in YAML", u32::from(found)));
    Some((at..at + found.len_utf8(), finding.remedy("remove it, or save the file as UTF-8 text")))
}
