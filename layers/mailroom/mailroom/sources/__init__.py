"""Sources of messages, one file each: authentication, parsing, and the mapping to a Message."""
