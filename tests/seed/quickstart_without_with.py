from conveyor.pipeline import Pipeline
from conveyor.stages import Processor, Pipe, ReplicatingFork, Join

def job(arg):
    return arg + 1

pl = Pipeline()
pl.add(ReplicatingFork(2))
pl.add(Processor(job), Pipe())
pl.add(Join(2))
pl.add(Processor(print))
pl.run([2, 9, 11])
