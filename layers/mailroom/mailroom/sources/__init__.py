"""Who hands messages over: one file each, which authenticates, parses and maps to a Message."""
