#!/usr/bin/env bash
# Stops the worker of a task, here or on another machine; its work is saved. The same as `orch stop`.
#
#     tools/stop_worker.sh TASK [--now]                        in the project of the current folder
#     tools/stop_worker.sh USER@HOST:src/shop TASK [--now]     on another machine
#
# ORCH_SSH replaces the ssh command, as in ORCH_SSH="ssh -p 2222".
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
case ${1:-} in
    '' | -h | --help) sed -n '2,7s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 2 ;;
    *@*:*) ;;
    *)
        command -v orch >/dev/null || { "$root/tools/setup" && PATH=$root/.venv/bin:$PATH; }
        exec orch stop "$@"
        ;;
esac
host=${1%%:*} project=${1#*:}
shift
words=''
for word in "$project" stop "$@"; do words="$words '${word//\'/\'\\\'\'}'"; done
read -ra ssh <<<"${ORCH_SSH:-ssh} -o BatchMode=yes"
# shellcheck disable=SC2029  # the words are quoted for the far shell above
exec "${ssh[@]}" -- "$host" "PATH=\$HOME/.local/bin:\$PATH; orch -C$words"
