#!/bin/sh
# Make a virtual environment with pip. Debian and Ubuntu ship Python without the part that does it.
set -eu
python=$1
venv=$2

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' || {
    echo "$python is older than Python 3.10; name a newer one: make PYTHON=python3.12 ..." >&2
    exit 1
}
if ! "$python" -c 'import ensurepip' 2>/dev/null; then
    package=$("$python" -c 'import sys; print(f"python3.{sys.version_info[1]}-venv")')
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        echo "$python cannot make a virtual environment; run: sudo apt-get install $package" >&2
        exit 1
    fi
    echo "Installing $package, which Python needs to make a virtual environment"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends "$package" >/dev/null
fi
"$python" -m venv --clear "$venv"
