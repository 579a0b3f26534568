"""The business of Crossdock: tables, rules, SQL, the planner, the feed."""
