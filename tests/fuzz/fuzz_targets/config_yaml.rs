//! A configuration of any bytes is read or refused; what is read gives a plan or a clear refusal.

#![no_main]

use std::path::Path;

use ictasks_core::config::Config;
use ictasks_core::machine::Machine;
use ictasks_core::plan::{CommandLine, Plan};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    match Config::parse("my.yaml", bytes) {
        Ok(config) => {
            let machine = Machine {
                host: "h".to_owned(),
                cores: vec![vec![0, 2], vec![1, 3]],
                cpu_quota: None,
                gpus: Some(vec![0, 1]),
                memory_total_bytes: Some(8 << 30),
                memory_limit_bytes: Some(8 << 30),
                is_in_slurm: false,
            };
            let plan = Plan::resolve(&config, &CommandLine::default(), &machine, Path::new("/submit"));
            if let Err(error) = plan {
                assert!(!error.to_string().is_empty());
            }
        }
        Err(error) => assert!(error.to_string().starts_with("my.yaml"), "{error}"),
    }
});
