"""Algebraic connectivity of a random graph: how well a network hangs together.

The second smallest eigenvalue of the graph's Laplacian matrix; 0 if it falls apart, for which this
program fails. Another attempt at a task draws another graph. Writes result.json into the current directory.
"""

import argparse
import json
import os
import sys

import numpy as np
from scipy.linalg import eigvalsh
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nodes", type=int, required=True)
    parser.add_argument("--degree", type=float, required=True, help="edges of a node, on average")
    parser.add_argument("--seed", type=int, required=True)
    arguments = parser.parse_args()
    nodes = arguments.nodes

    random = np.random.default_rng([arguments.seed, int(os.environ.get("ICTASKS_ATTEMPT", "1"))])
    laplacian = np.zeros((nodes, nodes))
    for node in range(1, nodes):
        neighbours = np.flatnonzero(random.random(node) < arguments.degree / (nodes - 1))
        laplacian[node, neighbours] = laplacian[neighbours, node] = -1
    edge_count = int(-laplacian.sum() / 2)
    component_count = connected_components(csr_array(laplacian))[0]
    if component_count > 1:
        sys.exit(f"graph {arguments.seed} of {nodes} nodes falls into {component_count} components")

    np.fill_diagonal(laplacian, -laplacian.sum(axis=1))
    connectivity = eigvalsh(laplacian, subset_by_index=[1, 1])[0]
    with open("result.json", "w") as file:
        json.dump({"connectivity": float(connectivity), "edge_count": edge_count}, file)


if __name__ == "__main__":
    main()
