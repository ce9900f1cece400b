from conveyor.pipeline import Pipeline
from conveyor.stages import Processor, Pipe, BalancingFork

def job(arg):
    return arg + 1

with Pipeline() as pl:
    pl.add(BalancingFork(2))
    pl.add(Processor(job), Pipe())
