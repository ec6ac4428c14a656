"""Commits and what stays of them: clock, graph of kept commits, branches, tags and pins; pure."""
