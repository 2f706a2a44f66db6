#!/bin/sh
# Every C and C++ file is as clang-format (.clang-format) writes it. With --fix, makes it so.
set -eu
cd "$(dirname "$0")/../.."
case ${1:-} in
    --fix) mode="-i" ;;
    "") mode="--dry-run -Werror" ;;
    *)
        echo "usage: format.sh [--fix]" >&2
        exit 2
        ;;
esac
files=$(find src tests guest bench -name '*.cc' -o -name '*.h' -o -name '*.c' | sort)
[ -n "$files" ] || { echo "format.sh: no files" >&2; exit 1; }
# shellcheck disable=SC2086 # no file of ours has a blank in its name
exec clang-format-19 $mode $files
