//! Secret values, so that they can be kept out of everything that is written.
//!
//! Whatever reads a secret teaches it here; whatever writes text for people passes it through [`Secrets::mask`].

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};

/// What stands in place of a secret.
pub const MASK: &str = "<sensitive>";

/// Values shorter than this are not masked: `a` or `1` as a password would blacken every text, and hide nothing.
const SHORTEST: usize = 4;

/// The secret values met so far; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Secrets(Arc<RwLock<Known>>);

#[derive(Default)]
struct Known(BTreeSet<String>);

impl std::fmt::Debug for Known {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} values", self.0.len())
    }
}

impl Secrets {
    /// Remembers a value, its base64 form as Secret data carries it, and each line of a longer one.
    pub fn learn(&self, value: &str) {
        use base64::Engine as _;
        let encoded = base64::engine::general_purpose::STANDARD.encode(value);
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let forms = [value, value.trim(), encoded.as_str()].into_iter().chain(value.lines().map(str::trim));
        known.0.extend(forms.filter(|form| form.len() >= SHORTEST).map(str::to_owned));
    }

    /// The text with every known value, and every password within a URL, replaced by [`MASK`].
    #[must_use]
    pub fn mask(&self, text: &str) -> String {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let mut values: Vec<&String> = known.0.iter().filter(|value| text.contains(value.as_str())).collect();
        values.sort_by_key(|value| std::cmp::Reverse(value.len()));
        let masked = values.into_iter().fold(text.to_owned(), |text, value| text.replace(value.as_str(), MASK));
        mask_urls(masked)
    }
}

/// `scheme://user:password@host` → `scheme://user:<sensitive>@host`, wherever it stands.
fn mask_urls(text: String) -> String {
    if !text.contains("://") {
        return text;
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        out.push_str(before);
        let end = after.find(|c: char| c.is_whitespace() || "/?#\"'<>`".contains(c)).unwrap_or(after.len());
        match after[..end].rfind('@').and_then(|sign| after[..sign].find(':').map(|colon| (colon, sign))) {
            Some((colon, sign)) => {
                out.push_str(&after[..=colon]);
                out.push_str(MASK);
                rest = &after[sign..];
            }
            None => rest = after,
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_learnt_value_never_gets_through_in_any_form() {
        let secrets = Secrets::default();
        secrets.learn("s3cr3t-value\n");
        for text in ["AUTH s3cr3t-value failed", "data: czNjcjN0LXZhbHVlCg==", "s3cr3t-values3cr3t-value"] {
            let masked = secrets.mask(text);
            assert!(!masked.contains("s3cr3t") && !masked.contains("czNj"), "{masked}");
        }
    }

    #[test]
    fn passwords_in_urls_are_masked_and_other_urls_are_left_alone() {
        let secrets = Secrets::default();
        for (text, masked) in [
            ("postgres://app:pa:ss@db:5432/app failed", "postgres://app:<sensitive>@db:5432/app failed"),
            ("see https://example.com:8443/a@b", "see https://example.com:8443/a@b"),
            ("redis://:x@h redis://:y@h", "redis://:<sensitive>@h redis://:<sensitive>@h"),
            ("ends with ://", "ends with ://"),
        ] {
            assert_eq!(secrets.mask(text), masked);
        }
    }
}
