"""The open project, driven through reapy: one hold, one undo step, rolled back when anything fails."""
