#!/bin/sh
# Installs orch for the person who runs this, from a folder with a wheel and its requirements.lock.
#
#     install_on_host.sh FOLDER [PROJECT]     with PROJECT: its service too, and its status
#     install_on_host.sh --roll-back [PROJECT]
#
# tools/deploy_to_pi.sh sends it to another machine; it needs Python 3.11 with venv, git, and a network (for pip).
# Each version has a folder of its own, and a link says which one counts: an orch that runs keeps its files. Safe to
# run again, also after it was killed: what is complete has a stamp, and what has none is made anew.
set -eu
home=${XDG_DATA_HOME:-$HOME/.local/share}/orch
bin=$HOME/.local/bin
kept=3 # versions

say() { printf 'orch: %s\n' "$*"; }
fail() {
    say "$*" >&2
    exit 1
}

# use FOLDER: this version counts from now on. The link is replaced in one step.
use() {
    mkdir -p "$bin"
    ln -sfn "$1/bin/orch" "$bin/.orch.new"
    mv -f "$bin/.orch.new" "$bin/orch"
    touch "$1/installed"
    say "$("$bin/orch" --version) is $bin/orch"
}

# The versions that are complete, the one used last first. Their names are made here: no blanks.
versions() {
    [ -d "$home/versions" ] || return 0
    cd "$home/versions"
    # shellcheck disable=SC2012
    ls -td -- */installed 2>/dev/null | sed 's|/installed$||'
}

if [ "${1:-}" = --roll-back ]; then
    shift
    previous=$(versions | sed -n 2p)
    [ -n "$previous" ] || fail "there is no version before this one"
    use "$home/versions/$previous"
else
    folder=${1:?usage: install_on_host.sh FOLDER [PROJECT]}
    shift
    wheel=$(echo "$folder"/orch-*.whl)
    [ -f "$wheel" ] || fail "there is no wheel in $folder"
    [ -f "$folder/requirements.lock" ] || fail "there is no requirements.lock in $folder"
    command -v git >/dev/null || fail "git is missing; on Debian: sudo apt-get install git"
    python=''
    for candidate in python3 python3.13 python3.12 python3.11; do
        if "$candidate" -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            python=$candidate
            break
        fi
    done
    [ -n "$python" ] || fail "Python 3.11 with venv is missing; on Debian: sudo apt-get install python3-venv"

    name=$(cat "$wheel" "$folder/requirements.lock" | sha256sum | cut -c1-12)
    version=$home/versions/$name
    if [ ! -f "$version/installed" ]; then
        say "installing into $version"
        mkdir -p "$home/versions"
        "$python" -m venv --clear "$version"
        "$version/bin/python" -I -m pip install -qq --disable-pip-version-check --no-input \
            --require-hashes -r "$folder/requirements.lock"
        "$version/bin/python" -I -m pip install -qq --disable-pip-version-check --no-input --no-deps "$wheel"
        "$version/bin/orch" --version >/dev/null
    fi
    use "$version"
    versions | tail -n +$((kept + 1)) | while read -r old; do
        # A coordinator or a worker may still run from there: its files stay.
        if grep -qsF "$home/versions/$old/" /proc/[0-9]*/cmdline; then continue; fi
        rm -rf "${home:?}/versions/$old"
    done
fi

case ":$PATH:" in
    *":$bin:"*) ;;
    *) say "$bin is not on your PATH: add it in ~/.profile" ;;
esac
[ $# -gt 0 ] || exit 0

project=$1
[ -d "$project" ] || fail "there is no folder $project; clone your repository there, and run this again"
# Over ssh without a session of its own, systemctl has to be told where the person's systemd is.
if [ -z "${XDG_RUNTIME_DIR:-}" ] && [ -d "/run/user/$(id -u)" ]; then
    XDG_RUNTIME_DIR=/run/user/$(id -u)
    export XDG_RUNTIME_DIR
fi
PATH=$bin:$PATH
export PATH
"$bin/orch" -C "$project" init >/dev/null
"$bin/orch" -C "$project" service install
"$bin/orch" -C "$project" status
