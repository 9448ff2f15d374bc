"""Workers: the shard step, the exchange and the processes that run them. Imports gradwire (core) only."""
