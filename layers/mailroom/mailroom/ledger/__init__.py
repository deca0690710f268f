"""The DynamoDB table of message state, and the hourly counters in it."""
