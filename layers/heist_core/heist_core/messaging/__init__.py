"""What leaves the system by message: events on the bus and dead letters."""
