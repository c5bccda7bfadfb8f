//! Whatever agents, tasks and users do: every task is accounted for once.
