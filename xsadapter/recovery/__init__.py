"""What survives kill -9 of the daemon: its state beside the tree, what clients were told, and their sockets."""
