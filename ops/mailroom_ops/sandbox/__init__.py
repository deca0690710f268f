"""Local sandboxes: every provider, spoken to as the real one, ending in one inbox."""
