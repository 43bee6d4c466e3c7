#!/usr/bin/env bash
# A real Slurm of one node on this machine, for tests, as root: no systemd, no cgroups, no database.
#   slurm_one_node.sh install         Debian's slurm-wlm and munge
#   slurm_one_node.sh start FOLDER    its files are there, and CONF is a link to one of them
#   slurm_one_node.sh stop FOLDER     its jobs are cancelled, and CONF is gone
# Each may be repeated. Exit status 1 and one line where it cannot be done.
set -euo pipefail
export PATH="$PATH:/usr/sbin"
CONF=/etc/slurm/slurm.conf # the default, since Snakemake takes SLURM_CONF from its jobs

fail() {
    echo "slurm_one_node: $1" >&2
    exit 1
}

installed() {
    for program in munged slurmctld slurmd sbatch; do
        command -v "$program" >/dev/null || return 1
    done
}

install() {
    installed && return
    command -v apt-get >/dev/null || fail "no apt-get here; install slurm and munge by hand"
    [[ $EUID == 0 ]] || fail "only root may install slurm-wlm and munge"
    export DEBIAN_FRONTEND=noninteractive
    local quick=(-q -o Acquire::Retries=0 -o Acquire::http::Timeout=20 -o Acquire::https::Timeout=20)
    { apt-get "${quick[@]}" update && apt-get "${quick[@]}" install -y --no-install-recommends slurm-wlm munge; } >/dev/null 2>&1 ||
        fail "apt-get could not install slurm-wlm and munge"
}

alive() {
    [[ -s $1 ]] && kill -0 "$(<"$1")" 2>/dev/null
}

start() {
    local folder=$1 node
    installed || fail "slurm-wlm and munge are not installed (slurm_one_node.sh install)"
    [[ $EUID == 0 ]] || fail "only root may start a Slurm"
    [[ ! -e $CONF || $(realpath "$CONF") == "$folder/slurm.conf" ]] || fail "there is a Slurm already: $(realpath "$CONF")"
    node=$(hostname -s)
    mkdir -p "$folder/state" "$folder/spool"
    chmod go-w "$folder"
    if ! [[ -s $folder/munge.key ]]; then
        (umask 077 && head -c 128 /dev/urandom >"$folder/munge.key")
    fi
    # slurmd -C: the node's cores and memory; without RealMemory jobs that ask for memory are refused
    cat >"$folder/slurm.conf" <<END
ClusterName=one
SlurmctldHost=$node(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$folder/munge.socket
CredType=cred/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
ReturnToService=2
MinJobAge=600
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
$(slurmd -C | head -1) NodeAddr=127.0.0.1 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
END
    mkdir -p "$(dirname "$CONF")"
    ln -sf "$folder/slurm.conf" "$CONF"
    # forced: only root uses its socket, so the folder may be closed to others
    alive "$folder/munged.pid" ||
        munged --force --socket="$folder/munge.socket" --key-file="$folder/munge.key" --pid-file="$folder/munged.pid" \
            --log-file="$folder/munged.log" --seed-file="$folder/munged.seed" 2>"$folder/munged.err" ||
        fail "munged did not start: $(tail -1 "$folder/munged.err")"
    alive "$folder/slurmctld.pid" || slurmctld 2>"$folder/slurmctld.err" || fail "slurmctld did not start, see $folder/slurmctld.log"
    alive "$folder/slurmd.pid" || slurmd 2>"$folder/slurmd.err" || fail "slurmd did not start, see $folder/slurmd.log"
    for _ in {1..60}; do
        [[ $(sinfo --noheader --format=%T 2>/dev/null) =~ ^(idle|mixed|allocated)$ ]] && return
        sleep 0.5
    done
    fail "the node did not come up within 30 s, see $folder/slurmctld.log and $folder/slurmd.log"
}

stop() {
    local folder=$1
    if alive "$folder/slurmctld.pid"; then
        scancel --full --user=root 2>/dev/null || true
        for _ in {1..60}; do
            [[ -z $(squeue --noheader 2>/dev/null) ]] && break
            sleep 0.5
        done
    fi
    for daemon in slurmd slurmctld munged; do
        if alive "$folder/$daemon.pid"; then
            local number
            number=$(<"$folder/$daemon.pid")
            kill "$number"
            for _ in {1..60}; do
                kill -0 "$number" 2>/dev/null || break
                sleep 0.5
            done
        fi
    done
    if [[ $(readlink "$CONF") == "$folder/slurm.conf" ]]; then
        rm "$CONF"
    fi
}

case ${1:-} in
install) install ;;
start | stop)
    [[ -n ${2:-} ]] || fail "which folder? slurm_one_node.sh $1 FOLDER"
    mkdir -p "$2"
    "$1" "$(realpath "$2")"
    ;;
*) fail "install, start FOLDER or stop FOLDER" ;;
esac
