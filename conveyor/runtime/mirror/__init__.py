"""One memory of a pipeline on several machines: what is copied from one to the other, and in which
order.  It knows the memory and its layout; how news travels, processes and threads never enter.
Start with `news`, then `channels`."""
