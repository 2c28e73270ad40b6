"""Training: a recipe, one loop that knows no model, and tasks that wrap a network and its criterion."""
