"""Local sandboxes of all providers: they answer as the real ones do, and collect all mail in one inbox."""
