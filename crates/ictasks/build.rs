//! Links the programs at fixed addresses. The report's engine has some hundred thousand addresses in its tables;
//! in a position-independent program each of them is corrected at every start, which takes 2 ms and 10 MB of memory
//! of a coordinator that never looks at them.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-link-arg-bins=-no-pie");
}
