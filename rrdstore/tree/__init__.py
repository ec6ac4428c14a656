"""The persistent tree: nodes, walks, difference and three-way merge; pure, knows no store."""
