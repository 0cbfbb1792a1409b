"""What the daemon does: opening, ending, routes, memory."""

WORKLOADS = []
