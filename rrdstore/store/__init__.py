"""The facade: stores, branches, transactions, snapshots, watches."""
