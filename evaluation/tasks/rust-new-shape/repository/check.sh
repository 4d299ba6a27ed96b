# Compiles the tests and runs them.
rustc --edition 2021 --test -o /tmp/check tests/shape.rs && /tmp/check
