"""Who may do what: organisations, keys and roles, quotas, and the folders that a request may name."""
