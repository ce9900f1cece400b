"""Workers on other machines: a host for each machine, the program's crew, what they say to one
another, and how a run goes on without one of them.  What carries the messages is a protocol
(`wire`): nothing here knows a cluster.  Start with `messages`."""
