"""Export runs: what training left, as files that other tools open."""
