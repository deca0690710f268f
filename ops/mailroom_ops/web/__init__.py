"""Web pages on a developer's or operator's own machine: server, guard, page frame, file watcher."""
