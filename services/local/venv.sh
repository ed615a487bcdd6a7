#!/bin/sh
# Makes .venv and installs exactly what requirements.lock names. Called by the Makefile, before there is any Python of ours.
set -eu
cd "$(dirname "$0")/../.."

say() { printf '%s\n' "$*" >&2; }

new_enough() { command -v "$1" >/dev/null 2>&1 && "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

# Sets python to one that is new enough.
find_python() {
    for python in ${PYTHON:-} python3 python3.14 python3.13 python3.12 python3.11; do
        if new_enough "$python"; then return 0; fi
    done
    return 1
}

# Debian ships venv apart from Python.
has_venv() { "$1" -c 'import ensurepip, venv' 2>/dev/null; }

# Installs Debian packages if that is ours to do: as root, or with a sudo that asks nothing.
install() {
    command -v apt-get >/dev/null 2>&1 || return 1
    if [ "$(id -u)" = 0 ]; then root=''
    elif sudo -n true 2>/dev/null; then root='sudo -n'
    else return 1; fi
    say "Installing $* ..."
    get='env DEBIAN_FRONTEND=noninteractive apt-get --yes --quiet -o DPkg::Lock::Timeout=300'
    $root $get install --no-install-recommends "$@" >/dev/null 2>&1 || {
        $root $get update >/dev/null && $root $get install --no-install-recommends "$@" >/dev/null
    }
}

if ! find_python; then
    install python3 python3-venv && find_python || {
        say 'Python 3.11 or newer is needed. Install it (Debian, Ubuntu: apt-get install python3 python3-venv;'
        say 'Fedora: dnf install python3; macOS: brew install python), or name one: PYTHON=/path/to/python3 make ...'
        exit 1
    }
fi
if ! has_venv "$python"; then
    package="$("$python" -c 'import sys; print("python3.%d-venv" % sys.version_info[1])')"
    install "$package" && has_venv "$python" || {
        say "$python has no venv module. Install it with: sudo apt-get install $package"
        exit 1
    }
fi

# One that was cut short, or whose Python is gone, is made anew.
.venv/bin/python -m pip --version >/dev/null 2>&1 || "$python" -m venv --clear .venv
say 'Installing Python packages into .venv (takes a minute, once) ...'
.venv/bin/python -m pip install -qq --disable-pip-version-check --require-hashes -r requirements.lock
touch .venv/.installed
