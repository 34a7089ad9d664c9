# The whole vocabulary, for the commands beside this folder.
# shellcheck shell=bash
for part in settings steps engine programs packages images node; do
  # shellcheck source=/dev/null
  . "$(dirname "${BASH_SOURCE[0]}")/$part.sh"
done
