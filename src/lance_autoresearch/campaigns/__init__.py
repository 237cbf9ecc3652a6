"""Many trials: a campaign's branch and worktree, the agents that propose, the loop."""
