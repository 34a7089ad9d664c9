//! The official releases that are fetched where a tool is missing, with the SHA-256 that their projects publish.
//!
//! Sums: for kind, `kind-<platform>.sha256sum` beside each binary of the release; for k3d, the release's
//! `checksums.txt`; for helm, the release notes and `helm-v<version>-<platform>.tar.gz.sha256sum`. A sum is entered only
//! after two independent copies of the published one agree. A platform without a sum is not fetched.

use std::fmt;

use super::Tool;

/// One file to fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pin {
    /// Version, without `v`.
    pub(super) version: String,
    /// Address.
    pub(super) url: String,
    /// SHA-256 of the file at the address, in lower-case hexadecimal.
    pub(super) sha256: String,
    /// What the file is.
    pub(super) form: Form,
}

/// What is at an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// The program itself.
    Program,
    /// A gzipped tar that has the program under this path.
    TarGz(String),
}

/// A program that Go builds from source. Go itself verifies the source, against its checksum database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Source {
    /// Version, without `v`.
    pub(super) version: &'static str,
    /// The package of the program.
    pub(super) package: &'static str,
    /// The variable that holds the version that the program says, `v` included. Without it a program that is built from
    /// its module knows only the major and minor number.
    pub(super) says: &'static str,
}

const HELM: &str = "4.2.3";
const KIND: &str = "0.32.0";
const K3D: &str = "5.9.0";

/// The release of a tool for a platform as Go names it (`linux-amd64`), if there is one that can be verified.
pub(super) fn pin(tool: Tool, platform: &str) -> Option<Pin> {
    let sha256 = sum(tool, platform)?.to_owned();
    let (url, form) = match tool {
        Tool::Helm => {
            let url = format!("https://get.helm.sh/helm-v{HELM}-{platform}.tar.gz");
            (url, Form::TarGz(format!("{platform}/helm")))
        }
        Tool::Kind => {
            let releases = "https://github.com/kubernetes-sigs/kind/releases/download";
            (format!("{releases}/v{KIND}/kind-{platform}"), Form::Program)
        }
        Tool::K3d => {
            let releases = "https://github.com/k3d-io/k3d/releases/download";
            (format!("{releases}/v{K3D}/k3d-{platform}"), Form::Program)
        }
    };
    Some(Pin { version: version(tool).to_owned(), url, sha256, form })
}

/// As `go install` takes it.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@v{}", self.package, self.version)
    }
}

/// The version that is fetched, or built.
pub(super) const fn version(tool: Tool) -> &'static str {
    match tool {
        Tool::Helm => HELM,
        Tool::Kind => KIND,
        Tool::K3d => K3D,
    }
}

/// The source of a tool that a run needs even where no container engine answers; the others are of no use there.
pub(super) const fn source(tool: Tool) -> Option<Source> {
    match tool {
        Tool::Helm => Some(Source {
            version: HELM,
            package: "helm.sh/helm/v4/cmd/helm",
            says: "helm.sh/helm/v4/internal/version.version",
        }),
        Tool::Kind | Tool::K3d => None,
    }
}

fn sum(tool: Tool, platform: &str) -> Option<&'static str> {
    let sums = match tool {
        Tool::Helm => [
            ("linux-amd64", "e9b88b4ee95b18c706839c28d3a0220e5bc470e9cd9262410c90793c45ff8b7c"),
            ("linux-arm64", "21abd9354d39b2cd79a8d76be6912cd137a983cbf997193503fb8a6a6e2f2785"),
            ("darwin-amd64", "ff3ac86755a45f3422473bc1200776aac0fe04c5766abe6ca66699f7b564b23b"),
            ("darwin-arm64", "048ecf5ad3160f83d918f9fe945238d2132b079640f7b106175331c25f242c64"),
        ],
        Tool::Kind => [
            ("linux-amd64", "50030de23cf40a18505f20426f6a8506bedf13c6e509244bd1fa9463721b0f54"),
            ("linux-arm64", "b92cd615e97585de8ddade28ed5cd7feb4248d717c233eea5b03c37298900f5d"),
            ("darwin-amd64", "295ac6d0d634c9819c9907df45e3017d1f13166bd13c3404c45e79f7faa47498"),
            ("darwin-arm64", "dca67911095a110c2b5c36e26df6cac860c602033e456c0db47be498cdef1ebb"),
        ],
        Tool::K3d => [
            ("linux-amd64", "06d8f25bc3a971c4eb29e0ff08429b180402db0f4dec838c9eac427e296800a0"),
            ("linux-arm64", "03cde5cf23e6e8e67de5a039ecf26e5b85aca82fba3e5d13dadf904cd218a250"),
            ("darwin-amd64", "b4aabc37534f95b9c764e7823f2df923f50d57600837aa60a06266cce47db732"),
            ("darwin-arm64", "fe106541d5d0a3f18debcd4d432a16f8c0ce3e6ddc06f8fbb6f696a122313e00"),
        ],
    };
    sums.into_iter().find_map(|(known, sum)| (known == platform).then_some(sum))
}

/// This machine's platform as Go names it.
pub(super) fn platform() -> String {
    let os = match std::env::consts::OS {
        "macos" => "darwin",
        os => os,
    };
    let arch = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        arch => arch,
    };
    format!("{os}-{arch}")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_pin_has_a_whole_sum_of_its_own_and_a_version_that_is_accepted() {
        let mut sums = BTreeSet::new();
        for tool in Tool::ALL {
            for platform in ["linux-amd64", "linux-arm64", "darwin-amd64", "darwin-arm64"] {
                let pin = pin(tool, platform).unwrap();
                assert!(pin.sha256.len() == 64 && pin.sha256.bytes().all(|c| c.is_ascii_hexdigit()), "{pin:?}");
                assert!(sums.insert(pin.sha256.clone()), "{pin:?}");
                assert!(pin.url.starts_with("https://") && pin.url.contains(&format!("v{}", pin.version)), "{pin:?}");
                let wanted = semver::VersionReq::parse(tool.wanted()).unwrap();
                assert!(wanted.matches(&pin.version.parse().unwrap()), "{pin:?}");
            }
        }
    }

    #[test]
    fn a_source_is_of_the_major_version_that_is_fetched() {
        let source = source(Tool::Helm).unwrap();
        let module = format!("helm.sh/helm/v{}/", source.version.split('.').next().unwrap());
        assert!(source.package.starts_with(&module) && source.says.starts_with(&module), "{source:?}");
        assert_eq!(source.version, pin(Tool::Helm, "linux-amd64").unwrap().version);
    }

    #[test]
    fn a_platform_without_a_known_sum_is_not_fetched() {
        assert_eq!(pin(Tool::Kind, "windows-amd64"), None);
    }
}
