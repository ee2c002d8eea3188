"""Full-screen views: each composes widgets, binds keys and calls services in workers."""
