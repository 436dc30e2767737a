#!/usr/bin/env bash
# Installs this orch on another machine, over ssh: a Raspberry Pi, a server. Safe to run again: that is the upgrade.
#
#     tools/deploy_to_pi.sh USER@HOST                    orch, as ~/.local/bin/orch
#     tools/deploy_to_pi.sh USER@HOST src/shop           and the service of the project in ~/src/shop, started
#     tools/deploy_to_pi.sh --dry-run USER@HOST [DIR]    only says what it would do, and whether it could
#     tools/deploy_to_pi.sh --roll-back USER@HOST [DIR]  back to the version before this one
#
# Needs there: Python 3.11 with venv, git, and a network for pip. Needs here: ssh without a password (a key), and
# rsync if it is on both sides (tar does as well). ORCH_SSH replaces the ssh command, as in ORCH_SSH="ssh -p 2222".
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)

usage() {
    echo "usage: tools/deploy_to_pi.sh [--dry-run] [--roll-back] USER@HOST [DIR]" >&2
    exit 2
}
dry_run='' roll_back=''
while [ $# -gt 0 ]; do
    case $1 in
        --dry-run) dry_run=yes ;;
        --roll-back) roll_back=yes ;;
        -*) usage ;;
        *) break ;;
    esac
    shift
done
[ $# = 1 ] || [ $# = 2 ] || usage
host=$1
project=${2:-}
read -ra ssh <<<"${ORCH_SSH:-ssh} -o BatchMode=yes"

say() { printf 'deploy: %s\n' "$*"; }
fail() {
    say "$*" >&2
    exit 1
}
# A word for the shell on the far side.
quote() { printf "'%s'" "${1//\'/\'\\\'\'}"; }
far() { "${ssh[@]}" -- "$host" "$@"; }

say "looking at $host"
far true || fail "cannot log in to $host without a password; try: ssh-copy-id $host"
far 'command -v git >/dev/null' || fail "git is missing on $host; on Debian: sudo apt-get install git"
# shellcheck disable=SC2016  # it is the far shell that replaces these
far 'for python in python3 python3.13 python3.12 python3.11; do
        "$python" -c "import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))" 2>/dev/null && exit 0
    done; exit 1' || fail "Python 3.11 with venv is missing on $host; on Debian: sudo apt-get install python3-venv"
if [ -n "$project" ]; then
    far "[ -d $(quote "$project") ]" || fail "there is no $project on $host: clone your repository there first"
fi
way=tar
if command -v rsync >/dev/null && far 'command -v rsync >/dev/null'; then way=rsync; fi

incoming=.cache/orch-incoming
what=$incoming
[ -z "$roll_back" ] || what=--roll-back
script="sh $incoming/install_on_host.sh $what"
[ -z "$project" ] || script="$script $(quote "$project")"
if [ -n "$dry_run" ]; then
    say "would build the wheel of $root"
    say "would send it to $host:$incoming, with $way"
    say "would run there: $script"
    exit 0
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/send"
cp "$root/tools/install_on_host.sh" "$root/requirements.lock" "$work/send/"
if [ -z "$roll_back" ]; then
    say "building the wheel"
    "$root/tools/setup"
    (cd "$root" && .venv/bin/python -m hatchling build -t wheel -d "$work/send" >"$work/build.log" 2>&1) ||
        { cat "$work/build.log" >&2; fail "the wheel could not be built"; }
fi
say "sending it with $way"
if [ "$way" = rsync ]; then
    far "mkdir -p .cache"
    rsync --archive --delete --rsh="${ssh[*]}" "$work/send/" "$host:$incoming/"
else
    tar -C "$work/send" -cf - . | far "rm -rf $incoming && mkdir -p $incoming && tar -C $incoming -xf -"
fi
far "$script"
