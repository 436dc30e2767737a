#!/usr/bin/env bash
# How orch does on another machine: the machine itself, the service, the queue.
#
#     tools/monitor_pi.sh USER@HOST src/shop           every 30 seconds, until ^C
#     tools/monitor_pi.sh --once USER@HOST src/shop    once; exit code 1 if no coordinator runs there (for cron)
#
# ORCH_SSH replaces the ssh command, as in ORCH_SSH="ssh -p 2222".
set -euo pipefail
once=''
if [ "${1:-}" = --once ]; then once=yes && shift; fi
[ $# = 2 ] || { echo "usage: tools/monitor_pi.sh [--once] USER@HOST DIR" >&2; exit 2; }
read -ra ssh <<<"${ORCH_SSH:-ssh} -o BatchMode=yes"

quote() { printf "'%s'" "${1//\'/\'\\\'\'}"; }
# shellcheck disable=SC2016  # it is the far shell that replaces these
look='
PATH=$HOME/.local/bin:$PATH
hostname; uptime
free -m 2>/dev/null | sed -n 1,2p
df -h . | tail -n 1
for heat in /sys/class/thermal/thermal_zone0/temp; do
    [ ! -r "$heat" ] || echo "$(($(cat "$heat") / 1000)) degrees Celsius"
done
echo
orch status
# The pid file is there while a coordinator runs, and after it was killed: the process decides.
kill -0 "$(cat .orch/coordinator.pid 2>/dev/null)" 2>/dev/null || { echo "no coordinator runs"; exit 1; }
'
show() { "${ssh[@]}" -- "$1" "cd $(quote "$2") && { $look }"; }

if [ -n "$once" ]; then
    show "$@"
    exit
fi
while true; do
    text=$(show "$@" 2>&1) || text="$text"$'\n'"(it needs you)"
    [ ! -t 1 ] || printf '\033[2J\033[H'
    printf '%s  %s\n%s\n' "$(date '+%H:%M:%S')" "$1" "$text"
    sleep 30
done
