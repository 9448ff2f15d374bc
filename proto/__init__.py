"""The gRPC interface: .proto files and the code generated from them. Imports nothing of gradwire."""
