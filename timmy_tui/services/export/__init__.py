"""The dataset export: what operators said of decisions, in the shapes that trainers read."""
