"""What carries bytes between clients and the daemon: today the local socket."""
