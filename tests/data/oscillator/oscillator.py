"""Period and amplitude of the van der Pol oscillator, by one of scipy's solvers.

    y'' = mu (1 - y^2) y' - y

The greater mu, the stiffer the problem: the explicit solvers then need so many evaluations that
they run out of them. Writes result.json into the current directory.
"""

import argparse
import json
import sys

from scipy.integrate import BDF, DOP853, LSODA, RK45, Radau
from scipy.optimize import brentq

SOLVERS = {solver.__name__: solver for solver in (RK45, DOP853, Radau, BDF, LSODA)}
END = 1e7  # later than anything here takes


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mu", type=float, required=True)
    parser.add_argument("--method", choices=SOLVERS, required=True)
    parser.add_argument("--rtol", type=float, required=True)
    parser.add_argument("--evaluations", type=int, default=40_000, help="the most that may be used")
    arguments = parser.parse_args()
    mu = arguments.mu

    def field(_, state):
        y, velocity = state
        return [velocity, mu * (1 - y * y) * velocity - y]

    def jacobian(_, state):
        y, velocity = state
        return [[0, 1], [-2 * mu * y * velocity - 1, mu * (1 - y * y)]]

    options = {} if arguments.method in ("RK45", "DOP853") else {"jac": jacobian}
    solver = SOLVERS[arguments.method](
        field, 0.0, [2.0, 0.0], END, rtol=arguments.rtol, atol=arguments.rtol * 1e-3, **options
    )
    crossings, amplitude, steps = [], 0.0, 0
    while len(crossings) < 4:
        before = solver.y[0]
        message = solver.step()
        steps += 1
        if solver.status == "failed":
            sys.exit(f"{arguments.method} failed at t = {solver.t:.6g}: {message}")
        if solver.nfev > arguments.evaluations:
            sys.exit(f"{arguments.method} used up its {arguments.evaluations} evaluations at t = {solver.t:.6g}")
        if crossings:
            amplitude = max(amplitude, abs(solver.y[0]))
        if before < 0 <= solver.y[0]:
            inside = solver.dense_output()
            crossings.append(brentq(lambda t: inside(t)[0], solver.t_old, solver.t))

    result = {
        "period": crossings[-1] - crossings[-2],
        "amplitude": float(amplitude),
        "step_count": steps,
        "evaluation_count": solver.nfev,
    }
    with open("result.json", "w") as file:
        json.dump(result, file)
    print(f"period {result['period']:.10g} after {solver.nfev} evaluations")


if __name__ == "__main__":
    main()
