from math import sqrt

from conveyor.pipeline import Pipeline
from conveyor.stages import Processor, Pipe, ReplicatingFork, Join

def square_root(arg):
    return sqrt(arg)

def cube(arg):
    return arg ** 3

with Pipeline() as pl:
    pl.add(ReplicatingFork(2))
    pl.add(Processor(square_root), Processor(cube))
    pl.add(Processor(square_root), Pipe())
    pl.add(Join(2))
    pl.add(Processor(print))
    pl.run([16, 3, 81])
