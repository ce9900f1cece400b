from conveyor.pipeline import Pipeline
from conveyor.stages import Processor

def job(arg):
    return arg + 1

pl = Pipeline()
pl.add(Processor(job))
pl.add(Processor(print))
pl.run([2, 9, 11])
pl.run([30, 40])
