//! What is said by those who are to say something else than they should.

use std::sync::{Arc, Mutex, PoisonError};

/// A text that all who say something else have in common. A clone says the same.
#[derive(Clone, Debug)]
pub(crate) struct Words(Arc<Mutex<String>>);

impl Default for Words {
    fn default() -> Self {
        Self(Arc::new(Mutex::new("It works!\n".to_owned())))
    }
}

impl Words {
    /// From now on it is this.
    pub(crate) fn set(&self, text: &str) {
        text.clone_into(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// The text.
    pub(crate) fn text(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The text as a line of a log.
    pub(crate) fn line(&self) -> String {
        self.text().trim_end().to_owned()
    }
}
