"""`enroll`: exporters for guests that have none, through the QEMU guest agent."""
