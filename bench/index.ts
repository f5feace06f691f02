// Benchmarks: each file here is a program; see docs/benchmarks.md.
export {};
