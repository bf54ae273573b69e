"""What the dashboard costs: pages over a million tasks, and tabs while thousands of tasks change."""
