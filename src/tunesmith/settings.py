"""tunesmith's own settings: command line > ``TUNESMITH_*`` > ``.env`` > ``$TUNESMITH_HOME/config.yaml`` > default."""

from __future__ import annotations
