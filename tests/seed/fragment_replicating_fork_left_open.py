from conveyor.pipeline import Pipeline
from conveyor.stages import Processor, Pipe, ReplicatingFork

def job(arg):
    return arg + 1

with Pipeline() as pl:
    pl.add(ReplicatingFork(2))
    pl.add(Processor(job), Pipe())
