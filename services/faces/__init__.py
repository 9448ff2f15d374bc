"""The gRPC faces of the service: one file for each family of methods."""
