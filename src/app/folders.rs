//! Where things are kept, by the rules of the XDG base directories.

use std::path::PathBuf;

/// What survives the process: which clusters there are.
pub(super) fn state() -> PathBuf {
    base("XDG_STATE_HOME", ".local/state").join("seaworthy")
}

/// What can be fetched again: tools.
pub(super) fn cache() -> PathBuf {
    base("XDG_CACHE_HOME", ".cache").join("seaworthy")
}

/// The kubeconfig files that kubectl would read, in its order.
pub(super) fn kubeconfigs(named: Option<PathBuf>) -> Vec<PathBuf> {
    let listed = || {
        let list = std::env::var_os("KUBECONFIG").filter(|list| !list.is_empty())?;
        Some(std::env::split_paths(&list).filter(|path| !path.as_os_str().is_empty()).collect())
    };
    named.map(|file| vec![file]).or_else(listed).unwrap_or_else(|| vec![home().join(".kube/config")])
}

fn base(variable: &str, below_home: &str) -> PathBuf {
    // A relative path is to be ignored, says the specification.
    let set = std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    set.unwrap_or_else(|| home().join(below_home))
}

fn home() -> PathBuf {
    std::env::home_dir().unwrap_or_else(std::env::temp_dir)
}
