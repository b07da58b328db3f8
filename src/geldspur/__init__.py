"""Follow Bitcoin payments for investigators."""
