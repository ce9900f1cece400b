"""Kills workers by the thousand and counts every item: `make chaos`.

watch      the outer process: starts a pipeline in a session of its own, kills workers, counts
           those that are left
scenario   the inner process: runs the pipeline, and compares what came out with what must
restless   the same again and again, with pauses, so that workers are killed at any moment
pipelines  the pipelines, and what must come out of each, worked out by plain loops
jobs       what their stages do
steps      lets a worker die at one step of the protocol: every store of a ring, and what lies
           between
plan       which scenarios there are
tally      what they come to
ends       the long cases: parents killed, hand-overs by the hundred thousand, consumers that pause
board      the words that outer and inner process and the jobs share
"""
