"""AWS at the edge: signed calls, queues, DynamoDB values."""
