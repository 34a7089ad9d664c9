# The whole vocabulary, for the commands beside this folder.
# shellcheck shell=bash source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/settings.sh"
. "$(dirname "${BASH_SOURCE[0]}")/steps.sh"
. "$(dirname "${BASH_SOURCE[0]}")/engine.sh"
. "$(dirname "${BASH_SOURCE[0]}")/programs.sh"
. "$(dirname "${BASH_SOURCE[0]}")/packages.sh"
. "$(dirname "${BASH_SOURCE[0]}")/images.sh"
. "$(dirname "${BASH_SOURCE[0]}")/node.sh"
. "$(dirname "${BASH_SOURCE[0]}")/crds.sh"
