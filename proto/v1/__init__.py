"""Generated from proto/gradwire/v1/*.proto by proto/generate.sh; do not edit."""
