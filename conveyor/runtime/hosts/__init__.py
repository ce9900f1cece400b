"""Workers on other machines: a host for each machine, the program's crew, and what they say to one
another.  What carries the messages is a protocol (`wire`): nothing here knows a cluster.
Start with `messages`."""
