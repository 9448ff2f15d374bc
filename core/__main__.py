"""`python -m gradwire` is the command line. The one file of the library that looks at the layers above it."""

from gradwire.services.cli import main

main()
