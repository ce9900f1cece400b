"""What the code of a job tells without being run, and copies of jobs that are run in a world made
different.

This folder knows syntax trees and bytecode.  It must never know pipelines or schedules.  Start with
`effects`.
"""
