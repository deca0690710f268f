"""What providers report back: one file each, which verifies and normalises."""
