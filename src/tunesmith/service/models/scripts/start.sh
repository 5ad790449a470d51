#!/bin/sh
# Opens a chat with the model of this directory, and with the adapter in ./lora when there is one. Everything that is
# given here goes to `tunesmith chat`; --load-lora DIR takes another adapter.
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

# Each word is taken from the front and put back behind the others, so that all of them stay whole.
left=$#
adapter=
while [ "$left" -gt 0 ]; do
    word=$1
    shift
    left=$((left - 1))
    case $word in
        --port | --port=* | --host | --host=* | --stream | --ui-file | --ui-file=* | --cpu-offload | --dtype | --dtype=* | --device | --device=*)
            echo "Error: ${word%%=*} is for a server, and ./start.sh opens a chat in this terminal. Leave it out." >&2
            exit 2
            ;;
        --load-lora)
            adapter=given
            set -- "$@" --adapter
            ;;
        --load-lora=*)
            adapter=given
            set -- "$@" "--adapter=${word#--load-lora=}"
            ;;
        *) set -- "$@" "$word" ;;
    esac
done

if [ -z "$adapter" ] && [ -f "$here/lora/adapter_config.json" ]; then
    exec @TUNESMITH@ chat --model "$here/model" --adapter "$here/lora" "$@"
elif [ -z "$adapter" ] && [ -f "$here/lora/config.json" ]; then
    exec @TUNESMITH@ chat --model "$here/lora" "$@"
fi
exec @TUNESMITH@ chat --model "$here/model" "$@"
