#!/usr/bin/env python3
"""Trains the model of this directory: python train_lora.py --data FILE. All that is given goes to `tunesmith train`."""

import os
import sys

TUNESMITH = ["@TUNESMITH@"]
HERE = os.path.dirname(os.path.realpath(__file__))


def main() -> None:
    """Check that there is something to run, then become it."""
    again = f"Run: tunesmith models install --dir '{HERE}'"
    if not os.path.isfile(os.path.join(HERE, ".install_complete")):
        refuse(f"{HERE} is not wholly installed. {again}")
    if not os.access(TUNESMITH[0], os.X_OK):
        refuse(f"tunesmith is no longer where it was. Install it. {again}")
    os.execv(TUNESMITH[0], [*TUNESMITH, "train", "--model-directory", HERE, *sys.argv[1:]])


def refuse(sentence: str) -> None:
    """Say what is wrong and end with the status of a configuration that does not go together."""
    print("Error: " + sentence, file=sys.stderr)
    sys.exit(78)


if __name__ == "__main__":
    main()
