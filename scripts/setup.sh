#!/bin/sh
# Creates $VENV with the locked versions; does nothing when interpreter, lock and project are unchanged.
# EXTRAS: those to install (dev,docs,examples,onnx,postgres,ray); EDITABLE=: a copy of the project, not its folder.
# BASE=serve: what scores need alone, in the place of all that the project needs.
set -eu
TORCH_INDEX=${TORCH_INDEX-}
EXTRAS=${EXTRAS-dev,docs,examples,onnx,postgres,ray}
EDITABLE=${EDITABLE---editable}
BASE=${BASE-base}
version=$("$PYTHON" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || {
    echo "setup: '$PYTHON' does not run; name an interpreter: PYTHON=python3.12 make setup" >&2
    exit 1
}
case $version in
    3.11 | 3.12 | 3.13) ;;
    *)
        echo "setup: Python $version is not supported (3.11 to 3.13 are); PYTHON=python3.12 make setup" >&2
        exit 1
        ;;
esac
# requirements.lock is for 3.11.5 and newer: the tool that builds the pages needs it.
"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11, 5))' || {
    echo "setup: '$PYTHON' is older than Python 3.11.5; PYTHON=python3.12 make setup" >&2
    exit 1
}
stamp="$VENV/.driftune-setup"
want="$version $TORCH_INDEX $BASE $EXTRAS $EDITABLE $(cat pyproject.toml requirements.lock constraints.txt scripts/setup.sh | cksum)"
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$want" ]; then
    exit 0
fi
echo "setup: Python $version, locked versions into $VENV (a few minutes the first time)"
have=$("$VENV/bin/python" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || echo none)
if [ "$have" != "$version" ]; then
    rm -rf "$VENV"
    "$PYTHON" -m venv "$VENV"
fi
rm -f "$stamp"
# Installs what a group of requirements.lock needs, or several: files whose hashes stand there, and
# nothing else.  install_locked "GROUP ..." [OPTION OF PIP ...]
install_locked() {
    # shellcheck disable=SC2086
    "$PYTHON" scripts/lock.py $1 >"$VENV/.driftune-lock"
    shift
    "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes \
        --no-deps --no-build-isolation --requirement "$VENV/.driftune-lock" "$@"
}
# pip chooses the build of torch as it does without hashes, by its configuration on this machine;
# held to hashes from the start, it would prefer an index to a folder, and take CUDA's.
install_torch() {
    pin=$("$PYTHON" scripts/lock.py torch | sed -n 's/^\(torch==[^ ]*\).*/\1/p')
    if "$VENV/bin/python" -c 'import sys; from importlib.metadata import version
sys.exit(version("torch").split("+")[0] != sys.argv[1])' "${pin#torch==}" 2>/dev/null; then
        return
    fi
    rm -rf "$VENV/.driftune-torch"
    "$VENV/bin/python" -m pip download --quiet --disable-pip-version-check \
        --no-deps --dest "$VENV/.driftune-torch" "$pin"
    install_locked torch --no-index --find-links "$VENV/.driftune-torch"
    rm -rf "$VENV/.driftune-torch"
}
if [ -n "$TORCH_INDEX" ]; then
    # Another build of torch brings files and libraries that the lock cannot know.
    # shellcheck disable=SC2086
    "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check \
        --extra-index-url "$TORCH_INDEX" --constraint constraints.txt $EDITABLE ".[$EXTRAS]"
else
    install_locked build
    install_torch
    install_locked "$BASE $(echo "$EXTRAS" | tr , ' ')"
    # A CUDA build of torch names its libraries, one for the CPU has none.
    if grep -qsE '^Requires-Dist: (cuda|nvidia|triton)' \
        "$VENV"/lib/python*/site-packages/torch-*.dist-info/METADATA; then
        install_locked cuda
    fi
    # shellcheck disable=SC2086
    "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check \
        --no-deps --no-build-isolation $EDITABLE .
fi
"$VENV/bin/dvc" config --local core.analytics false 2>/dev/null || true
printf '%s' "$want" >"$stamp"
echo "setup: done"
