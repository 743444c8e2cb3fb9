#!/bin/sh
# Creates $VENV with the locked versions; does nothing when interpreter, lock and project are unchanged.
set -eu
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
stamp="$VENV/.driftune-setup"
want="$version $TORCH_INDEX $(cat pyproject.toml constraints.txt scripts/setup.sh | cksum)"
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
extra=""
[ -z "$TORCH_INDEX" ] || extra="--extra-index-url $TORCH_INDEX"
# shellcheck disable=SC2086
"$VENV/bin/python" -m pip install --quiet --disable-pip-version-check $extra \
    --constraint constraints.txt --editable ".[dev,docs,postgres,ray]"
"$VENV/bin/dvc" config --local core.analytics false 2>/dev/null || true
printf '%s' "$want" >"$stamp"
echo "setup: done"
