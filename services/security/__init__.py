"""Who may do what: tokens, owners, addresses, rate limits, the audit log, and the environment of user code."""
