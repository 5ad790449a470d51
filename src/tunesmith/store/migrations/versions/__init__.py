"""The revisions, the oldest first by their names."""
