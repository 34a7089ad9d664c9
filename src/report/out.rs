//! Where a report goes.

use std::io::Write;

/// Where a report goes; opened by whoever knows its path.
pub type Out = Box<dyn Write + Send>;
