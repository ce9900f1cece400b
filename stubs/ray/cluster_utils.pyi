from typing import Any

class Cluster:
    address: str
    worker_nodes: set[Any]
    def add_node(self, **node: object) -> Any: ...
    def shutdown(self) -> None: ...
