#!/bin/sh
# Serves the model of this directory at http://127.0.0.1:8000, with the adapter in ./lora when there is one. Everything
# that is given here goes to `tunesmith serve-model`; ./start.sh --help shows what there is.
set -u
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P) || exit 78

if [ ! -f "$here/.install_complete" ]; then
    echo "Error: $here is not wholly installed. Run: tunesmith models install --dir \"$here\"" >&2
    exit 78
fi
if [ ! -x @EXECUTABLE@ ]; then
    echo "Error: tunesmith is no longer where it was. Install it, then run: tunesmith models install --dir \"$here\"" >&2
    exit 78
fi
exec @TUNESMITH@ serve-model --model "$here" "$@"
