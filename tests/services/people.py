"""Several owners of one service that asks for tokens, each with a client."""

from gradwire.services.client import Client
from gradwire.services.security.access import Access
from gradwire.services.security.callers import LOCAL, Scope
from gradwire.services.service import Service


class People:
    """Clients of one service, by name; `root` is its administrator."""

    def __init__(self, service: Service) -> None:
        self.secrets = {
            name: service.tokens.create(name, scope, None, LOCAL)[1]
            for name, scope in (("ann", Scope.SUBMIT), ("bob", Scope.SUBMIT), ("root", Scope.ADMIN))
        }
        self.ann, self.bob, self.root = (
            Client(str(service.address), access=Access(secret)) for secret in self.secrets.values()
        )

    def close(self) -> None:
        """Ends the connections."""
        for client in (self.ann, self.bob, self.root):
            client.close()
