"""Services: the optimizer service, the job service, its gRPC front end, client and command line."""
