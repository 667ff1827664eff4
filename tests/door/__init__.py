"""What a request body can do to a running service: the answer, and what is kept of it."""
