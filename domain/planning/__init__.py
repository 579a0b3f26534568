"""The planner: pure functions from a problem to a plan. No I/O, no clock, no database."""
