"""Work handed to local models by the kind of task."""
