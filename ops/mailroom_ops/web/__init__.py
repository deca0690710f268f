"""A small web server for pages on a developer's or operator's own machine."""
